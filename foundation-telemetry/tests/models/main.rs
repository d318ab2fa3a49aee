//! Telemetry's protocols, on all three faces.

mod batch;
mod flush;
mod handlers;
mod metrics;
mod sampling;

use foundation_context::{Fields, fields};
use foundation_sync::SECOND;
use foundation_telemetry::{EventName, Status, Telemetry, event_name};
use foundation_testkit::{explore, join, reached, spawn};

const SOLD: EventName = event_name!("shop", "item", "sold");

#[test]
fn of_two_who_close_a_span_one_does() {
    explore("of two who close a span one does")
        .reaches(&["span: it was closed before", "here", "there"])
        .catches(&["span: looked at and taken out in two steps"])
        .run(|| {
            let telemetry = Telemetry::new();
            let id = telemetry.open_span("s", Fields::new());
            let other = telemetry.clone();
            let closes = spawn(move || {
                if other.close_span(id, Status::Ok).is_ok() {
                    reached!("there");
                }
            });
            if telemetry.close_span(id, Status::Ok).is_ok() {
                reached!("here");
            }
            join(closes);
            assert_eq!((telemetry.spans_open(), telemetry.spans_closed()), (0, 1), "it is closed exactly once");
        });
}

/// The spans of a life: one that its owner closes on its thread, while somebody ends the life and somebody flips.
#[cfg(feature = "legacy")]
#[test]
fn a_span_opened_in_one_mode_and_closed_in_the_other_is_closed_exactly_once() {
    use foundation_context::{Context, Incarnation};

    const WHO: Incarnation = Incarnation { id: 1, generation: 1 };

    explore("a span opened in one mode and closed in the other is closed exactly once")
        .reaches(&[
            "opened in legacy mode, closed in the new one",
            "opened and closed in the new mode",
            "span: it was closed before",
            "the end closed it",
        ])
        .catches(&["span: looked at and taken out in two steps"])
        .run(|| {
            let telemetry = Telemetry::new();
            let spans = telemetry.switches().spans;
            spans.push(spans.epoch().turned(false));
            let other = telemetry.clone();
            let opens = spawn(move || {
                let spans = other.switches().spans;
                let id = Context::of(WHO, Fields::new()).enter(|| other.open_span("s", Fields::new()));
                let private = spans.off_guards() > 0;
                let closed = other.close_span(id, Status::Ok).is_ok();
                match (closed, private, spans.is_on()) {
                    (true, true, true) => reached!("opened in legacy mode, closed in the new one"),
                    (true, false, _) => reached!("opened and closed in the new mode"),
                    _ => {}
                }
            });
            spans.push(spans.epoch().turned(true));
            if telemetry.close_spans_of(WHO, 0).0 == 1 {
                reached!("the end closed it");
            }
            join(opens);
            assert_eq!((telemetry.spans_open(), telemetry.spans_closed()), (0, 1), "it is closed exactly once");
            assert_eq!(spans.off_guards(), 0, "nothing of the old mode is left");
        });
}

/// A span of a life: its guard or its id closes it, while the life ends and something is said about it.
#[test]
fn a_span_whose_owner_ends_is_closed_once_by_whoever_takes_it_out() {
    use foundation_context::{Context, Incarnation};
    use foundation_sync::Mutex;
    use foundation_telemetry::SPAN_STOP;
    use std::sync::Arc;

    const WHO: Incarnation = Incarnation { id: 1, generation: 1 };

    explore("a span whose owner ends is closed once by whoever takes it out")
        .reaches(&["its guard", "its id", "the end", "late", "said in time", "said too late"])
        .catches(&["span: looked at and taken out in two steps"])
        .run(|| {
            let telemetry = Telemetry::new();
            let stops = Arc::new(Mutex::new(0));
            let count = Arc::clone(&stops);
            telemetry.attach("a", &[SPAN_STOP], move |_| *count.lock() += 1).expect("the id is free");
            let other = telemetry.clone();
            let opens = spawn(move || {
                Context::of(WHO, Fields::new()).enter(|| {
                    let guard = other.enter_span("s", Fields::new());
                    match guard.set(fields! { a: 1 }) {
                        Ok(()) => reached!("said in time"),
                        Err(_) => reached!("said too late"),
                    }
                    let closed = other.spans_closed();
                    drop(guard);
                    if closed == 0 {
                        reached!("its guard");
                    }
                });
            });
            let listed = telemetry.open_spans();
            let by_id = listed.iter().filter(|open| telemetry.close_span(open.id, Status::Ok).is_ok()).count();
            let by_end = telemetry.close_spans_of(WHO, 0).0;
            match (listed.len(), by_id, by_end) {
                (1, 1, 0) => reached!("its id"),
                (_, 0, 1) => reached!("the end"),
                (0, 0, 0) => reached!("late"),
                _ => {}
            }
            join(opens);
            let figures = (telemetry.spans_open(), telemetry.spans_opened(), telemetry.spans_closed());
            assert_eq!((figures, *stops.lock()), ((0, 1, 1), 1), "it is closed exactly once");
        });
}

/// A thread that is nobody's ends while somebody closes what it leaves open.
#[test]
fn what_a_thread_leaves_open_is_closed_once() {
    use foundation_sync::{Deadline, Full, Queue};
    use foundation_telemetry::SPAN_STOP;

    explore("what a thread leaves open is closed once")
        .reaches(&["by its id", "its thread ended before"])
        .catches(&["span: looked at and taken out in two steps"])
        .run(|| {
            let telemetry = Telemetry::new();
            let stops = Queue::bounded(2, Full::Refuse);
            let stopped = stops.clone();
            telemetry.attach("a", &[SPAN_STOP], move |_| _ = stopped.try_send(())).expect("the id is free");
            let (other, opened) = (telemetry.clone(), Queue::bounded(1, Full::Refuse));
            let says = opened.clone();
            let opens = spawn(move || {
                other.open_span("s", Fields::new());
                _ = says.try_send(());
            });
            // So that one more interruption of either is enough: loom has two.
            opened.recv(Deadline::never()).expect("it is opened");
            let listed = telemetry.open_spans();
            for open in &listed {
                match telemetry.close_span(open.id, Status::Ok) {
                    Ok(()) => reached!("by its id"),
                    Err(_) => reached!("its thread ended before"),
                }
            }
            join(opens);
            // Loom joins a thread before its slots have ended.
            stops.recv(Deadline::never()).expect("somebody closes it");
            assert_eq!((telemetry.spans_open(), telemetry.spans_closed()), (0, 1), "it is closed exactly once");
        });
}

#[test]
fn of_racing_emissions_one_passes() {
    explore("of racing emissions one passes")
        .reaches(&["dedup: somebody was first", "here", "there"])
        .catches(&["dedup: look and enter are two steps"])
        .run(|| {
            let telemetry = Telemetry::new();
            telemetry.attach("a", SOLD, |_| {}).expect("the id is free");
            let emits = |telemetry: &Telemetry| {
                telemetry.emitter(SOLD).emit_once_per(SECOND, "key", || (fields! {}, fields! {}))
            };
            let passed = std::sync::Arc::new(foundation_sync::Mutex::new(0));
            let (other, also) = (telemetry.clone(), std::sync::Arc::clone(&passed));
            let races = spawn(move || {
                if emits(&other) {
                    reached!("there");
                    *also.lock() += 1;
                }
            });
            if emits(&telemetry) {
                reached!("here");
                *passed.lock() += 1;
            }
            join(races);
            assert_eq!((*passed.lock(), telemetry.suppressed()), (1, 1), "exactly one passes");
        });
}

/// Two emissions under one key, while its window is closed and another key takes its place.
#[test]
fn what_a_window_suppresses_is_counted_once_and_for_that_window() {
    use foundation_context::Value;
    use foundation_sync::Mutex;
    use foundation_telemetry::{DEDUP_CLOSED, Emitter, Event};
    use std::sync::Arc;

    fn once(emitter: &Emitter, key: &str) -> bool {
        emitter.emit_once_per(SECOND, key, || (fields! {}, fields! {}))
    }

    explore("what a window suppresses is counted once and for that window")
        .reaches(&["dedup: its window was closed meanwhile", "the first window suppressed one", "it suppressed both"])
        .catches(&[
            "dedup: counts are read and then cleared",
            "dedup: an emission is counted for whatever window is there",
        ])
        .run(|| {
            let telemetry = Telemetry::new();
            telemetry.attach("a", &[SOLD], |_| {}).expect("the id is free");
            let reports = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&reports);
            let note = move |event: &Event| {
                let key = event.metadata.get("key").and_then(Value::as_str).expect("it has a key").to_owned();
                let suppressed = event.measurements.get("suppressed").and_then(Value::as_u64).expect("it is counted");
                notes.lock().push((key, suppressed));
            };
            telemetry.attach("b", &[DEDUP_CLOSED], note).expect("the id is free");
            let sold = telemetry.emitter(SOLD);
            assert!(once(&sold, "key"));
            let (other, count) = (sold.clone(), Arc::new(Mutex::new(0)));
            let counts = Arc::clone(&count);
            let emits = spawn(move || {
                let suppressed = u64::from(!once(&other, "key")) + u64::from(!once(&other, "key"));
                *counts.lock() = suppressed;
            });
            telemetry.close_windows();
            let first = reports.lock().len();
            let takes = once(&sold, "other");
            join(emits);
            let suppressed = *count.lock();
            telemetry.close_windows();
            let reports = reports.lock();
            match (first, suppressed) {
                (1, 1) => reached!("the first window suppressed one"),
                (1, 2) => reached!("it suppressed both"),
                _ => {}
            }
            let reported: u64 = reports.iter().map(|(_, suppressed)| suppressed).sum();
            assert!(takes && reports.iter().all(|(key, _)| key == "key"), "{reports:?}");
            assert_eq!((reported, telemetry.suppressed()), (suppressed, suppressed), "each is counted once");
        });
}

#[test]
fn an_event_that_waits_is_delivered_however_it_meets_the_errand() {
    use foundation_sync::{Errand, Errands, Mutex};
    use std::sync::Arc;

    explore("an event that waits is delivered however it meets the errand")
        .reaches(&["one errand", "two errands"])
        .catches(&["queued: the last look is not the end"])
        .run(|| {
            let errands = Arc::new(Mutex::new(Vec::<Errand>::new()));
            let taken = Arc::clone(&errands);
            let courier = Errands::new(move |errand| {
                taken.lock().push(errand);
                Ok(())
            });
            let work = |errands: &Mutex<Vec<Errand>>| {
                let errands = std::mem::take(&mut *errands.lock());
                errands.into_iter().map(|errand| errand()).count()
            };
            let telemetry = Telemetry::builder().errands(&courier).build();
            let seen = Arc::new(Mutex::new(0));
            let count = Arc::clone(&seen);
            telemetry.attach_queued("a", SOLD, 4, move |_| *count.lock() += 1).expect("the id is free");
            let sold = telemetry.emitter(SOLD);
            sold.emit(|| (fields! {}, fields! {}));
            let emits = spawn(move || sold.emit(|| (fields! {}, fields! {})));
            work(&errands);
            join(emits);
            match work(&errands) {
                0 => reached!("one errand"),
                _ => reached!("two errands"),
            }
            assert_eq!((*seen.lock(), telemetry.overflowed()), (2, 0), "nothing is left behind");
        });
}
