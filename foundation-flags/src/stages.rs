//! What each decision about the plan makes of a state: stages, holds, and how long one waits for the next stage.
//!
//! A stage is observed before the next one, anew where a flag of it begins to work because it is released, and after a
//! rollback there is a time to cool down. A wait is told by the
//! calendar and decided by the clock, which does not jump: of a calendar that is put back or forward nothing is shorter or
//! longer. Only at a restart does the calendar decide how much is left, and then it is never more than the whole wait.

use std::time::{Duration, SystemTime};

use foundation_sync::Nanos;

use crate::{
    ChangeError, Flag, What,
    state::{Shape, State, Who},
    text::LAST,
};

impl Shape {
    pub(crate) fn last_stage(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.stages.len())
    }

    /// Whether this flag of the plan is on.
    fn says(&self, state: &State, flag: Option<Flag>) -> Option<Flag> {
        flag.filter(|flag| self.table.find(flag).is_some_and(|number| state.is_on(number)))
    }

    /// The same where it is not said by which flag.
    pub(crate) fn says_all(&self, state: &State, flag: Option<Flag>) -> bool {
        flag.is_none() || self.says(state, flag).is_some()
    }

    /// How long one waits at this stage before the next, and after a rollback to it.
    fn wait(&self, stage: usize, back: bool) -> Duration {
        let Some(plan) = &self.plan else { return Duration::ZERO };
        let observed = match stage.checked_sub(1).and_then(|at| plan.stages.get(at)) {
            Some(stage) => stage.observe_for,
            None => Duration::ZERO,
        };
        if back { observed.max(plan.cool_down) } else { observed }
    }
}

impl State {
    /// How long the next stage is not to come yet.
    pub(crate) fn waits(&self, now: Nanos) -> Option<(SystemTime, Duration)> {
        let left = self.due.saturating_sub(now);
        self.not_before.filter(|_| left > 0).map(|until| (until, Duration::from_nanos(left)))
    }

    /// Goes on with the wait that was written down. What is left is what the calendar says, and not more than the whole.
    pub(crate) fn go_on_waiting(&mut self, at: SystemTime, now: Nanos) {
        let Some(until) = self.not_before else { return };
        let whole = until.duration_since(self.since).unwrap_or_default();
        let left = until.duration_since(at).unwrap_or_default();
        // Where the calendar was put back meanwhile, the whole. What is written down stays, for when it is set right.
        self.due = now.saturating_add(nanos(left.min(whole)));
    }

    fn wait_for(&mut self, span: Duration, at: SystemTime, now: Nanos) {
        // No later date can be written down.
        let last = SystemTime::UNIX_EPOCH + LAST;
        let until = at.checked_add(span).map_or(last, |until| until.min(last));
        (self.not_before, self.due) = (Some(until).filter(|_| !span.is_zero()), now.saturating_add(nanos(span)));
    }

    pub(crate) fn advanced(&self, shape: &Shape, to: usize, who: &Who) -> Result<Self, ChangeError> {
        let last = shape.last_stage();
        if last == 0 {
            return Err(ChangeError::NoPlan);
        }
        if to != self.stage + 1 || to > last {
            return Err(ChangeError::NotNext { asked: to, now: self.stage, last });
        }
        if let Some((until, left)) = self.waits(who.now) {
            return Err(ChangeError::TooEarly { asked: to, until, left });
        }
        Ok(self.at_stage(shape, to, who, What::Advanced { from: self.stage, to }))
    }

    pub(crate) fn rolled_back(&self, shape: &Shape, to: usize, who: &Who) -> Result<Self, ChangeError> {
        if shape.plan.is_none() {
            return Err(ChangeError::NoPlan);
        }
        if to >= self.stage {
            return Err(ChangeError::NotBelow { asked: to, now: self.stage });
        }
        Ok(self.at_stage(shape, to, who, What::RolledBack { from: self.stage, to }))
    }

    /// Always possible, also at stage 0: a change that is under way must not come after it.
    pub(crate) fn emergency(&self, shape: &Shape, who: &Who) -> Self {
        self.at_stage(shape, 0, who, What::Emergency { from: self.stage })
    }

    pub(crate) fn holding(&self, shape: &Shape, flag: &Flag, held: bool, who: &Who) -> Result<Self, ChangeError> {
        let number = shape.table.find(flag).ok_or(ChangeError::Undeclared(flag.name()))?;
        let planned = shape.from_stage[number].is_some();
        let enforced = shape.says(self, shape.plan.as_ref().and_then(|plan| plan.enforced_by));
        if let (true, true, Some(by)) = (planned, held, enforced) {
            return Err(ChangeError::Enforced { flag: flag.name(), by: by.name() });
        }
        let mut next = self.clone();
        next.held[number] = held;
        if planned {
            next.footing = self.version + 1;
        }
        let begins = self.held[number] && shape.from_stage[number].is_some_and(|first| first <= self.stage);
        let observed = shape.wait(self.stage, false);
        // What is released begins to work now, so from now on the stage is observed.
        if !held && begins && nanos(observed) > self.due.saturating_sub(who.now) {
            next.wait_for(observed, who.at, who.now);
        }
        let what = if held { What::Held(flag.name()) } else { What::Released(flag.name()) };
        Ok(next.decided(self, shape, who, what, Vec::new()))
    }

    /// The next stage may come now.
    pub(crate) fn early(&self, shape: &Shape, who: &Who) -> Result<Self, ChangeError> {
        if shape.plan.is_none() {
            return Err(ChangeError::NoPlan);
        }
        if self.waits(who.now).is_none() {
            return Err(ChangeError::NothingToWaitFor);
        }
        let mut next = self.clone();
        (next.not_before, next.due) = (None, 0);
        Ok(next.decided(self, shape, who, What::Early, Vec::new()))
    }

    fn at_stage(&self, shape: &Shape, stage: usize, who: &Who, what: What) -> Self {
        let mut next = self.clone();
        (next.stage, next.since, next.footing) = (stage, who.at, self.version + 1);
        next.rollbacks += u64::from(stage < self.stage);
        next.wait_for(shape.wait(stage, stage <= self.stage), who.at, who.now);
        next.decided(self, shape, who, what, Vec::new())
    }
}

fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use foundation_sync::Epoch;

    use super::*;
    use crate::{MigrationPlan, flag::Table};

    const A: Flag = Flag::off("a");
    const B: Flag = Flag::off("b");
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const HOUR: Duration = Duration::from_secs(3600);

    fn shape() -> Shape {
        let plan = MigrationPlan::new("p").stage("one", &[A]).observe_for(DAY).stage("two", &[B]).cool_down(HOUR);
        let table = Table::new(vec![A, B]).expect("both are different");
        Shape { table, plan: Some(plan), from_stage: vec![Some(1), Some(2)], node: None }
    }

    /// Who decides so long after the beginning, by a calendar that is so many days ahead or behind.
    fn after(span: Duration, days_off: i64) -> Who {
        let off = DAY * u32::try_from(days_off.unsigned_abs()).expect("few");
        let at = SystemTime::UNIX_EPOCH + 1_000 * DAY + span;
        let at = if days_off < 0 { at - off } else { at + off };
        Who { by: "alice".into(), why: "test".into(), at, now: nanos(span) }
    }

    fn first(shape: &Shape) -> State {
        State::first(shape, &[Epoch::OFF, Epoch::OFF], after(Duration::ZERO, 0).at)
    }

    /// How long it waits, in hours.
    fn waits(state: &State, now: Duration) -> Option<u64> {
        state.waits(nanos(now)).map(|(_, left)| left.as_secs() / 3600)
    }

    #[test]
    fn a_stage_is_observed_and_after_a_rollback_it_cools_down_whichever_is_longer() {
        let shape = shape();
        let zero = first(&shape);
        assert_eq!(waits(&zero, Duration::ZERO), None);
        let one = zero.advanced(&shape, 1, &after(HOUR, 0)).expect("it is next");
        assert_eq!(waits(&one, HOUR), Some(24));
        let Err(ChangeError::TooEarly { asked, until, left }) = one.advanced(&shape, 2, &after(2 * HOUR, 0)) else {
            panic!("it is too early")
        };
        assert_eq!((asked, until, left), (2, after(HOUR + DAY, 0).at, 23 * HOUR));
        let two = one.advanced(&shape, 2, &after(HOUR + DAY, 0)).expect("it has been observed");
        assert_eq!(waits(&two, HOUR + DAY), None, "it is observed for no time");
        for (back, expected) in [(two.rolled_back(&shape, 1, &after(2 * DAY, 0)), 24), (Ok(two.clone()), 1)] {
            let back = back.expect("it is lower");
            let state = if expected == 1 { back.emergency(&shape, &after(2 * DAY, 0)) } else { back };
            assert_eq!(waits(&state, 2 * DAY), Some(expected), "stage {}", state.stage);
        }
        let again = zero.emergency(&shape, &after(HOUR, 0));
        assert_eq!(waits(&again, HOUR), Some(1), "also from stage 0 to stage 0");
    }

    #[test]
    fn a_flag_that_is_released_is_observed_for_the_whole_span_of_its_stage() {
        let shape = shape();
        let one = first(&shape).advanced(&shape, 1, &after(HOUR, 0)).expect("it is next");
        let two = one.advanced(&shape, 2, &after(HOUR + DAY, 0)).expect("it has been observed");
        let back = two.rolled_back(&shape, 1, &after(2 * DAY, 0)).expect("it is lower");
        let long = Shape { plan: shape.plan.clone().map(|plan| plan.cool_down(3 * DAY)), ..self::shape() };
        let cools = two.rolled_back(&long, 1, &after(2 * DAY, 0)).expect("it is lower");
        // At which stage and under which plan, which flag was held or not, for how many hours; and what is waited for then.
        for (state, shape, flag, held, hours, expected) in [
            (&one, &shape, A, true, 20, Some(24)),
            (&one, &shape, A, true, 200, Some(24)),
            (&one, &shape, A, false, 20, Some(4)),
            (&one, &shape, B, true, 20, Some(4)),
            (&one, &shape, B, true, 200, None),
            (&two, &shape, A, true, 30, None),
            (&back, &shape, A, true, 60, Some(24)),
            (&cools, &long, A, true, 60, Some(59)),
        ] {
            let mut state = state.clone();
            state.held[shape.table.find(&flag).expect("it is of the plan")] = held;
            let now = HOUR + hours * HOUR;
            let released = state.holding(shape, &flag, false, &after(now, 0)).expect("it is of the plan");
            assert_eq!(waits(&released, now), expected, "{flag:?} after {hours} hours at stage {}", state.stage);
        }
        let held = one.holding(&shape, &A, true, &after(20 * HOUR, 0)).expect("it is of the plan");
        assert_eq!(waits(&held, 20 * HOUR), Some(5), "a hold starts nothing");
    }

    #[test]
    fn early_ends_a_wait_and_is_refused_where_there_is_none() {
        let shape = shape();
        let zero = first(&shape);
        assert_eq!(zero.early(&shape, &after(HOUR, 0)).map(|_| ()), Err(ChangeError::NothingToWaitFor));
        let one = zero.advanced(&shape, 1, &after(HOUR, 0)).expect("it is next");
        let early = one.early(&shape, &after(HOUR, 0)).expect("it waits");
        assert_eq!((early.stage, early.version, early.footing, waits(&early, HOUR)), (1, 2, 1, None));
        assert!(early.advanced(&shape, 2, &after(HOUR, 0)).is_ok());
        assert_eq!(one.early(&shape, &after(HOUR + DAY, 0)).map(|_| ()), Err(ChangeError::NothingToWaitFor));
    }

    #[test]
    fn a_calendar_that_jumps_makes_no_wait_shorter_or_longer() {
        let shape = shape();
        let one = first(&shape).advanced(&shape, 1, &after(HOUR, 0)).expect("it is next");
        for days_off in [-900, -1, 1, 900] {
            let refused = one.advanced(&shape, 2, &after(2 * HOUR, days_off));
            assert!(matches!(refused, Err(ChangeError::TooEarly { left, .. }) if left == 23 * HOUR), "{days_off}");
            assert!(one.advanced(&shape, 2, &after(HOUR + DAY, days_off)).is_ok(), "{days_off}");
        }
    }

    #[test]
    fn after_a_restart_what_is_left_is_waited_for_and_never_more_than_the_whole() {
        let shape = shape();
        let one = first(&shape).advanced(&shape, 1, &after(HOUR, 0)).expect("it is next");
        // By the calendar so many hours after the stage began, and by a clock that has begun anew.
        for (hours, days_off, left) in [(0, 0, 24), (5, 0, 19), (23, 0, 1), (24, 0, 0), (0, 400, 0), (5, -400, 24)] {
            let mut again = State { due: 0, ..one.clone() };
            let at = after(HOUR + hours * HOUR, days_off).at;
            again.go_on_waiting(at, 7);
            let expected = (left > 0).then_some(left * HOUR);
            assert_eq!(again.waits(7).map(|(_, left)| left), expected, "{hours}, {days_off}");
            // What is written down stays, also while the calendar is put back.
            assert_eq!((again.not_before, again.since), (one.not_before, one.since), "{hours}, {days_off}");
        }
    }

    #[test]
    fn a_calendar_that_is_put_back_and_set_right_again_makes_no_wait_shorter() {
        let shape = shape();
        let one = first(&shape).advanced(&shape, 1, &after(HOUR, 0)).expect("it is next");
        // A restart each: hours after the stage began, the calendar's error, and what is left.
        for restarts in [[(1, -10, 24), (2, -10, 24), (3, 0, 21)], [(1, -400, 24), (20, 0, 4), (21, -1, 24)]] {
            let mut state = one.clone();
            for (hours, days_off, left) in restarts {
                state.due = 0;
                state.go_on_waiting(after(HOUR + hours * HOUR, days_off).at, 7);
                assert_eq!(waits(&state, Duration::ZERO), Some(left), "{restarts:?}");
            }
        }
    }

    #[test]
    fn a_wait_that_no_calendar_can_tell_is_none_that_breaks() {
        let plan = MigrationPlan::new("p").stage("one", &[A]).observe_for(Duration::MAX).stage("two", &[B]);
        let shape = Shape { plan: Some(plan), ..shape() };
        let one = first(&shape).advanced(&shape, 1, &after(HOUR, 0)).expect("it is next");
        assert!(one.advanced(&shape, 2, &after(1_000_000 * HOUR, 0)).is_err());
        assert!(one.early(&shape, &after(HOUR, 0)).is_ok());
        let mut again = State { due: 0, ..one };
        again.go_on_waiting(after(1_000 * DAY, 0).at, 7);
        assert!(again.advanced(&shape, 2, &after(2_000 * DAY, 0)).is_err(), "nor after a restart");
    }
}
