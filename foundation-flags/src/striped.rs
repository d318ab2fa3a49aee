//! A count that many threads make at once.

use foundation_sync::{
    MODEL,
    atomic::{AtomicU64, Ordering},
    stripe,
};

/// A model has no use for more.
const STRIPES: usize = if MODEL { 1 } else { 8 };

/// Counted without waiting and without allocating, and away from what others look at.
#[derive(Debug, Default)]
pub(crate) struct Striped(Box<[Line; STRIPES]>);

/// In a line of its own, so that threads do not write what others do.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Striped {
    /// Counts one more. Returns a number that nobody else gets.
    pub(crate) fn count(&self) -> u64 {
        let at = stripe() % self.0.len();
        let before = self.0[at].0.fetch_add(1, Ordering::Relaxed); // ordering: a count
        before * STRIPES as u64 + at as u64
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).sum() // ordering: a count
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use foundation_sync::Mutex;
    use foundation_testkit::{join, spawn};

    use super::*;

    #[test]
    fn each_count_has_a_number_of_its_own_on_whatever_thread() {
        let (counted, all) = (Arc::new(Striped::default()), Arc::new(Mutex::new(BTreeSet::new())));
        let threads = [(); 4].map(|()| {
            let (counted, all) = (Arc::clone(&counted), Arc::clone(&all));
            spawn(move || {
                let numbers: Vec<_> = (0..100).map(|_| counted.count()).collect();
                all.lock().extend(numbers);
            })
        });
        threads.into_iter().for_each(join);
        assert_eq!((all.lock().len(), counted.sum()), (400, 400));
    }
}
