//! The telemetry of one universe.

use std::{fmt, sync::Arc};

use foundation_context::Fields;
use foundation_sync::{
    Activity, Clock, Errands, Mutex,
    atomic::{AtomicU64, Ordering},
    legacy::Mode,
};

use crate::{Emitter, EventName, dedup::Windows, handlers::Book, span::Spans};

/// The events of one universe. A clone is another handle.
#[derive(Clone)]
pub struct Telemetry(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) activity: Activity,
    pub(crate) clock: Clock,
    pub(crate) errands: Errands,
    /// Where queued handlers run.
    pub(crate) service: Mode,
    pub(crate) failures: AtomicU64,
    pub(crate) overflowed: AtomicU64,
    pub(crate) book: Mutex<Book>,
    pub(crate) spans: Spans,
    pub(crate) windows: Windows,
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

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// No handlers; for use without a universe. Queued handlers run on whoever emits, before `emit` returns.
    pub fn new() -> Self {
        Self::in_universe(Activity::default(), Clock::system(), Errands::default())
    }

    /// No handlers; events that are heard move this universe's activity counter, durations and windows go by its clock,
    /// and queued handlers run where its errands are run.
    pub fn in_universe(activity: Activity, clock: Clock, errands: Errands) -> Self {
        let mut book = Book::default();
        let spans = Spans::new(&mut book);
        Self(Arc::new(Inner {
            activity,
            clock,
            errands,
            service: Mode::default(),
            failures: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            book: Mutex::new(book),
            spans,
            windows: Windows::default(),
        }))
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
        self.0.failures.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many events queued handlers did not get: they found no room, or waited when an errand was refused or lost.
    /// Also those of handlers that have been detached since.
    pub fn overflowed(&self) -> u64 {
        self.0.overflowed.load(Ordering::Relaxed) // ordering: a count
    }

    /// What emits events of this name: resolve it once, emit for one load.
    pub fn emitter(&self, name: EventName) -> Emitter {
        let slot = Arc::clone(self.0.book.lock().slot(name));
        Emitter { slot, telemetry: self.clone() }
    }

    /// Emits one event. It looks the name up under a lock: where there are many events, keep an
    /// [`emitter`](Self::emitter).
    pub fn emit(&self, name: EventName, build: impl FnOnce() -> (Fields, Fields)) {
        self.emitter(name).emit(build);
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
