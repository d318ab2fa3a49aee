//! The three faces: the same names and signatures, chosen when compiled.

use std::panic::{RefUnwindSafe, UnwindSafe};

mod epoch;
mod map;
#[cfg(any(loom, shuttle))]
mod model;
mod once;
#[cfg(not(any(loom, shuttle)))]
mod real;
mod snapshot;

pub use map::Map;
pub use once::Once;
pub use snapshot::{Cached, Snapshot};

#[cfg(any(loom, shuttle))]
pub use model::*;
#[cfg(not(any(loom, shuttle)))]
pub use real::*;

// Nothing foreign runs under a lock, so no panic leaves half of a change behind. Said here, for the libraries behind the
// faces say different things.
impl<T> UnwindSafe for Mutex<T> {}
impl<T> RefUnwindSafe for Mutex<T> {}
impl UnwindSafe for RawCondvar {}
impl RefUnwindSafe for RawCondvar {}

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
