//! A full mailbox.

use foundation_server::{CallError, CastError, ServerRef, WhenFull};
use foundation_supervisor::Tree;
use foundation_sync::{Deadline, Stop};
use foundation_testkit::TestUniverse;

use crate::common::{Add, Clerk, Gate, ask, clerk, start};

/// One is at the gate, and one waits: there is no more room.
fn filled(t: &TestUniverse, gate: &Gate, when: WhenFull) -> (ServerRef<Clerk>, Tree) {
    let (spec, clerk, _) = clerk();
    let tree = start(t, spec.mailbox(1, when));
    clerk.cast(gate.pass()).expect("it serves");
    gate.somebody(t);
    clerk.cast(Add(1)).expect("there is room for one");
    (clerk, tree)
}

#[test]
fn a_full_mailbox_that_refuses_refuses_calls_and_casts_and_they_come_back() {
    let (t, gate) = (TestUniverse::new(), Gate::new());
    let (clerk, _tree) = filled(&t, &gate, WhenFull::Refuse);
    let full = CallError::Full { server: "clerk".into(), capacity: 1, message: Add(7) };
    assert_eq!(clerk.call(Add(7), t.patience()), Err(full));
    let full = CastError::Full { server: "clerk".into(), capacity: 1, message: Add(8) };
    assert_eq!(clerk.cast(Add(8)), Err(full));
    assert_eq!(clerk.cast_again(crate::common::Note("x")).map_err(|error| error.into_message().0), Err("x"));
    gate.open();
    t.wait_for(|| clerk.status().waiting == 0);
    assert_eq!(ask(&t, &clerk, Add(0)), 1);
    let status = clerk.status();
    assert_eq!((status.refused, status.returned, status.most_waiting), (3, 0, 1));
}

#[test]
fn a_call_waits_for_room_until_its_end_and_a_cast_does_not() {
    let (t, gate) = (TestUniverse::new(), Gate::new());
    let (clerk, _tree) = filled(&t, &gate, WhenFull::Wait);
    assert!(matches!(clerk.cast(Add(8)), Err(CastError::Full { message: Add(8), .. })));
    let error = clerk.call(Add(7), Deadline::now()).expect_err("there is no room in time");
    assert!(matches!(error, CallError::TimedOut { message: Some(Add(7)), .. }), "{error}");
    let stop = Stop::new();
    _ = stop.tell();
    assert_eq!(clerk.call(Add(6), &stop), Err(CallError::Stopped { message: Some(Add(6)) }));
    let (asks, until) = (clerk.clone(), t.patience());
    let caller = t.spawn("caller", move || asks.call(Add(5), until));
    gate.open();
    assert_eq!(caller.join(), Ok(6));
    let status = clerk.status();
    assert_eq!((status.refused, status.returned, status.handled), (1, 2, 3));
}
