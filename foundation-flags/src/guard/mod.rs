//! What rolls a stage back by itself, and what is watched.

mod failures;

pub use failures::{Attempt, Attempts, FailureGuard};
