//! Numbers about events: how many, how much, how large.

use std::{borrow::Cow, sync::Arc};

use foundation_context::{Fields, Value, fields};
use foundation_sync::{Full, Queue, thread};
use foundation_telemetry::{EventName, MeasureError, Metric, Metrics, MetricsSnapshot, Reading, Telemetry, event_name};

const SOLD: EventName = event_name!("shop", "item", "sold");
const BOUGHT: EventName = event_name!("shop", "item", "bought");

fn measure(metrics: impl IntoIterator<Item = Metric>) -> (Telemetry, Metrics) {
    let telemetry = Telemetry::new();
    let metrics = telemetry.measure("metrics", metrics).expect("the id is free");
    (telemetry, metrics)
}

fn sold(telemetry: &Telemetry, measurements: Fields, metadata: Fields) {
    telemetry.emit(SOLD, || (measurements, metadata));
}

fn count(snapshot: &MetricsSnapshot, metric: &str, tags: &[(&str, &str)]) -> u64 {
    match snapshot.get(metric, tags) {
        Some(Reading::Counter(count)) => *count,
        other => panic!("{metric} {tags:?}: {other:?}"),
    }
}

#[test]
fn events_are_counted_summed_and_distributed_and_the_last_value_is_kept() {
    let (telemetry, metrics) = measure([
        Metric::counter("sales", SOLD),
        Metric::sum("items", SOLD, "items"),
        Metric::last_value("left", SOLD, "left"),
        Metric::distribution("took", SOLD, "duration"),
        Metric::counter("purchases", BOUGHT),
    ]);
    let nothing = metrics.snapshot();
    assert!(nothing.series().is_empty(), "{nothing}");
    for number in 1..=4_u64 {
        sold(&telemetry, fields! { items: number, left: 10 - number, duration: number * 10 }, fields! {});
    }
    telemetry.emit(BOUGHT, || (fields! {}, fields! {}));
    let now = metrics.snapshot();
    assert_eq!((count(&now, "sales", &[]), count(&now, "purchases", &[])), (4, 1));
    assert_eq!(now.get("items", &[]), Some(&Reading::Sum(Value::U64(10))));
    assert_eq!(now.get("left", &[]), Some(&Reading::Last(Some(Value::U64(6)))));
    match now.get("took", &[]) {
        Some(Reading::Distribution(took)) => assert_eq!((took.count(), took.at(0.5), took.most()), (4, 20, 40)),
        other => panic!("{other:?}"),
    }
    telemetry.detach("metrics").expect("it is a handler like any other");
    sold(&telemetry, fields! {}, fields! {});
    assert_eq!(metrics.snapshot(), now);
}

#[test]
fn sums_take_any_number_and_are_whole_as_long_as_no_fraction_comes() {
    let (telemetry, metrics) = measure([Metric::sum("sum", SOLD, "x")]);
    let add = |x: Value| {
        sold(&telemetry, [("x", x)].into(), fields! {});
        metrics.snapshot().get("sum", &[]).cloned()
    };
    let sum = |value: Value| Some(Reading::Sum(value));
    assert_eq!(add(Value::I64(-3)), sum(Value::I64(-3)));
    assert_eq!(add(Value::I64(1)), sum(Value::I64(-2)));
    assert_eq!(add(Value::U64(1 << 60)), sum(Value::U64((1 << 60) - 2)));
    assert_eq!(add(Value::F64(0.5)), sum(Value::F64((1_u64 << 60) as f64)));
}

#[test]
fn a_sum_beyond_all_numbers_stays_at_the_greatest_or_the_least() {
    let (telemetry, metrics) = measure([Metric::sum("sum", SOLD, "x")]);
    let add = |x: Value| {
        sold(&telemetry, [("x", x)].into(), fields! {});
        metrics.snapshot().get("sum", &[]).cloned()
    };
    assert_eq!(add(Value::U64(u64::MAX)), Some(Reading::Sum(Value::U64(u64::MAX))));
    assert_eq!(
        [add(Value::U64(7)), add(Value::U64(u64::MAX))],
        [const { Some(Reading::Sum(Value::U64(u64::MAX))) }; 2]
    );
    let (telemetry, metrics) = measure([Metric::sum("sum", SOLD, "x")]);
    (0..4).for_each(|_| sold(&telemetry, fields! { x: i64::MIN }, fields! {}));
    assert_eq!(metrics.snapshot().get("sum", &[]), Some(&Reading::Sum(Value::I64(i64::MIN))));
}

#[test]
fn what_is_missing_or_no_such_number_is_counted_and_hurts_nobody() {
    let (telemetry, metrics) = measure([
        Metric::sum("sum", SOLD, "x"),
        Metric::last_value("last", SOLD, "x"),
        Metric::distribution("distribution", SOLD, "x"),
        Metric::counter("counter", SOLD),
    ]);
    for measurements in [fields! {}, fields! { x: "one" }, fields! { x: true }, fields! { x: -1 }, fields! { x: 1.5 }] {
        sold(&telemetry, measurements, fields! {});
    }
    let now = metrics.snapshot();
    let misfits = ["sum", "last", "distribution", "counter", "unknown"].map(|metric| now.misfits(metric));
    assert_eq!((misfits, telemetry.failures()), ([3, 3, 5, 0, 0], 0));
    assert_eq!((now.get("distribution", &[]), count(&now, "counter", &[])), (None, 5));
}

#[test]
fn what_differs_in_its_tags_is_measured_apart_and_texts_are_the_same_however_they_are_held() {
    let (telemetry, metrics) = measure([Metric::counter("sales", SOLD).tags(&["shop", "vat"])]);
    let held: [Value; 3] = ["Leith".into(), String::from("Leith").into(), Cow::Borrowed("Leith").into()];
    for shop in held {
        sold(&telemetry, fields! {}, [("shop", shop), ("vat", Value::Bool(true)), ("other", Value::U64(1))].into());
    }
    sold(&telemetry, fields! {}, fields! { vat: true, shop: "Leit" });
    sold(&telemetry, fields! {}, fields! { vat: false, shop: "Leith" });
    sold(&telemetry, fields! {}, fields! { shop: 7 });
    sold(&telemetry, fields! {}, fields! { shop: 7.5 });
    for _ in 0..2 {
        sold(&telemetry, fields! {}, fields! { shop: f64::NAN });
    }
    let now = metrics.snapshot();
    let counts = [("Leith", "true"), ("Leit", "true"), ("Leith", "false"), ("7", ""), ("7.5", ""), ("NaN", "")]
        .map(|(shop, vat)| count(&now, "sales", &[("shop", shop), ("vat", vat)]));
    assert_eq!((counts, now.series().len()), ([3, 1, 1, 1, 1, 2], 6));
}

#[test]
fn no_more_series_are_kept_than_there_is_room_for_and_the_rest_is_one() {
    let (telemetry, metrics) = measure([Metric::counter("sales", SOLD).tags(&["user"]).series(10)]);
    for round in 0..2 {
        for user in 0..1_000 {
            sold(&telemetry, fields! {}, fields! { user: user });
        }
        let now = metrics.snapshot();
        assert_eq!((now.series().len(), now.overflowed("sales")), (11, 990 * (round + 1)));
        assert_eq!(count(&now, "sales", &[("user", "other")]), 990 * (round + 1));
        assert_eq!(count(&now, "sales", &[("user", "9")]), round + 1);
    }
}

#[test]
fn what_was_measured_since_an_earlier_snapshot_is_told_apart() {
    let (telemetry, metrics) = measure([
        Metric::counter("sales", SOLD).tags(&["shop"]),
        Metric::sum("items", SOLD, "items"),
        Metric::last_value("last", SOLD, "items"),
        Metric::distribution("sizes", SOLD, "items"),
    ]);
    let sell = |items: i32, shop: &'static str| sold(&telemetry, fields! { items: items }, fields! { shop: shop });
    sell(5, "Leith");
    sell(-9, "Leith");
    let earlier = metrics.snapshot();
    sell(2, "Leith");
    sell(3, "Portobello");
    sell(-7, "Portobello");
    let since = metrics.snapshot().since(&earlier);
    assert_eq!(count(&since, "sales", &[("shop", "Leith")]), 1);
    assert_eq!(count(&since, "sales", &[("shop", "Portobello")]), 2);
    assert_eq!(since.get("items", &[]), Some(&Reading::Sum(Value::I64(-2))));
    assert_eq!(since.get("last", &[]), Some(&Reading::Last(Some(Value::I64(-7)))));
    match since.get("sizes", &[]) {
        Some(Reading::Distribution(sizes)) => assert_eq!((sizes.count(), sizes.sum(), sizes.most()), (2, 5, 3)),
        other => panic!("{other:?}"),
    }
    assert_eq!((since.misfits("sizes"), earlier.misfits("sizes")), (1, 1));
}

#[test]
fn a_snapshot_is_a_table_for_people() {
    let (telemetry, metrics) = measure([
        Metric::counter("sales", SOLD).tags(&["shop", "vat"]).series(2),
        Metric::sum("weight", SOLD, "weight").unit("grams"),
    ]);
    for shop in ["Leith", "Ayr", "Oban", "Wick"] {
        sold(&telemetry, fields! { weight: 250 }, fields! { shop: shop });
    }
    sold(&telemetry, fields! {}, fields! { shop: "Ayr" });
    let table = "\
sales   shop=Ayr vat=          2
sales   shop=Leith vat=        1
sales   shop=other vat=other   2
weight                        1000 grams
sales: 2 events found no room for a series of their own
weight: 1 events had not what is measured
";
    let squeeze =
        |text: &str| text.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(squeeze(&metrics.snapshot().to_string()), squeeze(table));
}

#[cfg(feature = "json")]
#[test]
fn a_snapshot_is_json_for_programs() {
    let (telemetry, metrics) = measure([
        Metric::counter("sales", SOLD).tags(&["shop"]),
        Metric::last_value("last", SOLD, "x"),
        Metric::distribution("took", SOLD, "duration").unit("nanoseconds"),
    ]);
    sold(&telemetry, fields! { x: f64::NAN, duration: 5 }, fields! { shop: "\"Leith\"" });
    let expected = serde_json::json!([
        { "metric": "sales", "kind": "counter", "tags": { "shop": "\"Leith\"" }, "unit": "", "value": 1 },
        { "metric": "last", "kind": "last", "tags": {}, "unit": "", "value": null },
        { "metric": "took", "kind": "distribution", "tags": {}, "unit": "nanoseconds",
          "count": 1, "sum": 5, "p50": 5, "p95": 5, "p99": 5, "most": 5 },
    ]);
    assert_eq!(metrics.snapshot().json(), expected);
}

#[test]
fn two_metrics_of_one_name_or_an_id_that_is_taken_are_refused() {
    let telemetry = Telemetry::new();
    let twice = telemetry.measure("a", [Metric::counter("sales", SOLD), Metric::counter("sales", BOUGHT)]);
    assert_eq!(twice.unwrap_err(), MeasureError::TwoOfOneName("sales".into()));
    telemetry.measure("a", [Metric::counter("sales", SOLD)]).expect("nothing was attached before");
    assert!(matches!(telemetry.measure("a", [Metric::counter("sales", SOLD)]), Err(MeasureError::Attach(_))));
}

/// What is not there yet is made by several at once.
#[test]
fn however_many_threads_emit_the_counts_are_exact() {
    const THREADS: u64 = 4;
    const EACH: u64 = 20_000;
    let (telemetry, metrics) = measure([
        Metric::counter("sales", SOLD).tags(&["shop"]).series(50),
        Metric::sum("items", SOLD, "items").tags(&["shop"]).series(20),
    ]);
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (sold, gate) = (telemetry.emitter(SOLD), gate.clone());
            let body = move || {
                assert!(gate.recv(foundation_sync::Deadline::never()).is_err(), "it is closed to let all go");
                for number in 0..EACH {
                    sold.emit(|| (fields! { items: number }, fields! { shop: number % 50 }));
                }
            };
            thread::Builder::new("sells").spawn(body).expect("a thread")
        })
        .collect();
    gate.close();
    for thread in threads {
        thread.join().expect("it does not panic");
    }
    let now = metrics.snapshot();
    let shops: Vec<_> = (0..50).map(|shop| count(&now, "sales", &[("shop", &shop.to_string())])).collect();
    assert_eq!(shops, vec![THREADS * EACH / 50; 50]);
    let items: u64 = now
        .series()
        .iter()
        .map(|series| match (&*series.metric, &series.reading) {
            ("items", Reading::Sum(Value::U64(sum))) => *sum,
            _ => 0,
        })
        .sum();
    assert_eq!(items, THREADS * EACH * (EACH - 1) / 2);
    assert_eq!(now.overflowed("items"), THREADS * EACH / 50 * 30);
}

#[test]
fn a_series_that_is_known_takes_no_allocation() {
    let telemetry = Telemetry::new();
    let sold = telemetry.emitter(SOLD);
    let shop: Arc<str> = "Leith".into();
    let emit = || sold.emit(|| (fields! { items: 3 }, fields! { shop: Arc::clone(&shop) }));
    telemetry.attach("nothing", [SOLD], |_| {}).expect("the id is free");
    emit();
    let before = allocation_counter::measure(emit).count_total;
    let metrics = telemetry.measure(
        "metrics",
        [
            Metric::counter("sales", SOLD).tags(&["shop"]),
            Metric::sum("items", SOLD, "items").tags(&["shop"]),
            Metric::last_value("last", SOLD, "items"),
            Metric::distribution("sizes", SOLD, "items"),
        ],
    );
    let metrics = metrics.expect("the id is free");
    emit();
    let after = allocation_counter::measure(emit).count_total;
    assert_eq!((after, metrics.snapshot().series().len()), (before, 4));
}
