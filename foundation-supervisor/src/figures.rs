//! The runbook's nine figures of a universe that is being migrated: who measures what.
//!
//! Three are made by a [probe](crate::probes) at each end of a window, on the courier: a few hundred look-ups, contexts and
//! events, in whichever mode the services are. The others are counts that the universe has anyway, and what its spans took:
//! for that a handler hears each span that is closed.

use std::sync::Arc;

use foundation_flags::{Builder, Reading, Thresholds, USE_TELEMETRY_SERVICE};
use foundation_registry::{Address, Registry};
use foundation_sync::{Clock, Errands};
use foundation_telemetry::{Distribution, Event, SPAN_STOP, Tally, Telemetry};

use crate::{
    Calls, System, WeakSystem,
    probes::{Contexts, Events, Lookups},
};

/// So many spans, or what else succeeds or fails, are judged, not fewer.
const LEAST: u64 = 100;

/// What spans said when they were closed.
#[derive(Default)]
struct Spans {
    took: Distribution,
    all: Tally,
    failed: Tally,
}

impl Spans {
    fn hear(&self, event: &Event) {
        self.all.add();
        if event.metadata.get("status").is_some_and(|status| status.as_str() == Some("error")) {
            self.failed.add();
        }
        if let Some(duration) = event.measurements.get("duration").and_then(|duration| duration.as_u64()) {
            self.took.record(duration);
        }
    }
}

/// The flags measure this universe.
pub(crate) fn measured(
    flags: Builder,
    system: &WeakSystem,
    clock: &Clock,
    registry: &Registry<Address>,
    telemetry: &Telemetry,
) -> Builder {
    let spans = Arc::new(Spans::default());
    let hears = Arc::clone(&spans);
    let attached = telemetry.attach("foundation.migration.figures", SPAN_STOP, move |event| hears.hear(event));
    attached.expect("the universe is just being made: nobody has attached anything");
    let of_system = |read: fn(&System) -> Reading| {
        let system = system.clone();
        move || system.upgrade().map_or_else(|| Reading::Nothing("the universe is gone".into()), |system| read(&system))
    };
    let (errors, responses) = (Arc::clone(&spans), spans);
    let universe = system.clone();
    let flags = flags
        .measure(Thresholds::REGISTRY_LOOKUP, Lookups::new(clock, registry).source())
        .measure(Thresholds::CONTEXT_OVERHEAD, Contexts::new(clock).source())
        .measure(Thresholds::MEMORY_GROWTH, || memory().map_or_else(Reading::Nothing, Reading::Growth))
        .measure(Thresholds::MEMORY, || memory().map_or_else(Reading::Nothing, Reading::Gauge))
        .measure(Thresholds::ERROR_RATE, move || {
            let (system, calls) = (universe.upgrade(), universe.upgrade().map(|system| system.part::<Calls>()));
            let crashed = system.map_or(0, |system| failed_exits(&system));
            calls.iter().for_each(|calls| calls.begin());
            let of_calls = |count: fn(&Calls) -> u64| calls.as_deref().map_or(0, count);
            let part = errors.failed.sum() + of_calls(Calls::failed) + crashed;
            let all = errors.all.sum() + of_calls(Calls::all) + crashed;
            Reading::Share { part, all, at_least: LEAST }
        })
        .measure(Thresholds::RESTARTS, of_system(|system| Reading::Count(system.restarts())))
        .measure(Thresholds::RESPONSE_TIME, move || Reading::Latency {
            of: responses.took.drain().quantiles(),
            at_least: LEAST,
        })
        .measure(Thresholds::THREADS, of_system(|system| Reading::Gauge(system.threads().len() as f64)));
    let courier = system.clone();
    let errands = Errands::new(move |errand| match courier.upgrade() {
        Some(system) => system.run_errand(errand),
        None => Err(errand),
    });
    let events = Events::new(clock, &errands);
    // The probe's telemetry works in the mode in which the universe's does.
    let flags = flags.bind(&USE_TELEMETRY_SERVICE, &events.service());
    flags.measure(Thresholds::TELEMETRY_THROUGHPUT, events.source())
}

/// Those that failed or panicked.
fn failed_exits(system: &System) -> u64 {
    let kinds = system.courier().ring().kinds();
    ["failed", "panicked"].iter().filter_map(|kind| kinds.get(kind)).sum()
}

/// How many bytes of the process are in memory.
#[cfg(target_os = "linux")]
fn memory() -> Result<f64, Arc<str>> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| Arc::from(error.to_string()))?;
    resident(&status).ok_or_else(|| "/proc/self/status has no VmRSS".into())
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Result<f64, Arc<str>> {
    Err("it is measured on Linux alone".into())
}

#[cfg(target_os = "linux")]
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(kilobytes as f64 * 1024.0)
}

#[cfg(all(test, not(any(loom, shuttle)), target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"), Some(1234.0 * 1024.0));
        assert_eq!(resident("Name:\tx\n"), None);
        assert!(memory().expect("this is Linux") > 1e5);
    }
}
