//! What a call costs in memory: its envelope.
//!
//! Counted by an allocator that comes with the crate stats_alloc, for all threads: so there is one test here.
#![cfg(not(any(loom, shuttle)))]

use std::alloc::System;

use foundation_server::{Handle, Server, Turn, server};
use foundation_supervisor::{Foundation, Strategy, Supervisor};
use foundation_sync::{MINUTE, SECONDS_5};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MANY: usize = 1000;

struct Totals(u64);
struct Add(u64);
struct Get;

impl Server for Totals {}

impl Handle<Add> for Totals {
    type Reply = ();
    fn handle(&mut self, Add(number): Add, _: &mut Turn<'_, Self>) {
        self.0 += number;
    }
}

impl Handle<Get> for Totals {
    type Reply = u64;
    fn handle(&mut self, _: Get, _: &mut Turn<'_, Self>) -> u64 {
        self.0
    }
}

/// The fewest of some rounds: what else goes on in a process may allocate now and then.
fn fewest(mut act: impl FnMut()) -> usize {
    let round = |_| {
        let region = Region::new(COUNTED);
        act();
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..20).map(round).min().expect("there are rounds")
}

#[test]
fn a_call_and_a_cast_allocate_their_envelope_and_nothing_else() {
    let system = Foundation::builder().start();
    let (spec, totals) = server("totals", || Totals(0));
    let tree = Supervisor::new("t", Strategy::OneForOne).child(spec);
    tree.start(&system, system.within(SECONDS_5)).expect("it starts");
    let until = system.within(MINUTE);
    let call = || _ = totals.call(Get, &until).expect("it answers");
    // Whether they sleep or not.
    assert_eq!(fewest(|| (0..MANY).for_each(|_| call())), MANY, "for so many calls");
    let casts = || {
        (0..MANY).for_each(|_| totals.cast(Add(1)).expect("there is room"));
        call();
    };
    assert_eq!(fewest(casts), MANY + 1, "for so many casts and a call");
    assert!(system.stop(SECONDS_5).is_clean());
}
