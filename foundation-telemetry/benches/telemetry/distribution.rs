//! Distributions, limiters, batches, samplings and metrics beside what a user would take instead.

use std::{
    collections::HashMap,
    hint::black_box,
    mem,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use foundation_context::fields;
use foundation_sync::{Clock, SECOND, stripe};
use foundation_telemetry::{
    Batching, Distribution, Emitter, Event, EventName, Limiter, Limits, Metric, Sampling, Telemetry, event_name,
};
use hdrhistogram::Histogram;

use crate::table::{head, row};

const SOLD: EventName = event_name!("shop", "item", "sold");

/// Beyond 256, so that no bucket is one value's.
const VALUE: u64 = 12_345;

pub(crate) fn print() {
    head("ns for each: a distribution");
    let (ours, its) = (Distribution::new(), Mutex::new(Histogram::<u64>::new(2).expect("two digits")));
    for (threads, goal) in [(1, 0.6), (2, 0.3)] {
        let record = || its.lock().expect("nobody panics").record(black_box(VALUE)).expect("it grows by itself");
        row("record, beside a locked hdrhistogram", threads, Some(goal), || ours.record(black_box(VALUE)), record);
    }
    limiters();
    batches();
    samplings();
    metrics();
}

/// As a user would write it: so many in each second, by key.
#[derive(Default)]
struct Windows(Mutex<HashMap<String, (u64, u32)>>);

impl Windows {
    fn check(&self, began: Instant, key: &str) -> bool {
        let second = began.elapsed().as_secs();
        let mut windows = self.0.lock().expect("nobody panics");
        if !windows.contains_key(key) {
            windows.insert(key.to_owned(), (second, 0));
        }
        let window = windows.get_mut(key).expect("it is there");
        if window.0 != second {
            *window = (second, 0);
        }
        window.1 += 1;
        window.1 <= 100
    }
}

fn limiters() {
    head("ns for each: a limiter, nearly all refused");
    let keys: Vec<_> = (0..1_000).map(|number| format!("user-{number}")).collect();
    let clock = Clock::system();
    for (what, keys) in [("check of one key, beside a locked map", &keys[..1]), ("check of 1,000 keys", &keys[..])] {
        let ours = Limiter::new(&clock, Limits::of(100, SECOND));
        let (its, began) = (Windows::default(), Instant::now());
        // Each thread has its own way through the keys.
        let turns: [AtomicU64; 8] = Default::default();
        let key = || {
            let turn = &turns[stripe() % 8];
            let number = turn.load(Relaxed);
            turn.store(number + 1, Relaxed);
            keys[number as usize % keys.len()].as_str()
        };
        for threads in [1, 2] {
            row(what, threads, None, || _ = black_box(ours.check(key())), || _ = black_box(its.check(began, key())));
        }
    }
}

fn batches() {
    head("ns for each: batches of 100");
    let telemetry = Telemetry::new();
    let ours = telemetry.batch("rows", Batching::of(100).capacity(100_000), |rows: Vec<u64>| _ = black_box(rows));
    // One that finds no room costs no more: the thread that delivers may be without a core for a while.
    let add = || _ = ours.add(VALUE);
    let locked = Mutex::new(Vec::with_capacity(100));
    let push = || {
        let whole = {
            let mut rows = locked.lock().expect("nobody panics");
            rows.push(VALUE);
            (rows.len() == 100).then(|| mem::replace(&mut *rows, Vec::with_capacity(100)))
        };
        _ = black_box(whole);
    };
    let (sends, receives) = crossbeam_channel::bounded(10_000);
    let send = || {
        sends.send(VALUE).expect("the other end is here");
        if sends.len() >= 100 {
            _ = black_box(receives.try_iter().take(100).collect::<Vec<_>>());
        }
    };
    for threads in [1, 2] {
        row("add, beside a locked Vec", threads, None, add, push);
        row("add, beside a channel that is emptied", threads, None, add, send);
    }
    let aged = Telemetry::new().batch("rows", Batching::of(100).age(SECOND), |rows: Vec<u64>| _ = black_box(rows));
    row("add with an age, beside one without", 1, None, || aged.add(VALUE).expect("there is room"), add);
}

fn listened(telemetry: &Telemetry) -> Emitter {
    let count = AtomicU64::new(0);
    let counts = move |event: &Event| {
        black_box(event);
        count.fetch_add(1, Relaxed);
    };
    telemetry.attach("counts", [SOLD], counts).expect("the id is free");
    telemetry.emitter(SOLD)
}

fn emit(emitter: &Emitter) {
    black_box(emitter).emit(|| (fields! { duration: VALUE }, fields! { shop: "Leith" }));
}

fn samplings() {
    head("ns for each: an event with a sampler, beside one without");
    let plain = listened(&Telemetry::new());
    let hour = Duration::from_secs(3_600);
    for (what, sampling) in [
        ("always", Sampling::Always),
        ("never", Sampling::Never),
        ("random, 1 of 100", Sampling::Random(0.01)),
        ("rate-limited, nearly none", Sampling::RateLimited(100)),
        ("adaptive, nearly none", Sampling::Adaptive(100)),
        ("reservoir, nearly none", Sampling::Reservoir { keep: 100, window: hour }),
    ] {
        let telemetry = Telemetry::new();
        let sampled = listened(&telemetry);
        telemetry.sample(SOLD, sampling).expect("there is room");
        for threads in [1, 2] {
            row(what, threads, None, || emit(&sampled), || emit(&plain));
        }
    }
}

fn metrics() {
    head("ns for each: an event that is measured, beside one handler that counts");
    let plain = listened(&Telemetry::new());
    for (what, metric) in [
        ("counter", Metric::counter("m", SOLD)),
        ("counter with a tag", Metric::counter("m", SOLD).tags(&["shop"])),
        ("sum", Metric::sum("m", SOLD, "duration")),
        ("last value", Metric::last_value("m", SOLD, "duration")),
        ("distribution with a tag", Metric::distribution("m", SOLD, "duration").tags(&["shop"])),
    ] {
        let telemetry = Telemetry::new();
        telemetry.measure("m", [metric]).expect("the id is free");
        let measured = telemetry.emitter(SOLD);
        for threads in [1, 2] {
            row(what, threads, None, || emit(&measured), || emit(&plain));
        }
    }
    let telemetry = Telemetry::new();
    let sum = telemetry.batch_events(SOLD, Batching::of(100), &["duration"]);
    _ = listened(&telemetry);
    let one = || sum.add(fields! { duration: VALUE }).expect("there is room");
    row("one of 100 that become an event", 1, None, one, || emit(&plain));
}
