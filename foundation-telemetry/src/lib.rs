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
//! - a span is closed exactly once, whoever closes it, and is seen from outside while it is open; a life that ends, and
//!   a thread that is nobody's, has its spans closed as aborted;
//! - of all emissions of one name and key within a window exactly one passes, as long as there is a place for the window;
//!   what passes without one is counted, and so is what a window suppresses, which is reported when it is closed.
//!
//! With the feature `legacy`, a universe may still work the old way, in which queued handlers, spans and windows are
//! their thread's alone, until a switch is turned on: `Telemetry::switches`.
//!
//! What it does not: a handler that is detached while an event is on its way may see that one event.
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

mod attributes;
mod cells;
mod dedup;
mod distribution;
mod emitter;
mod event;
mod guard;
mod handlers;
mod later;
mod open;
mod queued;
mod recorded;
mod span;
mod telemetry;
mod windows;

pub use attributes::{MOST_ATTRIBUTES, SPAN_ATTRIBUTES, SPAN_EVENT, SPAN_LINK};
pub use dedup::DEDUP_CLOSED;
pub use distribution::{Distribution, Quantiles};
pub use emitter::Emitter;
pub use event::{Event, EventName, HANDLER_FAILURE};
pub use guard::SpanGuard;
pub use handlers::{AttachError, DetachError, Listed};
pub use open::{MOST_OPEN, OpenSpan, SpanId};
pub use recorded::Recorded;
pub use span::{NotOpenError, SPAN_REFUSED, SPAN_START, SPAN_STOP, Status};
#[cfg(feature = "legacy")]
pub use telemetry::Switches;
pub use telemetry::{Builder, Telemetry};
pub use windows::MOST_WINDOWS;
