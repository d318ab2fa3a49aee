//! Who is restarted, when, and whether that was once too often.

use std::{collections::VecDeque, mem};

use foundation_registry::{Cause, Exit};
use foundation_sync::{Nanos, planted};

use super::{
    Action, Child, Common, Core, Delays, Phase, Seat, Timer, Who,
    pass::{Aim, Pass},
};
use crate::spec::{AutoShutdown, Restart, Strategy};

impl<T> Core<T> {
    /// A child left by itself, and nothing else is in hand.
    pub(super) fn decide(&mut self, now: Nanos, who: Who, rules: Common, exit: &Exit) {
        let restarts = match rules.restart {
            Restart::Permanent => true,
            Restart::Transient => !exit.is_clean(),
            Restart::Temporary => false,
        };
        if restarts {
            // It may have been terminated, started or taken along while it waited for its turn.
            if self.life(who, Phase::Stopped).is_some() {
                self.attempt(now, who.seat);
            }
            return;
        }
        let forgotten = self.plan.dynamic.is_some() && self.life(who, Phase::Stopped).is_some();
        if forgotten && !planted!("core: who ended for good keeps its room") {
            self.forget(who.seat);
        }
        let ends = match self.plan.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            // One that waits for its turn may be restarted.
            AutoShutdown::AllSignificant => {
                let waits = self.waiting.as_ref().is_some_and(|waiting| waiting.crashed_significant > 0);
                self.significant == 0 && !waits
            }
        };
        if rules.significant && ends {
            self.close(Exit::Shutdown(Cause::AutoShutdown), Vec::new());
        }
    }

    /// Counts one more restart, as OTP does: every attempt. Then it begins, at once or after the child's backoff.
    pub(super) fn attempt(&mut self, now: Nanos, seat: Seat) {
        let child = self.children.get_mut(&seat).expect("its caller has looked");
        let mut special = child.special.as_deref_mut();
        let own = special.as_mut().and_then(|special| special.restarts.as_mut());
        if !own.unwrap_or(&mut self.restarts).count(now) {
            return self.close(Exit::Shutdown(Cause::Intensity), Vec::new());
        }
        let who = Who { seat, generation: child.generation };
        let delay = special.map_or(0, |special| {
            let delay = special.backoff.map_or(0, |delays| delays.after(special.row, who, now));
            special.row = special.row.saturating_add(1);
            delay
        });
        self.out.push(Action::Restarting(who));
        if delay == 0 {
            return self.begin(seat);
        }
        let until = now.saturating_add(delay);
        self.enter(seat, Phase::BackingOff { until });
        self.set_timer(seat, Timer::Backoff, until);
    }

    /// Restarts it, and whoever goes along by the strategy.
    pub(super) fn begin(&mut self, seat: Seat) {
        // Who never lived waits for its own start.
        let from =
            |first| self.children.range(first..).filter(|(_, child)| child.generation > 0).map(|(&seat, _)| seat);
        let (stop, start) = match self.plan.strategy {
            Strategy::OneForOne => (Vec::new(), VecDeque::from([seat])),
            Strategy::RestForOne => (from(seat + 1).collect(), from(seat).collect()),
            Strategy::OneForAll => (from(0).collect(), from(0).collect()),
        };
        self.pass = Some(Box::new(Pass { stop, start, aim: Aim::Restart }));
    }

    /// It has come to its end, whatever is to become of it.
    pub(super) fn has_ended(&mut self, seat: Seat) {
        match self.pass.as_deref() {
            Some(Pass { aim: Aim::Shutdown(Exit::Shutdown(Cause::Terminated), _), .. }) => self.rests(seat),
            // Whether there will be another supervisor in the place of this one is not known here.
            Some(Pass { aim: Aim::Shutdown(..), .. }) => {}
            _ => _ = self.ended.insert(seat),
        }
    }

    /// Nothing is in hand, and nothing waits: who has ended rests, but for those who go along with somebody whose restart
    /// is to come.
    pub(super) fn tell_who_rests(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let from = self.comes_from();
        let mut resting = mem::take(&mut self.ended);
        if let Some(from) = from {
            self.ended = resting.split_off(&from);
        }
        resting.into_iter().for_each(|seat| self.rests(seat));
    }

    pub(super) fn rests(&mut self, seat: Seat) {
        self.ended.remove(&seat);
        if self.children.contains_key(&seat) && !planted!("core: nobody is told who rests") {
            self.out.push(Action::Rests(seat));
        }
    }

    /// Whether it will be started with somebody whose restart is to come.
    pub(super) fn comes_along(&self, seat: Seat) -> bool {
        self.comes_from().is_some_and(|from| from <= seat)
    }

    /// From whom on all will be started with somebody whose restart is to come.
    fn comes_from(&self) -> Option<Seat> {
        if self.plan.strategy == Strategy::OneForOne {
            return None;
        }
        let to_come = |child: &Child| matches!(child.phase, Phase::Restarting | Phase::BackingOff { .. });
        let first = self.children.iter().find(|(_, child)| to_come(child)).map(|(&seat, _)| seat);
        if self.plan.strategy == Strategy::OneForAll { first.map(|_| 0) } else { first }
    }

    /// Whether it waits for its backoff to end; in this life, if one is given.
    pub(super) fn backing_off(&self, seat: Seat, generation: Option<u64>) -> bool {
        self.children.get(&seat).is_some_and(|child| {
            matches!(child.phase, Phase::BackingOff { .. }) && generation.is_none_or(|life| life == child.generation)
        })
    }
}

impl Child {
    pub(super) fn heartbeat(&self) -> Option<Nanos> {
        self.special.as_ref()?.heartbeat
    }

    /// A row of restarts ends when it has run for as long as its longest wait.
    pub(super) fn ends_row(&mut self, now: Nanos) {
        if let (Phase::Running, Some(special)) = (self.phase, &mut self.special)
            && special.backoff.is_some_and(|delays| now.saturating_sub(self.since) >= delays.most)
        {
            special.row = 0;
        }
    }
}

impl Delays {
    /// How long the restart waits that comes after so many in a row. Chance is what differs between any two of them: the
    /// core is pure.
    pub(crate) fn after(&self, row: u32, who: Who, now: Nanos) -> Nanos {
        self.in_a_row(row, who.seat ^ who.generation.rotate_left(32) ^ now.rotate_left(16))
    }

    /// How long is waited after so many in a row.
    pub(crate) fn in_a_row(&self, row: u32, chance: u64) -> Nanos {
        let delay = self.first.checked_shl(row.min(63)).filter(|long| long >> row.min(63) == self.first);
        let delay = delay.unwrap_or(Nanos::MAX).min(self.most);
        let part = u128::from(delay) * u128::from(self.jitter.min(100)) / 100;
        let chance = u128::from(mixed(chance));
        // At most the part, which is at most the delay.
        delay - ((part * chance) >> 64) as Nanos
    }
}

/// A number whose every bit hangs on every bit of this one (splitmix64's last step).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
