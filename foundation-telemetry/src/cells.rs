//! Counts of what windows suppress: one for each window and stripe, so that threads do not write the same one.
//!
//! # Protocol
//! A cell is one word: for which of its slot's windows it counts, and how many. Who counts does so in one step that fails
//! if the cell counts for another window by now; who closes a window takes each cell's count and gives the cell to the
//! next window in one step. So each emission is counted once, for its own window. All but counting is done under the lock
//! of the slot's bucket. A stripe is made by the first thread that uses it; its cells are for no window until somebody
//! who holds that lock [opens](Cells::count_locked) them.

use foundation_sync::{
    MODEL, Once,
    atomic::{AtomicU64, Ordering},
    planted, reached, stripe,
};

/// How many threads count without meeting each other.
const STRIPES: usize = if MODEL { 2 } else { 8 };

/// Which of its slot's windows: used again after 2^32 others.
pub(crate) type Epoch = u32;

/// How many a cell counts before they are moved elsewhere, under the lock.
const MOST: u32 = u32::MAX;

pub(crate) struct Cells {
    stripes: [Once<Box<[AtomicU64]>>; STRIPES],
    slots: usize,
}

/// A cell's word.
fn word(epoch: Epoch, count: u32) -> u64 {
    u64::from(epoch) << 32 | u64::from(count)
}

fn parts(word: u64) -> (Epoch, u32) {
    ((word >> 32) as u32, word as u32)
}

impl Cells {
    pub(crate) fn new(slots: usize) -> Self {
        Self { stripes: std::array::from_fn(|_| Once::new()), slots }
    }

    fn own(&self, slot: usize) -> &AtomicU64 {
        let make = || std::iter::repeat_with(|| AtomicU64::new(word(0, 0))).take(self.slots).collect();
        &self.stripes[stripe() % STRIPES].get_or(make)[slot]
    }

    fn all(&self, slot: usize) -> impl Iterator<Item = &AtomicU64> {
        self.stripes.iter().filter_map(Once::get).map(move |stripe| &stripe[slot])
    }

    /// Counts one for this window, and says whether it is the first in its cell; `None` if the cell is not for that
    /// window, or is full.
    #[inline]
    pub(crate) fn count(&self, slot: usize, epoch: Epoch) -> Option<bool> {
        let cell = self.own(slot);
        if planted!("dedup: an emission is counted for whatever window is there") {
            return Some(parts(cell.fetch_add(1, Ordering::Relaxed)).1 == 0); // ordering: as below
        }
        let mut seen = cell.load(Ordering::Relaxed); // ordering: a guess
        loop {
            let (whose, count) = parts(seen);
            if whose != epoch || count == MOST {
                if whose > epoch {
                    reached!("dedup: its window was closed meanwhile");
                }
                return None;
            }
            // ordering: a count by itself. Who has seen the key or the end of a later window, both stored with Release
            // after the cells were taken, finds them taken here.
            match cell.compare_exchange_weak(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(count == 0),
                Err(now) => seen = now,
            }
        }
    }

    /// Counts one for the slot's current window, which stays that under the caller's lock. Returns what the cell had
    /// counted before, if it is to be kept elsewhere now.
    pub(crate) fn count_locked(&self, slot: usize, epoch: Epoch) -> u64 {
        if self.count(slot, epoch).is_some() {
            return 0;
        }
        // ordering: a count by itself
        u64::from(parts(self.own(slot).swap(word(epoch, 1), Ordering::Relaxed)).1)
    }

    /// Takes all counts of the slot's current window; what comes later is for the next one.
    pub(crate) fn take(&self, slot: usize, next: Epoch) -> u64 {
        let take = |cell: &AtomicU64| {
            if planted!("dedup: counts are read and then cleared") {
                let seen = cell.load(Ordering::Relaxed); // ordering: as below
                cell.store(word(next, 0), Ordering::Relaxed); // ordering: as below
                return u64::from(parts(seen).1);
            }
            // ordering: a count by itself. What publishes the next window comes after it, with Release.
            u64::from(parts(cell.swap(word(next, 0), Ordering::Relaxed)).1)
        };
        self.all(slot).map(take).sum()
    }

    /// What is counted for the slot's current window so far.
    pub(crate) fn counted(&self, slot: usize) -> u64 {
        self.all(slot).map(|cell| u64::from(parts(cell.load(Ordering::Relaxed)).1)).sum() // ordering: a count
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_is_full_is_emptied_by_whoever_holds_the_lock() {
        let cells = Cells::new(2);
        assert_eq!((cells.count(1, 7), cells.count_locked(1, 7), cells.count(1, 7)), (None, 0, Some(false)));
        cells.own(1).store(word(7, MOST), Ordering::Relaxed);
        assert_eq!((cells.count(1, 7), cells.count_locked(1, 7)), (None, u64::from(MOST)));
        assert_eq!((cells.counted(1), cells.counted(0)), (1, 0));
        assert_eq!((cells.take(1, 8), cells.take(1, 9)), (1, 0));
        assert_eq!((cells.count(1, 7), cells.count(1, 9)), (None, Some(true)));
    }
}
