//! Restarts counted as OTP counts them.

use std::collections::VecDeque;

use foundation_sync::Nanos;

use super::Intensity;

/// The restarts that still count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    intensity: Intensity,
    /// The latest first; at most one more than is allowed.
    restarts: VecDeque<Nanos>,
}

impl Window {
    pub(crate) fn new(intensity: Intensity) -> Self {
        Self { intensity, restarts: VecDeque::new() }
    }

    /// Counts one more; `false`: that is one too many. One that is exactly as old as the period still counts.
    pub(crate) fn count(&mut self, now: Nanos) -> bool {
        self.restarts.push_front(now);
        while self.restarts.back().is_some_and(|&at| !self.counts(at, now)) {
            self.restarts.pop_back();
        }
        self.restarts.len() <= self.intensity.restarts
    }

    /// How many count at this time, and how many may.
    pub(crate) fn used(&self, now: Nanos) -> (usize, usize) {
        (self.restarts.iter().take_while(|&&at| self.counts(at, now)).count(), self.intensity.restarts)
    }

    fn counts(&self, at: Nanos, now: Nanos) -> bool {
        at.saturating_add(self.intensity.period) >= now
    }
}
