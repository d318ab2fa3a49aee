//! A call has one outcome, which says whether its message was begun.

use foundation_registry::{Cause, Exit};
use foundation_server::{CallError, CastError, Doing, ServerRef};
use foundation_supervisor::{Calls, Failure, Restart};
use foundation_sync::{Deadline, SECOND, Stop};
use foundation_testkit::{Beside, TestUniverse, patience};

use crate::common::{Add, Clerk, Gate, ask, boom, clerk, one_for_one, run, served, start, waits};

/// A caller beside the test, whose message waits.
#[track_caller]
fn waiting_caller(t: &TestUniverse, clerk: &ServerRef<Clerk>) -> Beside<Result<u64, CallError<Add>>> {
    let (asks, until) = (clerk.clone(), t.within(2 * SECOND));
    let caller = t.spawn("caller", move || asks.call(Add(7), until));
    waits(t, clerk, 1);
    caller
}

#[test]
fn a_call_gets_its_answer_and_casts_of_one_sender_arrive_before_it() {
    let t = TestUniverse::new();
    let (clerk, _, _tree) = served(&t);
    assert_eq!(ask(&t, &clerk, Add(2)), 2);
    assert_eq!(clerk.cast(Add(3)), Ok(()));
    assert_eq!(ask(&t, &clerk, Add(0)), 5);
    let status = clerk.status();
    assert_eq!((status.handled, status.refused, status.returned, status.broken), (3, 0, 0, 0));
}

#[test]
fn a_caller_whose_message_kills_the_server_is_told_its_true_exit() {
    let t = TestUniverse::new();
    let (clerk, log, _tree) = served(&t);
    let error = clerk.call(run(|_, _| boom()), t.patience()).expect_err("it dies of it");
    assert!(error.begun(), "{error}");
    let CallError::Exited { server, incarnation, exit: Exit::Panicked(panic), message: None } = error else {
        panic!("{error}")
    };
    assert_eq!((&*server, incarnation.generation, &*panic.message), ("clerk", 1, "boom"));
    assert_eq!(ask(&t, &clerk, Add(1)), 1, "the next life serves");
    let status = clerk.status();
    assert_eq!((status.handled, status.broken, status.again, status.returned), (2, 1, 0, 0));
    assert_eq!(log.text(), "", "a life that panics does not terminate");
}

#[test]
fn a_universe_counts_its_calls_and_those_that_had_no_answer() {
    let t = TestUniverse::new();
    let (clerk, _, _tree) = served(&t);
    (0..3).for_each(|_| _ = ask(&t, &clerk, Add(1)));
    clerk.call(run(|_, _| boom()), t.patience()).expect_err("it dies of it");
    let stop = Stop::new();
    let gate = Gate::new();
    clerk.cast(gate.pass()).expect("it serves");
    gate.somebody(&t);
    assert!(stop.tell());
    let stopped = clerk.call(Add(1), &stop).expect_err("its caller is to stop");
    assert!(matches!(stopped, CallError::Stopped { .. }), "{stopped}");
    let late = clerk.call(Add(1), Deadline::now()).expect_err("it has something else in hand");
    assert!(matches!(late, CallError::TimedOut { .. }), "{late}");
    gate.open();
    let calls = t.part::<Calls>();
    assert_eq!((calls.all(), calls.failed()), (6, 2), "a caller that stops is nobody's failure");
}

#[test]
fn a_message_that_waits_when_the_last_life_ends_comes_back_with_its_exit() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let tree = start(&t, spec.child().restart(Restart::Temporary));
    let gate = Gate::new();
    clerk.cast(gate.then(|_, turn| turn.end(Err(Failure::shutdown("moved on"))))).expect("it serves");
    gate.somebody(&t);
    let caller = waiting_caller(&t, &clerk);
    gate.open();
    let error = caller.join().expect_err("nobody is to come");
    assert!(!error.begun(), "{error}");
    let CallError::Exited { exit, message, .. } = error else { panic!("{error}") };
    assert_eq!((exit, message), (Exit::ShutdownWith("moved on".into()), Some(Add(7))));
    let status = clerk.status();
    assert_eq!((status.handled, status.returned, status.broken), (1, 1, 0));
    drop(tree);
}

#[test]
fn a_call_that_waits_for_its_turn_until_its_deadline_is_taken_back_and_never_done() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, _, _tree) = served(&t);
    let gate = Gate::new();
    clerk.cast(gate.pass()).expect("it serves");
    gate.somebody(&t);
    let caller = waiting_caller(&t, &clerk);
    t.clock().advance(2 * SECOND);
    let error = caller.join().expect_err("its time is over");
    assert!(!error.begun(), "{error}");
    let CallError::TimedOut { waited, server, message } = error else { panic!("{error}") };
    assert_eq!((waited, message), (2 * SECOND, Some(Add(7))));
    let Doing::Busy { incarnation, message, since } = &server.doing else { panic!("{server}") };
    assert_eq!((incarnation.generation, *since), (1, 2 * SECOND));
    assert!(message.ends_with("::Run"), "{message}");
    gate.open();
    assert_eq!(ask(&t, &clerk, Add(0)), 0, "what was taken back is not done");
    let status = clerk.status();
    assert_eq!((status.handled, status.returned, status.late), (2, 1, 0));
}

#[test]
fn an_answer_that_comes_after_the_deadline_is_dropped_and_counted() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, _, _tree) = served(&t);
    let gate = Gate::new();
    let (asks, job, until) = (clerk.clone(), gate.pass(), t.within(SECOND));
    let caller = t.spawn("caller", move || asks.call(job, until));
    gate.somebody(&t);
    t.clock().advance(SECOND);
    let error = caller.join().expect_err("its time is over");
    assert!(error.begun(), "{error}");
    assert!(matches!(error, CallError::TimedOut { message: None, .. }), "{error}");
    assert_eq!(clerk.status().late, 0);
    gate.open();
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
    let status = clerk.status();
    assert_eq!((status.late, status.returned, status.handled), (1, 0, 2));
}

#[test]
fn a_caller_that_is_told_to_stop_waits_no_more() {
    let t = TestUniverse::new();
    let (clerk, _, _tree) = served(&t);
    let (gate, stops) = (Gate::new(), [Stop::new(), Stop::new()]);
    let [begun, waiting] = stops.clone();
    let (asks, job) = (clerk.clone(), gate.pass());
    let begins = t.spawn("begins", move || asks.call(job, &begun));
    gate.somebody(&t);
    let asks = clerk.clone();
    let wait = t.spawn("waits", move || asks.call(Add(7), &waiting));
    waits(&t, &clerk, 1);
    stops.iter().for_each(|stop| _ = stop.tell());
    assert!(matches!(begins.join(), Err(CallError::Stopped { message: None })));
    assert_eq!(wait.join(), Err(CallError::Stopped { message: Some(Add(7)) }));
    gate.open();
    assert_eq!(ask(&t, &clerk, Add(0)), 0);
    let status = clerk.status();
    assert_eq!((status.returned, status.late), (1, 1));
}

#[test]
fn who_is_told_to_stop_already_or_has_no_time_left_may_be_answered_and_is_not_kept() {
    let t = TestUniverse::new();
    let (clerk, _, _tree) = served(&t);
    let (gate, stop) = (Gate::new(), Stop::new());
    clerk.cast(gate.pass()).expect("it serves");
    gate.somebody(&t);
    _ = stop.tell();
    assert_eq!(clerk.call(Add(1), &stop), Err(CallError::Stopped { message: Some(Add(1)) }));
    let error = clerk.call(Add(2), Deadline::now()).expect_err("there is no time");
    assert!(matches!(error, CallError::TimedOut { message: Some(Add(2)), .. }), "{error}");
    gate.open();
    assert_eq!(ask(&t, &clerk, Add(0)), 0);
}

/// It is not running: why, as far as is known, and its message is back.
#[track_caller]
fn is_not_running(clerk: &ServerRef<Clerk>, exit: Option<&Exit>) {
    let expected = CallError::NotRunning { server: "clerk".into(), exit: exit.cloned(), message: Add(1) };
    assert_eq!(clerk.call(Add(1), Deadline::now()), Err(expected));
    let expected = CastError::NotRunning { server: "clerk".into(), exit: exit.cloned(), message: Add(2) };
    assert_eq!(clerk.cast(Add(2)), Err(expected));
}

#[test]
fn a_server_that_nobody_has_started_is_not_running() {
    let (spec, clerk, _) = clerk();
    is_not_running(&clerk, None);
    assert_eq!(clerk.status().doing, Doing::NotStarted);
    let spec = spec.child();
    is_not_running(&clerk, None);
    assert_eq!(clerk.status().refused, 4);
    drop(spec);
    is_not_running(&clerk, None);
}

#[test]
fn a_server_that_was_terminated_is_not_running_until_it_is_restarted() {
    let t = TestUniverse::new();
    let (clerk, log, tree) = served(&t);
    tree.terminate_child("clerk", t.patience()).expect("it stops");
    is_not_running(&clerk, Some(&Exit::Shutdown(Cause::Terminated)));
    assert_eq!(log.text(), "terminate");
    let next = tree.restart_child("clerk", t.patience()).expect("it starts");
    assert_eq!(clerk.status().doing, Doing::Idle(next));
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
    assert_eq!(clerk.status().refused, 2);
}

#[test]
fn a_server_that_panics_when_it_is_terminated_is_not_running_either() {
    let t = TestUniverse::new();
    let (clerk, _, tree) = served(&t);
    let gate = Gate::new();
    let panics = gate.then(|_, turn| {
        turn.wait_until_told();
        boom()
    });
    clerk.cast(panics).expect("it serves");
    gate.somebody(&t);
    gate.open();
    tree.terminate_child("clerk", t.patience()).expect("it ends");
    let exit = clerk.call(Add(1), Deadline::now());
    let Err(CallError::NotRunning { exit: Some(Exit::Panicked(_)), .. }) = exit else { panic!("{exit:?}") };
}

#[test]
fn a_server_that_does_not_stop_when_it_is_terminated_is_not_running_either() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let tree = start(&t, spec.child().stop_within(SECOND));
    let gate = Gate::new();
    clerk.cast(gate.pass()).expect("it serves");
    gate.somebody(&t);
    let (asks, until) = (tree.clone(), t.patience());
    let ends = t.spawn("ends it", move || asks.terminate_child("clerk", until));
    t.clock().advance(SECOND);
    ends.join().expect("it is left behind");
    is_not_running(&clerk, Some(&Exit::Abandoned { waited: SECOND }));
    gate.open();
}

#[test]
fn a_server_is_not_running_when_its_tree_has_ended() {
    let t = TestUniverse::new();
    let (clerk, _, tree) = served(&t);
    tree.stop(t.patience()).expect("it stops");
    t.wait_for(|| matches!(clerk.status().doing, Doing::Ended { .. }));
    is_not_running(&clerk, Some(&Exit::Shutdown(Cause::Requested)));
}

#[test]
fn a_server_whose_first_start_failed_is_not_running() {
    let t = TestUniverse::new();
    let tree = t.start(one_for_one());
    let (spec, other) = crate::lives::fails_to_begin("clerk", 1);
    tree.start_child(spec, t.within(patience())).expect_err("its init fails");
    let error = other.call(crate::lives::Life, Deadline::now()).expect_err("it is not running");
    let CallError::NotRunning { exit: Some(Exit::Failed(why)), .. } = error else { panic!("{error}") };
    assert_eq!(&*why, "not yet");
}

#[test]
fn a_server_that_was_deleted_is_not_running() {
    let t = TestUniverse::new();
    let (clerk, _, tree) = served(&t);
    tree.terminate_child("clerk", t.patience()).expect("it stops");
    tree.delete_child("clerk", t.patience()).expect("it has ended");
    is_not_running(&clerk, Some(&Exit::Shutdown(Cause::Terminated)));
}
