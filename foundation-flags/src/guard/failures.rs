//! A guard: it rolls a stage back when too many attempts fail.
//!
//! # Protocol
//! An attempt remembers the *footing* on which it began: the last decision about the plan's flags. It is counted when it
//! ends, in the window of that footing; one that began before the window's is not counted at all. The first attempt of a
//! window sets a timer. When that is due the window is closed and judged, and the stage is rolled back where its footing is
//! still the present one. So a guard never rolls back a stage for what happened at another.
//!
//! The timekeeper judges: that is a division and a compare-and-swap, no user's code, so no queue that is full and no
//! handler that hangs delays a rollback. What users hear of it comes from the courier; if the courier has no room for
//! that, it is offered again.
//!
//! Named race:
//! - *attempt across stages*: the stage changes while attempts are under way, or before the timer is due. Attempts of
//!   before are of another footing, and so is the window that they would be counted in.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use foundation_sync::{
    Agenda, MINUTE, Mutex, Nanos, SECOND, Serial, Switch, Timekeeper, Turn,
    atomic::{AtomicU64, Ordering},
    planted, reached,
};

use super::let_go;
use crate::flags::Inner;

/// Rolls back to the stage before when more than a share of the attempts of one window failed.
///
/// What is held, or a stage that changes, starts a new window: attempts that began before are not counted in it.
#[derive(Clone, Debug)]
#[must_use = "a guard watches nothing until it is given to flags"]
pub struct FailureGuard {
    name: &'static str,
    share: f64,
    window: Duration,
    at_least: u64,
}

impl FailureGuard {
    /// Trips above this share, from 0 to 1, of the attempts of one minute, and not below 100 attempts.
    pub const fn above(name: &'static str, share: f64) -> Self {
        Self { name, share, window: MINUTE, at_least: 100 }
    }

    /// How long a window is. It begins with the first attempt that ends.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// A window of fewer attempts is not judged. 0 counts as 1.
    pub const fn at_least(mut self, attempts: u64) -> Self {
        self.at_least = attempts;
        self
    }

    /// Why it trips, if it does.
    fn judge(&self, all: u64, failed: u64, took: Duration) -> Option<String> {
        let trips = all >= self.at_least.max(1) && failed as f64 > self.share * all as f64;
        trips.then(|| {
            let (share, limit) = (100.0 * failed as f64 / all as f64, 100.0 * self.share);
            format!("{failed} of {all} attempts in {took:.1?} failed: {share:.1} %, more than {limit:.1} %")
        })
    }
}

/// Where attempts are counted. A clone is another handle.
#[derive(Clone)]
pub struct Attempts(Arc<Counts>);

struct Counts {
    /// The present footing; pushed as switches are.
    footing: AtomicU64,
    monitoring: Option<Switch>,
    /// A window that is open for longer has lost its timer.
    overdue: Nanos,
    window: Mutex<Window>,
    watch: Serial<Watch>,
    keeper: Timekeeper,
}

#[derive(Default)]
struct Window {
    footing: u64,
    opened: Nanos,
    all: u64,
    failed: u64,
}

impl Attempts {
    pub(crate) fn new(
        guard: FailureGuard,
        monitoring: Option<Switch>,
        flags: &Weak<Inner>,
        keeper: &Timekeeper,
    ) -> Self {
        let span = Nanos::try_from(guard.window.as_nanos()).unwrap_or(Nanos::MAX);
        let watch = Watch { guard, flags: Weak::clone(flags), keeper: keeper.clone(), offers_again: false };
        Self(Arc::new(Counts {
            overdue: span.saturating_mul(2),
            footing: AtomicU64::new(0),
            monitoring,
            window: Mutex::default(),
            watch: Serial::new(watch, keeper),
            keeper: keeper.clone(),
        }))
    }

    /// An attempt begins. It counts as failed unless it is said to have [succeeded](Attempt::succeeded) before it ends.
    pub fn begin(&self) -> Attempt {
        let monitored = self.0.monitoring.as_ref().is_none_or(Switch::is_on);
        // ordering: Acquire, pairs with the Release in `stand_on`; an old value costs one attempt that is not counted.
        let footing = monitored.then(|| self.0.footing.load(Ordering::Acquire));
        Attempt { attempts: self.clone(), footing, failed: true }
    }

    /// The present footing. In whatever order they arrive, the latest stands.
    pub(crate) fn stand_on(&self, footing: u64) {
        self.0.footing.fetch_max(footing, Ordering::Release); // ordering: Release, pairs with the Acquire in `begin`
    }

    fn count(&self, footing: u64, failed: bool) {
        let now = self.0.keeper.clock().now();
        let (first, overdue) = {
            let mut window = self.0.window.lock();
            if footing < window.footing {
                reached!("guard: an attempt of another stage");
                return;
            }
            if footing > window.footing {
                *window = Window { footing, ..Window::default() };
            }
            let first = window.all == 0;
            if first {
                window.opened = now;
            }
            window.all += 1;
            window.failed += u64::from(failed);
            (first, now.saturating_sub(window.opened) > self.0.overdue)
        };
        if first {
            self.0.watch.push(News::Opened(footing));
        } else if overdue {
            // No thread could be started for the timekeeper, or a turn broke.
            self.0.watch.push(News::Due(footing));
        }
    }

    /// Closes the window of this footing: how many attempts there were, how many of them failed, and how long it was open.
    fn close(&self, footing: u64, now: Nanos) -> Option<(u64, u64, Duration)> {
        let mut window = self.0.window.lock();
        if window.footing != footing {
            reached!("guard: the window of another stage was due");
            return None;
        }
        let Window { all, failed, opened, .. } =
            std::mem::replace(&mut *window, Window { footing, ..Window::default() });
        Some((all, failed, Duration::from_nanos(now.saturating_sub(opened))))
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failed) = {
            let window = self.0.window.lock();
            (window.all, window.failed)
        };
        write!(f, "Attempts({failed} of {all} failed)")
    }
}

/// An attempt, counted when it is dropped: as failed, unless it was said to have succeeded.
#[must_use = "dropped, it counts as failed"]
pub struct Attempt {
    attempts: Attempts,
    /// On which it began; `None` while nothing is monitored.
    footing: Option<u64>,
    failed: bool,
}

impl Attempt {
    /// It went well, and ends here.
    pub fn succeeded(mut self) {
        self.failed = false;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(footing) = self.footing {
            self.attempts.count(footing, self.failed);
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt")
    }
}

enum News {
    Opened(u64),
    Due(u64),
    /// What the courier had no room for is offered again.
    Again,
}

/// Closes windows and judges them.
struct Watch {
    guard: FailureGuard,
    flags: Weak<Inner>,
    keeper: Timekeeper,
    /// Whether a timer is set for what the courier had no room for.
    offers_again: bool,
}

impl Watch {
    fn after(&self, span: Duration, me: &Serial<Self>, news: News) {
        let span = Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX);
        self.keeper.set(self.keeper.clock().now().saturating_add(span), me, news);
    }

    fn offer_again(&mut self, me: &Serial<Self>) {
        if !std::mem::replace(&mut self.offers_again, true) {
            self.after(SECOND, me, News::Again);
        }
    }

    /// Race "attempt across stages". `false`: the courier had no room for what follows.
    fn judge(&self, flags: &Arc<Inner>, footing: u64) -> bool {
        let closed = flags.attempts.as_ref().and_then(|attempts| attempts.close(footing, self.keeper.clock().now()));
        let Some(why) = closed.and_then(|(all, failed, took)| self.guard.judge(all, failed, took)) else { return true };
        let by = format!("guard {}", self.guard.name);
        let rolled_back = flags.publish_back((&by, &why), |state, who| {
            if state.footing != footing && !planted!("guard: judges a stage by another's attempts") {
                return Err(());
            }
            state.rolled_back(&flags.shape, state.stage.saturating_sub(1), who).map_err(drop)
        });
        rolled_back.is_err() || flags.follow_elsewhere()
    }
}

impl Turn for Watch {
    type Event = News;

    fn turn(&mut self, me: &Serial<Self>, news: News, _: &mut Agenda) {
        let Some(flags) = self.flags.upgrade() else { return };
        let followed = match news {
            News::Opened(footing) => {
                self.after(self.guard.window, me, News::Due(footing));
                true
            }
            News::Due(footing) => self.judge(&flags, footing),
            News::Again => {
                self.offers_again = false;
                flags.follow_elsewhere()
            }
        };
        let_go(flags);
        if !followed {
            self.offer_again(me);
        }
    }

    /// A window that has lost its timer is overdue, and closed by an attempt; what follows a rollback is offered again.
    fn broken(&mut self, me: &Serial<Self>, _: Box<dyn Any + Send>, _: &mut Agenda) {
        self.offer_again(me);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_trips_above_its_share_and_not_below_its_least_number() {
        let guard = FailureGuard::above("errors", 0.25).at_least(100);
        let table = [(100, 25, false), (100, 26, true), (99, 99, false), (1_000, 251, true), (0, 0, false)];
        for (all, failed, expected) in table {
            assert_eq!(guard.judge(all, failed, MINUTE).is_some(), expected, "{failed} of {all}");
        }
        let why = guard.judge(100, 26, MINUTE).expect("it trips");
        assert_eq!(why, "26 of 100 attempts in 60.0s failed: 26.0 %, more than 25.0 %");
        let always = FailureGuard::above("errors", 0.0).at_least(0);
        assert!(always.judge(0, 0, MINUTE).is_none());
        assert!(always.judge(1, 1, MINUTE).is_some());
    }
}
