//! The three faces: the same names and signatures, chosen when compiled.

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
};

mod conditions;
mod epoch;
#[cfg(not(any(loom, shuttle)))]
mod keep;
mod map;
#[cfg(any(loom, shuttle))]
mod model;
mod once;
#[cfg(not(any(loom, shuttle)))]
mod real;
mod snapshot;

pub use map::{Keyed, Map};
pub use once::Once;
pub use snapshot::{Cached, Peek, Snapshot};

#[cfg(any(loom, shuttle))]
pub use model::*;
#[cfg(not(any(loom, shuttle)))]
pub use real::*;

// Nothing foreign runs under a lock, so no panic leaves half of a change behind. Said here, for the libraries behind the
// faces say different things.
impl<T> UnwindSafe for Mutex<T> {}
impl<T> RefUnwindSafe for Mutex<T> {}
impl<T> UnwindSafe for MutexGuard<'_, T> {}
impl<T> RefUnwindSafe for MutexGuard<'_, T> {}
impl<T> UnwindSafe for thread::JoinHandle<T> {}
impl<T> RefUnwindSafe for thread::JoinHandle<T> {}
impl UnwindSafe for RawCondvar {}
impl RefUnwindSafe for RawCondvar {}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A thread whose end can be waited for. Dropped, it is not.
pub struct JoinHandle<T>(thread::RawJoinHandle<T>);

impl<T> JoinHandle<T> {
    /// Waits for its end, which comes after its thread-locals have been dropped. Exempt from deadlines: for threads that are
    /// about to end. The wait is not one of this crate's, so a [`VirtualTime`](crate::VirtualTime) takes it for work.
    ///
    /// # Errors
    /// What it panicked with. In a model such a panic fails the model.
    #[track_caller]
    pub fn join(self) -> std::thread::Result<T> {
        self.0.join()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinHandle")
    }
}

/// Declares thread-local slots that each thread of a model has for itself, too.
///
/// A plain `thread_local!` is shared by all threads of a model, for they are one thread of the operating system.
#[cfg(not(any(loom, shuttle)))]
#[macro_export]
macro_rules! thread_slot {
    ($($(#[$about:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;)+) => {
        std::thread_local! { $($(#[$about])* $vis static $name: $type = const { $init };)+ }
    };
}

/// Declares thread-local slots that each thread of a model has for itself, too.
#[cfg(any(loom, shuttle))]
#[macro_export]
macro_rules! thread_slot {
    ($($(#[$about:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;)+) => {
        $crate::model_thread_local! { $($(#[$about])* $vis static $name: $type = $init;)+ }
    };
}
