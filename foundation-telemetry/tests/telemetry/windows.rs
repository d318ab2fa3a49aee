//! What a window has suppressed, and who says so.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use foundation_context::{Value, fields};
use foundation_supervisor::Foundation;
use foundation_sync::{
    Errand, Errands, MINUTE, Mutex, Nanos, SECOND, SECONDS_5, Timekeeper, VirtualTime,
    atomic::{AtomicU64, Ordering},
    thread,
};
use foundation_telemetry::{DEDUP_CLOSED, Emitter, Event, EventName, MOST_WINDOWS, Telemetry, event_name};
use foundation_testkit::{TestUniverse, deep};
use proptest::prelude::*;

const SLOW: EventName = event_name!("shop", "disk", "slow");

/// What was reported: key, suppressed, length.
type Reports = Arc<Mutex<Vec<(String, u64, Nanos)>>>;

fn number(event: &Event, name: &str) -> u64 {
    event.measurements.get(name).and_then(Value::as_u64).expect("it is measured")
}

/// An emitter that somebody listens to, and what is reported.
fn reports(telemetry: &Telemetry) -> (Emitter, Reports) {
    let reports = Reports::default();
    let notes = Arc::clone(&reports);
    telemetry.attach("listens", [SLOW], |_| {}).expect("the id is free");
    let note = move |event: &Event| {
        let key = event.metadata.get("key").and_then(Value::as_str).expect("it has a key").to_owned();
        assert!(event.metadata.contains(&fields! { event_name: SLOW.to_string() }));
        notes.lock().push((key, number(event, "suppressed"), number(event, "window")));
    };
    telemetry.attach("reports", [DEDUP_CLOSED], note).expect("the id is free");
    (telemetry.emitter(SLOW), reports)
}

fn once(emitter: &Emitter, window: Duration, key: &str) -> bool {
    emitter.emit_once_per(window, key, || (fields! {}, fields! {}))
}

fn on_virtual_time() -> (VirtualTime, Telemetry) {
    let time = VirtualTime::new();
    let telemetry = Telemetry::builder().clock(&time.clock()).build();
    (time, telemetry)
}

#[test]
fn the_courier_says_what_a_window_has_suppressed_when_it_ends() {
    let t = TestUniverse::with_virtual_time();
    let (slow, closed) = (t.telemetry().emitter(SLOW), t.capture_telemetry([SLOW, DEDUP_CLOSED]));
    let passed = [once(&slow, MINUTE, "a"), once(&slow, MINUTE, "a"), once(&slow, MINUTE, "a")];
    assert_eq!(passed, [true, false, false]);
    assert!(once(&slow, MINUTE, "suppresses nothing"));
    t.clock().advance(MINUTE - Duration::from_nanos(1));
    assert_eq!(closed.take().len(), 2, "what passed");
    t.clock().advance(Duration::from_nanos(1));
    let closed = closed.take();
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert_eq!(closed[0].metadata, fields! { event_name: SLOW.to_string(), key: "a".to_owned() });
    assert_eq!(closed[0].measurements, fields! { suppressed: 2_u64, window: 60_000_000_000_u64 });
    assert_eq!((t.telemetry().windows_open(), t.telemetry().suppressed()), (0, 2));
}

#[test]
fn a_window_that_is_longer_than_five_minutes_ends_when_it_should() {
    let t = TestUniverse::with_virtual_time();
    let (slow, heard) = (t.telemetry().emitter(SLOW), t.capture_telemetry([SLOW, DEDUP_CLOSED]));
    let hours = 48 * 60 * MINUTE;
    assert!(once(&slow, hours, "a"));
    for _ in 0..48 {
        t.clock().advance(60 * MINUTE - Duration::from_nanos(1));
        assert!(!once(&slow, hours, "a"));
    }
    assert_eq!(heard.take().len(), 1);
    t.clock().advance(Duration::from_nanos(48));
    let closed = fields! { suppressed: 48_u64, window: hours.as_nanos() as Nanos };
    assert_eq!(heard.take().iter().map(|event| event.measurements.clone()).collect::<Vec<_>>(), [closed]);
    assert!(once(&slow, hours, "a"));
    t.telemetry().close_windows();
}

#[test]
fn who_comes_after_a_windows_end_reports_it_where_nobody_keeps_time() {
    let (time, telemetry) = on_virtual_time();
    let (slow, reports) = reports(&telemetry);
    for key in ["a", "a", "b", "b", "b"] {
        once(&slow, SECOND, key);
    }
    assert!(once(&slow, MINUTE, "long") && !once(&slow, MINUTE, "long"));
    time.advance(SECOND).expect("nothing to do");
    assert!(reports.lock().is_empty(), "nobody came");
    assert!(!once(&slow, MINUTE, "long"), "also who is suppressed itself");
    reports.lock().sort();
    assert_eq!(*reports.lock(), [("a".to_owned(), 1, 1_000_000_000), ("b".to_owned(), 2, 1_000_000_000)]);
    telemetry.report_windows();
    assert_eq!((reports.lock().len(), telemetry.windows_open()), (2, 1), "the long one is open");
    telemetry.close_windows();
    assert_eq!(reports.lock()[2], ("long".to_owned(), 2, 60_000_000_000));
    assert_eq!((telemetry.windows_open(), telemetry.suppressed()), (0, 5));
    assert!(once(&slow, MINUTE, "long"), "it begins anew");
}

#[test]
fn a_window_that_suppresses_nothing_wakes_nobody() {
    let time = VirtualTime::new();
    let timekeeper = Timekeeper::new(time.clock(), |_| Ok(()));
    let telemetry = Telemetry::builder().clock(&time.clock()).timekeeper(&timekeeper).build();
    let (slow, reports) = reports(&telemetry);
    assert!(once(&slow, MINUTE, "a") && once(&slow, SECOND, "b"));
    assert_eq!(timekeeper.pending(), 0);
    assert!(!once(&slow, MINUTE, "a"));
    assert_eq!(timekeeper.pending(), 1);
    assert!(!once(&slow, MINUTE, "b") && !once(&slow, MINUTE, "a"));
    assert_eq!(timekeeper.pending(), 1, "one for the earliest end, not one for each");
    telemetry.close_windows();
    assert_eq!((timekeeper.pending(), reports.lock().len()), (0, 2));
}

#[test]
fn nothing_is_lost_when_the_timekeeper_has_ended() {
    let time = VirtualTime::new();
    let timekeeper = Timekeeper::new(time.clock(), |_| Ok(()));
    let telemetry = Telemetry::builder().clock(&time.clock()).timekeeper(&timekeeper).build();
    let (slow, reports) = reports(&telemetry);
    assert!(once(&slow, MINUTE, "a") && !once(&slow, MINUTE, "a"));
    timekeeper.close();
    assert!(once(&slow, MINUTE, "b") && !once(&slow, MINUTE, "b"));
    time.advance(MINUTE).expect("nothing to do");
    assert!(once(&slow, MINUTE, "a"), "its successor closes it");
    assert_eq!(*reports.lock(), [("a".to_owned(), 1, 60_000_000_000)]);
    telemetry.close_windows();
    assert_eq!((reports.lock().len(), telemetry.suppressed()), (2, 2));
}

#[test]
fn a_universe_that_stops_says_what_its_windows_have_suppressed() {
    let foundation = Foundation::builder().start();
    let (slow, reports) = reports(foundation.telemetry());
    assert!(once(&slow, MINUTE, "a") && !once(&slow, MINUTE, "a"));
    let telemetry = foundation.telemetry().clone();
    assert!(foundation.stop(SECONDS_5).ended);
    assert_eq!(*reports.lock(), [("a".to_owned(), 1, 60_000_000_000)]);
    assert_eq!((telemetry.suppressed(), telemetry.windows_open()), (1, 0));
}

#[test]
fn an_errand_that_is_refused_comes_again() {
    let time = VirtualTime::new();
    let taken = Arc::new(Mutex::new((true, Vec::<Errand>::new())));
    let take = Arc::clone(&taken);
    let errands = Errands::new(move |errand| {
        let mut taken = take.lock();
        if std::mem::take(&mut taken.0) {
            return Err(errand);
        }
        taken.1.push(errand);
        Ok(())
    });
    let keeper = Timekeeper::new(time.clock(), |body| thread::Builder::new("keeps time").spawn(body).map(|_| ()));
    let telemetry = Telemetry::builder().clock(&time.clock()).timekeeper(&keeper).errands(&errands).build();
    let (slow, reports) = reports(&telemetry);
    assert!(once(&slow, MINUTE, "a") && !once(&slow, MINUTE, "a"));
    time.advance(MINUTE).expect("it comes to rest");
    assert_eq!((taken.lock().1.len(), reports.lock().len()), (0, 0));
    time.advance(SECOND).expect("it comes to rest");
    let errands = std::mem::take(&mut taken.lock().1);
    errands.into_iter().for_each(|errand| errand());
    assert_eq!(reports.lock().len(), 1);
    keeper.close();
}

#[test]
fn whoever_hears_of_a_closed_window_may_emit_once_per_window() {
    let (time, telemetry) = on_virtual_time();
    let (slow, reports) = reports(&telemetry);
    let again = slow.clone();
    let handler = move |_: &Event| _ = once(&again, SECOND, "inner");
    telemetry.attach("emits", [DEDUP_CLOSED], handler).expect("the id is free");
    for _ in 0..3 {
        assert!(once(&slow, SECOND, "outer") && !once(&slow, SECOND, "outer"));
        time.advance(SECOND).expect("nothing to do");
        telemetry.report_windows();
    }
    assert_eq!((reports.lock().len(), telemetry.suppressed()), (3, 3));
}

#[test]
fn what_was_emitted_is_what_passed_and_what_was_suppressed_however_windows_end_meanwhile() {
    const THREADS: usize = 4;
    let each = if deep() { 1_000_000 } else { 20_000 };
    let (time, telemetry) = on_virtual_time();
    let (slow, reports) = reports(&telemetry);
    let (passed, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let racers: Vec<_> = (0..THREADS)
        .map(|racer| {
            let (slow, passed, ended) = (slow.clone(), Arc::clone(&passed), Arc::clone(&ended));
            let body = move || {
                for turn in 0..each {
                    let key = ["a", "b", "c", "d"][(racer + turn / 64) % 4];
                    if once(&slow, SECOND, key) {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                ended.fetch_add(1, Ordering::Relaxed);
            };
            thread::Builder::new(format!("racer {racer}")).spawn(body).expect("a thread")
        })
        .collect();
    let mut windows = 4;
    while ended.load(Ordering::Relaxed) < THREADS as u64 {
        time.advance(SECOND).expect("nothing to do");
        windows += 4;
    }
    racers.into_iter().for_each(|racer| racer.join().expect("it does not panic"));
    let (passed, emitted) = (passed.load(Ordering::Relaxed), (THREADS * each) as u64);
    telemetry.close_windows();
    let reported: u64 = reports.lock().iter().map(|(_, suppressed, _)| suppressed).sum();
    assert_eq!((passed + telemetry.suppressed(), reported), (emitted, emitted - passed));
    assert!(passed <= windows, "{passed} passed in {windows} windows");
}

#[test]
fn any_number_of_keys_takes_the_room_of_as_many_windows_as_there_may_be() {
    let keys = if deep() { 10_000_000_u64 } else { 100_000 };
    let (time, telemetry) = on_virtual_time();
    let (slow, _) = reports(&telemetry);
    let passed = (0..keys).filter(|key| once(&slow, SECOND, &key.to_string())).count();
    assert_eq!(passed as u64, keys);
    assert_eq!((telemetry.windows_open(), telemetry.untracked()), (MOST_WINDOWS, keys - MOST_WINDOWS as u64));
    time.advance(SECOND).expect("nothing to do");
    assert!(once(&slow, SECOND, "a") && !once(&slow, SECOND, "a"), "there is room again");
}

#[derive(Clone, Debug)]
enum Step {
    Emit { key: usize, length: u64 },
    Advance(u64),
    Report,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..KEYS.len(), 0..60_u64).prop_map(|(key, length)| Step::Emit { key, length }),
        3 => (1..40_u64).prop_map(Step::Advance),
        1 => Just(Step::Report),
    ];
    prop::collection::vec(step, 1..120)
}

const KEYS: [&str; 5] = ["", "a", "b", "c", "d"];

/// A window: its end, its length, what it has suppressed.
type Expected = (u64, u64, u64);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_do_what_a_map_of_ends_would(steps in steps()) {
        let (time, telemetry) = on_virtual_time();
        let (slow, reports) = reports(&telemetry);
        let mut open: BTreeMap<&str, Expected> = BTreeMap::new();
        let mut closed: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        let mut close = |key, (_, length, suppressed): Expected| {
            if suppressed > 0 {
                closed.entry(key).or_default().push((suppressed, length));
            }
        };
        let (mut now, mut suppressed) = (0, 0);
        for step in steps {
            match step {
                Step::Emit { key, length } => {
                    let (key, found) = (KEYS[key], open.get_mut(KEYS[key]).filter(|window| now < window.0));
                    // A window of zero is none, and passes in one that is open, too.
                    let passes = length == 0 || found.is_none();
                    prop_assert_eq!(once(&slow, Duration::from_nanos(length), key), passes);
                    match found {
                        _ if length == 0 => {}
                        Some(window) => {
                            window.2 += 1;
                            suppressed += 1;
                        }
                        None => {
                            if let Some(old) = open.insert(key, (now + length, length, 0)) {
                                close(key, old);
                            }
                        }
                    }
                }
                Step::Advance(span) => {
                    time.advance(Duration::from_nanos(span)).expect("nothing to do");
                    now += span;
                }
                Step::Report => {
                    telemetry.report_windows();
                    let live = open.values().filter(|window| now < window.0).count();
                    prop_assert_eq!((telemetry.windows_open(), telemetry.suppressed()), (live, suppressed));
                }
            }
        }
        open.into_iter().for_each(|(key, window)| close(key, window));
        telemetry.close_windows();
        prop_assert_eq!((telemetry.windows_open(), telemetry.suppressed()), (0, suppressed));
        let mut reported: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        let reports = reports.lock();
        for (key, suppressed, length) in reports.iter() {
            reported.entry(key).or_default().push((*suppressed, *length));
        }
        prop_assert_eq!(reported, closed);
    }
}
