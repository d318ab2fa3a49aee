//! What telemetry counts.

use std::fmt;

use foundation_sync::atomic::{AtomicU64, Ordering};

use crate::Telemetry;

/// What is counted about handlers, beside what is counted of each.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) failures: AtomicU64,
    pub(crate) forgotten: AtomicU64,
    pub(crate) drop_panics: AtomicU64,
    pub(crate) overflowed: AtomicU64,
    pub(crate) undelivered: AtomicU64,
}

/// What the telemetry of a universe counts of its events and spans: [`Telemetry::figures`]. [Batches](Telemetry::batches),
/// [samplers](Telemetry::samplers), metrics and limiters have figures of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Handlers that are attached.
    pub handlers: usize,
    /// How often a handler panicked and was detached.
    pub failures: u64,
    /// Handlers that failed and can be attached again.
    pub failed: usize,
    /// Handlers that failed, and made room for others that did.
    pub forgotten: u64,
    /// Closures of handlers that panicked when they were dropped.
    pub drop_panics: u64,
    /// Events that wait for queued handlers.
    pub queued: usize,
    /// Events that queued handlers did not get: they found no room, or waited when an errand was refused or lost.
    pub overflowed: u64,
    /// Events that waited for a queued handler when it was detached or failed, or came as it was.
    pub undelivered: u64,
    /// Events that an open window suppressed.
    pub suppressed: u64,
    /// Events that passed because there was no place for their window.
    pub untracked: u64,
    /// Spans that are open.
    pub spans_open: usize,
    /// Spans that were opened.
    pub spans_opened: u64,
    /// Spans that were closed at once, because too many were open.
    pub spans_refused: u64,
    /// Attributes that were dropped, because their span had too many.
    pub attributes_cut: u64,
}

impl Telemetry {
    /// What it counts. Each figure is true at some moment of the call.
    pub fn figures(&self) -> Figures {
        let (handlers, failed, backlogs) = {
            let book = self.0.book.lock();
            let backlogs = book.handlers.values().filter_map(|(handler, _)| handler.backlog.clone());
            (book.handlers.len(), book.failed.len(), backlogs.collect::<Vec<_>>())
        };
        let counts = &self.0.counts;
        Figures {
            handlers,
            failures: self.failures(),
            failed,
            forgotten: counts.forgotten.load(Ordering::Relaxed), // ordering: a count
            drop_panics: counts.drop_panics.load(Ordering::Relaxed), // ordering: a count
            queued: backlogs.iter().map(|backlog| backlog.figures().0).sum(),
            overflowed: self.overflowed(),
            undelivered: counts.undelivered.load(Ordering::Relaxed), // ordering: a count
            suppressed: self.suppressed(),
            untracked: self.untracked(),
            spans_open: self.spans_open(),
            spans_opened: self.spans_opened(),
            spans_refused: self.spans_refused(),
            attributes_cut: self.attributes_cut(),
        }
    }
}

/// Two lines: events and spans.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "events     {} handlers, {} failed, {} queued, {} overflowed, {} undelivered, {} suppressed, {} untracked",
            self.handlers,
            self.failures,
            self.queued,
            self.overflowed,
            self.undelivered,
            self.suppressed,
            self.untracked
        )?;
        write!(
            f,
            "\nspans      {} of {} open, {} refused, {} attributes cut",
            self.spans_open, self.spans_opened, self.spans_refused, self.attributes_cut
        )
    }
}
