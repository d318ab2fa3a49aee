//! A count to which many threads add, at the price of an addition.
//!
//! # Protocol
//! A cell is taken by the first thread that adds to it, for good, and only that one adds to its own part: a load and a
//! store, which nobody comes between. A thread that finds its cell taken adds to the part that is anybody's, in one step.
//! So what is counted is exact, and threads that come after others have ended pay what a shared count costs.

use std::fmt;

use foundation_sync::{
    MODEL,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    planted, reached, thread_number,
};

const CELLS: usize = if MODEL { 1 } else { 8 };

/// A count to which many threads add, at the price of an addition. It is exact, and never goes back.
///
/// ```
/// use foundation_telemetry::Tally;
///
/// let calls = Tally::default();
/// (0..3).for_each(|_| calls.add());
/// assert_eq!(calls.sum(), 3);
/// ```
#[derive(Default)]
pub struct Tally([Cell; CELLS]);

/// In a line of its own, so that threads do not write what others do.
#[derive(Default)]
#[repr(align(64))]
struct Cell {
    /// One more than the number of the thread that has it.
    owner: AtomicUsize,
    own: AtomicU64,
    others: AtomicU64,
}

impl Tally {
    /// Counts one.
    #[inline]
    pub fn add(&self) {
        let number = thread_number();
        let cell = &self.0[number.unwrap_or(0) % self.0.len()];
        // ordering: Relaxed, here and below: the owner's part is nobody else's to write, and a count orders nothing.
        match number {
            Some(number) if cell.owner.load(Ordering::Relaxed) == number + 1 => cell.add_own(),
            _ => cell.add_first(number),
        }
    }

    /// How many were counted: what was added before this, and of what is being added now perhaps some.
    #[must_use]
    pub fn sum(&self) -> u64 {
        // ordering: counts
        self.0.iter().map(|cell| cell.own.load(Ordering::Relaxed) + cell.others.load(Ordering::Relaxed)).sum()
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tally({})", self.sum())
    }
}

impl Cell {
    #[inline]
    fn add_own(&self) {
        // ordering: as above
        self.own.store(self.own.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[cold]
    fn add_first(&self, number: Option<usize>) {
        // ordering: as above
        let take = |number: usize| self.owner.compare_exchange(0, number + 1, Ordering::Relaxed, Ordering::Relaxed);
        match number.map(take) {
            Some(Ok(_)) => self.add_own(),
            _ if planted!("tally: who finds the cell taken adds to it all the same") => self.add_own(),
            _ => {
                reached!("tally: the cell is somebody else's");
                self.others.fetch_add(1, Ordering::Relaxed); // ordering: as above
            }
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::sync::Arc;

    use foundation_testkit::{join, spawn};

    use super::*;

    #[test]
    fn what_many_threads_add_one_after_the_other_and_at_once_is_counted_once() {
        let tally = Arc::new(Tally::default());
        for _ in 0..5 {
            let adds = |tally: Arc<Tally>| move || (0..1_000).for_each(|_| tally.add());
            let threads: Vec<_> = (0..4).map(|_| spawn(adds(Arc::clone(&tally)))).collect();
            (0..1_000).for_each(|_| tally.add());
            threads.into_iter().for_each(join);
        }
        assert_eq!(tally.sum(), 25_000);
        let own: u64 = tally.0.iter().map(|cell| cell.own.load(Ordering::Relaxed)).sum();
        assert!(own >= 5_000, "this thread has a cell: {own}");
    }
}
