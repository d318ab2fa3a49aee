//! The operator's runbook of a migration, from the old, thread-private implementations to the new ones: as a program.
//!
//! `cargo run --package foundation-supervisor --features file --example runbook`
//!
//! It goes through all stages of the workspace's own plan, in a universe with one supervised worker, the indexer. Each
//! step looks at what the system does. The first one that finds something else ends it, with everything rolled back and
//! exit code 1.
//!
//! With `-- console` it does what it is told, line by line: `docs/runbook.md` is the operator's text, and its commands are
//! the console's. `cargo xtask ci --only runbook` runs both.

#[cfg(not(any(loom, shuttle)))]
mod book;
#[cfg(not(any(loom, shuttle)))]
mod console;
#[cfg(not(any(loom, shuttle)))]
mod log;
#[cfg(not(any(loom, shuttle)))]
mod page;
#[cfg(not(any(loom, shuttle)))]
mod probes;
#[cfg(not(any(loom, shuttle)))]
mod site;
#[cfg(not(any(loom, shuttle)))]
mod validations;

#[cfg(not(any(loom, shuttle)))]
fn main() -> std::process::ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => book::main(),
        ["console"] => console::main(),
        _ => {
            page::say("runbook: goes through all stages\nrunbook console: does what it is told, line by line");
            std::process::ExitCode::from(2)
        }
    }
}

/// A model migrates nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
