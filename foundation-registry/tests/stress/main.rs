//! Many threads at one registry: whatever they are told could have been told to one that does one thing after another.
#![cfg(not(any(loom, shuttle)))]

mod beside;
mod bursts;
mod lives;
mod log;
mod modes;
mod oracle;
mod play;

use foundation_testkit::deep;
use play::{Rules, play};

/// How many calls a round has; and all rounds.
const ROUND: usize = 50_000;

fn calls() -> usize {
    if deep() { 5_000_000 } else { 100_000 }
}

fn check(rules: Rules) {
    for seed in 1..=(calls() / rules.calls) as u64 {
        oracle::check(&play(seed, rules));
    }
}

#[test]
fn what_many_threads_are_told_of_a_registry_could_have_come_one_after_another() {
    check(Rules { capacity: 4096, flipped: false, calls: ROUND });
}

#[test]
fn so_could_what_they_are_told_of_one_that_is_mostly_full() {
    check(Rules { capacity: 24, flipped: false, calls: ROUND });
}

#[cfg(feature = "legacy")]
#[test]
fn so_could_what_they_are_told_while_it_is_switched_between_its_two_ways_to_work() {
    check(Rules { capacity: 4096, flipped: true, calls: ROUND });
}
