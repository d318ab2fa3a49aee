//! What is emitted once per window: a bounded table of open windows.
//!
//! # Protocol
//! A window is looked for, and entered if there is none, under one lock. So of all who race one enters, and passes. The
//! clock is read under that lock, too: a time read before it would be older than windows that have come and gone since.
//! Each window keeps the view of the thread that entered it; one that is not visible to the caller is not found.
//!
//! Named races:
//! - *two first*: two threads emit under one key at the same moment. The second one finds the first one's window.
//! - *flip against window*: in legacy mode each thread has a window of its own under one key; once the mode is switched
//!   any of them counts for everybody, so nobody passes until all of them have ended.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use foundation_sync::{
    Clock, MODEL, Mutex, Nanos,
    atomic::{AtomicU64, Ordering},
    legacy::{Mode, View},
    planted, reached,
};

use crate::{EventName, Telemetry};

/// How many windows may be open in all: 64 in each of the table's 64 shards. A key whose shard is full finds no place,
/// also while there is room in others.
pub const MOST_WINDOWS: usize = 4096;

/// Fewer in a model, which makes them anew for each schedule.
const SHARDS: usize = if MODEL { 2 } else { 64 };

/// The windows of one universe.
pub(crate) struct Windows {
    pub(crate) mode: Mode,
    /// Which shard: keys may come from outside, so nobody can foresee it.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    suppressed: AtomicU64,
    untracked: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// By key, so that a look needs no key of its own.
    windows: HashMap<Box<str>, Vec<Window>>,
    open: usize,
}

struct Window {
    name: EventName,
    until: Nanos,
    view: View,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            suppressed: AtomicU64::new(0),
            untracked: AtomicU64::new(0),
        }
    }
}

impl Windows {
    /// Whether the emission passes: no window is open that the caller sees, or there is no place for one.
    pub(crate) fn pass(&self, clock: &Clock, name: EventName, key: &str, window: Duration) -> bool {
        let window = Nanos::try_from(window.as_nanos()).unwrap_or(Nanos::MAX);
        if window == 0 {
            return true;
        }
        let place = &self.shards[(self.hasher.hash_one((name, key)) % SHARDS as u64) as usize];
        let tracked = {
            let mut shard = place.lock();
            let now = clock.now();
            if shard.finds(now, name, key) {
                reached!("dedup: somebody was first");
                self.suppressed.fetch_add(1, Ordering::Relaxed); // ordering: a count
                return false;
            }
            if planted!("dedup: look and enter are two steps") {
                drop(shard);
                shard = place.lock();
            }
            let room = shard.has_room(now);
            if room {
                shard.enter(
                    now,
                    key,
                    Window { name, until: now.saturating_add(window), view: self.mode.passing_view() },
                );
            }
            room
        };
        if !tracked {
            self.untracked.fetch_add(1, Ordering::Relaxed); // ordering: a count
        }
        true
    }

    fn open(&self, clock: &Clock) -> usize {
        let open = |shard: &Mutex<Shard>| {
            let mut shard = shard.lock();
            shard.sweep(clock.now());
            shard.open
        };
        self.shards.iter().map(open).sum()
    }
}

impl Shard {
    fn finds(&self, now: Nanos, name: EventName, key: &str) -> bool {
        let windows = self.windows.get(key).map_or(&[][..], Vec::as_slice);
        windows.iter().any(|window| window.name == name && now < window.until && window.view.is_visible())
    }

    /// Expired windows make room.
    fn has_room(&mut self, now: Nanos) -> bool {
        let room = |shard: &Self| shard.open < MOST_WINDOWS / SHARDS;
        if !room(self) {
            self.sweep(now);
        }
        room(self)
    }

    fn sweep(&mut self, now: Nanos) {
        self.windows.retain(|_, windows| {
            windows.retain(|window| now < window.until);
            !windows.is_empty()
        });
        self.open = self.windows.values().map(Vec::len).sum();
    }

    fn enter(&mut self, now: Nanos, key: &str, window: Window) {
        self.open += 1;
        let Some(windows) = self.windows.get_mut(key) else {
            self.windows.insert(key.into(), vec![window]);
            return;
        };
        let before = windows.len();
        windows.retain(|window| now < window.until);
        self.open -= before - windows.len();
        windows.push(window);
    }
}

impl Telemetry {
    /// How many emissions were suppressed because their window was open: see
    /// [`Emitter::emit_once_per`](crate::Emitter::emit_once_per).
    pub fn suppressed(&self) -> u64 {
        self.0.windows.suppressed.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many emissions passed because there was no place for their window.
    pub fn untracked(&self) -> u64 {
        self.0.windows.untracked.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many windows are open, whoever sees them.
    pub fn windows_open(&self) -> usize {
        self.0.windows.open(&self.0.clock)
    }
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows").field("mode", &self.mode).finish_non_exhaustive()
    }
}
