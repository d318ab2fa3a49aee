//! Running cargo, and saying what came of it.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program without what cargo told us about ourselves.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// The same in the workspace, with these arguments.
pub(crate) fn cargo_here<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Command {
    let mut command = cargo();
    command.args(arguments).current_dir(root());
    command
}

/// The program of this target that cargo says it has built (`--message-format=json`).
pub(crate) fn executable(output: &Output, target: &str) -> Option<PathBuf> {
    executables(output, target).into_iter().next().map(|(_, program)| program)
}

/// The programs of all targets of this name, each with its package's manifest.
pub(crate) fn executables(output: &Output, target: &str) -> Vec<(String, PathBuf)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == target)
        .filter_map(|message| {
            let manifest = message["manifest_path"].as_str()?.to_owned();
            Some((manifest, message["executable"].as_str()?.into()))
        })
        .collect()
}

pub(crate) fn say(line: &str) {
    // Whoever reads may have gone.
    _ = writeln!(io::stdout(), "{line}");
}

pub(crate) fn complain(line: &str) {
    _ = writeln!(io::stderr(), "{line}");
}
