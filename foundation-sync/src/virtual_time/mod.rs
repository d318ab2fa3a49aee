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
//! Named races:
//! - *notified and due*: somebody notifies a sleeper while time wakes it. The book decides, once; a notification that comes
//!   too late for one sleeper goes to the next.
//! - *woken before asleep*: a sleeper is woken after it lay down in the book and before its thread sleeps. What wakes it
//!   is a word that stays said ([`Parker`]).
//! - *last to wait*: two threads lie down at once. Both do so under the book's lock; the second one finds nobody running.

mod book;
mod seat;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    Clock, Deadline, Mutex, Nanos, SECONDS_5,
    atomic::{AtomicU64, Ordering},
    clock::nanos,
    face::RawCondvar,
    planted, reached,
};
use book::{Book, Pace, Refused, SleeperKey, ThreadKey};

pub(crate) use seat::Enrolled;
pub use seat::Entered;

/// A time of a test's own: it stands still until it is told to go, and says when all that was due is done.
///
/// Its [`clock`](Self::clock) is given to whatever is to live in it; a universe takes it when it is built. What waits
/// through this crate, with a deadline of this clock or on a thread that was [enrolled](Clock::enrol), then waits by this
/// time: a timer of an hour costs nothing.
///
/// Nothing but the wait for a test's own patience is real: [`advance`](Self::advance) gives up when a thread of this time
/// runs, or waits for something that is not of this crate (a system call, a lock, a `join`), for longer than that.
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

    /// How long, in real time, [`advance`](Self::advance) waits for what is due to be done: five seconds, if not said.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        *self.0.patience.lock() = patience;
        self
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
            Some((_, false)) => return Err(AdvanceError::FromWithin),
            Some((key, true)) => Some(key),
            None => None,
        };
        let patience = *self.0.patience.lock();
        let until = self.0.real.within(patience);
        let woken = {
            let mut book = self.0.book.lock();
            let to = book.now().saturating_add(nanos(span)).min(Nanos::MAX - 1);
            let woken = book.advance(to, driver);
            self.publish(&book);
            woken
        };
        signal(woken.map_err(|refused| match refused {
            Refused::Busy => AdvanceError::Busy,
            Refused::Flows => AdvanceError::Flows,
        })?);
        let mut book = self.0.book.lock();
        while !book.settled() && !until.passed() {
            book = match until.left() {
                Some(left) => self.0.settled.wait_for(book, left),
                None => self.0.settled.wait(book),
            };
        }
        let settled = book.settled();
        let (who, at) = (book.who_runs(), book.now());
        book.arrive(driver);
        drop(book);
        match settled {
            true => Ok(()),
            false => Err(AdvanceError::StillRunning { who, waited: patience, at }),
        }
    }

    /// Lets go: from now on this time is the system's. For the end of a test, where what still waits has to end by itself.
    ///
    /// In a model it stands still for ever after.
    pub fn flow(&self) {
        let woken = {
            let mut book = self.0.book.lock();
            let first = !book.flows();
            let woken = book.flow();
            self.publish(&book);
            if first {
                // Wrapping: the system's clock may be behind.
                let ahead = self.0.real.now().wrapping_sub(book.now());
                // ordering: Release, pairs with the Acquire in `ahead`.
                self.0.ahead.store(ahead, Ordering::Release);
            }
            woken
        };
        signal(woken);
    }

    /// The threads of this time that do not wait now.
    pub fn running(&self) -> Vec<Arc<str>> {
        self.0.book.lock().who_runs()
    }

    pub(crate) fn now(&self) -> Nanos {
        match self.ahead() {
            // ordering: Acquire, pairs with the Release in `publish`: who reads a time sees what was done before it came.
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

    /// After each step of the book.
    fn publish(&self, book: &Book<Arc<Parker>>) {
        // ordering: Release, pairs with the Acquire in `now`.
        self.0.now.store(book.now(), Ordering::Release);
        if book.settled() {
            self.0.settled.notify_all();
        }
    }

    fn enrol(&self, name: &str) -> ThreadKey {
        self.0.book.lock().enrol(name.into())
    }

    fn leave(&self, key: ThreadKey) {
        let woken = {
            let mut book = self.0.book.lock();
            let woken = book.leave(key);
            self.publish(&book);
            woken
        };
        signal(woken);
    }

    /// Lies down until `at`; `None` where there is nothing to wait for, for time has passed it or flows.
    pub(crate) fn lie_down(&self, thread: Option<Seat>, at: Nanos) -> Option<Sleeper> {
        let parker = Arc::new(Parker::default());
        let (key, woken) = {
            let mut book = self.0.book.lock();
            if at <= book.now() || book.flows() {
                return None;
            }
            let (key, woken) = book.lie_down(thread.map(|seat| seat.0), at, Arc::clone(&parker));
            self.publish(&book);
            (key, woken)
        };
        signal(woken);
        Some(Sleeper { time: self.clone(), key, parker })
    }
}

impl fmt::Debug for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualTime({} ns)", self.now())
    }
}

fn signal(woken: Vec<Arc<Parker>>) {
    woken.iter().for_each(|parker| parker.wake());
}

/// A thread's place in a virtual time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat(ThreadKey);

/// The virtual time by which this wait goes, and the calling thread's place in it.
pub(crate) fn time_of(until: &Deadline) -> Option<(VirtualTime, Option<Seat>)> {
    let own = seat::own();
    let time = match (until.virtual_time(), &own) {
        (Some((time, _)), _) => time.clone(),
        (None, Some((time, _))) => time.clone(),
        (None, None) => return None,
    };
    let seat = own.filter(|(own, _)| own.is(&time)).map(|(_, key)| Seat(key));
    (!time.flows()).then_some((time, seat))
}

/// A wait by virtual time. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Sleeper {
    time: VirtualTime,
    key: SleeperKey,
    parker: Arc<Parker>,
}

impl Sleeper {
    /// Wakes it; `false` if something else has.
    pub(crate) fn wake(&self) -> bool {
        if planted!("virtual time: a wake-up under way is taken for rest") {
            self.parker.wake();
            return true;
        }
        let woken = self.time.0.book.lock().wake(self.key);
        match &woken {
            Some(parker) => parker.wake(),
            None => reached!("notified and due"),
        }
        woken.is_some()
    }

    /// Sleeps until it is woken, or until the deadline, if that is of another clock.
    pub(crate) fn sleep(&self, until: &Deadline) {
        let real = until.virtual_time().is_none().then_some(until);
        self.parker.sleep(real);
        // Its own patience was over: it runs again.
        _ = self.time.0.book.lock().wake(self.key);
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parker, &other.parker)
    }
}

/// A word that stays said: race "woken before asleep".
#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    word: RawCondvar,
}

impl Parker {
    fn wake(&self) {
        *self.woken.lock() = true;
        self.word.notify_all();
    }

    fn sleep(&self, until: Option<&Deadline>) {
        let mut woken = self.woken.lock();
        while !*woken {
            woken = match until.and_then(Deadline::left) {
                Some(left) if left.is_zero() => return,
                Some(left) => self.word.wait_for(woken, left),
                None => self.word.wait(woken),
            };
        }
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
                    "{names} did not wait within {waited:?} of real time, so time stays at {at} ns: a thread of this time \
                     has to end or to wait through foundation-sync (not in a system call, a lock or a `join`)"
                )
            }
        }
    }
}

impl std::error::Error for AdvanceError {}
