//! One id for all that follows from one cause.

use std::hash::{BuildHasher, RandomState};

use crate::{Value, field, fields, with};

/// The field that says it.
pub const CORRELATION_ID: &str = "correlation_id";

/// Runs `work` with the correlation id of the context, or with a new one, of 32 hexadecimal digits, if it has none. It is
/// a field like any other, `correlation_id`, so it goes wherever the context goes.
///
/// ```
/// use foundation_context as context;
///
/// let id = || context::current().correlation().map(ToString::to_string);
/// let (outer, inner) = context::correlate(|| (id(), context::correlate(id)));
/// assert!(outer.is_some() && outer == inner);
/// assert_eq!(id(), None);
/// ```
pub fn correlate<R>(work: impl FnOnce() -> R) -> R {
    match field(CORRELATION_ID) {
        Some(_) => work(),
        None => with(fields! { correlation_id: fresh() }, work),
    }
}

fn fresh() -> Value {
    // The hasher's keys are random, and others each time.
    let random = RandomState::new();
    let [high, low] = [0, 1].map(|half: u8| random.hash_one(half));
    format!("{high:016x}{low:016x}").into()
}
