//! What a thread holds for itself under a name whose place another thread has.

use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

use foundation_sync::{
    Map,
    atomic::{AtomicBool, Ordering},
    thread::{self, ThreadId},
};

use crate::names::Held;

/// A thread's name: where an entry stands that is kept aside.
#[derive(Clone)]
pub(crate) struct Aside {
    thread: ThreadId,
    name: Arc<str>,
}

/// An [`Aside`] as a key, or what is compared with one without allocating it.
trait Key {
    fn parts(&self) -> (ThreadId, &str);
}

impl Key for Aside {
    fn parts(&self) -> (ThreadId, &str) {
        (self.thread, &self.name)
    }
}

impl Key for (ThreadId, &str) {
    fn parts(&self) -> (ThreadId, &str) {
        *self
    }
}

impl Hash for dyn Key + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Key + '_ {}

impl Hash for Aside {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for Aside {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Aside {}

impl<'a> Borrow<dyn Key + 'a> for Aside {
    fn borrow(&self) -> &(dyn Key + 'a) {
        self
    }
}

/// The entries that are kept aside, of all threads.
pub(crate) struct Private<V> {
    /// Whether there ever was one: a lookup looks no further until then.
    used: AtomicBool,
    entries: Map<Aside, Held<V>>,
}

impl<V> Default for Private<V> {
    fn default() -> Self {
        Self { used: AtomicBool::new(false), entries: Map::default() }
    }
}

impl<V: 'static> Private<V> {
    /// Puts the calling thread's entry in; see [`Names::hold`](crate::names::Names::hold).
    pub(crate) fn hold(&self, held: &Arc<Held<V>>, met: &mut Vec<Arc<Held<V>>>) -> Result<Aside, Arc<Held<V>>> {
        // ordering: Relaxed, read for its own entries by the thread that stores it.
        self.used.store(true, Ordering::Relaxed);
        let aside = Aside { thread: thread::id(), name: Arc::clone(&held.name) };
        met.extend(self.entries.insert_unless(aside.clone(), held, Held::is_live)?);
        Ok(aside)
    }

    /// The calling thread's entry.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Held<V>>> {
        // ordering: Relaxed, whoever holds something here has stored it.
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        self.entries.get(&(thread::id(), name) as &dyn Key)
    }

    pub(crate) fn remove(&self, aside: &Aside, held: &Arc<Held<V>>) -> bool {
        self.entries.remove(aside, held)
    }

    /// Puts the calling thread's live entries in the place of others of the same name.
    pub(crate) fn put_over(&self, found: &mut Vec<Arc<Held<V>>>) {
        let mut own = self.entries.values();
        own.retain(|held| held.is_live() && self.get(&held.name).is_some_and(|mine| Arc::ptr_eq(&mine, held)));
        let names: HashSet<_> = own.iter().map(|held| &held.name).collect();
        found.retain(|held| !names.contains(&held.name));
        found.append(&mut own);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
