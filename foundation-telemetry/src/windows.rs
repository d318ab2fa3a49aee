//! The windows that are open: a bounded table of buckets.
//!
//! # Protocol
//! A bucket has a lock, under which windows are opened and closed, and words that those read who hold no lock: for each
//! place the key's hash, the window's end, its epoch. They are stored in this order after the counts of the window before
//! were taken; whoever reads them reads the epoch first, and then has to count for that epoch, which fails once the
//! window is closed. So a reader that has mixed two windows up comes to nothing, and looks again under the lock.
//!
//! What was opened in legacy mode is its thread's alone, and stands in the locked part only.

use foundation_sync::{
    Clock, MODEL, Mutex, Nanos,
    atomic::{AtomicU32, AtomicU64, Ordering},
    legacy::{Mode, View},
    planted, reached,
};

use crate::{
    EventName,
    cells::{Cells, Epoch},
};

/// How many windows may be open in all: 16 in each of the table's 256 buckets. A key whose bucket is full finds no
/// place, also while there is room in others.
pub const MOST_WINDOWS: usize = 4096;

/// A power of two; fewer in a model, which makes them anew for each schedule.
const BUCKETS: usize = if MODEL { 1 } else { 256 };
const PLACES: usize = if MODEL { 1 } else { MOST_WINDOWS / BUCKETS };

/// How many bytes of a key are kept, to be reported.
const KEPT: usize = 96;

/// No key's hash.
const NOBODY: u64 = 0;

pub(crate) struct Table {
    buckets: Box<[Bucket]>,
    cells: Cells,
}

struct Bucket {
    hashes: [AtomicU64; PLACES],
    ends: [AtomicU64; PLACES],
    epochs: [AtomicU32; PLACES],
    book: Mutex<Book>,
}

/// The writers' own copy, and what only they need. What they publish they never read.
#[derive(Default)]
struct Book {
    /// Only as many as were ever open at once.
    places: Vec<Place>,
    /// Of those who work the old way.
    private: Vec<(View, Window, u64)>,
    /// What windows had suppressed that are closed.
    closed: u64,
}

struct Place {
    window: Option<Window>,
    epoch: Epoch,
    /// What was counted in cells that were full.
    more: u64,
}

struct Window {
    hash: u64,
    name: EventName,
    key: String,
    length: Nanos,
    end: Nanos,
}

/// One emission that asks whether it passes.
pub(crate) struct Asks<'a> {
    pub(crate) hash: u64,
    pub(crate) name: EventName,
    pub(crate) key: &'a str,
    pub(crate) length: Nanos,
}

/// What becomes of it.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// It opened a window.
    Opens,
    /// There is no place for its window.
    Untracked,
    /// A window is open, until then; it may be the first that this one suppresses.
    Suppressed { first: bool, end: Nanos },
}

/// A window that has suppressed something and is closed.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) name: EventName,
    pub(crate) key: String,
    pub(crate) length: Nanos,
    pub(crate) suppressed: u64,
}

impl Closed {
    fn of(window: Window, suppressed: u64) -> Option<Self> {
        let Window { name, key, length, .. } = window;
        (suppressed > 0).then_some(Self { name, key, length, suppressed })
    }
}

/// As much of the key as is kept.
fn kept(key: &str) -> String {
    if key.len() <= KEPT { key.into() } else { format!("{}…", &key[..key.floor_char_boundary(KEPT)]) }
}

impl Table {
    pub(crate) fn new() -> Self {
        let bucket = || Bucket {
            hashes: std::array::from_fn(|_| AtomicU64::new(NOBODY)),
            ends: std::array::from_fn(|_| AtomicU64::new(0)),
            // No cell is for that one before its place was used 2^32 times.
            epochs: std::array::from_fn(|_| AtomicU32::new(Epoch::MAX)),
            book: Mutex::default(),
        };
        Self { buckets: std::iter::repeat_with(bucket).take(BUCKETS).collect(), cells: Cells::new(BUCKETS * PLACES) }
    }

    fn bucket(&self, hash: u64) -> (&Bucket, usize) {
        // Not by the bits by which hash tables in the process choose.
        let at = (hash >> 32) as usize & (BUCKETS - 1);
        (&self.buckets[at], at * PLACES)
    }

    /// The look without a lock: counts the emission if a window is open that everybody sees. Returns the time, too.
    #[inline]
    pub(crate) fn glance(&self, clock: &Clock, hash: u64) -> Option<(Answer, Nanos)> {
        let (bucket, first) = self.bucket(hash);
        // ordering: Acquire, this one and those below, pairs with the Release in `open`: whoever reads an epoch sees that
        // window's hash and end, or a later one's, and then that the cells were taken in between.
        let at = bucket.hashes.iter().position(|own| own.load(Ordering::Acquire) == hash)?;
        let epoch = bucket.epochs[at].load(Ordering::Acquire); // ordering: see above
        let same = bucket.hashes[at].load(Ordering::Acquire) == hash; // ordering: see above
        let end = bucket.ends[at].load(Ordering::Acquire); // ordering: see above
        // Read after the epoch, so the window had begun.
        let now = clock.now();
        if !same || end <= now {
            return None;
        }
        let first = self.cells.count(first + at, epoch)?;
        Some((Answer::Suppressed { first, end }, now))
    }

    /// The look under the lock. The clock is read under it, too: a time that was read before would be older than windows
    /// that have come and gone since. What it closes on its way is put into `closed`.
    pub(crate) fn enter(
        &self,
        clock: &Clock,
        mode: &Mode,
        asks: &Asks<'_>,
        closed: &mut Vec<Closed>,
    ) -> (Answer, Nanos) {
        let (bucket, first) = self.bucket(asks.hash);
        let mut book = bucket.book.lock();
        let now = clock.now();
        if let Some(answer) = self.finds(&mut book, first, now, asks) {
            reached!("dedup: somebody was first");
            return (answer, now);
        }
        if planted!("dedup: look and enter are two steps") {
            drop(book);
            book = bucket.book.lock();
        }
        // One of this key that has ended is closed by its successor at the latest, and so are those that are in the way.
        if book.open() == PLACES || book.holds(asks.hash) {
            self.close_ended(bucket, &mut book, first, now, closed);
        }
        if book.open() == PLACES {
            return (Answer::Untracked, now);
        }
        let end = now.saturating_add(asks.length);
        let window = Window { hash: asks.hash, name: asks.name, key: kept(asks.key), length: asks.length, end };
        let view = mode.passing_view();
        if view.is_shared() {
            bucket.open(&mut book, window)
        } else {
            book.private.push((view, window, 0))
        }
        (Answer::Opens, now)
    }

    fn finds(&self, book: &mut Book, first: usize, now: Nanos, asks: &Asks<'_>) -> Option<Answer> {
        let is_it = |window: &Window| window.hash == asks.hash && now < window.end;
        for (at, place) in book.places.iter_mut().enumerate() {
            if let Some(window) = place.window.as_ref().filter(|window| is_it(window)) {
                place.more += self.cells.count_locked(first + at, place.epoch);
                return Some(Answer::Suppressed { first: true, end: window.end });
            }
        }
        let (_, window, count) =
            book.private.iter_mut().find(|(view, window, _)| is_it(window) && view.is_visible())?;
        *count += 1;
        Some(Answer::Suppressed { first: *count == 1, end: window.end })
    }

    /// Closes those of the bucket that have ended by then.
    fn close_ended(&self, bucket: &Bucket, book: &mut Book, first: usize, by: Nanos, closed: &mut Vec<Closed>) {
        for at in 0..book.places.len() {
            let place = &mut book.places[at];
            let Some(window) = place.window.take_if(|window| window.end <= by) else { continue };
            let next = place.epoch.wrapping_add(1);
            let suppressed = self.cells.take(first + at, next) + std::mem::take(&mut place.more);
            bucket.hashes[at].store(NOBODY, Ordering::Release); // ordering: see `glance`
            place.epoch = next;
            book.closed += suppressed;
            closed.extend(Closed::of(window, suppressed));
        }
        for (_, window, count) in book.private.extract_if(.., |(_, window, _)| window.end <= by) {
            book.closed += count;
            closed.extend(Closed::of(window, count));
        }
    }

    /// Closes all that have ended by then. Returns when the next one of those ends that have suppressed something.
    pub(crate) fn sweep(&self, by: Nanos, closed: &mut Vec<Closed>) -> Option<Nanos> {
        let mut earliest = None;
        for (at, bucket) in self.buckets.iter().enumerate() {
            let mut book = bucket.book.lock();
            self.close_ended(bucket, &mut book, at * PLACES, by, closed);
            let next = self.suppressing(&book, at * PLACES).filter(|(_, count)| *count > 0).map(|(end, _)| end).min();
            earliest = [earliest, next].into_iter().flatten().min();
        }
        earliest
    }

    /// The windows of a bucket: when each ends, and how many it has suppressed.
    fn suppressing<'a>(&'a self, book: &'a Book, first: usize) -> impl Iterator<Item = (Nanos, u64)> + 'a {
        let shared = book.places.iter().enumerate().filter_map(move |(at, place)| {
            let end = place.window.as_ref()?.end;
            Some((end, self.cells.counted(first + at) + place.more))
        });
        shared.chain(book.private.iter().map(|(_, window, count)| (window.end, *count)))
    }

    /// How many windows are open at that time, and how many emissions all have suppressed, the closed ones included.
    pub(crate) fn figures(&self, now: Nanos) -> (usize, u64) {
        let (mut open, mut suppressed) = (0, 0);
        for (at, bucket) in self.buckets.iter().enumerate() {
            let book = bucket.book.lock();
            suppressed += book.closed;
            for (end, count) in self.suppressing(&book, at * PLACES) {
                open += usize::from(now < end);
                suppressed += count;
            }
        }
        (open, suppressed)
    }
}

impl Book {
    fn open(&self) -> usize {
        self.places.iter().filter(|place| place.window.is_some()).count() + self.private.len()
    }

    fn holds(&self, hash: u64) -> bool {
        let shared = self.places.iter().filter_map(|place| place.window.as_ref());
        shared.chain(self.private.iter().map(|(_, window, _)| window)).any(|window| window.hash == hash)
    }
}

impl Bucket {
    fn open(&self, book: &mut Book, window: Window) {
        let free = book.places.iter().position(|place| place.window.is_none());
        let at = free.unwrap_or_else(|| {
            book.places.push(Place { window: None, epoch: 1, more: 0 });
            book.places.len() - 1
        });
        let place = &mut book.places[at];
        self.hashes[at].store(window.hash, Ordering::Release); // ordering: see `glance`
        self.ends[at].store(window.end, Ordering::Release); // ordering: see `glance`
        self.epochs[at].store(place.epoch, Ordering::Release); // ordering: see `glance`
        place.window = Some(window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_cut_between_two_characters_and_marked() {
        let long = "ä".repeat(KEPT);
        assert_eq!((kept("short"), kept(&long)), ("short".into(), format!("{}…", "ä".repeat(KEPT / 2))));
    }
}
