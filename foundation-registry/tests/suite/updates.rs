//! What an owner changes about its name.

use foundation_context::{Fields, fields};
use foundation_registry::{Exit, UpdateError};
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::{join, spawn};

use crate::common::{Way, who};

suite! {
    an_owner_changes_what_its_name_stands_for_and_what_is_said_about_it,
    only_its_owner_updates_a_name_and_nothing_is_called_for_anybody_else,
    what_was_found_before_an_update_stays_as_it_was,
    an_update_that_is_overtaken_is_made_again_of_what_stands_there,
    a_name_that_is_given_up_while_it_is_updated_stays_given_up,
    a_registration_gives_up_whatever_its_name_was_updated_to,
    a_successor_is_not_updated_by_the_dead,
}

fn an_owner_changes_what_its_name_stands_for_and_what_is_said_about_it(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    r.register("n", &owner, 1, fields! { zone: "north" }).expect("it is free").keep();
    let first = r.lookup("n").expect("it is registered");
    let now = r.update_value("n", &owner, |entry| entry.value() + 1).expect("it is its owner's");
    assert_eq!((*now.value(), now.metadata(), now.is_current()), (2, &fields! { zone: "north" }, true));
    assert_eq!((now.name(), now.incarnation(), now.since()), ("n", who(1), first.since()));
    r.middle();
    let now = r.update_metadata("n", &owner, |entry| {
        assert_eq!(*entry.value(), 2);
        fields! { zone: "south", load: 0.5 }
    });
    let now = now.expect("it is its owner's");
    assert_eq!((*now.value(), now.metadata()), (2, &fields! { zone: "south", load: 0.5 }));
    let found = r.lookup("n").expect("it is registered");
    assert!(std::ptr::eq(found.value(), now.value()), "what is said is new, the value is the same");
    assert_eq!((found.metadata(), r.len(), owner.names()), (now.metadata(), 1, 1));
    let now = r.update_metadata("n", &owner, |_| Fields::new()).expect("it is its owner's");
    assert!(now.metadata().is_empty());
}

fn only_its_owner_updates_a_name_and_nothing_is_called_for_anybody_else(way: Way) {
    let r = way.registry();
    let (owner, other) = (r.begin(1), r.begin(2));
    r.named("n", &owner, 1).keep();
    r.joined("g", &owner, 1).keep();
    r.middle();
    let not_called = |name: &str, owner| {
        let value = r.update_value(name, owner, |_| panic!("it is not this owner's"));
        let metadata = r.update_metadata(name, owner, |_| panic!("it is not this owner's"));
        let error = value.expect_err("it is not this owner's");
        assert_eq!(metadata.map(drop), Err(error.clone()));
        error
    };
    let table = [
        (
            not_called("n", &other),
            UpdateError::NotOwner { name: "n".into(), owner: who(1) },
            "`n` is 1#1's: only its owner updates it",
        ),
        (
            not_called("m", &owner),
            UpdateError::NotRegistered { name: "m".into() },
            "nobody has the name `m`: register it first",
        ),
        (
            not_called("g", &owner),
            UpdateError::NotRegistered { name: "g".into() },
            "nobody has the name `g`: register it first",
        ),
        (
            {
                drop(other.end(Exit::Normal));
                not_called("n", &other)
            },
            UpdateError::Fenced(who(2)),
            "2#1 has ended: it can update nothing any more",
        ),
        (
            {
                drop(owner.end(Exit::Normal));
                not_called("n", &owner)
            },
            UpdateError::Fenced(who(1)),
            "1#1 has ended: it can update nothing any more",
        ),
    ];
    for (error, expected, text) in table {
        assert_eq!(error, expected);
        assert_eq!(error.to_string(), text);
    }
}

fn what_was_found_before_an_update_stays_as_it_was(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    r.register("n", &owner, 1, fields! { zone: "north" }).expect("it is free").keep();
    let before = r.lookup("n").expect("it is registered");
    r.update_value("n", &owner, |_| 2).expect("it is its owner's");
    r.middle();
    r.update_metadata("n", &owner, |_| fields! { zone: "south" }).expect("it is its owner's");
    assert_eq!((*before.value(), before.metadata()), (1, &fields! { zone: "north" }));
    assert!(!before.is_current(), "it stands no more");
    assert!(r.lookup("n").is_some_and(|entry| entry.is_current()));
}

/// The closure runs under no lock: it may do what it likes with the registry.
fn an_update_that_is_overtaken_is_made_again_of_what_stands_there(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    r.named("n", &owner, 1).keep();
    r.middle();
    let mut seen = Vec::new();
    let now = r.update_value("n", &owner, |entry| {
        seen.push(*entry.value());
        if seen.len() < 3 {
            r.update_value("n", &owner, |entry| entry.value() + 10).expect("it is its owner's");
        }
        r.named(&format!("made while {}", entry.value()), &owner, 0).keep();
        entry.value() + 1
    });
    assert_eq!((now.map(|entry| *entry.value()), seen), (Ok(22), vec![1, 11, 21]), "none is lost");
    assert_eq!(owner.names(), 4);
}

fn a_name_that_is_given_up_while_it_is_updated_stays_given_up(way: Way) {
    let r = way.registry();
    let (owner, other) = (r.begin(1), r.begin(2));
    r.named("n", &owner, 1).keep();
    let updated = r.update_value("n", &owner, |_| {
        assert!(r.unregister("n", who(1)).is_some());
        2
    });
    assert_eq!(updated.map(drop), Err(UpdateError::NotRegistered { name: "n".into() }));
    r.named("n", &owner, 1).keep();
    r.middle();
    let updated = r.update_value("n", &owner, |_| {
        assert!(r.unregister("n", who(1)).is_some());
        r.named("n", &other, 3).keep();
        2
    });
    assert_eq!(updated.map(drop), Err(UpdateError::NotOwner { name: "n".into(), owner: who(2) }));
    let updated = r.update_value("n", &other, |_| {
        drop(other.end(Exit::Normal));
        4
    });
    assert_eq!(updated.map(drop), Err(UpdateError::Fenced(who(2))));
    assert!(r.is_empty() && r.lookup("n").is_none());
}

fn a_registration_gives_up_whatever_its_name_was_updated_to(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let registration = r.named("n", &owner, 1);
    for value in 2..5 {
        r.update_value("n", &owner, |_| value).expect("it is its owner's");
    }
    r.middle();
    r.update_metadata("n", &owner, |_| fields! { x: 1 }).expect("it is its owner's");
    let last = r.lookup("n").expect("it is registered");
    drop(registration);
    assert!(r.lookup("n").is_none() && r.is_empty() && !last.is_current());
    assert_eq!(owner.names(), 0);
    let registration = r.named("n", &owner, 6);
    r.update_value("n", &owner, |_| 7).expect("it is its owner's");
    let gone = r.unregister("n", who(1)).expect("it has it");
    assert_eq!(*gone.value(), 7);
    r.named("n", &owner, 8).keep();
    drop(registration);
    assert_eq!(r.value("n"), Some(8), "another registration's");
}

fn a_successor_is_not_updated_by_the_dead(way: Way) {
    let r = way.registry();
    let (dead, successor) = (r.begin(1), r.begin(2));
    r.named("n", &dead, 1).keep();
    drop(dead.end(Exit::Abandoned { waited: foundation_sync::SECONDS_5 }));
    r.named("n", &successor, 2).keep();
    r.middle();
    assert_eq!(r.update_value("n", &dead, |_| panic!("it is fenced")).map(drop), Err(UpdateError::Fenced(who(1))));
    assert_eq!(r.value("n"), Some(2));
}

#[test]
fn updates_of_many_threads_are_all_made() {
    const THREADS: u64 = 4;
    const UPDATES: u64 = 500;
    let r = Way::New.built(|builder| builder.index("parity"));
    let owner = r.begin(1);
    r.register("n", &owner, 0_u64, fields! { parity: 0 }).expect("it is free").keep();
    let done = Queue::bounded(THREADS as usize, Full::Refuse);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (registry, owner, done) = (foundation_registry::Registry::clone(&r), owner.clone(), done.clone());
            spawn(move || {
                for _ in 0..UPDATES {
                    registry.update_value("n", &owner, |entry| entry.value() + 1).expect("it is its owner's");
                    let parity = |entry: &foundation_registry::Entry<u64>| fields! { parity: entry.value() % 2 };
                    registry.update_metadata("n", &owner, parity).expect("it is its owner's");
                }
                done.try_send(()).expect("there is room");
            })
        })
        .collect();
    while done.len() < THREADS as usize {
        assert!(r.lookup("n").is_some(), "it is there all the time");
    }
    threads.into_iter().for_each(join);
    assert!((0..THREADS).all(|_| done.recv(Deadline::now()).is_ok()));
    assert_eq!((r.value("n"), r.len(), owner.names()), (Some(THREADS * UPDATES), 1, 1));
}

/// In legacy mode another thread does not find the name, its owner's or not.
#[cfg(feature = "legacy")]
#[test]
fn a_private_name_is_updated_by_the_thread_that_registered_it() {
    let r = Way::Legacy.registry();
    let owner = r.begin(1);
    r.named("n", &owner, 1).keep();
    let (registry, same) = (foundation_registry::Registry::clone(&r), owner.clone());
    join(spawn(move || {
        let refused = registry.update_value("n", &same, |_| panic!("it is not found here"));
        assert_eq!(refused.map(drop), Err(UpdateError::NotRegistered { name: "n".into() }));
    }));
    r.update_value("n", &owner, |_| 2).expect("it is its owner's");
    assert_eq!(r.value("n"), Some(2));
}
