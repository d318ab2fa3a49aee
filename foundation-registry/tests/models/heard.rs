//! Who hears of changes that are made while it comes to listen.

use foundation_context::Fields;
use foundation_registry::{Exit, Removal, What};
use foundation_sync::Deadline;
use foundation_testkit::{explore, join, reached, spawn};

use crate::{FIRST, SECOND, registry};

#[test]
fn whoever_waits_for_a_name_is_woken_when_it_comes() {
    explore("whoever waits for a name is woken when it comes")
        .reaches(&["it was there", "it came", "registry: a watch waited"])
        .catches(&["registry: a change is not said"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            let (other, same) = (registry.clone(), owner.clone());
            let registers = spawn(move || other.register("name", &same, 1, Fields::new()).expect("it is free").keep());
            let mut watch = registry.watch("name");
            if registry.lookup("name").is_some() {
                reached!("it was there");
            } else {
                let now = watch.next(Deadline::never()).expect("it comes");
                reached!("it came");
                assert_eq!(now.map(|entry| *entry.value()), Some(1));
                assert!(watch.try_next().is_none(), "once");
            }
            join(registers);
            drop(owner.end(Exit::Normal));
        });
}

#[test]
fn whoever_watches_a_name_sees_its_end_whatever_came_before() {
    explore("whoever watches a name sees its end whatever came before")
        .reaches(&["the update was seen", "the end alone was seen"])
        .catches(&["registry: a change is not said", "registry: names stay"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let other = registry.clone();
            let mut watch = registry.watch("name");
            let ends = spawn(move || {
                other.update_value("name", &owner, |_| 2).expect("it is its owner's");
                drop(owner.end(Exit::Normal));
            });
            match watch.next(Deadline::never()).expect("it changes") {
                Some(entry) => {
                    reached!("the update was seen");
                    assert_eq!(*entry.value(), 2, "what it began with is not returned");
                    assert!(watch.next(Deadline::never()).expect("it ends").is_none());
                }
                None => reached!("the end alone was seen"),
            }
            join(ends);
            assert!(watch.try_next().is_none(), "each state once");
            assert!(registry.is_empty());
        });
}

/// Race "listen against change".
#[test]
fn a_change_is_seen_or_heard_or_both() {
    explore("a change is seen or heard or both")
        .reaches(&["heard alone", "both"])
        .catches(&["registry: a change is not said"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            let (other, same) = (registry.clone(), owner.clone());
            let registers = spawn(move || other.register("name", &same, 1, Fields::new()).expect("it is free").keep());
            let listener = registry.listen(4);
            let seen = !registry.entries().is_empty();
            join(registers);
            let heard = listener.try_recv().map(|change| change.what);
            match (seen, heard.is_ok()) {
                (true, false) => reached!("seen alone"),
                (false, true) => reached!("heard alone"),
                (true, true) => reached!("both"),
                (false, false) => panic!("the change was missed"),
            }
            drop(owner.end(Exit::Normal));
            assert_eq!(listener.try_recv().map(|change| change.what), Ok(What::Unregistered(Removal::OwnerEnded)));
            assert!(listener.try_recv().is_err() && listener.lost() == 0);
        });
}

#[test]
fn the_end_of_the_dead_is_heard_before_its_successor() {
    explore("the end of the dead is heard before its successor")
        .reaches(&["registry: a successor replaced the dead", "the successor was refused"])
        .catches(&["registry: the successor is said first"])
        .run(|| {
            let (owners, registry) = registry();
            let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
            registry.register("name", &first, 1, Fields::new()).expect("it is free").keep();
            let listener = registry.listen(4);
            let ends = spawn(move || drop(first.end(Exit::Normal)));
            let registered = registry.register("name", &second, 2, Fields::new());
            join(ends);
            let heard: Vec<_> = std::iter::from_fn(|| listener.try_recv().ok())
                .map(|change| (change.what, change.entry.incarnation()))
                .collect();
            let gone = (What::Unregistered(Removal::OwnerEnded), FIRST);
            match registered {
                Ok(registration) => {
                    registration.keep();
                    assert_eq!(heard, [gone, (What::Registered, SECOND)]);
                }
                Err(_) => {
                    reached!("the successor was refused");
                    assert_eq!(heard, [gone]);
                }
            }
            drop(second.end(Exit::Normal));
        });
}
