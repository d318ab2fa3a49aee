//! What rolls a stage back by itself, and what is watched.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_sync::payload;

use crate::flags::Inner;

mod failures;
mod judge;
mod monitor;
mod reading;
mod thresholds;

pub use failures::{Attempt, Attempts, FailureGuard};
pub use judge::Verdict;
pub(crate) use monitor::{Monitor, Sources};
pub use reading::Reading;
pub(crate) use reading::Sample;
pub use thresholds::{Level, Threshold, Thresholds, Unit};

/// What the timekeeper held for a moment. If that was the last handle, what users have given to the flags is dropped by the
/// courier: a destructor that takes its time must not keep every timer waiting. Only where the courier has no room, or has
/// ended, it is dropped here.
fn let_go(inner: Arc<Inner>) {
    let errands = inner.errands.clone();
    let Some(last) = Arc::into_inner(inner) else { return };
    if let Err(refused) = errands.send(Box::new(|| drop(last))) {
        catch_unwind(AssertUnwindSafe(|| drop(refused))).unwrap_or_else(payload::forget);
    }
}
