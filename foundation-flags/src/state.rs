//! The pure core: what the flags are, and what each decision makes of it. No lock, no clock, no file.
//!
//! A state is complete and never changed: who has one has a view in which everything fits together. Each decision makes
//! a new one, numbered one more.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::SystemTime,
};

use foundation_sync::{Epoch, Nanos, planted};

use crate::{
    Baseline, Change, ChangeError, Explanation, Flag, MigrationPlan, Part, Rule, Said, Setting, Source, Target, What,
    flag::Table,
    rules::{Because, InForce, MOST_TARGETS, share_is_on},
};

/// How many decisions are remembered.
pub(crate) const REMEMBERED: usize = 256;
/// How much those that are remembered say in all, but for the last one: each is written down with every decision.
pub(crate) const MOST_SAID: usize = 10_000;

/// What does not change: which flags there are, and the plan.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: Table,
    pub(crate) plan: Option<MigrationPlan>,
    /// For each flag from which stage on it is on; `None`: it is not the plan's.
    pub(crate) from_stage: Vec<Option<usize>>,
    /// On which node the flags are.
    pub(crate) node: Option<Arc<str>>,
}

/// What changes, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) version: u64,
    /// The last decision about the plan's flags.
    pub(crate) footing: u64,
    pub(crate) stage: usize,
    pub(crate) since: SystemTime,
    /// The next stage is not to come before this date: of a wait that began at `since`.
    pub(crate) not_before: Option<SystemTime>,
    /// The same by the clock that does not jump: it is what decides.
    pub(crate) due: Nanos,
    pub(crate) rollbacks: u64,
    /// How the figures were before.
    pub(crate) baseline: Option<Arc<Baseline>>,
    /// The baseline that is under way.
    pub(crate) measuring: Option<Arc<Baseline>>,
    /// By a flag's number: how often it was turned, and with that whether it is on.
    pub(crate) epochs: Vec<Epoch>,
    /// By a flag's number: what a read for an id needs.
    pub(crate) shares: Vec<Share>,
    pub(crate) held: Vec<bool>,
    /// By a flag's number: what is said, and by what.
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) sources: Vec<Source>,
    /// By a flag's number: what the environment says for everybody, instead of what is written down.
    pub(crate) environment: Vec<Option<Setting>>,
    /// By a flag's number: what tests say instead, the last one last, each with its number.
    pub(crate) overrides: Vec<Vec<(u64, bool)>>,
    pub(crate) history: VecDeque<Arc<Change>>,
}

/// For a flag's reads by id, in one word: how often it was turned, whether its rule names targets, and otherwise for how
/// many hundredths of a percent of all ids it is on. As of epochs the greatest stands, in whatever order they arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(pub(crate) u64);

impl Share {
    const BITS: u32 = 16;
    const TARGETS: u64 = 1 << 15;

    /// The share; `None`: the rule has to be asked.
    pub(crate) const fn of_all(self) -> Option<u16> {
        if self.0 & Self::TARGETS == 0 { Some((self.0 & (Self::TARGETS - 1)) as u16) } else { None }
    }

    /// This one, or the next one if it is to say something else.
    fn turned(self, share: Option<u16>) -> Self {
        let says = share.map_or(Self::TARGETS, u64::from);
        let turn = self.0 >> Self::BITS;
        if self.0 & ((1 << Self::BITS) - 1) == says { self } else { Self((turn + 1) << Self::BITS | says) }
    }
}

/// What is to be said about a flag: for a part, or about every part for which something is said.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) flag: Flag,
    pub(crate) part: Option<Part>,
    pub(crate) setting: Option<Setting>,
}

/// Where something is said for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// By the environment, or else what is written down.
    InForce,
    /// What is written down, whatever the environment says above it.
    Written,
}

/// Who decides, why, and when.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) by: Arc<str>,
    pub(crate) why: Arc<str>,
    /// By the calendar.
    pub(crate) at: SystemTime,
    /// By the clock.
    pub(crate) now: Nanos,
}

impl Shape {
    /// The number of a flag of no plan.
    fn free(&self, flag: &Flag) -> Result<usize, ChangeError> {
        let number = self.table.find(flag).ok_or(ChangeError::Undeclared(flag.name()))?;
        if self.from_stage[number].is_some() { Err(ChangeError::Planned(flag.name())) } else { Ok(number) }
    }
}

impl State {
    /// Stage 0, and nothing is said about the others. Epochs go on from those that are given.
    pub(crate) fn first(shape: &Shape, epochs: &[Epoch], at: SystemTime) -> Self {
        let count = shape.from_stage.len();
        let mut state = Self {
            version: 0,
            footing: 0,
            stage: 0,
            since: at,
            not_before: None,
            due: 0,
            rollbacks: 0,
            baseline: None,
            measuring: None,
            epochs: epochs.to_vec(),
            shares: vec![Share::default(); count],
            held: vec![false; count],
            rules: vec![Arc::default(); count],
            sources: vec![Source::Default; count],
            environment: vec![None; count],
            overrides: vec![Vec::new(); count],
            history: VecDeque::new(),
        };
        state.settle(shape);
        state
    }

    /// Whether a plain read says on.
    pub(crate) fn is_on(&self, number: usize) -> bool {
        self.epochs[number].is_on()
    }

    /// What is said about a flag, whoever said it.
    pub(crate) fn rule(&self, number: usize) -> InForce<'_> {
        let rule = &self.rules[number];
        InForce { rule, everybody: self.environment[number].or(rule.everybody) }
    }

    /// Where what a flag says comes from.
    pub(crate) fn source(&self, shape: &Shape, number: usize) -> Source {
        if !self.overrides[number].is_empty() {
            Source::Override
        } else if self.held[number] {
            Source::Held
        } else if shape.from_stage[number].is_some() {
            Source::Plan
        } else if self.environment[number].is_some() {
            Source::Environment
        } else {
            self.sources[number]
        }
    }

    /// What is on or off for everybody and every target, whatever the rule says; and why. The first that decides, as in
    /// [`Self::source`].
    fn fixed(&self, shape: &Shape, number: usize) -> Option<Explanation> {
        if let Some((_, on)) = self.overrides[number].last() {
            return Some(Explanation { on: *on, because: Because::Override });
        }
        if self.held[number] {
            return Some(Explanation { on: false, because: Because::Held });
        }
        let from = shape.from_stage[number]?;
        Some(Explanation { on: from <= self.stage, because: Because::Stage(self.stage) })
    }

    /// Whether the flag is on for a target, and why.
    pub(crate) fn decide(&self, shape: &Shape, number: usize, target: &Target<'_>) -> Explanation {
        let by_rule = || self.rule(number).decide(&shape.table.flags()[number], target, shape.node.as_deref());
        self.fixed(shape, number).unwrap_or_else(by_rule)
    }

    /// The same without the reason, and without an allocation.
    pub(crate) fn is_on_for(&self, shape: &Shape, number: usize, target: &Target<'_>) -> bool {
        let flag = &shape.table.flags()[number];
        match self.shares[number].of_all() {
            Some(share) => share_is_on(share, flag, target.id),
            None => self.rule(number).is_on(flag, target, shape.node.as_deref()),
        }
    }

    /// Says something about flags of no plan, all of it or nothing. What the environment says about a flag for everybody
    /// stands until something else is said for everybody.
    pub(crate) fn said(&self, shape: &Shape, wishes: &[Wish], what: What, who: &Who) -> Result<Self, ChangeError> {
        self.said_at(Level::InForce, shape, wishes, what, who)
    }

    /// What is said of a part, there.
    fn says(&self, level: Level, number: usize, part: &Part) -> Option<Setting> {
        match level {
            Level::InForce => self.rule(number).get(part),
            Level::Written => self.rules[number].get(part),
        }
    }

    fn said_at(
        &self,
        level: Level,
        shape: &Shape,
        wishes: &[Wish],
        what: What,
        who: &Who,
    ) -> Result<Self, ChangeError> {
        let mut next = self.clone();
        let mut rules: BTreeMap<usize, Rule> = BTreeMap::new();
        let mut touched: BTreeSet<(usize, Part)> = BTreeSet::new();
        for Wish { flag, part, setting } in wishes {
            let number = shape.free(flag)?;
            let rule = rules.entry(number).or_insert_with(|| Rule::clone(&self.rules[number]));
            let parts = match part {
                Some(part) => vec![part.clone()],
                None => rule.parts().map(|(part, _)| part).chain([Part::Everybody]).collect(),
            };
            for part in parts {
                rule.say(&part, *setting);
                if part == Part::Everybody && level == Level::InForce {
                    next.environment[number] = None;
                }
                touched.insert((number, part));
            }
        }
        for (number, rule) in rules {
            if rule.targets() > MOST_TARGETS {
                return Err(ChangeError::TooManyTargets(shape.table.flags()[number].name()));
            }
            next.sources[number] = if rule.is_empty() { Source::Default } else { Source::RunTime };
            next.rules[number] = Arc::new(rule);
        }
        let said = touched.into_iter().filter_map(|(number, part)| {
            let (before, after) = (self.says(level, number, &part), next.says(level, number, &part));
            let flag = shape.table.flags()[number].name();
            (before.is_some() || after.is_some()).then_some(Said { flag, part, before, after })
        });
        let said = said.collect();
        Ok(next.decided(self, shape, who, what, said))
    }

    /// Says nothing about any flag of no plan.
    pub(crate) fn reset(&self, shape: &Shape, who: &Who) -> Self {
        let numbers = (0..self.rules.len()).filter(|number| shape.from_stage[*number].is_none());
        let wishes = numbers.map(|number| Wish { flag: shape.table.flags()[number], part: None, setting: None });
        let reset = self.said(shape, &wishes.collect::<Vec<_>>(), What::Reset, who);
        reset.expect("the flags are declared and no plan's, and nothing is said of any target")
    }

    /// Says again what was said before a decision, wherever that decision said something else.
    pub(crate) fn undone(&self, shape: &Shape, version: u64, who: &Who) -> Result<Self, ChangeError> {
        let known = self.history.iter().find(|change| change.version == version);
        let undo = known.ok_or(ChangeError::Forgotten {
            version,
            oldest: self.history.front().map_or(self.version, |change| change.version),
        })?;
        if !undo.what.is_of_rules() {
            return Err(ChangeError::NotUndoable { version, what: undo.what });
        }
        let number_of =
            |said: &Said| shape.table.named(said.flag).expect("what the history says is of flags that are declared");
        let level = self.level_of(undo);
        for said in &undo.said {
            if self.says(level, number_of(said), &said.part) != said.after {
                let by = |change: &&Arc<Change>| change.said.iter().any(|other| other.is_of(said.flag, &said.part));
                let later = self.history.iter().rev().take_while(|change| change.version > version).find(by);
                let version = later.map(|change| change.version);
                return Err(ChangeError::SaidSince { flag: said.flag, part: said.part.clone(), version });
            }
        }
        let wish = |said: &Said| {
            let flag = shape.table.flags()[number_of(said)];
            Wish { flag, part: Some(said.part.clone()), setting: said.before }
        };
        let wishes: Vec<_> = undo.said.iter().map(wish).collect();
        self.said_at(level, shape, &wishes, What::Undone(version), who)
    }

    /// Where a decision said what it said: a reload, and who takes it back, in the file.
    fn level_of(&self, change: &Change) -> Level {
        match change.what {
            What::Reloaded => Level::Written,
            // Only of one that came before.
            What::Undone(version) if version < change.version => {
                let undone = self.history.iter().find(|change| change.version == version);
                undone.map_or(Level::InForce, |undone| self.level_of(undone))
            }
            _ => Level::InForce,
        }
    }

    /// A test says so from now on, until [`Self::not_overridden`].
    pub(crate) fn overridden(&self, shape: &Shape, number: usize, guard: u64, on: bool) -> Self {
        let mut next = self.clone();
        next.overrides[number].push((guard, on));
        next.settle(shape);
        next
    }

    pub(crate) fn not_overridden(&self, shape: &Shape, number: usize, guard: u64) -> Self {
        let mut next = self.clone();
        next.overrides[number].retain(|(other, _)| *other != guard);
        next.settle(shape);
        next
    }

    /// A decision that was made of a state before `now`, of the same version: what tests said meanwhile stays.
    pub(crate) fn onto(&self, now: &Self, shape: &Shape) -> Self {
        let mut next = self.clone();
        (next.epochs, next.shares) = (now.epochs.clone(), now.shares.clone());
        if !planted!("flags: a decision forgets what a test says meanwhile") {
            next.overrides.clone_from(&now.overrides);
            next.with_samples_of(now);
        }
        next.settle(shape);
        next
    }

    /// The plan's vector minus holds, and one more entry in the history.
    pub(crate) fn decided(mut self, before: &Self, shape: &Shape, who: &Who, what: What, said: Vec<Said>) -> Self {
        self.settle(shape);
        self.version = before.version + 1;
        let numbers = 0..self.epochs.len();
        let turned = numbers.filter(|number| self.epochs[*number] != before.epochs[*number]);
        let turned = turned.map(|number| (shape.table.flags()[number].name(), self.is_on(number))).collect();
        let Who { by, why, at, .. } = who.clone();
        self.history.push_back(Arc::new(Change { version: self.version, at, by, why, what, said, turned }));
        let mut all_said: usize = self.history.iter().map(|change| change.said.len()).sum();
        while self.history.len() > REMEMBERED || self.history.len() > 1 && all_said > MOST_SAID {
            all_said -= self.history.pop_front().map_or(0, |oldest| oldest.said.len());
        }
        self
    }

    /// Brings every flag's epoch and share to what stage, holds, rules and tests say.
    pub(crate) fn settle(&mut self, shape: &Shape) {
        for (number, flag) in shape.table.flags().iter().enumerate() {
            let (on, share) = match self.fixed(shape, number) {
                Some(Explanation { on, .. }) => (on, Some(Setting::of(on).share())),
                None => {
                    let rule = self.rule(number);
                    let share = rule.share(flag, shape.node.as_deref());
                    (share_is_on(share, flag, None), Some(share).filter(|_| rule.rule.targets() == 0))
                }
            };
            self.epochs[number] = self.epochs[number].turned(on);
            self.shares[number] = self.shares[number].turned(share);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: Flag = Flag::off("a");
    const B: Flag = Flag::off("b");
    const STRICT: Flag = Flag::off("strict");
    const FREE: Flag = Flag::on("free");

    fn shape() -> Shape {
        let plan = MigrationPlan::new("p")
            .stage("one", &[A])
            .stage("two", &[B])
            .stage("three", &[STRICT])
            .cool_down(Duration::ZERO);
        let table = Table::new(vec![A, B, STRICT, FREE]).expect("all are different");
        Shape {
            table,
            plan: Some(plan.enforced_by(STRICT)),
            from_stage: vec![Some(1), Some(2), Some(3), None],
            node: None,
        }
    }

    fn first(shape: &Shape) -> State {
        State::first(shape, &[Epoch::ON, Epoch::OFF, Epoch::OFF, Epoch::OFF], SystemTime::UNIX_EPOCH)
    }

    fn who() -> Who {
        Who { by: "alice".into(), why: "test".into(), at: SystemTime::UNIX_EPOCH, now: 0 }
    }

    fn vector(state: &State) -> Vec<bool> {
        state.epochs.iter().map(|epoch| epoch.is_on()).collect()
    }

    fn wishes(flags: &[(Flag, bool)]) -> Vec<Wish> {
        let wish = |(flag, on): &(Flag, bool)| Wish {
            flag: *flag,
            part: Some(Part::Everybody),
            setting: Some(Setting::of(*on)),
        };
        flags.iter().map(wish).collect()
    }

    type Step = fn(&Shape, &State) -> Result<State, ChangeError>;

    /// Every decision, by a name: allowed ones and refused ones.
    const STEPS: [(&str, Step); 12] = [
        ("advance 1", |shape, state| state.advanced(shape, 1, &who())),
        ("advance 2", |shape, state| state.advanced(shape, 2, &who())),
        ("advance 3", |shape, state| state.advanced(shape, 3, &who())),
        ("advance 4", |shape, state| state.advanced(shape, 4, &who())),
        ("early", |shape, state| state.early(shape, &who())),
        ("back 0", |shape, state| state.rolled_back(shape, 0, &who())),
        ("back 1", |shape, state| state.rolled_back(shape, 1, &who())),
        ("emergency", |shape, state| Ok(state.emergency(shape, &who()))),
        ("hold a", |shape, state| state.holding(shape, &A, true, &who())),
        ("release a", |shape, state| state.holding(shape, &A, false, &who())),
        ("hold b", |shape, state| state.holding(shape, &B, true, &who())),
        ("free off", |shape, state| state.said(shape, &wishes(&[(FREE, false)]), What::Set, &who())),
    ];

    #[track_caller]
    fn run(steps: &[&str]) -> Result<State, ChangeError> {
        let shape = shape();
        steps.iter().try_fold(first(&shape), |state, name| {
            let (_, step) = STEPS.iter().find(|(known, _)| known == name).expect("it is in the list");
            step(&shape, &state)
        })
    }

    #[test]
    fn a_stage_is_a_complete_vector_and_holds_are_taken_from_it() {
        let table: &[(&[&str], usize, [bool; 4])] = &[
            (&[], 0, [false, false, false, true]),
            (&["advance 1"], 1, [true, false, false, true]),
            (&["advance 1", "advance 2"], 2, [true, true, false, true]),
            (&["advance 1", "advance 2", "advance 3"], 3, [true, true, true, true]),
            (&["advance 1", "advance 2", "advance 3", "back 0"], 0, [false, false, false, true]),
            (&["advance 1", "advance 2", "back 1"], 1, [true, false, false, true]),
            (&["advance 1", "advance 2", "emergency"], 0, [false, false, false, true]),
            (&["emergency"], 0, [false, false, false, true]),
            (&["hold a", "advance 1", "advance 2"], 2, [false, true, false, true]),
            (&["hold a", "advance 1", "release a"], 1, [true, false, false, true]),
            (&["hold a", "release a"], 0, [false, false, false, true]),
            (&["advance 1", "hold a", "emergency", "advance 1"], 1, [false, false, false, true]),
            (&["free off", "advance 1"], 1, [true, false, false, false]),
        ];
        for (steps, stage, expected) in table {
            let state = run(steps).expect("all are allowed");
            assert_eq!((state.stage, vector(&state)), (*stage, expected.to_vec()), "{steps:?}");
            assert_eq!(state.version, steps.len() as u64);
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused_and_says_what_to_do() {
        let table: &[(&[&str], &str)] = &[
            (&["advance 2"], "stage 2 is not next: it is at stage 0, advance to 1 first"),
            (&["advance 1", "advance 1"], "stage 1 is not next: it is at stage 1, advance to 2 first"),
            (
                &["advance 1", "advance 2", "advance 3", "advance 4"],
                "stage 4 is not next: it is at stage 3, the last one",
            ),
            (&["back 0"], "stage 0 is not below the present one, 0: go up with `advance_to`"),
            (&["advance 1", "back 1"], "stage 1 is not below the present one, 1: go up with `advance_to`"),
            (
                &["advance 1", "advance 2", "advance 3", "hold a"],
                "`a` can't be held while `strict` is on: roll back to a stage before it first",
            ),
        ];
        for (steps, expected) in table {
            assert_eq!(run(steps).map(|state| state.stage).expect_err("refused").to_string(), *expected, "{steps:?}");
        }
        let (shape, unknown) = (shape(), Flag::off("unknown"));
        let state = first(&shape);
        let set = |flags: &[(Flag, bool)]| state.said(&shape, &wishes(flags), What::Set, &who());
        let refused = |result: Result<State, ChangeError>| result.map(|state| state.stage).expect_err("refused");
        assert_eq!(refused(set(&[(FREE, false), (A, true)])), ChangeError::Planned("a"));
        assert_eq!(refused(set(&[(unknown, true)])), ChangeError::Undeclared("unknown"));
        assert_eq!(refused(state.holding(&shape, &unknown, true, &who())), ChangeError::Undeclared("unknown"));
        assert!(ChangeError::Planned("a").to_string().contains("`hold` it"));
    }

    #[test]
    fn a_hold_of_a_flag_of_no_plan_is_none_of_the_plans_matters() {
        let shape = shape();
        let state = run(&["advance 1", "advance 2", "advance 3"]).expect("all are allowed");
        let held = state.holding(&shape, &FREE, true, &who()).expect("what is enforced is the plan's");
        assert_eq!((held.is_on(3), held.stage, held.version), (false, 3, 4));
        assert_eq!(held.footing, state.footing, "a guard goes on with its window");
        let of_plan = run(&["advance 1", "hold a"]).expect("it is allowed");
        assert_eq!(of_plan.footing, 2, "and begins a new one here");
    }

    #[test]
    fn whatever_is_decided_in_whatever_order_the_vector_is_the_plans_minus_holds() {
        // All sequences of four decisions, refused ones left out.
        let shape = shape();
        let mut states = vec![first(&shape)];
        for _ in 0..4 {
            states =
                states.iter().flat_map(|state| STEPS.iter().filter_map(|(_, step)| step(&shape, state).ok())).collect();
            for state in &states {
                for (number, from) in shape.from_stage.iter().enumerate() {
                    let Some(from) = from else { continue };
                    assert_eq!(state.is_on(number), *from <= state.stage && !state.held[number], "{state:?}");
                }
            }
        }
        assert!(states.len() > 1_000, "{}", states.len());
    }

    #[test]
    fn what_is_said_twice_in_one_change_is_one_turn_or_none() {
        let shape = shape();
        let before = first(&shape);
        let set = |flags: &[(Flag, bool)]| before.said(&shape, &wishes(flags), What::Set, &who()).expect("it is free");
        let same = set(&[(FREE, false), (FREE, true)]);
        assert_eq!((same.epochs[3], same.history[0].turned.len()), (before.epochs[3], 0));
        let once = set(&[(FREE, true), (FREE, false)]);
        assert_eq!((once.epochs[3], &once.history[0].turned), (before.epochs[3].flipped(), &vec![("free", false)]));
    }

    #[test]
    fn epochs_go_on_from_those_of_the_switch_and_only_grow() {
        let shape = shape();
        let mut state = first(&shape);
        assert_eq!(state.epochs[0], Epoch::ON.flipped(), "it was on, and stage 0 has it off");
        for to in [1, 0, 1] {
            let next = match to {
                0 => state.rolled_back(&shape, 0, &who()),
                to => state.advanced(&shape, to, &who()),
            };
            let next = next.expect("it is allowed");
            assert!(next.epochs[0] > state.epochs[0]);
            state = next;
        }
        assert_eq!(state.rollbacks, 1);
    }

    #[test]
    fn the_history_has_an_end() {
        let shape = shape();
        let mut state = first(&shape);
        for _ in 0..=REMEMBERED {
            state = state.emergency(&shape, &who());
        }
        assert_eq!((state.history.len(), state.history[0].version), (REMEMBERED, 2));
        assert_eq!(state.rollbacks, 0, "from stage 0 to stage 0 is none");
    }
}
