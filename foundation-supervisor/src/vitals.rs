//! How a universe is, in figures that are there already.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use foundation_registry::{MonitorStats, Sizes};
use foundation_sync::Nanos;
use foundation_telemetry::Figures;

use crate::{QueueNote, System, ThreadNote, text::Span};

/// How many threads the text names.
const SHOWN: usize = 32;

/// How a universe is, in figures that are there already: to have them nobody is asked, and nothing waited for. Each is true
/// at some moment of the call.
///
/// As text it is a short block, one line for each part.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Vitals {
    /// When they were taken, by the universe's clock.
    pub at: Nanos,
    /// How long it has been running, in nanoseconds.
    pub uptime: Nanos,
    /// Its threads by name, and where each waits.
    pub threads: Vec<ThreadNote>,
    /// How many lives there are: workers, supervisors, and who else has begun one.
    pub owners: usize,
    /// Names, groups and what they take.
    pub registry: Sizes,
    /// Monitors.
    pub monitors: MonitorStats,
    /// How many deadlines are pending with the timekeeper.
    pub timers: usize,
    /// Deferred user code.
    pub courier: CourierNote,
    /// How many restarts there were.
    pub restarts: u64,
    /// How many panics ended no life: see [`System::panics_caught`].
    pub panics_caught: u64,
    /// How many workers were abandoned.
    pub abandoned: u64,
    /// How many of them still run.
    pub abandoned_running: u64,
    /// How many threads could not take on all the conditions of the universe: see [`System::conditions_refused`].
    pub conditions_refused: u64,
    /// How many crashes the courier has reported, by [kind](foundation_registry::Exit::kind).
    pub crashes: BTreeMap<&'static str, u64>,
    /// Events and spans.
    pub telemetry: Figures,
}

/// How much deferred user code waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CourierNote {
    /// The jobs that wait.
    pub queue: QueueNote,
    /// How many jobs found no room, or could not be done.
    pub lost: u64,
}

impl Vitals {
    pub(crate) fn of(system: &System) -> Self {
        let (at, telemetry) = (system.clock().now(), system.telemetry());
        Self {
            at,
            uptime: at.saturating_sub(system.since()),
            threads: {
                let mut threads = system.threads();
                threads.sort_by(|one, other| one.name.cmp(&other.name));
                threads
            },
            owners: system.owners().live().len(),
            registry: system.registry().sizes(),
            monitors: system.owners().monitor_stats(),
            timers: system.timekeeper().pending(),
            courier: CourierNote { queue: system.courier().queue(), lost: system.lost() },
            restarts: system.restarts(),
            panics_caught: system.panics_caught(),
            abandoned: system.abandoned(),
            abandoned_running: system.abandoned_running(),
            conditions_refused: system.conditions_refused(),
            crashes: system.courier().ring().kinds(),
            telemetry: telemetry.figures(),
        }
    }

    /// The figures as JSON: times and spans in nanoseconds, places as `file:line:column`.
    ///
    /// ```
    /// let foundation = foundation_supervisor::Foundation::builder().start();
    /// assert_eq!(foundation.vitals().to_json()["restarts"], 0);
    /// ```
    #[cfg(feature = "json")]
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use crate::{Doing, snapshot::json::place};

        let thread = |thread: &ThreadNote| {
            let doing = match thread.doing {
                Doing::Runs => "runs",
                Doing::WaitsAt(_) => "waits",
                Doing::Ends => "ends",
            };
            serde_json::json!({ "name": *thread.name, "doing": doing, "waits_at": place(thread.waits_at()) })
        };
        let (queue, names, monitors, events) = (&self.courier.queue, &self.registry, &self.monitors, &self.telemetry);
        serde_json::json!({
            "at": self.at,
            "uptime": self.uptime,
            "threads": self.threads.iter().map(thread).collect::<Vec<_>>(),
            "owners": self.owners,
            "registry": {
                "names": names.names,
                "groups": names.groups,
                "members": names.members,
                "indexed": names.indexed,
                "listeners": names.listeners,
                "watches": names.watches,
                "taken": names.taken,
                "capacity": names.capacity,
                "bytes": names.bytes,
            },
            "monitors": {
                "active": monitors.active,
                "created": monitors.created,
                "delivered": monitors.delivered,
                "unknown": monitors.unknown,
                "unwanted": monitors.unwanted,
                "withdrawn": monitors.withdrawn,
                "dropped": monitors.dropped,
                "leaked": monitors.leaked,
            },
            "timers": self.timers,
            "courier": {
                "len": queue.len,
                "capacity": queue.capacity,
                "high_water": queue.high_water,
                "lost": self.courier.lost,
            },
            "restarts": self.restarts,
            "panics_caught": self.panics_caught,
            "abandoned": self.abandoned,
            "abandoned_running": self.abandoned_running,
            "conditions_refused": self.conditions_refused,
            "crashes": self.crashes,
            "telemetry": {
                "handlers": events.handlers,
                "failures": events.failures,
                "failed": events.failed,
                "forgotten": events.forgotten,
                "drop_panics": events.drop_panics,
                "queued": events.queued,
                "overflowed": events.overflowed,
                "undelivered": events.undelivered,
                "suppressed": events.suppressed,
                "untracked": events.untracked,
                "spans_open": events.spans_open,
                "spans_opened": events.spans_opened,
                "spans_refused": events.spans_refused,
                "attributes_cut": events.attributes_cut,
            },
        })
    }
}

impl Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, queue) = (&self.registry, &self.courier.queue);
        writeln!(f, "uptime     {}", Span(self.uptime))?;
        write!(f, "crashes    {}", self.crashes.values().sum::<u64>())?;
        for (n, (kind, count)) in self.crashes.iter().enumerate() {
            write!(f, "{}{count} {kind}", if n == 0 { ": " } else { ", " })?;
        }
        writeln!(f, "\npanics     {} more caught, which ended no life", self.panics_caught)?;
        writeln!(f, "restarts   {}", self.restarts)?;
        writeln!(f, "abandoned  {}, {} still run", self.abandoned, self.abandoned_running)?;
        writeln!(f, "lives      {}", self.owners)?;
        writeln!(f, "names      {} of {}, {} bytes", names.taken, names.capacity, names.bytes)?;
        writeln!(f, "groups     {} with {} members", names.groups, names.members)?;
        writeln!(
            f,
            "monitors   {} of {} active, {} leaked",
            self.monitors.active, self.monitors.created, self.monitors.leaked
        )?;
        writeln!(f, "timers     {} pending", self.timers)?;
        writeln!(
            f,
            "courier    {} of {} waiting, {} at most, {} lost",
            queue.len, queue.capacity, queue.high_water, self.courier.lost
        )?;
        writeln!(f, "{}", self.telemetry)?;
        write!(f, "threads    {}, {} refused their conditions", self.threads.len(), self.conditions_refused)?;
        let name = |thread: &ThreadNote| thread.name.chars().count();
        let shown = &self.threads[..self.threads.len().min(SHOWN)];
        let width = shown.iter().map(name).max().unwrap_or(0);
        for thread in shown {
            write!(f, "\n  {:width$}  {}", thread.name, thread.doing)?;
        }
        match self.threads.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "\n  {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Doing;

    fn vitals() -> Vitals {
        let (mut registry, mut monitors) = (Sizes::default(), MonitorStats::default());
        (registry.names, registry.taken, registry.capacity, registry.bytes) = (2, 5, 100, 4096);
        (registry.groups, registry.members) = (1, 3);
        (monitors.created, monitors.active, monitors.delivered) = (7, 1, 6);
        let mut telemetry = Figures::default();
        (telemetry.handlers, telemetry.failures) = (1, 8);
        (telemetry.spans_open, telemetry.spans_opened) = (9, 10);
        let thread = |name: &str| ThreadNote { name: name.into(), doing: Doing::Runs };
        Vitals {
            at: 63_500_000_000,
            uptime: 62_000_000_000,
            threads: vec![thread("courier#1"), ThreadNote { doing: Doing::Ends, ..thread("shop/clerk#2") }],
            owners: 6,
            registry,
            monitors,
            timers: 2,
            courier: CourierNote { queue: QueueNote { len: 1, capacity: 4096, high_water: 17 }, lost: 3 },
            restarts: 4,
            panics_caught: 7,
            abandoned: 2,
            abandoned_running: 1,
            conditions_refused: 6,
            crashes: BTreeMap::from([("panicked", 3), ("abandoned", 2)]),
            telemetry,
        }
    }

    #[test]
    fn the_text_is_a_short_block() {
        let expected = "\
uptime     1m 2s
crashes    5: 2 abandoned, 3 panicked
panics     7 more caught, which ended no life
restarts   4
abandoned  2, 1 still run
lives      6
names      5 of 100, 4096 bytes
groups     1 with 3 members
monitors   1 of 7 active, 0 leaked
timers     2 pending
courier    1 of 4096 waiting, 17 at most, 3 lost
events     1 handlers, 8 failed, 0 queued, 0 overflowed, 0 undelivered, 0 suppressed, 0 untracked
spans      9 of 10 open, 0 refused, 0 attributes cut
threads    2, 6 refused their conditions
  courier#1     runs
  shop/clerk#2  has ended, but for the destructor of a thread-local";
        assert_eq!(vitals().to_string(), expected);
    }

    #[test]
    fn a_text_of_many_threads_is_bounded() {
        let mut vitals = vitals();
        vitals.threads = vec![vitals.threads[0].clone(); 10_000];
        let text = vitals.to_string();
        assert!(text.lines().count() == 14 + SHOWN + 1 && text.ends_with("\n  9968 more"), "{text}");
    }

    #[test]
    #[cfg(feature = "json")]
    fn the_json_has_every_figure() {
        let json = vitals().to_json();
        let expected: serde_json::Value = serde_json::from_str(include_str!("vitals.json")).expect("it is JSON");
        assert_eq!(json, expected, "{json:#}");
    }
}
