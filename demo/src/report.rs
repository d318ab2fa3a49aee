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
    /// What the migration came to, if there was one.
    #[serde(flatten)]
    pub migrated: Option<Migrated>,
}

/// What a migration under load came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Migrated {
    /// The stage at the end.
    pub stage_reached: usize,
    /// How often a stage was left for a lower one: by the guard, or in an emergency.
    pub rollbacks: u64,
    /// For each stage that was entered, after how many seconds it was entered last.
    pub switches: BTreeMap<usize, f64>,
    /// How many attempts the workers began at each stage.
    pub attempts: BTreeMap<usize, u64>,
    /// Events that were to be told once, and had been.
    pub duplicates_suppressed: u64,
    /// Spans that were opened.
    pub spans_opened: u64,
    /// Spans that were never closed.
    pub spans_open_at_end: usize,
    /// What is still open from an old implementation.
    pub old_guards_at_end: usize,
    /// Events that the queued handler heard.
    pub queued_heard: u64,
    /// Events that found no room in its queue.
    pub queued_overflowed: u64,
    /// Promises that were seen broken.
    pub broken_promises: u64,
    /// Which, as far as they are named.
    pub broken: Vec<String>,
}

impl Migrated {
    /// What is not as it has to be, for people.
    pub fn complaints(&self, expected_stage: usize, events_for_queue: u64) -> Vec<String> {
        let mut complaints: Vec<_> = self.broken.iter().map(|what| format!("a promise was broken: {what}")).collect();
        let named = self.broken.len() as u64;
        let mut complain = |so: bool, what: String| {
            if so {
                complaints.push(what)
            }
        };
        complain(self.broken_promises > named, format!("{} more broken promises", self.broken_promises - named));
        complain(
            self.stage_reached != expected_stage,
            format!("the migration ended at stage {}, not {expected_stage}", self.stage_reached),
        );
        complain(self.spans_open_at_end > 0, format!("{} spans were never closed", self.spans_open_at_end));
        complain(self.old_guards_at_end > 0, format!("{} guards are open from the old way", self.old_guards_at_end));
        let (heard, overflowed) = (self.queued_heard, self.queued_overflowed);
        complain(
            heard + overflowed != events_for_queue,
            format!("of {events_for_queue} events {heard} were heard by the queued handler, {overflowed} overflowed"),
        );
        complaints
    }
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entered = self.switches.iter().map(|(stage, seconds)| format!("{stage} at {seconds:.3} s"));
        let entered = entered.collect::<Vec<_>>().join(", ");
        let entered = if entered.is_empty() { "none was entered".to_owned() } else { entered };
        writeln!(f, "stages   {entered}; {} rollbacks; at the end stage {}", self.rollbacks, self.stage_reached)?;
        let attempts: Vec<_> = self.attempts.iter().map(|(stage, count)| format!("{stage}: {count}")).collect();
        writeln!(f, "attempts {} by stage", attempts.join(", "))?;
        write!(
            f,
            "both     {} spans, {} open at the end; {} duplicates suppressed; {} events queued, {} overflowed",
            self.spans_opened,
            self.spans_open_at_end,
            self.duplicates_suppressed,
            self.queued_heard,
            self.queued_overflowed,
        )
    }
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
        write!(f, "events   {} emitted, {} lost", self.events, self.lost)?;
        match &self.migrated {
            Some(migrated) => write!(f, "\n{migrated}"),
            None => Ok(()),
        }
    }
}
