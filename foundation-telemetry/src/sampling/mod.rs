//! Which events of a name are let through.
//!
//! # Protocol
//! A name's slot says whether it is sampled, and how: two words that are changed under the lock of the table of samplers,
//! the sampler first. Whoever emits looks at the first of them once it knows that somebody listens; a name without a sampler
//! costs that look. It is decided before the event is built.

mod pace;
mod reservoir;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use foundation_context::{Field, Fields, Value};
use foundation_sync::{
    Mutex, Nanos, Snapshot,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{Event, EventName, Telemetry, handlers::Slot};
use pace::{Adaptive, Sliding};
use reservoir::{Harvest, Reservoir};

/// How many names may be sampled at once.
pub const MOST_SAMPLERS: usize = 1024;

/// Which events of a name are let through.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sampling {
    /// All of them; they are counted.
    Always,
    /// None of them; they are counted.
    Never,
    /// Each with this probability: 0.0, or what is no number, is none, 1.0 all. Those that pass carry the measurement
    /// `sampled`, the probability: who sums them up divides by it.
    Random(f64),
    /// The first that come, but no more than so many in any second.
    RateLimited(u32),
    /// At random, so that so many pass per second in the mean, however many come. The probability follows what comes, by
    /// the second: after a jump it fits from the next second on. Until then, and in each of these seconds, at most twice as
    /// many pass, and eight. Those that pass carry the measurement `sampled`, the probability.
    Adaptive(u32),
    /// So many of each window, of which each that came in it is one with the same probability; they are emitted when it is
    /// over, oldest first, with the context in which they came. A window begins with the first event that comes when none
    /// is open. They carry the measurement `sampled`, the share that was kept, and `sampled_from`, how many came.
    Reservoir {
        /// How many are kept; 0 counts as 1.
        keep: u32,
        /// How long a window is.
        window: Duration,
    },
}

/// A sampler, as [`Telemetry::samplers`] shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sampled {
    /// What is sampled.
    pub name: EventName,
    /// How.
    pub sampling: Sampling,
    /// How many events came.
    pub seen: u64,
    /// How many of them passed, those that a reservoir has emitted among them.
    pub passed: u64,
    /// How many lie in a reservoir.
    pub kept: u64,
    /// How many a reservoir had chosen and could not emit: nobody took the errand, or it was dropped unrun.
    pub lost: u64,
    /// With which probability one passes now; of a sampling that does not go by one, which share of all has passed.
    pub rate: f64,
}

/// There are [`MOST_SAMPLERS`] samplers: nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleError {
    /// What was to be sampled.
    pub name: EventName,
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no room for a sampler of {}: there are {MOST_SAMPLERS}; `unsample` one that is not needed",
            self.name
        )
    }
}

impl std::error::Error for SampleError {}

/// What a name's slot knows of its sampler.
pub(crate) struct Tap {
    on: AtomicBool,
    sampler: Snapshot<Option<Arc<Sampler>>>,
}

/// The samplers of one universe.
pub(crate) struct Samplers {
    seed: u64,
    made: AtomicU64,
    by_name: Mutex<ByName>,
}

type ByName = HashMap<EventName, (Arc<Sampler>, Arc<Slot>)>;

pub(crate) struct Sampler {
    name: EventName,
    sampling: Sampling,
    /// Where its random numbers begin.
    seed: u64,
    /// Also which random number is the next: one locked instruction for both.
    seen: AtomicU64,
    passed: AtomicU64,
    kind: Kind,
}

enum Kind {
    All,
    None,
    /// Of 2^64 random numbers so many let one pass; the greatest says all of them.
    Random(u64),
    RateLimited(Box<Mutex<Sliding>>),
    Adaptive(Box<Mutex<Adaptive>>),
    Reservoir(Arc<Reservoir>),
}

/// What becomes of an event that has not been built.
pub(crate) enum Verdict {
    Pass,
    /// It passes, and says with which probability.
    PassMarked(f64),
    Drop,
    /// A reservoir decides, by this random number.
    Offer(Arc<Reservoir>, u64),
}

impl Tap {
    pub(crate) fn new() -> Self {
        Self { on: AtomicBool::new(false), sampler: Snapshot::new(None) }
    }

    /// Whether there is a sampler to be asked.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        // ordering: Acquire, pairs with the Release in `set`.
        self.on.load(Ordering::Acquire)
    }

    /// Called under the lock of the samplers.
    #[must_use = "the old sampler may hold events, which are not dropped under a lock"]
    fn set(&self, sampler: Option<Arc<Sampler>>) -> Arc<Option<Arc<Sampler>>> {
        let on = sampler.is_some();
        let old = self.sampler.swap(Arc::new(sampler));
        // ordering: Release, pairs with the Acquire in `is_on`: who finds it on finds the sampler, or a later one.
        self.on.store(on, Ordering::Release);
        old
    }

    pub(crate) fn ask(&self, now: impl Fn() -> Nanos) -> Verdict {
        self.sampler.load().as_ref().as_ref().map_or(Verdict::Pass, |sampler| sampler.ask(now))
    }
}

impl Samplers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, made: AtomicU64::new(0), by_name: Mutex::default() }
    }

    fn sampler(&self, name: EventName, sampling: Sampling) -> Arc<Sampler> {
        let number = self.made.fetch_add(1, Ordering::Relaxed); // ordering: a count
        let kind = match sampling {
            Sampling::Always => Kind::All,
            Sampling::Never => Kind::None,
            // As an integer what is below 0, or no number, is 0, and 1.0 or more the greatest.
            Sampling::Random(share) => Kind::Random((share * TWO_TO_64) as u64),
            Sampling::RateLimited(most) => Kind::RateLimited(Box::new(Mutex::new(Sliding::new(most)))),
            Sampling::Adaptive(target) => Kind::Adaptive(Box::new(Mutex::new(Adaptive::new(target)))),
            Sampling::Reservoir { keep, window } => Kind::Reservoir(Arc::new(Reservoir::new(keep, window))),
        };
        let seed = mix(self.seed ^ mix(number));
        let (seen, passed) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Sampler { name, sampling, seed, seen, passed, kind })
    }
}

const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// SplitMix64's finisher: of the numbers 0, 1, 2 .. times an odd constant it makes a random sequence that passes the usual
/// tests, and the only state is which number is the next. So many threads draw without a lock, by the count that they move
/// anyway; a generator of a library would need one, or a slot of the thread's.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Sampler {
    fn ask(self: &Arc<Self>, now: impl Fn() -> Nanos) -> Verdict {
        let number = self.seen.fetch_add(1, Ordering::Relaxed); // ordering: a count
        // 1 is added since 0 is what `mix` makes of 0.
        let draw = || mix(self.seed.wrapping_add(number).wrapping_add(1));
        let passes = match &self.kind {
            Kind::All => Verdict::Pass,
            Kind::None => Verdict::Drop,
            Kind::Random(below) if *below == u64::MAX || draw() < *below => {
                Verdict::PassMarked(*below as f64 / TWO_TO_64)
            }
            Kind::Random(_) => Verdict::Drop,
            Kind::RateLimited(state) => {
                let mut state = state.lock();
                if state.passes(now()) { Verdict::Pass } else { Verdict::Drop }
            }
            Kind::Adaptive(state) => {
                let mut state = state.lock();
                state.passes(now(), draw()).map_or(Verdict::Drop, Verdict::PassMarked)
            }
            Kind::Reservoir(reservoir) => Verdict::Offer(Arc::clone(reservoir), draw()),
        };
        if matches!(passes, Verdict::Pass | Verdict::PassMarked(_)) {
            self.passed.fetch_add(1, Ordering::Relaxed); // ordering: a count
        }
        passes
    }

    fn show(&self) -> Sampled {
        let seen = self.seen.load(Ordering::Relaxed); // ordering: a count
        let mut passed = self.passed.load(Ordering::Relaxed); // ordering: a count
        let (mut kept, mut lost) = (0, 0);
        if let Kind::Reservoir(reservoir) = &self.kind {
            (passed, kept, lost) = reservoir.figures();
        }
        let rate = match &self.kind {
            Kind::All => 1.0,
            Kind::None => 0.0,
            Kind::Random(below) => *below as f64 / TWO_TO_64,
            Kind::Adaptive(state) => state.lock().rate(),
            _ if seen == 0 => 1.0,
            _ => passed as f64 / seen as f64,
        };
        Sampled { name: self.name, sampling: self.sampling, seen, passed, kept, lost, rate }
    }
}

/// The same measurements and one more.
pub(crate) fn with_field(fields: &Fields, more: Field) -> Fields {
    fields.iter().cloned().chain([more]).collect()
}

impl Telemetry {
    /// Samples the events of this name from now on, in place of a sampler that it may have; only events that somebody
    /// listens to count. What is emitted once per window ([`Emitter::emit_once_per`](crate::Emitter::emit_once_per)) is
    /// not sampled.
    ///
    /// # Errors
    /// There is no room for another sampler.
    pub fn sample(&self, name: EventName, sampling: Sampling) -> Result<(), SampleError> {
        let slot = self.emitter(name).slot;
        let sampler = self.0.samplers.sampler(name, sampling);
        let gone = {
            let mut by_name = self.0.samplers.by_name.lock();
            if by_name.len() >= MOST_SAMPLERS && !by_name.contains_key(&name) {
                return Err(SampleError { name });
            }
            let old = slot.tap.set(Some(Arc::clone(&sampler)));
            by_name.insert(name, (sampler, slot));
            old
        };
        self.end(&gone);
        Ok(())
    }

    /// Lets all events of this name through again; what a reservoir has kept is emitted. Returns what the sampler did, if
    /// there was one.
    pub fn unsample(&self, name: EventName) -> Option<Sampled> {
        let gone = {
            let mut by_name = self.0.samplers.by_name.lock();
            let (_, slot) = by_name.remove(&name)?;
            slot.tap.set(None)
        };
        self.end(&gone);
        gone.as_ref().as_ref().map(|sampler| sampler.show())
    }

    /// All samplers, by name.
    pub fn samplers(&self) -> Vec<Sampled> {
        let samplers: Vec<_> = {
            let by_name = self.0.samplers.by_name.lock();
            by_name.values().map(|(sampler, _)| Arc::clone(sampler)).collect()
        };
        let mut shown: Vec<_> = samplers.iter().map(|sampler| sampler.show()).collect();
        shown.sort_by_key(|sampled| sampled.name);
        shown
    }

    /// Closes all windows of reservoirs, and emits what they have kept, on the calling thread.
    pub fn close_reservoirs(&self) {
        let reservoirs: Vec<_> = {
            let by_name = self.0.samplers.by_name.lock();
            let all = by_name.values().filter_map(|(sampler, slot)| match &sampler.kind {
                Kind::Reservoir(reservoir) => Some((Arc::clone(reservoir), Arc::clone(slot))),
                _ => None,
            });
            all.collect()
        };
        for (reservoir, slot) in reservoirs {
            Harvest::of_open(self, &slot, &reservoir, None).run();
        }
    }

    fn end(&self, gone: &Option<Arc<Sampler>>) {
        let Some(sampler) = gone else { return };
        if let Kind::Reservoir(reservoir) = &sampler.kind {
            reservoir.end();
            Harvest::of_open(self, &self.emitter(sampler.name).slot, reservoir, None).run();
        }
    }

    /// Emits an event of a name that is sampled.
    #[cold]
    pub(crate) fn emit_sampled(&self, slot: &Arc<Slot>, name: EventName, build: impl FnOnce() -> (Fields, Fields)) {
        match slot.tap.ask(|| self.0.clock.now()) {
            Verdict::Drop => {}
            Verdict::Pass => self.deliver(slot, &Event::new(name, build())),
            Verdict::PassMarked(rate) => {
                let (measurements, metadata) = build();
                let measurements = with_field(&measurements, ("sampled", Value::F64(rate)));
                self.deliver(slot, &Event::new(name, (measurements, metadata)));
            }
            Verdict::Offer(reservoir, draw) => self.offer((slot, name), &reservoir, draw, build),
        }
    }
}
