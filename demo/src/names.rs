//! How the parts find each other.

use std::sync::Arc;

use foundation_context::Fields;
use foundation_registry::{Address, RegisterError, Registry};
use foundation_supervisor::{Failure, Life, System};

/// Where the parts find each other: the universe's registry, or, while that one is migrated, one apart. The old way a
/// name is its own thread's alone, so parts could not find each other by it.
#[derive(Clone, Debug)]
pub(crate) struct Names(Registry<Address>);

impl Names {
    pub(crate) fn of(system: &System, apart: bool) -> Self {
        match apart {
            true => Self(Registry::new(system.owners(), system.telemetry())),
            false => Self(system.registry().clone()),
        }
    }

    /// Registers `value` under this name, for the rest of this life.
    pub(crate) fn enter<T: Send + Sync + 'static>(
        &self,
        life: &Life,
        name: &str,
        value: T,
    ) -> Result<(), RegisterError> {
        self.0.register(name, life.owner(), Address::new(value), Fields::new())?.keep();
        Ok(())
    }

    pub(crate) fn find<T: Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>, Failure> {
        // Absent, its owner has just ended. To be tried again by whoever starts this one anew.
        let found = self.0.lookup(name).and_then(|entry| entry.value().get());
        found.ok_or_else(|| Failure::new(format!("nobody is registered as `{name}`")))
    }
}
