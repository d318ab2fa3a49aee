//! An entry in its owner's hand.

use std::fmt;

use crate::{Owner, held::Held};

/// Somebody's name, or place in a group. Dropped, it is unregistered.
///
/// If its owner is ending on another thread when it is dropped, the end unregisters it.
#[must_use = "dropped, it is unregistered at once; `keep` it to have it until the owner ends"]
pub struct Registration {
    owner: Owner,
    slot: u32,
    entry: u64,
    kept: bool,
}

impl Registration {
    pub(crate) fn new<V>(held: &Held<V>) -> Self {
        Self { owner: held.owner.clone(), slot: held.slot, entry: held.id, kept: false }
    }

    /// Keeps the entry until its owner ends.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if !self.kept {
            self.owner.give_up(self.slot, self.entry);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({:?})", self.owner)
    }
}
