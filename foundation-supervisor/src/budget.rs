//! How often a supervisor may still restart, seen from outside of its crank.

use foundation_sync::Nanos;

/// Restarts of one supervisor: how many count now, how many may, and when there is one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// How many count against the intensity at the moment.
    pub used: usize,
    /// The intensity: how many are allowed within the period.
    pub allowed: usize,
    /// The period, in nanoseconds.
    pub period: Nanos,
    /// Nanoseconds until the oldest of them counts no more; `None` while none does.
    pub frees_in: Option<Nanos>,
}

impl Budget {
    /// How many more are allowed now.
    pub fn left(&self) -> usize {
        self.allowed.saturating_sub(self.used)
    }
}
