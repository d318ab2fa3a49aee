//! Time: who reads it, and until when one waits.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{face::MODEL, stop::Stop};

/// Nanoseconds since the clock was made.
pub type Nanos = u64;

/// One second.
pub const SECOND: Duration = Duration::from_secs(1);
/// Five seconds: OTP's usual patience.
pub const SECONDS_5: Duration = Duration::from_secs(5);
/// One minute.
pub const MINUTE: Duration = Duration::from_secs(60);

/// A monotonic clock. Each universe has its own, and nothing else reads time.
///
/// In a model it stands at 0.
#[derive(Clone)]
pub struct Clock {
    zero: std::time::Instant,
}

impl Clock {
    /// The system's clock, from now on.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn system() -> Self {
        Self { zero: std::time::Instant::now() }
    }

    /// Nanoseconds since the clock was made.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn now(&self) -> Nanos {
        if MODEL { 0 } else { nanos(self.zero.elapsed()) }
    }

    /// The calendar's date and time, for records that people read. It may jump: nothing waits by it. In a model it stands
    /// at 1970.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn date(&self) -> SystemTime {
        if MODEL { SystemTime::UNIX_EPOCH } else { SystemTime::now() }
    }

    /// The deadline that is so far away. One that is more than 584 years away never passes.
    pub fn within(&self, span: Duration) -> Deadline {
        Deadline { clock: Some(self.clone()), at: self.now().saturating_add(nanos(span)) }
    }

    /// The deadline at this time of this clock.
    pub fn at(&self, at: Nanos) -> Deadline {
        Deadline { clock: Some(self.clone()), at }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({} ns)", self.now())
    }
}

fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)
}

/// When waiting ends. Made by a clock ([`Clock::within`]) and passed on to nested calls.
#[derive(Clone, Debug)]
#[must_use]
pub struct Deadline {
    clock: Option<Clock>,
    at: Nanos,
}

impl Deadline {
    /// No deadline: for a program's main thread, which has nothing else to do than to wait for the end.
    pub const fn never() -> Self {
        Self { clock: None, at: Nanos::MAX }
    }

    /// A deadline that has passed: look, do not wait.
    pub const fn now() -> Self {
        Self { clock: None, at: 0 }
    }

    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// How much is left; `None` if it never passes.
    pub fn left(&self) -> Option<Duration> {
        match (self.at, &self.clock) {
            (Nanos::MAX, _) => None,
            (at, Some(clock)) => Some(Duration::from_nanos(at.saturating_sub(clock.now()))),
            (_, None) => Some(Duration::ZERO),
        }
    }
}

/// Until when to wait: a deadline, a worker's stop, or whichever comes first.
#[derive(Clone, Debug)]
#[must_use]
pub struct Until<'a> {
    pub(crate) deadline: Deadline,
    pub(crate) stop: Option<&'a Stop>,
}

impl Deadline {
    /// Until the deadline or the stop, whichever comes first.
    pub fn or_stop(self, stop: &Stop) -> Until<'_> {
        Until { deadline: self, stop: Some(stop) }
    }
}

impl From<&Deadline> for Until<'_> {
    fn from(deadline: &Deadline) -> Self {
        Self { deadline: deadline.clone(), stop: None }
    }
}

impl From<Deadline> for Until<'_> {
    fn from(deadline: Deadline) -> Self {
        Self { deadline, stop: None }
    }
}

impl<'a> From<&'a Stop> for Until<'a> {
    fn from(stop: &'a Stop) -> Self {
        Deadline::never().or_stop(stop)
    }
}
