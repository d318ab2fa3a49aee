//! The one who says that it is due.
//!
//! # Protocol
//! A table of timers under one lock, and a body that sleeps until the earliest. The body is started by the first timer
//! and ends when it wakes and finds nothing to wait for: at rest there is no thread. Cancelling the last timer does not
//! wake the body if that timer was due soon, so that one thread serves many short waits: it lingers at most [`LINGER`].
//!
//! Named races:
//! - *set against end*: a timer is set while the body is about to end. Both happen under the lock: either the body sees
//!   the timer, or whoever sets it sees that no body runs and starts one.
//! - *hand-over against failed start*: somebody hands a duty over while the thread for another cannot be started. Whoever
//!   fails to start takes all duties back, under the lock.
//! - *cancel against fire*: a timer fires by being brought to its serial under the lock; so whoever has cancelled it, or
//!   was told that it has fired, meets nothing of it later. Only the turn comes after, under no lock.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    sync::Arc,
};

use crate::{
    Clock, Condvar, Mutex, Nanos, Serial, Turn, planted,
    serial::{Duty, work, work_alone},
};

/// How many timers are brought in one hold of the lock.
const AT_ONCE: usize = 64;

/// How long a body may wait for a timer that was cancelled.
const LINGER: Nanos = 10_000_000_000;

/// What a timekeeper's thread runs: call it on a thread of your own.
pub type Body = Box<dyn FnOnce() + Send>;

type Starter = Box<dyn Fn(Body) -> io::Result<()> + Send + Sync>;

/// One per universe: says to serials that something is due, and takes over from threads that turned long enough.
///
/// Setting, cancelling and firing cost O(log n) each for n pending timers: a million are fine. Timers fire in the order of
/// their times, those of one time in the order in which they were set; a time in the past is due at once. It has one thread
/// while a timer is pending, and none if nobody sets one.
#[derive(Clone)]
pub struct Timekeeper(Arc<Inner>);

struct Inner {
    clock: Clock,
    start: Starter,
    book: Mutex<Book>,
    woken: Condvar,
}

#[derive(Default)]
struct Book {
    timers: BTreeMap<TimerId, Box<dyn Due>>,
    set: u64,
    duties: VecDeque<Box<dyn Duty>>,
    /// What was turned last came from a timer: a duty that waits comes next.
    timer_last: bool,
    running: bool,
    closed: bool,
}

/// A pending timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    at: Nanos,
    number: u64,
}

/// News that is due at some time.
trait Due: Send {
    /// Brings it, once, and gives out the duty to turn, if nobody has it. It is dropped later, under no lock: its handle
    /// may be the last to the hands.
    fn post(&mut self) -> Option<Box<dyn Duty>>;
}

struct News<H: Turn>(Serial<H>, Option<H::Event>);

impl<H: Turn> Due for News<H> {
    fn post(&mut self) -> Option<Box<dyn Duty>> {
        let event = self.1.take()?;
        self.0.post(event)
    }
}

impl Timekeeper {
    /// A timekeeper by this clock. `start` runs a body on a thread of its own; it is called when there is one to run. Where
    /// the clock is a virtual time's, that thread is of that time.
    pub fn new(clock: Clock, start: impl Fn(Body) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let (book, woken) = (Mutex::new(Book::default()), Condvar::new());
        Self(Arc::new(Inner { clock, start: Box::new(start), book, woken }))
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Brings this news to the serial at that time, at once if it has passed.
    ///
    /// If no thread can be started the timer stays in the table, and each further timer tries again. After
    /// [`close`](Self::close) it is forgotten.
    pub fn set<H: Turn>(&self, at: Nanos, serial: &Serial<H>, event: H::Event) -> TimerId {
        let news: Box<dyn Due> = Box::new(News(serial.clone(), Some(event)));
        let (id, first, forgotten) = {
            let mut book = self.0.book.lock();
            book.set += 1;
            let id = TimerId { at, number: book.set };
            if book.closed {
                (id, false, Some(news))
            } else {
                let first = book.timers.first_key_value().is_none_or(|(earliest, _)| id < *earliest);
                book.timers.insert(id, news);
                (id, first, None)
            }
        };
        drop(forgotten);
        work_alone(self.attend(first), self);
        id
    }

    /// Takes the timer out. After this it is not brought to its serial, whatever the answer. `false`: it was before, and
    /// its news has been turned, or waits for its turn.
    pub fn cancel(&self, id: TimerId) -> bool {
        // Virtual time would jump to a timer that is no more.
        let linger = if self.0.clock.virtual_time().is_some() { 0 } else { LINGER };
        let (due, idle) = {
            let mut book = self.0.book.lock();
            let due = book.timers.remove(&id);
            (due, book.timers.is_empty() && id.at > self.0.clock.now().saturating_add(linger))
        };
        if idle {
            self.0.woken.notify_one();
        }
        due.is_some()
    }

    /// How many timers are pending.
    pub fn pending(&self) -> usize {
        self.0.book.lock().timers.len()
    }

    /// Ends the body when it has nothing in hand; forgets the timers.
    pub fn close(&self) {
        let timers = {
            let mut book = self.0.book.lock();
            book.closed = true;
            std::mem::take(&mut book.timers)
        };
        self.0.woken.notify_all();
        drop(timers);
    }

    /// Gives back what there is nobody to do: this duty, or all that wait, if no body could be started.
    #[must_use = "what is given back has to be done"]
    pub(crate) fn take_over(&self, duty: Box<dyn Duty>) -> VecDeque<Box<dyn Duty>> {
        {
            let mut book = self.0.book.lock();
            if book.closed {
                return VecDeque::from([duty]);
            }
            book.duties.push_back(duty);
        }
        self.attend(true)
    }

    /// Sees to it that a body runs and looks at the table. Gives back all duties if none can be started: better a long
    /// turn than a dead serial.
    #[must_use = "what is given back has to be done"]
    fn attend(&self, news: bool) -> VecDeque<Box<dyn Duty>> {
        let start = {
            let mut book = self.0.book.lock();
            let work = !book.timers.is_empty() || !book.duties.is_empty();
            let start = work && !book.running && !book.closed;
            book.running |= start;
            start
        };
        if !start {
            if news {
                self.0.woken.notify_one();
            }
            return VecDeque::new();
        }
        let body = Arc::clone(&self.0);
        let body = self.0.clock.enrol("timekeeper", move || body.run());
        match (self.0.start)(Box::new(body)) {
            Ok(()) => VecDeque::new(),
            Err(_) => {
                // Race "hand-over against failed start".
                let mut book = self.0.book.lock();
                book.running = false;
                if planted!("timekeeper: one duty is taken back") {
                    return book.duties.pop_front().into_iter().collect();
                }
                std::mem::take(&mut book.duties)
            }
        }
    }
}

impl Inner {
    fn run(self: Arc<Self>) {
        while let Some(duty) = self.next() {
            work(duty, &Timekeeper(Arc::clone(&self)));
        }
    }

    /// Brings what is due, until there is a turn to do; `None` if there is nothing to wait for.
    fn next(&self) -> Option<Box<dyn Duty>> {
        loop {
            let mut brought = Vec::new();
            let step = self.step(&mut brought);
            // Under no lock: a handle to a serial in it may be the last.
            drop(brought);
            match step {
                Step::Turn(duty) => return Some(duty),
                Step::Again => {}
                Step::End => return None,
            }
        }
    }

    fn step(&self, brought: &mut Vec<Box<dyn Due>>) -> Step {
        let mut book = self.book.lock();
        loop {
            if brought.len() == AT_ONCE {
                return Step::Again;
            }
            let earliest = book.timers.first_key_value().map(|(id, _)| id.at);
            let due = earliest.is_some_and(|at| at <= self.clock.now());
            if due && (!book.timer_last || book.duties.is_empty()) {
                let (_, mut due) = book.timers.pop_first().expect("it is the earliest");
                // Race "cancel against fire".
                if planted!("timekeeper: fires after the lock") {
                    drop(book);
                    let duty = due.post();
                    return duty.map_or(Step::Again, Step::Turn);
                }
                let duty = due.post();
                brought.push(due);
                match duty {
                    Some(duty) => {
                        book.timer_last = true;
                        return Step::Turn(duty);
                    }
                    // Somebody turns that serial.
                    None => continue,
                }
            }
            book.timer_last = false;
            if let Some(duty) = book.duties.pop_front() {
                return Step::Turn(duty);
            }
            if !brought.is_empty() {
                return Step::Again;
            }
            let Some(at) = earliest else {
                // Race "set against end".
                if planted!("timekeeper: ends without the lock") {
                    drop(book);
                    self.book.lock().running = false;
                    return Step::End;
                }
                book.running = false;
                return Step::End;
            };
            book = self.woken.wait(book, &self.clock.at(at));
        }
    }
}

/// What the body does next.
enum Step {
    Turn(Box<dyn Duty>),
    /// Look again, with the lock given up in between.
    Again,
    End,
}

impl fmt::Debug for Timekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timekeeper({} pending)", self.pending())
    }
}
