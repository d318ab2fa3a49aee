//! The right to end a life.

use std::{fmt, ops::Deref};

use crate::{Exit, Owner, Remains};

/// The right to end a life, which [`Owners::begin`](crate::Owners::begin) gives out: there is one for each life. Everybody
/// else has an [`Owner`], with which one can own names, receive and wait, but not end it. Where either of two may end it,
/// they share the guard in an [`Arc`](std::sync::Arc).
///
/// Dropped before it [ended](Self::end) the life, it does that itself: the exit is [`Exit::Failed`], and says so. That is
/// an `end`, and drops what [remains](Remains), so it may run users' code: let go of it where that may run, under no lock.
/// One that is forgotten ([`std::mem::forget`]) leaves a life that goes on.
///
/// ```
/// use foundation_context::Incarnation;
/// use foundation_registry::{Exit, Owners};
///
/// let owners = Owners::default();
/// let guard = owners.begin(Incarnation { id: 1, generation: 1 }, "indexer");
/// let owner = guard.owner().clone(); // for everybody
/// assert!(!owner.fenced());
/// drop(guard);
/// assert!(owner.fenced());
/// assert!(matches!(owners.exit_of(owner.incarnation()), Some(Exit::Failed(_))));
/// ```
#[must_use = "dropped, it ends the life"]
pub struct OwnerGuard(Owner);

impl OwnerGuard {
    pub(crate) fn new(owner: Owner) -> Self {
        Self(owner)
    }

    /// Whose life it is: for whoever may know of it, without the right to end it.
    pub fn owner(&self) -> &Owner {
        &self.0
    }

    /// The life ends so. `None`: it has ended, or another thread that has this guard is just ending it, and that end
    /// stands. Who comes second does not wait for the first: the end may not be complete yet. A [monitor](Owner::monitor)
    /// hears when it is.
    ///
    /// It waits for nothing but this life's receives that are under way, which it wakes, and runs no user's code. To whoever
    /// was first, on return its names are free, its receives are over ([`recv`](Owner::recv)), the monitors that it
    /// [asked for](crate::MonitorOptions::caller) are dropped, and its own monitors have their Down.
    pub fn end(&self, exit: Exit) -> Option<Remains> {
        self.0.end(exit)
    }
}

impl Deref for OwnerGuard {
    type Target = Owner;

    fn deref(&self) -> &Owner {
        &self.0
    }
}

impl Drop for OwnerGuard {
    fn drop(&mut self) {
        // Looked at first: the text of an end that has been need not be made. Under the lock, for loom does not know what
        // an `Arc` orders: it may show the fence not yet up to whoever lets go last.
        if !self.0.is_ending() {
            drop(self.end(Exit::Failed("the right to end it was dropped before it ended".into())));
        }
    }
}

impl fmt::Debug for OwnerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerGuard({:?})", self.0)
    }
}
