//! Counts a directory with a supervised pipeline whose workers crash, and proves that nothing was lost.
//!
//! Exit codes: 0 if every number agrees with that of a plain loop, 1 if not, 2 for a wrong call, 130 after Ctrl-C.
use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Parser;
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{CRASHED, Foundation, StopReport};
use foundation_sync::{Clock, Deadline, Mutex, SECOND, thread};
use signal_hook::consts::SIGINT;

use demo::{
    inject::Injection,
    pipeline::{Outcome, Plan},
    progress::Progress,
    report::Report,
    sequential,
    tally::Tally,
    walk::Root,
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
    match std::fs::metadata(&root.path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return refuse(&format!("{}: not a directory", root.path.display())),
        Err(error) => return refuse(&format!("{}: {error}", root.path.display())),
    }
    match run(&options, root) {
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

fn run(options: &Options, root: Root) -> Result<ExitCode, Box<dyn Error>> {
    let clock = Clock::system();
    let injection = Injection { rate: options.crash_rate, seed: options.seed };
    let workers = options.workers.map_or_else(thread::cores, usize::from);
    let plan = Plan { root, workers, injection };
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&interrupted))?;

    let (restarts, period) = plan.intensity();
    say(&format!(
        "counting {} with {workers} workers, crash rate {}, seed {}; restart intensity {restarts} in {period:?}",
        plan.root.path.display(),
        options.crash_rate,
        options.seed,
    ));

    let foundation = Foundation::builder().start();
    let progress = Progress::attach(&foundation)?;
    let crashes = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
    let seen = Arc::clone(&crashes);
    foundation.telemetry().attach("crashes", &[CRASHED], move |event| {
        let kind = event.metadata.get("kind").and_then(|kind| kind.as_str()).unwrap_or("?").to_owned();
        *seen.lock().entry(kind).or_default() += 1;
    })?;
    let outcome = Outcome::default();
    let started = clock.now();
    let tree = plan.start(&foundation, &outcome)?;
    tree.stop_on_signals(&foundation)?;
    // A Ctrl-C that came before the tree could hear of it. ordering: Relaxed, a flag by itself.
    if interrupted.load(Ordering::Relaxed) {
        tree.tell_to_stop(Cause::Signal(SIGINT));
    }
    let exit = tree.wait(Deadline::never())?;
    let seconds = (clock.now() - started) as f64 / 1e9;
    progress.finish();

    let (restarts, abandoned) = (foundation.restarts(), foundation.abandoned());
    let failures = foundation.telemetry().failures();
    let until = foundation.within(SECOND);
    let stopped = foundation.stop(until);
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
    };
    report.set_quantiles(outcome.durations().quantiles());
    if exit == Exit::Shutdown(Cause::AutoShutdown) {
        compare(&plan, &tally, &interrupted, &clock, &mut report);
    }
    say(&format!("\n{report}"));
    for (path, why) in &tally.unreadable {
        complain(&format!("unreadable: {}: {why}", path.display()));
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(verdict(&exit, &stopped, &report))
}

/// Counts once more with the plain loop, and names what differs.
fn compare(plan: &Plan, tally: &Tally, interrupted: &AtomicBool, clock: &Clock, report: &mut Report) {
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
    report.equal = differences.is_empty() && totals == report.totals && unreadable(tally) == unreadable(&expected);
    report.expected = Some(totals);
}

fn verdict(exit: &Exit, stopped: &StopReport, report: &Report) -> ExitCode {
    if report.expected.is_none() {
        return match exit {
            Exit::Shutdown(Cause::Signal(_) | Cause::AutoShutdown) => {
                complain("interrupted: the numbers above are what was done until then");
                ExitCode::from(130)
            }
            exit => {
                complain(&format!("the pipeline gave up: {exit}"));
                ExitCode::FAILURE
            }
        };
    }
    for file in &report.quarantined_files {
        complain(&format!("quarantined: {file}: it killed its worker three times"));
    }
    if !stopped.is_clean() {
        complain(&stopped.to_string());
    }
    if report.equal && report.quarantined == 0 && stopped.is_clean() && report.lost == 0 {
        say("nothing was lost");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

fn refuse(line: &str) -> ExitCode {
    complain(line);
    ExitCode::from(2)
}

#[expect(clippy::print_stdout, reason = "what the run came to")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "what went wrong, for the person who looks")]
fn complain(line: &str) {
    eprintln!("{line}");
}
