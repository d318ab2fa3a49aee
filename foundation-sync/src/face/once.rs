//! A cell that is written once.

use std::fmt;

/// A cell that is written once. Readers never wait; no user's code runs while it is locked.
///
/// Unlike with a lock round an option, what was read may be kept as long as the cell; unlike with std's `OnceLock`,
/// nobody makes a value while others wait for it: two may make one at once ([`get_or`](Self::get_or)). Two who *write* at
/// once wait for each other, while one value is moved into the cell.
///
/// ```
/// use foundation_sync::Once;
///
/// let name = Once::new();
/// assert_eq!(name.get(), None);
/// assert_eq!(name.get_or(|| "first"), &"first");
/// assert_eq!(name.set("second"), Err("second"));
/// assert_eq!(name.into_inner(), Some("first"));
/// ```
pub struct Once<T>(face::Cell<T>);

impl<T> Once<T> {
    /// Nothing is written yet.
    pub fn new() -> Self {
        Self(face::Cell::new())
    }

    /// What was written. Whoever reads it sees all that its writer did before.
    #[track_caller]
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// Writes the value. However it ends, [`get`](Self::get) returns a value from now on.
    ///
    /// # Errors
    /// Somebody else was first; the value comes back.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        self.0.set(value)
    }

    /// What was written, or else what `make` makes now. Two may make at once: one wins, what the other made is dropped by
    /// the thread that made it, before this returns. If `make` panics, nothing is written.
    #[track_caller]
    pub fn get_or(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(there) = self.get() {
            return there;
        }
        if let Err(late) = self.set(make()) {
            crate::reached!("once: somebody else was faster");
            drop(late);
        }
        self.get().expect("it was set, by us or by who was faster")
    }

    /// What was written.
    pub fn into_inner(self) -> Option<T> {
        self.0.into_inner()
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once(..)")
    }
}

#[cfg(not(any(loom, shuttle)))]
#[expect(clippy::disallowed_types, reason = "the door itself")]
mod face {
    use std::sync::OnceLock;

    pub(super) struct Cell<T>(OnceLock<T>);

    impl<T> Cell<T> {
        pub(super) fn new() -> Self {
            Self(OnceLock::new())
        }

        pub(super) fn get(&self) -> Option<&T> {
            self.0.get()
        }

        pub(super) fn set(&self, value: T) -> Result<(), T> {
            self.0.set(value)
        }

        pub(super) fn into_inner(self) -> Option<T> {
            self.0.into_inner()
        }
    }
}

/// std's cell gives out the reference; the model sees what stands beside it. All threads of a model are one thread of
/// the operating system, so nothing of the model's may happen while std's cell is being written.
#[cfg(any(loom, shuttle))]
#[expect(clippy::disallowed_types, reason = "the door itself")]
mod face {
    use std::sync::OnceLock;

    use super::super::{
        Mutex,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    };

    pub(super) struct Cell<T> {
        value: OnceLock<T>,
        written: AtomicBool,
        /// Whether somebody writes, or has written. Who writes waits for others who do, as with std's cell.
        taken: Mutex<bool>,
        /// Who touches it is seen by the model at that point; it orders nothing.
        touched: AtomicUsize,
    }

    impl<T> Cell<T> {
        pub(super) fn new() -> Self {
            Self {
                value: OnceLock::new(),
                written: AtomicBool::new(false),
                taken: Mutex::new(false),
                touched: AtomicUsize::new(0),
            }
        }

        #[track_caller]
        pub(super) fn get(&self) -> Option<&T> {
            // ordering: none. Loom never turns round a load and the store of a thread that has loaded itself; it does turn
            // round two of these.
            self.touched.fetch_add(1, Relaxed);
            // ordering: Acquire, pairs with the Release in `set`: whoever sees a value sees what its writer did before.
            if self.written.load(Acquire) { self.value.get() } else { None }
        }

        #[track_caller]
        pub(super) fn set(&self, value: T) -> Result<(), T> {
            let mut taken = self.taken.lock();
            if *taken {
                return Err(value);
            }
            *taken = true;
            // Held until the value is there.
            let _taken = (!crate::planted!("once: the loser does not wait for the winner")).then_some(taken);
            self.value.set(value).ok().expect("`taken` lets one in");
            let order = if crate::planted!("once: published without order") { Relaxed } else { Release };
            // ordering: Release, pairs with the Acquire in `get`.
            self.written.store(true, order);
            Ok(())
        }

        pub(super) fn into_inner(self) -> Option<T> {
            self.value.into_inner()
        }
    }
}
