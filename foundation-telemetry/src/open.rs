//! The spans that are open in one universe: a table in shards.
//!
//! An id is a number that is used once, and the place in the table, so closing costs the same however many spans are
//! open, and a place that was given away again is not mistaken for the old one.

use std::{
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use foundation_context::{Fields, Incarnation, SpanLink, TraceId};
use foundation_sync::{MODEL, Mutex, Nanos, legacy::View, planted, thread};
use slab::Slab;

/// How many spans may be open in one of the table's 64 shards, so at least of one thread.
pub const MOST_OPEN: usize = 16_384;

/// Fewer in a model, which makes them anew for each schedule.
const SHARDS: usize = if MODEL { 2 } else { 64 };

/// Which span: a number that its universe uses once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId {
    number: u64,
    shard: u32,
    /// The place in the shard; beyond it for a span that found none.
    key: u32,
}

impl SpanId {
    /// The number, as it stands in events and in a [`SpanLink`].
    pub fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({})", self.number)
    }
}

/// A span that is open, as [`Telemetry::open_spans`](crate::Telemetry::open_spans) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSpan {
    /// Which.
    pub id: SpanId,
    /// Its name.
    pub name: &'static str,
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// The number of the span in which it was opened.
    pub parent: Option<u64>,
    /// Who opened it; `None` on a thread that is nobody's.
    pub owner: Option<Incarnation>,
    /// Nanoseconds since it was opened.
    pub age: Nanos,
}

/// What is known of an open span.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) link: SpanLink,
    pub(crate) parent: Option<u64>,
    pub(crate) owner: Option<Incarnation>,
    pub(crate) name: &'static str,
    pub(crate) fields: Fields,
    pub(crate) since: Nanos,
    /// Who sees it: it remembers the mode in which the span was opened.
    pub(crate) view: View,
}

impl Open {
    fn id(&self, shard: usize, key: usize) -> SpanId {
        SpanId { number: self.link.span, shard: shard as u32, key: key as u32 }
    }

    /// As others see it.
    pub(crate) fn seen(&self, id: SpanId, now: Nanos) -> OpenSpan {
        OpenSpan {
            id,
            name: self.name,
            trace: self.link.trace,
            parent: self.parent,
            owner: self.owner,
            age: now.saturating_sub(self.since),
        }
    }
}

pub(crate) struct Table([Mutex<Slab<Open>>; SHARDS]);

impl Default for Table {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

/// By owner, so that an owner's are together; else by thread.
fn shard_of(owner: Option<Incarnation>) -> usize {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = owner.map_or_else(|| hasher.hash_one(thread::id()), |owner| hasher.hash_one(owner));
    (hash % SHARDS as u64) as usize
}

impl Table {
    /// Puts the span in. Where there is no place it comes back, with the id under which nobody finds it.
    pub(crate) fn insert(&self, open: Open) -> (SpanId, Option<Open>) {
        let (number, shard) = (open.link.span, shard_of(open.owner));
        let (key, refused) = {
            let mut spans = self.0[shard].lock();
            if spans.len() < MOST_OPEN { (spans.insert(open), None) } else { (MOST_OPEN, Some(open)) }
        };
        (SpanId { number, shard: shard as u32, key: key as u32 }, refused)
    }

    /// Takes this span out, and none that has its place by now. Of two who try, one gets it.
    pub(crate) fn remove(&self, id: SpanId) -> Option<Open> {
        let (shard, key) = (self.0.get(id.shard as usize)?, id.key as usize);
        let is_it = |spans: &Slab<Open>| spans.get(key).is_some_and(|open| open.link.span == id.number);
        if planted!("span: looked at and taken out in two steps") {
            let open = {
                let spans = shard.lock();
                let open = spans.get(key).filter(|_| is_it(&spans))?;
                Open { view: foundation_sync::legacy::Mode::default().view(), fields: open.fields.clone(), ..*open }
            };
            drop(shard.lock().try_remove(key));
            return Some(open);
        }
        let mut spans = shard.lock();
        if is_it(&spans) { Some(spans.remove(key)) } else { None }
    }

    /// Takes all spans of this life out, the oldest first.
    pub(crate) fn remove_of(&self, owner: Incarnation) -> Vec<(SpanId, Open)> {
        let shard = shard_of(Some(owner));
        let mut removed: Vec<_> = {
            let mut spans = self.0[shard].lock();
            let keys: Vec<_> = spans.iter().filter(|(_, open)| open.owner == Some(owner)).map(|(key, _)| key).collect();
            keys.into_iter()
                .map(|key| (spans.remove(key), key))
                .map(|(open, key)| (open.id(shard, key), open))
                .collect()
        };
        removed.sort_by_key(|(id, _)| id.number);
        removed
    }

    /// How many there are, whoever sees them.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|spans| spans.lock().len()).sum()
    }

    /// Those that the calling thread sees, the oldest first.
    pub(crate) fn visible(&self, now: Nanos) -> Vec<OpenSpan> {
        let mut visible = Vec::new();
        for (shard, spans) in self.0.iter().enumerate() {
            let spans = spans.lock();
            let seen = spans.iter().filter(|(_, open)| open.view.is_visible());
            visible.extend(seen.map(|(key, open)| open.seen(open.id(shard, key), now)));
        }
        visible.sort_by_key(|open| open.id.number);
        visible
    }
}
