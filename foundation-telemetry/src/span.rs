//! Spans: pieces of work with a beginning and an end.
//!
//! # Protocol
//! A span is opened in this order: its place is given out, its start is emitted, it goes into its place; one that is
//! entered then becomes its thread's current one. It is closed in the reverse order: it leaves its thread, it is taken
//! out of the table, its stop is emitted. Whoever takes it out is the one who closes it, so a span is closed exactly
//! once, whatever mode it was opened in, and its stop comes after its start. No handler runs under a lock of the
//! table's. Where nobody hears the start, giving out the place and going into it are one step.
//!
//! Named races:
//! - *close against close*: two threads close one span, or its owner's end closes it while somebody else does. One finds
//!   it in the table; the other is told that it was closed.
//! - *flip against span*: the mode is switched while the span is open. Its view remembers the mode it was opened in and
//!   says who sees it; closing does not ask.
//! - *late span*: a span is opened for a life that is over, on a thread that inherited its context. Nobody closes it but
//!   whoever opened it.

use std::{fmt, hash::BuildHasher, sync::Arc};

use foldhash::quality::RandomState;
use foundation_context::{Fields, Incarnation, SpanLink, TraceId, Value, current_span, fields, incarnation, span};
use foundation_sync::{
    SECOND,
    atomic::{AtomicU64, Ordering},
    legacy::Mode,
    reached,
};

use crate::{
    MOST_ATTRIBUTES, OpenSpan, SpanId, Telemetry,
    attributes::Said,
    events,
    handlers::{Book, Slot},
    open::{Open, Owner, Table},
    telemetry::Inner,
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
        .. "the span's own fields, and its attributes"
    }

    /// A span was closed as soon as it was opened, because too many were open; at most once in a second.
    pub const SPAN_REFUSED = ["foundation", "span", "refused"];
    measurements { count: "spans so far" }
    metadata { span_name: "text" }
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
pub struct NotOpenError(pub SpanId);

impl fmt::Display for NotOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span {} is not open: it was closed before", self.0)
    }
}

impl std::error::Error for NotOpenError {}

/// The spans of one universe.
pub(crate) struct Spans {
    pub(crate) mode: Mode,
    pub(crate) table: Table,
    pub(crate) said: Said,
    start: Arc<Slot>,
    pub(crate) stop: Arc<Slot>,
    refusal: Arc<Slot>,
    /// Makes trace ids of numbers.
    hasher: RandomState,
    refused: AtomicU64,
    /// The threads that are nobody's and have opened one.
    threads: AtomicU64,
}

impl Spans {
    pub(crate) fn new(book: &mut Book) -> Self {
        Self {
            mode: Mode::default(),
            table: Table::default(),
            said: Said::new(book),
            start: Arc::clone(book.slot(SPAN_START)),
            stop: Arc::clone(book.slot(SPAN_STOP)),
            refusal: Arc::clone(book.slot(SPAN_REFUSED)),
            hasher: RandomState::default(),
            refused: AtomicU64::new(0),
            threads: AtomicU64::new(0),
        }
    }

    /// Of a root: random, for the hasher's keys are, and another one for each number.
    fn trace(&self, number: u64) -> TraceId {
        let half = |which: u8| u128::from(self.hasher.hash_one((number, which)));
        TraceId(half(0) << 64 | half(1))
    }
}

impl Telemetry {
    /// Opens a span that is no thread's current one: [`close_span`](Self::close_span) closes it, on any thread.
    ///
    /// Whose context says who they are has it closed as aborted when their life ends; for a worker that was abandoned
    /// that is when its thread really ends, not when it was given up. What a thread that is nobody's, whose context names
    /// no incarnation, leaves open is closed as aborted when the thread ends, on that thread. (The main thread of a
    /// program ends without notice.)
    pub fn open_span(&self, name: &'static str, fields: Fields) -> SpanId {
        SpanId::of(self.start(name, fields))
    }

    /// Closes this span.
    ///
    /// # Errors
    /// It was closed before.
    pub fn close_span(&self, id: SpanId, status: Status) -> Result<(), NotOpenError> {
        match self.0.spans.table.remove(id) {
            Some(open) => {
                self.stop(&open, &status);
                Ok(())
            }
            None => {
                reached!("span: it was closed before");
                Err(NotOpenError(id))
            }
        }
    }

    /// Closes all that this life left open, as aborted; returns how many, and the oldest of them, `shown` at most. For the
    /// exit sequence.
    #[doc(hidden)]
    pub fn close_spans_of(&self, owner: Incarnation, shown: usize) -> (usize, Vec<OpenSpan>) {
        let left = self.abort(Owner::Life(owner), "its owner ended");
        let now = self.0.clock.now();
        (left.len(), left.iter().take(shown).map(|open| open.seen(now)).collect())
    }

    fn abort(&self, owner: Owner, reason: &'static str) -> Vec<Open> {
        let left = self.0.spans.table.remove_of(owner);
        left.iter().for_each(|open| self.stop(open, &Status::Aborted(reason.into())));
        left
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
        self.0.spans.table.figures().0
    }

    /// How many spans were closed, in whatever way.
    pub fn spans_closed(&self) -> u64 {
        self.0.spans.table.figures().1
    }

    /// How many spans were closed as aborted as soon as they were opened, because too many were open
    /// ([`MOST_OPEN`](crate::MOST_OPEN)). At most once in a second [`SPAN_REFUSED`] says so.
    pub fn spans_refused(&self) -> u64 {
        self.0.spans.refused.load(Ordering::Relaxed) // ordering: a count
    }

    /// The calling thread's current span, if it is open in this universe: the one that was entered last, or that its
    /// context brought along.
    pub fn current_span(&self) -> Option<OpenSpan> {
        let link = self.current_link()?;
        let now = self.0.clock.now();
        let is_it = |open: &mut Open| (open.link == link).then(|| open.seen(now));
        self.0.spans.table.with(SpanId::of(link), is_it).flatten()
    }

    /// The link of the calling thread's current span, or of the one that its context brought along, open or not: what
    /// [`under`](Self::under) makes the parent of another thread's spans, or another program's.
    #[doc(alias = "propagate_context")]
    pub fn current_link(&self) -> Option<SpanLink> {
        current_span()
    }

    /// The trace that the calling thread works for.
    #[doc(alias = "current_trace_id")]
    pub fn current_trace(&self) -> Option<TraceId> {
        self.current_link().map(|link| link.trace)
    }

    /// Runs `work` under this span, which may be another thread's, or another program's: it is the parent of what `work`
    /// opens. What was current before is so again afterwards, whatever happens. A link closes nothing: a span is closed by
    /// its guard, or by whoever has its id.
    ///
    /// A [context](foundation_context::carried) brings the link along with all else: this is for where only the link came.
    #[doc(alias = "with_propagated_context")]
    pub fn under<R>(&self, link: SpanLink, work: impl FnOnce() -> R) -> R {
        struct Back(Option<span::Place>);

        impl Drop for Back {
            fn drop(&mut self) {
                _ = self.0.take().map(span::remove);
            }
        }

        let _back = Back(Some(span::push(link, &self.0.spans.mode)));
        work()
    }

    pub(crate) fn start(&self, name: &'static str, fields: Fields) -> SpanLink {
        self.start_in(current_span(), name, fields)
    }

    /// Opens a span whose parent is this one.
    pub(crate) fn start_in(&self, outer: Option<SpanLink>, name: &'static str, mut fields: Fields) -> SpanLink {
        let spans = &self.0.spans;
        let owner = match incarnation() {
            Some(who) => Owner::Life(who),
            None => span::number(&self.0).map_or(Owner::Nobody, Owner::Thread),
        };
        if fields.len() > MOST_ATTRIBUTES {
            fields = spans.said.cut(fields);
        }
        let (since, view) = (self.0.clock.now(), spans.mode.view());
        let mut link = SpanLink { trace: TraceId(0), span: 0 };
        let make = |id: SpanId| {
            let trace = outer.map_or_else(|| spans.trace(id.number()), |outer| outer.trace);
            link = SpanLink { trace, span: id.number() };
            Open { link, parent: outer.map(|outer| outer.span), owner, name, fields, since, view }
        };
        let refused = if spans.start.heard() {
            let (id, room) = spans.table.reserve(owner);
            let open = make(id);
            self.emit_to(&spans.start, || (fields! {}, open.metadata(Fields::new())));
            if room {
                spans.table.fill(open);
                None
            } else {
                Some(open)
            }
        } else {
            spans.table.insert(owner, make)
        };
        if let Some(open) = refused {
            self.refuse(&open);
        }
        link
    }

    #[cold]
    fn refuse(&self, open: &Open) {
        let spans = &self.0.spans;
        let count = spans.refused.fetch_add(1, Ordering::Relaxed) + 1; // ordering: a count
        self.stop(open, &Status::Aborted("too many spans are open".into()));
        if spans.refusal.heard() && self.passes(SPAN_REFUSED, "", SECOND) {
            self.emit_to(&spans.refusal, || (fields! { count: count }, fields! { span_name: open.name }));
        }
    }

    fn stop(&self, open: &Open, status: &Status) {
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

impl span::Keeps for Inner {
    fn comes(&self) -> u64 {
        self.spans.threads.fetch_add(1, Ordering::Relaxed) + 1 // ordering: each gets another number
    }

    fn ends(self: Arc<Self>, number: u64) {
        Telemetry(self).abort(Owner::Thread(number), "its thread ended");
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
