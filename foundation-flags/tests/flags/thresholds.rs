//! The figures of a migration: measured, judged, compared with how they were.

use std::{collections::BTreeMap, sync::Arc};

use foundation_context::Value;
use foundation_flags::{
    ALERT, BASELINE, Builder, ChangeError, Flag, Flags, Level, MigrationPlan, ROLLED_BACK, Reading, Threshold,
    Thresholds, Unit, What,
};
use foundation_sync::{Deadline, Errand, Errands, MINUTE, Mutex, Queue, Timekeeper, VirtualTime};
use foundation_telemetry::Quantiles;
use foundation_testkit::TestUniverse;

use crate::timed::{courier, keeper};

const WATCH: Flag = Flag::off("watch");
const NEW: Flag = Flag::off("new");

fn plan() -> MigrationPlan {
    MigrationPlan::new("p").stage("watching", &[WATCH]).stage("switching", &[NEW]).monitored_by(WATCH).without_waiting()
}

/// How a figure is read.
#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Growth,
    Count,
    Share,
    Latency,
}

/// The runbook's figures: how each is read, what it is where all is well, and beyond each of its limits.
const FIGURES: [(&str, Kind, f64, [f64; 3]); 9] = [
    (Thresholds::REGISTRY_LOOKUP, Kind::Latency, 1e6, [6e6, 12e6, 21e6]),
    (Thresholds::CONTEXT_OVERHEAD, Kind::Gauge, 1e3, [101e3, 201e3, 401e3]),
    (Thresholds::TELEMETRY_THROUGHPUT, Kind::Gauge, 1e6, [9e3, 4e3, 2e3]),
    (Thresholds::MEMORY_GROWTH, Kind::Growth, 0.0, [2e6, 11e6, 101e6]),
    (Thresholds::MEMORY, Kind::Gauge, 1e6, [252e6, 502e6, 1.1e9]),
    (Thresholds::ERROR_RATE, Kind::Share, 0.009, [0.0105, 0.011, 0.06]),
    (Thresholds::RESTARTS, Kind::Count, 0.0, [3.0, 6.0, 11.0]),
    (Thresholds::RESPONSE_TIME, Kind::Latency, 1e6, [1.2e6, 1.6e6, 2.1e6]),
    (Thresholds::THREADS, Kind::Gauge, 10.0, [13.0, 16.0, 21.0]),
];

/// What a figure is, the sum of what it was each time, and how often it was asked for.
type Said = (f64, f64, u64);

/// What the sources say.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<BTreeMap<&'static str, Said>>>);

impl World {
    pub(crate) fn set(&self, figure: &'static str, value: f64) {
        self.0.lock().entry(figure).or_default().0 = value;
    }

    fn read(&self, figure: &'static str, kind: Kind) -> Reading {
        let mut values = self.0.lock();
        let (value, sum, times) = values.entry(figure).or_default();
        *sum += *value;
        *times += 1;
        match kind {
            Kind::Gauge => Reading::Gauge(*value),
            // Once a minute.
            Kind::Growth => Reading::Growth(*sum / 60.0),
            Kind::Count => Reading::Count(*sum as u64),
            Kind::Share => Reading::Share { part: (*sum * 1e4).round() as u64, all: *times * 10_000, at_least: 100 },
            Kind::Latency => {
                let p99 = *value as u64;
                Reading::Latency {
                    of: Quantiles { count: 100, p50: p99 / 4, p95: p99 / 2, p99, most: p99 },
                    at_least: 100,
                }
            }
        }
    }
}

/// Flags whose figures are a test's own.
pub(crate) struct Site {
    pub(crate) flags: Flags,
    pub(crate) world: World,
    pub(crate) time: VirtualTime,
    keeper: Timekeeper,
    jobs: Queue<Errand>,
}

fn builder(time: &VirtualTime, keeper: &Timekeeper, errands: &Errands, world: &World) -> Builder {
    let builder = Flags::builder().clock(&time.clock()).timekeeper(keeper).errands(errands).plan(plan());
    FIGURES.iter().fold(builder, |builder, (figure, kind, well, _)| {
        world.set(figure, *well);
        let (world, figure, kind) = (world.clone(), *figure, *kind);
        builder.measure(figure, move || world.read(figure, kind))
    })
}

impl Site {
    pub(crate) fn start(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let (time, keeper) = keeper();
        let (errands, jobs) = courier(&time);
        let world = World::default();
        let flags = configure(builder(&time, &keeper, &errands, &world)).start().expect("they fit together");
        Self { flags, world, time, keeper, jobs }
    }

    pub(crate) fn windows(&self, count: usize) {
        (0..count).for_each(|_| self.time.advance(MINUTE).expect("the courier is done with it"));
    }

    pub(crate) fn advance_to(&self, stage: usize) {
        self.flags.advance_to(stage, "alice", "next", Deadline::never()).expect("it is next");
        self.settle();
    }

    /// Waits until the courier has nothing to do, without a window's end.
    fn settle(&self) {
        self.time.advance(std::time::Duration::from_nanos(1)).expect("the courier is done with it");
    }

    pub(crate) fn baseline(&self) {
        self.flags.start_baseline("alice", "before", Deadline::never()).expect("none is under way");
        self.settle();
        self.windows(2);
        self.flags.finish_baseline("alice", "well", Deadline::never()).expect("two windows are over");
        self.settle();
    }

    fn level(&self, figure: &str) -> Level {
        let figures = self.flags.status().figures;
        figures.iter().find(|verdict| verdict.figure == figure).expect("it is judged").level
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.keeper.close();
        self.jobs.close();
    }
}

#[test]
fn each_figure_of_the_runbook_is_shown_is_told_and_rolls_back_by_itself() {
    for (figure, kind, well, beyond) in FIGURES {
        let hour = if matches!(kind, Kind::Growth) { 61 } else { 1 };
        for (level, value) in [Level::Watch, Level::Alert, Level::RollBack].into_iter().zip(beyond) {
            let t = TestUniverse::new();
            let site = Site::start(|builder| builder.telemetry(t.telemetry()).thresholds(Thresholds::runbook()));
            site.baseline();
            (1..=2).for_each(|stage| site.advance_to(stage));
            let alerts = t.capture_telemetry(ALERT);
            site.windows(hour);
            assert_eq!((site.level(figure), site.flags.status().stage), (Level::Calm, 2), "{figure} is well");
            let shown = format!(": {figure} ");
            assert!(!site.flags.status().to_string().contains(&shown), "{}", site.flags.status());
            site.world.set(figure, value);
            site.windows(hour);
            if level == Level::RollBack {
                let last = site.flags.history().pop().expect("it was rolled back");
                assert!(
                    matches!(last.what, What::RolledBack { from: 2, .. } | What::RolledBack { from: 1, .. }),
                    "{last}"
                );
                assert_eq!(&*last.by, "guard runbook");
                assert!(last.why.starts_with(figure) && last.why.contains(" than "), "{last}");
            } else {
                assert_eq!((site.level(figure), site.flags.status().stage), (level, 2), "{figure} at {value}");
                let shown = format!("; {level}: {figure} ");
                assert!(site.flags.status().to_string().contains(&shown), "{}", site.flags.status());
            }
            let told: Vec<_> = alerts.take();
            let expected = usize::from(level >= Level::Alert);
            assert_eq!(told.len(), expected, "{figure} at {value}: {told:?}");
            for event in told {
                let said = |key| event.metadata.get(key).and_then(Value::as_str).map(str::to_owned);
                // What grows is an alert before it rolls back.
                let level = if matches!(kind, Kind::Growth) { Level::Alert } else { level };
                assert_eq!((said("figure"), said("level")), (Some(figure.to_owned()), Some(level.to_string())));
            }
            site.world.set(figure, well);
            site.windows(hour + 1);
            if level != Level::RollBack {
                assert_eq!(site.level(figure), Level::Calm, "{figure} is well again");
            }
        }
    }
}

#[test]
fn without_rollbacks_figures_are_told_of_and_no_stage_is_left() {
    let site = Site::start(|builder| builder.thresholds(Thresholds::runbook().without_rollbacks()));
    site.baseline();
    site.advance_to(1);
    for (figure, kind, _, [.., beyond]) in FIGURES {
        site.world.set(figure, beyond);
        site.windows(if matches!(kind, Kind::Growth) { 61 } else { 1 });
        assert_eq!((site.level(figure), site.flags.status().stage), (Level::Alert, 1), "{figure}");
    }
}

#[test]
fn an_alert_is_told_once_per_crossing_and_not_once_per_window() {
    let t = TestUniverse::new();
    let site = Site::start(|builder| builder.telemetry(t.telemetry()).thresholds(Thresholds::runbook()));
    site.advance_to(1);
    let alerts = t.capture_telemetry(ALERT);
    for value in [600e6, 600e6, 700e6, 1e6, 600e6, 300e6, 600e6] {
        site.world.set(Thresholds::MEMORY, value);
        site.windows(1);
    }
    let told = alerts.take();
    assert_eq!(told.len(), 3);
    let reason = told[0].metadata.get("reason").and_then(Value::as_str);
    assert_eq!(reason, Some("memory 600 MB, more than 500 MB"));
    assert_eq!(told[0].measurements.get("stage").and_then(Value::as_u64), Some(1));
}

#[test]
fn a_rollback_says_which_figure_and_goes_back_one_stage_per_window() {
    let t = TestUniverse::new();
    let site = Site::start(|builder| {
        builder.telemetry(t.telemetry()).plan(plan().cool_down(MINUTE)).thresholds(Thresholds::runbook())
    });
    (1..=2).for_each(|stage| site.advance_to(stage));
    let told = t.capture_telemetry(ROLLED_BACK);
    site.world.set(Thresholds::REGISTRY_LOOKUP, 25e6);
    site.windows(1);
    let last = site.flags.history().pop().expect("it was rolled back");
    let expected =
        "4: rolled back from stage 2 to 1 by guard runbook (registry lookup p99 25 ms, more than 20 ms); new off";
    assert_eq!(last.to_string(), expected.replacen('4', "3", 1));
    let refused = site.flags.advance_to(2, "alice", "again", Deadline::never());
    assert!(matches!(refused, Err(ChangeError::TooEarly { .. })), "it cools down as after any other: {refused:?}");
    site.windows(1);
    assert_eq!((site.flags.status().stage, told.take().len()), (0, 2));
    site.windows(3);
    assert_eq!(site.flags.history().len(), 4, "at stage 0 there is nothing to roll back");
}

#[test]
fn a_window_that_was_open_when_the_stage_changed_judges_nothing() {
    let site = Site::start(|builder| builder.thresholds(Thresholds::runbook()));
    site.advance_to(1);
    site.windows(1);
    site.world.set(Thresholds::RESTARTS, 1_000.0);
    site.time.advance(MINUTE / 2).expect("nothing is due");
    site.advance_to(2);
    site.world.set(Thresholds::RESTARTS, 0.0);
    site.windows(2);
    assert_eq!(site.flags.status().stage, 2);
}

#[test]
fn what_is_not_measured_and_what_has_no_baseline_is_said() {
    let site = Site::start(|builder| {
        let mine = Thresholds::runbook().and(Threshold::above("queue length", Unit::Count).alert(5.0));
        builder
            .thresholds(mine)
            .measure(Thresholds::MEMORY, || panic!("no such file"))
            .measure(Thresholds::THREADS, || Reading::Nothing("nobody counts them".into()))
    });
    site.advance_to(1);
    site.windows(1);
    let status = site.flags.status().to_string();
    for said in [
        "; memory not measured (it panicked: no such file)",
        "; threads not measured (nobody counts them)",
        "; queue length not measured (nobody measures it)",
        "; memory growth not measured (it is measured over an hour)",
        "; response time p99 1 ms (no baseline for: watch, alert, roll back)",
    ] {
        assert!(status.contains(said), "{said}: {status}");
    }
}

#[test]
fn a_users_own_figure_is_judged_the_same_way() {
    let length = Arc::new(Mutex::new(1.0));
    let reads = Arc::clone(&length);
    let site = Site::start(|builder| {
        let mine = Thresholds::new("mine").and(Threshold::above("queue length", Unit::Count).roll_back(5.0));
        builder.thresholds(mine).measure("queue length", move || Reading::Gauge(*reads.lock()))
    });
    site.advance_to(1);
    site.windows(2);
    *length.lock() = 6.0;
    site.windows(1);
    let last = site.flags.history().pop().expect("it was rolled back");
    assert_eq!((&*last.by, &*last.why), ("guard mine", "queue length 6, more than 5"));
}

#[test]
fn while_nothing_is_monitored_nothing_is_measured_and_no_timer_is_set() {
    let site = Site::start(|builder| builder.thresholds(Thresholds::runbook()));
    site.settle();
    assert_eq!(site.keeper.pending(), 0);
    site.advance_to(1);
    assert_eq!(site.keeper.pending(), 1);
    site.windows(1);
    assert_eq!(site.flags.status().figures.len(), 9);
    site.flags.hold(&WATCH, "alice", "too loud").expect("it is the plan's");
    assert!(site.flags.status().figures.is_empty(), "what was found before is not shown as if it were found now");
    site.settle();
    assert_eq!(site.keeper.pending(), 0);
    site.flags.release(&WATCH, "alice", "again", Deadline::never()).expect("it is the plan's");
    site.settle();
    site.flags.emergency_rollback("a drill");
    site.settle();
    assert_eq!(site.keeper.pending(), 0);
}

#[test]
fn a_courier_without_room_delays_a_judgement_by_a_second_and_no_more() {
    let (time, keeper) = keeper();
    let (elsewhere, jobs) = courier(&time);
    let (world, full) = (World::default(), Arc::new(Mutex::new(false)));
    let is_full = Arc::clone(&full);
    let errands = Errands::new(move |errand| if *is_full.lock() { Err(errand) } else { elsewhere.send(errand) });
    let flags = builder(&time, &keeper, &errands, &world).thresholds(Thresholds::runbook()).start().expect("they fit");
    let site = Site { flags, world, time, keeper, jobs };
    site.advance_to(1);
    site.world.set(Thresholds::CONTEXT_OVERHEAD, 1e6);
    *full.lock() = true;
    site.windows(1);
    assert_eq!(site.flags.status().stage, 1, "nobody could measure");
    *full.lock() = false;
    site.time.advance(foundation_sync::SECOND).expect("it is tried again");
    assert_eq!(site.flags.status().stage, 0);
}

#[test]
fn a_baseline_holds_percentiles_and_counts_of_all_its_windows() {
    let t = TestUniverse::new();
    let site = Site::start(|builder| builder.telemetry(t.telemetry()));
    let told = t.capture_telemetry(BASELINE);
    let nothing_yet = site.flags.finish_baseline("alice", "x", Deadline::never());
    assert_eq!(nothing_yet, Err(ChangeError::NoBaseline));
    site.flags.start_baseline("alice", "before", Deadline::never()).expect("none is under way");
    site.settle();
    let too_early = site.flags.finish_baseline("alice", "x", Deadline::never());
    assert!(matches!(too_early, Err(ChangeError::NothingMeasured { .. })), "{too_early:?}");
    let twice = site.flags.start_baseline("bob", "too", Deadline::never());
    assert!(matches!(twice, Err(ChangeError::BaselineUnderWay { .. })), "{twice:?}");
    for value in [1e6, 3e6] {
        site.world.set(Thresholds::REGISTRY_LOOKUP, value);
        site.windows(1);
    }
    assert_eq!(site.flags.baseline(), None);
    site.flags.finish_baseline("alice", "well", Deadline::never()).expect("two windows are over");
    site.settle();
    let baseline = site.flags.baseline().expect("it is finished");
    let lookups = baseline.figures[Thresholds::REGISTRY_LOOKUP];
    assert_eq!((lookups.windows, lookups.mean, lookups.least, lookups.most), (2, 2e6, 1e6, 3e6));
    assert_eq!((lookups.p50, lookups.p95, lookups.p99), (0.5e6, 1e6, 2e6));
    assert!(!baseline.figures.contains_key(Thresholds::MEMORY_GROWTH), "there was no hour to measure it");
    assert_eq!(site.keeper.pending(), 0, "nothing is measured any more");
    let told: Vec<_> = told.take().iter().map(|event| event.metadata.get("finished").cloned()).collect();
    assert_eq!(told, [Some(Value::from(false)), Some(Value::from(true))]);
    let empty = Flags::builder().plan(plan()).start().expect("it fits");
    assert_eq!(empty.start_baseline("alice", "x", Deadline::never()), Err(ChangeError::NoMeasures));
}

#[cfg(feature = "file")]
#[test]
fn a_baseline_survives_a_restart_also_one_that_is_under_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let start = || Site::start(|builder| builder.file(&file).thresholds(Thresholds::runbook()));
    let first = start();
    first.flags.start_baseline("alice", "before", Deadline::never()).expect("none is under way");
    first.settle();
    first.windows(2);
    let under_way = first.flags.baseline_under_way().expect("it is not finished");
    assert_eq!(under_way.figures[Thresholds::THREADS].windows, 2);

    let second = start();
    assert_eq!(second.flags.baseline_under_way(), Some(under_way));
    second.windows(1);
    second.flags.finish_baseline("bob", "well", Deadline::never()).expect("three windows are over");
    let finished = second.flags.baseline().expect("it is finished");
    assert_eq!((finished.figures[Thresholds::THREADS].windows, finished.version), (3, 1));

    let third = start();
    assert_eq!((third.flags.baseline(), third.flags.baseline_under_way()), (Some(finished), None));
    (1..=2).for_each(|stage| third.advance_to(stage));
    third.world.set(Thresholds::THREADS, 21.0);
    third.windows(1);
    let last = third.flags.history().pop().expect("it was rolled back");
    assert_eq!(&*last.why, "threads 21, more than 20", "twice what it was before the restarts");
}
