//! A worker's thread is its own, and fresh: nothing of the thread that made it.

use std::{cell::Cell, sync::Arc};

use foundation_context::{Value, current, fields, with};
use foundation_supervisor::{ChildSpec, Foundation, Life, Restart};
use foundation_sync::{
    Full, Queue, SECOND,
    atomic::{AtomicU64, Ordering},
};
use foundation_testkit::TestUniverse;
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

use super::{Shared, idle, one_for_one, soon};

/// What a life found on its thread.
#[derive(Clone, Debug, Default, PartialEq)]
struct Found {
    name: Option<String>,
    request: Option<Value>,
    region: Option<Value>,
    span: bool,
    slot: u32,
}

thread_local! {
    static SLOT: Cell<u32> = const { Cell::new(0) };
}

fn found(life: &Life) -> Found {
    let context = current();
    Found {
        name: std::thread::current().name().map(str::to_owned),
        request: context.get("request_id").cloned(),
        region: context.get("region").cloned(),
        span: life.system().telemetry().current_span().is_some(),
        slot: SLOT.get(),
    }
}

#[test]
fn a_replacement_has_nothing_of_the_context_the_span_and_the_thread_of_the_crash() {
    let t = TestUniverse::new();
    let lives = Shared::<Vec<Found>>::default();
    let seen = Arc::clone(&lives);
    let body = move |life: &Life| {
        seen.lock().push(found(life));
        if life.incarnation().generation == 3 {
            return idle(life);
        }
        SLOT.set(7);
        with(fields! { request_id: "crash-7" }, || {
            life.system().telemetry().span("checkout", fields! {}, || {
                assert!(found(life).span, "it is there at the crash");
                panic!("boom")
            })
        })
    };
    let spec = ChildSpec::worker("w", body).context(fields! { region: "eu" });
    t.start(one_for_one("t").intensity(9, SECOND).child(spec));
    t.wait_for(|| lives.lock().len() == 3);
    for (number, life) in lives.lock().iter().enumerate() {
        let name = Some(format!("t/w#{}", number + 1));
        let clean = Found { name, region: Some("eu".into()), ..Found::default() };
        assert_eq!(*life, clean);
    }
}

#[test]
fn what_starts_a_tree_leaves_nothing_of_its_own_context_to_the_workers() {
    let t = TestUniverse::new();
    let seen = Queue::bounded(1, Full::Wait);
    let sends = seen.clone();
    let body = move |life: &Life| {
        sends.try_send(found(life)).expect("there is room");
        idle(life)
    };
    let spec = ChildSpec::worker("w", body).restart(Restart::Temporary);
    with(fields! { request_id: "start-1" }, || t.start(one_for_one("t").child(spec)));
    let found = seen.recv(t.patience()).expect("it runs");
    assert_eq!((found.request, found.slot), (None, 0));
}

/// Counts events by their target.
#[derive(Clone, Default)]
struct Counts {
    mine: Arc<AtomicU64>,
    from_destructors: Arc<AtomicU64>,
}

impl Subscriber for Counts {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        match event.metadata().target() {
            "mine" => _ = self.mine.fetch_add(1, Ordering::SeqCst),
            "destructor" => _ = self.from_destructors.fetch_add(1, Ordering::SeqCst),
            _ => {}
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Logs from a thread-local's destructor.
struct Logs;

impl Drop for Logs {
    fn drop(&mut self) {
        tracing::info!(target: "destructor", "gone");
    }
}

thread_local! {
    static LOGS: Cell<Option<Logs>> = const { Cell::new(None) };
}

/// A universe that logs to `counts`, with a worker that crashes so often.
fn logs(counts: &Counts, crashes: u64) -> TestUniverse {
    let t = TestUniverse::of(Foundation::builder().dispatch(Dispatch::new(counts.clone())));
    let body = move |life: &Life| {
        tracing::info!(target: "mine", "a life begins");
        LOGS.set(Some(Logs));
        if life.incarnation().generation <= crashes { panic!("boom") } else { idle(life) }
    };
    t.start(one_for_one("t").intensity(99, SECOND).child(ChildSpec::worker("w", body)));
    t.wait_for(|| t.restarts() == crashes);
    t
}

#[test]
fn each_of_two_universes_logs_to_its_own_subscriber_from_a_threads_first_act_to_its_last() {
    let (one, other) = (Counts::default(), Counts::default());
    let (first, second) = (logs(&one, 2), logs(&other, 4));
    first.enter(|| tracing::info!(target: "mine", "from a thread that entered"));
    tracing::info!(target: "mine", "from a thread that is of neither");
    drop((first, second));
    let counted =
        |counts: &Counts| (counts.mine.load(Ordering::SeqCst), counts.from_destructors.load(Ordering::SeqCst));
    assert_eq!((counted(&one), counted(&other)), ((4, 3), (5, 5)));
}

#[test]
fn a_universe_that_has_gone_keeps_no_subscriber() {
    let counts = Counts::default();
    drop(logs(&counts, 1));
    foundation_testkit::wait_for(|| Arc::strong_count(&counts.mine) == 1);
}

#[test]
fn the_drop_of_a_subscriber_that_panics_ends_no_process() {
    struct Bomb(Counts);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the drop of a user's subscriber");
        }
    }
    impl Subscriber for Bomb {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            self.0.enabled(metadata)
        }
        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            self.0.new_span(attributes)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.event(event);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
    let counts = Counts::default();
    let foundation = Foundation::builder().dispatch(Dispatch::new(Bomb(counts.clone()))).start();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let waits = gate.clone();
    let body = move |_: &Life| {
        // The last thread's end is the end of the universe, which its owner has dropped.
        _ = waits.recv(foundation_sync::Clock::system().within(foundation_testkit::patience()));
        Ok(())
    };
    let spec = ChildSpec::worker("w", body).stop_whenever();
    let tree = one_for_one("t").child(spec).start(&foundation, soon(&foundation)).expect("it starts");
    drop((tree, foundation));
    gate.close();
    foundation_testkit::wait_for(|| Arc::strong_count(&counts.mine) == 1);
}
