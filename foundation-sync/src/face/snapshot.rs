//! A shared value that is replaced as a whole.
//!
//! For real it is arc-swap's cell; in models a lock round the value. arc-swap orders all its operations (each holds a
//! sequentially consistent read-modify-write), and so does a lock; only a [`Cached`] reader that finds nothing new
//! synchronises with nobody, and in a model it looks at an atomic without the lock, so that loom shows it stale values,
//! too. What is written here once (read, copy, update) is what the models check.

use std::{
    fmt,
    ops::Deref,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

/// A shared value that is read often and replaced seldom. Readers never wait; a lock in models.
///
/// Replacing one takes some 60 ns for each thread that ever read any snapshot: it is for flags, handlers and modes,
/// never for what each worker does. A thread that reads one all the time keeps a [`Cached`] reader.
///
/// ```
/// use std::sync::Arc;
/// use foundation_sync::Snapshot;
///
/// let limits = Snapshot::new(vec![10, 20]);
/// let seen = limits.load();
/// let old = limits.swap(Arc::new(vec![30]));
/// assert_eq!((&*seen, &*old, &*limits.load()), (&vec![10, 20], &vec![10, 20], &vec![30]));
/// ```
pub struct Snapshot<T>(face::Cell<T>);

impl<T> Snapshot<T> {
    /// The first value.
    pub fn new(value: T) -> Self {
        Self(face::Cell::new(Arc::new(value)))
    }

    /// The value of this moment.
    #[track_caller]
    pub fn load(&self) -> Arc<T> {
        self.0.load()
    }

    /// The value of this moment, lent: half the price of [`load`](Self::load). As with that one, who replaces the value
    /// waits for nobody who looks at the old one, and the last of those drops it.
    #[track_caller]
    pub fn peek(&self) -> Peek<T> {
        Peek(self.0.peek())
    }

    /// A reader that keeps what it has read, and looks whether there is something new.
    #[track_caller]
    pub fn cached(&self) -> Cached<&Self, T> {
        Cached::new(self)
    }

    /// Replaces the value. Readers see the old one or the new one. If the old one was the last reference, it is dropped
    /// here.
    #[track_caller]
    pub fn store(&self, value: Arc<T>) {
        drop(self.swap(value));
    }

    /// Replaces the value and returns the old one: of all that were ever put in each comes out once.
    #[track_caller]
    pub fn swap(&self, value: Arc<T>) -> Arc<T> {
        self.0.swap(value)
    }

    /// Replaces the value by one that is made of it: read, copy, update. `make` is called again when somebody else was
    /// faster; it takes no lock, and neither does this. Returns the old value and the new one.
    ///
    /// # Errors
    /// That of `make`; nothing was replaced.
    #[track_caller]
    pub fn update<E>(&self, mut make: impl FnMut(&T) -> Result<T, E>) -> Result<(Arc<T>, Arc<T>), E> {
        let mut old = self.load();
        loop {
            let new = Arc::new(make(&old)?);
            match self.0.replace(&old, &new) {
                Ok(()) => return Ok((old, new)),
                Err(there) => old = there,
            }
            crate::reached!("snapshot: somebody else was faster");
        }
    }
}

impl<T: Default> Default for Snapshot<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot(..)")
    }
}

// A value is replaced as a whole, so a panic leaves the old one or the new one; what can be seen of it is what an `Arc`
// shows.
impl<T: RefUnwindSafe> UnwindSafe for Snapshot<T> {}
impl<T: RefUnwindSafe> RefUnwindSafe for Snapshot<T> {}

/// What a [`Snapshot`] held at the moment of the [`peek`](Snapshot::peek).
pub struct Peek<T>(face::Lent<T>);

impl<T> Deref for Peek<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Peek<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peek(..)")
    }
}

/// A thread's own reader of a [`Snapshot`], which keeps what it has read.
///
/// `S` is how it holds the snapshot: `&Snapshot<T>`, or `Arc<Snapshot<T>>` where it is to be somebody's field.
///
/// What it promises is what a relaxed atomic does. It never goes back to a value that it has left, and it sees what was
/// stored before the last thing that this thread has synchronised with (a lock, a message, a join, an acquiring load).
/// Without such a thing in between it sees a store soon, but nobody can say when. Whoever reads a *new* value also
/// sees all that was written before it was stored; a load that found nothing new shows nothing of others' writes.
///
/// What it costs: one load and a comparison while nothing changed. It keeps its value alive until it loads again or is
/// dropped, even if that is long after it was replaced.
///
/// ```
/// use std::sync::Arc;
/// use foundation_sync::{Cached, Snapshot};
///
/// struct Worker {
///     limit: Cached<Arc<Snapshot<u32>>, u32>,
/// }
///
/// let limit = Arc::new(Snapshot::new(1));
/// let mut worker = Worker { limit: Cached::new(Arc::clone(&limit)) };
/// limit.store(Arc::new(2));
/// assert_eq!(**worker.limit.load(), 2);
/// ```
pub struct Cached<S, T>(face::Reader<S, T>);

impl<T, S: Deref<Target = Snapshot<T>>> Cached<S, T> {
    /// Reads it for the first time.
    #[track_caller]
    pub fn new(snapshot: S) -> Self {
        Self(face::Reader::new(snapshot))
    }

    /// The value of this moment, as far as this thread can know.
    #[track_caller]
    pub fn load(&mut self) -> &Arc<T> {
        self.0.load()
    }
}

impl<S: Clone, T> Clone for Cached<S, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, T> fmt::Debug for Cached<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cached(..)")
    }
}

// As a snapshot.
impl<S: UnwindSafe, T: RefUnwindSafe> UnwindSafe for Cached<S, T> {}
impl<S: RefUnwindSafe, T: RefUnwindSafe> RefUnwindSafe for Cached<S, T> {}

#[cfg(not(any(loom, shuttle)))]
mod face {
    use std::{ops::Deref, sync::Arc};

    use arc_swap::{ArcSwap, Cache, Guard};

    use super::Snapshot;

    pub(super) struct Cell<T>(ArcSwap<T>);

    pub(super) type Lent<T> = Guard<Arc<T>>;

    impl<T> Cell<T> {
        pub(super) fn new(value: Arc<T>) -> Self {
            Self(ArcSwap::new(value))
        }

        pub(super) fn load(&self) -> Arc<T> {
            self.0.load_full()
        }

        pub(super) fn peek(&self) -> Lent<T> {
            self.0.load()
        }

        pub(super) fn swap(&self, value: Arc<T>) -> Arc<T> {
            self.0.swap(value)
        }

        /// Or else the one that is there instead of `old`.
        pub(super) fn replace(&self, old: &Arc<T>, new: &Arc<T>) -> Result<(), Arc<T>> {
            let there = self.0.compare_and_swap(old, Arc::clone(new));
            match Arc::ptr_eq(&there, old) {
                true => Ok(()),
                false => Err(Guard::into_inner(there)),
            }
        }
    }

    /// The way from a snapshot, however it is held, to its cell.
    #[derive(Clone)]
    struct Held<S>(S);

    impl<T, S: Deref<Target = Snapshot<T>>> Deref for Held<S> {
        type Target = ArcSwap<T>;

        fn deref(&self) -> &ArcSwap<T> {
            &self.0.0.0
        }
    }

    pub(super) struct Reader<S, T>(Cache<Held<S>, Arc<T>>);

    impl<T, S: Deref<Target = Snapshot<T>>> Reader<S, T> {
        pub(super) fn new(snapshot: S) -> Self {
            Self(Cache::new(Held(snapshot)))
        }

        pub(super) fn load(&mut self) -> &Arc<T> {
            self.0.load()
        }
    }

    impl<S: Clone, T> Clone for Reader<S, T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }
}

#[cfg(any(loom, shuttle))]
mod face {
    use std::{ops::Deref, sync::Arc};

    use super::{
        super::{
            Mutex,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        Snapshot,
    };

    pub(super) type Lent<T> = Arc<T>;

    pub(super) struct Cell<T> {
        there: Mutex<There<T>>,
        /// A copy of `There::version`.
        version: AtomicUsize,
        /// Who touches it is seen by the model at that point; it orders nothing.
        touched: AtomicUsize,
    }

    struct There<T> {
        value: Arc<T>,
        /// How often it was replaced.
        version: usize,
    }

    impl<T> Cell<T> {
        pub(super) fn new(value: Arc<T>) -> Self {
            Self {
                there: Mutex::new(There { value, version: 0 }),
                version: AtomicUsize::new(0),
                touched: AtomicUsize::new(0),
            }
        }

        #[track_caller]
        pub(super) fn load(&self) -> Arc<T> {
            self.both().0
        }

        #[track_caller]
        pub(super) fn peek(&self) -> Lent<T> {
            self.load()
        }

        /// The value and its version.
        #[track_caller]
        fn both(&self) -> (Arc<T>, usize) {
            let there = self.there.lock();
            (Arc::clone(&there.value), there.version)
        }

        #[track_caller]
        pub(super) fn swap(&self, value: Arc<T>) -> Arc<T> {
            if crate::planted!("snapshot: swap returns what it read before") {
                let old = self.load();
                self.put(&mut self.there.lock(), value);
                return old;
            }
            self.put(&mut self.there.lock(), value)
        }

        /// Or else the one that is there instead of `old`.
        #[track_caller]
        pub(super) fn replace(&self, old: &Arc<T>, new: &Arc<T>) -> Result<(), Arc<T>> {
            let mut there = self.there.lock();
            if Arc::ptr_eq(&there.value, old) || crate::planted!("snapshot: update does not compare") {
                // `old` is kept by the caller: nothing is dropped under the lock.
                self.put(&mut there, Arc::clone(new));
                return Ok(());
            }
            Err(Arc::clone(&there.value))
        }

        fn put(&self, there: &mut There<T>, value: Arc<T>) -> Arc<T> {
            there.version += 1;
            // ordering: none. A `Reader` that sees it takes the lock; one that does not is as stale as arc-swap's.
            self.version.store(there.version, Relaxed);
            std::mem::replace(&mut there.value, value)
        }
    }

    pub(super) struct Reader<S, T> {
        snapshot: S,
        value: Arc<T>,
        version: usize,
    }

    impl<T, S: Deref<Target = Snapshot<T>>> Reader<S, T> {
        #[track_caller]
        pub(super) fn new(snapshot: S) -> Self {
            let (value, version) = snapshot.0.both();
            Self { snapshot, value, version }
        }

        #[track_caller]
        pub(super) fn load(&mut self) -> &Arc<T> {
            let cell = &self.snapshot.0;
            // ordering: none. Loom never turns round a load and the store of a thread that has loaded itself; it does turn
            // round two of these.
            cell.touched.fetch_add(1, Relaxed);
            // ordering: none, as `put` says.
            if cell.version.load(Relaxed) == self.version {
                crate::reached!("snapshot: nothing new");
                return &self.value;
            }
            (self.value, self.version) = match crate::planted!("snapshot: a reader takes value and version apart") {
                true => (cell.load(), cell.both().1),
                false => cell.both(),
            };
            &self.value
        }
    }

    impl<S: Clone, T> Clone for Reader<S, T> {
        fn clone(&self) -> Self {
            Self { snapshot: self.snapshot.clone(), value: Arc::clone(&self.value), version: self.version }
        }
    }
}
