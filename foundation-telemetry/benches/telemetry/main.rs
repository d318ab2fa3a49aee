//! Telemetry beside what others take for the same: ours and the reference by turns, and the ratio.
//!
//! `cargo bench -p foundation-telemetry --bench telemetry` prints the table; `-- distribution` only that part.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        clippy::print_stdout,
        reason = "the references, a clock beside them, and the table"
    )
)]

#[cfg(not(any(loom, shuttle)))]
mod dedup;
#[cfg(not(any(loom, shuttle)))]
mod distribution;
#[cfg(not(any(loom, shuttle)))]
mod events;
#[cfg(not(any(loom, shuttle)))]
mod spans;
#[cfg(not(any(loom, shuttle)))]
mod table;

/// The parts of the table, each of which can be had alone.
#[cfg(not(any(loom, shuttle)))]
const PARTS: [(&str, fn()); 4] = [
    ("events", events::print),
    ("spans", spans::print),
    ("dedup", dedup::print),
    ("distribution", distribution::print),
];

#[cfg(not(any(loom, shuttle)))]
fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let asked = |what: &str| arguments.iter().any(|argument| argument == what);
    // A list of the benchmarks, or a test of them, is no measurement.
    if asked("--list") || asked("--test") {
        return;
    }
    let all = !PARTS.iter().any(|(name, _)| asked(name));
    PARTS.iter().filter(|(name, _)| all || asked(name)).for_each(|(_, print)| print());
}

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
