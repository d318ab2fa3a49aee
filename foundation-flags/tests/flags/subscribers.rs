//! Who hears of decisions.

use std::sync::Arc;

use foundation_flags::{Flag, Flags, MigrationPlan};
use foundation_sync::Mutex;

use crate::soon;

const A: Flag = Flag::off("a");

fn flags() -> Flags {
    let plan = MigrationPlan::new("p").stage("one", &[Flag::off("planned")]);
    Flags::builder().flag(&A).plan(plan).start().expect("they fit together")
}

#[test]
fn a_subscriber_hears_of_every_decision_of_any_kind_in_order_until_it_is_dropped() {
    let flags = flags();
    flags.change("alice", "before").on(&A).apply(soon()).expect("it is free");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let subscription = flags.subscribe(move |change| hears.lock().push(change.to_string())).expect("there is room");
    flags.change("alice", "after").percent(&A, 5.0).apply(soon()).expect("it is free");
    flags.advance_to(1, "bob", "next", soon()).expect("it is next");
    flags.emergency_rollback("lost");
    drop(subscription);
    flags.change("alice", "later").on(&A).apply(soon()).expect("it is free");
    let expected = [
        "2: set by alice (after); a 5 %",
        "3: advanced from stage 0 to 1 by bob (next); planned on",
        "4: emergency rollback from stage 1 to 0 by emergency (lost); planned off",
    ];
    assert_eq!(*heard.lock(), expected);
}

#[test]
fn a_subscriber_may_change_flags_and_hears_of_that_in_turn() {
    let flags = flags();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (hears, changes) = (Arc::clone(&heard), flags.clone());
    let subscription = flags.subscribe(move |change| {
        hears.lock().push(change.version);
        if change.version == 1 {
            changes.change("subscriber", "and on").off(&A).apply(soon()).expect("it is free");
        }
    });
    flags.change("alice", "x").on(&A).apply(soon()).expect("it is free");
    assert_eq!(*heard.lock(), [1, 2]);
    assert!(!flags.enabled(&A));
    drop(subscription);
}

#[test]
fn a_subscriber_that_panics_keeps_nobody_from_hearing_and_is_counted() {
    let flags = flags();
    let heard = Arc::new(Mutex::new(0));
    let hears = Arc::clone(&heard);
    let first = flags.subscribe(|_| panic!("not today")).expect("there is room");
    let second = flags.subscribe(move |_| *hears.lock() += 1).expect("there is room");
    flags.change("alice", "x").on(&A).apply(soon()).expect("it is free");
    flags.change("alice", "x").off(&A).apply(soon()).expect("it is free");
    assert_eq!((*heard.lock(), flags.status().subscriber_panics), (2, 2));
    drop((first, second));
}

/// A value whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_subscriber_whose_drop_panics_while_it_is_told_keeps_nobody_from_hearing() {
    let flags = flags();
    let own = Arc::new(Mutex::new(None));
    let (itself, bomb) = (Arc::clone(&own), Bomb);
    let subscription = flags.subscribe(move |_| {
        // Its last handle is with who tells, by now.
        drop(itself.lock().take());
        _ = &bomb;
    });
    *own.lock() = Some(subscription.expect("there is room"));
    let heard = Arc::new(Mutex::new(0));
    let hears = Arc::clone(&heard);
    let second = flags.subscribe(move |_| *hears.lock() += 1).expect("there is room");
    flags.change("alice", "x").on(&A).apply(soon()).expect("it is free");
    flags.change("alice", "x").off(&A).apply(soon()).expect("it is free");
    assert_eq!((*heard.lock(), flags.status().subscriber_panics), (2, 1));
    let bomb = Bomb;
    drop(flags.subscribe(move |_| _ = &bomb).expect("there is room"));
    assert_eq!(flags.status().subscriber_panics, 2, "who drops it does not hear of it");
    drop(second);
}

#[test]
fn a_subscription_does_not_keep_the_flags() {
    let flags = flags();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let subscription = flags.subscribe(move |_| _ = &held).expect("there is room");
    drop(flags);
    assert_eq!(Arc::strong_count(&alive), 1);
    drop(subscription);
}

#[test]
fn there_are_so_many_subscriptions_and_no_more() {
    let flags = flags();
    let all: Vec<_> = (0..foundation_flags::MOST_SUBSCRIBERS).map(|_| flags.subscribe(|_| {}).expect("room")).collect();
    let refused = flags.subscribe(|_| {}).map(drop).expect_err("there is no room");
    assert!(refused.to_string().starts_with("there are 1024 subscriptions already"), "{refused}");
    drop(all);
    drop(flags.subscribe(|_| {}).expect("there is room again"));
}
