//! Telemetry's protocols, on all three faces.

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

#[test]
fn of_racing_emissions_one_passes() {
    explore("of racing emissions one passes")
        .reaches(&["dedup: somebody was first", "here", "there"])
        .catches(&["dedup: look and enter are two steps"])
        .run(|| {
            let telemetry = Telemetry::new();
            telemetry.attach("a", &[SOLD], |_| {}).expect("the id is free");
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
            telemetry.attach_queued("a", &[SOLD], 4, move |_| *count.lock() += 1).expect("the id is free");
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

#[test]
fn what_is_added_to_a_batch_is_delivered_in_order_however_it_meets_flush_errand_and_close() {
    use foundation_sync::{Deadline, Errand, Errands, Mutex};
    use foundation_telemetry::Batching;
    use std::sync::Arc;

    explore("what is added to a batch is delivered in order however it meets flush, errand and close")
        .reaches(&["batch: a flush waits for who delivers", "it came back", "two batches", "one batch"])
        .catches(&["batch: what is taken counts as delivered"])
        .run(|| {
            let errands = Arc::new(Mutex::new(Vec::<Errand>::new()));
            let taken = Arc::clone(&errands);
            let courier = Errands::new(move |errand| {
                taken.lock().push(errand);
                Ok(())
            });
            let telemetry = Telemetry::builder().errands(&courier).build();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&seen);
            let rows = telemetry.batch("rows", Batching::of(1), move |rows: Vec<u8>| notes.lock().extend(rows));
            rows.add(0).expect("there is room");
            let (adds, also) = (rows.clone(), Arc::clone(&seen));
            let adder = spawn(move || {
                if adds.add(1).is_err() {
                    reached!("it came back");
                } else if adds.flush(&Deadline::never()).is_ok() {
                    assert!(also.lock().contains(&1), "a flush returns when all is delivered");
                }
            });
            // The courier.
            let due = std::mem::take(&mut *errands.lock());
            due.into_iter().for_each(|errand| errand());
            rows.close(&Deadline::never()).expect("there is no deadline");
            assert!(seen.lock().contains(&0), "a flush returns when all is delivered");
            join(adder);
            let figures = rows.figures();
            let back = figures.refused == 1;
            if figures.batches == 1 {
                reached!("one batch")
            } else {
                reached!("two batches")
            }
            assert_eq!((figures.added, figures.waiting, figures.dropped), (2 - u64::from(back), 0, 0));
            assert_eq!(*seen.lock(), if back { vec![0] } else { vec![0, 1] }, "all, once, in order");
        });
}

/// The courier alone delivers: nobody flushes.
#[test]
fn what_becomes_due_while_somebody_delivers_is_not_left_behind() {
    use foundation_sync::{Errand, Errands, Mutex};
    use foundation_telemetry::Batching;
    use std::sync::Arc;

    explore("what becomes due while somebody delivers is not left behind")
        .reaches(&["one errand", "two errands"])
        .catches(&["batch: the last look is not the end"])
        .run(|| {
            let errands = Arc::new(Mutex::new(Vec::<Errand>::new()));
            let taken = Arc::clone(&errands);
            let courier = Errands::new(move |errand| {
                taken.lock().push(errand);
                Ok(())
            });
            let work = |errands: &Mutex<Vec<Errand>>| {
                let due = std::mem::take(&mut *errands.lock());
                due.into_iter().map(|errand| errand()).count()
            };
            let telemetry = Telemetry::builder().errands(&courier).build();
            let rows = telemetry.batch("rows", Batching::of(1), |_: Vec<u8>| {});
            rows.add(0).expect("there is room");
            let adds = rows.clone();
            let adder = spawn(move || adds.add(1).expect("there is room"));
            work(&errands);
            join(adder);
            match work(&errands) {
                0 => reached!("one errand"),
                _ => reached!("two errands"),
            }
            assert_eq!((rows.figures().delivered, rows.figures().waiting), (2, 0), "nothing is left behind");
        });
}

#[test]
fn of_a_window_exactly_what_was_kept_is_emitted_however_building_meets_its_end() {
    use foundation_telemetry::Sampling;
    use std::sync::Arc;

    explore("of a window exactly what was kept is emitted however building meets its end")
        .reaches(&["sampling: the window was closed meanwhile", "one window", "two windows"])
        .catches(&["sampling: what is being built is forgotten"])
        .run(|| {
            let telemetry = Telemetry::builder().seed(1).build();
            let seen = Arc::new(foundation_sync::Mutex::new(Vec::new()));
            let notes = Arc::clone(&seen);
            let note = move |event: &foundation_telemetry::Event| {
                let from = event.measurements.get("sampled_from").and_then(foundation_context::Value::as_u64);
                notes.lock().extend(from);
            };
            telemetry.attach("a", &[SOLD], note).expect("the id is free");
            telemetry.sample(SOLD, Sampling::Reservoir { keep: 2, window: SECOND }).expect("there is room");
            let other = telemetry.clone();
            let emits = spawn(move || other.emit(SOLD, || (fields! {}, fields! {})));
            telemetry.emit(SOLD, || (fields! {}, fields! {}));
            telemetry.flush_samplers();
            join(emits);
            telemetry.flush_samplers();
            let mut seen = seen.lock().clone();
            seen.sort_unstable();
            match *seen {
                [2, 2] => reached!("one window"),
                [1, 1] => reached!("two windows"),
                _ => panic!("emitted: {seen:?}"),
            }
            let sampled = telemetry.samplers().pop().expect("there is one");
            assert_eq!((sampled.seen, sampled.passed, sampled.kept, sampled.lost), (2, 2, 0, 0));
        });
}

#[test]
fn of_racing_events_with_new_tags_each_is_measured_in_the_one_series_of_its_tags() {
    use foundation_telemetry::{Metric, Reading};

    explore("of racing events with new tags each is measured in the one series of its tags")
        .reaches(&["metrics: somebody was faster"])
        .catches(&["metrics: enters without a second look"])
        .run(|| {
            let telemetry = Telemetry::new();
            let metrics = telemetry.measure("a", [Metric::counter("sales", SOLD).tags(&["shop"]).series(2)]);
            let metrics = metrics.expect("the id is free");
            let other = telemetry.clone();
            let emits = spawn(move || other.emit(SOLD, || (fields! {}, fields! { shop: 1 })));
            telemetry.emit(SOLD, || (fields! {}, fields! { shop: 1 }));
            join(emits);
            let now = metrics.snapshot();
            assert_eq!(now.get("sales", &[("shop", "1")]), Some(&Reading::Counter(2)), "{now}");
        });
}
