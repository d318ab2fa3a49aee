//! Names, and who owns them.

use std::{fmt, sync::Arc};

use foundation_context::{Fields, Incarnation, fields};
#[cfg(feature = "legacy")]
use foundation_sync::Switch;
use foundation_telemetry::{Emitter, EventName, Telemetry, event_name};

#[cfg(feature = "legacy")]
use crate::private::Aside;
use crate::{
    Owner,
    names::{Held, Names, Place},
    owner::{Claim, Met, Owners},
};

/// A name was registered. Metadata: `name`, `owner`.
pub const REGISTERED: EventName = event_name!("foundation", "registry", "register");
/// A name was given up by its owner. Metadata: `name`, `owner`.
pub const UNREGISTERED: EventName = event_name!("foundation", "registry", "unregister");

/// Names and the values that they stand for. A clone is another handle.
pub struct Registry<V>(Arc<Inner<V>>);

struct Inner<V> {
    names: Names<V>,
    owners: Owners,
    registered: Emitter,
    unregistered: Emitter,
}

/// Why a name was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// Somebody who lives has it.
    AlreadyRegistered {
        /// The name.
        name: Arc<str>,
        /// Who has it.
        owner: Incarnation,
    },
    /// The one who would own it has ended, or was given up.
    Fenced(Incarnation),
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRegistered { name, owner } => {
                write!(f, "`{name}` is taken by {owner}, which lives: stop it first, or choose another name")
            }
            Self::Fenced(owner) => write!(f, "{owner} has ended: it can register nothing any more"),
        }
    }
}

impl std::error::Error for RegisterError {}

impl<V: Send + Sync + 'static> Registry<V> {
    /// No names.
    pub fn new(owners: &Owners, telemetry: &Telemetry) -> Self {
        Self(Arc::new(Inner {
            names: Names::default(),
            owners: owners.clone(),
            registered: telemetry.emitter(REGISTERED),
            unregistered: telemetry.emitter(UNREGISTERED),
        }))
    }

    /// Gives the owner this name, until the registration is dropped or the owner ends.
    ///
    /// # Errors
    /// A live owner has the name, as far as the calling thread would find it, or this owner has ended.
    pub fn register(
        &self,
        name: &str,
        owner: &Owner,
        value: V,
        metadata: Fields,
    ) -> Result<Registration, RegisterError> {
        let name = name.into();
        let mut held = Arc::new(Held {
            #[cfg(feature = "legacy")]
            aside: Aside::of(&name),
            name,
            owner: owner.clone(),
            value,
            metadata,
            view: self.0.names.view(),
        });
        // What is to be dropped when no lock is held any more.
        let mut met = Vec::new();
        let claim = || match self.0.names.hold(&mut held, &mut met) {
            Ok(place) => Ok(Arc::new(Named { registry: Arc::clone(&self.0), held, place })),
            Err(there) => {
                let taken = RegisterError::AlreadyRegistered {
                    name: Arc::clone(&there.name),
                    owner: there.owner.incarnation(),
                };
                met.extend([there, held]);
                Err(taken)
            }
        };
        let claimed = owner.claim(RegisterError::Fenced(owner.incarnation()), claim);
        drop(met);
        let (named, key) = claimed?;
        owner.activity().bump();
        self.0.registered.emit(|| named.held.event());
        Ok(Registration { claim: Some((named, key)), owner: owner.clone() })
    }

    /// Who has this name, never the dead. Waits for no writer.
    pub fn lookup(&self, name: &str) -> Option<Entry<V>> {
        self.0.names.find(name).map(Entry)
    }

    /// Which way this registry works: on, a name is everybody's; off, it is its thread's. It starts on.
    ///
    /// Its guards are the names that were registered while it was off. One is closed when the name was given up, and the
    /// last [`Entry`] of it is dropped.
    #[cfg(feature = "legacy")]
    pub fn switch(&self) -> &Switch {
        self.0.names.switch()
    }

    /// Who lives.
    pub fn owners(&self) -> &Owners {
        &self.0.owners
    }

    /// All entries that the calling thread finds, by name: each was there at some moment of the call.
    pub fn entries(&self) -> Vec<Entry<V>> {
        self.0.names.found().into_iter().map(Entry).collect()
    }

    /// How many names there are, of all threads.
    pub fn len(&self) -> usize {
        self.0.names.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<V> Clone for Registry<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Registry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

impl<V> Held<V> {
    fn event(&self) -> (Fields, Fields) {
        (fields! {}, fields! { name: Arc::clone(&self.name), owner: self.owner.incarnation() })
    }
}

/// A name in a registry, as its owner's claim.
struct Named<V> {
    registry: Arc<Inner<V>>,
    held: Arc<Held<V>>,
    place: Place,
}

impl<V: Send + Sync + 'static> Claim for Named<V> {
    /// Removal names the entry itself, so nobody removes a successor's.
    fn release(&self, met: &mut Met) -> bool {
        let mut here = Vec::new();
        let removed = self.registry.names.remove(&self.place, &self.held, &mut here);
        met.extend(here.into_iter().map(|held| held as _));
        removed
    }
}

/// Somebody's name. Dropped, it is unregistered.
#[must_use = "dropped, it is unregistered at once; `keep` it to have it until the owner ends"]
pub struct Registration {
    claim: Option<(Arc<dyn Unregister>, usize)>,
    owner: Owner,
}

trait Unregister: Claim {
    fn say(&self);
}

impl<V: Send + Sync + 'static> Unregister for Named<V> {
    fn say(&self) {
        self.registry.unregistered.emit(|| self.held.event());
    }
}

impl Registration {
    /// Keeps the name until its owner ends.
    pub fn keep(mut self) {
        self.claim = None;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some((claim, key)) = self.claim.take() {
            let mut met = Met::new();
            let removed = claim.release(&mut met);
            self.owner.disclaim(key);
            if removed {
                self.owner.activity().bump();
                claim.say();
            }
            drop(met);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({:?})", self.owner)
    }
}

/// What stands under a name.
pub struct Entry<V>(Arc<Held<V>>);

impl<V> Entry<V> {
    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Who owns it.
    pub fn incarnation(&self) -> Incarnation {
        self.0.owner.incarnation()
    }

    /// What it stands for.
    pub fn value(&self) -> &V {
        &self.0.value
    }

    /// What was said about it.
    pub fn metadata(&self) -> &Fields {
        &self.0.metadata
    }
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.0.name, self.0.owner)
    }
}
