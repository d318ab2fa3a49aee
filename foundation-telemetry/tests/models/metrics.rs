//! A metric's series: events that bring the same new tags.

use foundation_context::fields;
use foundation_telemetry::{EventName, Metric, Reading, Telemetry, event_name};
use foundation_testkit::{explore, join, spawn};

const SOLD: EventName = event_name!("shop", "item", "sold");

#[test]
fn of_racing_events_with_new_tags_each_is_measured_in_the_one_series_of_its_tags() {
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
