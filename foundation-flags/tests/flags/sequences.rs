//! Whatever is done, in whatever order: the plan's flags are what stage, holds and tests say.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use foundation_flags::{ChangeError, Flag, Flags, MigrationPlan, Override, Reading, Thresholds};
use foundation_sync::{Deadline, Errands, Timekeeper, VirtualTime};
use proptest::prelude::*;

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");
const C: Flag = Flag::on("c");
const STRICT: Flag = Flag::off("strict");
const FREE: Flag = Flag::off("free");
/// Each with the stage from which on it is on.
const PLANNED: [(Flag, usize); 4] = [(A, 1), (B, 2), (C, 2), (STRICT, 3)];
const HOUR: Duration = Duration::from_secs(3600);
/// How long each stage is observed, from stage 0 on.
const OBSERVED: [Duration; 4] = [Duration::ZERO, HOUR, Duration::from_secs(7200), Duration::ZERO];

fn plan() -> MigrationPlan {
    MigrationPlan::new("p")
        .stage("one", &[A])
        .observe_for(OBSERVED[1])
        .stage("two", &[B, C])
        .observe_for(OBSERVED[2])
        .stage("three", &[STRICT])
        .enforced_by(STRICT)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Advance(usize),
    Back(usize),
    Emergency,
    Hold(usize),
    Release(usize),
    Early,
    Say(bool),
    SayOfPlanned,
    Reset,
    Undo(u64),
    Override(usize, bool),
    NoOverrides,
    StartBaseline,
    FinishBaseline,
    Wait(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..5_usize).prop_map(Step::Advance),
        2 => (0..4_usize).prop_map(Step::Back),
        1 => Just(Step::Emergency),
        3 => (0..4_usize).prop_map(Step::Hold),
        2 => (0..4_usize).prop_map(Step::Release),
        4 => Just(Step::Early),
        1 => any::<bool>().prop_map(Step::Say),
        1 => Just(Step::SayOfPlanned),
        1 => Just(Step::Reset),
        1 => (0..20_u64).prop_map(Step::Undo),
        1 => (0..4_usize, any::<bool>()).prop_map(|(flag, on)| Step::Override(flag, on)),
        1 => Just(Step::NoOverrides),
        1 => Just(Step::StartBaseline),
        1 => Just(Step::FinishBaseline),
        4 => (1..150_u64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

/// What ought to be, by the book.
#[derive(Default)]
struct Oracle {
    stage: usize,
    held: [bool; 4],
    /// Until when, since the time began.
    waits: Duration,
    overrides: BTreeMap<usize, bool>,
}

impl Oracle {
    fn at_stage(&mut self, stage: usize, now: Duration) {
        let back = stage <= self.stage;
        self.waits = now + if back { OBSERVED[stage].max(HOUR) } else { OBSERVED[stage] };
        self.stage = stage;
    }

    fn strict(&self) -> bool {
        // Also where only a test says so.
        self.is_on(3)
    }

    fn is_on(&self, flag: usize) -> bool {
        self.overrides.get(&flag).copied().unwrap_or(PLANNED[flag].1 <= self.stage && !self.held[flag])
    }
}

struct Site {
    time: VirtualTime,
    file: Option<PathBuf>,
}

impl Site {
    fn start(&self) -> Flags {
        let clock = self.time.clock();
        // Nothing is measured here: who closes windows is not the question.
        let keeper = Timekeeper::new(clock.clone(), |_| Ok(()));
        let builder = Flags::builder().clock(&clock).timekeeper(&keeper).errands(&Errands::new(|errand| {
            errand();
            Ok(())
        }));
        let builder = builder.flag(&FREE).plan(plan()).thresholds(Thresholds::new("none"));
        let builder = builder.measure("queue", || Reading::Gauge(1.0));
        #[cfg(feature = "file")]
        let builder = match &self.file {
            Some(file) => builder.file(file),
            None => builder,
        };
        builder.start().expect("it was written well")
    }
}

/// Takes the step with the flags, and by the book; both agree on whether it is allowed.
fn take(flags: &mut Flags, site: &Site, oracle: &mut Oracle, guards: &mut Vec<Override>, step: Step) {
    let (until, now) = (Deadline::never, Duration::from_nanos(site.time.clock().now()));
    let allowed = |result: Result<_, ChangeError>, expected: bool| {
        assert_eq!(result.is_ok(), expected, "{step:?}: {:?}", result.map(drop));
    };
    match step {
        Step::Advance(to) => {
            let next = to == oracle.stage + 1 && to <= 3 && now >= oracle.waits;
            allowed(flags.advance_to(to, "alice", "next", until()), next);
            if next {
                oracle.at_stage(to, now);
            }
        }
        Step::Back(to) => {
            allowed(flags.rollback_to(to, "bob", "no"), to < oracle.stage);
            if to < oracle.stage {
                oracle.at_stage(to, now);
            }
        }
        Step::Emergency => {
            flags.emergency_rollback("all is lost");
            oracle.at_stage(0, now);
        }
        Step::Hold(flag) => {
            let free = !oracle.strict();
            allowed(flags.hold(&PLANNED[flag].0, "bob", "it leaks"), free);
            oracle.held[flag] |= free;
        }
        Step::Release(flag) => {
            allowed(flags.release(&PLANNED[flag].0, "bob", "mended", until()), true);
            // It begins to work only now.
            if std::mem::take(&mut oracle.held[flag]) && PLANNED[flag].1 <= oracle.stage {
                oracle.waits = oracle.waits.max(now + OBSERVED[oracle.stage]);
            }
        }
        Step::Early => {
            allowed(flags.early("carol", "it is urgent", until()), now < oracle.waits);
            oracle.waits = now.min(oracle.waits);
        }
        Step::Say(on) => {
            let change = flags.change("dora", "try");
            allowed(if on { change.on(&FREE) } else { change.off(&FREE) }.apply(until()), true);
        }
        Step::SayOfPlanned => allowed(flags.change("dora", "try").on(&A).on(&FREE).apply(until()), false),
        Step::Reset => allowed(flags.reset_all("dora", "clean", until()), true),
        Step::Undo(version) => drop(flags.undo(version, "dora", "no", until())),
        Step::Override(flag, on) => {
            guards.push(flags.override_for_test(&PLANNED[flag].0, on).expect("it is declared"));
            oracle.overrides.insert(flag, on);
        }
        Step::NoOverrides => {
            guards.clear();
            oracle.overrides.clear();
        }
        Step::StartBaseline => drop(flags.start_baseline("alice", "before", until())),
        Step::FinishBaseline => drop(flags.finish_baseline("alice", "well", until())),
        Step::Wait(minutes) => {
            site.time.advance(Duration::from_secs(60 * minutes)).expect("nobody waits");
        }
        Step::Restart if site.file.is_some() => {
            guards.clear();
            oracle.overrides.clear();
            if flags.status().version > 0 {
                *flags = site.start();
            }
        }
        Step::Restart => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_any_sequence_of_operations_the_vector_is_the_plans_minus_holds(
        steps in prop::collection::vec(step(), 1..60),
        kept in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = (kept && cfg!(feature = "file")).then(|| directory.path().join("flags.toml"));
        let site = Site { time: VirtualTime::new(), file };
        let (mut flags, mut oracle, mut guards) = (site.start(), Oracle::default(), Vec::new());
        for step in steps {
            take(&mut flags, &site, &mut oracle, &mut guards, step);
            let (status, view) = (flags.status(), flags.view());
            assert_eq!(status.stage, oracle.stage, "{step:?}");
            for (number, (flag, _)) in PLANNED.iter().enumerate() {
                let expected = oracle.is_on(number);
                assert_eq!((flags.enabled(flag), view.enabled(flag)), (expected, expected), "{flag:?} after {step:?}");
                assert_eq!(status.held.contains(&flag.name()), oracle.held[number], "{flag:?} after {step:?}");
            }
            let waits = Duration::from_nanos(site.time.clock().now()) < oracle.waits;
            assert_eq!(status.not_before.is_some(), waits, "after {step:?}");
        }
    }
}
