//! A name that was looked up, and is looked up again when that is no longer true.

use std::{fmt, sync::Arc};

use smol_str::SmolStr;

use crate::{Entry, inner::Inner};

/// A name, resolved: [`get`](Self::get) is one load while nothing changes.
///
/// It holds what it found last until it looks again, and so keeps that entry's value in memory. It is one thread's: a
/// clone resolves for itself.
///
/// ```
/// # use foundation_context::{Fields, Incarnation};
/// # use foundation_registry::{Exit, Owners, Registry};
/// # let owners = Owners::default();
/// # let registry = Registry::new(&owners, &foundation_telemetry::Telemetry::new());
/// # let owner = owners.begin(Incarnation { id: 1, generation: 1 }, "indexer");
/// let mut index = registry.name("index");
/// assert!(index.get().is_none());
/// registry.register("index", &owner, 7, Fields::new())?.keep();
/// assert_eq!(index.get().map(|entry| *entry.value()), Some(7));
/// drop(owner.end(Exit::Normal));
/// assert!(index.get().is_none(), "never the dead");
/// # Ok::<(), foundation_registry::RegisterError>(())
/// ```
pub struct Name<V: Send + Sync + 'static> {
    registry: Arc<Inner<V>>,
    name: SmolStr,
    found: Option<Entry<V>>,
}

impl<V: Send + Sync + 'static> Name<V> {
    pub(crate) fn new(registry: &Arc<Inner<V>>, name: &str) -> Self {
        Self { registry: Arc::clone(registry), name: name.into(), found: None }
    }

    /// Who has the name now. Waits for no writer.
    ///
    /// While the entry that was found last stands, as it is, that is one load. Whoever has seen its owner's Down, or a
    /// successor, is not given it any more. That nobody has the name is looked up each time.
    #[inline]
    pub fn get(&mut self) -> Option<&Entry<V>> {
        if !self.found.as_ref().is_some_and(|entry| entry.is_current() && self.registry.names.is_everybodys(&entry.0)) {
            self.look();
        }
        self.found.as_ref()
    }

    /// Apart, so that the usual way is short enough to be inlined.
    #[cold]
    fn look(&mut self) {
        self.found = self.registry.names.find(&self.name).map(Entry);
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl<V: Send + Sync + 'static> Clone for Name<V> {
    fn clone(&self) -> Self {
        Self { registry: Arc::clone(&self.registry), name: self.name.clone(), found: None }
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Name<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.name)
    }
}
