//! A dynamic supervisor's room.

use foundation_registry::Exit;
use foundation_supervisor::{ChildError, ChildSpec, Doing, Foundation, Life, Restart, Supervisor};
use foundation_sync::Deadline;
use foundation_testkit::{explore, reached};

use crate::{LOOKS, patient, start, stop, universe, wait};

/// Ends by itself, and is forgotten.
fn fleeting() -> ChildSpec {
    patient("c", |_: &Life| Ok(())).restart(Restart::Transient)
}

/// Whether its thread has told its supervisor of its end, which is the last that it does.
fn has_told(foundation: &Foundation, name: &str) -> bool {
    (0..LOOKS).any(|_| !foundation.threads().iter().any(|known| &*known.name == name && known.doing != Doing::Ends))
}

/// Three threads: the child that has the only room and ends by itself, whoever wants the room for another, and that one.
/// Never do two live, and the room is free once the first one's supervisor knows.
#[test]
fn a_child_is_started_while_the_one_that_has_the_only_room_ends() {
    explore("a child is started while the one that has the only room ends")
        // Before the exit it comes in half of all random schedules or in none, by their seed.
        .reaches(match cfg!(shuttle) {
            true => &["came after the exit", "came between the exit and its news", "free again"],
            false => {
                &["came after the exit", "came before the exit", "came between the exit and its news", "free again"]
            }
        })
        .catches(&["crank: room is not looked for", "core: who ended for good keeps its room"])
        .run(|| {
            let foundation = universe();
            let tree = start(&foundation, Supervisor::dynamic("t", 1));
            let first = tree.start_child(fleeting(), Deadline::never()).expect("there is room");
            let ended = foundation.owners().monitor(first);
            let thread = format!("t/c:{}#{}", first.id, first.generation);
            let next = || tree.start_child(patient("c", wait), Deadline::never());
            let gone = || foundation.owners().exit_of(first).is_some();
            match next() {
                Ok(second) => {
                    reached!("came after the exit");
                    assert!(gone(), "two live in one room");
                    assert_eq!(next(), Err(ChildError::TooMany), "{second} has it");
                }
                Err(ChildError::TooMany) => {
                    match gone() {
                        true => reached!("came between the exit and its news"),
                        false => reached!("came before the exit"),
                    }
                    assert_eq!(ended.recv(Deadline::never()).map(|down| down.exit), Ok(Exit::Normal));
                    if has_told(&foundation, &thread) {
                        reached!("free again");
                        assert!(next().is_ok(), "nobody is there, and the room is taken");
                    }
                }
                Err(other) => panic!("{other}"),
            }
            assert!(tree.stop(Deadline::never()).is_ok());
            stop(foundation);
        });
}
