//! What the runbook prints.

use std::{
    fmt::Display,
    io::{self, Write},
    time::Duration,
};

use foundation_supervisor::Failure;
use foundation_sync::Nanos;
use foundation_telemetry::Event;

pub(crate) fn nanos(nanos: Nanos) -> String {
    format!("{:.1?}", Duration::from_nanos(nanos))
}

/// A validation: whether it holds, and what was found.
pub(crate) fn check(what: &str, holds: bool, found: impl Display) -> Result<(), Failure> {
    say(&format!("  {:<8}{what:<50}{found}", if holds { "ok" } else { "FAILED" }));
    if holds { Ok(()) } else { Err(Failure::new(format!("{what}: {found}"))) }
}

/// A figure beside its target. It depends on the machine, so a miss is shown, and is the operator's to judge.
pub(crate) fn figure(what: &str, met: bool, found: impl Display) {
    say(&format!("  {:<8}{what:<50}{found}", if met { "ok" } else { "MISSED" }));
}

pub(crate) fn heading(text: &str) {
    say(&format!("\n{text}"));
}

pub(crate) fn say(line: &str) {
    // Whoever reads may have gone.
    _ = writeln!(io::stdout(), "{line}");
}

/// An event in one line.
pub(crate) fn told(event: &Event) -> String {
    format!("{} {}, {}", event.name, event.measurements, event.metadata)
}
