//! Restarts counted as OTP counts them.

use std::collections::VecDeque;

use foundation_sync::Nanos;

use super::Intensity;
use crate::Budget;

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

    pub(crate) fn intensity(&self) -> Intensity {
        self.intensity
    }

    /// Counts one more; `false`: that is one too many. One that is exactly as old as the period still counts.
    pub(crate) fn count(&mut self, now: Nanos) -> bool {
        self.restarts.push_front(now);
        while self.restarts.back().is_some_and(|&at| !self.counts(at, now)) {
            self.restarts.pop_back();
        }
        self.restarts.len() <= self.intensity.restarts
    }

    pub(crate) fn budget(&self, now: Nanos) -> Budget {
        let used = self.restarts.partition_point(|&at| self.counts(at, now));
        let Intensity { restarts: allowed, period } = self.intensity;
        let oldest = used.checked_sub(1).and_then(|oldest| self.restarts.get(oldest));
        let frees_in = oldest.map(|at| at.saturating_add(period).saturating_add(1).saturating_sub(now));
        Budget { used, allowed, period, frees_in }
    }

    fn counts(&self, at: Nanos, now: Nanos) -> bool {
        at.saturating_add(self.intensity.period) >= now
    }
}
