//! What one life leaves to the next.

use std::time::Duration;

use foundation_server::{Doing, Handle, Turn};
use foundation_supervisor::{ChildSpec, Strategy, Supervisor};
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{Counter, Dies, More, adds_up, counter, start, stop, universe};

/// How many lives it may cost: with each further one there are many more schedules, which are shuttle's.
const LIVES: u32 = if cfg!(loom) { 1 } else { 2 };

/// Three threads, or four: the lives that it costs, the next one, and who has sent it and asks.
#[test]
fn a_message_that_kills_is_done_again_and_then_quarantined() {
    explore("a message that kills is done again and then quarantined")
        .reaches(&["server: a message was quarantined"])
        .catches(&["server: a message kills for ever"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree = Supervisor::new("t", Strategy::OneForOne).intensity(LIVES as usize, Duration::MAX);
            let spec: ChildSpec = spec.quarantine_after(LIVES).child().ready_within(Duration::MAX).stop_whenever();
            let _tree = tree.child(spec).start(&foundation, Deadline::never()).expect("it starts");
            counter.cast_again(Dies(u32::MAX)).expect("it serves");
            let next = u64::from(LIVES) + 1;
            assert_eq!(counter.call(More, Deadline::never()), Ok((1, next)), "who comes after it serves");
            stop(foundation);
            let status = adds_up(&counter, 2);
            assert_eq!((status.handled, status.again, status.buried), (next, next - 1, 1), "{status:?}");
        });
}

/// Three threads: two lives, and who sends. What is done again comes before what was sent later.
#[test]
fn a_message_that_is_done_again_keeps_its_place() {
    explore("a message that is done again keeps its place").run(|| {
        let (foundation, (spec, counter)) = (universe(), counter());
        let _tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_whenever());
        counter.cast_again(Dies(2)).expect("it serves");
        assert_eq!(counter.call(More, Deadline::never()), Ok((1, 2)), "the second life has done both");
        stop(foundation);
        let status = adds_up(&counter, 2);
        assert_eq!((status.handled, status.again, status.broken), (3, 1, 1), "{status:?}");
    });
}

/// Three threads: a life that is given up at once, the timekeeper, and who asks for that. Race "late life".
#[test]
fn what_a_late_life_has_taken_is_not_lost() {
    explore("what a late life has taken is not lost")
        // Random schedules hardly ever end a life between its receive and its desk.
        .reaches(match cfg!(shuttle) {
            true => &["done", "buried"],
            false => &["server: a late life", "done", "buried"],
        })
        .catches(&["server: what a late life took is lost"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_within(Duration::ZERO));
            counter.cast(More).expect("it serves");
            tree.terminate_child("counter", Deadline::never()).expect("it ends, or is left behind");
            drop(tree);
            _ = foundation.stop(Duration::MAX);
            let status = adds_up(&counter, 1);
            match (status.buried, status.handled) {
                (1, 0) => reached!("buried"),
                (0, 1) => reached!("done"),
                _ => panic!("{status:?}"),
            }
        });
}

/// Continues with one more, and says whether it may.
struct GoesOn(Queue<bool>);

impl Handle<GoesOn> for Counter {
    type Reply = ();

    fn handle(&mut self, GoesOn(may): GoesOn, turn: &mut Turn<'_, Self>) {
        may.try_send(turn.continue_with(More).is_ok()).expect("there is room");
    }
}

/// Three threads: a life that is given up at once, the timekeeper, and who asks for that. Race "kept against end".
#[test]
fn what_a_life_that_is_given_up_continues_with_is_not_lost() {
    explore("what a life that is given up continues with is not lost")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever let the life begin it first.
            true => &["never begun"],
            false => &["server: a late life goes on", "never begun", "done", "buried"],
        })
        .catches(&["server: what a life was to do next is lost", "server: a late life keeps what nobody takes"])
        .run(|| {
            let (foundation, (spec, counter), may) = (universe(), counter(), Queue::bounded(1, Full::Refuse));
            let tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_within(Duration::ZERO));
            counter.cast(GoesOn(may.clone())).expect("it serves");
            tree.terminate_child("counter", Deadline::never()).expect("it ends, or is left behind");
            drop(tree);
            _ = foundation.stop(Duration::MAX);
            let went_on = may.drain().contains(&true);
            let status = adds_up(&counter, 1 + u64::from(went_on));
            match (went_on, status.buried, status.handled) {
                (false, _, _) => reached!("never begun"),
                (true, 1, 1) => reached!("buried"),
                (true, 0, 2) => reached!("done"),
                _ => panic!("{status:?}"),
            }
        });
}

/// Four threads: a life whose start takes too long, the timekeeper, the next one, and who starts both. Race "late begin".
#[test]
fn a_life_that_was_given_up_before_it_began_never_serves() {
    explore("a life that was given up before it began never serves")
        // Random schedules hardly ever begin it before the deadline that has passed.
        .reaches(match cfg!(shuttle) {
            true => &["server: a late begin"],
            false => &["server: a late begin", "began in time"],
        })
        .catches(&["server: a late life begins"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree =
                Supervisor::new("t", Strategy::OneForOne).start(&foundation, Deadline::never()).expect("it starts");
            let spec: ChildSpec = spec.child();
            let hasty = spec.clone().ready_within(Duration::ZERO).stop_within(Duration::ZERO);
            if tree.start_child(hasty, Deadline::never()).is_ok() {
                reached!("began in time");
            } else {
                tree.start_child(spec.clone().ready_within(Duration::MAX).stop_whenever(), Deadline::never())
                    .expect("nobody else serves");
            }
            assert!(counter.call(More, Deadline::never()).is_ok());
            drop((tree, spec));
            _ = foundation.stop(Duration::MAX);
            adds_up(&counter, 1);
        });
}

/// A message waits while nobody serves, whoever comes first.
#[test]
fn what_is_sent_between_two_lives_is_done_by_the_next() {
    explore("what is sent between two lives is done by the next").reaches(&["sent before", "sent later"]).run(|| {
        let (foundation, (spec, counter), ended) = (universe(), counter(), Queue::bounded(1, Full::Refuse));
        let _tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_whenever());
        let (sender, saw) = (counter.clone(), ended.clone());
        let sends = spawn(move || {
            if sender.status().broken == 0 {
                reached!("sent before");
            } else {
                reached!("sent later");
            }
            sender.cast(More).expect("a life is to come");
            _ = saw.try_send(());
        });
        assert!(counter.call(Dies(2), Deadline::never()).is_err());
        join(sends);
        assert!(counter.call(More, Deadline::never()).is_ok());
        stop(foundation);
        let status = adds_up(&counter, 3);
        assert_eq!((status.handled, status.broken), (3, 1), "{status:?}");
    });
}

/// Three threads: a life that dies, the next one, and who terminates whichever is there. Race "terminate against exit".
#[test]
fn a_server_that_dies_while_it_is_terminated_has_ended() {
    explore("a server that dies while it is terminated has ended")
        .reaches(match cfg!(shuttle) {
            // Random schedules never come to it.
            true => &[],
            false => &["server: nobody comes any more"],
        })
        .catches(&["core: nobody is told who rests"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree = start(&foundation, spec.child().ready_within(Duration::MAX).stop_whenever());
            counter.cast(Dies(2)).expect("it serves");
            tree.terminate_child("counter", Deadline::never()).expect("it ends");
            let doing = counter.status().doing;
            assert!(matches!(doing, Doing::Ended { .. }), "{doing:?}");
            assert!(counter.cast(More).is_err(), "no life is to come");
            drop(tree);
            stop(foundation);
            adds_up(&counter, 2);
        });
}
