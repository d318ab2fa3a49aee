//! How many calls a universe's servers were asked, and how many of those had no answer.

use foundation_sync::{
    MODEL,
    atomic::{AtomicBool, Ordering},
};
use foundation_telemetry::Tally;

/// The calls of a universe, counted by those that offer them once somebody wants to know: a [part](crate::System::part) of it.
/// Those that failed are in the error rate of a migration whose figures are watched.
///
/// ```
/// use foundation_supervisor::{Calls, Foundation};
///
/// let foundation = Foundation::builder().start();
/// let calls = foundation.system().part::<Calls>();
/// calls.begin();
/// calls.count(false);
/// calls.count(true);
/// assert_eq!((calls.all(), calls.failed()), (2, 1));
/// ```
#[derive(Debug, Default)]
pub struct Calls {
    wanted: AtomicBool,
    all: Tally,
    failed: Tally,
}

impl Calls {
    /// From now on calls are counted. Before that they cost no more than to see that nobody wants to know.
    pub fn begin(&self) {
        self.wanted.store(true, Ordering::Relaxed); // ordering: a wish; a call that does not see it yet is not counted
    }

    /// A call has ended. It has failed where the caller had no answer, whatever an answer says.
    #[inline]
    pub fn count(&self, failed: bool) {
        // No protocol takes part in it: a model would only have more to explore.
        // ordering: as in `begin`
        if MODEL || !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        self.all.add();
        if failed {
            self.failed.add();
        }
    }

    /// How many have ended.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.all.sum()
    }

    /// How many of them failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.sum()
    }
}
