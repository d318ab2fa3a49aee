//! Whether the calling thread's waits are anybody's business: one look at a word, for most are nobody's.

use std::cell::Cell;

use crate::thread_slot;

thread_slot! {
    /// For how many: a virtual time, somebody who follows the thread. Without a drop, so it costs nothing to look at.
    static WATCHERS: Cell<usize> = Cell::new(0);
}

/// Whether somebody watches.
#[inline]
pub(crate) fn is() -> bool {
    WATCHERS.try_with(|watchers| watchers.get() > 0).unwrap_or(false)
}

/// One more, from now on.
pub(crate) fn more() {
    _ = WATCHERS.try_with(|watchers| watchers.set(watchers.get() + 1));
}

/// One less: on the thread on which it was one more.
pub(crate) fn less() {
    _ = WATCHERS.try_with(|watchers| watchers.set(watchers.get().saturating_sub(1)));
}
