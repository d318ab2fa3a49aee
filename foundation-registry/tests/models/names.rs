//! Names against their owners' ends, and the way there and back from legacy mode.

use foundation_context::Fields;
#[cfg(feature = "legacy")]
use foundation_context::Incarnation;
use foundation_registry::{Exit, RegisterError};
#[cfg(feature = "legacy")]
use foundation_sync::Epoch;
use foundation_testkit::{explore, join, reached, spawn};

use crate::{FIRST, SECOND, registry};

#[test]
fn a_name_is_registered_in_time_or_refused_and_never_left_behind() {
    explore("a name is registered in time or refused and never left behind")
        .reaches(&["in time", "registry: register met death"])
        .catches(&["registry: the dead register"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            let (owner, ending) = (owner.clone(), owner);
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            match registry.register("name", &owner, 1, Fields::new()) {
                Ok(registration) => {
                    reached!("in time");
                    registration.keep();
                }
                Err(error) => assert_eq!(error, RegisterError::Fenced(FIRST)),
            }
            join(ends);
            assert!(registry.is_empty());
        });
}

#[test]
fn a_successor_registers_without_waiting_for_the_dead() {
    explore("a successor registers without waiting for the dead").reaches(&["taken", "free"]).run(|| {
        let (owners, registry) = registry();
        let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
        registry.register("name", &first, 1, Fields::new()).expect("it is free").keep();
        let ends = spawn(move || drop(first.end(Exit::Normal)));
        let taken = registry.register("name", &second, 2, Fields::new());
        match taken {
            Ok(registration) => {
                reached!("free");
                registration.keep();
                join(ends);
                assert_eq!(registry.lookup("name").map(|entry| *entry.value()), Some(2));
            }
            Err(error) => {
                reached!("taken");
                assert!(matches!(error, RegisterError::AlreadyRegistered { owner: FIRST, .. }));
                join(ends);
                assert!(registry.lookup("name").is_none());
            }
        }
        drop(second.end(Exit::Normal));
        assert!(registry.is_empty());
    });
}

/// The way there and the way back from legacy mode. Whoever flips the switch in a model does not look at it first: loom
/// does not explore the race of a thread that loads what it stores.
#[cfg(feature = "legacy")]
const OFF: Epoch = Epoch::ON.flipped();
#[cfg(feature = "legacy")]
const ON: Epoch = OFF.flipped();

#[cfg(feature = "legacy")]
#[test]
fn a_name_registered_in_one_mode_is_found_by_its_thread_and_given_up_in_the_other() {
    explore("a name registered in one mode is found by its thread and given up in the other")
        .reaches(&["the other thread saw it", "the other thread did not", "registered before the flip", "and after"])
        .catches(&["registry: a lookup asks the mode"])
        .run(|| {
            let (owners, registry) = registry();
            registry.switch().push(OFF);
            let owner = owners.begin(FIRST, "first");
            let (flipped, looked) = (registry.clone(), registry.clone());
            let flips = spawn(move || _ = flipped.switch().push(ON));
            let looks = spawn(move || match looked.lookup("name") {
                Some(entry) => {
                    reached!("the other thread saw it");
                    assert_eq!(*entry.value(), 1);
                }
                None => reached!("the other thread did not"),
            });
            let registration = registry.register("name", &owner, 1, Fields::new()).expect("it is free");
            match registry.switch().off_guards() {
                0 => reached!("and after"),
                _ => reached!("registered before the flip"),
            }
            assert_eq!(registry.lookup("name").map(|entry| *entry.value()), Some(1), "its own thread finds it");
            drop(registration);
            assert!(registry.lookup("name").is_none() && registry.is_empty());
            join(flips);
            join(looks);
            drop(owner.end(Exit::Normal));
            assert_eq!(registry.switch().off_guards(), 0);
        });
}

#[cfg(feature = "legacy")]
#[test]
fn what_was_found_once_stays_found_however_the_switch_is_turned() {
    explore("what was found once stays found however the switch is turned")
        .reaches(&["found", "hidden until the end"])
        .catches(&["registry: a lookup asks the mode"])
        .run(|| {
            let (owners, registry) = registry();
            registry.switch().push(OFF);
            let owner = owners.begin(FIRST, "first");
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let (flipped, looked) = (registry.clone(), registry.clone());
            let flips = spawn(move || {
                flipped.switch().push(ON);
                flipped.switch().push(ON.flipped());
            });
            let looks = spawn(move || match looked.lookup("name") {
                Some(_) => {
                    reached!("found");
                    assert!(looked.lookup("name").is_some());
                }
                None if looked.lookup("name").is_none() => reached!("hidden until the end"),
                None => {}
            });
            assert!(registry.lookup("name").is_some(), "its own thread finds it");
            join(flips);
            join(looks);
            drop(owner.end(Exit::Normal));
            assert!(registry.is_empty());
        });
}

#[cfg(feature = "legacy")]
#[test]
fn what_is_kept_aside_is_counted_as_of_the_old_mode() {
    explore("what is kept aside is counted as of the old mode")
        .reaches(match cfg!(shuttle) {
            // That they meet is too rare for random schedules to be held to it.
            true => &["both have it", "one has it"],
            false => &["registry: the new way met the old", "both have it", "one has it"],
        })
        .catches(&["registry: what is everybody's is kept aside"])
        .run(|| {
            let (owners, registry) = registry();
            let (mine, theirs) = (owners.begin(FIRST, "mine"), owners.begin(SECOND, "theirs"));
            let (other, owner) = (registry.clone(), theirs.clone());
            let registers = spawn(move || {
                other.switch().push(OFF);
                if let Ok(registration) = other.register("name", &owner, 2, Fields::new()) {
                    registration.keep();
                    assert_eq!(other.lookup("name").map(|entry| *entry.value()), Some(2), "its own thread finds it");
                }
            });
            let registered = registry.register("name", &mine, 1, Fields::new());
            if let Ok(registration) = registered {
                registration.keep();
                assert_eq!(registry.lookup("name").map(|entry| *entry.value()), Some(1), "its own thread finds it");
            }
            join(registers);
            registry.switch().push(ON);
            match registry.len() {
                2 => {
                    reached!("both have it");
                    assert_eq!(registry.switch().off_guards(), 2, "neither could be everybody's");
                }
                count => {
                    reached!("one has it");
                    assert_eq!(count, 1);
                }
            }
            [mine, theirs].iter().for_each(|owner| drop(owner.end(Exit::Normal)));
            assert!(registry.is_empty());
            assert_eq!(registry.switch().off_guards(), 0);
        });
}

#[cfg(feature = "legacy")]
const THIRD: Incarnation = Incarnation { id: 3, generation: 1 };

/// Race "release against register".
#[cfg(feature = "legacy")]
#[test]
fn a_name_that_is_given_up_is_never_free_while_somebody_waits_for_it() {
    explore("a name that is given up is never free while somebody waits for it")
        .reaches(&["refused by the first", "refused by the one who waited"])
        .catches(&["registry: nobody moves up", "registry: the place is taken before who waits"])
        .run(|| {
            let (owners, registry) = registry();
            registry.switch().push(OFF);
            let [first, second, third] = [FIRST, SECOND, THIRD].map(|who| owners.begin(who, "w"));
            registry.register("name", &first, 1, Fields::new()).expect("it is free").keep();
            let (other, owner) = (registry.clone(), second.clone());
            join(spawn(move || {
                other.register("name", &owner, 2, Fields::new()).expect("it is free to another thread").keep();
            }));
            registry.switch().push(ON);
            let looked = registry.clone();
            let ends = spawn(move || drop(first.end(Exit::Normal)));
            let looks = spawn(move || {
                let seen = looked.lookup("name").map(|entry| *entry.value());
                assert_ne!(seen, Some(3), "who is refused is never found");
            });
            match registry.register("name", &third, 3, Fields::new()) {
                Err(RegisterError::AlreadyRegistered { owner: FIRST, .. }) => reached!("refused by the first"),
                Err(RegisterError::AlreadyRegistered { owner: SECOND, .. }) => {
                    reached!("refused by the one who waited")
                }
                other => panic!("the name is doubled: {other:?}"),
            }
            [ends, looks].into_iter().for_each(join);
            assert_eq!(registry.lookup("name").map(|entry| *entry.value()), Some(2), "it is everybody's");
            assert_eq!(registry.len(), 1);
            [second, third].iter().for_each(|owner| drop(owner.end(Exit::Normal)));
            assert!(registry.is_empty());
            assert_eq!(registry.switch().off_guards(), 0);
        });
}

/// Races "release against aside" and "register against the first conflict": nobody has ever gone aside before. That an
/// entry steps back is too rare for random schedules to be held to it, and so is that somebody goes aside in the middle of a
/// release; the planted bugs are caught by them.
#[cfg(feature = "legacy")]
#[test]
fn of_a_conflict_in_the_old_mode_and_a_registration_in_the_new_one_one_succeeds() {
    explore("of a conflict in the old mode and a registration in the new one one succeeds")
        .reaches(match cfg!(shuttle) {
            true => &["the conflict", "the registration"],
            false => &["the conflict", "the registration", "registry: somebody went aside meanwhile"],
        })
        .catches(&["registry: nobody looks again", "registry: nobody moves up late"])
        .run(|| {
            let (owners, registry) = registry();
            registry.switch().push(OFF);
            let [first, second, third] = [FIRST, SECOND, THIRD].map(|who| owners.begin(who, "w"));
            let given_up = registry.register("name", &first, 1, Fields::new()).expect("it is free");
            let succeeded = std::sync::Arc::new(foundation_sync::Mutex::new(Vec::new()));
            let registers = |owner: &foundation_registry::Owner, flips: bool| {
                let (registry, owner, succeeded) = (registry.clone(), owner.clone(), std::sync::Arc::clone(&succeeded));
                spawn(move || {
                    if flips {
                        registry.switch().push(ON);
                    }
                    if let Ok(registration) = registry.register("name", &owner, 0, Fields::new()) {
                        registration.keep();
                        succeeded.lock().push(owner.incarnation());
                    }
                })
            };
            let (conflicts, registers) = (registers(&second, false), registers(&third, true));
            let gives_up = spawn(move || drop(given_up));
            [gives_up, registers, conflicts].into_iter().for_each(join);
            let succeeded = std::mem::take(&mut *succeeded.lock());
            match succeeded[..] {
                [] => {}
                [SECOND] => reached!("the conflict"),
                [THIRD] => reached!("the registration"),
                _ => panic!("the name is doubled: {succeeded:?}"),
            }
            assert_eq!(registry.lookup("name").map(|entry| entry.incarnation()), succeeded.first().copied());
            assert_eq!(registry.len(), succeeded.len());
            [first, second, third].iter().for_each(|owner| drop(owner.end(Exit::Normal)));
            assert!(registry.is_empty());
            assert_eq!(registry.switch().off_guards(), 0);
        });
}
