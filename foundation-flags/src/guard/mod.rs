//! What rolls a stage back by itself, and what is watched.

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
