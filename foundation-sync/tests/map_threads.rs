//! Threads that use a map, and end: nothing is left of them.
//!
//! Alone in its program, for it looks at what the whole process has.
#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]

use std::sync::Arc;

use foundation_sync::{Keyed, Map, thread};

#[derive(Debug)]
struct Number(u64);

impl Keyed<u64> for Number {
    fn key(&self) -> &u64 {
        &self.0
    }
}

fn kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process of itself");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

#[test]
fn nothing_is_left_of_threads_that_used_a_map_and_ended() {
    let map = Arc::new(Map::<u64, Number>::new());
    // One who lives on, and does not use it any more.
    assert!(map.get(&0).is_none());
    let come_and_go = |threads: u64| {
        for number in 0..threads {
            let map = Arc::clone(&map);
            let body = move || {
                let value = Arc::new(Number(number));
                assert!(matches!(map.insert_unless(&value, |_| true), Ok(None)));
                assert!(map.remove(&value));
            };
            thread::Builder::new("comes").spawn(body).expect("a thread can be started").join().expect("it ends");
        }
    };
    come_and_go(2_000);
    let before = kib();
    come_and_go(20_000);
    let grown = kib().saturating_sub(before);
    assert!(grown < 1_024, "grown by {grown} KiB over 20,000 threads");
}
