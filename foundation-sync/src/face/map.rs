//! A table whose readers never wait.

use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    panic::{RefUnwindSafe, UnwindSafe},
    sync::{Arc, Weak},
};

/// A table from keys to values that somebody else owns: it holds them weakly. Readers never wait; a locked table in
/// models.
///
/// An entry that was removed may stay in memory until a later write to the same place, and is freed by whichever thread
/// comes by. So the table owns nothing whose drop could be noticed: its entries are weak, and whoever put a value in keeps
/// it. A value that is gone counts as absent. Keys are the library's own types: their `Hash` and `Eq` run while a place
/// in the table is locked.
///
/// `S` makes the hashes. The default is resistant to chosen keys, as it is std's: SipHash with keys that are drawn at
/// random for each map. A faster one may be taken where nobody outside chooses the keys.
///
/// ```
/// use std::sync::Arc;
/// use foundation_sync::Map;
///
/// let (names, here) = (Map::new(), Arc::new("here"));
/// assert_eq!(names.insert_unless("name", &here, |_| true), Ok(None));
/// assert_eq!(names.get("name"), Some(Arc::clone(&here)));
/// drop(here);
/// assert_eq!(names.get("name"), None, "the map does not keep it");
/// ```
pub struct Map<K, T, S: BuildHasher = RandomState>(face::Table<K, T, S>);

impl<K, T> Map<K, T> {
    /// An empty map with the default hasher.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<K, T, S: BuildHasher + Default> Default for Map<K, T, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K, T, S: BuildHasher> Map<K, T, S> {
    /// An empty map whose hashes are made by `hasher`. One that does not depend on a secret can be made slow by whoever
    /// chooses the keys.
    pub fn with_hasher(hasher: S) -> Self {
        Self(face::Table::with_hasher(hasher))
    }
}

impl<K: Clone + Eq + Hash + 'static, T: 'static, S: BuildHasher> Map<K, T, S> {
    /// The value of this key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).and_then(|there| there.upgrade())
    }

    /// Puts a value in, unless `keep` says of the one that is there that it stays. `keep` may not wait, nor run a user's
    /// code. The one that was there comes back: the reference may be the last.
    ///
    /// # Errors
    /// The value that stays.
    pub fn insert_unless(
        &self,
        key: K,
        value: &Arc<T>,
        keep: impl FnOnce(&T) -> bool,
    ) -> Result<Option<Arc<T>>, Arc<T>> {
        // Kept until the place is unlocked again: it may be the last reference by then.
        let mut there = None;
        let stays = self.0.replace_unless(key, Arc::downgrade(value), |weak| {
            there = weak.upgrade();
            there.as_deref().is_some_and(keep)
        });
        match there {
            Some(there) if stays => Err(there),
            there => Ok(there),
        }
    }

    /// Takes the entry out if it is this value's: nobody removes a successor's.
    pub fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q, value: &Arc<T>) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove_if(key, |there| std::ptr::eq(there.as_ptr(), Arc::as_ptr(value)))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values: each was there at some moment of the call.
    pub fn values(&self) -> Vec<Arc<T>> {
        self.0.values().iter().filter_map(Weak::upgrade).collect()
    }
}

impl<K, T, S: BuildHasher> fmt::Debug for Map<K, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map(..)")
    }
}

// Nothing foreign runs while a place is locked, and what can be seen of a value is what an `Arc` shows.
impl<K: RefUnwindSafe, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> UnwindSafe for Map<K, T, S> {}
impl<K: RefUnwindSafe, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> RefUnwindSafe for Map<K, T, S> {}

#[cfg(not(any(loom, shuttle)))]
mod face {
    use std::{
        borrow::Borrow,
        hash::{BuildHasher, Hash},
        sync::Weak,
    };

    use scc::{HashIndex, hash_index::Entry};

    pub(super) struct Table<K, T, S: BuildHasher>(HashIndex<K, Weak<T>, S>);

    impl<K, T, S: BuildHasher> Table<K, T, S> {
        pub(super) fn with_hasher(hasher: S) -> Self {
            Self(HashIndex::with_hasher(hasher))
        }
    }

    impl<K: Clone + Eq + Hash + 'static, T: 'static, S: BuildHasher> Table<K, T, S> {
        pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Weak<T>>
        where
            K: Borrow<Q>,
        {
            self.0.peek_with(key, |_, value| Weak::clone(value))
        }

        /// Whether the old one stays.
        pub(super) fn replace_unless(&self, key: K, value: Weak<T>, keep: impl FnOnce(&Weak<T>) -> bool) -> bool {
            match self.0.entry_sync(key) {
                Entry::Vacant(place) => _ = place.insert_entry(value),
                Entry::Occupied(there) if keep(there.get()) => return true,
                Entry::Occupied(mut there) => there.update(value),
            }
            false
        }

        pub(super) fn remove_if<Q: Eq + Hash + ?Sized>(&self, key: &Q, such: impl FnOnce(&Weak<T>) -> bool) -> bool
        where
            K: Borrow<Q>,
        {
            self.0.remove_if_sync(key, such)
        }

        pub(super) fn len(&self) -> usize {
            self.0.len()
        }

        pub(super) fn values(&self) -> Vec<Weak<T>> {
            let mut values = Vec::new();
            self.0.iter_sync(|_, value| {
                values.push(Weak::clone(value));
                true
            });
            values
        }
    }
}

#[cfg(any(loom, shuttle))]
mod face {
    use std::{
        borrow::Borrow,
        collections::HashMap,
        hash::{BuildHasher, Hash},
        marker::PhantomData,
        sync::Weak,
    };

    use super::super::Mutex;

    /// Shares keys and hashers among its readers, as the real one does: so both must be `Sync`.
    pub(super) struct Table<K, T, S: BuildHasher>(Mutex<HashMap<K, Weak<T>, S>>, PhantomData<(K, S)>);

    impl<K, T, S: BuildHasher> Table<K, T, S> {
        pub(super) fn with_hasher(hasher: S) -> Self {
            Self(Mutex::new(HashMap::with_hasher(hasher)), PhantomData)
        }
    }

    impl<K: Clone + Eq + Hash + 'static, T: 'static, S: BuildHasher> Table<K, T, S> {
        #[track_caller]
        pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Weak<T>>
        where
            K: Borrow<Q>,
        {
            self.0.lock().get(key).cloned()
        }

        /// Whether the old one stays.
        #[track_caller]
        pub(super) fn replace_unless(&self, key: K, value: Weak<T>, keep: impl FnOnce(&Weak<T>) -> bool) -> bool {
            let mut table = self.0.lock();
            let stays = table.get(&key).is_some_and(keep);
            if !stays {
                table.insert(key, value);
            }
            stays
        }

        #[track_caller]
        pub(super) fn remove_if<Q: Eq + Hash + ?Sized>(&self, key: &Q, such: impl FnOnce(&Weak<T>) -> bool) -> bool
        where
            K: Borrow<Q>,
        {
            let mut table = self.0.lock();
            let found = table.get(key).is_some_and(such);
            if found {
                table.remove(key);
            }
            found
        }

        pub(super) fn len(&self) -> usize {
            self.0.lock().len()
        }

        pub(super) fn values(&self) -> Vec<Weak<T>> {
            self.0.lock().values().cloned().collect()
        }
    }
}
