//! Something happened: what waits for a fact looks again.

use std::{fmt, sync::Arc};

use crate::{
    Condvar, Deadline, Mutex,
    atomic::{AtomicUsize, Ordering},
    barrier::Barrier,
    planted,
};

/// A universe's activity counter: moved by what happens in it, and only while somebody waits.
///
/// # Protocol
/// Who waits raises `waiting`, then looks at its condition; who changes something changes it, then looks at `waiting`.
/// The two halves of a `Barrier` order each side's write before its look, so at least one sees the other's (race *look
/// past each other*). Who waits has the dear half: things happen far more often than somebody waits for them.
#[derive(Clone, Default)]
pub struct Activity(Arc<Inner>);

struct Inner {
    waiting: AtomicUsize,
    moved: Mutex<u64>,
    changed: Condvar,
    barrier: Barrier,
}

impl Default for Inner {
    fn default() -> Self {
        let (waiting, moved) = (AtomicUsize::new(0), Mutex::new(0));
        Self { waiting, moved, changed: Condvar::new(), barrier: Barrier::new() }
    }
}

impl Activity {
    /// Something happened. Without a waiter this costs a load; where the system has no barrier for all threads a fence,
    /// too.
    #[inline]
    pub fn bump(&self) {
        // Pairs with the heavy half in `wait_for`: race "look past each other".
        self.0.barrier.light();
        // ordering: Relaxed, ordered by the barrier.
        if self.0.waiting.load(Ordering::Relaxed) > 0 {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        if !planted!("activity: nobody is told") {
            *self.0.moved.lock() += 1;
            self.0.changed.notify_all();
        }
    }

    /// Looks until `look` finds something, again each time the counter moves and once more when the deadline has passed;
    /// then `None`. `look` may move the counter itself.
    #[track_caller]
    pub fn wait_for<T>(&self, until: &Deadline, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        // ordering: SeqCst, an increment that the barrier orders before the first look.
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        let _leave = Leave(&self.0);
        // Pairs with the light half in `bump`.
        self.0.barrier.heavy();
        loop {
            // Asked before the look, so that there is one after the deadline; and in each round, for the counter may move
            // during each look, or be moved by it.
            let last = until.passed();
            let seen = *self.0.moved.lock();
            if let Some(found) = look() {
                return Some(found);
            }
            if last {
                return None;
            }
            let mut moved = self.0.moved.lock();
            while *moved == seen && !until.passed() {
                moved = self.0.changed.wait(moved, until);
            }
        }
    }
}

struct Leave<'a>(&'a Inner);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        // ordering: SeqCst, the other half of the increment.
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Activity")
    }
}
