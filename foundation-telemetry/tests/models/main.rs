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
