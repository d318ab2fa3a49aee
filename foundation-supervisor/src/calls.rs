//! How many calls a universe's servers were asked, and how many of those had no answer.

use foundation_sync::MODEL;
use foundation_telemetry::Tally;

/// The calls of a universe, counted by those that offer them: a [part](crate::System::part) of it. Those that failed are in
/// the [error rate](crate::Builder::thresholds) of a migration.
///
/// ```
/// use foundation_supervisor::{Calls, Foundation};
///
/// let foundation = Foundation::builder().start();
/// let calls = foundation.system().part::<Calls>();
/// calls.count(false);
/// calls.count(true);
/// assert_eq!((calls.all(), calls.failed()), (2, 1));
/// ```
#[derive(Debug, Default)]
pub struct Calls {
    all: Tally,
    failed: Tally,
}

impl Calls {
    /// A call has ended. It has failed where the caller had no answer, whatever an answer says.
    #[inline]
    pub fn count(&self, failed: bool) {
        // No protocol takes part in it: a model would only have more to explore.
        if MODEL {
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
