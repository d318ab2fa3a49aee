//! Several entries under one key.
//!
//! A *bag* is the members of one key: a small table of its own, whose readers never wait, so that a group of a hundred
//! thousand costs its next member no more than a group of two.
//!
//! # Protocol: a bag comes with its first user and goes with its last
//! Whoever is about to put a member in opens the bag of the key: looks for it, makes it if there is none, and raises its
//! count of users under its lock. Whoever has taken a member out closes it: the one who brings the count to zero marks it
//! as gone, under the lock, and takes it out of the table. A bag that is gone is never used again.
//!
//! Named race: *open against the last close*: the bag is found, and gone before the count is raised. Whoever finds that
//! helps to take it out, looks again, and finds none, or a newer one.

use std::{borrow::Borrow, hash::Hash, sync::Arc};

use foundation_sync::{Keyed, Map, Mutex, planted, reached};

use crate::held::Held;

/// Makes the hashes of keys and numbers: fast, with a secret that is drawn at random for the process.
pub(crate) type Hashes = foldhash::quality::RandomState;

/// All bags of one kind.
pub(crate) struct Bags<K, V>(Map<K, Bag<K, V>, Hashes>);

/// The entries of one key. Who opened it keeps it.
pub(crate) struct Bag<K, V> {
    pub(crate) key: K,
    members: Map<u64, Held<V>, Hashes>,
    users: Mutex<Users>,
}

struct Users {
    count: usize,
    gone: bool,
}

impl<K, V> Default for Bags<K, V> {
    fn default() -> Self {
        Self(Map::default())
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static, V: Send + Sync + 'static> Bags<K, V> {
    /// The bag of this key, with one user more.
    pub(crate) fn open(&self, key: &K) -> Arc<Bag<K, V>> {
        loop {
            let bag = self.0.get(key).unwrap_or_else(|| {
                let new = Arc::new(Bag {
                    key: key.clone(),
                    members: Map::with_shards(1, Hashes::default()),
                    users: Mutex::new(Users { count: 0, gone: false }),
                });
                match self.0.insert_unless(&new, |_| true) {
                    Ok(_) => new,
                    Err(there) => there,
                }
            });
            {
                let mut users = bag.users.lock();
                if !users.gone || planted!("registry: a bag that is gone is used") {
                    users.count += 1;
                    drop(users);
                    return bag;
                }
            }
            reached!("registry: a bag was gone when it was found");
            self.0.remove(&bag);
        }
    }

    /// One user less.
    pub(crate) fn close(&self, bag: &Arc<Bag<K, V>>) {
        let gone = {
            let mut users = bag.users.lock();
            users.count -= 1;
            users.gone = users.count == 0;
            users.gone
        };
        if gone {
            self.0.remove(bag);
        }
    }

    /// The bag of this key, for a look.
    pub(crate) fn get<Q: Eq + Hash + Sync + ?Sized>(&self, key: &Q) -> Option<Arc<Bag<K, V>>>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// All bags: each was there at some moment of the call.
    pub(crate) fn all(&self) -> Vec<Arc<Bag<K, V>>> {
        self.0.values()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes() + self.all().iter().map(|bag| size_of::<Bag<K, V>>() + bag.members.bytes()).sum::<usize>()
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
