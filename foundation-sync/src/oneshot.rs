//! A place for one value that one thread waits for: what a call's answer comes back in.
//!
//! It is embedded in what both sides share, so it costs no allocation of its own; and as many of them end in quick
//! succession, each too short-lived to learn anything, what is learnt about looking before sleeping lives outside of it
//! ([`Looks`]).
//!
//! # Protocol
//! The place is *empty*, *full* or *over*. [`put`](OneShot::put) fills an empty one; [`recv`](OneShot::recv) takes what is
//! there, and it is over; [`close`](OneShot::close) makes it over, and comes back with what was there. Each under the lock,
//! so each value goes to exactly one of them, or back to whoever puts it too late.
//!
//! Named races:
//! - *put against close*: the waiter gives up while the value comes. One holds the lock first: the value is in what `close`
//!   returns, or comes back from `put`.
//! - *stop before sleep*: the word is said after the waiter looked and before it sleeps. Whoever is woken by it takes the
//!   lock before it notifies ([`wake`](OneShot::wake)).

use std::{fmt, sync::Arc};

use crate::{
    Condvar, MODEL, Mutex, Once, RecvError, Stop, Until, Wake,
    atomic::{AtomicBool, Ordering},
    planted, reached,
    spin::{self, Luck, Pace},
    thread,
};

/// A place for one value that one thread waits for.
///
/// ```
/// use std::sync::Arc;
///
/// use foundation_sync::{Clock, Looks, OneShot, SECOND, Wake, thread};
///
/// #[derive(Default)]
/// struct Question {
///     answer: OneShot<u32>,
/// }
///
/// impl Wake for Question {
///     fn wake(&self) {
///         self.answer.wake();
///     }
/// }
///
/// let (question, looks) = (Arc::new(Question::default()), Looks::default());
/// let asked = Arc::clone(&question);
/// let other = thread::Builder::new("answers").spawn(move || {
///     asked.answer.put(42).expect("it is waited for");
/// })?;
/// let until = Clock::system().within(SECOND);
/// question.answer.look(&looks, &until);
/// assert_eq!(question.answer.recv(&until, || question.clone()), Ok(42));
/// other.join().expect("it did not panic");
/// # Ok::<(), std::io::Error>(())
/// ```
#[repr(C)]
pub struct OneShot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// It is not empty any more.
    settled: Looked,
}

/// What a waiter looks at, a cache line away from what is before it: each look would else take away what the other side
/// works on. Not aligned: most of these are allocated one by one, and an allocation that is aligned costs several of those
/// that are not.
#[repr(C)]
struct Looked {
    _apart: [u64; 8],
    settled: AtomicBool,
}

enum State<T> {
    /// So many sleep.
    Empty {
        asleep: usize,
    },
    Full(T),
    Over,
}

impl<T> Default for OneShot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OneShot<T> {
    /// Nothing is there yet.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State::Empty { asleep: 0 }),
            changed: Condvar::new(),
            settled: Looked { _apart: [0; 8], settled: AtomicBool::new(false) },
        }
    }

    /// Puts the value there.
    ///
    /// # Errors
    /// Nobody waits for it any more, or another one came first. It comes back.
    pub fn put(&self, value: T) -> Result<(), T> {
        let asleep = {
            let mut state = self.state.lock();
            let State::Empty { asleep } = *state else {
                reached!("a value came too late");
                return Err(value);
            };
            *state = State::Full(value);
            asleep
        };
        // After the lock, which who sees it takes.
        self.settle();
        if asleep > 0 && !planted!("oneshot: a put tells nobody") {
            reached!("who waits for a value slept");
            // Should several wait, one gets it, and the others are told so.
            match planted!("oneshot: a put tells one of those that wait") {
                true => self.changed.notify_one(),
                false => self.changed.notify_all(),
            }
        }
        Ok(())
    }

    /// Looks for the value for some 20 microseconds, if that has paid for waits of this kind: before one sleeps in
    /// [`recv`](Self::recv). Whether something is there to be received.
    pub fn look<'a>(&self, looks: &Looks, until: impl Into<Until<'a>>) -> bool {
        if !looks.tried() {
            return false;
        }
        let until = until.into();
        let told = || until.stop().is_some_and(Stop::told);
        let found = spin::look(Pace::Often, || self.is_settled() || told());
        looks.note(found);
        found
    }

    /// Waits for the value. `waker` is what makes this wait look again ([`wake`](Self::wake)), should it end with a stop.
    ///
    /// # Errors
    /// [`RecvError`]: until then it did not come. It still may: [`close`](Self::close) says whether it has.
    #[track_caller]
    pub fn recv<'a, W: Wake + 'static>(
        &self,
        until: impl Into<Until<'a>>,
        waker: impl FnOnce() -> Arc<W>,
    ) -> Result<T, RecvError> {
        let until = until.into();
        let told = || until.stop().is_some_and(Stop::told);
        let mut waker = Some(waker);
        let mut _watching = None;
        let mut state = self.state.lock();
        loop {
            match std::mem::replace(&mut *state, State::Over) {
                State::Full(value) => return Ok(value),
                State::Over => return Err(RecvError::Closed),
                empty @ State::Empty { .. } => *state = empty,
            }
            if told() {
                return Err(RecvError::Stopped);
            }
            if until.deadline().passed() {
                return Err(RecvError::TimedOut);
            }
            if let (Some(stop), Some(waker)) = (until.stop(), waker.take()) {
                drop(state);
                _watching = stop.watch(waker());
                state = self.state.lock();
                continue;
            }
            if let State::Empty { asleep } = &mut *state {
                *asleep += 1;
            }
            state = self.changed.wait(state, until.deadline());
            if let State::Empty { asleep } = &mut *state {
                *asleep -= 1;
            }
        }
    }

    /// Nobody waits any more: what was there.
    pub fn close(&self) -> Option<T> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Full(value) => {
                reached!("a value came at the last moment");
                Some(value)
            }
            State::Empty { .. } if planted!("oneshot: who gave up still gets it") => {
                *state = State::Empty { asleep: 0 };
                None
            }
            State::Empty { .. } | State::Over => None,
        }
    }

    /// Whether a value may still come.
    pub fn is_open(&self) -> bool {
        matches!(*self.state.lock(), State::Empty { .. })
    }

    fn is_settled(&self) -> bool {
        // ordering: Relaxed, with the store in `settle`: who sees it takes the lock before anything else.
        self.settled.settled.load(Ordering::Relaxed)
    }

    /// Makes whoever waits look again at what its wait ends with.
    pub fn wake(&self) {
        // The lock: race "stop before sleep".
        if !planted!("oneshot: a stop notifies without the lock") {
            drop(self.state.lock());
        }
        self.changed.notify_all();
    }

    fn settle(&self) {
        if !MODEL {
            self.settled.settled.store(true, Ordering::Relaxed); // ordering: see `is_settled`
        }
    }
}

impl<T> fmt::Debug for OneShot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.state.lock() {
            State::Empty { .. } => "OneShot(empty)",
            State::Full(_) => "OneShot(full)",
            State::Over => "OneShot(over)",
        })
    }
}

/// What is known about short waits of one kind: whether it pays to look for a while before sleeping.
///
/// On cache lines of its own: each wait reads it, whatever is written beside it.
#[repr(align(64))]
pub struct Looks {
    /// Learnt anew only when it changes.
    lucky: AtomicBool,
    luck: Mutex<Luck>,
    /// Whether the machine has more than one core.
    cores: Once<bool>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { lucky: AtomicBool::new(false), luck: Mutex::new(Luck::new()), cores: Once::default() }
    }
}

impl Looks {
    fn tried(&self) -> bool {
        !MODEL && (self.is_lucky() || self.luck.lock().tried()) && *self.cores.get_or(|| thread::cores() > 1)
    }

    fn note(&self, found: bool) {
        if found && self.is_lucky() {
            return;
        }
        let mut luck = self.luck.lock();
        luck.note(found);
        self.lucky.store(found, Ordering::Relaxed); // ordering: see `is_lucky`
    }

    /// The last look that was noted has found something.
    fn is_lucky(&self) -> bool {
        // ordering: Relaxed, with the store in `note`: what is late costs a look, or a sleep.
        self.lucky.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Looks(..)")
    }
}
