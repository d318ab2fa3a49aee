//! Several entries under one key.
//!
//! A *bag* is the members of one key: a small table of its own, whose readers never wait, so that a group of a hundred
//! thousand costs its next member no more than a group of two.
//!
//! # Protocol: a bag comes with its first user, and goes some time after its last
//! Whoever is about to put a member in opens the bag of the key: looks for it, makes it if there is none, and raises its
//! count of users. Whoever has taken a member out closes it. The one who brings the count to zero leaves it idle, as the
//! only one, so that a key whose only member comes and goes keeps its bag: the one that was idle before is marked as gone,
//! if it still has no users, and taken out of the table. A bag that is gone is never used again.
//!
//! Named race: *open against retirement*: the bag is found, and gone before the count is raised. Whoever finds that helps
//! to take it out, looks again, and finds none, or a newer one.

use std::{borrow::Borrow, hash::Hash, sync::Arc};

use foundation_sync::{
    Keyed, Map, Mutex,
    atomic::{AtomicUsize, Ordering},
    planted, reached,
};

use crate::held::Held;

/// Makes the hashes of keys and numbers: fast, with a secret that is drawn at random for the process.
pub(crate) type Hashes = foldhash::quality::RandomState;

/// All bags of one kind.
pub(crate) struct Bags<K, V> {
    table: Map<K, Bag<K, V>, Hashes>,
    /// The last one that had no users any more.
    idle: Mutex<Option<Arc<Bag<K, V>>>>,
}

/// The entries of one key. Who opened it keeps it.
pub(crate) struct Bag<K, V> {
    pub(crate) key: K,
    members: Map<u64, Held<V>, Hashes>,
    /// How many, or [`GONE`].
    users: AtomicUsize,
}

const GONE: usize = usize::MAX;

impl<K, V> Default for Bags<K, V> {
    fn default() -> Self {
        Self { table: Map::default(), idle: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static, V: Send + Sync + 'static> Bags<K, V> {
    /// The bag of this key, with one user more.
    pub(crate) fn open(&self, key: &K) -> Arc<Bag<K, V>> {
        loop {
            let bag = self.table.get(key).unwrap_or_else(|| {
                let new = Arc::new(Bag {
                    key: key.clone(),
                    members: Map::with_shards(1, Hashes::default()),
                    users: AtomicUsize::new(0),
                });
                match self.table.insert_unless(&new, |_| true) {
                    Ok(_) => new,
                    Err(there) => there,
                }
            });
            let one_more = |users: usize| match users {
                GONE if !planted!("registry: a bag that is gone is used") => None,
                users => Some(users.wrapping_add(1)),
            };
            // ordering: Relaxed, it is a count: what is in the bag has its own lock.
            if bag.users.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok() {
                return bag;
            }
            reached!("registry: a bag was gone when it was found");
            self.table.remove(&bag);
        }
    }

    /// One user less.
    pub(crate) fn close(&self, bag: &Arc<Bag<K, V>>) {
        // ordering: Relaxed, see `open`.
        if bag.users.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        let before = {
            let mut idle = self.idle.lock();
            match &*idle {
                Some(same) if Arc::ptr_eq(same, bag) => return,
                _ => idle.replace(Arc::clone(bag)),
            }
        };
        if let Some(before) = before
            // ordering: Relaxed, see `open`.
            && before.users.compare_exchange(0, GONE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.table.remove(&before);
        }
    }

    /// The bag of this key, for a look.
    pub(crate) fn get<Q: Eq + Hash + Sync + ?Sized>(&self, key: &Q) -> Option<Arc<Bag<K, V>>>
    where
        K: Borrow<Q>,
    {
        self.table.get(key)
    }

    /// All bags: each was there at some moment of the call.
    pub(crate) fn all(&self) -> Vec<Arc<Bag<K, V>>> {
        self.table.values()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.all().iter().map(|bag| size_of::<Bag<K, V>>() + bag.members.bytes()).sum::<usize>()
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Bag<K, V> {
    /// Puts a member in; `shown` is called when it can be seen, while no other member comes or goes.
    pub(crate) fn put(&self, held: &Arc<Held<V>>, shown: impl FnOnce() + Send) {
        let put = self.members.insert_unless_then(held, |_| false, |_| shown());
        debug_assert!(put.is_ok(), "nothing is kept");
    }

    /// Takes a member out; `gone` is called if it was there, while no other member comes or goes.
    pub(crate) fn take(&self, held: &Held<V>, gone: impl FnOnce() + Send) -> bool {
        self.members.remove_then(held, gone)
    }

    /// All members: each was there at some moment of the call.
    pub(crate) fn members(&self) -> Vec<Arc<Held<V>>> {
        self.members.values()
    }

    /// Whether this very entry is one.
    pub(crate) fn has(&self, held: &Held<V>) -> bool {
        self.members.has(held)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}

impl<K, V> Keyed<K> for Bag<K, V> {
    fn key(&self) -> &K {
        &self.key
    }
}
