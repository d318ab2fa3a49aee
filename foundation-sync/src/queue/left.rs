//! How many values are left in a batch, in one word with whether a sender sleeps because of them.
//!
//! Who owns the batch changes it without the lock of the back, by [`take`](Left::take) only; everything else happens
//! under that lock. A change of one word comes before or after another: race "room while going to sleep".

use crate::atomic::{AtomicUsize, Ordering};

const ASLEEP: usize = 1 << (usize::BITS - 1);

/// See the module.
pub(super) struct Left(AtomicUsize);

impl Left {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// At least as many as are left. Under the lock of the back it only becomes less.
    pub(super) fn count(&self) -> usize {
        // ordering: Relaxed, with the subtraction in `take`: a count, no value is read because of it.
        self.0.load(Ordering::Relaxed) & !ASLEEP
    }

    /// So many were taken out of the batch. Whether a sender sleeps that has to hear of it.
    pub(super) fn take(&self, count: usize) -> bool {
        // ordering: Relaxed, with the `fetch_or` in `sleep`: one word, one order. Who meets the bit takes the lock.
        self.0.fetch_sub(count, Ordering::Relaxed) & ASLEEP != 0
    }

    /// A sender is about to sleep: the next one to take says so. Exactly how many are left.
    pub(super) fn sleep(&self) -> usize {
        // ordering: Relaxed, with the subtraction in `take`: it meets the bit, or this sees what it took.
        self.0.fetch_or(ASLEEP, Ordering::Relaxed) & !ASLEEP
    }

    /// The sender that sleeps hears of it. How many are left.
    pub(super) fn wake(&self) -> usize {
        // ordering: Relaxed, with the `fetch_or` in `sleep`: both under the lock of the back.
        self.0.fetch_and(!ASLEEP, Ordering::Relaxed) & !ASLEEP
    }

    /// There are so many now, and nobody sleeps because of them: who leaves the lock says so again for who goes on
    /// sleeping. For who owns the batch.
    pub(super) fn set(&self, count: usize) {
        // ordering: Relaxed, with the `fetch_or` in `sleep`: both under the lock of the back.
        self.0.store(count, Ordering::Relaxed);
    }
}
