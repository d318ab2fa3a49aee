//! What a thread holds for itself under a name whose place another thread has.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet, VecDeque},
    hash::{Hash, Hasher},
    sync::Arc,
};

use foundation_sync::{
    Map, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
    thread::{self, ThreadId},
};

use smol_str::SmolStr;

use crate::{bags::Hashes, books::Books, held::Held};

/// A thread's name: where an entry stands that is kept aside.
#[derive(Clone)]
pub(crate) struct Aside {
    pub(crate) thread: ThreadId,
    pub(crate) name: SmolStr,
}

/// An [`Aside`] as a key, or what is compared with one without allocating it.
trait Key: Sync {
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
    /// Whether there ever was one: nobody looks any further until then.
    used: AtomicBool,
    /// For lookups: also those that have moved up.
    entries: Map<Aside, Held<V>, Hashes>,
    waiting: Mutex<Waiting<V>>,
}

/// Those who have not moved up yet, by name, in the order in which they came.
pub(crate) struct Waiting<V>(HashMap<SmolStr, VecDeque<Arc<Held<V>>>>);

impl<V> Default for Private<V> {
    fn default() -> Self {
        Self { used: AtomicBool::new(false), entries: Map::default(), waiting: Mutex::new(Waiting(HashMap::new())) }
    }
}

impl<V: Send + Sync + 'static> Private<V> {
    pub(crate) fn is_used(&self) -> bool {
        // ordering: Relaxed. Whoever holds something here has stored it; and whoever changes a name's place after
        // somebody went aside because of it does so under the place's own lock, after the store: races "release against
        // aside" and "register against the first conflict" in `names`.
        self.used.load(Ordering::Relaxed)
    }

    /// The lock under which entries go aside, move up and leave.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Waiting<V>> {
        self.waiting.lock()
    }

    /// Says that somebody is about to go aside, before it looks at the name's place for the last time.
    pub(crate) fn announce(&self) {
        // ordering: Relaxed, see `is_used`.
        self.used.store(true, Ordering::Relaxed);
    }

    /// Puts the calling thread's entry in, which finds no live one of its own. A dead one that was there comes back.
    #[must_use = "it may be the last reference, and a lock is held"]
    pub(crate) fn put(&self, books: &Books<V>, waiting: &mut Waiting<V>, held: &Arc<Held<V>>) -> Option<Arc<Held<V>>> {
        waiting.0.entry(held.key.clone()).or_default().push_back(Arc::clone(held));
        // A dead one that was there may stand in its name's place, too: its owner's end books it.
        let gone = self.entries.insert_unless_then(held, |_| false, |_| books.shown(held, None));
        gone.unwrap_or_else(Some)
    }

    /// The calling thread's entry.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Held<V>>> {
        if !self.is_used() {
            return None;
        }
        self.entries.get(&(thread::id(), name) as &dyn Key)
    }

    /// All of all threads: each was there at some moment of the call.
    pub(crate) fn all(&self) -> Vec<Arc<Held<V>>> {
        self.entries.values()
    }

    /// Whether this very entry is there.
    pub(crate) fn has(&self, held: &Arc<Held<V>>) -> bool {
        self.is_used() && self.entries.has(held)
    }

    /// Waits for those who are just changing something.
    pub(crate) fn pass(&self) {
        self.entries.pass();
        drop(self.waiting.lock());
    }

    /// Of its table.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.bytes()
    }

    /// Takes the entry out; whether it was there.
    pub(crate) fn remove(&self, waiting: &mut Waiting<V>, held: &Held<V>) -> bool {
        // A dead one that its thread's next entry has replaced may wait all the same.
        let waited = waiting.remove(held);
        self.entries.remove(held) || waited
    }

    /// Puts an entry in the place of an older one of the same registration; whether that was there.
    pub(crate) fn update(&self, waiting: &mut Waiting<V>, old: &Arc<Held<V>>, new: &Arc<Held<V>>) -> bool {
        if let Some(place) = waiting.place(old) {
            *place = Arc::clone(new);
        }
        self.entries.has(old) && self.entries.insert_unless(new, |there| !std::ptr::eq(there, &**old)).is_ok()
    }

    /// Puts the calling thread's live entries in the place of others of the same name.
    pub(crate) fn put_over(&self, found: &mut Vec<Arc<Held<V>>>) {
        let mut own = self.entries.values();
        own.retain(|held| held.is_live() && self.get(&held.key).is_some_and(|mine| Arc::ptr_eq(&mine, held)));
        let names: HashSet<_> = own.iter().map(|held| &held.key).collect();
        found.retain(|held| !names.contains(&held.key));
        found.append(&mut own);
    }
}

impl<V> Waiting<V> {
    /// The first one of this name who lives.
    pub(crate) fn next(&self, name: &str) -> Option<Arc<Held<V>>> {
        self.0.get(name)?.iter().find(|held| held.is_live()).cloned()
    }

    /// Takes the entry out; whether it was there. The caller has another reference.
    pub(crate) fn remove(&mut self, held: &Held<V>) -> bool {
        let Some(those) = self.0.get_mut(&held.key) else { return false };
        let place = those.iter().position(|other| std::ptr::eq(&**other, held));
        let removed = place.and_then(|place| those.remove(place)).is_some();
        if those.is_empty() {
            self.0.remove(&held.key);
        }
        removed
    }

    fn place(&mut self, held: &Arc<Held<V>>) -> Option<&mut Arc<Held<V>>> {
        self.0.get_mut(&held.key)?.iter_mut().find(|other| Arc::ptr_eq(other, held))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values().map(VecDeque::len).sum()
    }
}
