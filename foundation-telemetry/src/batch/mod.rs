//! Many small things, handled a batch at a time.
//!
//! # Protocol
//! What waits, and what handles it, lie under one lock. Who delivers takes the handler out, and with it the right to
//! deliver; so there is one who delivers at a time, and all is delivered in order. It is put back under the same lock under
//! which nothing was found due: what becomes due in between is seen, or its bringer finds the handler there. Who delivers
//! is an errand of the courier, which is sent when something becomes due and none is out; a timer that is due does the same.
//! Who flushes delivers itself if nobody does, and otherwise waits for who does.
//!
//! An errand that is refused, or dropped unrun, leaves all where it is: the next addition, a timer or a flush tries again.
//! If there is nobody left who could add or flush, what waits is counted as dropped.
//!
//! Named races:
//! - *last look*: something is added between the last look and the return of the handler: told above.
//! - *flush against delivery*: what a flush is to wait for is in the hands of somebody who delivers. It is delivered when
//!   that one has returned, not when it was taken.
//! - *add against close*: an addition is in before the batch is closed, and delivered, or comes back.

mod deliver;
mod events;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use foundation_sync::{
    Condvar, Deadline, Mutex, Nanos,
    atomic::{AtomicU64, Ordering},
    thread,
};

use crate::Telemetry;
use deliver::Turn;

/// When a [`Batch`] is delivered, and how much of it there may be. [`Batching::of`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "give it to `Telemetry::batch`"]
pub struct Batching {
    size: usize,
    age: Option<Nanos>,
    capacity: usize,
    when_full: WhenFull,
}

/// What a full [`Batch`] does with one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Gives it back.
    #[default]
    Refuse,
    /// Drops the oldest, and counts it.
    DropOldest,
}

impl Batching {
    /// Delivered as soon as there are so many (0 counts as 1), and at most so many at once; as long as the courier is busy
    /// at most ten times as many wait, and what comes then is given back.
    pub fn of(size: usize) -> Self {
        let size = size.max(1);
        Self { size, age: None, capacity: size.saturating_mul(10), when_full: WhenFull::Refuse }
    }

    /// Delivered also when the oldest has waited for so long; by size alone by default.
    pub fn age(self, age: Duration) -> Self {
        Self { age: Some(Nanos::try_from(age.as_nanos()).unwrap_or(Nanos::MAX)), ..self }
    }

    /// How many may wait: never fewer than a batch has.
    pub fn capacity(self, capacity: usize) -> Self {
        Self { capacity: capacity.max(self.size), ..self }
    }

    /// What is done with one more when so many wait.
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }
}

/// Collects things, and hands them over a batch at a time. A clone is another handle. [`Telemetry::batch`] makes one.
///
/// Things are delivered in the order in which they were added, each once, one batch after another, on the universe's
/// courier; where there is none, by whoever adds the last of a batch. What one thread has added keeps its order; what two
/// add at once has one or the other. When the last handle is dropped what waits is delivered.
///
/// ```
/// use foundation_sync::{Deadline, Mutex};
/// use foundation_telemetry::{Batching, Telemetry};
/// use std::sync::Arc;
///
/// let written = Arc::new(Mutex::new(Vec::new()));
/// let writes = Arc::clone(&written);
/// let rows = Telemetry::new().batch("rows", Batching::of(3), move |rows: Vec<u8>| writes.lock().push(rows));
/// for row in 0..5 {
///     rows.add(row)?;
/// }
/// assert_eq!(*written.lock(), [[0, 1, 2]]);
/// rows.flush(Deadline::now())?;
/// assert_eq!(written.lock()[1], [3, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch<T: Send + 'static>(Arc<Handle<T>>);

/// What closes the batch when nobody can add to it any more.
struct Handle<T: Send + 'static>(Arc<Inner<T>>);

struct Inner<T> {
    name: Arc<str>,
    batching: Batching,
    telemetry: Telemetry,
    state: Mutex<State<T>>,
    settled: Condvar,
}

type Hands<T> = Box<dyn FnMut(Vec<T>) + Send>;

struct State<T> {
    waiting: VecDeque<(Nanos, T)>,
    /// Absent while somebody delivers, and when all is over.
    hands: Option<Hands<T>>,
    /// Who delivers.
    by: Option<thread::ThreadId>,
    /// How many of those that were added have been taken and are not settled.
    in_hand: usize,
    /// The number of the first of those.
    hand: u64,
    /// Up to which one all are to be delivered at once.
    flush_to: u64,
    errand: bool,
    timer: bool,
    closed: bool,
    /// Nobody can flush it any more.
    over: bool,
    figures: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    added: u64,
    delivered: u64,
    failed: u64,
    dropped: u64,
    refused: u64,
    batches: u64,
    panics: u64,
}

/// What a [`Batch`] has done so far: `added` is `delivered`, `failed`, `dropped` and what waits, or is being delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchFigures {
    /// Its name.
    pub name: Arc<str>,
    /// How many were taken in.
    pub added: u64,
    /// How many were delivered.
    pub delivered: u64,
    /// How many were in batches in which the handler panicked.
    pub failed: u64,
    /// How many were dropped: to make room, or since nobody was left to deliver them.
    pub dropped: u64,
    /// How many were given back; they do not count as added.
    pub refused: u64,
    /// How many wait, or are being delivered.
    pub waiting: u64,
    /// How many batches were delivered, failed ones among them.
    pub batches: u64,
    /// How often the handler panicked.
    pub panics: u64,
}

/// A thing that was not taken in, and comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddError<T> {
    /// So many wait as have room.
    Full(T),
    /// The batch was closed.
    Closed(T),
}

impl<T> AddError<T> {
    /// The thing.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

impl<T> fmt::Display for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the batch is full: what waits is not delivered as fast as it comes",
            Self::Closed(_) => "the batch is closed",
        })
    }
}

impl<T> fmt::Debug for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> std::error::Error for AddError<T> {}

/// Why a flush can't say that all was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushBatchError {
    /// The deadline has passed; so many wait, or are being delivered.
    TimedOut(usize),
    /// The calling thread is in the handler, and would wait for itself.
    Inside,
}

impl fmt::Display for FlushBatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(count) => write!(f, "{count} still wait, or are being delivered"),
            Self::Inside => f.write_str("a batch's handler can't wait for its own end"),
        }
    }
}

impl std::error::Error for FlushBatchError {}

/// The batches of one universe.
#[derive(Default)]
pub(crate) struct Batches {
    all: Mutex<Vec<Weak<dyn Listed>>>,
    dropped: AtomicU64,
}

trait Listed: Send + Sync {
    fn name(&self) -> &Arc<str>;
    fn figures(&self) -> BatchFigures;
    fn flush(self: Arc<Self>, until: &Deadline) -> Result<(), FlushBatchError>;
}

impl<T: Send + 'static> Batch<T> {
    /// Takes one more in. It waits for nobody; where there is no courier, it delivers what is due before it returns.
    ///
    /// # Errors
    /// There is no room, or it was closed. The item comes back, and is counted.
    pub fn add(&self, item: T) -> Result<(), AddError<T>> {
        Inner::add(&self.0.0, item)
    }

    /// Delivers what has been added so far, and returns when all of it was: on the calling thread, or, if somebody
    /// delivers, when that one has. A handler that is at work is not interrupted by the deadline.
    ///
    /// # Errors
    /// The deadline has passed, or the calling thread is in the handler.
    pub fn flush(&self, until: Deadline) -> Result<(), FlushBatchError> {
        Inner::flush(&self.0.0, &until)
    }

    /// Takes nothing more in, and delivers what waits.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). It is closed all the same, and what waits is delivered later.
    pub fn close(&self, until: Deadline) -> Result<(), FlushBatchError> {
        self.0.0.state.lock().closed = true;
        self.flush(until)
    }

    /// What it has done so far.
    #[must_use]
    pub fn figures(&self) -> BatchFigures {
        self.0.0.figures()
    }
}

impl<T: Send + 'static> Clone for Batch<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({:?})", self.figures())
    }
}

impl<T: Send + 'static> Drop for Handle<T> {
    fn drop(&mut self) {
        let sends = {
            let mut state = self.0.state.lock();
            (state.closed, state.over) = (true, true);
            state.hands.is_some() && !std::mem::replace(&mut state.errand, true)
        };
        // Nobody takes it: then it is delivered here, all of it. An errand alone would make way for one that nobody takes.
        if sends && let Err(errand) = self.0.telemetry.0.errands.send(Turn::by_errand(&self.0)) {
            _ = Inner::flush(&self.0, &Deadline::now());
            errand();
        }
    }
}

impl<T: Send + 'static> Listed for Inner<T> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn figures(&self) -> BatchFigures {
        let state = self.state.lock();
        let Counts { added, delivered, failed, dropped, refused, batches, panics } = state.figures;
        let waiting = (state.waiting.len() + state.in_hand) as u64;
        let name = Arc::clone(&self.name);
        BatchFigures { name, added, delivered, failed, dropped, refused, waiting, batches, panics }
    }

    fn flush(self: Arc<Self>, until: &Deadline) -> Result<(), FlushBatchError> {
        Inner::flush(&self, until)
    }
}

impl Telemetry {
    /// Collects things, and has `deliver` called with a batch of them, in order, where the universe's errands are run. A
    /// batch in which it panics counts as failed, and the next one comes all the same.
    ///
    /// Where there is no timekeeper, what is old enough is delivered when the next one is added.
    #[must_use = "dropped, it is over"]
    pub fn batch<T: Send + 'static>(
        &self,
        name: &str,
        batching: Batching,
        deliver: impl FnMut(Vec<T>) + Send + 'static,
    ) -> Batch<T> {
        let state = State {
            waiting: VecDeque::new(),
            hands: Some(Box::new(deliver)),
            by: None,
            in_hand: 0,
            hand: 0,
            flush_to: 0,
            errand: false,
            timer: false,
            closed: false,
            over: false,
            figures: Counts::default(),
        };
        let (state, settled) = (Mutex::new(state), Condvar::new());
        let inner = Arc::new(Inner { name: name.into(), batching, telemetry: self.clone(), state, settled });
        let listed: Arc<dyn Listed> = Arc::<Inner<T>>::clone(&inner);
        {
            let mut all = self.0.batches.all.lock();
            all.retain(|batch| batch.strong_count() > 0);
            all.push(Arc::downgrade(&listed));
        }
        Batch(Arc::new(Handle(inner)))
    }

    /// What each batch that is still in use has done so far.
    pub fn batches(&self) -> Vec<BatchFigures> {
        self.each_batch().iter().map(|batch| batch.figures()).collect()
    }

    /// Delivers what waits in all batches, and names those with which that failed.
    pub(crate) fn flush_batches(&self, until: &Deadline) -> Vec<(Arc<str>, FlushBatchError)> {
        let batches = self.each_batch().into_iter();
        batches.filter_map(|batch| Some((Arc::clone(batch.name()), batch.flush(until).err()?))).collect()
    }

    /// How many things batches dropped to make room, or since nobody was left to deliver them. Also those of batches that
    /// are over.
    pub fn batches_dropped(&self) -> u64 {
        self.0.batches.dropped.load(Ordering::Relaxed) // ordering: a count
    }

    fn each_batch(&self) -> Vec<Arc<dyn Listed>> {
        self.0.batches.all.lock().iter().filter_map(Weak::upgrade).collect()
    }
}
