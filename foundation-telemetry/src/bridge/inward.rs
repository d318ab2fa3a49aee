//! What code says that knows only `tracing`.

use std::{
    fmt,
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    thread::panicking,
    time::Duration,
};

use foundation_context::{Field, Fields, SpanLink, Value, breadcrumb, current_span, inside};
use foundation_sync::{
    Once,
    atomic::{AtomicU64, Ordering},
    payload,
};
use tracing::{
    Level, Metadata, Subscriber, field,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::{LookupSpan, SpanRef},
};

use crate::{
    Emitter, SpanId, Status, TRACING_EVENT, Telemetry,
    bridge::{BRIDGE_TARGET, CAME_IN, VIA, ours::Ours},
    handlers::Slot,
    telemetry::Inner,
};

/// A layer for a `tracing` subscriber that turns events and spans into ours: an event into [`TRACING_EVENT`], a span into a
/// span of the same name, which is open from its first to its last handle, its parent the one that `tracing` says. While it
/// is entered it is the thread's current one: the parent of what is opened inside, be it a span of `tracing` or one of
/// ours.
///
/// An event of level `WARN` or `ERROR` leaves a [breadcrumb](foundation_context::breadcrumb()), whether anybody listens or
/// not: so a crash report of a worker whose code knows only `tracing` says what it had said before.
///
/// It is made before the universe whose threads get it, and [connected](Self::connect) when that is there; what comes
/// before is counted ([`unconnected`](Self::unconnected)). When nobody listens to an event nothing is built. Whether an
/// event passes is decided when it is recorded, so filters, which may be asked several times, count nothing.
///
/// What a handler logs while it is called for an event that came in does not come in again, and is counted
/// ([`nested`](Self::nested)); nor does what a queued handler or a batch's logs, whatever it is called for: so nothing goes
/// round. What comes when the telemetry is gone is counted as what came before it was connected.
///
/// ```
/// use foundation_supervisor::Foundation;
/// use foundation_telemetry::{Inward, TRACING_EVENT};
/// use tracing::Dispatch;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let inward = Inward::new();
/// let dispatch = Dispatch::new(tracing_subscriber::registry().with(inward.clone()));
/// let foundation = Foundation::builder().dispatch(dispatch).start();
/// inward.connect(foundation.telemetry())?;
/// foundation.telemetry().attach("log", TRACING_EVENT, |event| _ = event.metadata.get("message"))?;
/// foundation.enter(|| tracing::warn!(shop = "Leith", "no tea"));
/// assert_eq!(foundation.telemetry().list()[0].calls, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Inward {
    shared: Arc<Shared>,
    window: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    to: Once<To>,
    unconnected: AtomicU64,
    nested: AtomicU64,
}

/// Weak: the universe's threads have the dispatch with this layer, and would keep their universe alive.
struct To {
    telemetry: Weak<Inner>,
    said: Weak<Slot>,
}

impl To {
    /// `None`: it is gone.
    fn telemetry(&self) -> Option<Telemetry> {
        self.telemetry.upgrade().map(Telemetry)
    }
}

/// It is connected already: make another layer for another universe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectError;

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is connected already: make another layer for another universe")
    }
}

impl std::error::Error for ConnectError {}

impl Inward {
    /// A layer that is not connected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one event of each target and message pass in each window, however many threads emit it:
    /// [`Emitter::emit_once_per`].
    #[must_use]
    pub fn once_per(self, window: Duration) -> Self {
        Self { window: Some(window), ..self }
    }

    /// Brings events and spans to this telemetry from now on.
    ///
    /// # Errors
    /// It is connected already.
    pub fn connect(&self, telemetry: &Telemetry) -> Result<(), ConnectError> {
        let said = telemetry.emitter(TRACING_EVENT);
        let to = To { telemetry: Arc::downgrade(&telemetry.0), said: Arc::downgrade(&said.slot) };
        self.shared.to.set(to).map_err(|_| ConnectError)
    }

    /// How many events and spans came before it was connected, or after its telemetry was gone.
    pub fn unconnected(&self) -> u64 {
        self.shared.unconnected.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many events and spans came of a handler of what had come in, or of a queued or a batch's one, and were left out.
    pub fn nested(&self) -> u64 {
        self.shared.nested.load(Ordering::Relaxed) // ordering: a count
    }

    fn number(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    /// Where it goes; `None`: it stays out.
    fn way(&self, metadata: &Metadata<'_>) -> Option<Telemetry> {
        if metadata.target() == BRIDGE_TARGET {
            return None;
        }
        let Some(to) = self.shared.to.get().and_then(To::telemetry) else {
            self.shared.unconnected.fetch_add(1, Ordering::Relaxed); // ordering: a count
            return None;
        };
        // Who delivers what was queued is inside of the telemetry's number.
        if inside::is(|who| who == self.number() || who == to.number()) {
            self.shared.nested.fetch_add(1, Ordering::Relaxed); // ordering: a count
            return None;
        }
        Some(to)
    }

    /// Who emits the events that come in.
    fn said(&self, telemetry: Telemetry) -> Option<Emitter> {
        let slot = self.shared.to.get()?.said.upgrade()?;
        Some(Emitter { name: TRACING_EVENT, slot, telemetry })
    }

    /// The parent of a span that comes in.
    fn outer<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>, contextual: bool) -> Option<SpanLink> {
        let (parent, current) = (span.parent(), current_span());
        let extensions = parent.as_ref().map(SpanRef::extensions);
        match extensions.as_ref().and_then(|extensions| extensions.get::<Ours>()) {
            // The current one may be what another layer has made of it.
            Some(ours) if !contextual || ours.is(current) => ours.of(&self.shared),
            // One of ours may have been opened in the one that is the current one there.
            _ if contextual => current,
            _ => None,
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Inward {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let Some(emitter) = self.way(event.metadata()).and_then(|telemetry| self.said(telemetry)) else { return };
        let grave = *event.metadata().level() <= Level::WARN;
        if !grave && !emitter.heard() {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        if grave {
            // Also where a window suppresses the event: it is about this piece of work, which the last one was not.
            breadcrumb(said.words(event.metadata()).to_owned(), said.fields(event.metadata()));
            if !emitter.heard() {
                return;
            }
        }
        let key = self.window.map(|window| (window, said.key(event.metadata())));
        let metadata = said.metadata(event.metadata());
        inside::run(self.number(), || match key {
            Some((window, key)) => _ = emitter.emit_once_per(window, &key, || (Fields::new(), metadata)),
            None => emitter.emit(|| (Fields::new(), metadata)),
        });
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let (Some(telemetry), Some(span)) = (self.way(attributes.metadata()), context.span(id)) else { return };
        let outer = self.outer(&span, attributes.is_contextual());
        let mut said = Said::default();
        attributes.record(&mut said);
        let own = said.metadata(attributes.metadata());
        let fields = own.iter().cloned().chain([(VIA, CAME_IN.into())]).collect();
        let link = inside::run(self.number(), || telemetry.start_in(outer, attributes.metadata().name(), fields));
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Ours>() {
            Some(ours) => ours.add(&self.shared, link),
            None => {
                let mut ours = Ours::default();
                ours.add(&self.shared, link);
                extensions.insert(ours);
            }
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id);
        let link = span.and_then(|span| span.extensions().get::<Ours>().and_then(|ours| ours.of(&self.shared)));
        if let (Some(link), Some(telemetry)) = (link, self.shared.to.get().and_then(To::telemetry)) {
            let mut said = Said::default();
            values.record(&mut said);
            let message = said.message.map(|message| ("message", Value::from(message)));
            let fields = said.fields.into_iter().chain(message).collect();
            inside::run(self.number(), || _ = telemetry.add_attributes(SpanId::of(link), fields));
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let (Some(telemetry), Some(span)) = (self.shared.to.get().and_then(To::telemetry), context.span(id)) {
            let mode = &telemetry.0.spans.mode;
            _ = span.extensions_mut().get_mut::<Ours>().map(|ours| ours.enter(&self.shared, mode));
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            _ = span.extensions_mut().get_mut::<Ours>().map(|ours| ours.leave(&self.shared));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id);
        let link =
            span.and_then(|span| span.extensions_mut().get_mut::<Ours>().and_then(|ours| ours.take(&self.shared)));
        if let (Some(link), Some(telemetry)) = (link, self.shared.to.get().and_then(To::telemetry)) {
            let status = if panicking() { Status::Error("it panicked".into()) } else { Status::Ok };
            // The end of a life may have closed it.
            inside::run(self.number(), || _ = telemetry.close_span(SpanId::of(link), status));
        }
    }
}

impl fmt::Debug for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("To(..)")
    }
}

/// What an event or a span says.
#[derive(Default)]
struct Said {
    fields: Vec<Field>,
    message: Option<String>,
}

impl Said {
    fn key(&self, metadata: &Metadata<'_>) -> String {
        format!("{} {}", metadata.target(), self.words(metadata))
    }

    /// The message, if it has one.
    fn words<'a>(&'a self, metadata: &Metadata<'_>) -> &'a str {
        self.message.as_deref().unwrap_or(metadata.name())
    }

    /// All but the message. What stands last wins, where a field has the name of one of ours.
    fn fields(&self, metadata: &Metadata<'_>) -> Fields {
        let own = [("level", Value::from(level(*metadata.level()))), ("target", metadata.target().to_owned().into())];
        self.fields.iter().cloned().chain(own).collect()
    }

    fn metadata(self, metadata: &Metadata<'_>) -> Fields {
        let fields = self.fields(metadata);
        let message = self.message.map(|message| ("message", Value::from(message)));
        fields.into_iter().chain(message).collect()
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl field::Visit for Said {
    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &field::Field, value: f64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        match field.name() {
            "message" => self.message = Some(value.to_owned()),
            name => self.fields.push((name, value.to_owned().into())),
        }
    }

    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // What is shown is a user's, and may panic.
        let written = catch_unwind(AssertUnwindSafe(|| write!(text, "{value:?}")));
        if let Err(panic) = written {
            payload::forget(panic);
            text.push_str(" (it panicked while it was shown)");
        }
        match field.name() {
            "message" => self.message = Some(text),
            name => self.fields.push((name, text.into())),
        }
    }
}
