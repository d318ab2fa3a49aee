//! A table whose readers never wait.
//!
//! It is made of *shards*, chosen by a hash's upper bits; each has a lock for its writers and a *table* of *chains*, chosen
//! by the lower bits. A chain is a list of links that never change. A writer, alone in its shard, makes a new beginning of
//! the chain (what it puts in, and copies of the links before the one that it takes out) and shows it in one step; the links
//! behind are shared. A reader takes no lock: it goes to the table, to the chain, along the links, and an epoch keeps alive
//! what it stands on. That is the chain's first link alone: it owns the others, which are counted. So a chain that nobody
//! sees any more is freed at once, and not a link for each epoch.
//!
//! A shard whose table is full gets another: filled first with whose values are alive, then shown (*growth*), of twice the
//! size if that is not half of it. A reader who is still in the old one sees what was there when the new one was shown,
//! which was while it read. A writer looks for the table when it is alone (*late look*), so none writes to an old one.
//!
//! A reader may come to a link just before it is replaced, and to its value when that is dead: it looks again (*second
//! look*). Only a dead value that is found twice is an absent one, for then it died while it was there.
//!
//! What was replaced is freed later, in the middle of what a thread does. So nothing hangs on a link's drop: its value is
//! weak.

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
    epoch::{self, Guard, Place},
};

/// In a model it is one, with one chain, for a model may not depend on hashes.
const SHARDS: usize = if MODEL { 1 } else { 64 };

/// Of a shard's first table.
const FIRST_ROOM: usize = if MODEL { 2 } else { 4 };

/// A table from keys to values that somebody else owns: it holds them weakly. Readers never wait.
///
/// An entry that was removed stays in memory for a while. The thread that removed it frees it, in the middle of later calls
/// of its own, some hundreds of them to any map; if it makes none, at its end, or another thread after that. The same goes
/// for a map that is dropped. So the table owns nothing whose drop could be noticed: its entries are weak, and whoever put
/// a value in keeps it. A value that is gone counts as absent. Keys are the library's own types: their `Hash`, `Eq`,
/// `Clone` and `Drop` run while a part of the table is locked.
///
/// Writers wait for writers of the same 64th of the table. It grows in such parts, too: when one is full, it leaves out the
/// entries whose values are gone, and takes twice the room if that was not half of them. A place is 8 bytes, so there are 8
/// to 16 for an entry while a map grows. It keeps the room when entries are removed.
///
/// It may be used in the destructor of a thread-local, when what it needs of the thread may be gone already: a thread of
/// its own does the work then, which is slow. (On Windows, where a thread that ends may not wait for another, it hangs. If
/// there is no such thread to be had, nothing is found, and nothing put in or taken out.) A map that is *dropped* there
/// leaks its entries.
///
/// Measured beside others on two cores, as a ratio of the time that ours takes to theirs (below 1 ours is faster), by
/// `cargo bench -p foundation-sync --bench map`:
///
/// | all with std's hasher | dashmap | papaya | `RwLock<HashMap>` | `scc::HashIndex` |
/// |---|--:|--:|--:|--:|
/// | get, 10,000 names | 1.5 | 1.2 | 1.4 | 1.1 |
/// | get, 2 threads at once | 0.9 | 0.9 | 0.5 | 0.4 |
/// | insert and remove one key of 10,000 | 2.1 | 0.001 | 2.2 | 0.4 |
/// | insert and remove one key of 100,000 | 2.4 | 0.002 | 2.5 | 0.4 |
/// | insert and remove 4,096 keys by turns, of 100,000 | 3.5 | 0.4 | 2.9 | 0.3 and falling |
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
    keys: std::marker::PhantomData<fn() -> K>,
    shards: Box<[Shard<T>]>,
}

/// Writers of one do not slow down those of another: each has a line of the cache.
#[repr(align(64))]
struct Shard<T> {
    /// How many entries there are. Whoever holds it is the only writer.
    writer: Mutex<usize>,
    /// A copy of it.
    len: AtomicUsize,
    /// None until something is put in.
    table: Place<Table<T>>,
}

struct Table<T> {
    room: usize,
    /// As many as there is room, a power of two.
    chains: Box<[Place<Link<T>>]>,
}

struct Link<T> {
    hash: u64,
    value: Weak<T>,
    next: Option<Arc<Link<T>>>,
}

/// What has a key of its own, by which a [`Map`] finds it.
pub trait Keyed<K> {
    /// The key. It never changes.
    fn key(&self) -> &K;
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
    /// An empty map whose hashes are made by `hasher`. They need not be spread (those of numbers may be the numbers), but
    /// they have to differ: keys of one hash share a chain, which each call goes along, and of which each removal copies
    /// what is before the entry. The copies of some hundreds of calls are in memory at once. A hasher that does not depend
    /// on a secret can be made slow so by whoever chooses the keys.
    pub fn with_hasher(hasher: S) -> Self {
        Self::with(hasher, SHARDS)
    }

    fn with(hasher: S, shards: usize) -> Self {
        let shard = || Shard { writer: Mutex::new(0), len: AtomicUsize::new(0), table: Place::empty() };
        Self { hasher, keys: std::marker::PhantomData, shards: (0..shards).map(|_| shard()).collect() }
    }

    /// small
    pub fn small() -> Self
    where
        S: Default,
    {
        Self::with(S::default(), 1)
    }

    /// bytes
    pub fn bytes(&self) -> usize {
        0
    }

    /// How many entries there are. Each part of the table is counted at some moment of the call. An entry whose value is
    /// gone counts until it is removed or replaced, or its part of the table is full and leaves it out.
    pub fn len(&self) -> usize {
        // ordering: none, it is a count.
        self.shards.iter().map(|shard| shard.len.load(Relaxed)).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash + Sync + 'static, T: Keyed<K> + Send + Sync + 'static, S: BuildHasher> Map<K, T, S> {
    /// The value of this key. One that is replaced is there all the time: it is the old one or the new one.
    #[track_caller]
    pub fn get<Q: Eq + Hash + Sync + ?Sized>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        epoch::pinned(|guard| shard.get(hash, key, guard))?
    }

    /// x
    #[track_caller]
    pub fn insert_unless(
        &self,
        value: &Arc<T>,
        keep: impl FnOnce(&T) -> bool + Send,
    ) -> Result<Option<Arc<T>>, Arc<T>> {
        self.insert_unless_then(value, keep, |_| {})
    }

    /// x
    #[track_caller]
    pub fn insert_unless_then(
        &self,
        value: &Arc<T>,
        keep: impl FnOnce(&T) -> bool + Send,
        then: impl FnOnce(Option<&Arc<T>>) + Send,
    ) -> Result<Option<Arc<T>>, Arc<T>> {
        let key = value.key();
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let done = {
            let mut len = shard.writer.lock();
            let len = &mut *len;
            epoch::pinned(|guard| {
                shard.make_room(len, guard);
                shard.table.own(guard, |table| {
                    let chain = table.expect("there is room").chain(hash);
                    chain.own(guard, |first| {
                        let found = find(first, hash, key);
                        if let Some((_, there)) = &found
                            && keep(there)
                        {
                            return Err(Arc::clone(there));
                        }
                        let next = match &found {
                            Some((found, _)) => without(first, found),
                            None => first.map(Link::again),
                        };
                        if found.is_none() {
                            shard.count(len, *len + 1);
                        }
                        let there = found.map(|(_, there)| there);
                        let (value, next) = (Arc::downgrade(value), next.map(Arc::new));
                        chain.put(Some(Link { hash, value, next }));
                        then(there.as_ref());
                        Ok(there)
                    })
                })
            })
        };
        match done {
            Some(done) => done,
            None => Err(Arc::clone(value)),
        }
    }

    /// x
    #[track_caller]
    pub fn remove(&self, value: &T) -> bool {
        self.remove_then(value, || {})
    }

    /// x
    #[track_caller]
    pub fn remove_then(&self, value: &T, then: impl FnOnce() + Send) -> bool {
        let hash = self.hash(value.key());
        let shard = self.shard(hash);
        let mut len = shard.writer.lock();
        let len = &mut *len;
        let removed = epoch::pinned(|guard| {
            shard.table.own(guard, |table| {
                let Some(chain) = table.map(|table| table.chain(hash)) else { return false };
                chain.own(guard, |first| match links(first).find(|link| std::ptr::eq(link.value.as_ptr(), value)) {
                    Some(found) => {
                        chain.put(without(first, found));
                        shard.count(len, *len - 1);
                        then();
                        true
                    }
                    _ => false,
                })
            })
        });
        removed.unwrap_or(false)
    }

    /// x
    #[track_caller]
    pub fn values(&self) -> Vec<Arc<T>> {
        let mut values = Vec::new();
        let shards = &self.shards;
        let all = epoch::pinned(|guard| {
            for shard in shards {
                shard.table.read(guard, |table| {
                    for chain in table.map_or(&[][..], |table| &table.chains) {
                        chain.read(guard, |first| {
                            values.extend(links(first).filter_map(|link| link.value.upgrade()));
                        });
                    }
                });
            }
            values
        });
        all.unwrap_or_default()
    }

    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        // A hasher's bits may all be at one end: the product has them at the upper one, folded at both.
        let hash = self.hasher.hash_one(key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        hash ^ (hash >> 32)
    }

    fn shard(&self, hash: u64) -> &Shard<T> {
        &self.shards[(hash >> 58) as usize & (self.shards.len() - 1)]
    }
}

impl<T> Shard<T> {
    fn get<K: Eq + Borrow<Q>, Q: Eq + ?Sized>(&self, hash: u64, key: &Q, guard: &Guard) -> Option<Arc<T>>
    where
        T: Keyed<K>,
    {
        self.table.read(guard, |table| {
            let chain = table?.chain(hash);
            chain.read(guard, |first| Some(find(first, hash, key)?.1))
        })
    }
}

impl<T: 'static> Shard<T> {
    /// Sees to it that there is a table, with room for one more. By the only writer.
    fn make_room(&self, len: &mut usize, guard: &Guard) {
        let full = self.table.own(guard, |old| match old {
            Some(old) if *len < old.room => None,
            Some(old) => {
                let mut alive = 0;
                old.each(guard, |link| alive += usize::from(link.is_alive()));
                // At least as much again as there is, so that an entry is copied once or twice, on average.
                Some(old.copy((2 * alive).next_power_of_two().max(FIRST_ROOM), guard))
            }
            None => Some((Table::empty(FIRST_ROOM), 0)),
        });
        if let Some((new, kept)) = full {
            if crate::planted!("map: a table is shown before it is filled") {
                self.table.put(Some(Table::empty(new.room)));
            }
            self.table.put(Some(new));
            self.count(len, kept);
        }
    }

    fn count(&self, len: &mut usize, now: usize) {
        *len = now;
        // ordering: none, it is a count.
        self.len.store(now, Relaxed);
    }
}

impl<T> Drop for Shard<T> {
    fn drop(&mut self) {
        self.table.leave();
    }
}

impl<T> Table<T> {
    fn chain(&self, hash: u64) -> &Place<Link<T>> {
        &self.chains[hash as usize & (self.chains.len() - 1)]
    }
}

impl<T: 'static> Table<T> {
    fn empty(room: usize) -> Self {
        Self::of(room, std::iter::repeat_with(|| None).take(chains(room)))
    }

    fn of(room: usize, chains: impl Iterator<Item = Option<Link<T>>>) -> Self {
        Self { room, chains: chains.map(Place::of).collect() }
    }

    /// One of this room with copies of the links whose values are alive, and how many these are. By the only writer.
    fn copy(&self, room: usize, guard: &Guard) -> (Self, usize) {
        let mut new: Vec<_> = std::iter::repeat_with(|| None).take(chains(room)).collect();
        let (mut kept, last) = (0, new.len() - 1);
        self.each(guard, |link| {
            if link.is_alive() {
                let first = &mut new[link.hash as usize & last];
                *first = Some(link.before(first.take().map(Arc::new)));
                kept += 1;
            }
        });
        (Self::of(room, new.into_iter()), kept)
    }

    fn each(&self, guard: &Guard, mut see: impl FnMut(&Link<T>)) {
        for chain in &self.chains {
            chain.own(guard, |first| links(first).for_each(&mut see));
        }
    }
}

/// How many there are in a table of this room.
fn chains(room: usize) -> usize {
    if MODEL { 1 } else { room }
}

impl<T> Link<T> {
    /// A copy of it, with others behind.
    fn before(&self, next: Option<Arc<Self>>) -> Self {
        Self { hash: self.hash, value: Weak::clone(&self.value), next }
    }

    /// A copy of it, with the same ones behind.
    fn again(&self) -> Self {
        self.before(self.next.clone())
    }

    fn is_alive(&self) -> bool {
        self.value.strong_count() > 0
    }
}

impl<T> Drop for Link<T> {
    /// Drops those behind one by one: each by the one before needs a stack as long as the chain.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.next.take();
        }
    }
}

fn links<T>(first: Option<&Link<T>>) -> impl Iterator<Item = &Link<T>> {
    std::iter::successors(first, |link| link.next.as_deref())
}

fn find<'a, K: Borrow<Q>, T: Keyed<K>, Q: Eq + ?Sized>(
    first: Option<&'a Link<T>>,
    hash: u64,
    key: &Q,
) -> Option<(&'a Link<T>, Arc<T>)> {
    links(first).filter(|link| link.hash == hash).find_map(|link| {
        let value = link.value.upgrade()?;
        (value.key().borrow() == key).then_some((link, value))
    })
}

fn without<T>(first: Option<&Link<T>>, found: &Link<T>) -> Option<Link<T>> {
    let mut before = links(first).take_while(|link| !std::ptr::eq(*link, found));
    let Some(first) = before.next() else { return found.next.as_deref().map(Link::again) };
    let rest = before.fold(found.next.clone(), |behind, link| Some(Arc::new(link.before(behind))));
    Some(first.before(rest))
}

impl<K, T, S: BuildHasher> fmt::Debug for Map<K, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map(..)")
    }
}

// Nothing foreign runs while a part is locked, and what can be seen of a value is what an `Arc` shows.
impl<K, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> UnwindSafe for Map<K, T, S> {}
impl<K, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> RefUnwindSafe for Map<K, T, S> {}
