//! A table whose readers never wait.
#![cfg_attr(any(loom, shuttle), expect(clippy::disallowed_types, reason = "the door itself"))]

use std::{borrow::Borrow, fmt, hash::Hash};

#[cfg(any(loom, shuttle))]
type Table<K, V> = super::Mutex<std::collections::HashMap<K, V>>;
#[cfg(not(any(loom, shuttle)))]
type Table<K, V> = scc::HashIndex<K, V>;

/// A table from keys to small values, `Arc`s as a rule. Readers never wait; a locked table in models.
///
/// Writers of one key take turns. What leaves the table may be kept alive until a later write to the same place, so
/// nothing may hang on the drop of a value. Keys and values are the library's own types: their `Hash`, `Eq` and
/// `Clone` run while a place in the table is locked.
pub struct Map<K, V>(Table<K, V>);

impl<K: Hash + Eq, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(Table::default())
    }
}

#[cfg(not(any(loom, shuttle)))]
impl<K: Clone + Eq + Hash + 'static, V: Clone + 'static> Map<K, V> {
    /// The value of this key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.peek_with(key, |_, value| value.clone())
    }

    /// Puts a value in, unless `keep` says of the one that is there that it stays; then that one is returned.
    ///
    /// # Errors
    /// The value that stays.
    pub fn insert_unless(&self, key: K, value: V, keep: impl FnOnce(&V) -> bool) -> Result<(), V> {
        match self.0.entry_sync(key) {
            scc::hash_index::Entry::Vacant(place) => _ = place.insert_entry(value),
            scc::hash_index::Entry::Occupied(there) if keep(there.get()) => return Err(there.get().clone()),
            scc::hash_index::Entry::Occupied(mut there) => there.update(value),
        }
        Ok(())
    }

    /// Takes the value out if `such` says so of it.
    pub fn remove_if<Q: Eq + Hash + ?Sized>(&self, key: &Q, such: impl FnOnce(&V) -> bool) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove_if_sync(key, such)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies of all values: each was there at some moment of the call.
    pub fn values(&self) -> Vec<V> {
        let mut values = Vec::new();
        self.0.iter_sync(|_, value| {
            values.push(value.clone());
            true
        });
        values
    }
}

#[cfg(any(loom, shuttle))]
impl<K: Clone + Eq + Hash + 'static, V: Clone + 'static> Map<K, V> {
    /// The value of this key.
    #[track_caller]
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.lock().get(key).cloned()
    }

    /// Puts a value in, unless `keep` says of the one that is there that it stays; then that one is returned.
    ///
    /// # Errors
    /// The value that stays.
    #[track_caller]
    pub fn insert_unless(&self, key: K, value: V, keep: impl FnOnce(&V) -> bool) -> Result<(), V> {
        let old = {
            let mut table = self.0.lock();
            if let Some(there) = table.get(&key).filter(|there| keep(there)) {
                return Err(there.clone());
            }
            table.insert(key, value)
        };
        drop(old);
        Ok(())
    }

    /// Takes the value out if `such` says so of it.
    #[track_caller]
    pub fn remove_if<Q: Eq + Hash + ?Sized>(&self, key: &Q, such: impl FnOnce(&V) -> bool) -> bool
    where
        K: Borrow<Q>,
    {
        let old = {
            let mut table = self.0.lock();
            if table.get(key).is_some_and(such) { table.remove(key) } else { None }
        };
        old.is_some()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Copies of all values: each was there at some moment of the call.
    pub fn values(&self) -> Vec<V> {
        self.0.lock().values().cloned().collect()
    }
}

impl<K: Clone + Eq + Hash + 'static, V: Clone + 'static> Map<K, V> {
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map(..)")
    }
}
