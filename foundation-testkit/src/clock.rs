//! A universe's clock, in the hands of its test.

use std::{fmt, ops::Deref, time::Duration};

use foundation_sync::Clock;

/// The clock of a [`TestUniverse`](crate::TestUniverse). Dereferences to its [`Clock`].
#[derive(Clone)]
pub struct TestClock(Clock);

impl TestClock {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self(clock.clone())
    }

    /// Lets so much of the universe's time pass, and returns when all that became due within it is done, with what was set
    /// meanwhile, and every thread of the universe waits again. A span of zero only waits for that.
    ///
    /// # Panics
    /// The universe's time is real; a thread did not come to wait within the test's patience, which is real, and is named;
    /// a thread of the universe asks.
    #[track_caller]
    pub fn advance(&self, span: Duration) {
        let Some(time) = self.0.virtual_time() else {
            panic!(
                "this universe's time is real and can't be advanced: make it with `TestUniverse::with_virtual_time()`"
            );
        };
        if let Err(error) = time.advance(span) {
            panic!("the time can't be advanced by {span:?}: {error}");
        }
    }
}

impl Deref for TestClock {
    type Target = Clock;

    fn deref(&self) -> &Clock {
        &self.0
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
