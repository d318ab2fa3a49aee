//! The runbook's nine figures of a universe that is being migrated: who measures what.
//!
//! Three are made by a probe at the end of each window, on the courier: a few hundred look-ups, contexts and events, in
//! whichever mode the services are. The others are counts that the universe has anyway, and what its spans took: for that
//! a handler hears each span that is closed.

use std::{hint::black_box, sync::Arc};

use foundation_context::{fields, with};
use foundation_flags::{Builder, Reading, Thresholds, USE_TELEMETRY_SERVICE, Unit};
use foundation_registry::{Address, Registry};
use foundation_sync::{
    Clock, Nanos,
    atomic::{AtomicU64, Ordering},
};
use foundation_telemetry::{Distribution, Event, EventName, SPAN_STOP, Telemetry, event_name};

use crate::{System, WeakSystem};

/// How many operations a probe is made of.
const PROBES: u64 = 256;
/// So many spans, or what else succeeds or fails, are judged, not fewer.
const LEAST: u64 = 100;
/// What a probe of telemetry emits; nobody but the probe hears it.
const PROBE: EventName = event_name!("foundation", "migration", "probe");

/// What spans said when they were closed.
#[derive(Default)]
struct Spans {
    took: Distribution,
    all: AtomicU64,
    failed: AtomicU64,
}

impl Spans {
    fn hear(&self, event: &Event) {
        self.all.fetch_add(1, Ordering::Relaxed); // ordering: a count
        if event.metadata.get("status").is_some_and(|status| status.as_str() == Some("error")) {
            self.failed.fetch_add(1, Ordering::Relaxed); // ordering: a count
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
    let crashes = system.clone();
    let flags = flags
        .measure(Thresholds::REGISTRY_LOOKUP, Unit::Nanoseconds, lookups(clock, registry))
        .measure(Thresholds::CONTEXT_OVERHEAD, Unit::Nanoseconds, contexts(clock))
        .measure(Thresholds::MEMORY_GROWTH, Unit::BytesPerHour, || {
            memory().map_or_else(Reading::Nothing, Reading::Growth)
        })
        .measure(Thresholds::MEMORY, Unit::Bytes, || memory().map_or_else(Reading::Nothing, Reading::Gauge))
        .measure(Thresholds::ERROR_RATE, Unit::Share, move || {
            let crashed = crashes.upgrade().map_or(0, |system| failed_exits(&system));
            // ordering: counts. The part first: it is never more than all.
            let part = errors.failed.load(Ordering::Relaxed) + crashed;
            let all = errors.all.load(Ordering::Relaxed) + crashed; // ordering: as above
            Reading::Share { part, all, at_least: LEAST }
        })
        .measure(Thresholds::RESTARTS, Unit::PerMinute, of_system(|system| Reading::Count(system.restarts())))
        .measure(Thresholds::RESPONSE_TIME, Unit::Nanoseconds, move || Reading::Latency {
            of: responses.took.drain().quantiles(),
            at_least: LEAST,
        })
        .measure(Thresholds::THREADS, Unit::Count, of_system(|system| Reading::Gauge(system.threads().len() as f64)));
    events(flags, clock)
}

/// Those that failed or panicked.
fn failed_exits(system: &System) -> u64 {
    let kinds = system.courier().ring().kinds();
    ["failed", "panicked"].iter().filter_map(|kind| kinds.get(kind)).sum()
}

fn lookups(clock: &Clock, registry: &Registry<Address>) -> impl Fn() -> Reading + Send + Sync + 'static {
    let (clock, registry) = (clock.clone(), registry.clone());
    move || {
        let took = Distribution::new();
        for _ in 0..PROBES {
            let before = clock.now();
            black_box(registry.lookup(black_box("foundation.migration.probe")));
            took.record(clock.now().saturating_sub(before));
        }
        match took.quantiles() {
            of if of.most == 0 => stands(),
            of => Reading::Latency { of, at_least: PROBES },
        }
    }
}

fn contexts(clock: &Clock) -> impl Fn() -> Reading + Send + Sync + 'static {
    let clock = clock.clone();
    move || {
        let before = clock.now();
        (0..PROBES).for_each(|probe| with(fields! { probe: probe }, || black_box(())));
        match clock.now().saturating_sub(before) {
            0 => stands(),
            took => Reading::Gauge(took as f64 / PROBES as f64),
        }
    }
}

/// Telemetry of the probe's own, so that no handler of the universe's hears it; in the universe's mode.
fn events(flags: Builder, clock: &Clock) -> Builder {
    let (clock, telemetry, heard) = (clock.clone(), Telemetry::new(), Arc::new(AtomicU64::new(0)));
    let counts = Arc::clone(&heard);
    // ordering: a count
    let attached = telemetry.attach("probe", PROBE, move |_| _ = counts.fetch_add(1, Ordering::Relaxed));
    attached.expect("nobody else attaches anything to it");
    let (emitter, service) = (telemetry.emitter(PROBE), telemetry.switches().service);
    flags.bind(&USE_TELEMETRY_SERVICE, &service).measure(Thresholds::TELEMETRY_THROUGHPUT, Unit::PerSecond, move || {
        let _telemetry = &telemetry;
        let (before, heard_before) = (clock.now(), heard.load(Ordering::Relaxed)); // ordering: a count
        (0..PROBES).for_each(|probe| emitter.emit(|| (fields! { probe: probe }, fields! {})));
        let heard = heard.load(Ordering::Relaxed) - heard_before; // ordering: a count
        per_second(heard, clock.now().saturating_sub(before))
    })
}

fn per_second(count: u64, took: Nanos) -> Reading {
    if took == 0 { stands() } else { Reading::Gauge(count as f64 * 1e9 / took as f64) }
}

/// As it does in a virtual time.
fn stands() -> Reading {
    Reading::Nothing("the clock stands".into())
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
