//! What the run came to, for people and as JSON.

use std::{collections::BTreeMap, fmt};

use foundation_telemetry::Quantiles;
use serde::Serialize;

use crate::tally::Totals;

/// Everything that is said about a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// By the pipeline.
    #[serde(flatten)]
    pub totals: Totals,
    /// By the plain loop; `None` if it was interrupted.
    pub expected: Option<Totals>,
    /// Whether every number agrees.
    pub equal: bool,
    /// Crash reports of all kinds.
    pub crashes: u64,
    /// The same by kind of end.
    pub crashes_by_kind: BTreeMap<String, u64>,
    /// Restarts by the supervisor.
    pub restarts: u64,
    /// Workers that ignored their stop and were given up.
    pub abandoned: u64,
    /// Results that came too late and were refused.
    pub refused: u64,
    /// Files that killed their worker too often.
    pub quarantined: u64,
    /// Which they are, as people read them.
    pub quarantined_files: Vec<String>,
    /// Files that could not be read, left out on both sides.
    pub unreadable: u64,
    /// Reports and events that were lost.
    pub lost: u64,
    /// How long the pipeline took.
    pub seconds: f64,
    /// How long the plain loop took.
    pub sequential_seconds: f64,
    /// Half of the files took at most so many microseconds.
    pub p50_us: f64,
    /// 95 of 100 files took at most so many.
    pub p95_us: f64,
    /// 99 of 100 files took at most so many.
    pub p99_us: f64,
    /// Events that were emitted: the demo's and the supervisor's.
    pub events: u64,
}

/// Nanoseconds as microseconds.
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

impl Report {
    /// Enters the percentiles.
    pub fn set_quantiles(&mut self, quantiles: Quantiles) {
        self.p50_us = micros(quantiles.p50);
        self.p95_us = micros(quantiles.p95);
        self.p99_us = micros(quantiles.p99);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = &self.totals;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, ours: &str, theirs: Option<&str>| {
            let mark = match theirs {
                None => "",
                Some(theirs) if theirs == ours => "equal",
                Some(_) => "DIFFERENT",
            };
            writeln!(f, "{name:<8} {ours:>34} {:>34}  {mark}", theirs.unwrap_or("-"))
        };
        writeln!(f, "{:<8} {:>34} {:>34}", "", "pipeline", "plain loop")?;
        let theirs = self.expected.as_ref();
        let number = |f: &mut fmt::Formatter<'_>, name, get: fn(&Totals) -> u64| {
            row(f, name, &get(ours).to_string(), theirs.map(|theirs| get(theirs).to_string()).as_deref())
        };
        number(f, "files", |totals| totals.files)?;
        number(f, "bytes", |totals| totals.bytes)?;
        number(f, "lines", |totals| totals.lines)?;
        number(f, "words", |totals| totals.words)?;
        row(f, "digest", &ours.digest, theirs.map(|theirs| theirs.digest.as_str()))?;
        let seconds = |seconds: f64| format!("{seconds:.3}");
        let plain = if self.expected.is_some() { seconds(self.sequential_seconds) } else { "-".to_owned() };
        writeln!(f, "{:<8} {:>34} {plain:>34}", "seconds", seconds(self.seconds))?;
        writeln!(f)?;
        let kinds: Vec<_> = self.crashes_by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        writeln!(
            f,
            "crashes  {}{kinds}, {} restarts, {} late results refused",
            self.crashes, self.restarts, self.refused
        )?;
        writeln!(f, "per file p50 {:.1} us, p95 {:.1} us, p99 {:.1} us", self.p50_us, self.p95_us, self.p99_us)?;
        write!(f, "events   {} emitted, {} lost", self.events, self.lost)
    }
}
