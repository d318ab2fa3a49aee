//! A place is reserved, and then filled or given up, whoever dies.

use foundation_server::{BroadcastError, Quorum, WhenFull, broadcast};
#[cfg(not(loom))]
use foundation_supervisor::{Strategy, Supervisor};
use foundation_sync::Deadline;
use foundation_testkit::{explore, join, reached, spawn};

use crate::{More, adds_up, counter, start, stop, universe};

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
            let ((first, one), (second, two)) = (
                foundation_server::server("one", crate::Counter::default),
                foundation_server::server("two", crate::Counter::default),
            );
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
