//! Who am I and what am I doing: a context that follows the work, across threads, into errors.
//!
//! What it promises:
//! - [`with`] adds fields for the time of a call and puts back what was there before on return, `?` and panic alike;
//! - [`inherit`] carries the context of the place where a job was made to the place where it runs;
//! - [`InContext::in_context`] gives an error the context it was *born* in, not the one in which it is reported;
//! - a context carries the [span](SpanLink) along that was current where it was taken;
//! - a context holds at most [`MOST_FIELDS`] fields; what is cut is counted ([`Context::cut`]).
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
mod ends;
mod error;
mod incarnation;
mod link;
mod slot;
mod stack;
mod value;

pub use context::{Context, MOST_FIELDS, carried, current, incarnation, inherit, with};
pub use contexts::Contexts;
pub use error::{Contextual, InContext};
pub use incarnation::Incarnation;
pub use link::{SpanLink, TraceId};
pub use stack::current_span;
pub use value::{Field, Fields, Value};

/// A thread's open spans, for who keeps them.
#[doc(hidden)]
pub mod span {
    pub use crate::{
        ends::{Keeps, number},
        stack::{Place, push, remove},
    };
}
