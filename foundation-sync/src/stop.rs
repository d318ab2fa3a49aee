//! The word to stop, which wakes whoever waits.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use slab::Slab;

use crate::{
    Condvar, Deadline, Mutex,
    atomic::{AtomicBool, Ordering},
    payload, planted,
};

/// What can be woken: a queue's waiters, a thread that sits in a system call. Library code: a supervisor wakes it.
///
/// Who waits on a [`Condvar`] of its own until a stop implements it, so that a protocol of one's own ends with
/// its worker:
///
/// ```
/// use std::sync::Arc;
///
/// use foundation_sync::{Condvar, Mutex, Stop, Until, Wake};
///
/// #[derive(Default)]
/// struct Gate {
///     open: Mutex<bool>,
///     changed: Condvar,
/// }
///
/// impl Wake for Gate {
///     fn wake(&self) {
///         // The lock first: whoever has looked and not slept yet sleeps when it is ours.
///         drop(self.open.lock());
///         self.changed.notify_all();
///     }
/// }
///
/// /// Whether it was open before the wait was over.
/// fn pass<'a>(gate: &Arc<Gate>, until: impl Into<Until<'a>>) -> bool {
///     let until = until.into();
///     let told = || until.stop().is_some_and(Stop::told);
///     let _watching = until.stop().map(|stop| stop.watch(Arc::clone(gate) as Arc<dyn Wake>));
///     let mut open = gate.open.lock();
///     while !*open && !told() && !until.deadline().passed() {
///         open = gate.changed.wait(open, until.deadline());
///     }
///     *open
/// }
///
/// let (gate, stop) = (Arc::new(Gate::default()), Stop::new());
/// stop.tell();
/// assert!(!pass(&gate, &stop));
/// ```
pub trait Wake: Send + Sync {
    /// Makes whoever waits look again. Called without a lock held, on the thread that tells the stop: it may not wait.
    fn wake(&self);
}

/// A word that is said once: stop. It wakes everyone who waits until it.
#[derive(Clone)]
pub struct Stop(Arc<Inner>);

struct Inner {
    told: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    told: bool,
    wakes: Slab<Arc<dyn Wake>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Not said yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner { told: AtomicBool::new(false), waiting: Mutex::default() }))
    }

    /// Says it. `false` if it was said before.
    pub fn tell(&self) -> bool {
        let wakes = {
            let mut waiting = self.0.waiting.lock();
            if waiting.told {
                return false;
            }
            waiting.told = true;
            // ordering: Release, pairs with the Acquire in `told`: whoever sees the word sees what was done before it.
            self.0.told.store(true, Ordering::Release);
            std::mem::take(&mut waiting.wakes)
        };
        for (_, wake) in wakes {
            // One that panics keeps the word from nobody else: not when it is dropped, nor with what it panics with.
            let woken = catch_unwind(AssertUnwindSafe(move || wake.wake()));
            woken.unwrap_or_else(payload::forget);
        }
        true
    }

    /// Whether it was said: one load.
    pub fn told(&self) -> bool {
        // ordering: Acquire, pairs with the Release in `tell`.
        self.0.told.load(Ordering::Acquire)
    }

    /// Waits until it is said, or until the deadline has passed; whether it was said. For who waits for nothing else: it
    /// takes less memory than a queue in which nothing comes.
    ///
    /// ```
    /// use foundation_sync::{Clock, Stop};
    ///
    /// let (clock, stop) = (Clock::system(), Stop::new());
    /// assert!(!stop.wait(&clock.within(std::time::Duration::from_millis(1))));
    /// stop.tell();
    /// assert!(stop.wait(&clock.within(foundation_sync::SECOND)));
    /// ```
    #[track_caller]
    pub fn wait(&self, until: &Deadline) -> bool {
        let gate = Arc::new(Gate::default());
        // `None`: it was said already.
        let Some(_watching) = self.watch(Arc::clone(&gate) as Arc<dyn Wake>) else { return true };
        let mut closed = gate.lock.lock();
        while !self.told() && !until.passed() {
            closed = gate.changed.wait(closed, until);
        }
        drop(closed);
        self.told()
    }

    /// Wakes `wake` when the word is said, unless the guard is dropped before. `None` if it was said already.
    pub fn watch(&self, wake: Arc<dyn Wake>) -> Option<Watching> {
        let mut waiting = self.0.waiting.lock();
        if waiting.told {
            return None;
        }
        Some(Watching { stop: self.clone(), key: waiting.wakes.insert(wake) })
    }
}

/// Where somebody waits for a stop and for nothing else.
#[derive(Default)]
struct Gate {
    lock: Mutex<()>,
    changed: Condvar,
}

impl Wake for Gate {
    fn wake(&self) {
        // The lock: whoever has looked and does not sleep yet sleeps when it is ours.
        if !planted!("stop: a wait is notified without the lock") {
            drop(self.lock.lock());
        }
        self.changed.notify_all();
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.told() { "Stop(told)" } else { "Stop" })
    }
}

/// Somebody to be woken by a [`Stop`], for as long as this lives.
#[must_use]
pub struct Watching {
    stop: Stop,
    key: usize,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let wake = self.stop.0.waiting.lock().wakes.try_remove(self.key);
        drop(wake);
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watching")
    }
}
