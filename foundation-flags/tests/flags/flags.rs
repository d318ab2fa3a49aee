//! What flags and stages promise, one call after another.

use std::sync::Arc;

use foundation_context::{Value, fields};
use foundation_flags::{
    Builder, ChangeError, EMERGENCY, FLAG_CHANGED, FailureGuard, Flag, Flags, MigrationPlan, ROLLED_BACK, Reading,
    STAGE_ENABLED, StartError, Thresholds, What,
};
use foundation_sync::{Errand, Errands, Full, MINUTE, Mutex, Queue, Switch, Timekeeper, VirtualTime, thread};
use foundation_testkit::TestUniverse;

use crate::timed::{courier, keeper};

use crate::soon;

const WATCH: Flag = Flag::off("watch");
const NEW: Flag = Flag::off("new");
const STRICT: Flag = Flag::off("strict");
const FREE: Flag = Flag::off("free");
const DEFAULT_ON: Flag = Flag::on("default_on");

fn plan() -> MigrationPlan {
    let plan = MigrationPlan::new("p").stage("watching", &[WATCH]).stage("switching", &[NEW]).stage("end", &[STRICT]);
    plan.monitored_by(WATCH).enforced_by(STRICT).without_waiting()
}

#[track_caller]
fn flags() -> Flags {
    Flags::builder().flag(&FREE).flag(&DEFAULT_ON).plan(plan()).start().expect("they fit together")
}

#[test]
fn a_flag_says_its_default_until_somebody_decides_and_where_it_is_not_declared() {
    let flags = flags();
    let read = |flag: &Flag| (flags.enabled(flag), flags.view().enabled(flag));
    assert_eq!((read(&FREE), read(&DEFAULT_ON)), ((false, false), (true, true)));
    assert_eq!(read(&Flag::on("unknown")), (true, true));
    assert!(flags.gate(&Flag::on("unknown")).enabled());
    let change = flags.change("alice", "test").on(&FREE).off(&DEFAULT_ON).apply(soon()).expect("they are free");
    assert_eq!((read(&FREE), read(&DEFAULT_ON)), ((true, true), (false, false)));
    assert_eq!(change.to_string(), "1: set by alice (test); free on, default_on off");
}

#[test]
fn a_gate_is_held_and_follows_every_change_also_when_the_flags_are_gone_it_stays() {
    let flags = flags();
    let gate = flags.gate(&FREE);
    assert!(!gate.enabled());
    flags.change("alice", "test").on(&FREE).apply(soon()).expect("it is free");
    assert!(gate.enabled());
    drop(flags);
    assert!(gate.enabled());
}

#[test]
fn a_change_sets_the_switch_of_the_service_and_a_service_goes_on_without_flags() {
    let service = Switch::on();
    let flags = Flags::builder().bind(&NEW, &service).plan(plan()).start().expect("they fit together");
    assert!(!service.is_on(), "stage 0 has it off");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    assert!(!service.is_on());
    flags.advance_to(2, "alice", "day 2", soon()).expect("it is next");
    assert!(service.is_on());
    drop(flags);
    assert!(service.is_on());
}

#[test]
fn stages_go_up_one_by_one_and_down_to_any() {
    let flags = flags();
    let on = || flags.view().all().into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect::<Vec<_>>();
    for stage in 1..=3 {
        flags.advance_to(stage, "alice", "next", soon()).expect("it is next");
    }
    assert_eq!((flags.status().stage, on()), (3, vec!["default_on", "watch", "new", "strict"]));
    let back = flags.rollback_to(1, "bob", "too slow").expect("it is lower");
    assert_eq!(back.what, What::RolledBack { from: 3, to: 1 });
    assert_eq!((flags.status().stage, on()), (1, vec!["default_on", "watch"]));
    flags.rollback_to(0, "bob", "all of it").expect("0 is lower");
    assert_eq!((flags.status().stage, on()), (0, vec!["default_on"]));
    assert_eq!(flags.status().rollbacks, 2);
    let history: Vec<_> = flags.history().iter().map(|change| (change.version, change.what)).collect();
    assert_eq!(history.last(), Some(&(5, What::RolledBack { from: 1, to: 0 })));
}

#[test]
fn a_flag_that_is_held_is_off_at_any_stage_until_it_is_released() {
    let flags = flags();
    flags.hold(&NEW, "alice", "it leaks").expect("it is the plan's");
    for stage in [1, 2] {
        flags.advance_to(stage, "alice", "next", soon()).expect("it is next");
    }
    assert!(!flags.enabled(&NEW) && flags.enabled(&WATCH));
    assert_eq!(flags.status().held, ["new"]);
    assert!(!flags.status().is_complete());
    flags.release(&NEW, "alice", "mended", soon()).expect("it is the plan's");
    assert!(flags.enabled(&NEW));
    let refused = flags.change("bob", "I want it off").off(&NEW).apply(soon()).expect_err("it is the plan's");
    assert_eq!(refused.to_string(), "`new` is the plan's: its stage decides; to turn it off at any stage `hold` it");
    flags.advance_to(3, "alice", "enforce", soon()).expect("it is next");
    assert_eq!(flags.hold(&NEW, "bob", "x"), Err(ChangeError::Enforced { flag: "new", by: "strict" }));
    assert!(flags.rollback_to(1, "bob", "x").is_ok(), "but a rollback is always possible");
}

#[test]
fn of_two_advances_at_once_one_wins() {
    let flags = flags();
    let results = Arc::new(Mutex::new(Vec::new()));
    let racers: Vec<_> = (0..8)
        .map(|number| {
            let (flags, results) = (flags.clone(), Arc::clone(&results));
            let race = move || {
                let result = flags.advance_to(1, "racer", "first", soon());
                results.lock().push(result.map(|change| change.version));
            };
            thread::Builder::new(format!("racer {number}")).spawn(race).expect("a thread")
        })
        .collect();
    racers.into_iter().for_each(|racer| racer.join().expect("it does not panic"));
    let results = results.lock();
    assert_eq!(results.iter().filter(|result| **result == Ok(1)).count(), 1, "{results:?}");
    let refused = Err(ChangeError::NotNext { asked: 1, now: 1, last: 3 });
    assert_eq!(results.iter().filter(|result| **result == refused).count(), 7, "{results:?}");
}

#[test]
fn a_plan_can_be_read_back() {
    let flags = flags();
    let stages: Vec<_> = flags.plan().expect("there is one").stages().map(|(name, flags)| (name, flags[0])).collect();
    assert_eq!(stages, [("watching", WATCH), ("switching", NEW), ("end", STRICT)]);
}

#[test]
fn decisions_that_were_forgotten_before_they_were_told_are_counted() {
    let t = TestUniverse::new();
    let later = Queue::<Errand>::bounded(1_000, Full::Refuse);
    let takes = later.clone();
    let errands = Errands::new(move |errand| takes.try_send(errand).map_err(|refused| refused.into_inner()));
    let flags = Flags::builder().telemetry(t.telemetry()).errands(&errands).plan(plan()).start().expect("they fit");
    let capture = t.capture_telemetry(EMERGENCY);
    (0..300).for_each(|_| _ = flags.emergency_rollback("test"));
    later.drain().into_iter().for_each(|errand| errand());
    assert_eq!((capture.take().len(), flags.untold()), (256, 44));
}

#[test]
fn a_status_says_where_it_stands_and_what_is_left_of_the_old_way() {
    let service = Switch::on();
    let flags = Flags::builder().bind(&NEW, &service).plan(plan()).start().expect("they fit together");
    let old = service.enter();
    for stage in 1..=3 {
        flags.advance_to(stage, "alice", "next", soon()).expect("it is next");
    }
    let status = flags.status();
    assert_eq!((status.name, status.old_guards.clone(), status.is_complete()), (Some("end"), vec![("new", 1)], false));
    assert_eq!(
        status.to_string(),
        "stage 3 of 3 (end); on: new, watch, strict; rollbacks: 0; open from the old way: new 1"
    );
    drop(old);
    assert!(flags.status().is_complete());
}

#[test]
fn decisions_are_told_once_and_in_their_order() {
    let t = TestUniverse::new();
    let flags = Flags::builder().telemetry(t.telemetry()).plan(plan()).start().expect("they fit together");
    let capture = t.capture_telemetry([STAGE_ENABLED, ROLLED_BACK, FLAG_CHANGED]);
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    flags.rollback_to(0, "bob", "no").expect("it is lower");
    let told: Vec<_> = capture.take().iter().map(|event| (event.name, event.measurements.clone())).collect();
    let expected = [
        (STAGE_ENABLED, fields! { stage: 1_usize, version: 1_u64 }),
        (FLAG_CHANGED, fields! { version: 1_u64 }),
        (ROLLED_BACK, fields! { from_stage: 1_usize, to_stage: 0_usize, version: 2_u64 }),
        (FLAG_CHANGED, fields! { version: 2_u64 }),
    ];
    assert_eq!(told, expected);
    assert_eq!(flags.untold(), 0);
}

fn guarded(keeper: &Timekeeper, errands: &Errands) -> Builder {
    let guard = FailureGuard::above("errors", 0.5).window(MINUTE).at_least(10);
    Flags::builder().timekeeper(keeper).errands(errands).plan(plan()).guard(guard)
}

/// Lets the window that is open close, and be judged.
fn close(flags: &Flags, time: &VirtualTime) {
    let attempts = flags.attempts().expect("there is a guard");
    assert_ne!(format!("{attempts:?}"), "Attempts(0 of 0 failed)", "it is open");
    time.advance(MINUTE).expect("it is judged");
    assert_eq!(format!("{attempts:?}"), "Attempts(0 of 0 failed)");
}

fn fail(flags: &Flags, times: usize) {
    let attempts = flags.attempts().expect("there is a guard");
    (0..times).for_each(|_| drop(attempts.begin()));
}

fn succeed(flags: &Flags, times: usize) {
    let attempts = flags.attempts().expect("there is a guard");
    (0..times).for_each(|_| attempts.begin().succeeded());
}

fn up_to(flags: &Flags, stage: usize) {
    for next in flags.status().stage + 1..=stage {
        flags.advance_to(next, "alice", "next", soon()).expect("it is next");
    }
}

#[test]
fn a_guard_rolls_the_stage_back_when_too_many_attempts_fail() {
    let (t, (time, keeper)) = (TestUniverse::new(), keeper());
    let (errands, jobs) = courier(&time);
    let flags = guarded(&keeper, &errands).telemetry(t.telemetry()).start().expect("they fit together");
    let capture = t.capture_telemetry(ROLLED_BACK);
    fail(&flags, 100);
    assert_eq!(keeper.pending(), 0, "nothing is counted before the stage of monitoring");
    up_to(&flags, 2);
    fail(&flags, 9);
    close(&flags, &time);
    assert_eq!(flags.status().stage, 2, "so few are not judged");
    fail(&flags, 5);
    succeed(&flags, 5);
    close(&flags, &time);
    assert_eq!(flags.status().stage, 2, "half of them is not more than half");
    fail(&flags, 20);
    close(&flags, &time);
    assert_eq!(flags.status().stage, 1);
    let history = flags.history();
    let last = history.last().expect("it was rolled back");
    assert_eq!((last.what, &*last.by), (What::RolledBack { from: 2, to: 1 }, "guard errors"));
    assert!(last.why.contains("failed: 100.0 %, more than 50.0 %"), "{last}");
    let told = capture.take().pop().expect("the courier is done, too");
    assert_eq!(told.metadata.get("by").and_then(Value::as_str), Some("guard errors"));
    keeper.close();
    jobs.close();
}

#[test]
fn an_attempt_is_held_against_the_stage_at_which_it_began() {
    let (time, keeper) = keeper();
    let (errands, jobs) = courier(&time);
    let flags = guarded(&keeper, &errands).start().expect("they fit together");
    up_to(&flags, 1);
    let attempts = flags.attempts().expect("there is a guard");
    let before: Vec<_> = (0..50).map(|_| attempts.begin()).collect();
    up_to(&flags, 2);
    succeed(&flags, 10);
    drop(before);
    close(&flags, &time);
    assert_eq!(flags.status().stage, 2, "those of before are not counted: {attempts:?}");
    // A window that was open when the stage changed is not judged.
    fail(&flags, 20);
    up_to(&flags, 3);
    close(&flags, &time);
    assert_eq!(flags.status().stage, 3);
    keeper.close();
    jobs.close();
}

#[test]
fn a_hold_starts_a_new_window_and_while_nothing_is_monitored_nothing_is_judged() {
    for held in [NEW, WATCH] {
        let (time, keeper) = keeper();
        let (errands, jobs) = courier(&time);
        let flags = guarded(&keeper, &errands).start().expect("they fit together");
        up_to(&flags, 2);
        fail(&flags, 20);
        flags.hold(&held, "alice", "test").expect("it is the plan's");
        close(&flags, &time);
        assert_eq!(flags.status().stage, 2, "{held:?}");
        keeper.close();
        jobs.close();
    }
}

#[test]
fn a_courier_without_room_does_not_keep_a_guard_from_rolling_back() {
    let (t, (time, keeper)) = (TestUniverse::new(), keeper());
    let (full, taken) = (Arc::new(Mutex::new(true)), Queue::<Errand>::bounded(100, Full::Refuse));
    let (is_full, takes) = (Arc::clone(&full), taken.clone());
    let errands = Errands::new(move |errand| match *is_full.lock() {
        true => Err(errand),
        false => takes.try_send(errand).map_err(|refused| refused.into_inner()),
    });
    let flags = guarded(&keeper, &errands).telemetry(t.telemetry()).start().expect("they fit together");
    up_to(&flags, 2);
    let capture = t.capture_telemetry(ROLLED_BACK);
    fail(&flags, 20);
    close(&flags, &time);
    assert_eq!(flags.status().stage, 1);
    assert!(capture.take().is_empty(), "no handler runs on the timekeeper");
    *full.lock() = false;
    time.advance(MINUTE).expect("it is offered again");
    let errand = taken.try_recv().expect("it was");
    errand();
    assert_eq!(capture.take().len(), 1);
    keeper.close();
}

#[test]
fn declarations_that_do_not_fit_together_are_refused() {
    let refused = |builder: foundation_flags::Builder| builder.start().map(drop).expect_err("refused");
    let again = Flag::on("free");
    let twice = refused(Flags::builder().flag(&FREE).flag(&again)).to_string();
    let (here, there) = (FREE.declared_at(), again.declared_at());
    let expected = format!("the flag `free` is declared twice, with different defaults: at {here} and at {there}");
    assert_eq!(twice, expected);
    let stranger = refused(Flags::builder().plan(MigrationPlan::new("p").stage("one", &[NEW]).monitored_by(WATCH)));
    assert_eq!(stranger.to_string(), "`watch` is to watch over the plan, and is in none of its stages");
    let guard = FailureGuard::above("errors", 0.5);
    assert_eq!(refused(Flags::builder().guard(guard.clone())), StartError::GuardWithoutPlan);
    let measures = Flags::builder().measure("queue", || Reading::Gauge(1.0));
    for figures in [measures, Flags::builder().thresholds(Thresholds::runbook())] {
        let refused = refused(figures);
        assert_eq!(refused, StartError::FiguresWithoutPlan);
        let text = refused.to_string();
        assert!(text.starts_with("figures are measured") && !text.contains("guard"), "{text}");
    }
    let elsewhere = Errands::new(Err);
    let without_keeper = Flags::builder().plan(plan()).errands(&elsewhere).guard(guard.clone());
    assert_eq!(refused(without_keeper), StartError::GuardWithoutTimekeeper);
    let without_errands = Flags::builder().plan(plan()).timekeeper(&keeper().1).guard(guard);
    assert_eq!(refused(without_errands), StartError::GuardWithoutErrands);
    let switch = Switch::on();
    let shared = refused(Flags::builder().bind(&FREE, &switch).bind(&NEW, &switch));
    assert_eq!(shared.to_string(), "the flags `free` and `new` are bound to one switch: give each its own");
    assert!(Flags::builder().flag(&FREE).flag(&FREE).start().is_ok(), "the same flag again is the same flag");
}

#[test]
fn flags_without_a_plan_have_no_stages() {
    let flags = Flags::builder().flag(&FREE).start().expect("it fits");
    assert_eq!(flags.advance_to(1, "alice", "x", soon()), Err(ChangeError::NoPlan));
    assert_eq!(flags.rollback_to(0, "alice", "x"), Err(ChangeError::NoPlan));
    assert_eq!(flags.hold(&Flag::off("unknown"), "alice", "x"), Err(ChangeError::Undeclared("unknown")));
    flags.change("alice", "x").on(&FREE).apply(soon()).expect("it is free");
    flags.emergency_rollback("x");
    assert!(flags.enabled(&FREE), "an emergency is about the plan");
    assert!(!flags.status().is_complete(), "there is no migration that could be");
    let empty = Flags::builder().start().expect("it fits");
    assert_eq!(format!("{empty:?}"), "Flags(version 0, stage 0, on: [])");
}
