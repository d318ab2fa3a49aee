//! One suite for each way in which a registry works: to a single thread they are all the same.

use std::ops::Deref;

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Owner, OwnerGuard, Owners, Registration, Registry, RegistryBuilder};
use foundation_telemetry::Telemetry;

/// How a registry works while a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As it is built.
    New,
    /// In legacy mode.
    #[cfg(feature = "legacy")]
    Legacy,
    /// In legacy mode, until the middle of the case.
    #[cfg(feature = "legacy")]
    TurnedOn,
    /// As it is built, until the middle of the case.
    #[cfg(feature = "legacy")]
    TurnedOff,
    /// Turned before each call.
    #[cfg(feature = "legacy")]
    Turning,
}

/// Makes each case a test for each way.
macro_rules! suite {
    ($($case:ident,)+) => {
        mod as_it_is { $(#[test] fn $case() { super::$case($crate::common::Way::New) })+ }
        #[cfg(feature = "legacy")]
        mod legacy { $(#[test] fn $case() { super::$case($crate::common::Way::Legacy) })+ }
        #[cfg(feature = "legacy")]
        mod turned_on_in_the_middle { $(#[test] fn $case() { super::$case($crate::common::Way::TurnedOn) })+ }
        #[cfg(feature = "legacy")]
        mod turned_off_in_the_middle { $(#[test] fn $case() { super::$case($crate::common::Way::TurnedOff) })+ }
        #[cfg(feature = "legacy")]
        mod turned_before_each_call { $(#[test] fn $case() { super::$case($crate::common::Way::Turning) })+ }
    };
}

impl Way {
    pub(crate) fn registry<V: Send + Sync + 'static>(self) -> Subject<V> {
        self.built(|builder| builder)
    }

    pub(crate) fn built<V: Send + Sync + 'static>(
        self,
        describe: impl for<'a> FnOnce(RegistryBuilder<'a, V>) -> RegistryBuilder<'a, V>,
    ) -> Subject<V> {
        self.beside(&Owners::default(), describe)
    }

    /// One more registry of the same owners.
    pub(crate) fn beside<V: Send + Sync + 'static>(
        self,
        owners: &Owners,
        describe: impl for<'a> FnOnce(RegistryBuilder<'a, V>) -> RegistryBuilder<'a, V>,
    ) -> Subject<V> {
        let telemetry = Telemetry::new();
        let registry = describe(Registry::builder(owners, &telemetry)).build();
        let subject = Subject { owners: owners.clone(), telemetry, registry, way: self };
        #[cfg(feature = "legacy")]
        if matches!(self, Self::Legacy | Self::TurnedOn) {
            subject.flip();
        }
        subject
    }
}

/// The registry that a case is about. What is called on it is called on the registry, which may be turned before.
pub(crate) struct Subject<V> {
    pub(crate) owners: Owners,
    pub(crate) telemetry: Telemetry,
    registry: Registry<V>,
    way: Way,
}

impl<V: Send + Sync + 'static> Subject<V> {
    /// The middle of the case.
    pub(crate) fn middle(&self) {
        match self.way {
            Way::New => {}
            #[cfg(feature = "legacy")]
            Way::Legacy | Way::Turning => {}
            #[cfg(feature = "legacy")]
            Way::TurnedOn | Way::TurnedOff => self.flip(),
        }
    }

    #[cfg(feature = "legacy")]
    fn flip(&self) {
        let switch = self.registry.switch();
        assert!(switch.push(switch.epoch().flipped()), "nobody else turns it");
    }

    pub(crate) fn begin(&self, id: u64) -> OwnerGuard {
        self.owners.begin(who(id), "w")
    }

    pub(crate) fn named(&self, name: &str, owner: &Owner, value: V) -> Registration {
        self.register(name, owner, value, Fields::new()).expect("it is free")
    }

    pub(crate) fn joined(&self, group: &str, owner: &Owner, value: V) -> Registration {
        self.join(group, owner, value, Fields::new()).expect("there is room")
    }
}

impl<V: Clone + Send + Sync + 'static> Subject<V> {
    pub(crate) fn value(&self, name: &str) -> Option<V> {
        self.lookup(name).map(|entry| entry.value().clone())
    }

    pub(crate) fn values(&self, group: &str) -> Vec<V> {
        self.members(group).iter().map(|entry| entry.value().clone()).collect()
    }
}

impl<V: Send + Sync + 'static> Deref for Subject<V> {
    type Target = Registry<V>;

    fn deref(&self) -> &Registry<V> {
        #[cfg(feature = "legacy")]
        if self.way == Way::Turning {
            self.flip();
        }
        &self.registry
    }
}

pub(crate) fn who(id: u64) -> Incarnation {
    Incarnation { id, generation: 1 }
}
