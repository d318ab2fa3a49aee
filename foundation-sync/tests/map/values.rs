//! All values at once, while others write.

use std::{hash::RandomState, sync::Arc};

use foundation_sync::{
    Map,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use foundation_testkit::{join, spawn};

use super::{Named, fill, named};

/// What was found in a table that is made anew meanwhile is looked for once more, and comes once.
#[test]
fn all_values_come_once_each_while_others_come_and_die() {
    const MANY: u64 = 20_000;
    let map = Arc::new(Map::<u64, Named>::with_shards(1, RandomState::new()));
    let _all = fill(&map, MANY);
    let (theirs, done) = (Arc::clone(&map), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&done);
    let writer = spawn(move || {
        // Each dies where it is; the table is made anew when it is full of them.
        for number in MANY.. {
            assert_eq!(theirs.insert_unless(&named(number, 0), |_| true), Ok(None));
            if over.load(Relaxed) {
                return;
            }
        }
    });
    for _ in 0..100 {
        let mut numbers: Vec<_> = map.values().iter().map(|value| value.number).collect();
        numbers.sort_unstable();
        assert!(numbers.is_sorted_by(|one, next| one < next), "one comes twice");
        assert!(numbers.iter().copied().take(MANY as usize).eq(0..MANY), "one is missing");
    }
    done.store(true, Relaxed);
    join(writer);
}
