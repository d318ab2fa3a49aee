//! A place is reserved, and then filled or given up, whoever dies.

use std::time::Duration;

use foundation_server::{
    BroadcastError, Delivered, Missed, Quorum, Reason, ServerRef, ServerSpec, WhenFull, broadcast, server,
};
use foundation_supervisor::{ChildSpec, Restart, Strategy, Supervisor};
use foundation_sync::{Deadline, SECOND, Stop, VirtualTime};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{Counter, Dies, More, Tells, adds_up, counter, start, stop, universe};

/// Three threads: who broadcasts, the server, and who ends it. Race "death between".
#[test]
fn who_dies_between_reservation_and_commit_is_told_as_not_reached() {
    explore("who dies between reservation and commit is told as not reached")
        .reaches(&["broadcast: death between", "accepted", "refused"])
        .catches(&["broadcast: who has died counts"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let tree = start(&foundation, spec.mailbox(1, WhenFull::Refuse).child().stop_whenever());
            let recipients = [counter.recipient::<More>()];
            let sends = spawn(move || match broadcast(&recipients, More, Quorum::All, Deadline::now()) {
                Ok(delivered) => {
                    reached!("accepted");
                    assert_eq!(delivered.accepted, 1);
                }
                Err(BroadcastError { delivered, .. }) => {
                    reached!("refused");
                    assert_eq!(delivered.accepted, 0);
                }
            });
            tree.terminate_child("counter", Deadline::never()).expect("it stops");
            join(sends);
            drop(tree);
            stop(foundation);
            adds_up(&counter, 1);
        });
}

/// A message that was to reach both of these, and is looked at when all has ended: each has done or buried it, or has not
/// got it, as it was told.
#[track_caller]
fn reached_who_it_says(delivered: &Delivered, servers: &[&ServerRef<Counter>; 2], before: [u64; 2]) {
    for ((server, (_, result)), before) in servers.iter().zip(&delivered.results).zip(before) {
        let status = server.status();
        let got = status.handled + status.buried - before;
        assert_eq!((got, status.waiting), (u64::from(result.is_ok()), 0), "{status:?}, {delivered:?}");
    }
}

/// Three threads: who broadcasts, a server that has room, and one that is full of what it will die of. Races
/// "death while it is waited for", "death between".
#[test]
fn a_broadcast_to_all_that_waits_for_one_that_dies_reaches_all_or_nobody_and_leaves_no_place_behind() {
    explore("a broadcast to all that waits for one that dies reaches all or nobody and leaves no place behind")
        .reaches(match cfg!(shuttle) {
            true => &["all", "nobody", "broadcast: waited in vain"],
            false => &["all", "nobody", "one", "broadcast: room that was waited for", "broadcast: waited in vain"],
        })
        .catches(&["broadcast: who has died counts", "broadcast: what is withheld is not given up"])
        .run(|| {
            let foundation = universe();
            let ((first, full), (second, free)) = (server("full", Counter::default), server("free", Counter::default));
            let dies = first.mailbox(1, WhenFull::Wait).child().ready_within(Duration::MAX).restart(Restart::Temporary);
            let lives = second.mailbox(1, WhenFull::Wait).child().ready_within(Duration::MAX);
            let tree =
                Supervisor::new("t", Strategy::OneForOne).child(dies.stop_whenever()).child(lives.stop_whenever());
            let tree = tree.start(&foundation, Deadline::never()).expect("it starts");
            full.cast(Dies(2)).expect("there is room");
            let recipients = [full.recipient::<More>(), free.recipient()];
            let mut before = [1, 0];
            let delivered = match broadcast(&recipients, More, Quorum::All, Deadline::never()) {
                Ok(delivered) => {
                    reached!("all");
                    delivered
                }
                Err(BroadcastError { delivered, .. }) => {
                    assert!(matches!(delivered.results[0].1, Err(Missed::Refused(Reason::NotRunning { .. }))));
                    match delivered.accepted {
                        0 => {
                            reached!("nobody");
                            free.cast(More).expect("its place was given up");
                            before[1] = 1;
                        }
                        _ => reached!("one"),
                    }
                    delivered
                }
            };
            drop(tree);
            stop(foundation);
            reached_who_it_says(&delivered, &[&full, &free], before);
        });
}

fn two_servers() -> ([ServerRef<Counter>; 2], Supervisor) {
    let ((first, full), (second, free)) = (server("full", Counter::default), server("free", Counter::default));
    let child = |spec: ServerSpec<Counter>| -> ChildSpec {
        spec.mailbox(1, WhenFull::Wait).child().ready_within(Duration::MAX).stop_whenever()
    };
    ([full, free], Supervisor::new("t", Strategy::OneForOne).child(child(first)).child(child(second)))
}

/// Three threads: who broadcasts until he is told to stop, a server that has room, and one that is full, makes room, and
/// tells him.
#[test]
fn a_broadcast_to_all_that_is_told_to_stop_when_there_is_room_reaches_all_or_nobody() {
    explore("a broadcast to all that is told to stop when there is room reaches all or nobody")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to all of them.
            true => &["all", "nobody"],
            false => &["all", "nobody", "broadcast: waited in vain"],
        })
        .catches(&["broadcast: places are not counted"])
        .run(|| {
            let (foundation, ([full, free], tree), word) = (universe(), two_servers(), Stop::new());
            let tree = tree.start(&foundation, Deadline::never()).expect("it starts");
            full.cast(Tells(word.clone())).expect("there is room");
            let recipients = [full.recipient::<More>(), free.recipient()];
            let delivered = match broadcast(&recipients, More, Quorum::All, &word) {
                Ok(delivered) => {
                    reached!("all");
                    delivered
                }
                Err(BroadcastError { delivered, .. }) => {
                    reached!("nobody");
                    assert_eq!(delivered.accepted, 0, "all or nobody: {delivered:?}");
                    delivered
                }
            };
            drop(tree);
            stop(foundation);
            reached_who_it_says(&delivered, &[&full, &free], [1, 0]);
        });
}

/// Three threads: who broadcasts until a deadline, a server that is full and may make room, and who lets the time pass.
#[test]
fn a_broadcast_whose_deadline_comes_when_there_is_room_reaches_its_server_or_not_as_it_says() {
    explore("a broadcast whose deadline comes when there is room reaches its server or not, as it says")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to all of them.
            true => &["all", "nobody", "broadcast: room that was waited for"],
            false => &["all", "nobody", "broadcast: room that was waited for", "broadcast: waited in vain"],
        })
        .catches(&["broadcast: what came at the last moment is withheld"])
        .run(|| {
            let (foundation, time, (spec, counter)) = (universe(), VirtualTime::new(), counter());
            let spec = spec.mailbox(1, WhenFull::Wait).child().ready_within(Duration::MAX);
            let _tree = start(&foundation, spec.stop_whenever());
            counter.cast(More).expect("there is room");
            let until = time.clock().within(SECOND);
            let here = time.enter("broadcasts");
            let passes = spawn(move || time.advance(SECOND).expect("who broadcasts waits, or has ended"));
            let got = match broadcast(&[counter.recipient()], More, Quorum::All, until) {
                Ok(_) => {
                    reached!("all");
                    1
                }
                Err(BroadcastError { delivered, .. }) => {
                    reached!("nobody");
                    assert!(
                        matches!(delivered.results[0].1, Err(Missed::Refused(Reason::Full { .. }))),
                        "{delivered:?}"
                    );
                    0
                }
            };
            drop(here);
            join(passes);
            stop(foundation);
            let status = adds_up(&counter, 2);
            assert_eq!((status.handled + status.buried, status.refused), (1 + got, 1 - got), "{status:?}");
        });
}

/// Four threads: two who broadcast to two servers with one place each. Race "two all-or-nothing". Too many schedules for
/// loom, of which most are the servers' own.
#[cfg(not(loom))]
#[test]
fn of_two_broadcasts_to_all_each_reaches_all_or_nobody() {
    explore("of two broadcasts to all each reaches all or nobody")
        .reaches(&["all", "nobody"])
        .catches(&["broadcast: places are not counted"])
        .run(|| {
            let foundation = universe();
            let ((first, one), (second, two)) = (server("one", Counter::default), server("two", Counter::default));
            let tree = Supervisor::new("t", Strategy::OneForOne)
                .child(first.mailbox(1, WhenFull::Refuse).child().stop_whenever())
                .child(second.mailbox(1, WhenFull::Refuse).child().stop_whenever());
            let tree = tree.start(&foundation, Deadline::never()).expect("it starts");
            let recipients = [one.recipient::<More>(), two.recipient()];
            let others = [two.recipient::<More>(), one.recipient()];
            let sends = |recipients: [_; 2]| match broadcast(&recipients, More, Quorum::All, Deadline::now()) {
                Ok(_) => reached!("all"),
                Err(error) => {
                    reached!("nobody");
                    assert_eq!(error.delivered.accepted, 0);
                }
            };
            let other = spawn(move || sends(others));
            sends(recipients);
            join(other);
            drop(tree);
            stop(foundation);
            let done = |status: foundation_server::Status| status.handled + status.buried;
            assert_eq!(done(one.status()), done(two.status()));
        });
}
