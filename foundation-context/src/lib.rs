//! Who am I and what am I doing: a context that follows the work, across threads, into errors.
//!
//! What it promises:
//! - [`with`] adds fields for the time of a call and puts back what was there before on return, `?` and panic alike;
//!   [`with_only`] has these and no others; [`set`] and [`clear`] hold until the scope that is open ends; a [`scope()`] is a
//!   guard, and guards may be dropped in any order;
//! - [`inherit`] carries the context of the place where a job was made to the place where it runs;
//! - [`InContext::in_context`] gives an error the context it was *born* in, not the one in which it is reported, with the
//!   last [breadcrumbs](breadcrumb()) of the work that failed and [what to do about it](Retry);
//! - [`correlate`] has one id for all that follows from one cause;
//! - a context carries the [span](SpanLink) along that was current where it was taken;
//! - a context holds at most [`MOST_FIELDS`] fields and [`MOST_BYTES`] of names and texts, each name once, however far it
//!   came; what is cut is counted ([`Context::cut`]) and marked where it is printed;
//! - a [`Secret`] reads as `***`, everywhere.
//!
//! With the feature `tracing` there is `WithContext`, which puts the fields on every record of a `tracing-subscriber`'s
//! log, and `check_logging`, which says whether it is in place.
//!
//! What it does not: a thread that was started by hand begins with an empty context; wrap its body in [`inherit`].
//! With the feature `legacy`, a universe may still work the old way, in which a context does not leave its thread: see
//! [`Contexts`] and [`carried`].
//!
//! ```
//! use foundation_context::{self as context, InContext, fields};
//!
//! let parsed = context::with(fields! { request_id: "test-123" }, || {
//!     context::with(fields! { step: "parse" }, || "twelve".parse::<u32>().in_context())
//! });
//! assert_eq!(
//!     parsed.unwrap_err().to_string(),
//!     "invalid digit found in string (request_id: test-123, step: parse)",
//! );
//! ```

#![expect(clippy::disallowed_macros, reason = "the thread's slots, in slot.rs")]

mod context;
mod contexts;
mod correlation;
mod ends;
mod error;
mod fields;
#[cfg(feature = "tracing")]
mod format;
mod gathered;
mod hints;
mod incarnation;
#[doc(hidden)]
pub mod inside;
mod link;
mod scope;
mod slot;
mod stack;
mod trail;
mod value;

pub use context::{Context, carried, current, incarnation, inherit};
pub use contexts::Contexts;
pub use correlation::{CORRELATION_ID, correlate};
pub use error::{Contextual, InContext};
pub use fields::{Field, Fields};
#[cfg(feature = "tracing")]
pub use format::{LoggingError, WithContext, check_logging};
pub use gathered::{MOST_BYTES, MOST_FIELDS};
pub use hints::{Retry, Severity};
pub use incarnation::Incarnation;
pub use link::{SpanLink, TraceId};
pub use scope::{Scope, clear, field, scope, set, with, with_only};
pub use stack::current_span;
pub use trail::{Breadcrumb, MOST_BREADCRUMBS, breadcrumb};
pub use value::{Secret, Value};

/// A thread's open spans, for who keeps them.
#[doc(hidden)]
pub mod span {
    pub use crate::{
        ends::{Keeps, number},
        stack::{Place, push, remove},
    };
}
