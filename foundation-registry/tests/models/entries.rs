//! Entries that come, change and go: names, their values, members of groups.

use std::sync::Arc;

use foundation_context::Fields;
use foundation_registry::{Exit, Owners, RegisterError, Registry, UpdateError};
use foundation_sync::atomic::{AtomicUsize, Ordering};
use foundation_telemetry::Telemetry;
use foundation_testkit::{explore, join, reached, spawn};

use crate::{FIRST, SECOND, registry};

#[test]
fn a_name_is_registered_while_its_owner_ends_and_its_successor_comes() {
    explore("a name is registered while its owner ends and its successor comes")
        .reaches(&[
            "in time",
            "fenced",
            "after the successor",
            "the successor was refused",
            "registry: a successor replaced the dead",
        ])
        .catches(&["registry: the dead register"])
        .run(|| {
            let (owners, registry) = registry();
            let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
            let (other, owner, first, ending) = (registry.clone(), first.clone(), first.clone(), first);
            let registers = spawn(move || match other.register("name", &owner, 1, Fields::new()) {
                Ok(registration) => {
                    reached!("in time");
                    registration.keep();
                }
                Err(RegisterError::Fenced(FIRST)) => reached!("fenced"),
                Err(RegisterError::AlreadyRegistered { owner: SECOND, .. }) => reached!("after the successor"),
                Err(other) => panic!("{other}"),
            });
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            let registered = match registry.register("name", &second, 2, Fields::new()) {
                Ok(registration) => {
                    registration.keep();
                    assert_eq!(registry.lookup("name").map(|entry| *entry.value()), Some(2), "it lives, and has it");
                    1
                }
                Err(RegisterError::AlreadyRegistered { owner: FIRST, .. }) => {
                    reached!("the successor was refused");
                    0
                }
                Err(other) => panic!("{other}"),
            };
            join(registers);
            join(ends);
            assert_eq!(
                registry.lookup("name").map(|entry| entry.incarnation()),
                Some(SECOND).filter(|_| registered > 0)
            );
            assert_eq!((registry.len(), second.names(), first.names()), (registered, registered, 0));
            drop(second.end(Exit::Normal));
            assert!(registry.is_empty());
        });
}

/// A value whose drop is counted.
struct Probe(Arc<AtomicUsize>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_lookup_finds_a_value_that_lives_or_nothing_and_never_the_dead() {
    explore("a lookup finds a value that lives or nothing and never the dead")
        .reaches(&["found", "nothing", "fenced"])
        .catches(&["registry: a lookup finds the dead"])
        .run(|| {
            let owners = Owners::default();
            let registry = Registry::new(&owners, &Telemetry::new());
            let (owner, drops) = (owners.begin(FIRST, "first"), Arc::new(AtomicUsize::new(0)));
            let registration =
                registry.register("name", &owner, Probe(Arc::clone(&drops)), Fields::new()).expect("it is free");
            registration.keep();
            let (owner, ending) = (owner.clone(), owner);
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            let fenced = owner.fenced();
            if fenced {
                reached!("fenced");
            }
            match registry.lookup("name") {
                Some(entry) => {
                    reached!("found");
                    assert!(!fenced, "it had ended");
                    assert_eq!(entry.value().0.load(Ordering::SeqCst), 0, "who found it keeps it");
                    if !entry.is_current() {
                        reached!("the reader was the last");
                    }
                    join(ends);
                    assert_eq!(drops.load(Ordering::SeqCst), 0, "who found it keeps it");
                }
                None => {
                    reached!("nothing");
                    join(ends);
                }
            }
            assert_eq!(drops.load(Ordering::SeqCst), 1, "once");
            assert!(registry.is_empty());
        });
}

#[test]
fn a_lookup_finds_what_is_given_up_or_nothing() {
    explore("a lookup finds what is given up or nothing").reaches(&["found", "nothing"]).run(|| {
        let owners = Owners::default();
        let registry = Registry::new(&owners, &Telemetry::new());
        let (owner, drops) = (owners.begin(FIRST, "first"), Arc::new(AtomicUsize::new(0)));
        let registration =
            registry.register("name", &owner, Probe(Arc::clone(&drops)), Fields::new()).expect("it is free");
        let gives_up = spawn(move || drop(registration));
        let found = registry.lookup("name");
        match &found {
            Some(_) => reached!("found"),
            None => reached!("nothing"),
        }
        join(gives_up);
        assert_eq!(drops.load(Ordering::SeqCst), usize::from(found.is_none()), "who found it keeps it");
        assert!(registry.lookup("name").is_none() && registry.is_empty());
        drop(found);
        assert_eq!((drops.load(Ordering::SeqCst), owner.names()), (1, 0));
        drop(owner.end(Exit::Normal));
    });
}

/// The original's registry removed by name: a reader who had seen the dead killed a newer registration.
#[test]
fn who_unregisters_the_dead_never_meets_a_successor() {
    explore("who unregisters the dead never meets a successor")
        .reaches(&["unregistered", "it was too late", "the successor has it", "the successor was refused"])
        .catches(&["registry: an operator unregisters whoever is there"])
        .run(|| {
            let (owners, registry) = registry();
            let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
            registry.register("name", &first, 1, Fields::new()).expect("it is free").keep();
            let operator = registry.clone();
            let unregisters = spawn(move || match operator.unregister("name", FIRST) {
                Some(gone) => {
                    reached!("unregistered");
                    assert_eq!(gone.incarnation(), FIRST);
                }
                None => reached!("it was too late"),
            });
            let ends = spawn(move || drop(first.end(Exit::Normal)));
            let registered =
                registry.register("name", &second, 2, Fields::new()).map(|registration| registration.keep());
            join(unregisters);
            join(ends);
            match registered {
                Ok(()) => {
                    reached!("the successor has it");
                    assert_eq!(registry.lookup("name").map(|entry| *entry.value()), Some(2));
                }
                Err(_) => {
                    reached!("the successor was refused");
                    assert!(registry.is_empty());
                }
            }
            drop(second.end(Exit::Normal));
            assert!(registry.is_empty());
        });
}

#[test]
fn a_name_that_is_updated_is_found_old_or_new() {
    explore("a name that is updated is found old or new")
        .reaches(&["old", "new"])
        .catches(&["registry: the old entry leaves before the new one comes"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let mut name = registry.name("name");
            let (other, same) = (registry.clone(), owner.clone());
            let updates = spawn(move || drop(other.update_value("name", &same, |entry| entry.value() + 1)));
            let resolved = name.get().map(|entry| *entry.value()).expect("it is there all the time");
            match registry.lookup("name").map(|entry| *entry.value()).expect("it is there all the time") {
                1 => {
                    reached!("old");
                    assert_eq!(resolved, 1, "no way back");
                }
                2 => reached!("new"),
                other => panic!("{other}"),
            }
            let resolved = name.get().map(|entry| *entry.value()).expect("it is there all the time");
            join(updates);
            assert!(matches!(resolved, 1 | 2));
            assert_eq!(name.get().map(|entry| *entry.value()), Some(2));
            assert_eq!((registry.len(), owner.names()), (1, 1));
            drop(owner.end(Exit::Normal));
            assert!(registry.is_empty() && name.get().is_none());
        });
}

#[test]
fn of_two_updates_none_is_lost() {
    explore("of two updates none is lost")
        .reaches(&["it was made again"])
        .catches(&["registry: an update does not ask what stands there"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let (other, same) = (registry.clone(), owner.clone());
            let updates = spawn(move || {
                other.update_value("name", &same, |entry| entry.value() + 1).expect("it is its owner's");
            });
            let mut calls = 0;
            registry
                .update_value("name", &owner, |entry| {
                    calls += 1;
                    entry.value() + 1
                })
                .expect("it is its owner's");
            if calls > 1 {
                reached!("it was made again");
            }
            join(updates);
            assert_eq!(registry.lookup("name").map(|entry| *entry.value()), Some(3));
            drop(owner.end(Exit::Normal));
            assert!(registry.is_empty());
        });
}

#[test]
fn an_update_while_its_owner_ends_leaves_nothing_behind() {
    explore("an update while its owner ends leaves nothing behind")
        .reaches(&["updated", "fenced"])
        .catches(&["registry: an update does not wait for its owner"])
        .run(|| {
            let owners = Owners::default();
            let registry = Registry::<u32>::builder(&owners, &Telemetry::new()).capacity(1).build();
            let (owner, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let (owner, ending) = (owner.clone(), owner);
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            match registry.update_value("name", &owner, |_| 2) {
                Ok(now) => {
                    reached!("updated");
                    assert_eq!(*now.value(), 2);
                }
                Err(UpdateError::Fenced(FIRST)) => reached!("fenced"),
                // The end comes between two looks of the update.
                Err(UpdateError::NotRegistered { .. }) => reached!("gone"),
                Err(other) => panic!("{other}"),
            }
            join(ends);
            assert!(registry.is_empty() && registry.lookup("name").is_none());
            registry.register("name", &second, 3, Fields::new()).expect("there is room again").keep();
            drop(second.end(Exit::Normal));
            assert!(registry.is_empty());
        });
}

/// Race "open against retirement": of the groups that are left the last one is kept, so leaving two retires the first.
#[test]
fn who_joins_while_the_last_one_leaves_is_a_member() {
    explore("who joins while the last one leaves is a member")
        .reaches(match cfg!(shuttle) {
            // That the group is left and retired just then is too rare for random schedules to be held to it.
            true => &["both were members"],
            false => &["registry: a bag was gone when it was found", "both were members"],
        })
        .catches(&["registry: a bag that is gone is used"])
        .run(|| {
            let (owners, registry) = registry();
            let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
            let join_as_first = |group| registry.join(group, &first, 1, Fields::new()).expect("there is room");
            let (member, elsewhere) = (join_as_first("group"), join_as_first("another"));
            let leaves = spawn(move || {
                drop(member);
                drop(elsewhere);
            });
            registry.join("group", &second, 2, Fields::new()).expect("there is room").keep();
            let members: Vec<_> = registry.members("group").iter().map(|entry| *entry.value()).collect();
            match members[..] {
                [2] => {}
                [1, 2] => reached!("both were members"),
                _ => panic!("{members:?}"),
            }
            join(leaves);
            let members: Vec<_> = registry.members("group").iter().map(|entry| *entry.value()).collect();
            assert_eq!((members, registry.count("group"), registry.groups().len()), (vec![2], 1, 1));
            drop(second.end(Exit::Normal));
            assert_eq!((registry.count("group"), registry.groups()), (0, vec![]));
            drop(first.end(Exit::Normal));
        });
}
