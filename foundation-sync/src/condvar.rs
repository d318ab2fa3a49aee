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
    clock::End,
    face::{self, RawCondvar},
    virtual_time::Sleeper,
    watched,
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
    waiting: Waiting,
    /// Who waits by virtual time.
    sleepers: Mutex<VecDeque<Sleeper>>,
}

impl Condvar {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a notification, or until the deadline has passed: hardly at all if it has. Call it in a loop over the
    /// state.
    ///
    /// The wait goes by the deadline's clock. On a thread of a [virtual time](crate::VirtualTime) it counts as a wait for
    /// that time.
    ///
    /// # Panics
    /// On a thread that is of no virtual time, by a deadline of one that stands and that nobody moved within its patience:
    /// it would wait for ever.
    #[inline]
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, until: &Deadline) -> MutexGuard<'a, T> {
        match until.end() {
            _ if watched::is() => self.wait_watched(guard, until),
            End::Passed => guard,
            End::Never => self.counted(guard, |guard| self.raw.wait(guard)),
            End::System(at) => self.counted(guard, |guard| self.raw.wait_until(guard, *at)),
            End::Virtual(..) => self.wait_watched(guard, until),
        }
    }

    /// Somebody wants to know of this wait: who follows the thread, or a virtual time.
    #[cold]
    #[track_caller]
    fn wait_watched<'a, T>(&self, guard: MutexGuard<'a, T>, until: &Deadline) -> MutexGuard<'a, T> {
        let left = until.left();
        if left.is_some_and(|left| left.is_zero()) {
            return guard;
        }
        let _here = Here::new(Location::caller());
        match Sleeper::lie_down(until) {
            Some(sleeper) => self.wait_in(&sleeper, guard, until),
            None => self.counted(guard, |guard| match left {
                None => self.raw.wait(guard),
                Some(left) => self.raw.wait_for(guard, left),
            }),
        }
    }

    /// A wait by the system's clock.
    #[inline]
    #[track_caller]
    fn counted<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        wait: impl FnOnce(MutexGuard<'a, T>) -> MutexGuard<'a, T>,
    ) -> MutexGuard<'a, T> {
        self.waiting.add(ONE);
        let guard = wait(guard);
        self.waiting.subtract(ONE);
        guard
    }

    #[track_caller]
    fn wait_in<'a, T>(&self, sleeper: &Sleeper, guard: MutexGuard<'a, T>, until: &Deadline) -> MutexGuard<'a, T> {
        self.waiting.add(LISTED);
        self.sleepers.lock().push_back(sleeper.clone());
        let again = face::give_back(guard);
        let slept = sleeper.sleep(until);
        // Unless it was taken out by whoever woke it.
        self.sleepers.lock().retain(|other| !other.is(sleeper));
        let guard = again();
        self.waiting.subtract(LISTED);
        if let Err(stands) = slept {
            // Not under the lock.
            drop(guard);
            stands.fail(Location::caller());
        }
        guard
    }

    /// Wakes one waiter.
    #[inline]
    #[track_caller]
    pub fn notify_one(&self) {
        match self.waiting.get() {
            0 => {}
            ONE..LISTED => self.raw.notify_one(),
            _ => self.wake_one(),
        }
    }

    /// Wakes all who wait.
    #[inline]
    #[track_caller]
    pub fn notify_all(&self) {
        match self.waiting.get() {
            0 => {}
            ONE..LISTED => self.raw.notify_all(),
            _ => self.wake_all(),
        }
    }

    #[cold]
    #[track_caller]
    fn wake_one(&self) {
        while let Some(sleeper) = self.next_sleeper() {
            // Race "notified and due".
            if sleeper.wake() {
                return;
            }
        }
        self.raw.notify_one();
    }

    #[cold]
    #[track_caller]
    fn wake_all(&self) {
        // Those of now: who is woken may list itself again.
        let sleepers = std::mem::take(&mut *self.sleepers.lock());
        sleepers.iter().for_each(|sleeper| _ = sleeper.wake());
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

/// One waiter by the system's clock.
const ONE: usize = 1;
/// One by virtual time: in the upper half of the word.
const LISTED: usize = 1 << (usize::BITS / 2);

/// How many wait, of either kind, so that a notification of nobody is one look. The user's lock orders each change before
/// whoever has to see it. It is std's on all faces: a model need not explore what that lock does.
#[derive(Debug, Default)]
struct Waiting(AtomicUsize);

impl Waiting {
    #[inline]
    fn add(&self, one: usize) {
        self.0.fetch_add(one, Relaxed); // ordering: the user's lock orders it
    }

    #[inline]
    fn subtract(&self, one: usize) {
        self.0.fetch_sub(one, Relaxed); // ordering: the user's lock orders it
    }

    #[inline]
    fn get(&self) -> usize {
        self.0.load(Relaxed) // ordering: the user's lock orders it
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::VirtualTime;

    #[test]
    fn a_wait_that_is_over_leaves_no_trace() {
        let time = VirtualTime::auto();
        let _entered = time.enter("the test");
        let (lock, changed) = (Mutex::new(()), Condvar::new());
        for _ in 0..10 {
            let guard = lock.lock();
            drop(changed.wait(guard, &time.clock().within(Duration::from_secs(1))));
        }
        assert_eq!((changed.sleepers.lock().len(), changed.waiting.get()), (0, 0));
    }
}
