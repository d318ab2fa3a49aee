//! The pure core: what the flags are, and what each decision makes of it. No lock, no clock, no file.
//!
//! A state is complete and never changed: who has one has a view in which everything fits together. Each decision makes
//! a new one, numbered one more.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use foundation_sync::{Epoch, Nanos};

use crate::{Change, ChangeError, Flag, MigrationPlan, What, flag::Table};

/// How many decisions are remembered.
pub(crate) const REMEMBERED: usize = 256;

/// What does not change: which flags there are, and the plan.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: Table,
    pub(crate) plan: Option<MigrationPlan>,
    /// For each flag from which stage on it is on; `None`: it is not the plan's.
    pub(crate) from_stage: Vec<Option<usize>>,
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
    /// By a flag's number: how often it was turned, and with that whether it is on.
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) held: Vec<bool>,
    pub(crate) history: VecDeque<Arc<Change>>,
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

impl State {
    /// Stage 0; a flag of no plan says what it says by default. Epochs go on from those that are given.
    pub(crate) fn first(shape: &Shape, epochs: &[Epoch], at: SystemTime) -> Self {
        let flags = shape.table.flags().iter().zip(epochs).zip(&shape.from_stage);
        let epochs = flags.map(|((flag, epoch), planned)| epoch.turned(planned.is_none() && flag.default())).collect();
        Self {
            version: 0,
            footing: 0,
            stage: 0,
            since: at,
            not_before: None,
            due: 0,
            rollbacks: 0,
            epochs,
            held: vec![false; shape.from_stage.len()],
            history: VecDeque::new(),
        }
    }

    pub(crate) fn is_on(&self, number: usize) -> bool {
        self.epochs[number].is_on()
    }

    pub(crate) fn set(&self, shape: &Shape, flags: &[(Flag, bool)], who: &Who) -> Result<Self, ChangeError> {
        let mut next = self.clone();
        for (flag, on) in flags {
            let number = shape.table.find(flag).ok_or(ChangeError::Undeclared(flag.name()))?;
            if shape.from_stage[number].is_some() {
                return Err(ChangeError::Planned(flag.name()));
            }
            // From what it was: what is said last stands, and is one turn at most.
            next.epochs[number] = self.epochs[number].turned(*on);
        }
        Ok(next.decided(self, shape, who, What::Set))
    }

    /// The plan's vector minus holds, and one more entry in the history.
    pub(crate) fn decided(mut self, before: &Self, shape: &Shape, who: &Who, what: What) -> Self {
        self.settle(shape);
        self.version = before.version + 1;
        let numbers = 0..self.epochs.len();
        let turned = numbers.filter(|number| self.epochs[*number] != before.epochs[*number]);
        let turned = turned.map(|number| (shape.table.flags()[number].name(), self.is_on(number))).collect();
        let Who { by, why, at, .. } = who.clone();
        self.history.push_back(Arc::new(Change { version: self.version, at, by, why, what, turned }));
        if self.history.len() > REMEMBERED {
            self.history.pop_front();
        }
        self
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
        Shape { table, plan: Some(plan.enforced_by(STRICT)), from_stage: vec![Some(1), Some(2), Some(3), None] }
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
        ("free off", |shape, state| state.set(shape, &[(FREE, false)], &who())),
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
        let refused = |result: Result<State, ChangeError>| result.map(|state| state.stage).expect_err("refused");
        assert_eq!(refused(state.set(&shape, &[(FREE, false), (A, true)], &who())), ChangeError::Planned("a"));
        assert_eq!(refused(state.set(&shape, &[(unknown, true)], &who())), ChangeError::Undeclared("unknown"));
        assert_eq!(refused(state.holding(&shape, &FREE, true, &who())), ChangeError::NotPlanned("free"));
        assert_eq!(refused(state.holding(&shape, &unknown, true, &who())), ChangeError::Undeclared("unknown"));
        assert!(ChangeError::Planned("a").to_string().contains("`hold` it"));
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
        let set = |flags: &[(Flag, bool)]| before.set(&shape, flags, &who()).expect("it is free");
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
