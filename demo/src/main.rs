//! Counts a directory with a supervised pipeline whose workers crash, and proves that nothing was lost.
//!
//! Exit codes: 0 if every number agrees with that of a plain loop, 1 if not, 2 for a wrong call, 128 and its number after a
//! signal: 130 after Ctrl-C.
use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use clap::Parser;
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{CRASHED, Foundation, StopReport, System};
use foundation_sync::{Clock, Deadline, Mutex, Nanos, SECOND, thread};
use signal_hook::consts::{SIGINT, SIGTERM};

use demo::{
    events,
    inject::Injection,
    migration::{self, LAST_STAGE, MOST_CRASHES, Migration},
    pipeline::{DONE, Outcome, Plan},
    progress::Progress,
    report::{Migrated, Report},
    sequential,
    tally::Tally,
    walk::{Found, Root, walk},
};

/// Counts files, bytes, lines and words below a directory with a supervised pipeline, crashes its workers meanwhile, and
/// proves with a plain loop that nothing was lost.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
struct Options {
    /// The directory to count [default: the workspace, without target and .git]
    path: Option<PathBuf>,
    /// How many workers count [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// The share of attempts that crash, from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.02, value_parser = share)]
    crash_rate: f64,
    /// Which attempts crash, and how: the same seed crashes the same ones
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Start from the old, thread-private implementations and move the running system to the new ones: a stage at each
    /// eighth of the files. At stage 4 errors are injected until the guard rolls back; then it goes on, to stage 5
    #[arg(long)]
    migrate: bool,
    /// Instead of the errors: an emergency rollback when this share of the files is counted, from 0 to 1. The run ends at
    /// stage 0
    #[arg(long, value_name = "SHARE", requires = "migrate", value_parser = share)]
    emergency_at: Option<f64>,
    /// Write the result to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let root = match &options.path {
        Some(path) => Root { path: path.clone(), without_build: false },
        None => Root { path: workspace(), without_build: true },
    };
    if options.migrate && options.crash_rate > MOST_CRASHES {
        return refuse(&format!(
            "--migrate needs a --crash-rate of at most {MOST_CRASHES}, not {}: above it the guard would be right to roll \
             back at any stage",
            options.crash_rate
        ));
    }
    match std::fs::metadata(&root.path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return refuse(&format!("{}: not a directory", root.path.display())),
        Err(error) => return refuse(&format!("{}: {error}", root.path.display())),
    }
    let json = match options.json.as_ref().map(File::create) {
        None => None,
        Some(Ok(file)) => Some(file),
        Some(Err(error)) => {
            let place = options.json.unwrap_or_default();
            return refuse(&format!("{}: {error}", place.display()));
        }
    };
    match run(&options, root, json) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The directory of the workspace that this program was built in.
fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

fn run(options: &Options, root: Root, json: Option<File>) -> Result<ExitCode, Box<dyn Error>> {
    let injection = Injection { rate: options.crash_rate, seed: options.seed };
    let workers = options.workers.map_or_else(thread::cores, usize::from);
    let mut plan = Plan { root, workers, injection, migration: None };
    // The number of the signal that came.
    let interrupted = Arc::new(AtomicUsize::new(0));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_usize(signal, Arc::clone(&interrupted), signal as usize)?;
    }

    let (restarts, period) = plan.intensity();
    say(&format!(
        "counting {} with {workers} workers, crash rate {}, seed {}; restart intensity {restarts} in {period:?}",
        plan.root.path.display(),
        options.crash_rate,
        options.seed,
    ));

    let foundation = match options.migrate {
        false => Foundation::builder().start(),
        true => Foundation::builder().start_from_legacy().without_waiting().guard(migration::guard()).start(),
    };
    if let Some(flags) = foundation.migration() {
        // ordering: Relaxed, a flag by itself.
        let found = walk(&plan.root).take_while(|_| interrupted.load(Ordering::Relaxed) == 0);
        let files = found.filter(|found| !matches!(found, Found::Directory)).count() as u64;
        plan.migration = Some(Migration::new(flags, files, options.emergency_at));
        say(&format!("migrating from stage 0, a stage at each eighth of {files} files"));
    }
    // Its handler is queued: it runs on whoever emits, or on the courier, by the stage.
    let journal = Arc::new(AtomicUsize::new(0));
    if plan.migration.is_some() {
        let counts = Arc::clone(&journal);
        // ordering: Relaxed, a count.
        let count = move |_: &foundation_telemetry::Event| _ = counts.fetch_add(1, Ordering::Relaxed);
        foundation.telemetry().attach_queued("journal", events::COUNTED, 65_536, count)?;
        // An event that is to be told once is, if somebody hears it.
        foundation.telemetry().attach("kinds", events::KIND_SEEN, |_| {})?;
    }
    let clock = foundation.clock().clone();
    let progress = Progress::attach(&foundation)?;
    let crashes = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
    let seen = Arc::clone(&crashes);
    foundation.telemetry().attach("crashes", CRASHED, move |event| {
        let kind = event.metadata.get("kind").and_then(|kind| kind.as_str()).unwrap_or("?").to_owned();
        *seen.lock().entry(kind).or_default() += 1;
    })?;
    let outcome = Outcome::default();
    let started = clock.now();
    let tree = plan.start(&foundation, &outcome)?;
    tree.stop_on_signals(&foundation)?;
    // One that came before the tree could hear of it. ordering: Relaxed, a flag by itself.
    let early = interrupted.load(Ordering::Relaxed);
    if early > 0 {
        tree.tell_to_stop(Cause::Signal(early as i32));
    }
    let exit = tree.wait(Deadline::never())?;
    let seconds = (clock.now() - started) as f64 / 1e9;
    progress.finish();

    let (restarts, abandoned) = (foundation.restarts(), foundation.abandoned());
    let system = foundation.system().clone();
    let stopped = foundation.stop(SECOND);
    let failures = system.telemetry().failures();
    let mut tally = outcome.take_tally();
    tally.sort();
    let crashes_by_kind = std::mem::take(&mut *crashes.lock());
    // For people: a name need not be text.
    let quarantined_files: Vec<_> = outcome.quarantined().iter().map(|path| path.display().to_string()).collect();
    let mut report = Report {
        totals: tally.totals(),
        expected: None,
        equal: false,
        crashes: crashes_by_kind.values().sum(),
        crashes_by_kind,
        restarts,
        abandoned,
        refused: outcome.refused(),
        quarantined: quarantined_files.len() as u64,
        quarantined_files,
        unreadable: tally.unreadable.len() as u64,
        lost: stopped.lost + failures,
        seconds,
        sequential_seconds: 0.0,
        p50_us: 0.0,
        p95_us: 0.0,
        p99_us: 0.0,
        events: progress.events(),
        migrated: plan.migration.as_ref().map(|migration| {
            // ordering: Relaxed, a count.
            migrated(migration, &system, started, journal.load(Ordering::Relaxed) as u64)
        }),
    };
    report.set_quantiles(outcome.durations().quantiles());
    if exit == Exit::Shutdown(DONE) {
        compare(&plan, &tally, &interrupted, &clock, &mut report);
    }
    say(&format!("\n{report}"));
    for (path, why) in &tally.unreadable {
        complain(&format!("unreadable: {}: {why}", path.display()));
    }
    let stage = if options.emergency_at.is_some() { 0 } else { LAST_STAGE };
    let counted = tally.files.len() as u64;
    let complaints = report.migrated.as_ref().map(|migrated| migrated.complaints(stage, counted)).unwrap_or_default();
    let interrupted = interrupted.load(Ordering::Relaxed); // ordering: a flag by itself
    let code = verdict(&exit, &stopped, &report, &complaints, interrupted);
    if let Some(mut file) = json {
        writeln!(file, "{}", serde_json::to_string_pretty(&report)?)?;
    }
    Ok(code)
}

/// What the migration came to; asked when the universe has stopped.
fn migrated(migration: &Migration, system: &System, started: Nanos, queued_heard: u64) -> Migrated {
    let (status, telemetry) = (migration.flags().status(), system.telemetry());
    let (broken_promises, broken) = migration.broken_promises();
    let seconds = |at: Nanos| at.saturating_sub(started) as f64 / 1e9;
    Migrated {
        stage_reached: status.stage,
        rollbacks: status.rollbacks,
        switches: migration.entered().into_iter().map(|(stage, at)| (stage, seconds(at))).collect(),
        attempts: migration.attempts_by_stage().into_iter().enumerate().collect(),
        duplicates_suppressed: telemetry.suppressed(),
        spans_opened: telemetry.spans_opened(),
        spans_open_at_end: telemetry.spans_open(),
        old_guards_at_end: status.old_guards.iter().map(|(_, open)| open).sum(),
        queued_heard,
        queued_overflowed: telemetry.overflowed(),
        broken_promises,
        broken,
    }
}

/// Counts once more with the plain loop, and names what differs.
fn compare(plan: &Plan, tally: &Tally, interrupted: &AtomicUsize, clock: &Clock, report: &mut Report) {
    let started = clock.now();
    let Some(mut expected) = sequential::run(&plan.root, interrupted) else { return };
    report.sequential_seconds = (clock.now() - started) as f64 / 1e9;
    expected.sort();
    let unreadable = |tally: &Tally| tally.unreadable.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    let differences = tally.differences(&expected);
    for (path, what) in &differences {
        complain(&format!("different: {}: {what}", path.display()));
    }
    let totals = expected.totals();
    let same_unreadable = unreadable(tally) == unreadable(&expected);
    if !same_unreadable {
        for (path, why) in &expected.unreadable {
            complain(&format!("unreadable to the plain loop: {}: {why}", path.display()));
        }
    }
    report.equal = differences.is_empty() && totals == report.totals && same_unreadable;
    report.expected = Some(totals);
}

/// The last words, and the exit code.
fn verdict(exit: &Exit, stopped: &StopReport, report: &Report, complaints: &[String], interrupted: usize) -> ExitCode {
    for file in &report.quarantined_files {
        complain(&format!("quarantined: {file}: it killed its worker three times"));
    }
    if !stopped.is_clean() {
        complain(&stopped.to_string());
    }
    if report.lost > 0 {
        complain(&format!("{} reports or events were lost", report.lost));
    }
    let signal = match exit {
        Exit::Shutdown(Cause::Signal(number)) => *number,
        _ => i32::try_from(interrupted).unwrap_or(0),
    };
    if report.expected.is_none() && signal > 0 {
        complain("interrupted: the numbers above are what was done until then");
        return ExitCode::from(128_u8.saturating_add(signal as u8));
    }
    if report.expected.is_none() {
        complain(&format!("the pipeline gave up: {exit}"));
        return ExitCode::FAILURE;
    }
    complaints.iter().for_each(|what| complain(what));
    if report.equal && report.quarantined == 0 && stopped.is_clean() && report.lost == 0 && complaints.is_empty() {
        say("nothing was lost");
        return ExitCode::SUCCESS;
    }
    complain("the run FAILED: see above");
    ExitCode::FAILURE
}

fn refuse(line: &str) -> ExitCode {
    complain(line);
    ExitCode::from(2)
}

fn say(line: &str) {
    // Whoever reads may have gone.
    _ = writeln!(io::stdout(), "{line}");
}

fn complain(line: &str) {
    _ = writeln!(io::stderr(), "{line}");
}
