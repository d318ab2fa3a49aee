//! One entry: what stands under a key.

use std::{fmt, sync::Arc};

use foundation_context::{Fields, Incarnation};
use foundation_sync::{
    Keyed, Nanos,
    atomic::{AtomicU8, Ordering},
    planted,
};
#[cfg(feature = "legacy")]
use foundation_sync::{Once, legacy::View, thread};
use smol_str::SmolStr;

#[cfg(feature = "legacy")]
use crate::private::Aside;
use crate::{Owner, RegisterError, bags::Bag, index::Indexed, inner::Inner};

const STANDS: u8 = 0;
/// It is about to be given up or replaced: whoever asks looks again.
const OVERTAKEN: u8 = 1;
/// It is booked as gone.
const GONE: u8 = 2;

/// What its owner holds of a registry: a name, or a place in a group. An update puts another one in its place.
///
/// In this order: what a lookup looks at lies beside the counts, in one line of the cache where the allocator lets it.
#[repr(C)]
pub(crate) struct Held<V> {
    pub(crate) key: SmolStr,
    pub(crate) owner: Owner,
    /// No other registration's of these owners; an update keeps it.
    pub(crate) id: u64,
    pub(crate) registry: Arc<Inner<V>>,
    value: Value<V>,
    /// Nothing is the usual case, and costs a pointer.
    pub(crate) said: Option<Box<Said<V>>>,
    pub(crate) since: Nanos,
    /// The group that it is a member of, if it is no name.
    pub(crate) group: Option<Arc<Bag<SmolStr, V>>>,
    /// Where it stands among its owner's claims.
    pub(crate) slot: u32,
    /// Whether it still stands, as it is: see [`overtake`](Self::overtake) and [`leave`](Self::leave).
    standing: AtomicU8,
    /// Who finds it, as far as that was known when it was made, and what is known better since.
    #[cfg(feature = "legacy")]
    views: (Arc<View>, Once<Arc<View>>),
    #[cfg(feature = "legacy")]
    pub(crate) aside: Aside,
}

/// Where an entry's value is: with it, or with the one that it came with, which an update of the metadata has replaced.
enum Value<V> {
    Here(V),
    With(Arc<Held<V>>),
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    Member,
}

/// What was said about an entry, and the indexes' bags that it is in because of it.
pub(crate) struct Said<V> {
    pub(crate) metadata: Fields,
    pub(crate) bags: Vec<Arc<Bag<Indexed, V>>>,
}

impl<V: Send + Sync + 'static> Held<V> {
    /// A new entry, which stands nowhere yet.
    pub(crate) fn new(
        registry: &Arc<Inner<V>>,
        key: SmolStr,
        owner: &Owner,
        slot: usize,
        value: V,
        said: Option<Box<Said<V>>>,
        group: Option<Arc<Bag<SmolStr, V>>>,
    ) -> Self {
        Self {
            #[cfg(feature = "legacy")]
            aside: Aside { thread: thread::id(), name: key.clone() },
            #[cfg(feature = "legacy")]
            views: (Arc::new(registry.names.view()), Once::new()),
            key,
            id: owner.next_entry(),
            registry: Arc::clone(registry),
            owner: owner.clone(),
            value: Value::Here(value),
            said,
            since: owner.now(),
            group,
            slot: slot as u32,
            standing: AtomicU8::new(STANDS),
        }
    }
}

impl<V> Held<V> {
    /// The same registration of a name, with another value, or another `said` about the same one.
    pub(crate) fn revised(self: &Arc<Self>, value: Option<V>, said: Option<Box<Said<V>>>) -> Self {
        let value = match (value, &self.value) {
            (Some(value), _) => Value::Here(value),
            (None, Value::Here(_)) => Value::With(Arc::clone(self)),
            (None, Value::With(first)) => Value::With(Arc::clone(first)),
        };
        Self {
            key: self.key.clone(),
            id: self.id,
            registry: Arc::clone(&self.registry),
            owner: self.owner.clone(),
            value,
            said,
            since: self.since,
            group: None,
            slot: self.slot,
            standing: AtomicU8::new(STANDS),
            #[cfg(feature = "legacy")]
            views: (Arc::clone(self.view()), Once::new()),
            #[cfg(feature = "legacy")]
            aside: self.aside.clone(),
        }
    }

    /// Whether its owner lives.
    pub(crate) fn is_live(&self) -> bool {
        !self.owner.fenced()
    }

    /// Whether it keeps its place, as its owner lives; if not, it is about to be replaced: race
    /// "resolved against successor".
    pub(crate) fn is_kept(&self) -> bool {
        let live = self.is_live();
        if !live && !planted!("registry: the new one is shown before the old one is overtaken") {
            self.overtake();
        }
        live
    }

    /// Whether it still stands, as it is: one load.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        // ordering: Acquire, pairs with the Release in `overtake`.
        self.standing.load(Ordering::Acquire) == STANDS
    }

    /// It is about to stand no more: before what replaces it can be seen, or it is taken out. In between a lookup finds
    /// it all the same.
    pub(crate) fn overtake(&self) {
        // ordering: Release, pairs with the Acquire in `is_current`. One that is gone stays so.
        _ = self.standing.compare_exchange(STANDS, OVERTAKEN, Ordering::Release, Ordering::Relaxed);
    }

    /// It stands no more, and is to be booked by whoever is told `true`, once.
    pub(crate) fn leave(&self) -> bool {
        // ordering: Relaxed: once gone it stays so, and who is not the first has nothing to do. Release, as in `overtake`.
        self.standing.load(Ordering::Relaxed) != GONE && self.standing.swap(GONE, Ordering::Release) != GONE
    }

    /// Why nobody else is given its name.
    pub(crate) fn taken(&self) -> RegisterError {
        RegisterError::AlreadyRegistered {
            name: self.key.as_str().into(),
            owner: self.owner.incarnation(),
            since: self.since,
        }
    }

    pub(crate) fn value(&self) -> &V {
        match &self.value {
            Value::Here(value) => value,
            Value::With(first) => first.value(),
        }
    }

    pub(crate) fn metadata(&self) -> &Fields {
        const NOTHING: &Fields = &Fields::new();
        self.said.as_ref().map_or(NOTHING, |said| &said.metadata)
    }

    pub(crate) fn bags(&self) -> &[Arc<Bag<Indexed, V>>] {
        self.said.as_ref().map_or(&[], |said| &said.bags)
    }

    #[cfg(feature = "legacy")]
    pub(crate) fn view(&self) -> &Arc<View> {
        self.views.1.get().unwrap_or(&self.views.0)
    }

    /// Has it seen by whom the new view says, before it stands anywhere. Once: `false`, that was done before.
    #[cfg(feature = "legacy")]
    pub(crate) fn review(&self, view: View) -> bool {
        self.views.1.set(Arc::new(view)).is_ok()
    }

    #[cfg(feature = "legacy")]
    pub(crate) fn is_visible(&self) -> bool {
        self.view().is_visible()
    }

    #[cfg(not(feature = "legacy"))]
    pub(crate) fn is_visible(&self) -> bool {
        true
    }
}

impl<V> Keyed<SmolStr> for Held<V> {
    fn key(&self) -> &SmolStr {
        &self.key
    }
}

impl<V> Keyed<u64> for Held<V> {
    fn key(&self) -> &u64 {
        &self.id
    }
}

#[cfg(feature = "legacy")]
impl<V> Keyed<Aside> for Held<V> {
    fn key(&self) -> &Aside {
        &self.aside
    }
}

/// What stands under a name, or is a member of a group: as it was when it was looked up. A clone is another handle.
///
/// An update shows others a new entry; this one stays as it is. It keeps its value in memory, also when it was
/// unregistered.
pub struct Entry<V>(pub(crate) Arc<Held<V>>);

impl<V> Entry<V> {
    /// The name, or the group's key.
    pub fn name(&self) -> &str {
        &self.0.key
    }

    /// Who owns it.
    pub fn incarnation(&self) -> Incarnation {
        self.0.owner.incarnation()
    }

    /// Who owns it, as somebody who can be monitored.
    pub fn owner(&self) -> &Owner {
        &self.0.owner
    }

    /// What it stands for.
    pub fn value(&self) -> &V {
        self.0.value()
    }

    /// What was said about it.
    pub fn metadata(&self) -> &Fields {
        self.0.metadata()
    }

    /// Since when its owner has it, in nanoseconds of the owners' clock.
    pub fn since(&self) -> Nanos {
        self.0.since
    }

    /// Whether it still stands, as it is: not given up, nor updated. One load.
    pub fn is_current(&self) -> bool {
        self.0.is_current()
    }
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.0.key, self.0.owner)
    }
}
