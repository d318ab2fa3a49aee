//! What a panic leaves behind: a value that may be a user's.

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Drops it. If that panics, too, what it panics with is kept for good: it might do so again.
pub fn forget(payload: Box<dyn Any + Send>) {
    catch_unwind(AssertUnwindSafe(|| drop(payload))).unwrap_or_else(mem::forget);
}

/// What it says, as far as it is text.
pub fn text(payload: &(dyn Any + Send)) -> Arc<str> {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => Arc::from(*text),
        (None, Some(text)) => Arc::from(text.as_str()),
        (None, None) => Arc::from("a panic whose payload is no text"),
    }
}
