//! How a body ends, and who may wait for whose end.
#![cfg(not(any(loom, shuttle)))]

use foundation_context::{Value, fields};
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{
    AutoShutdown, CRASHED, ChildSpec, Failure, Life, Restart, StartError, Strategy, Supervisor, System,
};
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::{TestUniverse, patience};

type Body = fn(&Life) -> Result<(), Failure>;

/// Waits until it is told to stop.
fn idle(life: &Life) -> Result<(), Failure> {
    let nothing = Queue::<()>::bounded(1, Full::Wait);
    while life.next(&nothing)?.is_some() {}
    Ok(())
}

fn one_for_one(name: &'static str) -> Supervisor {
    Supervisor::new(name, Strategy::OneForOne)
}

fn soon(system: &System) -> Deadline {
    system.within(patience())
}

#[test]
fn a_body_that_leaves_a_word_has_ended_well_and_is_restarted_only_if_it_is_permanent() {
    let fails: Body = |_| Err(Failure::new("after all others"));
    for (restart, comes_back) in [(Restart::Permanent, true), (Restart::Transient, false), (Restart::Temporary, false)]
    {
        let t = TestUniverse::new();
        let (crashes, lives) = (t.capture_telemetry(&[CRASHED]), Queue::bounded(2, Full::Refuse));
        let begun = lives.clone();
        let body = move |life: &Life| {
            begun.try_send(life.incarnation()).map_err(|_| Failure::new("a third life"))?;
            if life.incarnation().generation == 1 { Err(Failure::shutdown("moved on")) } else { idle(life) }
        };
        let spec = ChildSpec::worker("w", body).restart(restart).significant();
        let tree = t.start(one_for_one("t").auto_shutdown(AutoShutdown::AnySignificant).child(spec));
        let first = lives.recv(soon(&t)).expect("it runs");
        if comes_back {
            assert_eq!(lives.recv(soon(&t)).expect("it is replaced").generation, 2);
        } else {
            let ended = tree.wait(soon(&t)).expect("a significant child that stays away ends its tree");
            assert_eq!(ended, Exit::Shutdown(Cause::AutoShutdown));
        }
        assert_eq!(t.owners().exit_of(first), Some(Exit::ShutdownWith("moved on".into())), "{restart:?}");
        // Reports come in the order of the ends.
        t.start(one_for_one("u").child(ChildSpec::worker("w", fails).restart(Restart::Temporary)));
        let report = t.wait_for(|| crashes.take().into_iter().next());
        assert_eq!(report.metadata.get("worker").map(Value::to_string), Some("u/w".to_owned()), "{restart:?}");
        assert_eq!(lives.len(), 0);
    }
}

#[test]
fn a_word_before_a_child_is_ready_is_a_failed_start() {
    let t = TestUniverse::new();
    let moves_on: Body = |_| Err(Failure::shutdown("nothing to do"));
    let spec = ChildSpec::worker("w", moves_on).ready_within(patience());
    let refused = one_for_one("t").child(spec).start(&t, soon(&t)).expect_err("it was not ready");
    assert!(matches!(&refused, StartError::ChildFailed { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "tree `t` could not be started: `t/w` shutdown: nothing to do");
}

#[test]
fn what_a_clean_end_drops_may_still_crash_it() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let t = TestUniverse::new();
    let bomb = foundation_sync::Mutex::new(Some(Bomb));
    let body = move |_: &Life| {
        let _bomb = bomb.lock().take();
        Err(Failure::shutdown("moved on"))
    };
    let spec = ChildSpec::worker("w", body).restart(Restart::Temporary);
    t.assert_telemetry_event(&["foundation", "supervisor", "crash"], fields! { kind: "panicked" }, || {
        t.start(one_for_one("t").child(spec))
    });
}

#[test]
fn a_failure_shows_its_error_or_its_word() {
    let (failed, word) = (Failure::new("no disk"), Failure::shutdown("moved on"));
    assert_eq!((failed.to_string(), word.to_string()), ("no disk".to_owned(), "moved on".to_owned()));
    assert_eq!(format!("{word:?}"), "Shutdown(\"moved on\")");
    assert_eq!((failed.word(), word.word().map(|word| &**word)), (None, Some("moved on")));
    assert_eq!(word.error().to_string(), "moved on");
}
