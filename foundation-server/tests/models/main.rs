//! The servers' protocols, on all three faces: one room for each.

mod broadcasts;
mod calls;
mod letters;
mod lives;
mod rings;
mod tasks;

use std::{panic::resume_unwind, time::Duration};

use foundation_server::{Handle, Server, ServerRef, ServerSpec, Status, Turn, server};
use foundation_supervisor::{ChildSpec, Foundation, Strategy, Supervisor, Tree};
use foundation_sync::{Deadline, Stop};

fn universe() -> Foundation {
    Foundation::builder().without_courier().start()
}

/// Counts in each life from 0.
#[derive(Default)]
struct Counter(u64);

impl Server for Counter {}

/// One more: how many there were in this life, and which life it is.
#[derive(Clone, Debug, PartialEq)]
struct More;

impl Handle<More> for Counter {
    type Reply = (u64, u64);

    fn handle(&mut self, _: More, turn: &mut Turn<'_, Self>) -> (u64, u64) {
        self.0 += 1;
        (self.0, turn.incarnation().generation)
    }
}

/// The life dies of it, while it is an attempt before this one.
#[derive(Clone, Debug, PartialEq)]
struct Dies(u32);

impl Handle<Dies> for Counter {
    type Reply = ();

    fn handle(&mut self, Dies(before): Dies, turn: &mut Turn<'_, Self>) {
        if turn.attempt() < before {
            // Unwinds without the panic hook, which would print in every schedule.
            resume_unwind(Box::new("boom"));
        }
    }
}

/// Tells somebody to stop.
struct Tells(Stop);

impl Handle<Tells> for Counter {
    type Reply = ();

    fn handle(&mut self, Tells(who): Tells, _: &mut Turn<'_, Self>) {
        _ = who.tell();
    }
}

fn counter() -> (ServerSpec<Counter>, ServerRef<Counter>) {
    server("counter", Counter::default)
}

fn start(foundation: &Foundation, spec: impl Into<ChildSpec>) -> Tree {
    let tree = Supervisor::new("t", Strategy::OneForOne).child(spec);
    match tree.start(foundation, Deadline::never()) {
        Ok(tree) => tree,
        Err(error) => panic!("{error}"),
    }
}

fn stop(foundation: Foundation) {
    let report = foundation.stop(Duration::MAX);
    assert!(report.is_clean(), "{report}");
}

/// Once the universe has ended, each message that was sent is accounted for, once.
#[track_caller]
fn adds_up<S: Server>(server: &ServerRef<S>, sent: u64) -> Status {
    let status = server.status();
    let there = status.handled - status.again + status.buried - status.redelivered + status.refused + status.returned;
    assert_eq!((there, status.waiting), (sent, 0), "{status:?}");
    status
}
