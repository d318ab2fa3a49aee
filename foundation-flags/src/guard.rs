//! A guard: it rolls a stage back when too many attempts fail.
//!
//! # Protocol
//! Attempts are counted in one word: all of them in its lower half, those that failed in its upper one. The first one of
//! a window opens it: a timer is set. When it is due the word is taken, and the courier judges it. Nothing is counted while
//! the plan's monitoring flag is off.
//!
//! Named race:
//! - *window across stages*: the stage changes while a window is open. It is not judged: its attempts are of two stages.
//!   The judge also compares once more where it rolls back, so that a guard never rolls back a stage that it has not
//!   judged.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use foundation_sync::{
    Agenda, MINUTE, Nanos, Serial, Switch, Timekeeper, Turn,
    atomic::{AtomicU64, Ordering},
};

use crate::{ChangeError, flags::Inner};

/// Rolls back to the stage before when more than a share of the attempts of one window failed.
#[derive(Clone, Debug)]
#[must_use = "a guard watches nothing until it is given to flags"]
pub struct FailureGuard {
    pub(crate) name: &'static str,
    pub(crate) share: f64,
    pub(crate) window: Duration,
    pub(crate) at_least: u32,
}

impl FailureGuard {
    /// Trips above this share, from 0 to 1, of the attempts of one minute, and not below 100 attempts.
    pub const fn above(name: &'static str, share: f64) -> Self {
        Self { name, share, window: MINUTE, at_least: 100 }
    }

    /// How long a window is.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// A window of fewer attempts is not judged. 0 counts as 1.
    pub const fn at_least(mut self, attempts: u32) -> Self {
        self.at_least = attempts;
        self
    }

    /// Why it trips, if it does.
    fn judge(&self, Counted { all, failed }: Counted) -> Option<String> {
        let trips = all >= self.at_least.max(1) && f64::from(failed) > self.share * f64::from(all);
        trips.then(|| {
            let (share, limit) = (100.0 * f64::from(failed) / f64::from(all), 100.0 * self.share);
            format!("{failed} of {all} attempts in {:?} failed: {share:.1} %, more than {limit:.1} %", self.window)
        })
    }
}

/// What one window held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    all: u32,
    failed: u32,
}

impl Counted {
    fn of(word: u64) -> Self {
        Self { all: word as u32, failed: (word >> 32) as u32 }
    }
}

/// Where attempts are counted. A clone is another handle.
#[derive(Clone)]
pub struct Attempts(Arc<Counts>);

struct Counts {
    word: AtomicU64,
    monitoring: Option<Switch>,
    window: Serial<Watch>,
}

impl Attempts {
    pub(crate) fn new(
        guard: FailureGuard,
        monitoring: Option<Switch>,
        flags: &Weak<Inner>,
        keeper: &Timekeeper,
    ) -> Self {
        let watch = Watch { guard, flags: Weak::clone(flags), keeper: keeper.clone(), stage: None };
        Self(Arc::new(Counts { word: AtomicU64::new(0), monitoring, window: Serial::new(watch, keeper) }))
    }

    /// An attempt that went well.
    pub fn succeeded(&self) {
        self.count(1);
    }

    /// An attempt that failed.
    pub fn failed(&self) {
        self.count((1 << 32) + 1);
    }

    fn count(&self, one: u64) {
        if self.0.monitoring.as_ref().is_some_and(|monitoring| !monitoring.is_on()) {
            return;
        }
        // ordering: Relaxed, a count by itself; the window's serial has a lock of its own.
        if self.0.word.fetch_add(one, Ordering::Relaxed) == 0 {
            self.0.window.push(News::Opened);
        }
    }

    fn take(&self) -> Counted {
        Counted::of(self.0.word.swap(0, Ordering::Relaxed)) // ordering: a count by itself
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Counted::of(self.0.word.load(Ordering::Relaxed)).fmt(f) // ordering: a count by itself
    }
}

enum News {
    Opened,
    Due,
}

/// Opens windows and closes them.
struct Watch {
    guard: FailureGuard,
    flags: Weak<Inner>,
    keeper: Timekeeper,
    /// The decision that led to the stage at which the window was opened.
    stage: Option<u64>,
}

impl Turn for Watch {
    type Event = News;

    fn turn(&mut self, me: &Serial<Self>, news: News, _: &mut Agenda) {
        let Some(flags) = self.flags.upgrade() else { return };
        match news {
            News::Opened => {
                self.stage = Some(flags.state.load().staged);
                let window = Nanos::try_from(self.guard.window.as_nanos()).unwrap_or(Nanos::MAX);
                self.keeper.set(self.keeper.clock().now().saturating_add(window), me, News::Due);
            }
            News::Due => {
                let counted = flags.attempts.as_ref().map(Attempts::take);
                if let (Some(counted), Some(stage)) = (counted, self.stage.take())
                    && let Some(why) = self.guard.judge(counted)
                {
                    let (name, judges) = (self.guard.name, Arc::clone(&flags));
                    // If nobody takes it the universe has ended, and there is nothing to roll back.
                    _ = flags.errands.send(Box::new(move || judges.tripped(name, &why, stage)));
                }
            }
        }
    }

    /// The next window starts anew.
    fn broken(&mut self, _: &Serial<Self>, _: Box<dyn Any + Send>, _: &mut Agenda) {
        self.stage = None;
    }
}

impl Inner {
    /// Race "window across stages".
    fn tripped(self: &Arc<Self>, guard: &str, why: &str, stage: u64) {
        let who = self.who(&format!("guard {guard}"), why);
        // Refused where the stage is another one by now, or 0.
        _ = self.go_back(|state| match state.staged == stage {
            true => state.rolled_back(&self.shape, state.stage.saturating_sub(1), &who),
            false => Err(ChangeError::NotBelow { asked: state.stage, now: state.stage }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_trips_above_its_share_and_not_below_its_least_number() {
        let guard = FailureGuard::above("errors", 0.25).window(MINUTE).at_least(100);
        let trips = |all, failed| guard.judge(Counted { all, failed }).is_some();
        let table = [(100, 25, false), (100, 26, true), (99, 99, false), (1_000, 251, true), (0, 0, false)];
        for (all, failed, expected) in table {
            assert_eq!(trips(all, failed), expected, "{failed} of {all}");
        }
        let why = guard.judge(Counted { all: 100, failed: 26 }).expect("it trips");
        assert_eq!(why, "26 of 100 attempts in 60s failed: 26.0 %, more than 25.0 %");
        let always = FailureGuard::above("errors", 0.0).at_least(0);
        assert!(always.judge(Counted { all: 0, failed: 0 }).is_none());
        assert!(always.judge(Counted { all: 1, failed: 1 }).is_some());
    }
}
