//! Messages over a restart.

use foundation_registry::{Cause, Exit};
use foundation_server::{CallError, CastError, Doing, Pending};
use foundation_supervisor::{Backoff, ChildSpec, Failure, Restart, Strategy, Supervisor};
use foundation_sync::{MINUTE, SECOND};
use foundation_testkit::TestUniverse;

use crate::common::{Add, Gate, ask, boom, clerk, fails, one_for_one, run, start, waits};

#[test]
fn messages_that_are_to_wait_are_done_by_the_next_life() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let _tree = start(&t, spec.pending(Pending::Wait));
    let gate = Gate::new();
    clerk.cast(gate.then(|_, _| boom())).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Add(1)).expect("there is room");
    let (asks, until) = (clerk.clone(), t.patience());
    let caller = t.spawn("caller", move || asks.call(Add(2), until));
    waits(&t, &clerk, 2);
    gate.open();
    assert_eq!(caller.join(), Ok(3), "both were done by the next life, in order");
    let status = clerk.status();
    assert_eq!((status.handled, status.broken, status.returned, status.buried), (3, 1, 0, 0));
}

#[test]
fn messages_that_are_not_to_wait_become_dead_letters_and_calls_come_back() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let spec = spec.pending(Pending::DeadLetter).child().backoff(Backoff::constant(SECOND).jitter(0));
    let _tree = start(&t, spec);
    let gate = Gate::new();
    clerk.cast(gate.then(|_, _| boom())).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Add(1)).expect("there is room");
    let (asks, until) = (clerk.clone(), t.patience());
    let caller = t.spawn("caller", move || asks.call(Add(2), until));
    waits(&t, &clerk, 2);
    gate.open();
    let error = caller.join().expect_err("nobody does it");
    let CallError::Exited { exit: Exit::Panicked(_), message: Some(Add(2)), .. } = error else { panic!("{error}") };
    t.wait_for(|| clerk.status().buried == 1);
    let refused = clerk.cast(Add(3));
    let Err(CastError::NotRunning { exit: Some(Exit::Panicked(_)), .. }) = refused else { panic!("{refused:?}") };
    assert!(matches!(clerk.status().doing, Doing::Vacant { .. }));
    t.clock().advance(SECOND);
    assert_eq!(ask(&t, &clerk, Add(0)), 0, "the next life takes messages again");
    let status = clerk.status();
    assert_eq!((status.handled, status.broken, status.returned, status.buried, status.refused), (2, 1, 1, 1, 1));
}

#[test]
fn a_server_between_two_lives_takes_messages_that_are_to_wait() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let _tree = start(&t, spec.child().backoff(Backoff::constant(MINUTE).jitter(0)));
    clerk.call(run(|_, _| boom()), t.patience()).expect_err("it dies of it");
    assert_eq!(clerk.cast(Add(3)), Ok(()));
    let (asks, until) = (clerk.clone(), t.within(SECOND));
    let caller = t.spawn("caller", move || asks.call(Add(7), until));
    waits(&t, &clerk, 2);
    t.clock().advance(SECOND);
    let error = caller.join().expect_err("nobody came in time");
    let CallError::TimedOut { server, message: Some(Add(7)), .. } = error else { panic!("{error}") };
    assert!(matches!(&server.doing, Doing::Vacant { exit: Exit::Panicked(_), .. }), "{server}");
    t.clock().advance(MINUTE);
    assert_eq!(ask(&t, &clerk, Add(0)), 3, "what was taken back is not done");
}

#[test]
fn a_siblings_restart_takes_a_server_along_and_its_messages_wait() {
    let t = TestUniverse::new();
    let ((spec, clerk, _), (other_spec, other, _)) = (clerk(), clerk());
    let tree = Supervisor::new("t", Strategy::OneForAll).child(spec);
    let other_spec: ChildSpec = other_spec.child();
    let inner = Supervisor::new("inner", Strategy::OneForOne).intensity(0, SECOND).child(other_spec);
    let _tree = t.start(tree.child(ChildSpec::supervisor(inner)));
    let gate = Gate::new();
    clerk.cast(gate.then(|_, turn| turn.wait_until_told())).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Add(5)).expect("there is room");
    gate.open();
    other.call(run(|_, _| boom()), t.patience()).expect_err("it dies of it");
    assert_eq!(ask(&t, &clerk, Add(0)), 5, "the message has waited for the next life");
    assert!(matches!(clerk.status().doing, Doing::Idle(who) if who.generation == 2), "{}", clerk.status());
    // The sibling's supervisor gave up and was restarted: the server in it has not lost its way either.
    assert_eq!(ask(&t, &other, Add(1)), 1);
}

#[test]
fn a_server_whose_supervisor_gives_up_and_is_restarted_keeps_what_waits() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let inner = Supervisor::new("inner", Strategy::OneForOne).intensity(0, SECOND).child(spec);
    let _tree = t.start(one_for_one().child(ChildSpec::supervisor(inner)));
    let gate = Gate::new();
    clerk.cast(gate.then(|_, _| boom())).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Add(5)).expect("there is room");
    gate.open();
    assert_eq!(ask(&t, &clerk, Add(0)), 5);
    assert_eq!(clerk.status().buried, 0);
}

#[test]
fn a_server_whose_supervisor_gives_up_for_good_is_not_running() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne).intensity(0, SECOND).child(spec));
    let gate = Gate::new();
    clerk.cast(gate.then(|_, _| boom())).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Add(5)).expect("there is room");
    gate.open();
    let exit = tree.wait(t.patience()).expect("it gives up");
    assert_eq!(exit, Exit::Shutdown(Cause::Intensity));
    t.wait_for(|| clerk.status().buried == 1);
    let refused = clerk.cast(Add(1));
    assert!(matches!(&refused, Err(CastError::NotRunning { exit: Some(Exit::Panicked(_)), .. })), "{refused:?}");
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Normal,
    Word,
    Failure,
    Panic,
}

#[test]
fn a_life_is_to_come_as_the_spec_says() {
    let ends = [End::Normal, End::Word, End::Failure, End::Panic];
    for (restart, comes) in [
        (Restart::Permanent, [true, true, true, true]),
        (Restart::Transient, [false, false, true, true]),
        (Restart::Temporary, [false, false, false, false]),
    ] {
        for (end, comes) in ends.into_iter().zip(comes) {
            check_life_to_come(restart, end, comes);
        }
    }
}

#[track_caller]
fn check_life_to_come(restart: Restart, end: End, comes: bool) {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let _tree = start(&t, spec.child().restart(restart));
    let gate = Gate::new();
    let ends = gate.then(move |_, turn| match end {
        End::Normal => turn.end(Ok(())),
        End::Word => turn.end(Err(Failure::shutdown("moved on"))),
        End::Failure => turn.end(fails()),
        End::Panic => boom(),
    });
    clerk.cast(ends).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Add(1)).expect("there is room");
    gate.open();
    let case = format!("{restart:?}, {end:?}");
    if comes {
        assert_eq!(ask(&t, &clerk, Add(1)), 2, "{case}");
        assert_eq!((clerk.status().buried, t.restarts()), (0, 1), "{case}");
    } else {
        t.wait_for(|| clerk.status().buried == 1);
        let refused = clerk.call(Add(1), t.patience());
        assert!(matches!(refused, Err(CallError::NotRunning { exit: Some(_), .. })), "{case}: {refused:?}");
        assert_eq!((clerk.status().handled, t.restarts()), (1, 0), "{case}");
    }
}
