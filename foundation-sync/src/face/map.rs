//! A table whose readers never wait.
//!
//! It is made of *shards*, chosen by a hash's upper bits; each has a lock for its writers and a *table* of *chains*, chosen
//! by the lower bits. A chain is a list of links that never change. A writer, alone in its shard, makes a new beginning of
//! the chain (what it puts in, and copies of the links before the one that it takes out) and shows it in one step; the links
//! behind are shared. A reader takes no lock: it goes to the table, to the chain, along the links, and an epoch keeps alive
//! what it stands on.
//!
//! A shard with more entries than its table has room for gets a table of twice the size: filled first, then shown
//! (*growth*). A reader who is still in the old one sees what was there when the new one was shown, which was while it
//! read. A writer looks for the table when it is alone (*late look*), so none writes to an old one.
//!
//! What was replaced is freed later, by whichever thread comes by, in the middle of what it does. So nothing hangs on a
//! link's drop: its value is weak.

use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    panic::{RefUnwindSafe, UnwindSafe},
    sync::{Arc, Weak},
};

use super::{
    MODEL, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
    epoch::{Guard, Place, Shared},
};

/// In a model it is one, with one chain, for a model may not depend on hashes.
const SHARDS: usize = if MODEL { 1 } else { 64 };

/// Of a shard's first table.
const FIRST_ROOM: usize = if MODEL { 2 } else { 4 };

/// A table from keys to values that somebody else owns: it holds them weakly. Readers never wait.
///
/// An entry that was removed stays in memory for a while, and is freed by whichever thread comes by. So the table owns
/// nothing whose drop could be noticed: its entries are weak, and whoever put a value in keeps it. A value that is gone
/// counts as absent. Keys are the library's own types: their `Hash`, `Eq` and `Clone` run while a part of the table is
/// locked.
///
/// Writers wait for writers of the same 64th of the table. It grows in such parts, too, and keeps the room that it once
/// needed: 8 bytes for an entry.
///
/// Measured beside others on two cores, as a ratio of the time that ours takes to theirs (below 1 ours is faster), by
/// `cargo bench -p foundation-sync --bench map`:
///
/// | all with std's hasher | dashmap | papaya | `RwLock<HashMap>` | `scc::HashIndex` |
/// |---|--:|--:|--:|--:|
/// | get, 10,000 names | 1.5 | 1.2 | 1.4 | 1.4 |
/// | get, 2 threads at once | 0.9 | 1.2 | 0.6 | 1.2 |
/// | insert and remove one key of 10,000 | 1.9 | 0.001 | 2.2 | 0.4 |
/// | insert and remove one key of 100,000 | 1.9 | 0.001 | 2.1 | 0.4 |
/// | insert and remove 4,096 keys by turns, of 100,000 | 1.9 | 0.2 | 2.2 | 0.03 and falling |
///
/// The others hold their values, which saves a look at whether they are still there. dashmap and the lock make readers
/// wait. papaya copies its table when one key comes and goes. `HashIndex` never takes back what was removed from
/// the overflow of a full place, so that it grows, and slows down, for ever.
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
pub struct Map<K, T, S: BuildHasher = RandomState> {
    hasher: S,
    shards: Box<[Shard<K, T>]>,
}

struct Shard<K, T> {
    /// How many entries there are. Whoever holds it is the only writer.
    writer: Mutex<usize>,
    /// A copy of it.
    len: AtomicUsize,
    /// None until something is put in.
    table: Place<Table<K, T>>,
}

struct Table<K, T> {
    room: usize,
    /// As many as there is room, a power of two.
    chains: Box<[Place<Link<K, T>>]>,
}

struct Link<K, T> {
    hash: u64,
    key: K,
    value: Weak<T>,
    next: Option<Shared<Link<K, T>>>,
}

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
        let shard = || Shard { writer: Mutex::new(0), len: AtomicUsize::new(0), table: Place::empty() };
        Self { hasher, shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// How many entries there are. Each part of the table is counted at some moment of the call.
    pub fn len(&self) -> usize {
        // ordering: none, it is a count.
        self.shards.iter().map(|shard| shard.len.load(Relaxed)).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Clone + Eq + Hash + 'static, T: 'static, S: BuildHasher> Map<K, T, S> {
    /// The value of this key.
    #[track_caller]
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let guard = Guard::new();
        self.shard(hash).table.read(&guard, |table| {
            let chain = table?.chain(hash);
            chain.read(&guard, |first| find(first, hash, key)?.value.upgrade())
        })
    }

    /// Puts a value in, unless `keep` says of the one that is there that it stays. `keep` may not wait, nor run a user's
    /// code. The one that was there comes back: the reference may be the last.
    ///
    /// # Errors
    /// The value that stays.
    #[track_caller]
    pub fn insert_unless(
        &self,
        key: K,
        value: &Arc<T>,
        keep: impl FnOnce(&T) -> bool,
    ) -> Result<Option<Arc<T>>, Arc<T>> {
        let hash = self.hasher.hash_one(&key);
        let shard = self.shard(hash);
        let guard = Guard::new();
        if crate::planted!("map: a table grows while others write") {
            // ordering: none, it is a count.
            shard.make_room(shard.len.load(Relaxed), &guard);
        }
        // Kept until the shard is unlocked again: it may be the last reference by then.
        let mut there = None;
        let stays = {
            let mut len = shard.writer.lock();
            shard.make_room(*len, &guard);
            shard.table.own(&guard, |table| {
                let chain = table.expect("there is room").chain(hash);
                chain.own(&guard, |first| {
                    let found = find(first, hash, &key);
                    there = found.and_then(|link| link.value.upgrade());
                    if there.as_deref().is_some_and(keep) {
                        return true;
                    }
                    let next = match found {
                        Some(found) => without(first, found),
                        None => chain.get(&guard),
                    };
                    if found.is_none() {
                        shard.count(&mut len, |len| len + 1);
                    }
                    chain.put(Some(Shared::new(Link { hash, key, value: Arc::downgrade(value), next })));
                    false
                })
            })
        };
        match there {
            Some(there) if stays => Err(there),
            there => Ok(there),
        }
    }

    /// Takes the entry out if it is this value's: nobody removes a successor's.
    #[track_caller]
    pub fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q, value: &Arc<T>) -> bool
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash);
        let guard = Guard::new();
        let mut len = shard.writer.lock();
        shard.table.own(&guard, |table| {
            let Some(chain) = table.map(|table| table.chain(hash)) else { return false };
            chain.own(&guard, |first| match find(first, hash, key) {
                Some(found) if std::ptr::eq(found.value.as_ptr(), Arc::as_ptr(value)) => {
                    chain.put(without(first, found));
                    shard.count(&mut len, |len| len - 1);
                    true
                }
                _ => false,
            })
        })
    }

    /// All values: each was there at some moment of the call.
    #[track_caller]
    pub fn values(&self) -> Vec<Arc<T>> {
        let guard = Guard::new();
        let mut values = Vec::new();
        for shard in &self.shards {
            shard.table.read(&guard, |table| {
                for chain in table.map_or(&[][..], |table| &table.chains) {
                    chain.read(&guard, |first| values.extend(links(first).filter_map(|link| link.value.upgrade())));
                }
            });
        }
        values
    }

    fn shard(&self, hash: u64) -> &Shard<K, T> {
        &self.shards[(hash >> 58) as usize & (self.shards.len() - 1)]
    }
}

impl<K: Clone + 'static, T: 'static> Shard<K, T> {
    /// Sees to it that there is a table, with room for one more. By the only writer.
    fn make_room(&self, len: usize, guard: &Guard) {
        let full = self.table.own(guard, |old| match old {
            Some(old) if len < old.room => None,
            old => {
                let new = Shared::new(Table::of(old.map_or(FIRST_ROOM, |old| 2 * old.room)));
                if crate::planted!("map: a table is shown before it is filled") {
                    self.table.put(Some(Shared::clone(&new)));
                }
                for chain in old.into_iter().flat_map(|old| &old.chains) {
                    chain.own(guard, |first| links(first).for_each(|link| new.put(link, guard)));
                }
                Some(new)
            }
        });
        if let Some(new) = full {
            self.table.put(Some(new));
        }
    }

    fn count(&self, len: &mut usize, change: impl FnOnce(usize) -> usize) {
        *len = change(*len);
        // ordering: none, it is a count.
        self.len.store(*len, Relaxed);
    }
}

impl<K: Clone + 'static, T: 'static> Table<K, T> {
    fn of(room: usize) -> Self {
        let chains = if MODEL { 1 } else { room };
        Self { room, chains: (0..chains).map(|_| Place::empty()).collect() }
    }

    fn chain(&self, hash: u64) -> &Place<Link<K, T>> {
        &self.chains[hash as usize & (self.chains.len() - 1)]
    }

    /// A copy of this link, before those that are there.
    fn put(&self, link: &Link<K, T>, guard: &Guard) {
        let chain = self.chain(link.hash);
        chain.put(Some(link.before(chain.get(guard))));
    }
}

impl<K: Clone + 'static, T: 'static> Link<K, T> {
    /// A copy of it, with others behind.
    fn before(&self, next: Option<Shared<Self>>) -> Shared<Self> {
        Shared::new(Self { hash: self.hash, key: self.key.clone(), value: Weak::clone(&self.value), next })
    }
}

fn links<K, T>(first: Option<&Link<K, T>>) -> impl Iterator<Item = &Link<K, T>> {
    std::iter::successors(first, |link| link.next.as_deref())
}

fn find<'a, K: Borrow<Q>, T, Q: Eq + ?Sized>(
    first: Option<&'a Link<K, T>>,
    hash: u64,
    key: &Q,
) -> Option<&'a Link<K, T>> {
    links(first).find(|link| link.hash == hash && link.key.borrow() == key)
}

/// The chain without the link that was found in it: those behind it, and copies of those before.
fn without<K: Clone + 'static, T: 'static>(
    first: Option<&Link<K, T>>,
    found: &Link<K, T>,
) -> Option<Shared<Link<K, T>>> {
    let before = links(first).take_while(|link| !std::ptr::eq(*link, found));
    before.fold(found.next.clone(), |behind, link| Some(link.before(behind)))
}

impl<K, T, S: BuildHasher> fmt::Debug for Map<K, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map(..)")
    }
}

// Nothing foreign runs while a part is locked, and what can be seen of a value is what an `Arc` shows.
impl<K: RefUnwindSafe, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> UnwindSafe for Map<K, T, S> {}
impl<K: RefUnwindSafe, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> RefUnwindSafe for Map<K, T, S> {}
