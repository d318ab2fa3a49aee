//! What other supervisors got wrong once, each as a test.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foundation_registry::Cause;
use foundation_supervisor::{CRASHED, ChildError, ChildSpec, Failure, Life, Restart, StartError, Strategy, Supervisor};
use foundation_sync::{Full, MINUTE, Mutex, Queue};
use foundation_testkit::TestUniverse;

fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}

fn boom() -> ! {
    panic!("boom")
}

/// A failed start that returned before the failed one was gone: the next one met its name.
#[test]
fn a_start_can_be_tried_again_the_moment_it_has_failed() {
    let t = TestUniverse::new();
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne));
    for _ in 0..100 {
        let body = |life: &Life| {
            let _name = life.register("the name", ())?;
            Err(Failure::new("not today"))
        };
        let failed = tree.start_child(ChildSpec::worker("w", body).ready_within(MINUTE), t.patience());
        let Err(ChildError::StartFailed { exit, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!(exit.to_string(), "failed: not today");
        assert_eq!(t.whereis("the name"), None);
        let failing = ChildSpec::worker("w", body).ready_within(MINUTE);
        let other = Supervisor::new("other", Strategy::OneForOne).child(failing);
        let failed = other.start(&t, t.patience());
        assert!(matches!(&failed, Err(StartError::ChildFailed { .. })), "{failed:?}");
        assert_eq!(t.whereis("the name"), None);
    }
}

/// A rollback that was off by one.
#[test]
fn a_start_that_fails_at_any_child_stops_those_before_it_in_reverse_and_nobody_else() {
    for fails in 0..4 {
        let t = TestUniverse::new();
        let log = Arc::new(Mutex::new(Vec::new()));
        let worker = |number: usize| {
            let log = Arc::clone(&log);
            ChildSpec::worker(number.to_string(), move |life: &Life| {
                if number == fails {
                    return Err(Failure::new("not today"));
                }
                life.ready();
                idle(life)?;
                log.lock().push((number, life.cause()));
                Ok(())
            })
            .ready_within(MINUTE)
        };
        let tree = (0..4).map(worker).fold(Supervisor::new("t", Strategy::OneForOne), Supervisor::child);
        let failed = tree.start(&t, t.patience()).expect_err("a child fails");
        assert!(failed.to_string().contains(&format!("`t/{fails}`")), "{failed}");
        let stopped: Vec<_> = (0..fails).rev().map(|number| (number, Some(Cause::StartFailed))).collect();
        assert_eq!(*log.lock(), stopped);
    }
}

/// What a child had below it went on when its group was restarted.
#[test]
fn a_group_restart_takes_everything_below_along() {
    let t = TestUniverse::new();
    let (crash, lives) = (Queue::<()>::bounded(1, Full::Wait), Queue::bounded(8, Full::Refuse));
    let told = crash.clone();
    let crashes = move |life: &Life| match life.next(&told)? {
        Some(()) => boom(),
        None => Ok(()),
    };
    let begun = lives.clone();
    let below = move |life: &Life| {
        begun.try_send(life.incarnation()).map_err(|_| Failure::new("too many lives"))?;
        life.ready();
        idle(life)
    };
    let sub = Supervisor::new("sub", Strategy::OneForOne).child(ChildSpec::worker("w", below).ready_within(MINUTE));
    let tree = Supervisor::new("t", Strategy::OneForAll)
        .child(ChildSpec::worker("crashes", crashes))
        .child(ChildSpec::supervisor(sub));
    t.start(tree);
    let first = lives.recv(t.patience()).expect("it runs");
    crash.try_send(()).expect("there is room");
    let second = lives.recv(t.patience()).expect("it is started again");
    assert!(t.owners().exit_of(first).is_some_and(|exit| exit.is_clean()), "before its successor ran");
    assert!(t.owners().get(second).is_some());
    // The first one's thread is in the census for some moments more.
    t.wait_for(|| t.threads().iter().filter(|thread| thread.name.starts_with("t/sub/")).count() == 1);
}

/// Children that were restarted because their supervisor stopped them.
#[test]
fn who_fails_when_its_supervisor_stops_it_is_not_restarted() {
    for restart in [Restart::Permanent, Restart::Transient] {
        let t = TestUniverse::new();
        let lives = Arc::new(AtomicUsize::new(0));
        let begun = Arc::clone(&lives);
        let crashes = t.capture_telemetry(CRASHED);
        let body = move |life: &Life| {
            begun.fetch_add(1, Ordering::SeqCst);
            life.ready();
            idle(life)?;
            Err(Failure::new("on the way out"))
        };
        let spec = ChildSpec::worker("w", body).restart(restart).ready_within(MINUTE);
        let sub = Supervisor::new("sub", Strategy::OneForOne).child(spec);
        let tree = t.start(Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::supervisor(sub)));
        tree.stop(t.patience()).expect("it stops");
        assert_eq!((lives.load(Ordering::SeqCst), t.restarts()), (1, 0));
        t.wait_for(|| crashes.events().len() == 1);
    }
}
