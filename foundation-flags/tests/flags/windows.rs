//! Windows of figures against decisions, with a courier that runs an errand when it is told to.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use foundation_flags::{FailureGuard, Flag, Flags, Level, MigrationPlan, Reading, Threshold, Thresholds, Unit};
use foundation_sync::{Deadline, Errand, Errands, MINUTE, Mutex, Timekeeper, VirtualTime, thread};

use crate::timed::keeper;

const WATCH: Flag = Flag::off("watch");
const NEW: Flag = Flag::off("new");
const LATER: Flag = Flag::off("later");

/// Says on which thread it is dropped.
struct Dropped(Arc<Mutex<Option<thread::ThreadId>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock() = Some(thread::id());
    }
}

type During = dyn Fn(&Flags, &Jobs) + Send;

#[derive(Clone, Default)]
struct Jobs(Arc<Mutex<VecDeque<Errand>>>);

impl Jobs {
    /// Runs the oldest errand.
    fn run(&self) -> bool {
        let job = self.0.lock().pop_front();
        job.map(|job| job()).is_some()
    }

    fn settle(&self) {
        while self.run() {}
    }
}

/// One figure, `restarts`, a count by the minute: more than 5 is an alert, more than 10 rolls back.
struct Site {
    flags: Flags,
    jobs: Jobs,
    time: VirtualTime,
    keeper: Timekeeper,
    restarts: Arc<Mutex<u64>>,
    /// What is done, once, while the figure is read.
    during: Arc<Mutex<Option<Box<During>>>>,
}

impl Site {
    fn start(window: Duration) -> Self {
        let (time, keeper) = keeper();
        let jobs = Jobs::default();
        let takes = jobs.clone();
        let errands = Errands::new(move |errand| {
            takes.0.lock().push_back(errand);
            Ok(())
        });
        let (restarts, during) = (Arc::<Mutex<u64>>::default(), Arc::<Mutex<Option<Box<During>>>>::default());
        let myself = Arc::<Mutex<Option<Flags>>>::default();
        let (count, hook, of, queue) = (Arc::clone(&restarts), Arc::clone(&during), Arc::clone(&myself), jobs.clone());
        let plan = MigrationPlan::new("p").stage("one", &[WATCH]).stage("two", &[NEW]).stage("three", &[LATER]);
        let threshold = Threshold::above("restarts", Unit::PerMinute).alert(5.0).roll_back(10.0);
        let flags = Flags::builder()
            .clock(&time.clock())
            .timekeeper(&keeper)
            .errands(&errands)
            .plan(plan.monitored_by(WATCH).without_waiting())
            .thresholds(Thresholds::new("t").window(window).and(threshold))
            .measure("restarts", move || {
                let (hook, flags) = (hook.lock().take(), of.lock().clone());
                if let (Some(hook), Some(flags)) = (hook, flags) {
                    hook(&flags, &queue);
                }
                Reading::Count(*count.lock())
            })
            .start()
            .expect("they fit together");
        *myself.lock() = Some(flags.clone());
        Self { flags, jobs, time, keeper, restarts, during }
    }

    fn advance_to(&self, stage: usize) {
        self.flags.advance_to(stage, "alice", "next", Deadline::never()).expect("it is next");
    }

    fn pass(&self, span: Duration) {
        self.time.advance(span).expect("the timekeeper is done with it");
        self.jobs.settle();
    }

    fn figure(&self) -> Option<(f64, Level)> {
        let figures = self.flags.status().figures;
        figures.first().map(|it| (*it.value.as_ref().expect("it is measured"), it.level))
    }

    fn alerts(&self) -> Vec<usize> {
        let day = |text| foundation_flags::Date::parse(text).expect("there is such a day");
        let report = self.flags.report(day("2000-01-01"), day("2000-12-31"));
        report.alerts.iter().map(|alert| alert.stage).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.during.lock().take();
        self.jobs.settle();
        self.keeper.close();
    }
}

#[test]
fn a_window_that_a_second_decision_finds_open_is_not_over_before_its_time() {
    for while_it_is_opened in [false, true] {
        let site = Site::start(MINUTE);
        site.advance_to(1);
        assert!(site.jobs.run(), "it looks, and the courier is to read");
        site.advance_to(2);
        if while_it_is_opened {
            // What follows the second decision comes while the figure is read.
            *site.during.lock() = Some(Box::new(|_, jobs| assert!(jobs.run())));
        }
        assert!(site.jobs.run(), "stage 2 is there already: its window is opened");
        *site.restarts.lock() = 1;
        site.time.advance(MINUTE / 600).expect("nothing is due");
        site.jobs.settle();
        assert_eq!((site.flags.status().stage, site.figure()), (2, None), "{}", site.flags.status());
        site.pass(MINUTE);
        assert!(site.figure().is_some_and(|(value, level)| value < 1.1 && level == Level::Calm), "{:?}", site.figure());
    }
}

#[test]
fn figures_are_those_of_the_present_stay_and_an_alert_is_told_once_in_each() {
    let site = Site::start(MINUTE);
    site.advance_to(1);
    site.jobs.settle();
    let restart = |count| {
        *site.restarts.lock() += count;
        site.pass(MINUTE);
    };
    restart(6);
    restart(6);
    assert_eq!((site.figure(), site.alerts()), (Some((6.0, Level::Alert)), vec![1]));
    site.flags.rollback_to(0, "bob", "x").expect("it is lower");
    site.jobs.settle();
    assert_eq!(site.figure(), None);
    site.pass(MINUTE * 100);
    site.advance_to(1);
    assert_eq!(site.figure(), None, "no window of this stay is over");
    site.jobs.settle();
    assert_eq!(site.figure(), None, "nor here");
    restart(6);
    assert_eq!((site.figure(), site.alerts()), (Some((6.0, Level::Alert)), vec![1, 1]));
}

#[test]
fn what_was_read_while_the_stage_changed_is_nobodys_figure() {
    let site = Site::start(MINUTE);
    site.advance_to(1);
    site.jobs.settle();
    site.flags.start_baseline("alice", "the usual load", Deadline::never()).expect("none is under way");
    site.jobs.settle();
    *site.restarts.lock() = 6;
    *site.during.lock() = Some(Box::new(|flags, _| {
        flags.advance_to(2, "alice", "next", Deadline::never()).expect("it is next");
    }));
    site.pass(MINUTE);
    assert_eq!((site.flags.status().stage, site.figure(), site.alerts()), (2, None, vec![]));
    let baseline = site.flags.baseline_under_way().expect("it goes on");
    assert!(baseline.figures.is_empty(), "nor one of the baseline: {baseline:?}");
}

#[test]
fn a_window_of_no_length_is_one_of_a_millisecond() {
    let site = Site::start(Duration::ZERO);
    site.advance_to(1);
    site.jobs.settle();
    let millisecond = Duration::from_millis(1);
    site.time.advance(millisecond - Duration::from_nanos(1)).expect("nothing is due");
    assert!(!site.jobs.run(), "it is not over");
    site.time.advance(Duration::from_nanos(1)).expect("it is over");
    assert!(site.jobs.run());
}

/// The last handle goes while the timekeeper has one for a moment: the hook is called where it hands an errand over.
#[test]
fn what_users_have_given_is_dropped_by_the_courier_and_not_by_the_timekeeper() {
    for by_attempts in [false, true] {
        let (time, keeper) = keeper();
        let (jobs, last, dropped) = (Jobs::default(), Arc::<Mutex<Option<Flags>>>::default(), Arc::default());
        let (takes, goes) = (jobs.clone(), Arc::clone(&last));
        let errands = Errands::new(move |errand| {
            takes.0.lock().push_back(errand);
            // What is deferred keeps the flags, or not: it is the timekeeper's own handle that is asked for.
            let last = goes.lock().take();
            if last.is_some() {
                takes.0.lock().clear();
            }
            drop(last);
            Ok(())
        });
        let user = Dropped(Arc::clone(&dropped));
        let builder = Flags::builder()
            .clock(&time.clock())
            .timekeeper(&keeper)
            .errands(&errands)
            .plan(MigrationPlan::new("p").stage("one", &[NEW]).without_waiting())
            .ready_when("user", move |_| {
                let _user = &user;
                Ok(())
            });
        let builder = if by_attempts {
            builder.guard(FailureGuard::above("errors", 0.1).at_least(1))
        } else {
            builder.measure("count", || Reading::Gauge(1.0)).thresholds(Thresholds::new("t"))
        };
        let flags = builder.start().expect("they fit together");
        flags.advance_to(1, "alice", "next", Deadline::never()).expect("it is next");
        jobs.settle();
        if let Some(attempts) = flags.attempts() {
            drop(attempts.begin());
        }
        *last.lock() = Some(flags);
        time.advance(MINUTE).expect("the timekeeper is done with it");
        assert!(last.lock().is_none(), "an errand was handed over");
        assert_eq!(*dropped.lock(), None, "the timekeeper has dropped nothing");
        jobs.settle();
        assert_eq!(*dropped.lock(), Some(thread::id()));
        keeper.close();
    }
}

#[test]
fn a_figure_is_counted_in_what_its_threshold_says() {
    let (time, keeper) = keeper();
    let jobs = Jobs::default();
    let takes = jobs.clone();
    let errands = Errands::new(move |errand| {
        takes.0.lock().push_back(errand);
        Ok(())
    });
    let counts = Arc::<Mutex<u64>>::default();
    let source = || {
        let counts = Arc::clone(&counts);
        move || Reading::Count(*counts.lock())
    };
    let flags = Flags::builder()
        .clock(&time.clock())
        .timekeeper(&keeper)
        .errands(&errands)
        .plan(MigrationPlan::new("p").stage("one", &[NEW]).without_waiting())
        .thresholds(Thresholds::new("t").window(2 * MINUTE).and(Threshold::above("rate", Unit::PerMinute)))
        .measure("rate", source())
        .measure("plain", source())
        .start()
        .expect("they fit together");
    flags.advance_to(1, "alice", "next", Deadline::never()).expect("it is next");
    flags.start_baseline("alice", "before", Deadline::never()).expect("none is under way");
    jobs.settle();
    *counts.lock() = 120;
    time.advance(2 * MINUTE).expect("the window is over");
    jobs.settle();
    let shown: Vec<_> = flags.status().figures.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["rate 60/min"]);
    let figures = flags.baseline_under_way().expect("it is under way").figures.clone();
    assert_eq!((figures["rate"].mean, figures["plain"].mean), (60.0, 120.0));
    keeper.close();
}
