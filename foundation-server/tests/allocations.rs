//! What a call costs in memory: its envelope.
//!
//! Counted by an allocator that comes with the crate stats_alloc, for all threads: so there is one test here.
#![cfg(not(any(loom, shuttle)))]

use std::alloc::System;

use foundation_server::{Handle, Server, Turn, server};
use foundation_supervisor::{Foundation, Strategy, Supervisor};
use foundation_sync::{Deadline, MINUTE, SECONDS_5, Whereabouts, thread};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MANY: usize = 1000;
/// Of those that sleep, for which two threads are woken each.
const SOME: usize = 100;

struct Totals(u64);
struct Add(u64);
struct Get;
/// Is answered when its caller sleeps, unless that is never.
struct Late(Whereabouts, Deadline);

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

impl Handle<Late> for Totals {
    /// Whether its caller sleeps.
    type Reply = bool;
    fn handle(&mut self, Late(caller, until): Late, _: &mut Turn<'_, Self>) -> bool {
        while caller.waits_at().is_none() && !until.passed() {
            thread::yield_now();
        }
        caller.waits_at().is_some()
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
    assert_eq!(fewest(|| (0..MANY).for_each(|_| call())), MANY, "for so many calls");
    let caller = Whereabouts::default();
    let sleep = || {
        let late = Late(caller.clone(), until.clone());
        assert_eq!(totals.call(late, &until).ok(), Some(true), "it was answered when its caller slept");
    };
    caller.follow(|| assert_eq!(fewest(|| (0..SOME).for_each(|_| sleep())), SOME, "for so many calls that sleep"))();
    let casts = || {
        (0..MANY).for_each(|_| totals.cast(Add(1)).expect("there is room"));
        call();
    };
    assert_eq!(fewest(casts), MANY + 1, "for so many casts and a call");
    assert!(system.stop(SECONDS_5).is_clean());
}
