//! How trees and their children are started, by hand too.

use std::time::Duration;

use foundation_registry::{Cause, Exit};
use foundation_supervisor::{ChildError, ChildSpec, Failure, Life, Phase, SpecError, StartError};
use foundation_sync::{MINUTE, SECOND, thread};
use foundation_testkit::{TestUniverse, patience};

use super::{Body, idle, one_for_one, soon};

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let t = TestUniverse::new();
    let good = |life: &Life| {
        life.register("good", ())?.keep();
        life.ready();
        idle(life)
    };
    let bad: Body = |life| {
        life.register("bad", ())?.keep();
        Err(Failure::new("no disk"))
    };
    for _ in 0..20 {
        let tree = one_for_one("t")
            .child(ChildSpec::worker("good", good).ready_within(patience()))
            .child(ChildSpec::worker("bad", bad).ready_within(patience()));
        let error = tree.start(&t, soon(&t)).expect_err("it can't be started");
        assert_eq!(error.to_string(), "tree `t` could not be started: `t/bad` failed: no disk");
        assert!(t.registry().is_empty(), "a name outlived the failed start");
    }
}

#[test]
fn who_is_not_ready_in_time_is_a_failed_start() {
    let t = TestUniverse::with_auto_time();
    let spec = ChildSpec::worker("slow", idle).ready_within(MINUTE);
    let error =
        one_for_one("t").child(spec).start(&t, t.within(2 * MINUTE)).expect_err("it never says that it is ready");
    assert_eq!(error.to_string(), "tree `t` could not be started: `t/slow` shutdown (not ready in time)");
}

#[test]
fn a_start_that_takes_too_long_is_told_to_stop() {
    let t = TestUniverse::with_auto_time();
    let spec = ChildSpec::worker("slow", idle).ready_within(2 * MINUTE);
    let until = t.within(MINUTE);
    assert_eq!(one_for_one("t").child(spec).start(&t, until).expect_err("never ready"), StartError::TimedOut);
    t.wait_for(|| t.owners().live().iter().all(|owner| **owner.name() != *"t" && !owner.name().starts_with("t/")));
}

#[test]
fn names_that_would_clash_are_refused_before_anything_starts() {
    let t = TestUniverse::new();
    let twice = one_for_one("t").child(ChildSpec::worker("w", idle)).child(ChildSpec::worker("w", idle));
    assert_eq!(
        twice.start(&t, soon(&t)).expect_err("two are named w"),
        StartError::BadSpec(SpecError::DoubledName("w".into()))
    );
    let tree = t.start(one_for_one("t"));
    assert_eq!(one_for_one("t").start(&t, soon(&t)).expect_err("it runs"), StartError::AlreadyPresent("t".into()));
    assert!(tree.stop(soon(&t)).is_ok());
    t.start(one_for_one("t"));
}

#[test]
fn children_are_managed_as_in_otp() {
    let t = TestUniverse::new();
    let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", idle)));
    let until = soon(&t);
    let phase = || tree.children(&until).expect("it runs")[0].phase;
    assert_eq!(tree.restart_child("w", &until), Err(ChildError::AlreadyRunning("w".into())));
    assert_eq!(tree.terminate_child("x", &until), Err(ChildError::NotFound("x".into())));
    assert_eq!(tree.terminate_child("w", &until), Ok(()));
    assert_eq!(phase(), Phase::Stopped);
    assert_eq!(tree.terminate_child("w", &until), Ok(()), "fine if it has ended");
    let again = ChildSpec::worker("w", idle);
    assert_eq!(tree.start_child(again, &until), Err(ChildError::AlreadyPresent("w".into())));
    tree.restart_child("w", &until).expect("it has ended");
    assert_eq!(phase(), Phase::Running);
    let fails: Body = |_| Err(Failure::new("no disk"));
    let failing = ChildSpec::worker("x", fails).ready_within(patience());
    let error = tree.start_child(failing, &until).expect_err("it fails before it is ready");
    assert_eq!(error.to_string(), "`x` could not be started: failed: no disk");
    tree.start_child(ChildSpec::worker("x", idle), &until).expect("the failed one's spec is gone");
    assert!(tree.stop(&until).is_ok());
    let children = tree.children(&until).expect("a tree that has ended says how it left its children");
    assert!(children.iter().all(|child| child.phase == Phase::Stopped));
    assert_eq!(tree.start_child(ChildSpec::worker("y", idle), &until), Err(ChildError::Over));
}

#[test]
fn a_tree_can_be_started_again_the_moment_its_stop_returns() {
    let t = TestUniverse::new();
    for _ in 0..500 {
        let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", idle)));
        assert_eq!(tree.stop(soon(&t)), Ok(Exit::Shutdown(Cause::Requested)));
    }
}

#[test]
fn a_slow_start_keeps_nobody_waiting_but_its_caller_and_never_runs_later() {
    let t = TestUniverse::new();
    let slow = ChildSpec::worker("slow", idle).ready_within(Duration::from_secs(3_600));
    let system = (*t).clone();
    let until = t.within(SECOND);
    let starts = thread::Builder::new("starts")
        .spawn(move || {
            let refused = one_for_one("slow").child(slow).start(&system, until).expect_err("it is never ready");
            assert_eq!(refused, StartError::TimedOut);
        })
        .expect("a thread");
    t.wait_for(|| t.owners().live().iter().any(|owner| **owner.name() == *"slow/slow"));
    let quick = t.start(one_for_one("quick").child(ChildSpec::worker("q", idle)));
    assert!(quick.stop(soon(&t)).is_ok());
    starts.join().expect("it is refused");
    t.wait_for(|| t.owners().live().iter().all(|owner| !owner.name().starts_with("slow")));
}
