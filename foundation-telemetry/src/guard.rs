//! Spans that are entered: open, and their thread's current one, for the time of a call or as long as a guard lives.

use std::{
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::panicking,
};

use foundation_context::{Fields, SpanLink, Value, span};
use foundation_sync::payload;

use crate::{NotOpenError, SpanId, Status, Telemetry};

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

    /// The same for work that may fail, by `?` for instance: the span is closed as an error with the error's text.
    ///
    /// ```
    /// # use foundation_context::fields;
    /// # let telemetry = foundation_telemetry::Telemetry::new();
    /// let parsed = telemetry.try_span("parse", fields! {}, || "twelve".parse::<u32>());
    /// assert!(parsed.is_err());
    /// ```
    ///
    /// # Errors
    /// That of `work`.
    pub fn try_span<R, E: fmt::Display>(
        &self,
        name: &'static str,
        fields: Fields,
        work: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let mut guard = self.enter_span(name, fields);
        guard.status = panicked();
        let result = work();
        guard.status = match &result {
            Ok(_) => Status::Ok,
            // Nobody would read the text.
            Err(_) if !self.0.spans.stop.heard() => Status::Error("".into()),
            Err(error) => Status::Error(text(error)),
        };
        result
    }

    /// Opens a span and makes it the thread's current one until the guard is dropped: see [`SpanGuard`].
    pub fn enter_span(&self, name: &'static str, fields: Fields) -> SpanGuard<'_> {
        let link = self.start(name, fields);
        let place = Some(span::push(link, &self.0.spans.mode));
        SpanGuard { telemetry: self, link, place, status: Status::Ok, panicking: panicking(), stays: PhantomData }
    }
}

/// What a user's error says, also if it panics over it.
fn text(error: &impl fmt::Display) -> Value {
    match catch_unwind(AssertUnwindSafe(|| error.to_string())) {
        Ok(text) => text.into(),
        Err(panic) => {
            payload::forget(panic);
            "its error panicked when it was asked for its text".into()
        }
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
pub struct SpanGuard<'a> {
    telemetry: &'a Telemetry,
    link: SpanLink,
    place: Option<span::Place>,
    status: Status,
    /// Whether the thread panicked already when it was opened: then it is not that panic that drops it.
    panicking: bool,
    /// On its thread: its place is there.
    stays: PhantomData<*const ()>,
}

impl SpanGuard<'_> {
    /// Which span it is.
    pub fn id(&self) -> SpanId {
        SpanId::of(self.link)
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

    /// More is known of the span: see [`Telemetry::add_attributes`].
    ///
    /// # Errors
    /// The span is not open any more: its owner's end closed it, or somebody who has its id.
    pub fn set(&self, attributes: Fields) -> Result<(), NotOpenError> {
        self.telemetry.add_attributes(self.id(), attributes)
    }

    /// Something happened in the span: see [`Telemetry::span_event`].
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn event(&self, name: &'static str, fields: Fields) -> Result<(), NotOpenError> {
        self.telemetry.span_event(self.id(), name, fields)
    }

    /// The span has to do with another one: see [`Telemetry::link_span`].
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn link_to(&self, other: SpanLink, fields: Fields) -> Result<(), NotOpenError> {
        self.telemetry.link_span(self.id(), other, fields)
    }
}

impl Drop for SpanGuard<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            span::remove(place);
        }
        let by_panic = panicking() && !self.panicking && self.status == Status::Ok;
        let status = if by_panic { panicked() } else { std::mem::replace(&mut self.status, Status::Ok) };
        // Its owner's end may have closed it before.
        _ = self.telemetry.close_span(self.id(), status);
    }
}

impl fmt::Debug for SpanGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanGuard({}, {:?})", self.id(), self.status)
    }
}
