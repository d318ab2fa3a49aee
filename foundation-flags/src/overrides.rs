//! What a test says, whatever is decided.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Weak},
};

use foundation_sync::atomic::Ordering;

use crate::{ChangeError, Flag, Flags, flags::Inner, state::State};

/// As long as this lives a flag is what a test says, for every thread of the universe whose flags these are: for reads,
/// [gates](crate::Gate) and the services that the flag governs. It is no decision: nothing of it is written down, told or
/// numbered. Of several the youngest stands.
#[must_use = "dropped, the flag is what was decided"]
pub struct Override {
    flags: Weak<Inner>,
    number: usize,
    id: u64,
}

impl Flags {
    /// For tests: the flag is on, or off, as long as the [`Override`] lives. Also a flag of the plan.
    ///
    /// # Errors
    /// The flag is not declared.
    pub fn override_for_test(&self, flag: &Flag, on: bool) -> Result<Override, ChangeError> {
        let inner = &self.0;
        let number = inner.shape.table.find(flag).ok_or(ChangeError::Undeclared(flag.name()))?;
        let id = inner.overrides.fetch_add(1, Ordering::Relaxed); // ordering: a number, and no other
        inner.publish_for_test(|state| state.overridden(&inner.shape, number, id, on));
        Ok(Override { flags: Arc::downgrade(inner), number, id })
    }
}

impl Inner {
    fn publish_for_test(&self, make: impl Fn(&State) -> State) {
        match self.state.update(|state| Ok::<_, Infallible>(make(state))) {
            Ok((_, after)) => self.push(&after),
        }
    }
}

impl Drop for Override {
    fn drop(&mut self) {
        let Some(inner) = self.flags.upgrade() else { return };
        inner.publish_for_test(|state| state.not_overridden(&inner.shape, self.number, self.id));
    }
}

impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Override")
    }
}
