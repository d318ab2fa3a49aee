//! A reservoir: events that are built while their window ends.

use std::sync::Arc;

use foundation_context::{Value, fields};
use foundation_sync::{Mutex, SECOND};
use foundation_telemetry::{Event, EventName, Sampling, Telemetry, event_name};
use foundation_testkit::{explore, join, reached, spawn};

const SOLD: EventName = event_name!("shop", "item", "sold");

#[test]
fn of_a_window_exactly_what_was_kept_is_emitted_however_building_meets_its_end() {
    explore("of a window exactly what was kept is emitted however building meets its end")
        .reaches(&["sampling: the window was closed meanwhile", "one window", "two windows"])
        .catches(&["sampling: what is being built is forgotten"])
        .run(|| {
            let telemetry = Telemetry::builder().seed(1).build();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&seen);
            let note = move |event: &Event| {
                let from = event.measurements.get("sampled_from").and_then(Value::as_u64);
                notes.lock().extend(from);
            };
            telemetry.attach("a", [SOLD], note).expect("the id is free");
            telemetry.sample(SOLD, Sampling::Reservoir { keep: 2, window: SECOND }).expect("there is room");
            let other = telemetry.clone();
            let emits = spawn(move || other.emit(SOLD, || (fields! {}, fields! {})));
            telemetry.emit(SOLD, || (fields! {}, fields! {}));
            telemetry.close_reservoirs();
            join(emits);
            telemetry.close_reservoirs();
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
fn an_event_that_meets_the_end_of_its_sampler_is_emitted() {
    explore("an event that meets the end of its sampler is emitted")
        .reaches(&["sampling: the sampler has gone meanwhile", "here", "there"])
        .catches(&["sampling: a reservoir that has ended takes in"])
        .run(|| {
            let telemetry = Telemetry::builder().seed(1).build();
            let seen = Arc::new(Mutex::new(0));
            let counts = Arc::clone(&seen);
            telemetry.attach("a", [SOLD], move |_| *counts.lock() += 1).expect("the id is free");
            telemetry.sample(SOLD, Sampling::Reservoir { keep: 2, window: SECOND }).expect("there is room");
            let other = telemetry.clone();
            let emits = spawn(move || other.emit(SOLD, || (fields! {}, fields! {})));
            match telemetry.unsample(SOLD).expect("it is sampled").passed {
                0 => reached!("there"),
                _ => reached!("here"),
            }
            join(emits);
            assert_eq!(*seen.lock(), 1, "it is emitted, by one of the two");
        });
}
