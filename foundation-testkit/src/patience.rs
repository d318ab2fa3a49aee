//! How long a test waits, and for what.

use std::{fmt, panic::Location, time::Duration};

use foundation_sync::{Activity, Clock, SECONDS_5};

/// How long a wait may take: five seconds, times `FOUNDATION_PATIENCE`.
///
/// # Panics
/// `FOUNDATION_PATIENCE` is not a positive number.
pub fn patience() -> Duration {
    match std::env::var("FOUNDATION_PATIENCE") {
        Err(_) => SECONDS_5,
        Ok(text) => match text.parse::<f64>() {
            Ok(factor) if factor > 0.0 && factor < 1e6 => SECONDS_5.mul_f64(factor),
            _ => panic!("FOUNDATION_PATIENCE is `{text}`: expected a positive number, such as 3"),
        },
    }
}

/// Whether tests may take long: `cargo xtask ci --deep` says so, with `FOUNDATION_DEEP=1`.
pub fn deep() -> bool {
    std::env::var_os("FOUNDATION_DEEP").is_some_and(|value| value != "0")
}

/// A condition: a flag, or a value that is there or not.
pub trait Fact {
    /// What the wait returns.
    type Value;

    /// The value, once it is so.
    fn value(self) -> Option<Self::Value>;
}

impl Fact for bool {
    type Value = ();

    fn value(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Fact for Option<T> {
    type Value = T;

    fn value(self) -> Option<T> {
        self
    }
}

/// Between two looks at a condition of which nobody sends news.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until the condition is so, looking now and then; after it was so it is not run again.
///
/// A [`TestUniverse`](crate::TestUniverse) waits better: it looks when something has happened.
///
/// # Panics
/// When patience is over.
#[track_caller]
pub fn wait_for<F: Fact>(condition: impl FnMut() -> F) -> F::Value {
    wait(&Activity::default(), patience(), condition, &"")
}

/// Looks each time the activity moves, and now and then, for not every fact of a test moves it.
#[track_caller]
pub(crate) fn wait<F: Fact>(
    activity: &Activity,
    patience: Duration,
    mut condition: impl FnMut() -> F,
    circumstances: &dyn fmt::Display,
) -> F::Value {
    let clock = Clock::system();
    let until = clock.within(patience);
    loop {
        let look_again = clock.within(LOOK_AGAIN.min(until.left().unwrap_or(LOOK_AGAIN)));
        if let Some(value) = activity.wait_for(&look_again, || condition().value()) {
            return value;
        }
        if until.passed() {
            let place = Location::caller();
            panic!("waited {patience:?} at {place}, and it did not come about{circumstances}");
        }
    }
}
