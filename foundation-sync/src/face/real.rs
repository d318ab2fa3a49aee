//! The real face: parking_lot, arc-swap and the standard library.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the door itself")]

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

pub use std::sync::atomic::{self, fence};
pub use std::thread::LocalKey;

/// Whether this is a model's face, where time stands still.
pub const MODEL: bool = false;

/// A lock that is not poisoned by a panic: no user code runs while one is held.
#[derive(Default)]
pub struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    /// Guards `value`.
    pub fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    /// Waits until the lock is free. Exempt from deadlines: what it guards is never held across a wait.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock())
    }

    /// Locks it if it is free: `None` while somebody holds it.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().map(MutexGuard)
    }

    /// What it guards: nobody else can hold it.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// What it guarded.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

/// The right to use what a [`Mutex`] guards.
#[must_use = "dropped, the lock is free again"]
pub struct MutexGuard<'a, T>(parking_lot::MutexGuard<'a, T>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex(..)")
    }
}

/// What a [`Condvar`](crate::Condvar) is made of: no deadline but a span of real time.
#[derive(Default)]
pub(crate) struct RawCondvar(parking_lot::Condvar);

impl RawCondvar {
    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(&mut guard.0);
        guard
    }

    pub(crate) fn wait_until<'a, T>(&self, mut guard: MutexGuard<'a, T>, at: std::time::Instant) -> MutexGuard<'a, T> {
        self.0.wait_until(&mut guard.0, at);
        guard
    }

    pub(crate) fn wait_for<'a, T>(&self, mut guard: MutexGuard<'a, T>, span: Duration) -> MutexGuard<'a, T> {
        self.0.wait_for(&mut guard.0, span);
        guard
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Gives a lock back, and says how it is taken again.
pub(crate) fn give_back<'a, T>(guard: MutexGuard<'a, T>) -> impl FnOnce() -> MutexGuard<'a, T> {
    let mutex = parking_lot::MutexGuard::mutex(&guard.0);
    drop(guard);
    move || MutexGuard(mutex.lock())
}

/// Threads of the operating system.
pub mod thread {
    pub use std::thread::{ThreadId, yield_now};

    pub use crate::face::{
        JoinHandle,
        conditions::{Conditions, TakeOnError},
    };

    pub(crate) use std::thread::JoinHandle as RawJoinHandle;

    /// The least stack that a thread is given: 128 KiB.
    pub const LEAST_STACK: usize = 128 * 1024;

    /// How to make a thread: its name and its stack.
    #[derive(Clone, Debug)]
    pub struct Builder {
        name: String,
        stack: Option<usize>,
    }

    impl Builder {
        /// A thread of this name.
        pub fn new(name: impl Into<String>) -> Self {
            Self { name: name.into(), stack: None }
        }

        /// The size of its stack in bytes, at least [`LEAST_STACK`].
        #[must_use]
        pub fn stack(self, bytes: usize) -> Self {
            Self { stack: Some(bytes.max(LEAST_STACK)), ..self }
        }

        /// Starts the thread.
        ///
        /// # Errors
        /// The operating system refuses: too many threads, or no memory for the stack.
        pub fn spawn(self, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
            // The operating system's call takes no name with a zero byte in it.
            let name = if self.name.contains('\0') { self.name.replace('\0', "?") } else { self.name };
            let builder = std::thread::Builder::new().name(name);
            let thread = match self.stack {
                Some(bytes) => builder.stack_size(bytes).spawn(body),
                None => builder.spawn(body),
            };
            thread.map(JoinHandle)
        }

        /// Starts the thread. What `first` returns, as the thread's first act, is kept until its thread-locals have been
        /// destroyed, and dropped then: what that drop does is the last thing that is done there. It must not panic, for
        /// that would end the process.
        ///
        /// What `first` itself makes of thread-locals is there to the end. In a model, the value is dropped when `body` has
        /// returned. C's own thread-specific data, which is none of Rust's, may be destroyed later.
        ///
        /// # Errors
        /// As [`spawn`](Self::spawn).
        pub fn spawn_keeping<K: 'static>(
            self,
            first: impl FnOnce() -> K + Send + 'static,
            body: impl FnOnce() + Send + 'static,
        ) -> std::io::Result<JoinHandle<()>> {
            self.spawn(move || {
                crate::face::keep::keep(first());
                body();
            })
        }
    }

    /// The calling thread's own mark.
    pub fn id() -> ThreadId {
        std::thread::current().id()
    }

    /// The number by which the operating system knows the calling thread: on Linux, where debuggers and `/proc` show it.
    pub fn os_id() -> Option<u64> {
        #[cfg(target_os = "linux")]
        return u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).ok();
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// How many threads of this process the machine runs at once; 1 where it does not say. A thread that is pinned to one
    /// core for itself does not make them fewer: on Linux, what counts then is where the process's first thread may run.
    pub fn cores() -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cores > 1 { cores } else { crate::face::conditions::where_the_process_may_run().unwrap_or(cores) }
    }
}
