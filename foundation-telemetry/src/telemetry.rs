//! The telemetry of one universe.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use foundation_context::{Fields, inside};
use foundation_sync::{Activity, Clock, Errands, Mutex, Timekeeper, atomic::Ordering, legacy::Mode};

use crate::{
    Emitter, EventName, batch::Batches, dedup::Windows, figures::Counts, handlers::Book, later::Later,
    overflow::Overflow, sampling::Samplers, span::Spans,
};

/// The events of one universe. A clone is another handle.
#[derive(Clone)]
pub struct Telemetry(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) activity: Activity,
    pub(crate) clock: Clock,
    pub(crate) errands: Errands,
    pub(crate) later: Later,
    /// Where queued handlers run.
    pub(crate) service: Mode,
    pub(crate) counts: Arc<Counts>,
    pub(crate) overflow: Overflow,
    pub(crate) book: Mutex<Book>,
    pub(crate) spans: Spans,
    pub(crate) windows: Windows,
    pub(crate) samplers: Samplers,
    pub(crate) batches: Batches,
}

/// What decides how each part of a universe's telemetry works: on is the new way.
#[cfg(feature = "legacy")]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Switches {
    /// Off: a queued handler runs on whoever emits.
    pub service: foundation_sync::Switch,
    /// Off: a span is its thread's alone.
    pub spans: foundation_sync::Switch,
    /// Off: each thread has a window of its own for what is emitted once per window.
    pub dedup: foundation_sync::Switch,
}

/// What telemetry is part of. [`Telemetry::builder`] makes one.
#[derive(Debug, Default)]
#[must_use = "call `build`"]
pub struct Builder {
    activity: Activity,
    clock: Option<Clock>,
    errands: Errands,
    timekeeper: Option<Timekeeper>,
    seed: Option<u64>,
}

impl Builder {
    /// By which clock durations and windows go; the system's by default.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// What is moved by each event that is heard, for whoever waits for one; nothing by default.
    pub fn activity(mut self, activity: &Activity) -> Self {
        self.activity = activity.clone();
        self
    }

    /// Who runs queued handlers, and what is due; whoever emits by default, before `emit` returns.
    pub fn errands(mut self, errands: &Errands) -> Self {
        self.errands = errands.clone();
        self
    }

    /// Who says that a window is over; nobody by default. It goes by the same clock.
    pub fn timekeeper(mut self, timekeeper: &Timekeeper) -> Self {
        self.timekeeper = Some(timekeeper.clone());
        self
    }

    /// Where random numbers begin, for a test that wants the same sample each time; somewhere else in each process by
    /// default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The telemetry; nobody is attached yet.
    pub fn build(self) -> Telemetry {
        let mut book = Book::default();
        let (spans, windows) = (Spans::new(&mut book), Windows::new(&mut book));
        Telemetry(Arc::new(Inner {
            activity: self.activity,
            clock: self.clock.unwrap_or_else(Clock::system),
            later: Later::new(self.timekeeper, &self.errands),
            errands: self.errands,
            service: Mode::default(),
            counts: Arc::default(),
            overflow: Overflow::default(),
            book: Mutex::new(book),
            spans,
            windows,
            batches: Batches::default(),
            samplers: Samplers::new(self.seed.unwrap_or_else(|| RandomState::new().hash_one(0))),
        }))
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// No handlers; for use without a universe. Queued handlers run on whoever emits, before `emit` returns.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Telemetry that is part of something: what it does not have of its own it is given.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What decides how its parts work.
    #[cfg(feature = "legacy")]
    pub fn switches(&self) -> Switches {
        Switches {
            service: self.0.service.switch().clone(),
            spans: self.0.spans.mode.switch().clone(),
            dedup: self.0.windows.mode.switch().clone(),
        }
    }

    /// How many handlers panicked and were detached.
    pub fn failures(&self) -> u64 {
        self.0.counts.failures.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many events queued handlers did not get: they found no room, or waited when an errand was refused or lost.
    /// Also those of handlers that have been detached since.
    pub fn overflowed(&self) -> u64 {
        self.0.counts.overflowed.load(Ordering::Relaxed) // ordering: a count
    }

    /// What emits events of this name: resolve it once, emit for one load.
    pub fn emitter(&self, name: EventName) -> Emitter {
        let slot = Arc::clone(self.0.book.lock().slot(name));
        Emitter { name, slot, telemetry: self.clone() }
    }

    /// Emits one event. It looks the name up under a lock: where there are many events, keep an
    /// [`emitter`](Self::emitter).
    pub fn emit(&self, name: EventName, build: impl FnOnce() -> (Fields, Fields)) {
        self.emitter(name).emit(build);
    }
}

impl Telemetry {
    /// Which one it is, as long as it lives. Whoever delivers for it is inside of this number.
    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Of who runs its errands: no address, so nobody else's.
    pub(crate) fn courier(&self) -> usize {
        self.number() + 1
    }

    /// Runs `work`, which runs errands and does not panic: for a universe's courier, who must not wait for itself.
    #[doc(hidden)]
    pub fn as_courier<R>(&self, work: impl FnOnce() -> R) -> R {
        inside::run(self.courier(), work)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("handlers", &self.list())
            .field("spans_open", &self.spans_open())
            .finish_non_exhaustive()
    }
}
