//! The figures that a universe has of itself, by virtual time: probes, which take time, are tested where they are.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foundation_context::fields;
use foundation_flags::{Flags, Thresholds};
use foundation_supervisor::{ChildSpec, Foundation, Strategy, Supervisor};
use foundation_sync::{MINUTE, SECOND, SECONDS_5, VirtualTime};
use foundation_telemetry::Status;
use foundation_testkit::TestUniverse;

fn flags(t: &TestUniverse) -> &Flags {
    t.migration().expect("it started from the old implementations")
}

fn said(flags: &Flags, figure: &str) -> Result<f64, String> {
    let figures = flags.status().figures;
    let verdict = figures.iter().find(|it| it.figure == figure).expect("it is judged");
    verdict.value.as_ref().map(|value| *value).map_err(ToString::to_string)
}

#[test]
fn restarts_threads_spans_and_memory_are_those_of_the_universe() {
    let time = VirtualTime::new();
    let legacy = Foundation::builder().clock(&time.clock()).start_from_legacy().without_waiting();
    let t = TestUniverse::of(legacy.thresholds(Thresholds::runbook().without_rollbacks()));
    flags(&t).advance_to(1, "alice", "test", t.within(SECONDS_5)).expect("it is next");
    time.advance(MINUTE).expect("a window");

    let lives = Arc::new(AtomicUsize::new(0));
    let body = move |life: &foundation_supervisor::Life| {
        assert!(lives.fetch_add(1, Ordering::Relaxed) > 1, "boom");
        _ = life.stop().wait(&foundation_sync::Deadline::never());
        Ok(())
    };
    let waits = |life: &foundation_supervisor::Life| {
        _ = life.stop().wait(&foundation_sync::Deadline::never());
        Ok(())
    };
    let tree = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", body));
    let tree = (0..5).fold(tree, |tree, at| tree.child(ChildSpec::worker(format!("waits {at}"), waits)));
    let _tree = t.start(tree);
    let spans: Vec<_> = (0..100).map(|_| t.telemetry().open_span("work", fields! {})).collect();
    time.advance(20 * SECOND).expect("it backs off");
    t.wait_for(|| t.restarts() == 2);
    spans.into_iter().for_each(|span| t.telemetry().close_span(span, Status::Ok).expect("it is open"));
    time.advance(40 * SECOND).expect("a window");

    assert_eq!(said(flags(&t), Thresholds::RESTARTS), Ok(2.0));
    let threads = said(flags(&t), Thresholds::THREADS).expect("they are counted");
    assert!((6.0..=10.0).contains(&threads), "six lives, and a few of the universe's own: {threads}");
    let took = said(flags(&t), Thresholds::RESPONSE_TIME).expect("there were enough");
    assert!((20e9..20.2e9).contains(&took), "{took}");
    assert_eq!(said(flags(&t), Thresholds::MEMORY_GROWTH), Err("it is measured over an hour".to_owned()));
    let memory = said(flags(&t), Thresholds::MEMORY).expect("this is Linux");
    (0..60).for_each(|_| time.advance(MINUTE).expect("a window"));
    let grown = said(flags(&t), Thresholds::MEMORY_GROWTH).expect("an hour is over");
    assert!(grown < memory, "{grown} of {memory}");
    assert_eq!(said(flags(&t), Thresholds::RESTARTS), Ok(0.0));
}

#[cfg(feature = "file")]
#[test]
fn a_universe_that_starts_at_a_stage_measures_from_its_first_second_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("migration.toml");
    let start = |builder: foundation_supervisor::Builder| builder.start_from_legacy_file(&file).expect("it is well");
    let first = start(Foundation::builder().without_waiting());
    let advanced = first.migration().expect("it is one").advance_to(1, "alice", "next", first.within(SECONDS_5));
    advanced.expect("it is next");
    assert!(first.stop(SECONDS_5).ended);

    let time = VirtualTime::new();
    let builder = Foundation::builder().clock(&time.clock()).thresholds(Thresholds::runbook());
    let second = start(builder);
    let flags = second.migration().expect("it is one");
    assert_eq!((flags.status().stage, flags.status().figures.len()), (1, 0));
    time.advance(SECOND).expect("the window is opened");
    time.advance(MINUTE).expect("a window");
    assert_eq!(said(flags, Thresholds::RESTARTS), Ok(0.0));
    time.flow();
    assert!(second.stop(SECONDS_5).ended);
}
