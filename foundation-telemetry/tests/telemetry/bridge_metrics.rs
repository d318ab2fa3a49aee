//! What is measured goes to recorders of the `metrics` facade.

use foundation_context::fields;
use foundation_telemetry::{EventName, Metric, Reading, Recording, Telemetry, event_name};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::{
    MetricKind,
    debugging::{DebugValue, DebuggingRecorder},
};

const SOLD: EventName = event_name!("shop", "item", "sold");

fn metrics() -> [Metric; 4] {
    [
        Metric::counter("shop.sales", SOLD).tags(&["shop-name"]),
        Metric::sum("items", SOLD, "items"),
        Metric::last_value("left", SOLD, "left").unit("count"),
        Metric::distribution("1st took", SOLD, "duration").unit("nanoseconds"),
    ]
}

fn sell(telemetry: &Telemetry) {
    for (items, left, duration) in [(5, 1.5, 10_u64), (-2, 0.5, 30)] {
        telemetry.emit(SOLD, || {
            let metadata = [("shop-name", "Leith \"1\"".into())].into();
            (fields! { items: items, left: left, duration: duration }, metadata)
        });
    }
}

#[test]
fn a_recorder_sees_what_we_see() {
    let telemetry = Telemetry::new();
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    let ours = telemetry.measure_into("metrics", metrics(), Recording::to(recorder)).expect("the id is free");
    sell(&telemetry);
    let mut theirs: Vec<_> = seen
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, unit, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let unit = unit.map_or("", |unit| unit.as_str());
            (key.kind(), key.key().name().to_owned(), labels.join(","), unit, format!("{value:?}"))
        })
        .collect();
    theirs.sort_by(|one, other| one.1.cmp(&other.1));
    let show = |value: DebugValue| format!("{value:?}");
    let expected = [
        (
            MetricKind::Histogram,
            "_1st_took",
            "",
            "nanoseconds",
            show(DebugValue::Histogram(vec![10.0.into(), 30.0.into()])),
        ),
        (MetricKind::Gauge, "items", "", "", show(DebugValue::Gauge(3.0.into()))),
        (MetricKind::Gauge, "left", "", "count", show(DebugValue::Gauge(0.5.into()))),
        (MetricKind::Counter, "shop_sales", "shop_name=Leith \"1\"", "", show(DebugValue::Counter(2))),
    ];
    let expected =
        expected.map(|(kind, name, labels, unit, value)| (kind, name.to_owned(), labels.to_owned(), unit, value));
    assert_eq!(theirs, expected);
    let tags = [("shop-name", "Leith \"1\"")];
    assert_eq!(ours.snapshot().get("shop.sales", &tags), Some(&Reading::Counter(2)));
}

#[test]
fn an_exporter_renders_it_as_prometheus_text() {
    let telemetry = Telemetry::new();
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    telemetry.measure_into("metrics", metrics(), Recording::to(recorder)).expect("the id is free");
    sell(&telemetry);
    let text = handle.render();
    for line in [
        "# TYPE shop_sales counter",
        "shop_sales{shop_name=\"Leith \\\"1\\\"\"} 2",
        "# TYPE items gauge",
        "items 3",
        "left 0.5",
        "# TYPE _1st_took summary",
        "_1st_took_sum 40",
        "_1st_took_count 2",
        "# HELP items `items` of events [shop, item, sold]",
    ] {
        assert!(text.lines().any(|it| it == line), "`{line}` is not in\n{text}");
    }
}

/// Nobody has installed one here, and no test does: it would be all tests'.
#[test]
fn where_the_process_has_no_recorder_we_measure_all_the_same() {
    let telemetry = Telemetry::new();
    let ours = telemetry.measure_into("metrics", metrics(), Recording::process()).expect("the id is free");
    sell(&telemetry);
    assert_eq!(ours.snapshot().get("shop.sales", &[("shop-name", "Leith \"1\"")]), Some(&Reading::Counter(2)));
}
