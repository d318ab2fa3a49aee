//! Something happened: what waits for a fact looks again.

use std::{fmt, sync::Arc};

use crate::{
    Condvar, Deadline, Mutex,
    atomic::{AtomicUsize, Ordering},
    fence, planted,
};

/// A universe's activity counter: moved by what happens in it, and only while somebody waits.
///
/// # Protocol
/// Who waits raises `waiting`, then looks at its condition; who changes something changes it, then looks at `waiting`.
/// The two fences order each side's write before its look, so at least one sees the other's (race *look past each
/// other*).
#[derive(Clone, Default)]
pub struct Activity(Arc<Inner>);

struct Inner {
    waiting: AtomicUsize,
    moved: Mutex<u64>,
    changed: Condvar,
}

impl Default for Inner {
    fn default() -> Self {
        Self { waiting: AtomicUsize::new(0), moved: Mutex::new(0), changed: Condvar::new() }
    }
}

impl Activity {
    /// Something happened. Without a waiter this costs a fence and a load.
    pub fn bump(&self) {
        // ordering: SeqCst, pairs with the fence in `wait_for`: race "look past each other".
        fence(Ordering::SeqCst);
        // ordering: Relaxed, ordered by the fence.
        if self.0.waiting.load(Ordering::Relaxed) > 0 && !planted!("activity: nobody is told") {
            *self.0.moved.lock() += 1;
            self.0.changed.notify_all();
        }
    }

    /// Looks until `look` finds something, again each time the counter moves and once more when the deadline has passed; then
    /// `None`. `look` may move the counter itself.
    #[track_caller]
    pub fn wait_for<T>(&self, until: &Deadline, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        // ordering: SeqCst, an increment that the fence orders before the first look.
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        let _leave = Leave(&self.0);
        // ordering: SeqCst, pairs with the fence in `bump`.
        fence(Ordering::SeqCst);
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
