//! Waiting for nothing but time.

use std::time::Duration;

use foundation_sync::{Clock, Full, Nanos, Queue, RecvError, Until};

/// How long what was tried in vain rests at least before it is tried again, in nanoseconds: or whoever tries would do
/// nothing else.
pub(crate) const LEAST_WAIT: Nanos = 1_000_000;

/// So soon, or when its time is over, if that is earlier.
pub(crate) fn sooner<'a>(clock: &Clock, span: Duration, until: &Until<'a>) -> Until<'a> {
    let end = clock.within(until.deadline().left().map_or(span, |left| left.min(span)));
    match until.stop() {
        Some(stop) => end.or_stop(stop),
        None => end.into(),
    }
}

/// Lets this span pass, or what is left of the time: whether that is over, or the stop was told.
#[track_caller]
pub(crate) fn rest(clock: &Clock, span: Duration, until: &Until<'_>) -> RecvError {
    let nothing = Queue::<()>::bounded(1, Full::Refuse);
    nothing.recv(sooner(clock, span, until)).err().unwrap_or(RecvError::TimedOut)
}
