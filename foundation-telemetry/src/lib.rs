//! Events, spans and distributions: telemetry that counts what it drops.
//!
//! What it promises, after BEAM's [telemetry](https://hexdocs.pm/telemetry):
//! - an event has an exact name, measurements and metadata; handlers run on the thread that emits, in no stated order;
//! - when nobody listens an emitter costs one load, and nothing is built;
//! - a handler that panics is detached from all its events, `[telemetry, handler, failure]` is emitted, the other
//!   handlers still run, and whoever emitted never notices;
//! - attaching, detaching and emitting inside a handler work;
//! - a queued handler runs in order and away from the emitter, and what finds no room in its queue, or nobody to deliver
//!   it, is counted;
//! - a span is closed exactly once, whoever closes it, and is seen from outside while it is open; a life that ends has
//!   its spans closed as aborted;
//! - of all emissions of one name and key within a window exactly one passes, as long as there is a place for the window;
//!   what passes without one is counted;
//! - a sampling does what its name says, is decided before the event is built, and counts; what is added to a batch is
//!   delivered once and in order, or counted; a limiter lets no more through than it says, wherever one looks; what is measured
//!   of events has bounded series.
//!
//! With the feature `legacy`, a universe may still work the old way, in which queued handlers, spans and windows are
//! their thread's alone, until a switch is turned on: `Telemetry::switches`.
//!
//! What it does not: a handler that is detached while an event is on its way may see that one event. And a span that was
//! left open on a thread that is nobody's stays open.
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
//! telemetry.attach("sum", &[COUNTED], move |event| {
//!     let items = event.measurements.get("items").and_then(|items| items.as_u64());
//!     sum.fetch_add(items.unwrap_or(0), Ordering::Relaxed); // ordering: a count
//! })?;
//!
//! let counted = telemetry.emitter(COUNTED);
//! counted.emit(|| (fields! { items: 3_u64 }, fields! { shop: "Leith" }));
//! assert_eq!(total.load(Ordering::Relaxed), 3);
//! # Ok::<(), foundation_telemetry::AttachError>(())
//! ```

mod batch;
mod dedup;
mod distribution;
mod emitter;
mod event;
mod handlers;
mod later;
mod limiter;
mod metrics;
mod open;
mod queued;
mod recorded;
mod sampling;
mod span;
mod telemetry;

pub use batch::{AddError, Batch, BatchFigures, Batching, FlushBatchError, WhenFull};
pub use dedup::MOST_WINDOWS;
pub use distribution::{Distribution, Quantiles};
pub use emitter::Emitter;
pub use event::{Event, EventName, HANDLER_FAILURE};
pub use handlers::{AttachError, DetachError, Listed};
pub use limiter::{Limited, Limiter, LimiterFigures, Limits, NoRoom};
#[cfg(feature = "metrics")]
pub use metrics::Recording;
pub use metrics::{MOST_SERIES, MeasureError, Metric, Metrics, MetricsSnapshot, Reading, Series};
pub use open::{MOST_OPEN, OpenSpan, SpanId};
pub use recorded::Recorded;
pub use sampling::{MOST_SAMPLERS, SampleError, Sampled, Sampling};
pub use span::{CloseError, SPAN_START, SPAN_STOP, SpanGuard, Status};
#[cfg(feature = "legacy")]
pub use telemetry::Switches;
pub use telemetry::{Builder, Telemetry};
