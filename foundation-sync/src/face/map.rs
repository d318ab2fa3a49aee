//! A table whose readers never wait.
//!
//! It is made of *shards*, chosen by a hash's upper bits: each has a lock for its writers, and a table of weak values.
//! `shard` has the protocol. A value's key is in the value: a shard is told the hash, and asks back whether a value is the
//! right one.
//!
//! What was replaced is freed later, in the middle of what a thread does. So nothing hangs on a link's drop: its value is
//! weak. And a value that was looked at only to see its key may be the last reference: it is dropped when no lock is held.

mod shard;
mod table;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use self::shard::Shard;
use super::{MODEL, epoch};

/// Of a map of which nothing is said.
const SHARDS: usize = 32;

/// A shard is chosen by the six upper bits.
const MOST_SHARDS: usize = 64;

/// A value that has its key in it, for a [`Map`]. It may have several, of several types, for several maps.
///
/// The key does not change as long as the value is in a map.
pub trait Keyed<K> {
    /// The key.
    fn key(&self) -> &K;
}

/// A table from keys to values that somebody else owns: it holds them weakly. Readers never wait.
///
/// An entry that was removed stays in memory for a while. The thread that removed it frees it, in the middle of later calls
/// of its own, some hundreds of them to any map; if it makes none, at its end, or another thread after that. The same goes
/// for a map that is dropped. So the table owns nothing whose drop could be noticed: its entries are weak, and whoever put
/// a value in keeps it. A value that is gone counts as absent. Keys are the library's own types: their `Hash` and `Eq`, and
/// [`Keyed::key`], run while a part of the table is locked.
///
/// Writers wait for writers of the same 32nd of the table. It grows in such parts, too: when five of eight places of one are
/// used, it leaves out the entries whose values are gone, and is made anew with 2.5 to 5 places for each of the others. So
/// is one in which more than 16 have become free for each entry. Between two such times so much has to be put in or taken
/// out that each call pays for a few places, whatever the order. A place is 8 bytes, an entry 32 more:
/// [`bytes`](Self::bytes).
///
/// It may be used in the destructor of a thread-local, when what it needs of the thread may be gone already: a thread of
/// its own does the work then, which is slow. (On Windows, where a thread that ends may not wait for another, it hangs. If
/// there is no such thread to be had, nothing is found, and nothing put in or taken out.) A map that is *dropped* there
/// leaks its entries.
///
/// Measured beside dashmap with std's hasher on two cores, 10,000 names, as a ratio of the time that ours takes to its
/// (below 1 ours is faster). Of each the fastest of 300 rounds, taken by turns, for others used the machine, too;
/// `cargo bench -p foundation-sync --bench map` has the same cases, and other maps:
///
/// | | 1 thread | 2 threads | 8 threads | dashmap with foldhash, 1 thread |
/// |---|--:|--:|--:|--:|
/// | get, foldhash | 0.82 | 0.73 | | 0.58 |
/// | get, std's hasher | 1.27 | 1.13 | | |
/// | get what is not there, foldhash | 0.67 | | | 0.42 |
/// | 9 gets to a change, foldhash | 0.85 | 0.82 | 0.81 | 0.61 |
/// | 9 gets to a change, std's hasher | 1.31 | 1.13 | 1.27 | |
/// | insert and remove one key, foldhash | 1.11 | | | 0.72 |
/// | insert and remove 4,096 keys by turns, foldhash | 1.10 | | | 0.69 |
/// | insert 10,000 and remove them, foldhash | 1.56 | | | 0.69 |
///
/// dashmap holds its values, which saves a look at whether they are still there and a step to them, makes readers wait, and
/// does not give memory back. papaya copies its table when one key comes and goes, which takes a thousand times as long.
/// scc's `HashIndex` never takes back what was removed from the overflow of a full place, so that it grows, and slows down,
/// for ever.
///
/// `S` makes the hashes. The default is resistant to chosen keys, as it is std's: SipHash with keys that are drawn at
/// random for each map. A faster one may be taken where nobody outside chooses the keys.
///
/// ```
/// use std::sync::Arc;
/// use foundation_sync::{Keyed, Map};
///
/// #[derive(Debug, PartialEq)]
/// struct Place(String);
///
/// impl Keyed<String> for Place {
///     fn key(&self) -> &String {
///         &self.0
///     }
/// }
///
/// let (places, here) = (Map::<String, Place>::new(), Arc::new(Place("here".into())));
/// assert_eq!(places.insert_unless(&here, |_| true), Ok(None));
/// assert_eq!(places.get("here"), Some(Arc::clone(&here)));
/// drop(here);
/// assert_eq!(places.get("here"), None, "the map does not keep it");
/// ```
pub struct Map<K, T, S: BuildHasher = RandomState> {
    hasher: S,
    shards: Box<[Shard<T>]>,
    keys: PhantomData<fn(K)>,
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
    /// they have to differ: keys of one hash are gone through one by one. A hasher that does not depend on a secret can be
    /// made slow so by whoever chooses the keys.
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_shards(SHARDS, hasher)
    }

    /// The same, made of so many parts; others have 32. The number is rounded up to a power of two, 64 at most. One is
    /// right for a small map of which there are many: its writers wait for each other, and it takes 64 bytes beside itself
    /// until something is put in.
    pub fn with_shards(shards: usize, hasher: S) -> Self {
        // A model may not depend on hashes.
        let shards = if MODEL { 1 } else { shards.clamp(1, MOST_SHARDS).next_power_of_two() };
        Self { hasher, shards: (0..shards).map(|_| Shard::empty()).collect(), keys: PhantomData }
    }

    /// Waits until those who are just changing the map are done, part by part: what they have done is seen afterwards, and
    /// whoever changes it later sees what the caller has done before.
    #[track_caller]
    pub fn pass(&self) {
        self.shards.iter().for_each(Shard::pass);
    }

    /// How many entries there are. Each part of the table is counted at some moment of the call. An entry whose value is
    /// gone counts until it is removed or replaced, or its part of the table is made anew and leaves it out.
    pub fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is allocated for it at some moment of the call, in bytes: its parts, the places and the entries. Not the values,
    /// what waits to be freed, or what the allocator adds.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum()
    }
}

impl<K: Eq + Hash, T: Keyed<K> + Send + Sync + 'static, S: BuildHasher> Map<K, T, S> {
    /// The value of this key. One that is replaced is there all the time: it is the old one or the new one.
    #[track_caller]
    pub fn get<Q: Eq + Hash + Sync + ?Sized>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let mut met = Vec::new();
        epoch::pinned(|guard| shard.get(hash, |value| value.key().borrow() == key, guard, &mut met))?
    }

    /// Puts a value in, unless `keep` says of the one of its key that is there that it stays. `keep` may not wait, nor run
    /// a user's code. The one that was there comes back: the reference may be the last.
    ///
    /// # Errors
    /// The value that stays. (`value` itself if it cannot be put in: see above, on thread-locals.)
    #[track_caller]
    pub fn insert_unless(
        &self,
        value: &Arc<T>,
        keep: impl FnOnce(&T) -> bool + Send,
    ) -> Result<Option<Arc<T>>, Arc<T>> {
        self.insert_unless_then(value, keep, |_| {})
    }

    /// The same; when the new value can be seen, `then` is told of the one that was there. It runs while this part of the
    /// table is locked: no other value of the key comes or goes before it is done. It may not wait, nor run a user's code,
    /// nor use this map.
    ///
    /// # Errors
    /// The value that stays: `then` is not called.
    #[track_caller]
    pub fn insert_unless_then(
        &self,
        value: &Arc<T>,
        keep: impl FnOnce(&T) -> bool + Send,
        then: impl FnOnce(Option<&Arc<T>>) + Send,
    ) -> Result<Option<Arc<T>>, Arc<T>> {
        let hash = self.hash(value.key());
        let mut met = Vec::new();
        let done = self.shard(hash).insert(hash, value, |there| there.key() == value.key(), keep, then, &mut met);
        done.unwrap_or_else(|| Err(Arc::clone(value)))
    }

    /// Takes this value out, if it is there: nobody removes a successor's entry.
    #[track_caller]
    pub fn remove(&self, value: &T) -> bool {
        self.remove_then(value, || {})
    }

    /// The same; when the value can be seen no more, `then` is called, if it was there: see
    /// [`insert_unless_then`](Self::insert_unless_then).
    #[track_caller]
    pub fn remove_then(&self, value: &T, then: impl FnOnce() + Send) -> bool {
        let hash = self.hash(value.key());
        self.shard(hash).remove(hash, value, then)
    }

    /// Whether this very value is in the map, and not another one of its key. No reference is made, so none is dropped.
    #[track_caller]
    pub fn has(&self, value: &T) -> bool {
        let hash = self.hash(value.key());
        let shard = self.shard(hash);
        epoch::pinned(|guard| shard.has(hash, value, guard)).unwrap_or(false)
    }

    /// All values, one of each key: each was there at some moment of the call. A key that is replaced has one all the time,
    /// as for [`get`](Self::get).
    #[track_caller]
    pub fn values(&self) -> Vec<Arc<T>> {
        let (mut values, mut met) = (Vec::new(), Vec::new());
        for shard in &self.shards {
            // One by one: whoever looks for long keeps all garbage from being freed.
            _ = epoch::pinned(|guard| shard.values(guard, &mut values, &mut met));
            met.clear();
        }
        // What changed its place meanwhile may have been met in both.
        values.sort_unstable_by_key(|(hash, _)| *hash);
        let mut all = Vec::<Arc<T>>::with_capacity(values.len());
        // Where those of this hash begin.
        let (mut of, mut begin) = (None, 0);
        for (hash, value) in values {
            if of.replace(hash) != Some(hash) {
                begin = all.len();
            }
            if all[begin..].iter().all(|there| there.key() != value.key()) {
                all.push(value);
            }
        }
        all
    }

    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        spread(self.hasher.hash_one(key))
    }

    fn shard(&self, hash: u64) -> &Shard<T> {
        &self.shards[(hash >> 58) as usize & (self.shards.len() - 1)]
    }
}

/// What a hasher has made, so that the bits of each end depend on all of it: the upper ones choose a part of the table, and
/// say of a place what is there, the lower ones are where a path begins.
fn spread(hash: u64) -> u64 {
    // A hasher's bits may all be at one end, wherever: both halves of the product have all of them. But evenly spaced
    // numbers stay so, and come in heaps: the upper half of another product breaks that up.
    let product = u128::from(hash) * 0x9E37_79B9_7F4A_7C15;
    let folded = (product >> 64) as u64 ^ product as u64;
    let product = folded.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    product ^ product >> 32
}

impl<K, T, S: BuildHasher> fmt::Debug for Map<K, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map(..)")
    }
}

// Nothing foreign runs while a part is locked, and what can be seen of a value is what an `Arc` shows.
impl<K, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> UnwindSafe for Map<K, T, S> {}
impl<K, T: RefUnwindSafe, S: BuildHasher + RefUnwindSafe> RefUnwindSafe for Map<K, T, S> {}
