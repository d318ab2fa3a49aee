//! The faces of the models: loom and shuttle, one body, for their signatures are the same.

use std::fmt;

#[cfg(loom)]
use loom as checker;
#[cfg(shuttle)]
use shuttle as checker;

pub use checker::sync::{MutexGuard, atomic, atomic::fence};
pub use checker::thread::LocalKey;
#[doc(hidden)]
pub use checker::thread_local as model_thread_local;

use crate::clock::Deadline;

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
        self.0.lock().expect(NOT_POISONED)
    }

    /// Locks it if it is free: `None` while somebody holds it.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
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

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex(..)")
    }
}

/// A place to wait for a change of what a [`Mutex`] guards.
#[derive(Default)]
pub struct Condvar(checker::sync::Condvar);

impl Condvar {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a notification. Time stands still in a model, so a deadline that has not passed never does.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, until: &Deadline) -> MutexGuard<'a, T> {
        if until.passed() {
            return guard;
        }
        self.0.wait(guard).expect("no user code runs under a lock, so none is poisoned")
    }

    /// Wakes one waiter.
    #[track_caller]
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all who wait.
    #[track_caller]
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar(..)")
    }
}

/// Threads of the model.
pub mod thread {
    #[cfg(loom)]
    use loom as checker;
    #[cfg(shuttle)]
    use shuttle as checker;

    pub use checker::thread::{JoinHandle, ThreadId, yield_now};

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
            checker::thread::Builder::new().name(self.name).spawn(body)
        }
    }

    /// The calling thread's own mark.
    pub fn id() -> ThreadId {
        checker::thread::current().id()
    }

    /// How many threads the machine runs at once: 2 in a model, so that no path for one core is taken.
    pub fn cores() -> usize {
        2
    }
}
