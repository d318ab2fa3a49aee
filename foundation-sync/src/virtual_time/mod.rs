//! Time that obeys a test.
//!
//! # Protocol
//! A time of its own has a *book*: who lives in it ([`Clock::enrol`]), who of them waits, and until when. Every wait in
//! the library ends in [`Condvar::wait`](crate::Condvar::wait), and that one lies down in the book: by its deadline's
//! clock or, if that has none, by the thread's own time. When nobody runs any more, time may go on: to the next deadline,
//! as far as it was let go. Whoever's lying down or leaving makes that so moves it: it takes no thread.
//!
//! Whoever is woken counts as running from that moment on, under the book's lock, and not only when its thread gets
//! there. A notification marks the woken one before it returns, so a wake-up under way is never taken for rest.
//!
//! A thread may have a place in several times, and a turn of a serial counts as work of the serial's time, whoever turns
//! it. A wait goes by its deadline's time, and is a wait in all in which the thread has a place.
//!
//! Named races:
//! - *notified and due*: somebody notifies a sleeper while time wakes it. Who claims it first wakes it ([`Parker`]); a
//!   notification that comes too late for one sleeper goes to the next.
//! - *woken before asleep*: a sleeper is woken after it lay down in the book and before its thread sleeps. What wakes it
//!   is a word that stays said.
//! - *last to wait*: two threads lie down at once. Both do so under the book's lock; the second one finds nobody running.

mod book;
mod seat;
mod sleeper;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    Clock, Mutex, Nanos, SECONDS_5,
    atomic::{AtomicU64, Ordering},
    clock::nanos,
    face::RawCondvar,
};
use book::{Book, Pace, Refused, SleeperKey, ThreadKey};
use sleeper::Parker;

pub(crate) use seat::{Enrolled, Turning};
pub use seat::{Enrolment, Entered};
pub(crate) use sleeper::Sleeper;

/// A time of a test's own: it stands still until it is told to go, and says when all that was due is done.
///
/// Its [`clock`](Self::clock) is given to whatever is to live in it; a universe takes it when it is built. What waits
/// through this crate, with a deadline of this clock or on a thread that was [enrolled](Clock::enrol), then waits by this
/// time: a timer of an hour costs nothing.
///
/// Nothing but the wait for a test's own patience is real: [`advance`](Self::advance) gives up when a thread of this time
/// runs, or waits for something that is not of this crate (a system call, a lock, a `join`), for longer than that. Threads
/// that were not enrolled are invisible to it: who waits for the answer of such a one is at rest.
///
/// ```
/// use foundation_sync::{Full, MINUTE, Queue, RecvError, VirtualTime, thread};
///
/// let time = VirtualTime::new();
/// let clock = time.clock();
/// let (letters, until) = (Queue::<u8>::bounded(1, Full::Refuse), clock.within(MINUTE));
/// let body = clock.enrol("reader", move || assert_eq!(letters.recv(until), Err(RecvError::TimedOut)));
/// let reader = thread::Builder::new("reader").spawn(body)?;
/// time.advance(MINUTE)?; // the reader has gone by now
/// assert_eq!(clock.now(), 60_000_000_000);
/// reader.join().expect("it did not panic");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A clone is another handle to the same time.
#[derive(Clone)]
pub struct VirtualTime(Arc<Inner>);

struct Inner {
    /// The book's, for readers: they take no lock.
    now: AtomicU64,
    /// The system's clock, and how far it is ahead of this time since that was let go; [`STANDS`] before.
    real: Clock,
    ahead: AtomicU64,
    patience: Mutex<Duration>,
    book: Mutex<Book<Arc<Parker>>>,
    /// For whoever advances: all is done.
    settled: RawCondvar,
}

/// What no clock is ahead.
const STANDS: Nanos = Nanos::MAX;

impl Default for VirtualTime {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualTime {
    /// Time that stands still until it is [advanced](Self::advance).
    pub fn new() -> Self {
        Self::at_pace(Pace::Stands)
    }

    /// Time that jumps to the next deadline whenever every thread that was enrolled waits: a program's days in a moment.
    ///
    /// The test's own thread has to be of this time, too ([`enter`](Self::enter)), or time runs away from it.
    pub fn auto() -> Self {
        Self::at_pace(Pace::Jumps)
    }

    fn at_pace(pace: Pace) -> Self {
        Self(Arc::new(Inner {
            now: AtomicU64::new(0),
            real: Clock::system(),
            ahead: AtomicU64::new(STANDS),
            patience: Mutex::new(SECONDS_5),
            book: Mutex::new(Book::new(pace)),
            settled: RawCondvar::default(),
        }))
    }

    /// Whether it jumps by itself.
    pub fn is_auto(&self) -> bool {
        self.0.book.lock().jumps()
    }

    /// How long, in real time, [`advance`](Self::advance) waits for time to move on while something due is not done: five
    /// seconds, if not said. It counts for all handles; what is returned is one more.
    pub fn patience(&self, patience: Duration) -> Self {
        *self.0.patience.lock() = patience;
        self.clone()
    }

    /// Its clock.
    pub fn clock(&self) -> Clock {
        Clock::of(self.clone())
    }

    /// Makes the calling thread one of this time's, for as long as the guard lives: it counts as running unless it waits.
    ///
    /// Unlike a thread that was [enrolled](Clock::enrol) it may [`advance`](Self::advance). A thread that is of this time
    /// already stays what it is.
    pub fn enter(&self, name: &str) -> Entered {
        Entered::new(self, name)
    }

    /// Lets so much time pass, and returns when everything that became due within it is done, in its order, with what
    /// was set meanwhile, and every thread of this time waits again.
    ///
    /// Time moves from one deadline to the next. A span of zero is a wait until all is done that is due now.
    ///
    /// # Errors
    /// [`AdvanceError`]; time stays where it got.
    pub fn advance(&self, span: Duration) -> Result<(), AdvanceError> {
        let driver = match seat::seat_in(self) {
            Some(seat) if seat.drives => Some(seat.key),
            Some(_) => return Err(AdvanceError::FromWithin),
            None => None,
        };
        let patience = *self.0.patience.lock();
        let begun = self.step(|book| {
            let to = book.now().saturating_add(nanos(span)).min(Nanos::MAX - 1);
            match book.advance(to, driver) {
                Ok(woken) => (Ok(book.now()), woken),
                Err(Refused::Busy) => (Err(AdvanceError::Busy), Vec::new()),
                Err(Refused::Flows) => (Err(AdvanceError::Flows), Vec::new()),
            }
        });
        let mut moved = begun?;
        let mut until = self.0.real.within(patience);
        let mut book = self.0.book.lock();
        while !book.settled() && !book.flows() {
            if until.passed() {
                if book.now() == moved {
                    break;
                }
                // It has moved: patience begins anew.
                moved = book.now();
                until = self.0.real.within(patience);
            }
            book = match until.left() {
                Some(left) => self.0.settled.wait_for(book, left),
                None => self.0.settled.wait(book),
            };
        }
        let outcome = match (book.flows(), book.settled()) {
            (true, _) => Err(AdvanceError::Flows),
            (_, true) => Ok(()),
            _ => Err(AdvanceError::StillRunning { who: book.who_runs(), waited: patience, at: book.now() }),
        };
        drop(book);
        self.step(|book| ((), book.arrive(driver)));
        outcome
    }

    /// Lets go: from now on this time is the system's. For the end of a test, where what still waits has to end by itself.
    ///
    /// In a model it stands still for ever after.
    pub fn flow(&self) {
        self.step(|book| {
            if !book.flows() {
                // Wrapping: the system's clock may be behind. One that would mean that it stands is a nanosecond off.
                let ahead = self.0.real.now().wrapping_sub(book.now());
                let ahead = if ahead == STANDS { ahead - 1 } else { ahead };
                // ordering: Release, pairs with the Acquire in `ahead`.
                self.0.ahead.store(ahead, Ordering::Release);
            }
            ((), book.flow())
        });
        self.0.settled.notify_all();
    }

    /// The threads of this time that do not wait now.
    pub fn running(&self) -> Vec<Arc<str>> {
        self.0.book.lock().who_runs()
    }

    pub(crate) fn now(&self) -> Nanos {
        match self.ahead() {
            // ordering: Acquire, pairs with the Release in `step`: who reads a time sees what was done before it came.
            STANDS => self.0.now.load(Ordering::Acquire),
            ahead => self.0.real.now().wrapping_sub(ahead),
        }
    }

    fn ahead(&self) -> Nanos {
        // ordering: Acquire, pairs with the Release in `flow`.
        self.0.ahead.load(Ordering::Acquire)
    }

    fn flows(&self) -> bool {
        self.ahead() != STANDS
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The patience of a time that stands.
    fn stands(&self) -> Option<Duration> {
        let stands = {
            let book = self.0.book.lock();
            !book.jumps() && !book.flows()
        };
        stands.then(|| *self.0.patience.lock())
    }

    /// One step of the book. Those that it woke are claimed under its lock, and told after it.
    fn step<R>(&self, step: impl FnOnce(&mut Book<Arc<Parker>>) -> (R, Vec<Arc<Parker>>)) -> R {
        let (result, mut woken) = {
            let mut book = self.0.book.lock();
            let (result, mut woken) = step(&mut book);
            // Race "notified and due": who was notified before is somebody else's to wake.
            woken.retain(|parker| parker.claim());
            // ordering: Release, pairs with the Acquire in `now`.
            self.0.now.store(book.now(), Ordering::Release);
            if book.settled() {
                self.0.settled.notify_all();
            }
            (result, woken)
        };
        woken.drain(..).for_each(|parker| parker.wake());
        result
    }

    fn enrol(&self, name: &str) -> ThreadKey {
        self.0.book.lock().enrol(name.into())
    }

    fn leave(&self, key: ThreadKey) {
        self.step(|book| ((), book.leave(key)));
    }

    /// Whether there is such a thread.
    fn has(&self, key: ThreadKey) -> bool {
        self.0.book.lock().has(key)
    }

    /// Its thread runs again.
    fn up(&self, key: SleeperKey) {
        let parker = self.0.book.lock().wake(key);
        drop(parker);
    }
}

impl fmt::Debug for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualTime({} ns)", self.now())
    }
}

/// Why time was not advanced to where it was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdvanceError {
    /// A thread of this time asked, a timer's for one: it would wait for itself.
    FromWithin,
    /// Somebody else advances this time.
    Busy,
    /// This time has been let go.
    Flows,
    /// These threads were still running when patience was over, or waited for something that is not of this crate.
    StillRunning {
        /// Their names.
        who: Vec<Arc<str>>,
        /// How long that was, in real time.
        waited: Duration,
        /// How far time got, in nanoseconds.
        at: Nanos,
    },
}

impl fmt::Display for AdvanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromWithin => f.write_str(
                "a thread of this time can't advance it, for it would wait for itself: advance it from the test's thread",
            ),
            Self::Busy => f.write_str("somebody else is advancing this time: let one thread do it"),
            Self::Flows => f.write_str("this time has been let go (`flow`): it is the system's now"),
            Self::StillRunning { who, waited, at } => {
                let names = who.join(", ");
                write!(
                    f,
                    "{names} did not come to wait within {waited:?} of real time, so time stays at {at} ns: a thread of this time \
                     has to end or to wait through foundation-sync (not in a system call, a lock or a `join`)"
                )
            }
        }
    }
}

impl std::error::Error for AdvanceError {}
