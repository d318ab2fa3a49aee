//! How often a flag was read that is not declared.

use foundation_sync::{
    MODEL,
    atomic::{AtomicU64, Ordering},
    stripe,
};

/// A model has no use for more.
const STRIPES: usize = if MODEL { 1 } else { 8 };

/// Counted without waiting and without allocating, and away from what reads of declared flags look at.
#[derive(Default)]
pub(crate) struct Undeclared(Box<[Line; STRIPES]>);

/// In a line of its own, so that threads do not write what others do.
#[derive(Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Undeclared {
    #[cold]
    pub(crate) fn count(&self) {
        self.0[stripe() % self.0.len()].0.fetch_add(1, Ordering::Relaxed); // ordering: a count
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).sum() // ordering: a count
    }
}
