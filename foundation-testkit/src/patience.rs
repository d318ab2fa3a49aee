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

/// A condition: a flag, a value that is there or not, or a value or what there is instead.
///
/// `Result` says most when patience is over: the last error is shown.
pub trait Fact {
    /// What the wait returns.
    type Value;

    /// The value, once it is so.
    ///
    /// # Errors
    /// What there is instead, for whoever waits in vain.
    fn value(self) -> Result<Self::Value, String>;
}

impl Fact for bool {
    type Value = ();

    fn value(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".to_owned()) }
    }
}

impl<T> Fact for Option<T> {
    type Value = T;

    fn value(self) -> Result<T, String> {
        self.ok_or_else(|| "None".to_owned())
    }
}

impl<T, E: fmt::Debug> Fact for Result<T, E> {
    type Value = T;

    fn value(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Between the first two looks at a condition of which nobody sends news; each further time is twice as long, up to
/// [`LATER`].
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(32);

/// Waits until the condition is so, looking now and then, less and less often; after it was so it is not run again.
///
/// A [`TestUniverse`](crate::TestUniverse) waits better: it looks when something has happened.
///
/// # Panics
/// When patience is over: with what was waited for, where, how long, and what there was instead.
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
    let (mut pause, mut instead) = (SOON, String::new());
    loop {
        let look_again = clock.within(until.left().map_or(pause, |left| left.min(pause)));
        let looked = activity.wait_for(&look_again, || condition().value().map_err(|last| instead = last).ok());
        if let Some(value) = looked {
            return value;
        }
        pause = LATER.min(2 * pause);
        if until.passed() {
            let place = Location::caller();
            let what = source(place).map(|line| format!(" for `{line}`")).unwrap_or_default();
            panic!(
                "waited {patience:?} at {place}{what}, and it did not come about; the last value was {instead}{circumstances}"
            );
        }
    }
}

/// The line of code at this place, if its file can be read: tests run in their package's folder or above it.
fn source(place: &Location<'_>) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let text = here.ancestors().find_map(|folder| std::fs::read_to_string(folder.join(place.file())).ok())?;
    let line = text.lines().nth(usize::try_from(place.line()).ok()?.checked_sub(1)?)?;
    Some(line.trim().trim_end_matches(';').to_owned())
}
