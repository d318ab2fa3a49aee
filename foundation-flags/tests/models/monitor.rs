//! Figures that are judged while stages change.

use std::{sync::Arc, time::Duration};

use foundation_flags::{Builder, ChangeError, Flag, Flags, MigrationPlan, Reading, Threshold, Thresholds, Unit, What};
use foundation_sync::{Clock, Deadline, Errand, Errands, Mutex, Switch, Timekeeper, thread};
use foundation_testkit::{explore, join, reached, spawn};

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");
const FREE: Flag = Flag::off("free");

/// A courier that runs an errand when it is told to, and a timekeeper whose windows are over at once.
#[derive(Clone)]
struct Around {
    errands: Arc<Mutex<Vec<Errand>>>,
    bodies: Arc<Mutex<Vec<thread::JoinHandle<()>>>>,
}

impl Around {
    fn new() -> Self {
        Self { errands: Arc::default(), bodies: Arc::default() }
    }

    fn flags(&self, builder: Builder) -> Flags {
        let (errands, bodies) = (Arc::clone(&self.errands), Arc::clone(&self.bodies));
        let keeper = Timekeeper::new(Clock::system(), move |body| {
            let body = spawn(body);
            bodies.lock().push(body);
            Ok(())
        });
        let errands = Errands::new(move |errand| {
            errands.lock().push(errand);
            Ok(())
        });
        let thresholds = Thresholds::new("model").and(Threshold::above("bad", Unit::Count).roll_back(0.0));
        let builder = builder.errands(&errands).timekeeper(&keeper).thresholds(thresholds.window(Duration::ZERO));
        let plan = MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B]).without_waiting();
        let builder = builder.plan(plan).measure("bad", || Reading::Gauge(1.0));
        builder.start().expect("they fit together")
    }

    /// The oldest errand.
    fn errand(&self) -> Option<Errand> {
        let mut errands = self.errands.lock();
        if errands.is_empty() { None } else { Some(errands.remove(0)) }
    }

    /// Runs what follows a decision and the beginning of a window; returns what measures at its end.
    fn end_of_window(&self) -> Errand {
        for what in ["what follows", "the beginning of a window"] {
            self.errand().expect(what)();
        }
        self.join_bodies();
        self.errand().expect("the window is over")
    }

    fn join_bodies(&self) {
        loop {
            let body = self.bodies.lock().pop();
            match body {
                Some(body) => join(body),
                None => break,
            }
        }
    }

    fn end(&self) {
        self.join_bodies();
        let errands = std::mem::take(&mut *self.errands.lock());
        drop(errands);
        self.join_bodies();
    }
}

#[test]
fn an_emergency_stands_against_an_advance_and_a_judgement() {
    explore("an emergency stands against an advance and a judgement")
        .reaches(&[
            "the guard was first",
            "the advance was first",
            "the emergency was first",
            "monitor: the stage has changed meanwhile",
            "monitor: the stage has changed while it was read",
            "flags: a rollback came in between",
        ])
        .catches(&[
            "monitor: judges a stage by another's figures",
            "flags: an advance is published over an emergency",
            "switch: a late push wins",
        ])
        .run(|| {
            let (service, around) = (Switch::on(), Around::new());
            let flags = around.flags(Flags::builder().bind(&A, &service));
            flags.advance_to(1, "alice", "x", Deadline::never()).expect("it is next");
            let judgement = around.end_of_window();
            let judges = spawn(judgement);
            let advances = flags.clone();
            let advances = spawn(move || match advances.advance_to(2, "alice", "x", Deadline::never()) {
                Ok(_) | Err(ChangeError::NotNext { .. } | ChangeError::Superseded(_)) => {}
                Err(other) => panic!("{other}"),
            });
            flags.emergency_rollback("all is lost");
            assert!(!service.is_on(), "set when the call returned");
            join(judges);
            join(advances);
            let history = flags.history();
            match history[1].what {
                What::RolledBack { .. } => reached!("the guard was first"),
                What::Advanced { .. } => reached!("the advance was first"),
                _ => reached!("the emergency was first"),
            }
            let judged = history.iter().find_map(|change| match change.what {
                What::RolledBack { from, .. } => Some(from),
                _ => None,
            });
            assert!(judged.is_none_or(|from| from == 1), "rolled back from {judged:?}, where nothing was measured");
            // What comes after an emergency is refused, but for the first stage, which is nobody's here.
            let view = flags.view();
            assert_eq!((view.stage(), view.enabled(&A), flags.enabled(&A), service.is_on()), (0, false, false, false));
            around.end();
        });
}

#[test]
fn what_was_measured_while_a_decision_was_made_is_not_lost_by_it() {
    explore("what was measured while a decision was made is not lost by it")
        .reaches(&["the figures came while a decision was made", "the decision was first"])
        .catches(&["baseline: a decision forgets what was measured meanwhile"])
        .run(|| {
            let around = Around::new();
            let flags = around.flags(Flags::builder().flag(&FREE));
            flags.start_baseline("alice", "x", Deadline::never()).expect("none is under way");
            let measures = spawn(around.end_of_window());
            let change = flags.change("bob", "x").on(&FREE).apply(Deadline::never()).expect("it is free");
            let there = flags.baseline_under_way().expect("it is under way").figures.len();
            if there > 0 {
                reached!("the figures came while a decision was made")
            } else {
                reached!("the decision was first")
            }
            join(measures);
            let figures = flags.baseline_under_way().expect("it is under way").figures.clone();
            assert_eq!((figures.len(), change.version, flags.enabled(&FREE)), (1, 2, true));
            around.end();
        });
}
