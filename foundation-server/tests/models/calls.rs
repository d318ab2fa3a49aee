//! A call has one outcome.

use std::time::Duration;

use foundation_server::CallError;
use foundation_supervisor::Restart;
use foundation_sync::{Deadline, Stop};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{Counter, Dies, More, adds_up, counter, start, stop, universe};

/// The one outcome of a call that may meet the end of the last life: whether it was done.
#[track_caller]
fn outcome(called: Result<(u64, u64), CallError<More>>) -> bool {
    match called {
        Ok(_) => {
            reached!("answered");
            true
        }
        Err(CallError::Exited { message: Some(More), .. }) => {
            reached!("came back");
            false
        }
        Err(CallError::NotRunning { message: More, .. }) => {
            reached!("refused");
            false
        }
        Err(other) => panic!("{other}"),
    }
}

/// Three threads: the server, who kills it, and a caller.
#[test]
fn a_call_has_one_outcome_whenever_its_server_dies() {
    explore("a call has one outcome whenever its server dies")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to all of them.
            true => &["answered", "came back"],
            false => &["answered", "came back", "refused"],
        })
        .catches(&["server: an end tells no caller"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let _tree = start(
                &foundation,
                spec.child().ready_within(Duration::MAX).restart(Restart::Temporary).stop_whenever(),
            );
            let killer = counter.clone();
            let kills = spawn(move || killer.cast(Dies(2)).expect("it serves"));
            let done = outcome(counter.call(More, Deadline::never()));
            join(kills);
            stop(foundation);
            let status = adds_up(&counter, 2);
            // The word to stop may have come before the one that kills.
            assert_eq!(status.handled, u64::from(done) + status.broken, "{status:?}");
        });
}

/// Four threads: the server, its next life, who kills it, and a caller.
#[test]
fn a_call_is_answered_by_one_life_or_the_next() {
    explore("a call is answered by one life or the next").reaches(&["by the first life", "by the second life"]).run(
        || {
            let (foundation, (spec, counter)) = (universe(), counter());
            let _tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_whenever());
            let killer = counter.clone();
            let kills = spawn(move || killer.cast(Dies(2)).expect("it serves"));
            match counter.call(More, Deadline::never()) {
                Ok((1, 1)) => reached!("by the first life"),
                Ok((1, 2)) => reached!("by the second life"),
                other => panic!("{other:?}"),
            }
            join(kills);
            stop(foundation);
            let status = adds_up(&counter, 2);
            assert_eq!(status.handled, 1 + status.broken, "{status:?}");
        },
    );
}

/// Three threads: the server, a caller, and who tells it to stop. Race "answer against give-up".
#[test]
fn a_caller_that_gives_up_is_answered_or_has_its_message_back_or_the_answer_is_late() {
    explore("a caller that gives up is answered or has its message back or the answer is late")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to all of them.
            true => &["answered", "taken back", "a value came at the last moment"],
            false => &["answered", "taken back", "late", "a value came at the last moment"],
        })
        .catches(&["oneshot: who gave up still gets it"])
        .run(|| {
            let (foundation, (spec, counter), word) = (universe(), counter(), Stop::new());
            let _tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_whenever());
            let tells = word.clone();
            let tells = spawn(move || _ = tells.tell());
            let (handled, returned, late) = match counter.call(More, &word) {
                Ok(_) => {
                    reached!("answered");
                    (1, 0, 0)
                }
                Err(CallError::Stopped { message: Some(More) }) => {
                    reached!("taken back");
                    (0, 1, 0)
                }
                Err(CallError::Stopped { message: None }) => {
                    reached!("late");
                    (1, 0, 1)
                }
                Err(other) => panic!("{other}"),
            };
            join(tells);
            stop(foundation);
            // What was taken back may lie in the mailbox, as an empty parcel, until that is gone.
            let status = counter.status();
            assert_eq!((status.handled, status.returned, status.late), (handled, returned, late), "{status:?}");
        });
}

/// Four threads: a life that is given up at once, the timekeeper, who asks for that, and a caller. Race "answer against
/// end".
#[test]
fn a_call_whose_server_is_given_up_while_it_answers_has_one_outcome() {
    explore("a call whose server is given up while it answers has one outcome")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever let the life begin it first.
            true => &["came back"],
            false => &["answered", "given up with it in hand", "came back", "refused"],
        })
        .catches(&["server: what is answered stays in hand"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_within(Duration::ZERO));
            let ends = spawn(move || {
                tree.terminate_child("counter", Deadline::never()).expect("it ends, or is left behind");
            });
            let broken = match counter.call(More, Deadline::never()) {
                Err(CallError::Exited { message: None, .. }) => {
                    reached!("given up with it in hand");
                    1
                }
                other => {
                    outcome(other);
                    0
                }
            };
            join(ends);
            _ = foundation.stop(Duration::MAX);
            let status = adds_up(&counter, 1);
            assert_eq!((status.broken, status.late), (broken, broken), "{status:?}");
        });
}

/// Four threads: the server, two callers, and who ends it.
#[test]
fn two_callers_of_a_server_that_is_stopped_have_one_outcome_each() {
    explore("two callers of a server that is stopped have one outcome each")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to all of them.
            true => &["came back", "refused"],
            false => &["answered", "came back", "refused"],
        })
        .catches(&["server: an end tells no caller"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_whenever());
            let callers = [(); 2].map(|()| {
                let asks = counter.clone();
                spawn(move || _ = outcome(asks.call(More, Deadline::never())))
            });
            tree.terminate_child("counter", Deadline::never()).expect("it stops");
            callers.into_iter().for_each(join);
            stop(foundation);
            assert_eq!(adds_up(&counter, 2).broken, 0);
        });
}

/// Three threads: the server, a sender, and who ends it. Race "send against close".
#[test]
fn a_message_that_is_sent_while_its_server_ends_is_done_buried_or_refused() {
    explore("a message that is sent while its server ends is done, buried or refused")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to all of them.
            true => &["done", "buried"],
            false => &["done", "buried", "refused"],
        })
        .catches(&["server: a close drains first"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_whenever());
            let ends = spawn(move || tree.terminate_child("counter", Deadline::never()).expect("it stops"));
            let sent = counter.cast(More);
            join(ends);
            stop(foundation);
            let status = adds_up::<Counter>(&counter, 1);
            match (sent.is_ok(), status.handled, status.buried, status.refused) {
                (true, 1, 0, 0) => reached!("done"),
                (true, 0, 1, 0) => reached!("buried"),
                (false, 0, 0, 1) => reached!("refused"),
                _ => panic!("{sent:?}, {status:?}"),
            }
        });
}
