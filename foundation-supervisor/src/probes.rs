//! How fast look-ups, contexts and events are: a few hundred of each, in whichever mode the services are.
//!
//! A probe runs on the courier, which others keep waiting, and the machine may take the processor away for a tenth of a
//! second. No such moment may make a figure: so operations are timed one by one, or in batches of sixteen, and a figure is
//! the median, the 99th percentile, or where it says how much is possible at most, the best batch.

use std::{hint::black_box, sync::Arc};

use foundation_context::{fields, with};
use foundation_flags::Reading;
use foundation_registry::{Address, Registry};
use foundation_sync::{Clock, Errands, Mutex, Nanos, Switch};
use foundation_telemetry::{Distribution, Emitter, Event, EventName, Telemetry, event_name};

/// How many operations a probe is made of.
const PROBES: u64 = 256;
/// How many are timed together.
const BATCH: u64 = 16;
/// How many names are looked up in turn.
const NAMES: usize = 16;
/// What a probe of telemetry emits; nobody but the probe hears it.
const PROBE: EventName = event_name!("foundation", "migration", "probe");

/// As it does in a virtual time.
fn stands() -> Reading {
    Reading::Nothing("the clock stands".into())
}

/// Look-ups of names that there are; where the courier finds none, of one that nobody has.
pub(crate) struct Lookups {
    clock: Clock,
    registry: Registry<Address>,
    /// Names that were there. All are listed only where too many of these are gone.
    names: Mutex<Vec<String>>,
}

impl Lookups {
    pub(crate) fn new(clock: &Clock, registry: &Registry<Address>) -> Self {
        Self { clock: clock.clone(), registry: registry.clone(), names: Mutex::default() }
    }

    pub(crate) fn source(self) -> impl Fn() -> Reading + Send + Sync + 'static {
        move || {
            let (took, _) = self.probe();
            match took.quantiles() {
                of if of.most == 0 => stands(),
                of => Reading::Latency { of, at_least: PROBES },
            }
        }
    }

    /// What they took, and how many have found somebody.
    fn probe(&self) -> (Distribution, usize) {
        let (names, took, mut found) = (self.names(), Distribution::new(), 0);
        for name in names.iter().cycle().take(PROBES as usize) {
            let before = self.clock.now();
            let there = black_box(self.registry.lookup(black_box(name)));
            took.record(self.clock.now().saturating_sub(before));
            found += usize::from(there.is_some());
        }
        (took, found)
    }

    fn names(&self) -> Vec<String> {
        let mut names = std::mem::take(&mut *self.names.lock());
        names.retain(|name| self.registry.lookup(name).is_some());
        if names.len() <= NAMES / 2 {
            names = self.registry.entries().iter().take(NAMES).map(|entry| entry.name().to_owned()).collect();
        }
        self.names.lock().clone_from(&names);
        if names.is_empty() {
            names.push("foundation.migration.probe".to_owned());
        }
        names
    }
}

/// What it takes to set a context and to take it away.
pub(crate) struct Contexts(Clock);

impl Contexts {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self(clock.clone())
    }

    pub(crate) fn source(self) -> impl Fn() -> Reading + Send + Sync + 'static {
        move || {
            let took = Distribution::new();
            for _ in 0..PROBES / BATCH {
                let before = self.0.now();
                (0..BATCH).for_each(|probe| with(fields! { probe: probe }, || black_box(())));
                took.record(self.0.now().saturating_sub(before));
            }
            per_operation(&took)
        }
    }
}

/// What each of a batch took, in the median.
fn per_operation(took: &Distribution) -> Reading {
    match took.quantiles() {
        of if of.most == 0 => stands(),
        of => Reading::Gauge(of.p50 as f64 / BATCH as f64),
    }
}

/// How many events a second are emitted and handled at most, whichever is less, by a queued handler: in the new way it is
/// the courier that handles them, when the probe is over. So what is read is what the last probe has come to.
///
/// Telemetry of the probe's own, so that no handler of the universe's hears it.
pub(crate) struct Events {
    clock: Clock,
    telemetry: Telemetry,
    emitter: Emitter,
    /// What the best batch took to be emitted, by the last probe.
    emitted: Mutex<Option<Nanos>>,
    handled: Arc<Mutex<Handled>>,
}

/// What has been handled of the last probe.
#[derive(Default)]
struct Handled {
    count: u64,
    /// When the batch began.
    since: Nanos,
    /// What the best one took.
    best: Option<Nanos>,
}

impl Handled {
    /// The event of this number is handled; the first one, 0, begins the first batch.
    fn hear(&mut self, number: u64, now: Nanos) {
        if number == 0 {
            *self = Self::default();
        } else {
            self.count += 1;
            let took = now.saturating_sub(self.since);
            self.best = Some(self.best.map_or(took, |best| best.min(took)));
        }
        self.since = now;
    }
}

impl Events {
    pub(crate) fn new(clock: &Clock, errands: &Errands) -> Self {
        let telemetry = Telemetry::builder().clock(clock).errands(errands).build();
        let handled = Arc::<Mutex<Handled>>::default();
        let (hears, watch) = (Arc::clone(&handled), clock.clone());
        let handler = move |event: &Event| {
            let number = event.measurements.get("probe").and_then(|number| number.as_u64()).unwrap_or_default();
            if number % BATCH == 0 {
                hears.lock().hear(number, watch.now());
            }
        };
        let attached = telemetry.attach_queued("probe", PROBE, PROBES as usize + 1, handler);
        attached.expect("nobody else attaches anything to it");
        Self { clock: clock.clone(), emitter: telemetry.emitter(PROBE), telemetry, emitted: Mutex::default(), handled }
    }

    /// Which way it works.
    pub(crate) fn service(&self) -> Switch {
        self.telemetry.switches().service
    }

    pub(crate) fn source(self) -> impl Fn() -> Reading + Send + Sync + 'static {
        move || {
            let last = self.last();
            let emit = |probe| self.emitter.emit(|| (fields! { probe: probe }, fields! {}));
            let batch = |batch: u64| {
                let before = self.clock.now();
                (1..=BATCH).for_each(|at| emit(batch * BATCH + at));
                self.clock.now().saturating_sub(before)
            };
            emit(0);
            let best = (0..PROBES / BATCH).map(batch).min();
            *self.emitted.lock() = best;
            last
        }
    }

    fn last(&self) -> Reading {
        let Some(emitted) = *self.emitted.lock() else { return Reading::Nothing("there was no probe before".into()) };
        let handled = self.handled.lock();
        match handled.best {
            Some(best) if handled.count == PROBES / BATCH => match best.max(emitted) {
                0 => stands(),
                took => Reading::Gauge(BATCH as f64 * 1e9 / took as f64),
            },
            _ => {
                let handled = handled.count * BATCH;
                Reading::Nothing(format!("{handled} of {PROBES} events of the last probe are handled").into())
            }
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use foundation_context::Incarnation;
    use foundation_registry::{Exit, Owners};
    use foundation_sync::{Activity, Errand};

    use super::*;

    #[test]
    fn names_that_there_are_are_looked_up_and_others_when_those_are_gone() {
        let telemetry = Telemetry::new();
        let owners = Owners::with_activity(Activity::default());
        let registry = Registry::new(&owners, &telemetry);
        let probe = Lookups::new(&Clock::system(), &registry);
        assert_eq!(probe.probe().1, 0, "there is none");
        for life in 1..=2 {
            let owner = owners.begin(Incarnation { id: life, generation: 1 }, "owner");
            for at in 0..3 {
                let name = format!("{life}/{at}");
                registry.register(&name, &owner, Address::new(()), fields! {}).expect("it is free").keep();
            }
            let (took, found) = probe.probe();
            assert_eq!((took.quantiles().count, found), (PROBES, PROBES as usize), "each finds somebody");
            drop(owner.end(Exit::Normal));
        }
    }

    #[test]
    fn events_are_counted_when_they_are_handled_in_the_mode_of_the_service() {
        let jobs = Arc::<Mutex<Vec<Errand>>>::default();
        let takes = Arc::clone(&jobs);
        let errands = Errands::new(move |errand| {
            takes.lock().push(errand);
            Ok(())
        });
        let run = || {
            while let Some(job) = { jobs.lock().pop() } {
                job();
            }
        };
        let why = |reading| match reading {
            Reading::Nothing(why) => why.to_string(),
            other => format!("{other:?}"),
        };
        let events = Events::new(&Clock::system(), &errands);
        let service = events.service();
        let probe = events.source();
        assert_eq!(why(probe()), "there was no probe before");
        assert_eq!(why(probe()), "0 of 256 events of the last probe are handled", "nobody runs them");
        run();
        probe();
        run();
        let measured = probe();
        assert!(matches!(measured, Reading::Gauge(rate) if rate > 0.0), "{measured:?}");
        run();
        service.push(service.epoch().flipped());
        assert!(!service.is_on());
        probe();
        let measured = probe();
        assert!(matches!(measured, Reading::Gauge(rate) if rate > 0.0), "handled by whoever emits: {measured:?}");
        assert!(jobs.lock().is_empty());
    }

    #[test]
    fn one_stall_of_a_tenth_of_a_second_makes_no_figure() {
        let mut handled = Handled::default();
        let mut now = 0;
        for number in (0..=PROBES).step_by(BATCH as usize) {
            handled.hear(number, now);
            now += if number == PROBES / 2 { 100_000_000 } else { 16_000 };
        }
        assert_eq!((handled.count, handled.best), (PROBES / BATCH, Some(16_000)));
        let took = Distribution::new();
        (1..PROBES / BATCH).for_each(|_| took.record(160));
        took.record(100_000_000);
        assert_eq!(per_operation(&took), Reading::Gauge(10.0));
    }
}
