//! What the test kit promises to tests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use foundation_context::{Fields, Incarnation, Value, fields};
use foundation_registry::Address;
use foundation_supervisor::{ChildSpec, Failure, Foundation};
use foundation_sync::{Full, MINUTE, Queue, VirtualTime, thread};
use foundation_telemetry::{EventName, event_name};
use foundation_testkit::{TestUniverse, wait_for};

const BOUGHT: EventName = event_name!("shop", "item", "bought");

/// What the test would have failed with.
fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test had to fail");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map(|text| (*text).to_owned()).unwrap_or_default(),
    }
}

#[test]
fn a_wait_returns_the_value_and_does_not_look_again() {
    let t = TestUniverse::new();
    let mut looks = 0;
    let value = t.wait_for(|| {
        looks += 1;
        (looks == 3).then_some("here")
    });
    assert_eq!((value, looks), ("here", 3));
    let mut flag = false;
    wait_for(|| std::mem::replace(&mut flag, true));
    let mut left = 3_u32;
    let value = t.wait_for(|| {
        left -= 1;
        if left == 0 { Ok("now") } else { Err(left) }
    });
    assert_eq!(value, "now");
}

#[test]
fn a_wait_hears_of_what_happens_on_other_threads() {
    let t = TestUniverse::new();
    let child = t.start_child("w");
    let telemetry = t.telemetry().clone();
    let emits = thread::Builder::new("emits")
        .spawn(move || telemetry.emit(BOUGHT, || (fields! { count: 1 }, fields! {})))
        .expect("a thread");
    emits.join().expect("it does not panic");
    child.crash();
    t.wait_for(|| t.restarts() == 1);
}

#[test]
fn an_event_that_does_not_come_fails_the_test_and_shows_what_came() {
    // A patience of its own: this test waits until it is over.
    let text = failure(|| {
        let t = TestUniverse::with_patience(std::time::Duration::from_millis(20));
        t.assert_telemetry_event(&["shop", "item", "bought"], fields! { count: 2 }, || {
            t.telemetry().emit(BOUGHT, || (fields! { count: 1 }, fields! { item: "tea" }));
        });
    });
    assert!(text.contains("no event [shop, item, bought] with {count: 2} came in 20ms"), "{text}");
    assert!(text.contains("tea"), "{text}");
}

#[test]
fn a_wait_in_vain_says_where_how_long_and_who_ran() {
    let text = failure(|| {
        let t = TestUniverse::with_patience(std::time::Duration::from_millis(700));
        t.start(foundation_supervisor::Supervisor::new("t", foundation_supervisor::Strategy::OneForOne).child(
            foundation_supervisor::ChildSpec::worker("w", |life| {
                let nothing = Queue::<()>::bounded(1, Full::Wait);
                while life.next(&nothing)?.is_some() {}
                Ok(())
            }),
        ));
        t.wait_for(|| Err::<(), _>(t.registry().len()));
    });
    assert!(text.contains("waited 700ms at foundation-testkit/tests/testkit/testkit.rs:"), "{text}");
    assert!(text.contains("for `t.wait_for(|| Err::<(), _>(t.registry().len()))`"), "{text}");
    assert!(text.contains("the last value was 0"), "{text}");
    assert!(text.contains("t/w#1 (waits at foundation-testkit/tests/testkit/testkit.rs:"), "{text}");
}

#[test]
fn what_a_test_leaves_behind_fails_it() {
    let handler = failure(|| {
        let t = TestUniverse::new();
        t.telemetry().attach("mine", BOUGHT, |_| {}).expect("the id is free");
    });
    assert!(handler.contains("the handlers [\"mine\"]"), "{handler}");
    let failed = failure(|| {
        let t = TestUniverse::new();
        t.telemetry().attach("checks", BOUGHT, |_| panic!("one is not two")).expect("the id is free");
        t.telemetry().emit(BOUGHT, || (fields! {}, fields! {}));
    });
    let said = "the handler `checks` failed on [shop, item, bought]: one is not two: if that was meant, let the test `forget` it";
    assert!(failed.contains(said), "{failed}");
    let context = failure(|| {
        let _t = TestUniverse::new();
        std::mem::forget(foundation_context::scope(fields! { request: 7 }));
    });
    assert!(context.contains("- the context (request: 7), which was ():"), "{context}");
    foundation_context::clear();
    let span = failure(|| {
        let t = TestUniverse::new();
        _ = t.telemetry().open_span("mine", Fields::new());
    });
    assert!(span.contains("the span `mine` (") && span.contains("), opened by nobody"), "{span}");
    let name = failure(|| {
        let t = TestUniverse::new();
        let owner = t.owners().begin(Incarnation { id: 99, generation: 1 }, "outsider");
        t.registry().register("n", &owner, Address::new(()), Fields::new()).expect("it is free").keep();
        std::mem::forget(owner);
    });
    assert!(name.contains("outsider (99#1) lives, with 1 names") && name.contains("the name n:"), "{name}");
    let member = failure(|| {
        let t = TestUniverse::new();
        let owner = t.owners().begin(Incarnation { id: 99, generation: 1 }, "outsider");
        t.registry().join("g", &owner, Address::new(()), Fields::new()).expect("it lives").keep();
        std::mem::forget(t.registry().try_lock("k", &owner).expect("nobody holds it"));
        std::mem::forget(owner);
    });
    assert!(member.contains("- 1 members of the group `g`"), "{member}");
    assert!(member.contains("- the lock of `k`, held by outsider (99#1) for "), "{member}");
    let monitor = failure(|| {
        let t = TestUniverse::new();
        let owner = t.owners().begin(Incarnation { id: 99, generation: 1 }, "outsider");
        std::mem::forget(owner.monitor_with(foundation_registry::MonitorOptions::new().tag("mine")));
        std::mem::forget(owner);
    });
    let said = format!("a monitor of outsider (99#1), `mine`, made at {}:", file!());
    assert!(monitor.contains(&said), "{monitor}");
    let thread = failure(|| {
        let t = TestUniverse::with_patience(std::time::Duration::from_millis(700));
        let gate = Queue::<()>::bounded(1, Full::Wait);
        let held = gate.clone();
        let deaf = move |life: &foundation_supervisor::Life| {
            _ = held.recv(life.system().within(foundation_testkit::patience()));
            Ok(())
        };
        let spec = foundation_supervisor::ChildSpec::worker("deaf", deaf).stop_within(std::time::Duration::ZERO);
        let tree = foundation_supervisor::Supervisor::new("t", foundation_supervisor::Strategy::OneForOne).child(spec);
        t.start(tree);
        drop(t);
        gate.close();
    });
    assert!(thread.contains("these threads still run: t/deaf#1 (waits at foundation-testkit/tests/"), "{thread}");
}

#[test]
fn a_thread_beside_the_test_that_goes_on_or_panicked_unseen_fails_it() {
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let held = gate.clone();
    let text = failure(move || {
        let t = TestUniverse::with_patience(std::time::Duration::from_millis(100));
        _ = t.spawn("stays", move || held.recv(foundation_sync::Deadline::never()));
        _ = t.spawn("panics", || std::panic::resume_unwind(Box::new(())));
    });
    gate.close();
    assert!(text.contains("the thread `stays` (") && text.contains("still runs"), "{text}");
    assert!(text.contains("the thread `panics` has panicked: join it"), "{text}");
}

#[test]
fn who_enters_a_universe_is_of_its_time() {
    let t = TestUniverse::with_virtual_time();
    let time = t.clock().virtual_time().expect("it is virtual").clone();
    assert!(time.running().is_empty());
    t.enter(|| assert_eq!(time.running().len(), 1));
    assert!(time.running().is_empty());
}

#[test]
fn captured_events_come_in_order_and_end_with_the_capture() {
    let t = TestUniverse::new();
    let capture = t.capture_telemetry(BOUGHT);
    for count in 0..3 {
        t.telemetry().emit(BOUGHT, || (fields! { count: count }, fields! {}));
    }
    let counts: Vec<_> = capture.take().iter().map(|event| event.measurements.to_string()).collect();
    assert_eq!(counts, ["count: 0", "count: 1", "count: 2"]);
    drop(capture);
    t.telemetry().emit(BOUGHT, || panic!("nobody listens any more"));
}

#[test]
fn events_are_counted_looked_for_and_put_in_order() {
    const SOLD: EventName = event_name!("shop", "item", "sold");
    let t = TestUniverse::new();
    let emit = |name: EventName, count: u64| t.telemetry().emit(name, || (fields! { count: count }, fields! {}));
    let capture = t.capture_telemetry([BOUGHT, SOLD]);
    let in_order = t.assert_telemetry_sequence(&[BOUGHT, SOLD], || {
        emit(SOLD, 1);
        emit(BOUGHT, 2);
        emit(BOUGHT, 3);
        emit(SOLD, 4);
    });
    let counts: Vec<_> = in_order.iter().map(|event| event.measurements.to_string()).collect();
    assert_eq!(counts, ["count: 2", "count: 4"]);
    assert_eq!((capture.events().len(), capture.count(|event| event.name == SOLD), capture.dropped()), (4, 2, 0));
    let big = |event: &foundation_telemetry::Event| event.measurements.get("count").and_then(Value::as_u64) > Some(4);
    let found = t.assert_telemetry_where(SOLD, big, || emit(SOLD, 5));
    assert_eq!(found.name, SOLD);
    t.refute_telemetry_event(&["shop", "item", "sold"], fields! { count: 9_u64 }, || emit(SOLD, 8));
}

#[test]
fn events_that_came_or_did_not_come_in_order_fail_the_test_and_are_shown() {
    const SOLD: EventName = event_name!("shop", "item", "sold");
    let text = failure(|| {
        let t = TestUniverse::with_patience(std::time::Duration::from_millis(20));
        t.assert_telemetry_sequence(&[BOUGHT, SOLD], || {
            for name in [SOLD, BOUGHT] {
                t.telemetry().emit(name, || (fields! {}, fields! {}));
            }
        });
    });
    assert!(text.contains("did not come in this order in 20ms") && text.contains("these came"), "{text}");
    let text = failure(|| {
        let t = TestUniverse::new();
        t.refute_telemetry_event(&["shop", "item", "bought"], fields! {}, || {
            t.telemetry().emit(BOUGHT, || (fields! {}, fields! { item: "tea" }));
        });
    });
    assert!(text.contains("an event [shop, item, bought] with {} came") && text.contains("tea"), "{text}");
}

#[test]
fn what_the_courier_does_is_seen_by_whoever_refutes_in_virtual_time() {
    let t = TestUniverse::with_virtual_time();
    let child = t.start_child("w");
    let text = failure(|| {
        t.refute_telemetry_event(foundation_supervisor::CRASHED.words(), fields! {}, || child.crash());
    });
    assert!(text.contains("an event [foundation, supervisor, crash] with {} came"), "{text}");
}

#[test]
fn what_the_chapter_on_models_shows_of_the_example_stands_there() {
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path);
    let lines = |text: &str| text.lines().map(|line| format!("{}\n", line.trim())).collect::<String>();
    let example = ["src/lib.rs", "src/line.rs", "tests/models.rs", "Cargo.toml"];
    let example = lines(&example.map(|file| read(&format!("../downstream/{file}"))).concat());
    let chapter = read("docs/modelling.md");
    let blocks: Vec<_> = chapter.split("```").skip(1).step_by(2).collect();
    let shown = blocks.iter().filter_map(|block| {
        let (kind, text) = block.split_once('\n')?;
        ["rust,ignore", "toml"].contains(&kind).then(|| lines(text.trim()))
    });
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown.len(), 5);
    for text in shown {
        assert!(example.contains(&text), "downstream/ has no\n{text}");
    }
}

#[test]
fn a_universe_with_services_has_them_before_the_test_begins_in_whichever_time() {
    let service = |name: &'static str| {
        ChildSpec::worker(name, move |life| {
            // A minute of the universe's passes first.
            _ = Queue::<()>::bounded(1, Full::Wait).recv(life.system().within(MINUTE));
            life.register(name, ())?.keep();
            life.ready();
            life.wait_until_told();
            Ok(())
        })
        .ready_within(2 * MINUTE)
    };
    let time = VirtualTime::auto();
    let builder = || Foundation::builder().clock(&time.clock());
    let t = TestUniverse::of(builder().service(service("pool")).service(service("cache")));
    assert!(t.whereis("pool").is_some() && t.whereis("cache").is_some());
    drop(t);
    let fails = ChildSpec::worker("fails", |_| Err(Failure::new("no port"))).ready_within(MINUTE);
    let text = failure(|| drop(TestUniverse::of(Foundation::builder().service(fails))));
    assert!(text.contains("can't be started") && text.contains("`services/fails` failed: no port"), "{text}");
    let t = TestUniverse::of(Foundation::builder().service_if(false, service("not wanted")));
    assert_eq!(t.owners().live().len(), 3, "no more than in an empty universe: {:?}", t.owners());
}
