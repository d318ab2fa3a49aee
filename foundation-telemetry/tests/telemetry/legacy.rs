//! The old ways, which were thread-private, and the flips from one way to the other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use foundation_context::{Fields, carried, current, fields, with};
use foundation_supervisor::{CRASHED, ChildSpec, Life, Restart, Strategy, Supervisor, System};
use foundation_sync::{Errand, Errands, Full, MINUTE, Mutex, Queue, Switch, thread};
use foundation_telemetry::{Event, EventName, SPAN_STOP, Status, Telemetry, event_name};
use foundation_testkit::TestUniverse;

const SOLD: EventName = event_name!("shop", "item", "sold");

fn flip(switch: &Switch, on: bool) {
    switch.push(switch.epoch().turned(on));
}

/// What another thread sees.
fn elsewhere<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> T {
    let found = Queue::bounded(1, Full::Refuse);
    let finder = found.clone();
    let body = move || finder.try_send(look()).map_err(|_| ()).expect("there is room");
    thread::Builder::new("elsewhere").spawn(body).expect("a thread").join().expect("it does not panic");
    found.try_recv().expect("it looked")
}

/// How many open spans this thread and another one see.
fn seen(telemetry: &Telemetry) -> (usize, usize) {
    let other = telemetry.clone();
    (telemetry.open_spans().len(), elsewhere(move || other.open_spans().len()))
}

#[test]
fn in_legacy_mode_a_span_is_seen_by_its_own_thread_alone() {
    let telemetry = Telemetry::new();
    let spans = telemetry.switches().spans;
    flip(&spans, false);
    let id = telemetry.open_span("detached", Fields::new());
    telemetry.span("entered", Fields::new(), || {
        assert_eq!((seen(&telemetry), telemetry.spans_open()), ((2, 0), 2));
        assert!(current().span().is_some() && carried().span().is_none(), "its link stays on its thread");
    });
    assert_eq!(spans.off_guards(), 1);
    telemetry.close_span(id, Status::Ok).expect("it is open");
    assert_eq!((spans.off_guards(), telemetry.spans_closed()), (0, 2));
}

#[test]
fn a_switch_shows_all_spans_at_once_and_hides_none_again() {
    let telemetry = Telemetry::new();
    let spans = telemetry.switches().spans;
    flip(&spans, false);
    let first = telemetry.open_span("first", Fields::new());
    assert_eq!(seen(&telemetry), (1, 0));
    flip(&spans, true);
    assert_eq!(seen(&telemetry), (1, 1));
    let second = telemetry.open_span("second", Fields::new());
    flip(&spans, false);
    let third = telemetry.open_span("third", Fields::new());
    assert_eq!(seen(&telemetry), (3, 2), "what everybody saw stays in sight; the new one is private");
    for id in [first, second, third] {
        let other = telemetry.clone();
        elsewhere(move || other.close_span(id, Status::Ok)).expect("closing does not ask who sees it");
    }
    assert_eq!((telemetry.spans_open(), telemetry.spans_closed(), spans.off_guards()), (0, 3, 0));
}

#[test]
fn a_flip_in_the_middle_of_open_spans_closes_each_once_also_under_a_panic() {
    for (panics, on) in [(false, true), (false, false), (true, true), (true, false)] {
        let t = TestUniverse::new();
        let telemetry = t.telemetry();
        let spans = telemetry.switches().spans;
        flip(&spans, !on);
        let stops = t.capture_telemetry(SPAN_STOP);
        let work = || {
            telemetry.span("outer", Fields::new(), || {
                let guard = telemetry.enter_span("guard", Fields::new());
                telemetry.span("inner", Fields::new(), || {
                    flip(&spans, on);
                    drop(guard);
                    if panics {
                        resume_unwind(Box::new(()));
                    }
                });
            });
        };
        assert_eq!(catch_unwind(AssertUnwindSafe(work)).is_err(), panics);
        let status = if panics { "error" } else { "ok" };
        let ended: Vec<_> = stops.take().iter().map(|event| event.metadata.clone()).collect();
        let expected = [("guard", "ok"), ("inner", status), ("outer", status)];
        assert_eq!(ended.len(), 3);
        for (metadata, (name, status)) in ended.iter().zip(expected) {
            assert!(metadata.contains(&fields! { span_name: name, status: status }), "{metadata:?}");
        }
        let left = (telemetry.spans_open(), telemetry.current_span(), spans.off_guards());
        assert_eq!(left, (0, None, 0), "flipped to {on}, panics: {panics}");
    }
}

#[test]
fn a_life_that_ends_has_its_private_spans_closed_too() {
    let t = TestUniverse::new();
    flip(&t.telemetry().switches().spans, false);
    let system = System::clone(&t);
    let body = move |_: &Life| {
        _ = system.telemetry().open_span("left", Fields::new());
        Ok(())
    };
    let spec = ChildSpec::worker("opens", body).restart(Restart::Temporary);
    t.start(Supervisor::new("t", Strategy::OneForOne).child(spec));
    // It is closed before the last of it is dropped.
    t.wait_for(|| (t.telemetry().spans_closed(), t.telemetry().switches().spans.off_guards()) == (1, 0));
    assert_eq!(t.telemetry().spans_open(), 0);
}

/// Of this thread and another one: which passes?
fn passes(telemetry: &Telemetry, key: &'static str) -> (bool, bool) {
    let once =
        move |telemetry: Telemetry| telemetry.emitter(SOLD).emit_once_per(MINUTE, key, || (fields! {}, fields! {}));
    let other = telemetry.clone();
    (once(telemetry.clone()), elsewhere(move || once(other)))
}

#[test]
fn in_legacy_mode_each_thread_has_a_window_of_its_own() {
    let telemetry = Telemetry::new();
    telemetry.attach("a", SOLD, |_| {}).expect("the id is free");
    let dedup = telemetry.switches().dedup;
    flip(&dedup, false);
    assert_eq!(passes(&telemetry, "a"), (true, true));
    assert_eq!(passes(&telemetry, "a"), (false, true), "one's own counts, that of a third thread does not");
    assert_eq!((telemetry.suppressed(), telemetry.windows_open()), (1, 3));
    assert_eq!(dedup.off_guards(), 0, "windows end by themselves");
}

#[test]
fn after_a_switch_any_window_counts_for_everybody_also_when_it_is_switched_back() {
    let telemetry = Telemetry::new();
    telemetry.attach("a", SOLD, |_| {}).expect("the id is free");
    let dedup = telemetry.switches().dedup;
    flip(&dedup, false);
    assert_eq!(passes(&telemetry, "old"), (true, true));
    flip(&dedup, true);
    assert_eq!(passes(&telemetry, "old"), (false, false));
    assert_eq!(passes(&telemetry, "new"), (true, false));
    flip(&dedup, false);
    assert_eq!((passes(&telemetry, "old"), passes(&telemetry, "new")), ((false, false), (false, false)));
    assert_eq!(passes(&telemetry, "newer"), (true, true));
}

/// Errands are kept, to be run by the test.
fn with_a_courier() -> (Telemetry, Arc<Mutex<Vec<Errand>>>) {
    let errands = Arc::new(Mutex::new(Vec::<Errand>::new()));
    let taken = Arc::clone(&errands);
    let courier = Errands::new(move |errand| {
        taken.lock().push(errand);
        Ok(())
    });
    (Telemetry::builder().errands(&courier).build(), errands)
}

#[test]
fn in_legacy_mode_a_queued_handler_runs_on_whoever_emits_and_a_flip_loses_nothing() {
    let (telemetry, errands) = with_a_courier();
    let service = telemetry.switches().service;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let handler = move |event: &Event| notes.lock().push((thread::id(), event.measurements.to_string()));
    telemetry.attach_queued("a", SOLD, 8, handler).expect("the id is free");
    let sell = |number: u64| telemetry.emit(SOLD, || (fields! { number: number }, fields! {}));
    let courier = || std::mem::take(&mut *errands.lock()).into_iter().for_each(|errand| errand());

    flip(&service, false);
    sell(0);
    assert_eq!(*seen.lock(), [(thread::id(), "number: 0".to_owned())], "here, before `emit` returns");
    flip(&service, true);
    sell(1);
    sell(2);
    assert_eq!((seen.lock().len(), telemetry.list()[0].queued), (1, 2));
    flip(&service, false);
    sell(3);
    courier();
    let order: Vec<_> = seen.lock().iter().map(|(_, number)| number.clone()).collect();
    assert_eq!(order, ["number: 0", "number: 3", "number: 1", "number: 2"]);
    assert_eq!((telemetry.overflowed(), errands.lock().len()), (0, 0));
}

#[test]
fn in_legacy_mode_what_waits_since_before_is_delivered() {
    let (telemetry, errands) = with_a_courier();
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    telemetry.attach_queued("a", SOLD, 8, move |_| *count.lock() += 1).expect("the id is free");
    telemetry.emit(SOLD, || (fields! {}, fields! {}));
    flip(&telemetry.switches().service, false);
    telemetry.emit(SOLD, || (fields! {}, fields! {}));
    assert_eq!(*seen.lock(), 1, "the younger one, on this thread");
    let errands = std::mem::take(&mut *errands.lock());
    errands.into_iter().for_each(|errand| errand());
    assert_eq!((*seen.lock(), telemetry.overflowed()), (2, 0));
}

#[test]
fn in_legacy_mode_an_event_carries_no_context() {
    let t = TestUniverse::new();
    flip(t.contexts().switch(), false);
    let sold = t.capture_telemetry(SOLD);
    t.enter(|| with(fields! { request: 7 }, || t.telemetry().emit(SOLD, || (fields! {}, fields! {}))));
    with(fields! { request: 8 }, || t.telemetry().emit(SOLD, || (fields! {}, fields! {})));
    let contexts: Vec<_> = sold.take().iter().map(|event| event.context().fields().to_string()).collect();
    assert_eq!(contexts, ["", "request: 8"], "a thread without a home works the new way");
}

#[test]
fn in_legacy_mode_a_crash_report_has_no_context() {
    for on in [true, false] {
        let t = TestUniverse::new();
        flip(t.contexts().switch(), on);
        let body = |_: &Life| with(fields! { request: 9 }, || panic!("told to"));
        let spec = ChildSpec::worker("crashes", body).restart(Restart::Temporary);
        let supervisor = Supervisor::new("t", Strategy::OneForOne).child(spec);
        let worker = fields! { worker: "t/crashes".to_owned() };
        let crash = t.assert_telemetry_event(CRASHED.words(), worker, || t.start(supervisor));
        assert_eq!(crash.metadata.get("request").is_some(), on, "{crash:?}");
    }
}
