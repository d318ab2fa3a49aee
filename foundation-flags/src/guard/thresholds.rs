//! Which figures are watched, and from what value on what is done.

use std::{fmt, time::Duration};

use foundation_sync::MINUTE;

/// How bad a figure is, the worst last; what is not known comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// It is not measured, or there is no baseline for any of its limits: nothing is known of it, neither good nor bad.
    Unknown,
    /// Nothing is to be done.
    #[default]
    Calm,
    /// Shown in the [status](crate::Status).
    Watch,
    /// Told as an event: [`ALERT`](crate::ALERT). Once until it is better again, and once more where it goes on after a
    /// decision about the plan's flags, for that is another stay.
    Alert,
    /// The stage is rolled back.
    RollBack,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Calm => "calm",
            Self::Watch => "watch",
            Self::Alert => "alert",
            Self::RollBack => "roll back",
        })
    }
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// Bytes in an hour.
    BytesPerHour,
    /// So many in a second.
    PerSecond,
    /// So many in a minute.
    PerMinute,
    /// A share, from 0 to 1.
    Share,
    /// So many.
    #[default]
    Count,
}

impl Unit {
    /// That of this [name](Self::name).
    #[cfg(feature = "file")]
    pub(crate) fn named(name: &str) -> Option<Self> {
        use Unit::{Bytes, BytesPerHour, Count, Nanoseconds, PerMinute, PerSecond, Share};
        let all = [Nanoseconds, Bytes, BytesPerHour, PerSecond, PerMinute, Share, Count];
        all.into_iter().find(|unit| unit.name() == name)
    }

    /// What a figure of it is counted in, in words.
    #[cfg(any(feature = "json", feature = "file"))]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "nanoseconds",
            Self::Bytes => "bytes",
            Self::BytesPerHour => "bytes per hour",
            Self::PerSecond => "per second",
            Self::PerMinute => "per minute",
            Self::Share => "share",
            Self::Count => "count",
        }
    }

    /// A value as people read it: `12 ms`, `1.5 MB/h`, `6.2 %`.
    pub fn text(self, value: f64) -> String {
        let scaled = |steps: &[(f64, &str)]| {
            let (by, name) = steps.iter().find(|(by, _)| value.abs() >= *by).unwrap_or(&steps[steps.len() - 1]);
            format!("{} {name}", short(value / by))
        };
        match self {
            Self::Nanoseconds => scaled(&[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")]),
            Self::Bytes => scaled(&[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]),
            Self::BytesPerHour => scaled(&[(1e9, "GB/h"), (1e6, "MB/h"), (1e3, "kB/h"), (1.0, "B/h")]),
            Self::PerSecond => format!("{}/s", short(value)),
            Self::PerMinute => format!("{}/min", short(value)),
            Self::Share => format!("{} %", short(100.0 * value)),
            Self::Count => short(value),
        }
    }
}

/// To one decimal, which is left out where it is 0.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// From where on a level begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    At(f64),
    /// So many times what the baseline was.
    OfBaseline(f64),
    /// So much more than the baseline was.
    OverBaseline(f64),
}

/// A figure, what it is counted in, and from what value on what is done. Each level is there or not; a value *at* a limit
/// has not crossed it. One without levels is shown in the status.
///
/// ```
/// use foundation_flags::{Threshold, Unit};
///
/// let queue = Threshold::above("queue length", Unit::Count).watch(1_000.0).alert(5_000.0).roll_back_of_baseline(10.0);
/// assert_eq!(queue.figure(), "queue length");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a threshold does nothing until it is given to flags"]
pub struct Threshold {
    pub(crate) figure: &'static str,
    pub(crate) unit: Unit,
    pub(crate) below: bool,
    /// A baseline that was less counts as this.
    pub(crate) floor: f64,
    /// By level, from watch on.
    pub(crate) limits: [Option<Limit>; 3],
}

impl Threshold {
    /// Of a figure that is bad where it is great.
    pub const fn above(figure: &'static str, unit: Unit) -> Self {
        Self { figure, unit, below: false, floor: 0.0, limits: [None; 3] }
    }

    /// Of a figure that is bad where it is small.
    pub const fn below(figure: &'static str, unit: Unit) -> Self {
        Self { below: true, ..Self::above(figure, unit) }
    }

    /// The figure's name.
    pub const fn figure(&self) -> &'static str {
        self.figure
    }

    /// What it is counted in.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// It is shown in the status beyond this value.
    pub const fn watch(self, limit: f64) -> Self {
        self.limit(0, Limit::At(limit))
    }

    /// It is told as an event beyond this value.
    pub const fn alert(self, limit: f64) -> Self {
        self.limit(1, Limit::At(limit))
    }

    /// The stage is rolled back beyond this value.
    pub const fn roll_back(self, limit: f64) -> Self {
        self.limit(2, Limit::At(limit))
    }

    /// It is shown beyond so many times what the [baseline](crate::Flags::start_baseline) was.
    pub const fn watch_of_baseline(self, times: f64) -> Self {
        self.limit(0, Limit::OfBaseline(times))
    }

    /// It is told as an event beyond so many times what the baseline was.
    pub const fn alert_of_baseline(self, times: f64) -> Self {
        self.limit(1, Limit::OfBaseline(times))
    }

    /// The stage is rolled back beyond so many times what the baseline was.
    pub const fn roll_back_of_baseline(self, times: f64) -> Self {
        self.limit(2, Limit::OfBaseline(times))
    }

    /// It is shown where it is by so much more than what the baseline was; without one, where it is so much in all.
    pub const fn watch_over_baseline(self, by: f64) -> Self {
        self.limit(0, Limit::OverBaseline(by))
    }

    /// It is told as an event where it is by so much more than what the baseline was; without one, where it is so much in
    /// all.
    pub const fn alert_over_baseline(self, by: f64) -> Self {
        self.limit(1, Limit::OverBaseline(by))
    }

    /// The stage is rolled back where it is by so much more than what the baseline was; without one, never: a program that
    /// is so great anyway would get no stage to stay.
    pub const fn roll_back_over_baseline(self, by: f64) -> Self {
        self.limit(2, Limit::OverBaseline(by))
    }

    /// A baseline that was less than this counts as this. Times nothing is nothing: without it a figure whose baseline was
    /// 0 is not compared with it.
    pub const fn floor(mut self, least: f64) -> Self {
        self.floor = least;
        self
    }

    const fn limit(mut self, level: usize, limit: Limit) -> Self {
        self.limits[level] = Some(limit);
        self
    }
}

/// The figures that are watched while a migration is [monitored](crate::MigrationPlan::monitored_by), and how often.
///
/// ```
/// use foundation_flags::{Threshold, Thresholds, Unit};
///
/// let mine = Thresholds::runbook().without("memory").and(Threshold::above("queue length", Unit::Count).alert(5_000.0));
/// assert_eq!(mine.list().len(), 9);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "thresholds do nothing until they are given to flags"]
pub struct Thresholds {
    pub(crate) name: &'static str,
    pub(crate) list: Vec<Threshold>,
    pub(crate) window: Duration,
}

impl Thresholds {
    /// None yet. A rollback is by `guard` and this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, list: Vec::new(), window: MINUTE }
    }

    /// The nine figures of the runbook, once a minute:
    ///
    /// | figure | watch | alert | roll back |
    /// |---|---|---|---|
    /// | registry lookup p99 | **5 ms** | **10 ms** | 20 ms |
    /// | error context overhead | **100 us** | 200 us | 400 us |
    /// | telemetry throughput, below | **10,000/s** | 5,000/s | 2,500/s |
    /// | memory growth | **1 MB/h** | 10 MB/h | 100 MB/h |
    /// | memory | baseline + 250 MB | **baseline + 500 MB** | baseline + 1 GB |
    /// | error rate | **1 %** | **1.2 x baseline**, of 0.1 % at least | **5 %** |
    /// | restarts | 2/min | 5/min | **10/min** |
    /// | response time p99 | **1.1 x baseline** | 1.5 x baseline | **2 x baseline** |
    /// | threads | 1.2 x baseline | **1.5 x baseline** | 2 x baseline |
    ///
    /// What is bold is the runbook's, as target, as alert, or as what it rolled back by itself; it leaves the others open.
    /// Memory is the whole process's, so it is compared with what it was; without a baseline it is watched and told of in
    /// all, and rolls nothing back. A baseline without errors counts as one of 0.1 %. Change one with [`and`](Self::and).
    pub fn runbook() -> Self {
        use Unit::{Bytes, BytesPerHour, Count, Nanoseconds, PerMinute, PerSecond, Share};
        let lookup = Threshold::above(Self::REGISTRY_LOOKUP, Nanoseconds);
        let context = Threshold::above(Self::CONTEXT_OVERHEAD, Nanoseconds);
        let events = Threshold::below(Self::TELEMETRY_THROUGHPUT, PerSecond);
        let threads = Threshold::above(Self::THREADS, Count).watch_of_baseline(1.2).alert_of_baseline(1.5);
        let responses = Threshold::above(Self::RESPONSE_TIME, Nanoseconds);
        let responses = responses.watch_of_baseline(1.1).alert_of_baseline(1.5).roll_back_of_baseline(2.0);
        let memory = Threshold::above(Self::MEMORY, Bytes).watch_over_baseline(250e6).alert_over_baseline(500e6);
        let errors = Threshold::above(Self::ERROR_RATE, Share).floor(0.001);
        Self::new("runbook")
            .and(lookup.watch(5e6).alert(10e6).roll_back(20e6))
            .and(context.watch(100e3).alert(200e3).roll_back(400e3))
            .and(events.watch(10e3).alert(5e3).roll_back(2.5e3))
            .and(Threshold::above(Self::MEMORY_GROWTH, BytesPerHour).watch(1e6).alert(10e6).roll_back(100e6))
            .and(memory.roll_back_over_baseline(1e9))
            .and(errors.watch(0.01).alert_of_baseline(1.2).roll_back(0.05))
            .and(Threshold::above(Self::RESTARTS, PerMinute).watch(2.0).alert(5.0).roll_back(10.0))
            .and(responses)
            .and(threads.roll_back_of_baseline(2.0))
    }

    /// The runbook's figure: the 99th percentile of looking a name up.
    pub const REGISTRY_LOOKUP: &str = "registry lookup p99";
    /// The runbook's figure: what it takes to set a context and to take it away.
    pub const CONTEXT_OVERHEAD: &str = "error context overhead";
    /// The runbook's figure: how many events a second are handled at most.
    pub const TELEMETRY_THROUGHPUT: &str = "telemetry throughput";
    /// The runbook's figure: how much memory is taken in an hour.
    pub const MEMORY_GROWTH: &str = "memory growth";
    /// The runbook's figure: how much memory there is in use.
    pub const MEMORY: &str = "memory";
    /// The runbook's figure: the share of what failed.
    pub const ERROR_RATE: &str = "error rate";
    /// The runbook's figure: restarts in a minute.
    pub const RESTARTS: &str = "restarts";
    /// The runbook's figure: the 99th percentile of what spans took.
    pub const RESPONSE_TIME: &str = "response time p99";
    /// The runbook's figure: how many threads there are.
    pub const THREADS: &str = "threads";

    /// One more, or in the place of that of the same figure.
    pub fn and(mut self, threshold: Threshold) -> Self {
        match self.list.iter_mut().find(|there| there.figure == threshold.figure) {
            Some(there) => *there = threshold,
            None => self.list.push(threshold),
        }
        self
    }

    /// Without this figure.
    pub fn without(mut self, figure: &str) -> Self {
        self.list.retain(|there| there.figure != figure);
        self
    }

    /// Every figure is watched and told of as before, and none rolls a stage back: for a drill, or a machine that is slow.
    pub fn without_rollbacks(mut self) -> Self {
        self.list.iter_mut().for_each(|threshold| threshold.limits[2] = None);
        self
    }

    /// How long a window is, at whose end the figures are judged; a minute if it is not said. One of less than a
    /// millisecond is a millisecond long.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// What a figure is counted in: its threshold says so.
    pub(crate) fn unit_of(&self, figure: &str) -> Unit {
        self.list.iter().find(|threshold| threshold.figure == figure).map_or(Unit::Count, Threshold::unit)
    }

    /// The thresholds.
    pub fn list(&self) -> &[Threshold] {
        &self.list
    }
}
