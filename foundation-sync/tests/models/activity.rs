//! A fact that is waited for.

use std::sync::Arc;

use foundation_sync::{Activity, Deadline, Mutex};
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
