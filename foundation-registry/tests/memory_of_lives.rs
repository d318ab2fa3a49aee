//! What lives cost in memory when they are over: nothing but their tombstones, which make room for each other.
//!
//! Counted by an allocator that comes with the crate allocation-counter, for each thread by itself.
#![cfg(not(any(loom, shuttle)))]

use allocation_counter::measure;
use foundation_context::{Fields, Incarnation};
use foundation_registry::{Exit, KeyLocks, MonitorOptions, Owner, Owners, Registry, TOMBSTONES};
use foundation_sync::{Clock, Full, Queue};
use foundation_telemetry::Telemetry;

const MANY: u64 = 10_000;
/// Tables grow in steps, and what was removed comes back in the middle of later calls of its thread: a rest, which does
/// not grow with the lives. Each record is larger than this part of it.
const MOST_BYTES: i64 = MANY as i64 * 32;

/// So many lives, one after the other, each of which does this before it ends. What it has then is dropped too late.
#[track_caller]
fn check<T>(does: impl Fn(&Registry<u8>, &Owner) -> T) {
    let owners = Owners::default();
    let registry = Registry::new(&owners, &Telemetry::new());
    let mut next = 0;
    let mut lives = |count| {
        for _ in 0..count {
            next += 1;
            let owner = owners.begin(Incarnation { id: next, generation: 1 }, "one of many");
            let late = does(&registry, &owner);
            drop(owner.end(Exit::Failed(format!("the reason of {next:064}").into())));
            drop(late);
        }
    };
    // From here on a tombstone takes the place of another.
    lives(4 * TOMBSTONES as u64);
    let left = measure(|| lives(MANY));
    assert!(left.bytes_current < MOST_BYTES, "of {MANY} lives there is left: {left:?}");
    assert!(owners.live().is_empty());
}

#[test]
fn a_life_that_did_nothing_leaves_a_tombstone_at_most() {
    check(|_, _| {});
}

#[test]
fn a_life_that_did_this_and_that_leaves_no_more() {
    let (locks, news) = (KeyLocks::new(&Clock::system()), Queue::bounded(1, Full::Refuse));
    let (others, kept) = (Owners::default(), Queue::bounded(1, Full::Refuse));
    let other = others.begin(Incarnation { id: 1, generation: 1 }, "it lives on");
    check(|registry, owner| {
        registry.register("name", owner, 1, Fields::new()).expect("its last owner has ended").keep();
        let guard = locks.try_lock("key", owner).expect("its last holder has ended");
        let asked = MonitorOptions::new().caller(owner);
        drop((owner.monitor_with(asked.clone()), other.monitor_with(asked.clone())));
        _ = news.try_recv(); // of the one before
        registry.owners().monitor_into(owner.incarnation(), &news).expect("there is room");
        others.monitor_into_with(other.incarnation(), &kept, asked).expect("the one before has given its place up");
        (guard, owner.stop().clone(), owner.monitor())
    });
    assert!(news.try_recv().is_ok(), "of the last one");
    assert_eq!((locks.locks().len(), others.monitors().len()), (0, 0));
}
