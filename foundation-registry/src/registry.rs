//! Names, and who owns them.

use std::{fmt, marker::PhantomData, sync::Arc};

use foundation_context::{Fields, Incarnation};
#[cfg(feature = "legacy")]
use foundation_sync::Switch;
use foundation_sync::{Until, planted};
use foundation_telemetry::{Telemetry, events};

use crate::{
    Entry, KeyGuard, KeyLocks, Listener, LockError, LockNote, Name, Owner, Owners, Query, RegisterError, StartError,
    Starts, UpdateError, Watch,
    bags::Bags,
    books::Books,
    held::Kind,
    inner::{Inner, Refusal, Revision},
    names::Names,
    registration::Registration,
};

events! {
    /// The events of names.
    pub(crate) const EVENTS;

    /// A name was registered, or a group joined.
    pub const REGISTERED = ["foundation", "registry", "register"];
    measurements {}
    metadata { name: "text" if "it is one", group: "text" if "it is one", owner: "incarnation" }

    /// A name was updated by its owner.
    pub const UPDATED = ["foundation", "registry", "update"];
    measurements {}
    metadata { name: "text" if "it is one", group: "text" if "it is one", owner: "incarnation" }

    /// A name was given up, or a group left, while the owner lives.
    pub const UNREGISTERED = ["foundation", "registry", "unregister"];
    measurements {}
    metadata { name: "text" if "it is one", group: "text" if "it is one", owner: "incarnation" }
}

/// How many entries a registry has room for unless it is told otherwise.
pub const CAPACITY: usize = 1 << 20;

/// Names and groups, and the values that their entries stand for. A clone is another handle.
///
/// A *name* has at most one live owner. A *group* is a key that many may join, also one owner more than once. The two
/// don't know each other: a group may be called like a name. Entries live until they are given up or their owner ends.
pub struct Registry<V>(pub(crate) Arc<Inner<V>>);

/// A registry that is being described: see [`Registry::builder`].
#[must_use = "a builder builds nothing by itself"]
pub struct RegistryBuilder<'a, V> {
    owners: &'a Owners,
    telemetry: &'a Telemetry,
    capacity: usize,
    indexed: Vec<&'static str>,
    values: PhantomData<fn() -> V>,
}

impl<V: Send + Sync + 'static> RegistryBuilder<'_, V> {
    /// Room for so many entries, names and members of groups together. More are refused ([`RegisterError::Full`]). An
    /// attempt takes room until it is refused, so others may be refused the last of it meanwhile. By default [`CAPACITY`].
    pub fn capacity(mut self, entries: usize) -> Self {
        self.capacity = entries;
        self
    }

    /// An attribute of names' metadata by whose value [`Registry::query`] finds names without looking at all of them.
    pub fn index(mut self, attribute: &'static str) -> Self {
        if !self.indexed.contains(&attribute) {
            self.indexed.push(attribute);
        }
        self
    }

    /// The registry, empty.
    pub fn build(self) -> Registry<V> {
        let Self { owners, telemetry, capacity, indexed, .. } = self;
        let clock = owners.clock();
        Registry(Arc::new(Inner {
            owners: owners.clone(),
            names: Names::default(),
            groups: Bags::default(),
            books: Books::new(capacity, indexed.into()),
            locks: KeyLocks::new(clock),
            starts: Starts::new(clock),
            registered: telemetry.emitter(REGISTERED),
            updated: telemetry.emitter(UPDATED),
            unregistered: telemetry.emitter(UNREGISTERED),
        }))
    }
}

impl<V> fmt::Debug for RegistryBuilder<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryBuilder(room for {}, indexed: {:?})", self.capacity, self.indexed)
    }
}

impl<V: Send + Sync + 'static> Registry<V> {
    /// No names. What they are about is not indexed; there is room for [`CAPACITY`].
    pub fn new(owners: &Owners, telemetry: &Telemetry) -> Self {
        Self::builder(owners, telemetry).build()
    }

    /// A registry with other limits, or with indexes.
    pub fn builder<'a>(owners: &'a Owners, telemetry: &'a Telemetry) -> RegistryBuilder<'a, V> {
        RegistryBuilder { owners, telemetry, capacity: CAPACITY, indexed: Vec::new(), values: PhantomData }
    }

    /// Gives the owner this name, until the registration is dropped or the owner ends.
    ///
    /// # Errors
    /// A live owner has the name, as far as the calling thread would find it; this owner has ended, or is not one of this
    /// registry's [`owners`](Self::owners); there is no room.
    pub fn register(
        &self,
        name: &str,
        owner: &Owner,
        value: V,
        metadata: Fields,
    ) -> Result<Registration, RegisterError> {
        self.0.register(Kind::Name, name, owner, value, metadata)
    }

    /// Has the owner join this group, until the registration is dropped or the owner ends. It may be a member more than
    /// once.
    ///
    /// # Errors
    /// The owner has ended; there is no room.
    pub fn join(&self, group: &str, owner: &Owner, value: V, metadata: Fields) -> Result<Registration, RegisterError> {
        self.0.register(Kind::Member, group, owner, value, metadata)
    }

    /// Who has this name, never the dead. Waits for no writer.
    pub fn lookup(&self, name: &str) -> Option<Entry<V>> {
        self.0.names.find(name).map(Entry)
    }

    /// The name as something that is looked up over and over: one load while nothing changes.
    pub fn name(&self, name: &str) -> Name<V> {
        Name::new(&self.0, name)
    }

    /// What the name stands for, as something whose changes are waited for, from now on.
    pub fn watch(&self, name: &str) -> Watch<V> {
        Watch::new(&self.0, name)
    }

    /// Hears of every change of names and groups from now on, in the order in which the entries of one key changed. What
    /// finds no room, because `capacity` changes wait to be received, is counted: see [`Listener::lost`].
    ///
    /// Whatever is not yet seen in [`entries`](Self::entries) after this is heard, or both.
    pub fn listen(&self, capacity: usize) -> Listener<V> {
        Listener::new(&self.0, capacity)
    }

    /// The members of a group, in the order in which they joined: each was one at some moment of the call. Waits for no
    /// writer.
    pub fn members(&self, group: &str) -> Vec<Entry<V>> {
        let Some(bag) = self.0.groups.get(group) else { return Vec::new() };
        let mut members = bag.members();
        members.retain(|held| held.is_live() && held.is_visible());
        members.sort_by_key(|held| held.id);
        members.into_iter().map(Entry).collect()
    }

    /// How many members a group has, of all threads. One that ends counts until it is taken out.
    pub fn count(&self, group: &str) -> usize {
        self.0.groups.get(group).map_or(0, |bag| bag.len())
    }

    /// Calls `each` with every member of a group, on this thread and under no lock; how many there were. A panic in it
    /// goes on, and the rest are not called.
    pub fn dispatch(&self, group: &str, each: impl FnMut(&Entry<V>)) -> usize {
        let members = self.members(group);
        members.iter().for_each(each);
        members.len()
    }

    /// The keys of all groups that have a member, in order, with how many.
    pub fn groups(&self) -> Vec<(String, usize)> {
        let bags = self.0.groups.all();
        let mut groups: Vec<_> = bags.iter().map(|bag| (bag.key.to_string(), bag.len())).collect();
        groups.retain(|(_, members)| *members > 0);
        groups.sort();
        groups
    }

    /// All names that match, in order: each was there at some moment of the call, and what matches all the time is found,
    /// also while it is updated. An equality with an attribute that is
    /// indexed ([`RegistryBuilder::index`]) looks only at names that have one of the values; other queries look at all.
    pub fn query(&self, query: &Query) -> Vec<Entry<V>> {
        let mut found = match self.0.books.indexes.candidates(query) {
            Some(candidates) => self.0.names.found_among(candidates),
            None => self.0.names.found(),
        };
        found.retain(|held| query.matches(held.metadata()));
        found.dedup_by(|a, b| a.key == b.key);
        found.into_iter().map(Entry).collect()
    }

    /// The names that an owner has here and the groups that it has joined, in order; a group comes as often as it was
    /// joined. Empty if the owner has ended.
    pub fn keys_of(&self, owner: Incarnation) -> Vec<String> {
        let mut keys: Vec<_> = self.0.held_by(owner).iter().map(|held| held.key.to_string()).collect();
        keys.sort();
        keys
    }

    /// Changes what the owner's name stands for; returned is the entry that stands there now. `change` is called with the
    /// one that stood there, under no lock, and again if that has changed meanwhile; not at all if the name is not this
    /// owner's.
    ///
    /// # Errors
    /// Nobody has the name, or somebody else; the owner has ended.
    pub fn update_value(
        &self,
        name: &str,
        owner: &Owner,
        mut change: impl FnMut(&Entry<V>) -> V,
    ) -> Result<Entry<V>, UpdateError> {
        self.update(name, owner, |entry| Revision::Value(change(entry)))
    }

    /// Changes what is said about the owner's name: see [`update_value`](Self::update_value).
    ///
    /// # Errors
    /// Nobody has the name, or somebody else; the owner has ended.
    pub fn update_metadata(
        &self,
        name: &str,
        owner: &Owner,
        mut change: impl FnMut(&Entry<V>) -> Fields,
    ) -> Result<Entry<V>, UpdateError> {
        self.update(name, owner, |entry| Revision::Metadata(change(entry)))
    }

    fn update(
        &self,
        name: &str,
        owner: &Owner,
        mut change: impl FnMut(&Entry<V>) -> Revision<V>,
    ) -> Result<Entry<V>, UpdateError> {
        // No round but the last waits for anybody: that there is another means that the owner has changed it meanwhile.
        loop {
            if owner.fenced() {
                return Err(UpdateError::Fenced(owner.incarnation()));
            }
            let Some(entry) = self.lookup(name) else { return Err(UpdateError::NotRegistered { name: name.into() }) };
            if entry.owner() != owner {
                return Err(UpdateError::NotOwner { name: name.into(), owner: entry.incarnation() });
            }
            match self.0.revise(&entry.0, change(&entry)) {
                Ok(revised) => return Ok(revised),
                Err(Refusal::Fenced) => return Err(UpdateError::Fenced(owner.incarnation())),
                Err(Refusal::Overtaken) if entry.is_current() => {
                    return Err(UpdateError::NotRegistered { name: name.into() });
                }
                Err(Refusal::Overtaken) => {}
            }
        }
    }

    /// Unregisters the name if this incarnation has it. `None`: it does not, and whoever has it keeps it.
    ///
    /// For operators, and for owners that did not keep their [`Registration`].
    pub fn unregister(&self, name: &str, owner: Incarnation) -> Option<Entry<V>> {
        self.unregister_if(name, owner, |_| true)
    }

    /// The same, if `condition` holds for the entry. It is called under no lock, and again if the entry has changed
    /// meanwhile.
    pub fn unregister_if(
        &self,
        name: &str,
        owner: Incarnation,
        mut condition: impl FnMut(&Entry<V>) -> bool,
    ) -> Option<Entry<V>> {
        loop {
            let entry = self.lookup(name).filter(|entry| entry.incarnation() == owner)?;
            if !condition(&entry) {
                return None;
            }
            let entry =
                if planted!("registry: an operator unregisters whoever is there") { self.lookup(name)? } else { entry };
            if self.0.give_up(&entry.0) {
                return Some(entry);
            }
            if entry.is_current() {
                return None;
            }
        }
    }

    /// Has the owner leave a group, as often as it has joined it with an entry for which `condition` holds; how many
    /// entries that were.
    pub fn leave_if(&self, group: &str, owner: &Owner, mut condition: impl FnMut(&Entry<V>) -> bool) -> usize {
        let mine = self.members(group).into_iter().filter(|entry| entry.owner() == owner && condition(entry));
        mine.filter(|entry| self.0.give_up(&entry.0)).count()
    }

    /// Finds the name, or has `start` see to it that somebody registers it: however many ask at once, one of them runs it,
    /// on its own thread and under no lock, and the others wait for what comes of that. (In legacy mode those who don't
    /// find what another thread registers get [`StartError::NotRegistered`].)
    ///
    /// # Errors
    /// The start failed, or panicked, here or where it was run; nobody had the name after it; the wait was over.
    #[track_caller]
    pub fn lookup_or_start<'a, E: fmt::Display>(
        &self,
        name: &str,
        until: impl Into<Until<'a>>,
        start: impl FnOnce() -> Result<(), E>,
    ) -> Result<Entry<V>, StartError> {
        self.0.starts.once(name, until, || self.lookup(name), start)
    }

    /// Waits until this owner is the only one to hold the lock of this key, which has nothing to do with the name. First
    /// come, first served. It is released when the guard is dropped, also by a panic, and when the owner ends.
    ///
    /// # Errors
    /// Somebody else holds it at the deadline, or the caller was told to stop; this owner holds it, or has ended.
    #[track_caller]
    pub fn lock<'a>(&self, key: &str, owner: &Owner, until: impl Into<Until<'a>>) -> Result<KeyGuard, LockError> {
        self.0.locks.lock(key, owner, until)
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// Somebody holds it; this owner has ended.
    pub fn try_lock(&self, key: &str, owner: &Owner) -> Result<KeyGuard, LockError> {
        self.0.locks.try_lock(key, owner)
    }

    /// The key locks that are held, and how many wait for each.
    pub fn locks(&self) -> Vec<LockNote> {
        self.0.locks.locks()
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

    /// All names that the calling thread finds, in order: each was there at some moment of the call.
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
