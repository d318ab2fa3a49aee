//! How often something may happen, by key.
//!
//! # Protocol
//! The generic cell rate algorithm: of each key there is one number, the time at which its whole burst is there again. What
//! passes moves that time on by the price of one; what would move it further than a burst from now does not pass. A key
//! whose time has passed is as one that was never seen, so it makes room when room is needed. Numbers and times are kept in
//! fractions of a nanosecond, so that a rate that does not divide a second is kept exactly.
//!
//! Keys lie in shards, each under one lock, under which the clock is read, too.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use foundation_sync::{
    Clock, Mutex, Nanos,
    atomic::{AtomicU64, Ordering},
};

use crate::Telemetry;

/// From so many keys on they are spread over shards.
const SPREAD_FROM: usize = 1024;
const SHARDS: usize = 16;

/// How often something may happen, and of how many keys that is known. [`Limits::of`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "give it to `Limiter::new` or `Telemetry::limiter`"]
pub struct Limits {
    count: u32,
    per: Duration,
    burst: u32,
    keys: usize,
    no_room: NoRoom,
}

/// What a [`Limiter`] does with a key for which it has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoRoom {
    /// Let it pass, as often as it comes.
    #[default]
    Pass,
    /// Refuse it until there is room.
    Refuse,
}

impl Limits {
    /// So many per span of time, all of which may come at once; for 10,000 keys. A count of 0 counts as 1, a span of 0 as a
    /// nanosecond.
    pub fn of(count: u32, per: Duration) -> Self {
        let (count, per) = (count.max(1), per.max(Duration::from_nanos(1)));
        Self { count, per, burst: count, keys: 10_000, no_room: NoRoom::Pass }
    }

    /// How many may come at once; 0 counts as 1.
    pub fn burst(self, burst: u32) -> Self {
        Self { burst: burst.max(1), ..self }
    }

    /// Of how many keys at most it is known at once; 0 counts as 1. From 1,024 on they are spread over 16 shards, one of
    /// which may be full when fewer are known.
    pub fn keys(self, keys: usize) -> Self {
        Self { keys: keys.max(1), ..self }
    }

    /// What is done with a key for which there is no room; it passes by default.
    pub fn no_room(self, no_room: NoRoom) -> Self {
        Self { no_room, ..self }
    }
}

/// It happens too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// When it is worth another try, by the limiter's clock: then it passes, if nobody else was faster.
    pub retry_at: Nanos,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it happens too often: try again at {} ns", self.retry_at)
    }
}

impl std::error::Error for Limited {}

/// What a [`Limiter`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimiterFigures {
    /// How many checks passed, untracked ones among them.
    pub passed: u64,
    /// How many did not.
    pub limited: u64,
    /// How many checks found no room for their key; they passed or not, as its limits say.
    pub untracked: u64,
    /// How many keys are known.
    pub keys: usize,
}

/// Says whether something happens too often, by key: `count` per span of time, and a burst.
///
/// In any span `t` at most `burst + t / per * count` checks of one key pass, the ends of `t` included: at no edge do twice
/// as many. It needs no thread and no timer, and shares nothing with any other limiter.
///
/// ```
/// use foundation_sync::{SECOND, VirtualTime};
/// use foundation_telemetry::{Limited, Limiter, Limits};
///
/// let time = VirtualTime::new();
/// let logins = Limiter::new(&time.clock(), Limits::of(2, SECOND));
/// assert_eq!([logins.check("ann"), logins.check("ann"), logins.check("bob")], [Ok(()); 3]);
/// assert_eq!(logins.check("ann"), Err(Limited { retry_at: 500_000_000 }));
/// time.advance(SECOND / 2)?;
/// assert_eq!((logins.check("ann"), logins.remaining("ann"), logins.remaining("bob")), (Ok(()), 0, 2));
/// # Ok::<(), foundation_sync::AdvanceError>(())
/// ```
pub struct Limiter {
    clock: Clock,
    limits: Limits,
    /// Keys may come from outside, so nobody can foresee their shard.
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    passed: AtomicU64,
    limited: AtomicU64,
    untracked: AtomicU64,
}

/// A time in parts of a nanosecond: `count` of them make one.
type Fine = u128;

#[derive(Default)]
struct Shard {
    /// When each key has its whole burst again.
    whole_at: HashMap<Box<str>, Fine>,
    /// Nothing makes room before this.
    room_at: Fine,
}

impl Limiter {
    /// Nothing has happened yet.
    pub fn new(clock: &Clock, limits: Limits) -> Self {
        let shards = if limits.keys < SPREAD_FROM { 1 } else { SHARDS };
        Self {
            clock: clock.clone(),
            limits,
            hasher: RandomState::new(),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            passed: AtomicU64::new(0),
            limited: AtomicU64::new(0),
            untracked: AtomicU64::new(0),
        }
    }

    /// Whether it may happen now; if so, it has.
    ///
    /// # Errors
    /// It happens too often, or there is no room for the key and the limits refuse such a one. It is not held against the
    /// key.
    pub fn check(&self, key: &str) -> Result<(), Limited> {
        let (outcome, untracked) = {
            let mut shard = self.shard(key).lock();
            let now = self.now();
            if let Some(whole_at) = shard.whole_at.get_mut(key) {
                (self.pass(whole_at, now), false)
            } else if self.has_room(&mut shard, now) {
                let mut whole_at = 0;
                let outcome = self.pass(&mut whole_at, now);
                shard.room_at = shard.room_at.min(whole_at);
                shard.whole_at.insert(key.into(), whole_at);
                (outcome, false)
            } else if self.limits.no_room == NoRoom::Pass {
                (Ok(()), true)
            } else {
                (Err(Limited { retry_at: self.coarse(shard.room_at) }), true)
            }
        };
        self.untracked.fetch_add(u64::from(untracked), Ordering::Relaxed); // ordering: a count
        let count = if outcome.is_ok() { &self.passed } else { &self.limited };
        count.fetch_add(1, Ordering::Relaxed); // ordering: a count
        outcome
    }

    /// How often it may happen right now. Of a key that is not known that is the whole burst.
    pub fn remaining(&self, key: &str) -> u32 {
        let shard = self.shard(key).lock();
        let now = self.now();
        let used = shard.whole_at.get(key).map_or(0, |whole_at| whole_at.saturating_sub(now).div_ceil(self.price()));
        self.limits.burst.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// When its whole burst is there again, by the limiter's clock; `None` if it is.
    pub fn resets_at(&self, key: &str) -> Option<Nanos> {
        let shard = self.shard(key).lock();
        let now = self.now();
        shard.whole_at.get(key).filter(|whole_at| **whole_at > now).map(|whole_at| self.coarse(*whole_at))
    }

    /// Forgets the key: its whole burst is there again. Returns whether it was known.
    pub fn reset(&self, key: &str) -> bool {
        self.shard(key).lock().whole_at.remove(key).is_some()
    }

    /// What it has done so far.
    pub fn figures(&self) -> LimiterFigures {
        LimiterFigures {
            passed: self.passed.load(Ordering::Relaxed),       // ordering: a count
            limited: self.limited.load(Ordering::Relaxed),     // ordering: a count
            untracked: self.untracked.load(Ordering::Relaxed), // ordering: a count
            keys: self.shards.iter().map(|shard| shard.lock().whole_at.len()).sum(),
        }
    }

    /// Moves the key's time on, if that leaves it within a burst from now.
    fn pass(&self, whole_at: &mut Fine, now: Fine) -> Result<(), Limited> {
        let next = (*whole_at).max(now) + self.price();
        let earliest = next.saturating_sub(Fine::from(self.limits.burst) * self.price());
        if earliest > now {
            return Err(Limited { retry_at: self.coarse(earliest) });
        }
        *whole_at = next;
        Ok(())
    }

    /// Keys that have their whole burst make room.
    fn has_room(&self, shard: &mut Shard, now: Fine) -> bool {
        let most = self.limits.keys / self.shards.len();
        if shard.whole_at.len() >= most && shard.room_at <= now {
            shard.whole_at.retain(|_, whole_at| *whole_at > now);
            shard.room_at = shard.whole_at.values().copied().min().unwrap_or(Fine::MAX);
        }
        shard.whole_at.len() < most
    }

    fn shard(&self, key: &str) -> &Mutex<Shard> {
        let at = if self.shards.len() == 1 { 0 } else { self.hasher.hash_one(key) % self.shards.len() as u64 };
        &self.shards[at as usize]
    }

    fn now(&self) -> Fine {
        Fine::from(self.clock.now()) * Fine::from(self.limits.count)
    }

    /// How far one moves a key's time.
    fn price(&self) -> Fine {
        self.limits.per.as_nanos()
    }

    /// The first whole nanosecond at which it is that late.
    fn coarse(&self, at: Fine) -> Nanos {
        // A division of 128 bits takes as long as all the rest.
        match u64::try_from(at) {
            Ok(at) => at.div_ceil(self.limits.count.into()),
            Err(_) => Nanos::try_from(at.div_ceil(Fine::from(self.limits.count))).unwrap_or(Nanos::MAX),
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("limits", &self.limits).field("figures", &self.figures()).finish()
    }
}

impl Telemetry {
    /// A limiter that goes by the universe's clock.
    #[must_use]
    pub fn limiter(&self, limits: Limits) -> Limiter {
        Limiter::new(&self.0.clock, limits)
    }
}
