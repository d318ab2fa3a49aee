//! What is said about a span while it is open: attributes, events, links.

use std::sync::Arc;

use foundation_context::{Fields, SpanLink, fields};
use foundation_sync::atomic::{AtomicU64, Ordering};

use crate::{
    NotOpenError, SpanId, Telemetry, events,
    handlers::{Book, Slot},
};

events! {
    /// What is said of spans that are open.
    pub(crate) const EVENTS;

    /// A span got attributes.
    pub const SPAN_ATTRIBUTES = ["foundation", "span", "attributes"];
    measurements {}
    metadata { span_id: "number", span_name: "text", trace_id: "32 hexadecimal digits", .. "the attributes" }

    /// Something happened in a span.
    pub const SPAN_EVENT = ["foundation", "span", "event"];
    measurements {}
    metadata {
        event_name: "text", span_id: "number", span_name: "text", trace_id: "32 hexadecimal digits",
        .. "the event's fields"
    }

    /// A span has to do with another one.
    pub const SPAN_LINK = ["foundation", "span", "link"];
    measurements {}
    metadata {
        linked_span_id: "number", linked_trace_id: "32 hexadecimal digits", span_id: "number", span_name: "text",
        trace_id: "32 hexadecimal digits", .. "the link's fields"
    }
}

/// How many attributes a span has at most, those that it was opened with included.
pub const MOST_ATTRIBUTES: usize = 64;

/// What tells of it.
pub(crate) struct Said {
    attributes: Arc<Slot>,
    event: Arc<Slot>,
    link: Arc<Slot>,
    cut: AtomicU64,
}

impl Said {
    pub(crate) fn new(book: &mut Book) -> Self {
        let mut slot = |name| Arc::clone(book.slot(name));
        Self {
            attributes: slot(SPAN_ATTRIBUTES),
            event: slot(SPAN_EVENT),
            link: slot(SPAN_LINK),
            cut: AtomicU64::new(0),
        }
    }

    /// As many as a span may have; the others are counted.
    pub(crate) fn cut(&self, fields: Fields) -> Fields {
        let over = fields.len().saturating_sub(MOST_ATTRIBUTES);
        if over == 0 {
            return fields;
        }
        self.cut.fetch_add(over as u64, Ordering::Relaxed); // ordering: a count
        fields.iter().take(MOST_ATTRIBUTES).cloned().collect()
    }
}

/// Both; of a name that is in both what is new.
fn merged(old: &Fields, new: &Fields) -> Fields {
    let kept = old.iter().filter(|(name, _)| new.get(name).is_none());
    kept.chain(new.iter()).cloned().collect()
}

impl Telemetry {
    /// More is known of a span that is open: its stop will say it, and [`SPAN_ATTRIBUTES`] says it now. A name that it has
    /// says the new thing. A span has at most [`MOST_ATTRIBUTES`]; what is beyond is dropped, and counted
    /// ([`attributes_cut`](Self::attributes_cut)).
    ///
    /// If another thread closes the span meanwhile, the event may come after its stop; so it is with
    /// [`span_event`](Self::span_event) and [`link_span`](Self::link_span).
    ///
    /// # Errors
    /// It is not open.
    pub fn add_attributes(&self, id: SpanId, attributes: Fields) -> Result<(), NotOpenError> {
        let said = &self.0.spans.said;
        let add = |fields: &mut Fields| std::mem::replace(fields, said.cut(merged(fields, &attributes)));
        let found = self.0.spans.table.with(id, |open| (add(&mut open.fields), open.name, open.link));
        let (_old, name, link) = found.ok_or(NotOpenError(id))?;
        self.tell(&said.attributes, name, link, &attributes, Fields::new);
        Ok(())
    }

    /// Something happened in a span that is open: [`SPAN_EVENT`] says it, with this name.
    ///
    /// # Errors
    /// It is not open.
    pub fn span_event(&self, id: SpanId, name: &'static str, fields: Fields) -> Result<(), NotOpenError> {
        let (span, link) = self.about(id)?;
        self.tell(&self.0.spans.said.event, span, link, &fields, || fields! { event_name: name });
        Ok(())
    }

    /// A span that is open has to do with another one, which is not its parent: [`SPAN_LINK`] says it.
    ///
    /// # Errors
    /// The first one is not open.
    pub fn link_span(&self, id: SpanId, other: SpanLink, fields: Fields) -> Result<(), NotOpenError> {
        let (span, link) = self.about(id)?;
        let own = || fields! { linked_span_id: other.span, linked_trace_id: other.trace };
        self.tell(&self.0.spans.said.link, span, link, &fields, own);
        Ok(())
    }

    /// How many attributes were dropped, because a span had too many.
    pub fn attributes_cut(&self) -> u64 {
        self.0.spans.said.cut.load(Ordering::Relaxed) // ordering: a count
    }

    fn about(&self, id: SpanId) -> Result<(&'static str, SpanLink), NotOpenError> {
        self.0.spans.table.with(id, |open| (open.name, open.link)).ok_or(NotOpenError(id))
    }

    fn tell(&self, slot: &Arc<Slot>, span: &'static str, link: SpanLink, said: &Fields, own: impl FnOnce() -> Fields) {
        self.emit_to(slot, || {
            let which = fields! { span_id: link.span, span_name: span, trace_id: link.trace };
            let all = said.iter().chain(own().iter()).chain(which.iter()).cloned().collect();
            (Fields::new(), all)
        });
    }
}
