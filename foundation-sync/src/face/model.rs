//! The faces of the models: loom and shuttle, one body, for their signatures are the same.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

#[cfg(loom)]
use loom as checker;
#[cfg(shuttle)]
use shuttle as checker;

pub use checker::sync::{atomic, atomic::fence};
pub use checker::thread::LocalKey;
#[doc(hidden)]
pub use checker::thread_local as model_thread_local;

/// Whether this is a model's face, where time stands still.
pub const MODEL: bool = true;

const NOT_POISONED: &str = "no user code runs under a lock, so none is poisoned";

/// A lock whose every use is a place where the model may switch threads.
#[derive(Default)]
pub struct Mutex<T>(checker::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Guards `value`.
    pub fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    /// Waits until the lock is free.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock().expect(NOT_POISONED);
        MutexGuard { mutex: self, guard }
    }

    /// Locks it if it is free: `None` while somebody holds it.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard { mutex: self, guard })
    }

    /// What it guards: nobody else can hold it.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().expect(NOT_POISONED)
    }

    /// What it guarded.
    pub fn into_inner(self) -> T {
        self.0.into_inner().expect(NOT_POISONED)
    }
}

/// The right to use what a [`Mutex`] guards.
#[must_use = "dropped, the lock is free again"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: checker::sync::MutexGuard<'a, T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex(..)")
    }
}

/// What a [`Condvar`](crate::Condvar) is made of. Time stands still in a model: a span that is not over never is.
#[derive(Default)]
pub(crate) struct RawCondvar(checker::sync::Condvar);

impl RawCondvar {
    #[track_caller]
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let MutexGuard { mutex, guard } = guard;
        MutexGuard { mutex, guard: self.0.wait(guard).expect(NOT_POISONED) }
    }

    #[track_caller]
    pub(crate) fn wait_until<'a, T>(&self, guard: MutexGuard<'a, T>, _: std::time::Instant) -> MutexGuard<'a, T> {
        self.wait(guard)
    }

    #[track_caller]
    pub(crate) fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, _: Duration) -> MutexGuard<'a, T> {
        self.wait(guard)
    }

    #[track_caller]
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    #[track_caller]
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Gives a lock back, and says how it is taken again.
pub(crate) fn give_back<'a, T>(guard: MutexGuard<'a, T>) -> impl FnOnce() -> MutexGuard<'a, T> {
    let mutex = guard.mutex;
    drop(guard);
    move || mutex.lock()
}

/// Threads of the model.
pub mod thread {
    #[cfg(loom)]
    use loom as checker;
    #[cfg(shuttle)]
    use shuttle as checker;

    pub use checker::thread::{ThreadId, yield_now};

    pub use crate::face::{
        JoinHandle,
        conditions::{Conditions, TakeOnError},
    };

    pub(crate) use checker::thread::JoinHandle as RawJoinHandle;

    /// The least stack that a thread is given: 128 KiB.
    pub const LEAST_STACK: usize = 128 * 1024;

    /// How to make a thread: its name and its stack.
    #[derive(Clone, Debug)]
    pub struct Builder {
        name: String,
    }

    impl Builder {
        /// A thread of this name.
        pub fn new(name: impl Into<String>) -> Self {
            Self { name: name.into() }
        }

        /// The size of its stack: a model's threads all have the same.
        #[must_use]
        pub fn stack(self, _bytes: usize) -> Self {
            self
        }

        /// Starts the thread.
        ///
        /// # Errors
        /// None in a model; the signature is the real face's.
        #[track_caller]
        pub fn spawn(self, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
            self.start(Box::new(body))
        }

        /// Of one type, so that the checker's part is compiled once, and not for each body.
        #[track_caller]
        fn start(self, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
            checker::thread::Builder::new().name(self.name).spawn(body).map(JoinHandle)
        }

        /// Starts the thread. What `first` returns, as the thread's first act, is dropped when `body` has returned: a model
        /// does not follow what comes after.
        ///
        /// # Errors
        /// As [`spawn`](Self::spawn).
        #[track_caller]
        pub fn spawn_keeping<K: 'static>(
            self,
            first: impl FnOnce() -> K + Send + 'static,
            body: impl FnOnce() + Send + 'static,
        ) -> std::io::Result<JoinHandle<()>> {
            self.spawn(move || {
                let _kept = first();
                body();
            })
        }
    }

    /// The calling thread's own mark.
    pub fn id() -> ThreadId {
        checker::thread::current().id()
    }

    /// The number by which the operating system knows the calling thread: none in a model.
    pub fn os_id() -> Option<u64> {
        None
    }

    /// How many threads the machine runs at once: 2 in a model, so that no path for one core is taken.
    pub fn cores() -> usize {
        2
    }
}
