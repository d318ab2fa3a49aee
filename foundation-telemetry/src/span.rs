//! Spans: pieces of work with a beginning and an end.
//!
//! # Protocol
//! A span is opened in this order: its number is drawn, its start is emitted, it goes into the table; one that is
//! entered then becomes its thread's current one. It is closed in the reverse order: it leaves its thread, it is taken
//! out of the table, its stop is emitted. Whoever takes it out is the one who closes it, so a span is closed exactly
//! once, whatever mode it was opened in, and its stop comes after its start. No handler runs under a lock of the
//! table's.
//!
//! Named races:
//! - *close against close*: two threads close one span, or its owner's end closes it while somebody else does. One finds
//!   it in the table; the other is told that it was closed.
//! - *flip against span*: the mode is switched while the span is open. Its view remembers the mode it was opened in and
//!   says who sees it; closing does not ask.
//! - *late span*: a span is opened for a life that is over, on a thread that inherited its context. Nobody closes it but
//!   whoever opened it. So it is with what is opened on a thread that is nobody's.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    sync::Arc,
    thread::panicking,
};

use foundation_context::{Fields, Incarnation, SpanLink, TraceId, Value, current_span, fields, incarnation, span};
use foundation_sync::{
    atomic::{AtomicU64, Ordering},
    legacy::Mode,
    reached,
};

use crate::{
    OpenSpan, SpanId, Telemetry, events,
    handlers::{Book, Slot},
    open::{Open, Table},
};

events! {
    /// The events of spans.
    pub(crate) const EVENTS;

    /// A span was opened.
    pub const SPAN_START = ["foundation", "span", "start"];
    measurements {}
    metadata {
        span_id: "number", span_name: "text", parent_id: "number" if "it is no root",
        trace_id: "32 hexadecimal digits", .. "the span's own fields"
    }

    /// A span was closed.
    pub const SPAN_STOP = ["foundation", "span", "stop"];
    measurements { duration: "ns" }
    metadata {
        span_id: "number", span_name: "text", parent_id: "number" if "it is no root",
        trace_id: "32 hexadecimal digits", status: "ok, error or aborted", reason: "text" if "it is not ok",
        .. "the span's own fields"
    }
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// As it should.
    Ok,
    /// It failed, and why.
    Error(Value),
    /// Whoever opened it did not close it, and why.
    Aborted(Value),
}

/// No such span is open: it was closed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseError(pub SpanId);

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span {} is not open: it was closed before", self.0)
    }
}

impl std::error::Error for CloseError {}

/// The spans of one universe.
pub(crate) struct Spans {
    pub(crate) mode: Mode,
    table: Table,
    start: Arc<Slot>,
    stop: Arc<Slot>,
    /// Makes trace ids of numbers.
    hasher: RandomState,
    opened: AtomicU64,
    closed: AtomicU64,
    refused: AtomicU64,
}

impl Spans {
    pub(crate) fn new(book: &mut Book) -> Self {
        Self {
            mode: Mode::default(),
            table: Table::default(),
            start: Arc::clone(book.slot(SPAN_START)),
            stop: Arc::clone(book.slot(SPAN_STOP)),
            hasher: RandomState::new(),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Of a root: random, for the hasher's keys are, and another one for each number.
    fn trace(&self, number: u64) -> TraceId {
        let half = |which: u8| u128::from(self.hasher.hash_one((number, which)));
        TraceId(half(0) << 64 | half(1))
    }
}

impl Telemetry {
    /// Runs `work` as a span, which is the thread's current one meanwhile: closed as ok when it returns, as an error when
    /// it panics, and the panic goes on.
    pub fn span<R>(&self, name: &'static str, fields: Fields, work: impl FnOnce() -> R) -> R {
        let mut guard = self.enter_span(name, fields);
        guard.status = panicked();
        let result = work();
        guard.status = Status::Ok;
        result
    }

    /// Opens a span and makes it the thread's current one until the guard is dropped: see [`SpanGuard`].
    pub fn enter_span(&self, name: &'static str, fields: Fields) -> SpanGuard {
        let (id, link) = self.start(name, fields);
        let place = Some(span::push(link, &self.0.spans.mode));
        let telemetry = self.clone();
        SpanGuard { telemetry, id, link, place, status: Status::Ok, panicking: panicking(), stays: PhantomData }
    }

    /// Opens a span that is no thread's current one: [`close_span`](Self::close_span) closes it, on any thread.
    ///
    /// Whose context says who they are has it closed as aborted when their life ends; for a worker that was abandoned
    /// that is when its thread really ends, not when it was given up. On a thread that is nobody's, whose context names
    /// no incarnation, nobody closes what it leaves open, not when the thread ends either: it stays open, and counts.
    pub fn open_span(&self, name: &'static str, fields: Fields) -> SpanId {
        self.start(name, fields).0
    }

    /// Closes this span.
    ///
    /// # Errors
    /// It was closed before.
    pub fn close_span(&self, id: SpanId, status: Status) -> Result<(), CloseError> {
        match self.0.spans.table.remove(id) {
            Some(open) => {
                self.stop(&open, &status);
                Ok(())
            }
            None => {
                reached!("span: it was closed before");
                Err(CloseError(id))
            }
        }
    }

    /// Closes all that this life left open, as aborted; returns how many, and the oldest of them, `shown` at most. For the
    /// exit sequence.
    #[doc(hidden)]
    pub fn close_spans_of(&self, owner: Incarnation, shown: usize) -> (usize, Vec<OpenSpan>) {
        let left = self.0.spans.table.remove_of(owner);
        let now = self.0.clock.now();
        left.iter().for_each(|(_, open)| self.stop(open, &Status::Aborted("its owner ended".into())));
        (left.len(), left.iter().take(shown).map(|(id, open)| open.seen(*id, now)).collect())
    }

    /// The spans that are open now and that the calling thread sees, the oldest first: all of them, but for those that
    /// other threads opened in legacy mode, as long as that was not switched.
    pub fn open_spans(&self) -> Vec<OpenSpan> {
        self.0.spans.table.visible(self.0.clock.now())
    }

    /// How many spans are open, whoever sees them.
    pub fn spans_open(&self) -> usize {
        self.0.spans.table.len()
    }

    /// How many spans were opened.
    pub fn spans_opened(&self) -> u64 {
        self.0.spans.opened.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many spans were closed, in whatever way.
    pub fn spans_closed(&self) -> u64 {
        self.0.spans.closed.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many spans were closed as aborted as soon as they were opened, because too many were open
    /// ([`MOST_OPEN`](crate::MOST_OPEN)).
    pub fn spans_refused(&self) -> u64 {
        self.0.spans.refused.load(Ordering::Relaxed) // ordering: a count
    }

    /// The calling thread's current span, or the one that its context brought along.
    pub fn current_span(&self) -> Option<SpanLink> {
        current_span()
    }

    /// Opens a span under this one, or under the calling thread's current one.
    #[cfg(feature = "tracing")]
    pub(crate) fn start_under(
        &self,
        parent: Option<SpanLink>,
        name: &'static str,
        fields: Fields,
    ) -> (SpanId, SpanLink) {
        let place = parent.map(|parent| span::push(parent, &self.0.spans.mode));
        let started = self.start(name, fields);
        if let Some(place) = place {
            span::remove(place);
        }
        started
    }

    fn start(&self, name: &'static str, fields: Fields) -> (SpanId, SpanLink) {
        let spans = &self.0.spans;
        let number = spans.opened.fetch_add(1, Ordering::Relaxed) + 1; // ordering: each gets another number
        let outer = current_span();
        let trace = outer.map_or_else(|| spans.trace(number), |outer| outer.trace);
        let link = SpanLink { trace, span: number };
        let open = Open {
            link,
            parent: outer.map(|outer| outer.span),
            owner: incarnation(),
            name,
            fields,
            since: self.0.clock.now(),
            view: spans.mode.view(),
        };
        self.emit_to(&spans.start, || (fields! {}, open.metadata(Fields::new())));
        let (id, refused) = spans.table.insert(open);
        if let Some(refused) = refused {
            spans.refused.fetch_add(1, Ordering::Relaxed); // ordering: a count
            self.stop(&refused, &Status::Aborted("too many spans are open".into()));
        }
        (id, link)
    }

    fn stop(&self, open: &Open, status: &Status) {
        self.0.spans.closed.fetch_add(1, Ordering::Relaxed); // ordering: a count
        self.emit_to(&self.0.spans.stop, || {
            let end = match status {
                Status::Ok => fields! { status: "ok" },
                Status::Error(reason) => fields! { status: "error", reason: reason.clone() },
                Status::Aborted(reason) => fields! { status: "aborted", reason: reason.clone() },
            };
            (fields! { duration: self.0.clock.now().saturating_sub(open.since) }, open.metadata(end))
        });
    }
}

impl Open {
    fn metadata(&self, more: Fields) -> Fields {
        let own = fields! { span_id: self.link.span, span_name: self.name, trace_id: self.link.trace };
        let parent = self.parent.map(|parent| ("parent_id", Value::from(parent)));
        let all = self.fields.iter().cloned().chain(own.iter().cloned()).chain(parent);
        all.chain(more.iter().cloned()).collect()
    }
}

fn panicked() -> Status {
    Status::Error("it panicked".into())
}

/// A span that is open, and its thread's current one, until this is dropped: then it is closed as ok, as an error if
/// [`fail`](Self::fail) said so or a panic drops it.
///
/// Guards may be dropped in any order: each closes its own span, and the current one is the last that is left.
#[must_use = "dropped, the span is closed"]
pub struct SpanGuard {
    telemetry: Telemetry,
    id: SpanId,
    link: SpanLink,
    place: Option<span::Place>,
    status: Status,
    /// Whether the thread panicked already when it was opened: then it is not that panic that drops it.
    panicking: bool,
    /// On its thread: its place is there.
    stays: PhantomData<*const ()>,
}

impl SpanGuard {
    /// Which span it is.
    pub fn id(&self) -> SpanId {
        self.id
    }

    /// Its link: what makes another span its child.
    pub fn link(&self) -> SpanLink {
        self.link
    }

    /// The work failed: the span will be closed as an error. What is said last stands.
    pub fn fail(&mut self, reason: impl Into<Value>) {
        self.status = Status::Error(reason.into());
    }

    /// How the span will be closed, unless a panic does it.
    pub fn set_status(&mut self, status: Status) {
        self.status = status;
    }
}

impl Drop for SpanGuard {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            span::remove(place);
        }
        let by_panic = panicking() && !self.panicking && self.status == Status::Ok;
        let status = if by_panic { panicked() } else { std::mem::replace(&mut self.status, Status::Ok) };
        // Its owner's end may have closed it before.
        _ = self.telemetry.close_span(self.id, status);
    }
}

impl fmt::Debug for SpanGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanGuard({}, {:?})", self.id, self.status)
    }
}
