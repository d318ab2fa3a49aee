//! A table whose readers never wait.

use std::{
    borrow::Borrow,
    fmt,
    hash::Hash,
    sync::{Arc, Weak},
};

#[cfg(any(loom, shuttle))]
type Table<K, T> = super::Mutex<std::collections::HashMap<K, Weak<T>>>;
#[cfg(not(any(loom, shuttle)))]
type Table<K, T> = scc::HashIndex<K, Weak<T>>;

/// A table from keys to values that somebody else owns: it holds them weakly. Readers never wait; a locked table in
/// models.
///
/// An entry that was removed may stay in memory until a later write to the same place, and is freed by whichever thread
/// comes by. So the table owns nothing whose drop could be noticed: its entries are weak, and whoever put a value in keeps
/// it. A value that is gone counts as absent. Keys are the library's own types: their `Hash` and `Eq` run while a place
/// in the table is locked.
pub struct Map<K, T>(Table<K, T>);

impl<K: Hash + Eq, T> Default for Map<K, T> {
    fn default() -> Self {
        Self(Table::default())
    }
}

impl<K: Clone + Eq + Hash + 'static, T: 'static> Map<K, T> {
    /// The value of this key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
    {
        face::get(&self.0, key).and_then(|there| there.upgrade())
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
        let stays = face::replace_unless(&self.0, key, Arc::downgrade(value), |weak| {
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
        face::remove_if(&self.0, key, |there| std::ptr::eq(there.as_ptr(), Arc::as_ptr(value)))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        face::len(&self.0)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values: each was there at some moment of the call.
    pub fn values(&self) -> Vec<Arc<T>> {
        face::values(&self.0).iter().filter_map(Weak::upgrade).collect()
    }
}

impl<K, T> fmt::Debug for Map<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map(..)")
    }
}

#[cfg(not(any(loom, shuttle)))]
mod face {
    use std::{borrow::Borrow, hash::Hash, sync::Weak};

    use scc::hash_index::Entry;

    use super::Table;

    pub(super) fn get<K, T, Q>(table: &Table<K, T>, key: &Q) -> Option<Weak<T>>
    where
        K: Clone + Eq + Hash + Borrow<Q> + 'static,
        T: 'static,
        Q: Eq + Hash + ?Sized,
    {
        table.peek_with(key, |_, value| Weak::clone(value))
    }

    /// Whether the old one stays.
    pub(super) fn replace_unless<K: Clone + Eq + Hash + 'static, T: 'static>(
        table: &Table<K, T>,
        key: K,
        value: Weak<T>,
        keep: impl FnOnce(&Weak<T>) -> bool,
    ) -> bool {
        match table.entry_sync(key) {
            Entry::Vacant(place) => _ = place.insert_entry(value),
            Entry::Occupied(there) if keep(there.get()) => return true,
            Entry::Occupied(mut there) => there.update(value),
        }
        false
    }

    pub(super) fn remove_if<K, T, Q>(table: &Table<K, T>, key: &Q, such: impl FnOnce(&Weak<T>) -> bool) -> bool
    where
        K: Clone + Eq + Hash + Borrow<Q> + 'static,
        T: 'static,
        Q: Eq + Hash + ?Sized,
    {
        table.remove_if_sync(key, such)
    }

    pub(super) fn len<K: Clone + Eq + Hash + 'static, T: 'static>(table: &Table<K, T>) -> usize {
        table.len()
    }

    pub(super) fn values<K: Clone + Eq + Hash + 'static, T: 'static>(table: &Table<K, T>) -> Vec<Weak<T>> {
        let mut values = Vec::new();
        table.iter_sync(|_, value| {
            values.push(Weak::clone(value));
            true
        });
        values
    }
}

#[cfg(any(loom, shuttle))]
mod face {
    use std::{borrow::Borrow, hash::Hash, sync::Weak};

    use super::Table;

    #[track_caller]
    pub(super) fn get<K: Eq + Hash + Borrow<Q>, T, Q: Eq + Hash + ?Sized>(
        table: &Table<K, T>,
        key: &Q,
    ) -> Option<Weak<T>> {
        table.lock().get(key).cloned()
    }

    #[track_caller]
    pub(super) fn replace_unless<K: Eq + Hash, T>(
        table: &Table<K, T>,
        key: K,
        value: Weak<T>,
        keep: impl FnOnce(&Weak<T>) -> bool,
    ) -> bool {
        let mut table = table.lock();
        let stays = table.get(&key).is_some_and(keep);
        if !stays {
            table.insert(key, value);
        }
        stays
    }

    #[track_caller]
    pub(super) fn remove_if<K: Eq + Hash + Borrow<Q>, T, Q: Eq + Hash + ?Sized>(
        table: &Table<K, T>,
        key: &Q,
        such: impl FnOnce(&Weak<T>) -> bool,
    ) -> bool {
        let mut table = table.lock();
        let found = table.get(key).is_some_and(such);
        if found {
            table.remove(key);
        }
        found
    }

    pub(super) fn len<K, T>(table: &Table<K, T>) -> usize {
        table.lock().len()
    }

    pub(super) fn values<K, T>(table: &Table<K, T>) -> Vec<Weak<T>> {
        table.lock().values().cloned().collect()
    }
}
