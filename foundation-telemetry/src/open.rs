//! The spans that are open in one universe: a table in shards.
//!
//! A span's number is used once, and says where it stands: the shard, the place in it, and how many the shard had given
//! out before. So whatever is done to a span costs the same however many are open, a place that was given away again is
//! not mistaken for the old one, and threads that share no shard share nothing.

use std::fmt;

use foundation_context::{Fields, Incarnation, SpanLink, TraceId};
use foundation_sync::{MODEL, Mutex, Nanos, legacy::View, planted};
use slab::Slab;

/// How many spans may be open in one of the table's 64 shards, so at least of one life, or of one thread that is nobody's.
pub const MOST_OPEN: usize = 1 << PLACE_BITS;

const SHARD_BITS: u32 = 6;
const PLACE_BITS: u32 = 17;

/// Fewer in a model, which makes them anew for each schedule.
const SHARDS: usize = if MODEL { 2 } else { 1 << SHARD_BITS };

/// Which span: a number that its universe uses once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl SpanId {
    fn new(shard: usize, place: usize, drawn: u64) -> Self {
        Self(drawn << (SHARD_BITS + PLACE_BITS) | (place << SHARD_BITS) as u64 | shard as u64)
    }

    pub(crate) fn of(link: SpanLink) -> Self {
        Self(link.span)
    }

    /// The number, as it stands in events and in a [`SpanLink`].
    pub fn number(self) -> u64 {
        self.0
    }

    fn shard(self) -> usize {
        self.0 as usize & ((1 << SHARD_BITS) - 1)
    }

    fn place(self) -> usize {
        (self.0 >> SHARD_BITS) as usize & ((1 << PLACE_BITS) - 1)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({})", self.0)
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

impl OpenSpan {
    /// Its link: what makes another span its child, also on another thread.
    pub fn link(&self) -> SpanLink {
        SpanLink { trace: self.trace, span: self.id.0 }
    }
}

/// With whose end a span is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Life(Incarnation),
    /// A thread that is nobody's, by its number here.
    Thread(u64),
    /// A thread that is nobody's, and about to end.
    Nobody,
}

impl Owner {
    fn shard(self) -> usize {
        let number = match self {
            Self::Life(who) => who.id.wrapping_add(who.generation << 32),
            Self::Thread(number) => number << 16,
            Self::Nobody => 0,
        };
        // Neighbouring numbers are spread over all shards.
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % SHARDS
    }
}

/// What is known of an open span.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) link: SpanLink,
    pub(crate) parent: Option<u64>,
    pub(crate) owner: Owner,
    pub(crate) name: &'static str,
    pub(crate) fields: Fields,
    pub(crate) since: Nanos,
    /// Who sees it: it remembers the mode in which the span was opened.
    pub(crate) view: View,
}

impl Open {
    pub(crate) fn id(&self) -> SpanId {
        SpanId(self.link.span)
    }

    /// As others see it.
    pub(crate) fn seen(&self, now: Nanos) -> OpenSpan {
        let owner = if let Owner::Life(who) = self.owner { Some(who) } else { None };
        OpenSpan {
            id: self.id(),
            name: self.name,
            trace: self.link.trace,
            parent: self.parent,
            owner,
            age: now.saturating_sub(self.since),
        }
    }
}

/// A place, given out before the span is in it.
type Place = Option<Open>;

#[derive(Default)]
struct Shard {
    spans: Slab<Place>,
    drawn: u64,
    closed: u64,
}

pub(crate) struct Table([Mutex<Shard>; SHARDS]);

impl Default for Table {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Shard {
    fn draw(&mut self, shard: usize) -> (SpanId, bool) {
        self.drawn += 1;
        let room = self.spans.len() < MOST_OPEN;
        let place = if room { self.spans.vacant_key() } else { 0 };
        (SpanId::new(shard, place, self.drawn), room)
    }

    fn is(&self, id: SpanId) -> bool {
        matches!(self.spans.get(id.place()), Some(Some(open)) if open.link.span == id.0)
    }
}

impl Table {
    /// Puts the span in that is made of its number. Where there is no place it comes back.
    #[must_use = "one that comes back is closed"]
    pub(crate) fn insert(&self, owner: Owner, make: impl FnOnce(SpanId) -> Open) -> Option<Open> {
        let at = owner.shard();
        let mut shard = self.0[at].lock();
        let (id, room) = shard.draw(at);
        let open = make(id);
        if !room {
            shard.closed += 1;
            return Some(open);
        }
        shard.spans.insert(Some(open));
        None
    }

    /// Gives out a number, and keeps the place for it, if there is one, until the span is [filled in](Self::fill).
    pub(crate) fn reserve(&self, owner: Owner) -> (SpanId, bool) {
        let at = owner.shard();
        let mut shard = self.0[at].lock();
        let (id, room) = shard.draw(at);
        if room {
            shard.spans.insert(None);
        } else {
            shard.closed += 1;
        }
        (id, room)
    }

    pub(crate) fn fill(&self, open: Open) {
        let id = open.id();
        self.0[id.shard()].lock().spans[id.place()] = Some(open);
    }

    /// Takes this span out, and none that has its place by now. Of two who try, one gets it.
    pub(crate) fn remove(&self, id: SpanId) -> Option<Open> {
        let shard = self.0.get(id.shard())?;
        if planted!("span: looked at and taken out in two steps") {
            if !shard.lock().is(id) {
                return None;
            }
            let mut shard = shard.lock();
            shard.closed += 1;
            return shard.spans.try_remove(id.place()).flatten().or_else(|| Some(nothing(id)));
        }
        let mut shard = shard.lock();
        if !shard.is(id) {
            return None;
        }
        shard.closed += 1;
        shard.spans.remove(id.place())
    }

    /// Looks at this span under the lock, or changes it.
    pub(crate) fn with<R>(&self, id: SpanId, look: impl FnOnce(&mut Open) -> R) -> Option<R> {
        let mut shard = self.0.get(id.shard())?.lock();
        let open = shard.spans.get_mut(id.place())?.as_mut()?;
        (open.link.span == id.0).then(|| look(open))
    }

    /// Takes all spans of this owner out, the oldest first.
    pub(crate) fn remove_of(&self, owner: Owner) -> Vec<Open> {
        let mut shard = self.0[owner.shard()].lock();
        if shard.spans.is_empty() {
            return Vec::new();
        }
        let is_its = |place: &Place| place.as_ref().is_some_and(|open| open.owner == owner);
        let places: Vec<_> = shard.spans.iter().filter(|(_, place)| is_its(place)).map(|(at, _)| at).collect();
        shard.closed += places.len() as u64;
        let mut removed: Vec<_> = places.into_iter().filter_map(|at| shard.spans.remove(at)).collect();
        drop(shard);
        removed.sort_by_key(|open| open.link.span >> (SHARD_BITS + PLACE_BITS));
        removed
    }

    /// How many there are, whoever sees them.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().spans.len()).sum()
    }

    /// How many were opened, and how many closed.
    pub(crate) fn figures(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(opened, closed), shard| {
            let shard = shard.lock();
            (opened + shard.drawn, closed + shard.closed)
        })
    }

    /// Those that the calling thread sees, the oldest first.
    pub(crate) fn visible(&self, now: Nanos) -> Vec<OpenSpan> {
        let mut visible = Vec::new();
        for shard in &self.0 {
            let shard = shard.lock();
            let seen = shard.spans.iter().filter_map(|(_, place)| place.as_ref()).filter(|open| open.view.is_visible());
            visible.extend(seen.map(|open| (open.since, open.seen(now))));
        }
        // Those of one moment and one shard in the order in which they were opened.
        visible.sort_by_key(|(since, open)| (*since, open.id.number() >> (SHARD_BITS + PLACE_BITS)));
        visible.into_iter().map(|(_, open)| open).collect()
    }
}

/// What a defect that is planted takes out once more.
fn nothing(id: SpanId) -> Open {
    let link = SpanLink { trace: TraceId(0), span: id.0 };
    let view = foundation_sync::legacy::Mode::default().view();
    Open { link, parent: None, owner: Owner::Nobody, name: "", fields: Fields::new(), since: 0, view }
}
