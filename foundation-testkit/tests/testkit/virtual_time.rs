//! What virtual time promises to tests of a whole universe.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_supervisor::{ChildSpec, Foundation, Life, Strategy, Supervisor};
use foundation_sync::{
    Full, MINUTE, Queue, RecvError, SECOND, VirtualTime,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    thread,
};
use foundation_testkit::TestUniverse;

const HOUR: Duration = Duration::from_secs(3_600);

/// A worker that counts once a minute of its universe.
fn ticker(ticks: &Arc<AtomicU32>) -> Supervisor {
    let ticks = Arc::clone(ticks);
    let body = move |life: &Life| {
        let nothing = Queue::<()>::bounded(1, Full::Wait);
        loop {
            match nothing.recv(life.system().within(MINUTE).or_stop(life.stop())) {
                Err(RecvError::TimedOut) => _ = ticks.fetch_add(1, SeqCst),
                _ => return Ok(()),
            }
        }
    };
    Supervisor::new("clockwork", Strategy::OneForOne).child(ChildSpec::worker("ticker", body))
}

#[test]
fn an_hour_passes_in_a_moment_and_not_before_it_is_told_to() {
    let t = TestUniverse::with_virtual_time();
    let ticks = Arc::default();
    t.start(ticker(&ticks));
    t.clock().advance(MINUTE - Duration::from_nanos(1));
    assert_eq!(ticks.load(SeqCst), 0);
    t.clock().advance(Duration::from_nanos(1));
    assert_eq!(ticks.load(SeqCst), 1, "what became due is done");
    t.clock().advance(HOUR);
    assert_eq!(ticks.load(SeqCst), 61, "with what was set meanwhile");
    assert_eq!(t.clock().now(), 3_660_000_000_000);
}

#[test]
fn time_that_jumps_goes_on_while_the_test_waits_and_stands_while_it_works() {
    let t = TestUniverse::with_auto_time();
    let ticks = Arc::new(AtomicU32::new(0));
    t.start(ticker(&ticks));
    let before = t.clock().now();
    assert_eq!(ticks.load(SeqCst), 0);
    let nothing = Queue::<()>::bounded(1, Full::Wait);
    assert_eq!(nothing.recv(t.within(HOUR + SECOND)), Err(RecvError::TimedOut));
    assert_eq!(ticks.load(SeqCst), 60);
    assert_eq!(t.clock().now() - before, 3_601_000_000_000);
    t.wait_for(|| ticks.load(SeqCst) >= 100);
    t.clock().advance(HOUR);
    assert!(ticks.load(SeqCst) >= 160);
}

#[test]
fn an_intensity_is_judged_by_the_universes_time() {
    let t = TestUniverse::with_virtual_time();
    let crashes = Queue::bounded(1, Full::Wait);
    let orders = crashes.clone();
    let body = move |life: &Life| match life.next(&orders)? {
        Some(()) => panic!("told to crash"),
        None => Ok(()),
    };
    let tree = Supervisor::new("fragile", Strategy::OneForOne).intensity(1, MINUTE);
    let tree = t.start(tree.child(ChildSpec::worker("w", body)));
    for restarts in 1..=3 {
        crashes.send((), t.patience()).expect("it reads");
        t.wait_for(|| t.restarts() == restarts);
        t.clock().advance(MINUTE + SECOND);
    }
    // Two within one minute are too many.
    crashes.send((), t.patience()).expect("it reads");
    t.wait_for(|| t.restarts() == 4);
    crashes.send((), t.patience()).expect("it reads");
    tree.wait(t.patience()).expect("it has ended");
}

#[test]
fn a_stop_deadline_is_the_universes_and_costs_nothing() {
    let t = TestUniverse::with_auto_time();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let held = gate.clone();
    let deaf = move |life: &Life| {
        _ = held.recv(life.system().within(HOUR));
        Ok(())
    };
    let spec = ChildSpec::worker("deaf", deaf).stop_within(MINUTE);
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne).child(spec));
    let before = t.clock().now();
    tree.stop(t.within(HOUR)).expect("it ends without the deaf one");
    assert_eq!(t.clock().now() - before, 60_000_000_000);
    assert_eq!(t.abandoned(), 1);
    gate.close();
}

#[test]
fn a_thread_beside_the_test_is_of_the_same_time() {
    let t = TestUniverse::with_auto_time();
    let clock = t.clock().clone();
    let beside = t.spawn("beside", move || {
        let nothing = Queue::<()>::bounded(1, Full::Wait);
        assert_eq!(nothing.recv(clock.within(HOUR)), Err(RecvError::TimedOut));
        clock.now()
    });
    assert_eq!(beside.join(), 3_600_000_000_000);
    let panics = t.spawn("panics", || std::panic::resume_unwind(Box::new("it did")));
    let panic = catch_unwind(AssertUnwindSafe(|| panics.join())).expect_err("as it did");
    assert_eq!(panic.downcast_ref(), Some(&"it did"));
}

/// What the test would have failed with.
fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test had to fail");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a text")).to_owned(),
    }
}

#[test]
fn time_that_is_real_or_kept_up_or_asked_from_within_says_so() {
    let t = TestUniverse::new();
    let text = failure(|| t.clock().advance(SECOND));
    assert!(text.contains("is real") && text.contains("with_virtual_time"), "{text}");

    let time = VirtualTime::new();
    let t = TestUniverse::of(Foundation::builder().clock(&time.clock()));
    let time = time.patience(Duration::from_millis(50));
    let (gate, started) = (Arc::new(AtomicBool::new(false)), Queue::bounded(1, Full::Wait));
    let (opened, starts) = (Arc::clone(&gate), started.clone());
    let busy = t.spawn("busy bee", move || {
        starts.try_send(()).expect("there is room");
        while !opened.load(SeqCst) {
            thread::yield_now();
        }
    });
    started.recv(t.patience()).expect("it has started");
    let text = failure(|| t.clock().advance(SECOND));
    assert!(text.contains("busy bee did not come to wait within 50ms of real time, so time stays at 0 ns"), "{text}");
    gate.store(true, SeqCst);
    busy.join();

    let within = time.clone();
    let text =
        t.spawn("within", move || within.advance(SECOND).expect_err("it would wait for itself").to_string()).join();
    assert!(text.contains("can't advance it"), "{text}");
}
