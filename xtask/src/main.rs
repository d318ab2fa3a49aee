//! What a contributor types: `cargo xtask ci`, `cargo xtask demo`, `cargo xtask events`, `cargo xtask flags`.

mod ci;
mod door;
mod downstream;
mod events;
mod flags;
mod models;
mod pool;
mod run;
mod runbook;
mod weight;

use std::{ffi::OsString, os::unix::process::CommandExt, process::ExitCode};

const HELP: &str = "\
What a contributor types.

Usage: cargo xtask <COMMAND>

Commands:
  ci      run all that CI runs, in its order, and print the command of each step
  demo    count a directory with a supervised pipeline whose workers crash
  events  print every event that the workspace emits, with its fields and their units
  flags   print every flag that the workspace declares, with its owner and the day on which it is to be gone
  help    print this

`cargo xtask <COMMAND> --help` says more.
";

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().unwrap_or_else(|| "help".into());
    let rest: Vec<OsString> = words.collect();
    match command.to_str() {
        Some("ci") => ci::main(rest),
        Some("demo") => demo(rest),
        Some("events") => events::main(rest),
        Some("flags") => flags::main(rest),
        Some("help" | "--help" | "-h") => {
            run::say(HELP.trim_end());
            ExitCode::SUCCESS
        }
        _ => {
            run::complain(&format!("no command `{}`\n\n{}", command.display(), HELP.trim_end()));
            ExitCode::from(2)
        }
    }
}

/// Becomes the demo, so that signals and the exit code are its own.
fn demo(arguments: Vec<OsString>) -> ExitCode {
    let manifest = run::root().join("Cargo.toml");
    let mut command = run::cargo();
    command.args(["run", "--release", "--locked", "--package", "demo", "--manifest-path"]).arg(manifest);
    // The first build takes a while, and shows what it does.
    if run::root().join("target/release/demo").exists() {
        command.arg("--quiet");
    }
    let error = command.arg("--").args(arguments).exec();
    run::complain(&format!("the demo can't be run: {error}"));
    ExitCode::FAILURE
}
