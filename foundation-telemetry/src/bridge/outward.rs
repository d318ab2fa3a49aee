//! What happens here, told to `tracing`.

use std::{collections::HashMap, fmt, mem, sync::Arc};

use foundation_context::{Fields, Value};
use foundation_sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
use tracing::{Dispatch, Span, dispatcher, subscriber::NoSubscriber};

use crate::{
    AttachError, Event, MOST_OPEN, SPAN_START, SPAN_STOP, Selectors, Telemetry,
    bridge::{BRIDGE_TARGET, CAME_IN, came_in},
};

/// Tells `tracing` what happens here: each event as an event of level `INFO`, with its name, measurements and metadata as
/// fields, and each span as a span, its parent the one that it has here, closed with its status and duration. All of
/// them have the target [`BRIDGE_TARGET`].
///
/// It speaks to whatever `tracing` takes for the default on the thread that emits, and of a span to whom it has told of the
/// span's parent. What came in through [`Inward`](crate::Inward) it leaves out. A span that does not find a place among the
/// [`MOST_OPEN`] that it knows is not told, and counted. Each telemetry has an `Outward` of its own, which knows spans by
/// their numbers; a sampler on [`SPAN_STOP`] keeps spans open there.
#[derive(Clone, Default)]
pub struct Outward(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// By the number of ours.
    open: Mutex<HashMap<u64, Arc<Told>>>,
    refused: AtomicU64,
}

/// A span, and whom it was told to: a subscriber knows no other's spans. When one closes it lets go of the parent with
/// whatever is the default then.
struct Told {
    span: Span,
    to: Dispatch,
}

impl Drop for Told {
    fn drop(&mut self) {
        let span = mem::replace(&mut self.span, Span::none());
        dispatcher::with_default(&self.to, || drop(span));
    }
}

impl Outward {
    /// Nothing is told yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells these events of this telemetry, as a handler of this id. Spans are told if both [`SPAN_START`] and
    /// [`SPAN_STOP`] are among them.
    ///
    /// # Errors
    /// The handler is refused.
    pub fn attach(&self, telemetry: &Telemetry, id: &str, events: impl Into<Selectors>) -> Result<(), AttachError> {
        let outward = self.clone();
        telemetry.attach(id, events, move |event| outward.tell(event))
    }

    /// How many spans found no place.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed) // ordering: a count
    }

    fn tell(&self, event: &Event) {
        if event.name.words().first() == Some(&CAME_IN) || came_in(&event.metadata) {
            return;
        }
        match event.name {
            name if name == SPAN_START => self.open(&event.metadata),
            name if name == SPAN_STOP => self.close(event),
            name => tracing::info!(
                target: BRIDGE_TARGET,
                event = %name, measurements = %event.measurements, metadata = %event.metadata
            ),
        }
    }

    fn open(&self, metadata: &Fields) {
        let number = |name| metadata.get(name).and_then(Value::as_u64);
        let Some(id) = number("span_id") else { return };
        // Held, so that it is there until its child has been made; a clone of the span would call the subscriber.
        let parent = number("parent_id").and_then(|parent| self.0.open.lock().get(&parent).map(Arc::clone));
        // What was told to nobody has no children: they are roots for whoever listens here.
        let parent = parent.filter(|parent| !parent.span.is_disabled() && !parent.to.is::<NoSubscriber>());
        let text = |name| metadata.get(name).map(ToString::to_string).unwrap_or_default();
        // Made without the lock: the subscriber is a user's.
        let make = || {
            tracing::info_span!(
                target: BRIDGE_TARGET,
                parent: parent.as_ref().and_then(|parent| parent.span.id()),
                "span",
                name = text("span_name"),
                trace_id = text("trace_id"),
                span_id = id,
                metadata = %metadata,
                status = tracing::field::Empty,
                reason = tracing::field::Empty,
                duration = tracing::field::Empty,
            )
        };
        let to = parent.as_ref().map_or_else(|| dispatcher::get_default(Dispatch::clone), |parent| parent.to.clone());
        let span = Arc::new(Told { span: dispatcher::with_default(&to, make), to });
        let left = {
            let mut open = self.0.open.lock();
            if open.len() < MOST_OPEN { open.insert(id, span) } else { Some(span) }
        };
        if left.is_some() {
            self.0.refused.fetch_add(1, Ordering::Relaxed); // ordering: a count
        }
    }

    fn close(&self, event: &Event) {
        let Some(id) = event.metadata.get("span_id").and_then(Value::as_u64) else { return };
        let span = self.0.open.lock().remove(&id);
        let Some(Told { span, .. }) = span.as_deref() else { return };
        for name in ["status", "reason"] {
            if let Some(text) = event.metadata.get(name) {
                span.record(name, tracing::field::display(text));
            }
        }
        if let Some(duration) = event.measurements.get("duration").and_then(Value::as_u64) {
            span.record("duration", duration);
        }
    }
}

impl fmt::Debug for Outward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outward({} spans open)", self.0.open.lock().len())
    }
}
