//! Events, spans and distributions: telemetry that counts what it drops.
//!
//! What it promises, after BEAM's [telemetry](https://hexdocs.pm/telemetry):
//! - an event has an exact name, measurements and metadata; handlers are attached to names or to prefixes
//!   ([`Selector`]) and run on the thread that emits, in no stated order;
//! - when nobody listens an emitter costs one load, and nothing is built;
//! - a handler that panics is detached from all its events, `[telemetry, handler, failure]` is emitted, the other
//!   handlers still run, and whoever emitted never notices; it is kept, and can be [attached
//!   again](Telemetry::reattach);
//! - attaching, detaching and emitting inside a handler work; no emission that begins after [`Telemetry::detach`] has
//!   returned calls the handler, and [`Telemetry::detach_wait`] waits for those that began before;
//! - a queued handler runs in order and away from the emitter, and what finds no room in its queue, or nobody to deliver
//!   it, is counted; [`Telemetry::flush`] waits for what was queued;
//! - an event may be [declared](events!): what it says, in which units. Those of the workspace are, in
//!   `docs/events.md`;
//! - a span is closed exactly once, whoever closes it, and is seen from outside while it is open; a life that ends, and
//!   a thread that is nobody's, has its spans closed as aborted;
//! - of all emissions of one name and key within a window exactly one passes, as long as there is a place for the window;
//!   what passes without one is counted, and so is what a window suppresses, which is reported when it is closed;
//! - a sampling does what its name says, is decided before the event is built, and counts; what is added to a batch is
//!   delivered once and in order, or counted; a limiter lets no more through than it says, wherever one looks; what is
//!   measured of events has bounded series.
//!
//! With the feature `legacy`, a universe may still work the old way, in which queued handlers, spans and windows are
//! their thread's alone, until a switch is turned on: `Telemetry::switches`.
//!
//! With the feature `tracing`, bridges to `tracing`, both ways: [`Inward`] and [`Outward`].
//!
//! What it does not: a handler that is detached while an event is on its way may see that one event. Where there is no
//! timekeeper nothing is ever due by itself: what is due is seen to when the next call comes by, and by a flush.
//!
//! ```
//! use foundation_context::fields;
//! use foundation_sync::atomic::{AtomicU64, Ordering};
//! use foundation_telemetry::{EventName, Telemetry, event_name};
//! use std::sync::Arc;
//!
//! const COUNTED: EventName = event_name!("shop", "order", "counted");
//!
//! let telemetry = Telemetry::new();
//! let total = Arc::new(AtomicU64::new(0));
//! let sum = Arc::clone(&total);
//! telemetry.attach("sum", COUNTED, move |event| {
//!     let items = event.measurements.get("items").and_then(|items| items.as_u64());
//!     sum.fetch_add(items.unwrap_or(0), Ordering::Relaxed); // ordering: a count
//! })?;
//!
//! let counted = telemetry.emitter(COUNTED);
//! counted.emit(|| (fields! { items: 3_u64 }, fields! { shop: "Leith" }));
//! assert_eq!(total.load(Ordering::Relaxed), 3);
//! # Ok::<(), foundation_telemetry::AttachError>(())
//! ```

mod attributes;
mod batch;
#[cfg(feature = "tracing")]
mod bridge;
mod cells;
mod dedup;
mod distribution;
mod emitter;
mod event;
mod failed;
mod figures;
mod flush;
mod guard;
mod handlers;
mod later;
mod limiter;
mod metrics;
mod name;
mod open;
mod overflow;
mod own;
mod queued;
mod recorded;
mod sampling;
mod selector;
mod span;
mod spec;
mod tally;
mod telemetry;
mod windows;

pub use attributes::{MOST_ATTRIBUTES, SPAN_ATTRIBUTES, SPAN_EVENT, SPAN_LINK};
pub use batch::{AddError, Batch, BatchFigures, Batching, FlushBatchError, WhenFull};
#[cfg(feature = "tracing")]
pub use bridge::{BRIDGE_TARGET, ConnectError, Inward, Outward};
pub use dedup::DEDUP_CLOSED;
pub use distribution::{Distribution, Quantiles};
pub use emitter::Emitter;
pub use event::Event;
pub use failed::{Failed, MOST_FAILED, ReattachError};
pub use figures::Figures;
pub use flush::FlushError;
pub use guard::SpanGuard;
pub use handlers::{AttachError, DetachError, DetachWaitError, Listed, MOST_HANDLERS};
pub use limiter::{Limited, Limiter, LimiterFigures, Limits, NoRoom};
#[cfg(feature = "metrics")]
pub use metrics::Recording;
pub use metrics::{MOST_SERIES, MeasureError, Metric, Metrics, MetricsSnapshot, Reading, Series};
pub use name::EventName;
pub use open::{MOST_OPEN, OpenSpan, SpanId};
pub use own::{HANDLER_FAILURE, OVERFLOW, TRACING_EVENT};
pub use recorded::Recorded;
pub use sampling::{MOST_SAMPLERS, SampleError, Sampled, Sampling};
pub use selector::{Selector, Selectors};
pub use span::{NotOpenError, SPAN_REFUSED, SPAN_START, SPAN_STOP, Status};
pub use spec::{EventSpec, FieldSpec};
pub use tally::Tally;
#[cfg(feature = "legacy")]
pub use telemetry::Switches;
pub use telemetry::{Builder, Telemetry};
pub use windows::MOST_WINDOWS;

/// The events of this crate, by part.
pub const EVENTS: &[&[EventName]] = &[own::EVENTS, attributes::EVENTS, dedup::EVENTS, span::EVENTS];
