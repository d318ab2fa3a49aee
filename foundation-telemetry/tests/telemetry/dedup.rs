//! What is emitted once per window.

use std::{sync::Arc, time::Duration};

use foundation_context::fields;
use foundation_sync::{
    MINUTE, VirtualTime,
    atomic::{AtomicU64, Ordering},
    thread,
};
use foundation_telemetry::{Emitter, EventName, MOST_WINDOWS, Telemetry, event_name};
use foundation_testkit::wait_for;

const SLOW: EventName = event_name!("shop", "disk", "slow");
const FULL: EventName = event_name!("shop", "disk", "full");

/// An emitter, and how many of its events were heard.
fn heard(telemetry: &Telemetry, name: EventName) -> (Emitter, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let handler = move |_: &foundation_telemetry::Event| _ = counted.fetch_add(1, Ordering::Relaxed);
    telemetry.attach(&format!("{name}"), name, handler).expect("the id is free");
    (telemetry.emitter(name), count)
}

fn once(emitter: &Emitter, window: Duration, key: &str) -> bool {
    emitter.emit_once_per(window, key, || (fields! {}, fields! {}))
}

#[test]
fn of_one_name_and_key_one_passes_per_window() {
    let telemetry = Telemetry::new();
    let ((slow, count), (full, _)) = (heard(&telemetry, SLOW), heard(&telemetry, FULL));
    let passed =
        [once(&slow, MINUTE, "a"), once(&slow, MINUTE, "a"), once(&slow, MINUTE, "b"), once(&full, MINUTE, "a")];
    assert_eq!(passed, [true, false, true, true]);
    assert!(!slow.emit_once_per(MINUTE, "a", || panic!("built for nobody")));
    assert_eq!((count.load(Ordering::Relaxed), telemetry.suppressed(), telemetry.untracked()), (2, 2, 0));
}

#[test]
fn of_many_threads_that_race_one_passes() {
    const EACH: usize = 1_000;
    let telemetry = Telemetry::new();
    let (slow, count) = heard(&telemetry, SLOW);
    let racers: Vec<_> = (0..4)
        .map(|racer| {
            let slow = slow.clone();
            let body = move || (0..EACH).for_each(|_| _ = once(&slow, MINUTE, "a"));
            thread::Builder::new(format!("racer {racer}")).spawn(body).expect("a thread")
        })
        .collect();
    racers.into_iter().for_each(|racer| racer.join().expect("it does not panic"));
    assert_eq!((count.load(Ordering::Relaxed), telemetry.suppressed()), (1, 4 * EACH as u64 - 1));
}

#[test]
fn a_window_ends() {
    let time = VirtualTime::new();
    let telemetry = Telemetry::builder().clock(&time.clock()).build();
    let (slow, _) = heard(&telemetry, SLOW);
    assert!(once(&slow, MINUTE, "a"));
    time.advance(MINUTE - Duration::from_nanos(1)).expect("nothing to do");
    assert!(!once(&slow, MINUTE, "a"));
    time.advance(Duration::from_nanos(1)).expect("nothing to do");
    assert!(once(&slow, MINUTE, "a"));
    time.advance(MINUTE).expect("nothing to do");
    assert_eq!(telemetry.windows_open(), 0);
    assert!(once(&slow, Duration::ZERO, "b") && once(&slow, Duration::ZERO, "b"), "a window of zero ends at once");
}

#[test]
fn nothing_passes_when_nobody_listens_and_no_window_begins() {
    let telemetry = Telemetry::new();
    let emitter = telemetry.emitter(SLOW);
    assert!(!emitter.emit_once_per(MINUTE, "a", || panic!("built for nobody")));
    let (slow, _) = heard(&telemetry, SLOW);
    assert!(once(&slow, MINUTE, "a"));
    assert_eq!(telemetry.suppressed(), 0);
}

#[test]
fn a_key_that_finds_no_place_passes_and_is_counted() {
    let telemetry = Telemetry::new();
    let (slow, count) = heard(&telemetry, SLOW);
    let keys = 2 * MOST_WINDOWS as u64;
    for key in 0..keys {
        assert!(once(&slow, MINUTE, &key.to_string()));
    }
    let open = telemetry.windows_open() as u64;
    assert!(open <= MOST_WINDOWS as u64, "{open} windows");
    assert_eq!((count.load(Ordering::Relaxed), open + telemetry.untracked()), (keys, keys));
}

#[test]
fn windows_that_have_ended_make_room() {
    let telemetry = Telemetry::new();
    let (slow, _) = heard(&telemetry, SLOW);
    let keys = 2 * MOST_WINDOWS as u64;
    let window = Duration::from_nanos(1);
    for key in 0..keys {
        once(&slow, window, &key.to_string());
    }
    assert!(telemetry.untracked() < keys / 2, "{} of {keys} found no place", telemetry.untracked());
    wait_for(|| telemetry.windows_open() == 0);
    assert!(once(&slow, MINUTE, "a") && !once(&slow, MINUTE, "a"));
}
