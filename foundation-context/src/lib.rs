//! Who am I and what am I doing: a context that follows the work, across threads, into errors.
//!
//! What it promises:
//! - [`with`] adds fields for the time of a call and puts back what was there before on return, `?` and panic alike;
//! - [`inherit`] carries the context of the place where a job was made to the place where it runs;
//! - [`InContext::in_context`] gives an error the context it was *born* in, not the one in which it is reported;
//! - a context holds at most [`MOST_FIELDS`] fields; what is cut is counted ([`Context::cut`]).
//!
//! What it does not: a thread that was started by hand begins with an empty context; wrap its body in [`inherit`].
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

#![expect(clippy::disallowed_macros, reason = "the thread's context slot, in context.rs")]

mod context;
mod error;
mod incarnation;
mod value;

pub use context::{Context, MOST_FIELDS, bind, current, incarnation, inherit, with};
pub use error::{Contextual, InContext};
pub use incarnation::Incarnation;
pub use value::{Field, Fields, Value};
