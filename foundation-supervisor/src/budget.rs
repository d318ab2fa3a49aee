//! How often a supervisor may still restart, seen from outside of its crank.

use std::collections::VecDeque;

use foundation_sync::{Mutex, Nanos};

/// Restarts of one supervisor: how many count now, how many may, and when there is one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// The restarts that a supervisor has announced. A report is written before the supervisor hears of the exit: it says what
/// was used before this one.
#[derive(Debug)]
pub(crate) struct Tally {
    allowed: usize,
    period: Nanos,
    /// The oldest first; at most `allowed`, for the next one is the supervisor's end.
    restarts: Mutex<VecDeque<Nanos>>,
}

impl Tally {
    pub(crate) fn new(allowed: usize, period: Nanos) -> Self {
        Self { allowed, period, restarts: Mutex::default() }
    }

    pub(crate) fn restarted(&self, now: Nanos) {
        let mut restarts = self.restarts.lock();
        while restarts.len() >= self.allowed.max(1) || restarts.front().is_some_and(|at| !self.counts(*at, now)) {
            restarts.pop_front();
        }
        restarts.push_back(now);
    }

    pub(crate) fn budget(&self, now: Nanos) -> Budget {
        let restarts = self.restarts.lock();
        let old = restarts.partition_point(|at| !self.counts(*at, now));
        // One that is exactly `period` old still counts.
        let free_at = restarts.get(old).map(|oldest| oldest.saturating_add(self.period).saturating_add(1));
        let frees_in = free_at.map(|at| at.saturating_sub(now));
        Budget { used: restarts.len() - old, allowed: self.allowed, period: self.period, frees_in }
    }

    fn counts(&self, at: Nanos, now: Nanos) -> bool {
        at.saturating_add(self.period) >= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_counts_for_a_period_and_one_that_is_exactly_as_old_still_does() {
        let tally = Tally::new(3, 10);
        assert_eq!(tally.budget(0), Budget { used: 0, allowed: 3, period: 10, frees_in: None });
        tally.restarted(5);
        tally.restarted(8);
        let said = |now| (tally.budget(now).used, tally.budget(now).left(), tally.budget(now).frees_in);
        assert_eq!(said(8), (2, 1, Some(8)));
        assert_eq!(said(15), (2, 1, Some(1)));
        assert_eq!(said(16), (1, 2, Some(3)));
        assert_eq!(said(19), (0, 3, None));
    }

    #[test]
    fn no_more_restarts_are_remembered_than_are_allowed() {
        let tally = Tally::new(2, 1000);
        (0..100).for_each(|now| tally.restarted(now));
        assert_eq!((tally.budget(99).used, tally.restarts.lock().len()), (2, 2));
        Tally::new(0, 1000).restarted(1);
    }
}
