//! A system that is moved, under load, from its old implementations to the new ones: nothing is lost on the way.
#![cfg(not(any(loom, shuttle)))]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicUsize},
};

use demo::{
    events,
    inject::Injection,
    migration::{LAST_STAGE, Migration, guard},
    pipeline::{DONE, Outcome, Plan},
    sequential,
    walk::Root,
};
use foundation_context::Value;
use foundation_flags::What;
use foundation_registry::Exit;
use foundation_supervisor::Foundation;
use foundation_sync::Mutex;
use foundation_telemetry::{Event, SPAN_START, SPAN_STOP};
use foundation_testkit::{TestUniverse, deep, patience};
use tempfile::TempDir;

/// How many files: enough for two workers to be at work at each change of a stage.
const FILES: usize = 160;

fn directory(files: usize) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    for number in 0..files {
        let name = format!("file-{number}.{}", ["txt", "rs", "md"][number % 3]);
        fs::write(directory.path().join(name), format!("some words in file {number}\n")).expect("it can be written");
    }
    directory
}

/// How often each span was started and stopped, by its id.
type Spans = Arc<Mutex<BTreeMap<String, (u32, u32)>>>;

struct Run {
    t: TestUniverse,
    spans: Spans,
    migration: Migration,
    outcome: Outcome,
    plan: Plan,
}

/// A migration from start to end.
fn migrate(path: &Path, files: usize, injection: Injection, emergency_at: Option<f64>) -> Run {
    let t = TestUniverse::of(Foundation::builder().start_from_legacy().without_waiting().guard(guard()));
    let spans = Spans::default();
    let counts = Arc::clone(&spans);
    let count = move |event: &Event| {
        let id = event.metadata.get("span_id").map(Value::to_string).expect("a span has an id");
        let mut counts = counts.lock();
        let (started, stopped) = counts.entry(id).or_default();
        *(if event.name == SPAN_START { started } else { stopped }) += 1;
    };
    t.telemetry().attach("spans", [SPAN_START, SPAN_STOP], count).expect("the id is free");
    t.telemetry().attach("kinds", events::KIND_SEEN, |_| {}).expect("the id is free");
    let flags = t.migration().expect("it starts from the old implementations").clone();
    let migration = Migration::new(&flags, files as u64, emergency_at);
    let root = Root { path: path.to_owned(), without_build: false };
    let plan = Plan { root, workers: 2, injection, migration: Some(migration.clone()) };
    let outcome = Outcome::default();
    let tree = plan.start(&t, &outcome).expect("the pipeline starts");
    let exit = tree.wait(t.within(patience() * 6)).expect("it ends");
    assert_eq!(exit, Exit::Shutdown(DONE), "{}", flags.status());
    Run { t, spans, migration, outcome, plan }
}

/// What holds at the end of each run, whatever went on.
#[track_caller]
fn check(run: Run, stage: usize, what: &str) {
    let Run { t, spans, migration, outcome, plan } = run;
    // Who was given up may still be on its way out.
    t.wait_for(|| t.threads().iter().all(|thread| !thread.name.starts_with("pipeline/")));
    assert_eq!(migration.broken_promises(), (0, vec![]), "{what}");
    let (mut counted, mut expected) =
        (outcome.take_tally(), sequential::run(&plan.root, &AtomicUsize::new(0)).expect("not interrupted"));
    counted.sort();
    expected.sort();
    assert_eq!(counted.totals(), expected.totals(), "{what}");
    let status = migration.flags().status();
    assert_eq!((status.stage, status.old_guards.len()), (stage, 0), "{what}: {status}");
    let wrong: Vec<_> =
        spans.lock().iter().filter(|(_, counts)| **counts != (1, 1)).map(|(id, _)| id.clone()).collect();
    assert!(wrong.is_empty(), "{what}: not started and stopped once: {wrong:?}");
    assert_eq!(t.telemetry().spans_open(), 0, "{what}");
    assert_eq!(t.telemetry().spans_opened(), spans.lock().len() as u64, "{what}");
    for handler in ["spans", "kinds"] {
        t.telemetry().detach(handler).expect("it is attached");
    }
}

#[test]
fn under_full_load_nothing_is_lost_doubled_or_left_open_whatever_the_seed() {
    let directory = directory(FILES);
    let seeds = if deep() { 10_000 } else { 100 };
    let (mut suppressed, mut attempts) = (0, [0; LAST_STAGE + 1]);
    for seed in 0..seeds {
        let run = migrate(directory.path(), FILES, Injection { rate: 0.05, seed }, None);
        let changes: Vec<_> = run.migration.flags().history().iter().map(|change| change.what).collect();
        let up = |to| What::Advanced { from: to - 1, to };
        let expected = [up(1), up(2), up(3), up(4), What::RolledBack { from: 4, to: 3 }, up(4), up(5)];
        assert_eq!(changes, expected, "seed {seed}");
        suppressed += run.t.telemetry().suppressed();
        for (sum, count) in attempts.iter_mut().zip(run.migration.attempts_by_stage()) {
            *sum += count;
        }
        check(run, LAST_STAGE, &format!("seed {seed}"));
    }
    assert!(attempts.iter().all(|count| *count > seeds), "work went on at every stage: {attempts:?} in {seeds} runs");
    assert!(suppressed > seeds, "{suppressed} duplicates were suppressed in {seeds} runs");
}

#[test]
fn an_emergency_at_any_place_ends_at_stage_0_with_equal_totals() {
    let directory = directory(FILES);
    for eighths in 0..=8_u32 {
        let share = f64::from(eighths) / 8.0;
        let injection = Injection { rate: 0.05, seed: eighths.into() };
        let run = migrate(directory.path(), FILES, injection, Some(share));
        let history = run.migration.flags().history();
        let reached = (eighths as usize).min(LAST_STAGE);
        assert_eq!(history.last().map(|change| change.what), Some(What::Emergency { from: reached }));
        assert_eq!(history.len(), reached + 1);
        check(run, 0, &format!("emergency at {share}"));
    }
}

#[test]
fn with_no_file_or_one_every_stage_is_gone_through_on_an_idle_system() {
    for files in [0, 1] {
        let directory = directory(files);
        let run = migrate(directory.path(), files, Injection { rate: 0.0, seed: 1 }, None);
        assert_eq!(run.migration.flags().history().len(), 7);
        assert_eq!(run.migration.entered().into_keys().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        check(run, LAST_STAGE, &format!("{files} files"));
    }
}
