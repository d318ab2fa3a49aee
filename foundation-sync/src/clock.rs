//! Time: who reads it, and until when one waits.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{Enrolment, VirtualTime, face::MODEL, stop::Stop, virtual_time::Enrolled};

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
/// It is the system's, which stands at 0 in a model, or a test's own ([`VirtualTime`]).
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    /// Its zero.
    System(std::time::Instant),
    Virtual(VirtualTime),
}

/// The date at which virtual time begins: 1 January 2000.
const VIRTUAL_ZERO: Duration = Duration::from_secs(946_684_800);

impl Clock {
    /// The system's clock, from now on.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn system() -> Self {
        Self(Kind::System(std::time::Instant::now()))
    }

    pub(crate) fn of(time: VirtualTime) -> Self {
        Self(Kind::Virtual(time))
    }

    /// The virtual time whose clock this is, if it is one's.
    pub fn virtual_time(&self) -> Option<&VirtualTime> {
        match &self.0 {
            Kind::System(_) => None,
            Kind::Virtual(time) => Some(time),
        }
    }

    /// Makes `body` that of a thread of this clock's time: virtual time goes on only while it waits. By the system's clock
    /// nothing changes.
    ///
    /// It counts as running from this call on, until it has returned or was dropped, so time can't pass over a thread
    /// that is about to start. `name` is what it is called where it does not wait.
    pub fn enrol<R, F: FnOnce() -> R>(&self, name: &str, body: F) -> impl FnOnce() -> R + use<R, F> {
        let enrolment = self.enrolment(name);
        move || {
            let _entered = enrolment.take();
            body()
        }
    }

    /// The same for a thread that is to be of this time for longer than a body runs.
    pub fn enrolment(&self, name: &str) -> Enrolment {
        Enrolment(self.virtual_time().map(|time| Enrolled::new(time, name)))
    }

    /// Nanoseconds since the clock was made.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Kind::System(_) if MODEL => 0,
            Kind::System(zero) => nanos(zero.elapsed()),
            Kind::Virtual(time) => time.now(),
        }
    }

    /// How long after `before`, a moment of another clock, `at` was, one of this clock; nothing where it was earlier. `None`
    /// where the two can't be compared: one of them is a test's own.
    pub fn since(&self, at: Nanos, other: &Self, before: Nanos) -> Option<Nanos> {
        match (&self.0, &other.0) {
            (Kind::System(_), Kind::System(_)) if MODEL => Some(0),
            (Kind::System(zero), Kind::System(others)) => {
                let [at, before] =
                    [(zero, at), (others, before)].map(|(zero, at)| zero.checked_add(Duration::from_nanos(at)));
                Some(nanos(at?.saturating_duration_since(before?)))
            }
            (Kind::Virtual(time), Kind::Virtual(others)) if time.is(others) => Some(at.saturating_sub(before)),
            _ => None,
        }
    }

    /// The calendar's date and time, for records that people read. It may jump: nothing waits by it. Virtual time begins
    /// with the year 2000; in a model the system's stands at 1970.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn date(&self) -> SystemTime {
        match &self.0 {
            Kind::System(_) if MODEL => SystemTime::UNIX_EPOCH,
            Kind::System(_) => SystemTime::now(),
            Kind::Virtual(time) => SystemTime::UNIX_EPOCH + VIRTUAL_ZERO + Duration::from_nanos(time.now()),
        }
    }

    /// The deadline that is so far away. One that is further away than the clock can tell never passes.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn within(&self, span: Duration) -> Deadline {
        Deadline(match &self.0 {
            Kind::System(_) if MODEL => End::standing(span.is_zero()),
            Kind::System(_) => End::at(std::time::Instant::now().checked_add(span)),
            Kind::Virtual(time) => End::virtual_at(time, time.now().saturating_add(nanos(span))),
        })
    }

    /// The deadline at this time of this clock. One in the past has passed: whoever waits until it looks once.
    pub fn at(&self, at: Nanos) -> Deadline {
        Deadline(match &self.0 {
            Kind::System(_) if MODEL => End::standing(at == 0),
            Kind::System(zero) => End::at(zero.checked_add(Duration::from_nanos(at))),
            Kind::Virtual(time) => End::virtual_at(time, at),
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.virtual_time().is_some() { "virtual, " } else { "" };
        write!(f, "Clock({kind}{} ns)", self.now())
    }
}

pub(crate) fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)
}

/// When waiting ends. Made by a clock ([`Clock::within`]) and passed on to nested calls.
#[derive(Clone)]
#[must_use]
pub struct Deadline(End);

#[derive(Clone)]
pub(crate) enum End {
    Never,
    Passed,
    System(std::time::Instant),
    Virtual(VirtualTime, Nanos),
}

impl End {
    /// By a clock that stands: it has passed, or never does.
    fn standing(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Never }
    }

    fn at(at: Option<std::time::Instant>) -> Self {
        at.map_or(Self::Never, Self::System)
    }

    fn virtual_at(time: &VirtualTime, at: Nanos) -> Self {
        if at == Nanos::MAX { Self::Never } else { Self::Virtual(time.clone(), at) }
    }
}

impl Deadline {
    /// No deadline: for a program's main thread, which has nothing else to do than to wait for the end.
    pub const fn never() -> Self {
        Self(End::Never)
    }

    /// A deadline that has passed: look, do not wait.
    pub const fn now() -> Self {
        Self(End::Passed)
    }

    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// How much is left; `None` if it never passes.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn left(&self) -> Option<Duration> {
        match &self.0 {
            End::Never => None,
            End::Passed => Some(Duration::ZERO),
            End::System(at) => Some(at.saturating_duration_since(std::time::Instant::now())),
            End::Virtual(time, at) => Some(Duration::from_nanos(at.saturating_sub(time.now()))),
        }
    }

    /// Which of two passes first; `None` if they go by different clocks.
    pub(crate) fn first<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        let other_first = match (&self.0, &other.0) {
            (_, End::Never) | (End::Passed, _) => false,
            (End::Never, _) | (_, End::Passed) => true,
            (End::System(at), End::System(other)) => other < at,
            (End::Virtual(time, at), End::Virtual(others, other)) if time.is(others) => other < at,
            _ => return None,
        };
        Some(if other_first { other } else { self })
    }

    #[inline]
    pub(crate) fn end(&self) -> &End {
        &self.0
    }

    /// The virtual time by which it passes, and when.
    #[inline]
    pub(crate) fn virtual_time(&self) -> Option<(&VirtualTime, Nanos)> {
        match &self.0 {
            End::Virtual(time, at) => Some((time, *at)),
            _ => None,
        }
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left() {
            None => f.write_str("Deadline(never)"),
            Some(left) => write!(f, "Deadline(in {left:?})"),
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

impl<'a> Until<'a> {
    /// The deadline; one that never passes, if there is none.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// The stop, if it ends the wait. Who waits on a condition variable of its own [watches](Stop::watch) it.
    pub fn stop(&self) -> Option<&'a Stop> {
        self.stop
    }
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

impl<'a> From<&Until<'a>> for Until<'a> {
    fn from(until: &Until<'a>) -> Self {
        until.clone()
    }
}

impl<'a> From<&'a Stop> for Until<'a> {
    fn from(stop: &'a Stop) -> Self {
        Deadline::never().or_stop(stop)
    }
}
