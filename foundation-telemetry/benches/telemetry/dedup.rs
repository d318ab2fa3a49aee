//! What is suppressed, beside 64 locked maps of the times at which windows end.

use std::{
    cell::Cell,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    hint::black_box,
    sync::Mutex,
    time::{Duration, Instant},
};

use foundation_context::fields;
use foundation_telemetry::{Emitter, EventName, Telemetry, event_name};

use crate::table::{head, row};

const SOLD: EventName = event_name!("shop", "item", "sold");
const HOUR: Duration = Duration::from_secs(3600);

/// By key: when its window ends.
struct Maps {
    hasher: RandomState,
    maps: [Mutex<HashMap<String, Instant>>; 64],
}

impl Maps {
    fn new() -> Self {
        Self { hasher: RandomState::new(), maps: std::array::from_fn(|_| Mutex::default()) }
    }

    fn passes(&self, key: &str) -> bool {
        let mut map = self.maps[self.hasher.hash_one(key) as usize % 64].lock().expect("nobody panics");
        let now = Instant::now();
        match map.get_mut(key) {
            Some(end) if now < *end => false,
            Some(end) => {
                *end = now + HOUR;
                true
            }
            None => map.insert(key.to_owned(), now + HOUR).is_none(),
        }
    }
}

fn emitter() -> Emitter {
    let telemetry = Telemetry::new();
    telemetry.attach("hears", [SOLD], |event| _ = black_box(event)).expect("the id is free");
    telemetry.emitter(SOLD)
}

fn ours(emitter: &Emitter, key: &str) {
    _ = black_box(emitter.emit_once_per(HOUR, black_box(key), || (fields! {}, fields! {})));
}

fn its(maps: &Maps, key: &str) {
    _ = black_box(maps.passes(black_box(key)));
}

thread_local! {
    static NEXT: Cell<usize> = const { Cell::new(0) };
}

/// One after another, on each thread.
fn next(keys: &[String]) -> &str {
    NEXT.with(|next| {
        next.set((next.get() + 1) % keys.len());
        &keys[next.get()]
    })
}

pub(crate) fn print() {
    head("ns for each emission that is suppressed");
    let (emitter, maps) = (emitter(), Maps::new());
    for (threads, goal) in [(1, 1.0), (2, 0.4)] {
        row("one hot key", threads, Some(goal), || ours(&emitter, "gauge:17"), || its(&maps, "gauge:17"));
    }
    let keys: Vec<_> = (0..1_000).map(|key| format!("gauge:{key}")).collect();
    for threads in [1, 2] {
        row("1,000 keys", threads, None, || ours(&emitter, next(&keys)), || its(&maps, next(&keys)));
    }
}
