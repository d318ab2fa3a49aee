//! `cargo xtask ci`: all that CI runs, step by step.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use crate::{
    door, downstream, events, flags, models,
    run::{cargo_here, command, complain, executable, root, say},
    runbook, weight,
};

const HELP: &str = "\
Runs all that CI runs, in its order. Each step prints the plain command that repeats it alone, and how long it took.

Usage: cargo xtask ci [--deep] [--list] [--only STEP]... [--skip STEP]...

Options:
  --deep         also what takes longer: models with three preemptions, full stress figures, many seeds
  --list         print the steps and do nothing
  --only STEP    only this step; may be given again
  --skip STEP    all but this step; may be given again
  --help         print this
";

/// One step: its name, what it is for, and how it is done.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(bool) -> bool,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the source is formatted", run: fmt },
    Step { name: "clippy", about: "no lint on the real, the loom and the shuttle face", run: clippy },
    Step {
        name: "test",
        about: "tests on real threads, without and with the old implementations, and the promised weights",
        run: test,
    },
    Step { name: "doctest", about: "every example compiles and runs", run: doctest },
    Step { name: "docs", about: "the documentation builds without a warning", run: docs },
    Step { name: "events", about: "docs/events.md holds every event that is declared", run: events::check },
    Step { name: "flags", about: "no flag has expired, and the table of flags has every one", run: flags::check },
    Step { name: "models", about: "every loom and shuttle model, and the bugs that they must catch", run: models::run },
    Step { name: "door", about: "the door to the machine costs nothing that can be measured", run: door::run },
    Step {
        name: "downstream",
        about: "a project outside of the workspace, with a protocol and models of its own",
        run: downstream::check,
    },
    Step {
        name: "demo",
        about: "the workspace itself is counted through crashes, and while it is migrated",
        run: demo,
    },
    Step {
        name: "runbook",
        about: "the operator's runbook, as a program, and docs/runbook.md, followed command by command",
        run: runbook::check,
    },
];

/// What was asked for.
#[derive(Default)]
struct Options {
    deep: bool,
    list: bool,
    only: Vec<String>,
    skip: Vec<String>,
}

pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    match parse(arguments) {
        Ok(None) => {
            say(HELP.trim_end());
            ExitCode::SUCCESS
        }
        Ok(Some(options)) => ci(&options),
        Err(error) => {
            complain(&format!("cargo xtask ci: {error}\n\n{}", HELP.trim_end()));
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("deep") => options.deep = true,
            Long("list") => options.list = true,
            Long("only") => options.only.push(step_name(parser.value()?.string()?)?),
            Long("skip") => options.skip.push(step_name(parser.value()?.string()?)?),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn step_name(name: String) -> Result<String, lexopt::Error> {
    if STEPS.iter().any(|step| step.name == name) {
        return Ok(name);
    }
    let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
    Err(format!("no step `{name}`; the steps are {}", names.join(", ")).into())
}

fn ci(options: &Options) -> ExitCode {
    let asked = |step: &&Step| {
        let only = options.only.is_empty() || options.only.iter().any(|name| name == step.name);
        only && !options.skip.iter().any(|name| name == step.name)
    };
    let steps: Vec<_> = STEPS.iter().filter(asked).collect();
    if steps.is_empty() {
        complain("cargo xtask ci: --skip leaves nothing of --only: there is no step to run");
        return ExitCode::from(2);
    }
    if options.list {
        steps.iter().for_each(|step| say(&format!("{:<10} {}", step.name, step.about)));
        return ExitCode::SUCCESS;
    }
    let mut results = Vec::new();
    for step in steps {
        say(&format!("\n== {}: {}", step.name, step.about));
        let (passed, took) = timed(|| (step.run)(options.deep));
        say(&format!("== {} {} in {:.1} s", step.name, if passed { "passed" } else { "FAILED" }, took.as_secs_f64()));
        results.push((step.name, passed, took));
    }
    say("\nstep       result   seconds");
    for (name, passed, took) in &results {
        say(&format!("{name:<10} {:<8} {:>7.1}", if *passed { "ok" } else { "FAILED" }, took.as_secs_f64()));
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    say(&format!("\n{} passed, {failed} failed", results.len() - failed));
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[expect(clippy::disallowed_methods, reason = "xtask depends on none of our crates, so it has no clock of ours")]
pub(crate) fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed())
}

/// Runs one command, after printing it as a person would type it.
pub(crate) fn step(command: &mut Command) -> bool {
    say(&format!("$ {}", plain(command)));
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            complain(&format!("it can't be run: {error}"));
            false
        }
    }
}

pub(crate) fn plain(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        let (name, value) = (name.to_str()?, value?.to_str()?);
        Some(if value.contains(' ') { format!("{name}=\"{value}\"") } else { format!("{name}={value}") })
    });
    // A person has cargo in the path.
    let program = Path::new(command.get_program());
    let program = if program.file_stem().is_some_and(|name| name == "cargo") { Path::new("cargo") } else { program };
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    settings.chain([program.display().to_string()]).chain(words).collect::<Vec<_>>().join(" ")
}

fn fmt(_: bool) -> bool {
    step(&mut cargo_here(&["fmt", "--all", "--check"]))
}

/// What a face adds to the flags that the caller's environment has.
pub(crate) fn flags(face: &str) -> String {
    let own = std::env::var("RUSTFLAGS").unwrap_or_default();
    format!("{own} {face}").trim().to_owned()
}

/// Everything with all features, the old implementations among them; and without, for which the demo, which turns them
/// on, is left out, and what has none.
const FEATURES: [&[&str]; 2] = [&["--exclude", "demo", "--exclude", "door", "--exclude", "xtask"], &["--all-features"]];

fn clippy(_: bool) -> bool {
    let on = |face: &str, more: &[&str]| {
        let mut command = cargo_here(&["clippy", "--workspace", "--all-targets", "--locked"]);
        if !face.is_empty() {
            // What is built for the compiler itself, macros and scripts, then serves the models, too.
            command.args(["--profile", "model"]).env("RUSTFLAGS", flags(face));
        }
        command.args(more).args(["--", "-Dwarnings"]);
        step(&mut command)
    };
    // The programs have no model's face.
    let models = ["--all-features", "--exclude", "demo", "--exclude", "door", "--exclude", "xtask"];
    FEATURES.iter().fold(true, |passed, features| passed & on("", features))
        & on("--cfg loom", &models)
        & on("--cfg shuttle", &models)
}

fn deepen(command: &mut Command, deep: bool) {
    if deep {
        command.env("FOUNDATION_DEEP", "1");
    }
}

fn test(deep: bool) -> bool {
    let run = |features: &&[&str]| {
        let mut command = cargo_here(&["test", "--workspace", "--locked", "--lib", "--bins", "--tests"]);
        command.args(*features);
        deepen(&mut command, deep);
        step(&mut command)
    };
    FEATURES.iter().fold(true, |passed, features| passed & run(features)) & weight::check()
}

fn doctest(_: bool) -> bool {
    step(&mut cargo_here(&["test", "--workspace", "--all-features", "--locked", "--doc"]))
}

fn docs(_: bool) -> bool {
    let mut command =
        cargo_here(&["doc", "--workspace", "--all-features", "--locked", "--no-deps", "--document-private-items"]);
    command.env("RUSTDOCFLAGS", "-Dwarnings");
    step(&mut command)
}

/// What the programs are built with: the tests were, too, so that nothing is built again.
pub(crate) const PROGRAMS: [&str; 7] =
    ["build", "--locked", "--workspace", "--all-features", "--bin", "demo", "--examples"];

/// Builds, and says where the program of this target is.
pub(crate) fn built(arguments: &[&str], target: &str) -> Option<PathBuf> {
    let mut build = cargo_here(arguments);
    if !step(&mut build) {
        return None;
    }
    build.arg("--message-format=json").arg("--quiet");
    let program = build.output().ok().and_then(|output| executable(&output, target));
    if program.is_none() {
        complain(&format!("cargo did not say where `{target}` is"));
    }
    program
}

fn demo(deep: bool) -> bool {
    let seeds = if deep { 50 } else { 3 };
    // With its assertions on; and as a user has it, where time does not matter.
    let build = if deep { &["build", "--locked", "--release", "--package", "demo"][..] } else { &PROGRAMS };
    let Some(program) = built(build, "demo") else {
        return false;
    };
    let run = |seed: u32, more: &[&str]| {
        let mut demo = command(&program);
        demo.current_dir(root()).args(["--crash-rate", "0.05", "--seed", &seed.to_string()]).args(more);
        step(&mut demo)
    };
    (1..=seeds).all(|seed| run(seed, &[]))
        && (1..=seeds).all(|seed| run(seed, &["--migrate"]))
        && run(1, &["--migrate", "--workers", "100"])
        && run(1, &["--migrate", "--emergency-at", "0.5"])
}
