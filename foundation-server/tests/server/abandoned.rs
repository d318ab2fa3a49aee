//! A server that hangs is given up.

use foundation_registry::Exit;
use foundation_server::{CallError, Handle, Turn};
use foundation_sync::SECOND;
use foundation_testkit::TestUniverse;

use crate::common::{Add, Clerk, Gate, ask, clerk, start, waits};

#[test]
fn a_caller_of_a_server_that_hangs_is_told_and_the_next_life_serves() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, log) = clerk();
    let _tree = start(&t, spec.child().heartbeat_within(SECOND));
    let gate = Gate::new();
    let (asks, job, until) = (clerk.clone(), gate.pass(), t.within(60 * SECOND));
    let caller = t.spawn("caller", move || asks.call(job, until));
    gate.somebody(&t);
    clerk.cast(Add(3)).expect("there is room");
    waits(&t, &clerk, 1);
    t.clock().advance(2 * SECOND);
    let error = caller.join().expect_err("it hangs");
    let CallError::Exited { exit: Exit::Abandoned { .. }, incarnation, message: None, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(incarnation.generation, 1);
    assert_eq!(ask(&t, &clerk, Add(0)), 3, "what waited is the successor's");
    assert_eq!(clerk.status().late, 0);
    gate.open();
    t.wait_for(|| clerk.status().late == 1);
    assert_eq!(ask(&t, &clerk, Add(1)), 4, "the late life does nothing more");
    t.wait_for(|| !t.threads().iter().any(|thread| &*thread.name == "t/clerk#1"));
    assert_eq!(log.text(), "", "it puts nothing in order beside its successor");
    let status = clerk.status();
    assert_eq!((status.handled, status.broken, status.again), (4, 1, 0));
}

/// Hangs in its first attempt.
#[derive(Clone)]
struct Hangs(Gate);

impl Handle<Hangs> for Clerk {
    type Reply = ();

    fn handle(&mut self, Hangs(gate): Hangs, turn: &mut Turn<'_, Self>) {
        self.log.add(format!("attempt {}", turn.attempt()));
        if turn.attempt() == 1 {
            gate.stay();
        }
    }
}

#[test]
fn a_message_on_which_a_server_hangs_is_done_again_by_the_next_life_if_it_may_be() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, log) = clerk();
    let _tree = start(&t, spec.child().heartbeat_within(SECOND));
    let gate = Gate::new();
    clerk.cast_again(Hangs(gate.clone())).expect("it serves");
    gate.somebody(&t);
    t.clock().advance(2 * SECOND);
    ask(&t, &clerk, Add(0));
    assert_eq!(log.text(), "attempt 1, attempt 2");
    gate.open();
    t.wait_for(|| clerk.status().late == 1);
    let status = clerk.status();
    assert_eq!((status.handled, status.broken, status.again, status.buried), (3, 1, 1, 0));
}
