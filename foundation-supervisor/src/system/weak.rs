//! A handle to a universe for those that the universe keeps.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::{Parts, System};

/// A handle to a universe that does not even keep what is left of it in memory: for what is kept in the universe itself.
#[derive(Clone)]
pub struct WeakSystem(Weak<Parts>);

impl System {
    /// A handle that does not keep it in memory.
    pub fn downgrade(&self) -> WeakSystem {
        WeakSystem(Arc::downgrade(&self.0))
    }
}

impl WeakSystem {
    /// Of parts that are being made.
    #[cfg(feature = "legacy")]
    pub(super) fn of(parts: &Weak<Parts>) -> Self {
        Self(Weak::clone(parts))
    }

    /// Whether this is a handle to that universe.
    pub fn is(&self, system: &System) -> bool {
        self.0.as_ptr() == Arc::as_ptr(&system.0)
    }

    /// The universe, if somebody keeps it.
    pub fn upgrade(&self) -> Option<System> {
        self.0.upgrade().map(System)
    }
}

impl fmt::Debug for WeakSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakSystem")
    }
}
