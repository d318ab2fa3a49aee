//! The right to end a life that the universe has started.

use std::{fmt, ops::Deref, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::{Cause, Exit, Owner, OwnerGuard, Remains};

use crate::{System, courier::Job};

/// The right to end a life that the universe has started. A worker's is shared by its thread and its supervisor: race
/// "abandon against exit".
///
/// A guard that is dropped drops what remains of its life, and so runs users' code. A crank may not. It ends every life
/// before it lets go of it; should a defect of ours come between, what remains goes to the courier all the same.
pub(crate) struct Ender {
    guard: OwnerGuard,
    system: System,
}

impl Ender {
    /// A life begins.
    pub(crate) fn begin(system: &System, incarnation: Incarnation, name: impl Into<Arc<str>>) -> Self {
        Self { guard: system.owners().begin(incarnation, name), system: system.clone() }
    }

    /// See [`OwnerGuard::end`].
    pub(crate) fn end(&self, exit: Exit) -> Option<Remains> {
        self.guard.end(exit)
    }
}

impl Deref for Ender {
    type Target = Owner;

    fn deref(&self) -> &Owner {
        &self.guard
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        let remains = self.end(Exit::Shutdown(Cause::Broken));
        if let Some(remains) = remains.filter(|remains| !remains.is_empty()) {
            self.system.tell(Job::Discard(Box::new(remains)));
        }
    }
}

impl fmt::Debug for Ender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}
