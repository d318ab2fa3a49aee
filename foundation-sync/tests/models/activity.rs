//! A fact that is waited for.

use std::sync::Arc;

use foundation_sync::{
    Activity, Deadline, Mutex,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use foundation_testkit::{explore, join, reached, spawn};

#[test]
fn who_waits_for_a_fact_hears_of_it() {
    let scenario = explore("who waits for a fact hears of it");
    scenario.reaches(&["waited", "found at once"]).catches(&["activity: nobody is told"]).run(|| {
        let (activity, fact) = (Activity::default(), Arc::new(Mutex::new(false)));
        let (moved, made) = (activity.clone(), Arc::clone(&fact));
        let other = spawn(move || {
            *made.lock() = true;
            moved.bump();
        });
        let mut looks = 0;
        let found = activity.wait_for(&Deadline::never(), || {
            looks += 1;
            fact.lock().then_some(())
        });
        assert!(found.is_some());
        if looks > 1 {
            reached!("waited");
        } else {
            reached!("found at once");
        }
        join(other);
    });
}

/// Nothing but the barrier orders the fact and the look.
#[test]
fn who_waits_for_a_fact_that_no_lock_guards_hears_of_it() {
    let scenario = explore("who waits for a fact that no lock guards hears of it");
    scenario.reaches(&["waited", "found at once"]).catches(&["barrier: the light half is nothing"]).run(|| {
        let (activity, fact) = (Activity::default(), Arc::new(AtomicBool::new(false)));
        let (moved, made) = (activity.clone(), Arc::clone(&fact));
        let other = spawn(move || {
            made.store(true, Relaxed);
            moved.bump();
        });
        let mut looks = 0;
        let found = activity.wait_for(&Deadline::never(), || {
            looks += 1;
            fact.load(Relaxed).then_some(())
        });
        assert!(found.is_some());
        if looks > 1 {
            reached!("waited");
        } else {
            reached!("found at once");
        }
        join(other);
    });
}
