//! An entry in its owner's hand.

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use crate::{
    Owner,
    inner::{Inner, Ticket},
};

/// Somebody's name, or place in a group. Dropped, it is unregistered.
///
/// If its owner is ending on another thread when it is dropped, the end unregisters it.
#[must_use = "dropped, it is unregistered at once; `keep` it to have it until the owner ends"]
pub struct Registration {
    registry: Arc<dyn GiveUp>,
    owner: Owner,
    ticket: Ticket,
    kept: bool,
}

// It shows nobody a value, and no panic leaves half of a change behind.
impl UnwindSafe for Registration {}
impl RefUnwindSafe for Registration {}

trait GiveUp: Send + Sync {
    fn give_up_now(self: Arc<Self>, owner: &Owner, ticket: Ticket);
}

impl<V: Send + Sync + 'static> GiveUp for Inner<V> {
    fn give_up_now(self: Arc<Self>, owner: &Owner, ticket: Ticket) {
        drop(self.give_up(owner, ticket, None));
    }
}

impl Registration {
    pub(crate) fn new<V: Send + Sync + 'static>(registry: &Arc<Inner<V>>, owner: &Owner, ticket: Ticket) -> Self {
        Self { registry: Arc::clone(registry) as _, owner: owner.clone(), ticket, kept: false }
    }

    /// Keeps the entry until its owner ends.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if !self.kept {
            Arc::clone(&self.registry).give_up_now(&self.owner, self.ticket);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({:?})", self.owner)
    }
}
