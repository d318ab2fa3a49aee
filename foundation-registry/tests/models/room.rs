//! How many entries there may be while they come and go.

use foundation_context::Fields;
use foundation_registry::{Exit, OwnerGuard, Owners, RegisterError, Registry};
use foundation_sync::Deadline;
use foundation_telemetry::Telemetry;
use foundation_testkit::{explore, join, reached, spawn};

use crate::{FIRST, SECOND};

fn of_one() -> (Owners, Registry<u32>, [OwnerGuard; 2]) {
    let owners = Owners::default();
    let registry = Registry::builder(&owners, &Telemetry::new()).capacity(1).build();
    let lives = [owners.begin(FIRST, "first"), owners.begin(SECOND, "second")];
    (owners, registry, lives)
}

#[test]
fn of_two_who_want_the_last_room_one_has_it() {
    explore("of two who want the last room one has it")
        .reaches(&["mine", "theirs"])
        .catches(&["registry: room is looked for and taken in two steps"])
        .run(|| {
            let (_owners, registry, [first, second]) = of_one();
            let (other, owner) = (registry.clone(), first.clone());
            let registers = spawn(move || _ = other.register("a", &owner, 1, Fields::new()).map(|it| it.keep()));
            match registry.join("b", &second, 2, Fields::new()) {
                Ok(registration) => {
                    reached!("mine");
                    registration.keep();
                }
                Err(error) => {
                    reached!("theirs");
                    assert_eq!(error, RegisterError::Full { key: "b".into(), capacity: 1 });
                }
            }
            join(registers);
            assert_eq!(registry.len() + registry.count("b"), 1, "one, and not two or none");
            [&first, &second].iter().for_each(|owner| drop(owner.end(Exit::Normal)));
            assert_eq!((registry.len(), registry.count("b")), (0, 0));
        });
}

#[test]
fn room_is_there_when_its_owners_end_is_known_and_never_twice() {
    explore("room is there when its owner's end is known and never twice")
        .reaches(&["there was none yet", "there was some"])
        .catches(&["registry: names leave after Down"])
        .run(|| {
            let (owners, registry, [first, second]) = of_one();
            registry.register("a", &first, 1, Fields::new()).expect("there is room").keep();
            let monitor = owners.monitor(FIRST);
            let ends = spawn(move || drop(first.end(Exit::Normal)));
            let down = monitor.try_recv().is_ok();
            match registry.register("b", &second, 2, Fields::new()) {
                Ok(registration) => {
                    reached!("there was some");
                    registration.keep();
                }
                Err(error) => {
                    reached!("there was none yet");
                    assert!(!down, "its end is known");
                    assert_eq!(error, RegisterError::Full { key: "b".into(), capacity: 1 });
                    monitor.recv(Deadline::never()).expect("it ends");
                    registry.register("b", &second, 2, Fields::new()).expect("its end is known").keep();
                }
            }
            assert!(registry.register("c", &second, 3, Fields::new()).is_err(), "there is room for one");
            join(ends);
            assert!(registry.register("c", &second, 3, Fields::new()).is_err(), "there is room for one");
            drop(second.end(Exit::Normal));
            assert!(registry.is_empty());
        });
}

#[test]
fn a_successor_needs_no_room_but_that_of_the_dead() {
    explore("a successor needs no room but that of the dead")
        .reaches(&["registry: the dead made room", "taken", "free"])
        .run(|| {
            let (_owners, registry, [first, second]) = of_one();
            registry.register("name", &first, 1, Fields::new()).expect("there is room").keep();
            let (first, ending) = (first.clone(), first);
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            let fenced = first.fenced();
            match registry.register("name", &second, 2, Fields::new()) {
                Ok(registration) => {
                    reached!("free");
                    registration.keep();
                    assert!(registry.join("more", &second, 3, Fields::new()).is_err(), "there is room for one");
                }
                Err(RegisterError::AlreadyRegistered { owner: FIRST, .. }) => {
                    reached!("taken");
                    assert!(!fenced, "it had ended");
                }
                // Its entry has left by itself, and its room is not there yet, or not seen yet.
                Err(RegisterError::Full { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            join(ends);
            drop(registry.unregister("name", SECOND));
            registry.join("more", &second, 3, Fields::new()).expect("all room is back").keep();
            drop(second.end(Exit::Normal));
        });
}
