//! The operator's runbook of a migration, from the old, thread-private implementations to the new ones: as a program.
//!
//! `cargo run --package foundation-supervisor --features legacy --example runbook`
//!
//! It goes through all stages of the workspace's own plan, in a universe with one supervised worker, the indexer. Each
//! step looks at what the system does. The first one that finds something else ends it, with everything rolled back and
//! exit code 1.

#[cfg(not(any(loom, shuttle)))]
mod book;
#[cfg(not(any(loom, shuttle)))]
mod log;

#[cfg(not(any(loom, shuttle)))]
fn main() -> std::process::ExitCode {
    book::main()
}

/// A model migrates nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
