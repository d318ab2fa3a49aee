//! Restarts that wait.

use std::time::Duration;

use crate::{core::Delays, spec::nanos};

/// How long restarts wait: the first of a row a little, each further one twice as long, up to a most.
///
/// A row ends when the child has run for as long as its longest wait. OTP has no such thing: its restarts are made at
/// once, and a child whose start fails again and again soon ends its supervisor. With a backoff a child may wait for the
/// world outside to get well, while [`Phase::BackingOff`](crate::Phase::BackingOff) shows it to whoever looks and
/// [`Tree::skip_backoff`](crate::Tree::skip_backoff) restarts it now. Each restart counts against the intensity all the
/// same, when it is decided on.
///
/// ```
/// use foundation_supervisor::{Backoff, ChildSpec};
/// use std::time::Duration;
///
/// let spec = ChildSpec::worker("client", |_life| Ok(()))
///     .backoff(Backoff::exponential(Duration::from_millis(100), Duration::from_secs(30)));
/// # _ = spec;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a backoff does nothing until a spec has it"]
pub struct Backoff(Delays);

impl Backoff {
    /// Waits `first`, then twice as long each time, `most` at most, with a jitter of 20 percent.
    pub fn exponential(first: Duration, most: Duration) -> Self {
        Self(Delays { first: nanos(first), most: nanos(most), jitter: 20 })
    }

    /// Waits so long each time, with a jitter of 20 percent.
    pub fn constant(delay: Duration) -> Self {
        Self::exponential(delay, delay)
    }

    /// Takes up to this many percent off each wait, by chance, so that many children that went together do not come back
    /// together. More than 100 is 100.
    pub fn jitter(mut self, percent: u8) -> Self {
        self.0.jitter = percent.min(100);
        self
    }

    /// How long to wait after so many in a row, 0 for the first: for what is tried again, and is no child. `chance` is a
    /// number that differs each time; the same one makes the same wait.
    ///
    /// ```
    /// use foundation_supervisor::Backoff;
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(5)).jitter(0);
    /// assert_eq!([0, 1, 2, 3].map(|row| backoff.wait(row, 17).as_secs()), [1, 2, 4, 5]);
    /// ```
    #[must_use]
    pub fn wait(&self, row: u32, chance: u64) -> Duration {
        Duration::from_nanos(self.0.in_a_row(row, chance))
    }

    pub(crate) fn delays(&self) -> Delays {
        self.0
    }
}
