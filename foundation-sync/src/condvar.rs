//! A place to wait: where every wait of the library ends.
//!
//! A wait by virtual time does not sleep on the face's own condition variable but in that time's book
//! ([`VirtualTime`](crate::VirtualTime)), and is listed here for whoever notifies. A notification goes to a listed sleeper
//! first; one that something else has woken meanwhile is passed over.

use std::{
    collections::VecDeque,
    fmt,
    panic::Location,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::{
    Deadline, Mutex, MutexGuard,
    face::{self, RawCondvar},
    virtual_time::{self, Sleeper},
    whereabouts::Here,
};

/// A place to wait for a change of what a [`Mutex`] guards. Change it with the lock held, then notify.
///
/// For a protocol of one's own; [`Queue`](crate::Queue) and [`Activity`](crate::Activity) are made of it.
///
/// ```
/// use foundation_sync::{Clock, Condvar, Mutex, SECOND};
///
/// let (open, changed) = (Mutex::new(true), Condvar::new());
/// let until = Clock::system().within(SECOND);
/// let mut guard = open.lock();
/// while !*guard && !until.passed() {
///     guard = changed.wait(guard, &until);
/// }
/// assert!(*guard);
/// ```
#[derive(Default)]
pub struct Condvar {
    raw: RawCondvar,
    /// Who waits, either way. Changed with the user's lock held, which orders it before what is notified of.
    waiting: Count,
    /// Who waits by virtual time, and how many, so that nobody else pays for the list.
    sleepers: Mutex<VecDeque<Sleeper>>,
    listed: Count,
}

impl Condvar {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a notification, or until the deadline has passed: not at all if it has. Call it in a loop over the state.
    ///
    /// The wait goes by the deadline's clock. On a thread of a [virtual time](crate::VirtualTime) it counts as a wait for
    /// that time, unless the deadline is another virtual time's.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, until: &Deadline) -> MutexGuard<'a, T> {
        let _here = Here::new(Location::caller());
        match virtual_time::time_of(until) {
            None => self.wait_by_the_system(guard, until),
            Some((time, seat)) => {
                let at = until.virtual_time().map_or(crate::Nanos::MAX, |_| until.at());
                if until.passed() {
                    return guard;
                }
                match time.lie_down(seat, at) {
                    Some(sleeper) => self.wait_in(&sleeper, guard, until),
                    // It was let go, or the deadline has passed meanwhile: whoever waits looks again.
                    None => guard,
                }
            }
        }
    }

    #[track_caller]
    fn wait_by_the_system<'a, T>(&self, guard: MutexGuard<'a, T>, until: &Deadline) -> MutexGuard<'a, T> {
        let left = until.left();
        if left.is_some_and(|left| left.is_zero()) {
            return guard;
        }
        self.waiting.add();
        let guard = match left {
            None => self.raw.wait(guard),
            Some(left) => self.raw.wait_for(guard, left),
        };
        self.waiting.subtract();
        guard
    }

    #[track_caller]
    fn wait_in<'a, T>(&self, sleeper: &Sleeper, guard: MutexGuard<'a, T>, until: &Deadline) -> MutexGuard<'a, T> {
        self.waiting.add();
        self.listed.add();
        self.sleepers.lock().push_back(sleeper.clone());
        let again = face::give_back(guard);
        sleeper.sleep(until);
        // Unless it was taken out by whoever woke it.
        self.sleepers.lock().retain(|other| !other.is(sleeper));
        self.listed.subtract();
        let guard = again();
        self.waiting.subtract();
        guard
    }

    /// Wakes one waiter.
    #[track_caller]
    pub fn notify_one(&self) {
        if self.waiting.is_zero() {
            return;
        }
        if !self.listed.is_zero() {
            while let Some(sleeper) = self.next_sleeper() {
                // Race "notified and due".
                if sleeper.wake() {
                    return;
                }
            }
        }
        self.raw.notify_one();
    }

    /// Wakes all who wait.
    #[track_caller]
    pub fn notify_all(&self) {
        if self.waiting.is_zero() {
            return;
        }
        if !self.listed.is_zero() {
            // Those of now: who is woken may list itself again.
            let sleepers = std::mem::take(&mut *self.sleepers.lock());
            sleepers.iter().for_each(|sleeper| _ = sleeper.wake());
        }
        self.raw.notify_all();
    }

    fn next_sleeper(&self) -> Option<Sleeper> {
        self.sleepers.lock().pop_front()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar(..)")
    }
}

/// How many there are of something, where the user's lock orders each change before whoever has to see it. It is std's on
/// all faces: a model need not explore what that lock does.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Relaxed); // ordering: the user's lock orders it
    }

    fn subtract(&self) {
        self.0.fetch_sub(1, Relaxed); // ordering: the user's lock orders it
    }

    fn is_zero(&self) -> bool {
        self.0.load(Relaxed) == 0 // ordering: the user's lock orders it
    }
}
