//! What is emitted once per window.
//!
//! # Protocol
//! Whoever emits looks for a window without a lock, and counts itself if one is open; otherwise it looks again under the
//! lock of the key's bucket, and opens one there. So of all who race one opens it, and passes.
//!
//! A window is closed, once it has ended, by whoever needs its place, by an emission under its key, or by the *sweep*,
//! which is timed for the earliest end of those that have suppressed something. Whoever is the first that a window
//! suppresses sees to it that the sweep comes in time; so windows that suppress nothing wake nobody. Who closes it reports
//! it, under no lock. Where nobody keeps time the next emission after that end does the sweep.
//!
//! Named races:
//! - *two first*: two threads emit under one key at the same moment. The second one finds the first one's window.
//! - *count against close*: an emission has found a window, which is closed before it has counted itself. Its cell is for
//!   another window by then: it looks again.
//! - *first against sweep*: a window suppresses its first one while the sweep looks. The sweep forgets when it is to come
//!   next before it looks, so either it sees the count, or the first one sees that nobody is to come.
//! - *flip against window*: in legacy mode each thread has a window of its own under one key; once the mode is switched
//!   any of them counts for everybody, so nobody passes until all of them have ended.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{Arc, Weak},
    time::Duration,
};

use foldhash::quality::RandomState;
use foundation_context::fields;
use foundation_sync::{
    Mutex, Nanos, Once, TimerId,
    atomic::{AtomicU64, Ordering},
    legacy::Mode,
};

use crate::{
    EventName, Telemetry, events,
    handlers::{Book, Slot},
    telemetry::Inner,
    windows::{Answer, Asks, Closed, Table},
};

events! {
    /// The events of windows.
    pub(crate) const EVENTS;

    /// A window of [`emit_once_per`](crate::Emitter::emit_once_per) was closed, and had suppressed something. Of its key 96
    /// bytes are kept; one that is cut ends with `…`.
    pub const DEDUP_CLOSED = ["foundation", "dedup", "closed"];
    measurements { suppressed: "emissions", window: "ns" }
    metadata { event_name: "text", key: "text" }
}

/// The least time between two sweeps.
const REST: Nanos = 10_000_000;

/// The windows of one universe.
pub(crate) struct Windows {
    pub(crate) mode: Mode,
    /// Keys may come from outside, so nobody can foresee a hash.
    hasher: RandomState,
    /// Made by the first emission.
    table: Once<Table>,
    closed: Arc<Slot>,
    next: Mutex<Next>,
    /// When the sweep is to come, for those who emit while nobody keeps time.
    due: AtomicU64,
    untracked: AtomicU64,
}

/// When the next sweep comes.
#[derive(Default)]
struct Next {
    at: Option<Nanos>,
    /// Which one, of all that were ever timed.
    number: u64,
    timer: Option<TimerId>,
    /// Not before that.
    rests_until: Nanos,
}

impl Windows {
    pub(crate) fn new(book: &mut Book) -> Self {
        Self {
            mode: Mode::default(),
            hasher: RandomState::default(),
            table: Once::new(),
            closed: Arc::clone(book.slot(DEDUP_CLOSED)),
            next: Mutex::default(),
            due: AtomicU64::new(Nanos::MAX),
            untracked: AtomicU64::new(0),
        }
    }

    fn hash(&self, name: EventName, key: &str) -> u64 {
        self.hasher.hash_one((name, key)).max(1)
    }

    fn set_due(&self, next: &mut Next, at: Option<Nanos>) {
        next.at = at;
        // ordering: a hint; who misses it leaves it to the next one.
        self.due.store(at.unwrap_or(Nanos::MAX), Ordering::Relaxed);
    }
}

impl Telemetry {
    /// Whether the emission passes: no window is open that the caller sees, or there is no place for one.
    pub(crate) fn passes(&self, name: EventName, key: &str, window: Duration) -> bool {
        let windows = &self.0.windows;
        let length = Nanos::try_from(window.as_nanos()).unwrap_or(Nanos::MAX);
        if length == 0 {
            return true;
        }
        let table = windows.table.get_or(Table::new);
        let hash = windows.hash(name, key);
        let (answer, now) = table.glance(&self.0.clock, hash).unwrap_or_else(|| {
            let mut closed = Vec::new();
            let asks = Asks { hash, name, key, length };
            let found = table.enter(&self.0.clock, &windows.mode, &asks, &mut closed);
            self.report(closed);
            found
        });
        match answer {
            Answer::Suppressed { first: true, end } => self.sweep_at(end),
            Answer::Untracked => _ = windows.untracked.fetch_add(1, Ordering::Relaxed), // ordering: a count
            Answer::Suppressed { .. } | Answer::Opens => {}
        }
        // ordering: a hint, see `set_due`
        if windows.due.load(Ordering::Relaxed) <= now && !self.0.later.comes() {
            self.sweep(now);
        }
        !matches!(answer, Answer::Suppressed { .. })
    }

    /// Sees to it that a sweep comes then, or before.
    #[cold]
    fn sweep_at(&self, end: Nanos) {
        let windows = &self.0.windows;
        let (at, number, old) = {
            let mut next = windows.next.lock();
            let at = end.max(next.rests_until);
            if end == Nanos::MAX || next.at.is_some_and(|earlier| earlier <= at) {
                return;
            }
            windows.set_due(&mut next, Some(at));
            next.number += 1;
            (at, next.number, next.timer.take())
        };
        if !self.0.later.comes() {
            return;
        }
        // Not under the lock, which the errand takes when it is dropped.
        self.cancel_sweep(old);
        let errand = Sweep { number, telemetry: Some(Arc::downgrade(&self.0)) };
        let mut timer = self.0.later.at(at, Box::new(move || errand.run()));
        {
            let mut next = windows.next.lock();
            if next.number == number && next.at.is_some() {
                std::mem::swap(&mut next.timer, &mut timer);
            }
        }
        self.cancel_sweep(timer);
    }

    fn cancel_sweep(&self, timer: Option<TimerId>) {
        _ = timer.map(|timer| self.0.later.cancel(timer));
    }

    /// Closes and reports all windows that have ended by then.
    fn sweep(&self, by: Nanos) {
        let windows = &self.0.windows;
        let Some(table) = windows.table.get() else { return };
        let timer = {
            let mut next = windows.next.lock();
            // Race "first against sweep".
            windows.set_due(&mut next, None);
            next.rests_until = self.0.clock.now().saturating_add(REST);
            next.timer.take()
        };
        self.cancel_sweep(timer);
        let mut closed = Vec::new();
        if let Some(earliest) = table.sweep(by, &mut closed) {
            self.sweep_at(earliest);
        }
        self.report(closed);
    }

    fn report(&self, closed: Vec<Closed>) {
        for Closed { name, key, length, suppressed } in closed {
            self.emit_to(&self.0.windows.closed, || {
                (fields! { suppressed: suppressed, window: length }, fields! { event_name: name.to_string(), key: key })
            });
        }
    }

    /// Closes the windows of [`emit_once_per`](crate::Emitter::emit_once_per) that have ended, and reports what they have
    /// suppressed ([`DEDUP_CLOSED`]), on the calling thread. For who has no timekeeper, and nothing more to emit.
    pub fn report_windows(&self) {
        self.sweep(self.0.clock.now());
    }

    /// Closes all windows of [`emit_once_per`](crate::Emitter::emit_once_per), whether they have ended or not, and reports
    /// what they have suppressed ([`DEDUP_CLOSED`]), on the calling thread: for the end. What is emitted later begins anew.
    pub fn close_windows(&self) {
        self.sweep(Nanos::MAX);
    }

    /// How many emissions were suppressed because their window was open: see
    /// [`Emitter::emit_once_per`](crate::Emitter::emit_once_per). It is exact, and looks at all windows.
    pub fn suppressed(&self) -> u64 {
        self.0.windows.table.get().map_or(0, |table| table.figures(0).1)
    }

    /// How many emissions passed because there was no place for their window.
    pub fn untracked(&self) -> u64 {
        self.0.windows.untracked.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many windows are open, whoever sees them. It looks at all windows.
    pub fn windows_open(&self) -> usize {
        self.0.windows.table.get().map_or(0, |table| table.figures(self.0.clock.now()).0)
    }
}

/// The errand that sweeps. If it is lost the first that a window suppresses afterwards times another one.
struct Sweep {
    number: u64,
    telemetry: Option<Weak<Inner>>,
}

impl Sweep {
    fn run(mut self) {
        if let Some(inner) = self.telemetry.take().and_then(|inner| inner.upgrade()) {
            let now = inner.clock.now();
            Telemetry(inner).sweep(now);
        }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if let Some(inner) = self.telemetry.take().and_then(|inner| inner.upgrade()) {
            let mut next = inner.windows.next.lock();
            if next.number == self.number {
                inner.windows.set_due(&mut next, None);
            }
        }
    }
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows").field("mode", &self.mode).finish_non_exhaustive()
    }
}
