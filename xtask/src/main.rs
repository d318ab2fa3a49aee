//! What a contributor types: `cargo xtask ci` and `cargo xtask demo`.

mod ci;
mod models;
mod run;
mod weight;

use std::{ffi::OsString, process::ExitCode};

const HELP: &str = "\
What a contributor types.

Usage: cargo xtask <COMMAND>

Commands:
  ci      run all that CI runs, in its order, and print the command of each step
  demo    count a directory with a supervised pipeline whose workers crash
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

/// Builds the demo and runs it with the same arguments; its exit code is ours.
fn demo(arguments: Vec<OsString>) -> ExitCode {
    let build = ["build", "--quiet", "--release", "--package", "demo"];
    if !run::cargo(&build).status().is_ok_and(|status| status.success()) {
        run::complain("demo: it can't be built");
        return ExitCode::FAILURE;
    }
    let program = run::target().join("release").join("demo");
    match std::process::Command::new(&program).args(arguments).status() {
        Ok(status) => ExitCode::from(run::code(status)),
        Err(error) => {
            run::complain(&format!("{}: {error}", program.display()));
            ExitCode::FAILURE
        }
    }
}
