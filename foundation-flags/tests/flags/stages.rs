//! How long one waits between stages.

use std::{sync::Arc, time::Duration};

use foundation_context::{Value, fields};
use foundation_flags::{
    Builder, ChangeError, Flag, Flags, MIGRATION_COMPLETE, MIGRATION_FAILED, MIGRATION_START, MigrationPlan,
    STAGE_ENABLED, What,
};
use foundation_sync::{Deadline, Mutex, VirtualTime, thread};
use foundation_testkit::TestUniverse;

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");
const HOUR: Duration = Duration::from_secs(3600);

fn plan() -> MigrationPlan {
    MigrationPlan::new("p").stage("one", &[A]).observe_for(4 * HOUR).stage("two", &[B])
}

fn timed(time: &VirtualTime) -> Builder {
    Flags::builder().clock(&time.clock()).plan(plan())
}

fn advance(flags: &Flags, stage: usize) -> Result<What, ChangeError> {
    flags.advance_to(stage, "alice", "next", Deadline::never()).map(|change| change.what)
}

#[test]
fn a_stage_that_comes_before_the_one_below_has_been_observed_is_refused_and_told_when() {
    let time = VirtualTime::new();
    let flags = timed(&time).start().expect("they fit together");
    advance(&flags, 1).expect("nothing is observed before the first");
    let until = time.clock().date() + 4 * HOUR;
    time.advance(HOUR).expect("nobody waits");
    let refused = advance(&flags, 2).expect_err("it is too early");
    assert_eq!(refused, ChangeError::TooEarly { asked: 2, until, left: 3 * HOUR });
    let expected = "stage 2 is not to come before 2000-01-01T04:00:00Z: wait for another 3h, or say `early`";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(flags.status().not_before, Some(until));
    assert!(flags.status().to_string().contains("; the next not before 2000-01-01T04:00:00Z"), "{}", flags.status());
    time.advance(3 * HOUR).expect("nobody waits");
    assert_eq!(flags.status().not_before, None);
    advance(&flags, 2).expect("it has been observed");
}

#[test]
fn the_last_stage_is_observed_and_nothing_is_said_of_a_next() {
    let time = VirtualTime::new();
    let last = MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B]).observe_for(4 * HOUR);
    let flags = Flags::builder().clock(&time.clock()).plan(last).start().expect("they fit together");
    (1..=2).for_each(|stage| _ = advance(&flags, stage).expect("it is next"));
    let text = flags.status().to_string();
    assert!(text.starts_with("stage 2 of 2 (two); observed until 2000-01-01T04:00:00Z; on: a, b;"), "{text}");
    time.advance(4 * HOUR).expect("nobody waits");
    let text = flags.status().to_string();
    assert!(text.starts_with("stage 2 of 2 (two); on: a, b;"), "{text}");
}

#[test]
fn early_is_a_decision_of_its_own() {
    let time = VirtualTime::new();
    let flags = timed(&time).start().expect("they fit together");
    let refused = flags.early("bob", "x", Deadline::never()).expect_err("nothing is waited for");
    assert_eq!(refused.to_string(), "the next stage may come already: `advance_to` it");
    advance(&flags, 1).expect("it is next");
    let early = flags.early("bob", "it is urgent", Deadline::never()).expect("it waits");
    assert_eq!(early.to_string(), "2: cut the wait short by bob (it is urgent)");
    advance(&flags, 2).expect("nothing is waited for any more");
    assert_eq!(flags.history().len(), 3);
}

#[test]
fn after_a_rollback_it_cools_down_for_an_hour_and_longer_where_the_stage_is_observed() {
    let time = VirtualTime::new();
    let flags = timed(&time).start().expect("they fit together");
    flags.emergency_rollback("a drill");
    time.advance(HOUR - Duration::from_secs(1)).expect("nobody waits");
    assert!(matches!(advance(&flags, 1), Err(ChangeError::TooEarly { .. })));
    time.advance(Duration::from_secs(1)).expect("nobody waits");
    advance(&flags, 1).expect("it has cooled down");
    time.advance(4 * HOUR).expect("nobody waits");
    advance(&flags, 2).expect("it has been observed");
    flags.rollback_to(1, "bob", "no").expect("it is lower");
    assert_eq!(flags.status().not_before, Some(time.clock().date() + 4 * HOUR));
}

#[cfg(feature = "file")]
#[test]
fn a_wait_survives_a_restart_and_is_told_in_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let start = |time: &VirtualTime| timed(time).file(&file).start().expect("it was written well");
    let time = VirtualTime::new();
    let flags = start(&time);
    advance(&flags, 1).expect("it is next");
    time.advance(HOUR).expect("nobody waits");
    let again = start(&time);
    assert_eq!(again.status(), flags.status());
    assert!(matches!(advance(&again, 2), Err(ChangeError::TooEarly { left, .. }) if left == 3 * HOUR));
    // By a time that has begun anew the calendar was put back by an hour.
    let anew = VirtualTime::new();
    let put_back = start(&anew);
    assert!(matches!(advance(&put_back, 2), Err(ChangeError::TooEarly { left, .. }) if left == 4 * HOUR));
    anew.advance(4 * HOUR).expect("nobody waits");
    advance(&put_back, 2).expect("not longer than the whole");
    let text = std::fs::read_to_string(&file).expect("it is there");
    assert!(!text.contains("not_before"), "{text}");
}

#[test]
fn a_program_that_is_not_ready_stays_where_it_is_and_is_told_each_reason() {
    let t = TestUniverse::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let flags = Flags::builder()
        .plan(plan().without_waiting())
        .telemetry(t.telemetry())
        .ready_when("replicas", |stage| if stage == 2 { Err("one is behind".to_owned()) } else { Ok(()) })
        .ready_when("thread", move |stage| {
            notes.lock().push((stage, thread::id()));
            Ok(())
        })
        .ready_when("alarm", |stage| if stage == 2 { panic!("the pager is off") } else { Ok(()) })
        .start()
        .expect("they fit together");
    let capture = t.capture_telemetry(MIGRATION_FAILED);
    advance(&flags, 1).expect("it is ready for that");
    let refused = advance(&flags, 2).expect_err("it is not ready");
    let expected = "not ready for stage 2: replicas (one is behind), alarm (it panicked: the pager is off)";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(flags.ready(2), Err(refused));
    assert_eq!((flags.status().stage, flags.ready(1)), (1, Ok(())));
    let asked_for: Vec<_> = asked.lock().iter().map(|(stage, _)| *stage).collect();
    assert_eq!(asked_for, [1, 2, 2, 1], "each time all of them");
    assert!(asked.lock().iter().all(|(_, asker)| *asker == thread::id()), "on whose thread it is");
    advance(&flags, 3).expect_err("there is no such stage");
    assert_eq!(asked.lock().len(), 4, "nobody is asked about a stage that can't come");
    let told = capture.take();
    assert_eq!(told.len(), 1, "it is told once, and what can't be is no failure");
    assert_eq!(told[0].measurements, fields! { from_stage: 1_usize, to_stage: 2_usize });
    assert_eq!(told[0].metadata.get("reason").and_then(Value::as_str), Some(expected));
}

/// Another change could not be made while the role is taken.
#[test]
fn a_check_may_change_flags_for_it_is_asked_before_anybody_has_the_role() {
    const FREE: Flag = Flag::off("free");
    let place = Arc::new(Mutex::new(None::<Flags>));
    let inside = Arc::clone(&place);
    let check = move |_| {
        let flags = inside.lock().clone().ok_or("it is not there yet")?;
        flags.change("check", "try").on(&FREE).apply(Deadline::now()).map(drop).map_err(|error| error.to_string())
    };
    let builder = Flags::builder().flag(&FREE).plan(plan().without_waiting()).ready_when("changes", check);
    let flags = builder.start().expect("they fit together");
    *place.lock() = Some(flags.clone());
    advance(&flags, 1).expect("it is ready");
    assert!(flags.enabled(&FREE));
    *place.lock() = None;
}

#[test]
fn the_beginning_and_the_end_of_a_migration_are_told_once() {
    let t = TestUniverse::new();
    let builder = Flags::builder().plan(plan().without_waiting()).telemetry(t.telemetry());
    let flags = builder.start().expect("they fit together");
    let capture = t.capture_telemetry([MIGRATION_START, STAGE_ENABLED, MIGRATION_COMPLETE]);
    (1..=2).for_each(|stage| _ = advance(&flags, stage).expect("it is next"));
    let told: Vec<_> = capture.take().iter().map(|event| (event.name, event.measurements.clone())).collect();
    let expected = [
        (MIGRATION_START, fields! { stages: 2_usize, version: 1_u64 }),
        (STAGE_ENABLED, fields! { stage: 1_usize, version: 1_u64 }),
        (STAGE_ENABLED, fields! { stage: 2_usize, version: 2_u64 }),
        (MIGRATION_COMPLETE, fields! { stages: 2_usize, version: 2_u64 }),
    ];
    assert_eq!(told, expected);
}

/// The check may take its time: what is observed is observed from when the stage is reached.
#[test]
fn a_stage_begins_when_it_is_reached_not_when_somebody_began_to_ask_for_it() {
    let time = VirtualTime::new();
    let passes = time.clone();
    let flags = timed(&time).ready_when("slow", move |_| passes.advance(5 * HOUR).map(drop).map_err(|e| e.to_string()));
    let flags = flags.start().expect("they fit together");
    advance(&flags, 1).expect("it is next");
    let (at, now) = (flags.history()[0].at, time.clock().date());
    assert_eq!((at, flags.status().since), (now, now));
    assert!(matches!(advance(&flags, 2), Err(ChangeError::TooEarly { left, .. }) if left == 4 * HOUR));
}
