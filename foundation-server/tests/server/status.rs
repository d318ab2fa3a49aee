//! How a server is, as text.

use foundation_registry::{Cause, Exit};
use foundation_server::{CallError, CastError, Doing, Status};
use foundation_supervisor::Backoff;
use foundation_sync::{MINUTE, SECOND};
use foundation_testkit::TestUniverse;

use crate::common::{Add, Clerk, Gate, boom, clerk, start, waits};

/// With the life's own number left out, and where a panic was.
fn text(status: &Status) -> String {
    let mut text = status.to_string();
    let who = match &status.doing {
        Doing::Idle(incarnation)
        | Doing::Busy { incarnation, .. }
        | Doing::Vacant { incarnation, .. }
        | Doing::Ended { incarnation, .. } => incarnation.to_string(),
        _ => return text,
    };
    text = text.replace(&who, "ID");
    if let Doing::Vacant { exit: Exit::Panicked(panic), .. } = &status.doing {
        let place = panic.location.clone().expect("it is known");
        text = text.replace(&*place, "PLACE");
    }
    text
}

#[test]
fn a_status_is_a_line_of_text() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    assert_eq!(clerk.status().to_string(), "`clerk` was not started");
    let tree = start(&t, spec.mailbox(8, foundation_server::WhenFull::Wait).child().backoff(Backoff::constant(MINUTE)));
    assert_eq!(text(&clerk.status()), "`clerk` (ID) is idle");
    let gate = Gate::new();
    clerk.cast(gate.then(|_, _| boom())).expect("it serves");
    gate.somebody(&t);
    (0..2).for_each(|_| clerk.cast(Add(1)).expect("there is room"));
    waits(&t, &clerk, 2);
    t.clock().advance(5 * SECOND);
    assert_eq!(text(&clerk.status()), "`clerk` (ID) has been busy for 5s with a server::common::Run, 2 waiting");
    gate.open();
    t.wait_for(|| matches!(clerk.status().doing, Doing::Vacant { .. }));
    assert_eq!(text(&clerk.status()), "`clerk` is being restarted; ID ended, panicked at PLACE: boom, 2 waiting");
    assert!(format!("{clerk:?}").starts_with("ServerRef(`clerk` is being restarted"), "{clerk:?}");
    t.clock().advance(MINUTE);
    clerk.call(Add(0), t.patience()).expect("it serves");
    tree.stop(t.patience()).expect("it stops");
    t.wait_for(|| matches!(clerk.status().doing, Doing::Ended { .. }));
    assert_eq!(text(&clerk.status()), "`clerk` has ended; ID was the last, shutdown (requested)");
    let status = clerk.status();
    assert_eq!((status.capacity, status.most_waiting, status.handled), (8, 2, 4));
}

#[test]
fn no_more_wait_than_have_waited_at_most_also_while_some_were_received_together() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    // So many that two are received at a time.
    let _tree = start(&t, spec.mailbox(64, foundation_server::WhenFull::Wait));
    let gates = [Gate::new(), Gate::new()];
    clerk.cast(gates[0].pass()).expect("it serves");
    gates[0].somebody(&t);
    clerk.cast(gates[1].pass()).expect("there is room");
    (0..63).for_each(|_| clerk.cast(Add(1)).expect("there is room"));
    gates[0].open();
    gates[1].somebody(&t);
    (0..2).for_each(|_| clerk.cast(Add(1)).expect("two were received"));
    let status = clerk.status();
    assert_eq!((status.waiting, status.most_waiting), (65, 65));
    gates[1].open();
    assert_eq!(clerk.call(Add(0), t.patience()), Ok(65));
    assert_eq!((clerk.status().waiting, clerk.status().most_waiting), (0, 64));
}

#[test]
fn an_error_says_what_happened_and_whether_it_is_worth_while_to_ask_again() {
    let (_, clerk, _) = clerk();
    let name = || "clerk".into();
    let full = CastError::Full { server: name(), capacity: 8, message: Add(1) };
    assert_eq!(full.to_string(), "the mailbox of `clerk` is full: 8 messages wait");
    assert_eq!(CallError::from(full).to_string(), "the mailbox of `clerk` is full: 8 messages wait");
    let never = clerk.cast(Add(1)).expect_err("it was not started");
    assert_eq!(never.to_string(), "`clerk` is not running: it was not started");
    assert_eq!(format!("{never:?}"), "CastError(`clerk` is not running: it was not started)");
    let ended = CastError::NotRunning { server: name(), exit: Some(Exit::Normal), message: Add(1) };
    assert_eq!(ended.to_string(), "`clerk` is not running: its last life ended, normal");
    let status = Box::new(clerk.status());
    let late = CallError::TimedOut { waited: SECOND, server: status, message: Some(Add(1)) };
    assert_eq!(late.to_string(), "no answer within 1s; `clerk` was not started; the message was not begun");
    let stopped = CallError::<Add>::Stopped { message: None };
    assert_eq!(stopped.to_string(), "told to stop while waiting for an answer; the message had been begun");
    let incarnation = foundation_context::Incarnation { id: 1, generation: 2 };
    let exit = Exit::Shutdown(Cause::Requested);
    let exited = CallError::Exited { server: name(), incarnation, exit, message: None::<Add> };
    let text = "`clerk` (1#2) ended before it answered: shutdown (requested); the message had been begun";
    assert_eq!(exited.to_string(), text);
}

#[test]
fn what_is_shared_may_be_sent() {
    fn sent<T: Send + Sync>() {}
    sent::<foundation_server::ServerRef<Clerk>>();
    sent::<CallError<Add>>();
}
