//! Scenarios: one story, run as thoroughly as the face at hand can.

/// A scenario of this name, to be told what it must reach and which planted bugs it catches.
///
/// ```no_run
/// use foundation_sync::{Full, Queue, Stop, explore, reached};
///
/// explore("a stop wakes a reader").reaches(&["told to stop"]).run(|| {
///     let (queue, stop) = (Queue::<u8>::bounded(1, Full::Wait), Stop::new());
///     stop.tell();
///     assert!(queue.recv(&stop).is_err());
///     reached!("told to stop");
/// });
/// ```
#[must_use = "a scenario does nothing until it is run"]
pub fn explore(name: &'static str) -> Scenario {
    Scenario { name, reaches: &[], catches: &[] }
}

/// One story about threads: every schedule of up to two preemptions under loom, thousands of random ones under
/// shuttle, a hundred runs for real.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: &'static str,
    reaches: &'static [&'static str],
    catches: &'static [&'static str],
}

impl Scenario {
    /// Marks ([`reached!`](crate::reached)) that some schedule must set; a green model that never saw the race proves
    /// nothing. Real threads are not held to it.
    #[must_use = "a scenario does nothing until it is run"]
    pub fn reaches(self, marks: &'static [&'static str]) -> Self {
        Self { reaches: marks, ..self }
    }

    /// Bugs ([`planted!`](crate::planted)) with which it must fail. `cargo xtask models` tries each.
    #[must_use = "a scenario does nothing until it is run"]
    pub fn catches(self, bugs: &'static [&'static str]) -> Self {
        Self { catches: bugs, ..self }
    }

    /// Runs it, and prints how many schedules ran and what they reached.
    ///
    /// # Panics
    /// When the story panics in some schedule, or a model never reached a mark.
    #[expect(clippy::disallowed_methods, reason = "a model has no clock of its own")]
    pub fn run(self, story: impl Fn() + Send + Sync + 'static) {
        let started = std::time::Instant::now();
        let schedules = face::run(story);
        let seconds = started.elapsed().as_secs_f64();
        report(&self, schedules, seconds);
    }
}

#[expect(clippy::print_stdout, reason = "what a scenario has to say is said to the person who runs the test")]
fn report(scenario: &Scenario, schedules: usize, seconds: f64) {
    let counts = face::marks();
    let count = |mark: &str| counts.iter().find(|(name, _)| *name == mark).map_or(0, |(_, count)| *count);
    let reached: Vec<_> = scenario.reaches.iter().map(|mark| format!("{mark} {}x", count(mark))).collect();
    println!("model: {}: {schedules} schedules, {seconds:.2} s; reached: {}", scenario.name, reached.join(", "));
    for bug in scenario.catches {
        println!("catches: {bug}");
    }
    if crate::MODEL {
        let missed: Vec<_> = scenario.reaches.iter().filter(|mark| count(mark) == 0).collect();
        assert!(missed.is_empty(), "no schedule reached {missed:?}: the scenario never saw its race");
    }
}

/// Marks a line that only a race runs. Nothing on the real face.
#[macro_export]
macro_rules! reached {
    ($mark:literal) => {
        if $crate::MODEL {
            $crate::mark($mark);
        }
    };
}

/// Whether this bug was planted (`FOUNDATION_PLANTED=name`), to see a model catch it. Constant `false` on the real face.
#[macro_export]
macro_rules! planted {
    ($bug:literal) => {
        $crate::MODEL && $crate::is_planted($bug)
    };
}

/// What [`reached!`](crate::reached) calls.
#[doc(hidden)]
pub fn mark(mark: &'static str) {
    face::mark(mark);
}

/// What [`planted!`](crate::planted) calls.
#[doc(hidden)]
pub fn is_planted(bug: &str) -> bool {
    face::is_planted(bug)
}

#[cfg(not(any(loom, shuttle)))]
mod face {
    const RUNS: usize = 100;

    pub(super) fn run(story: impl Fn() + Send + Sync + 'static) -> usize {
        (0..RUNS).for_each(|_| story());
        RUNS
    }

    pub(super) fn marks() -> Vec<(&'static str, usize)> {
        Vec::new()
    }

    pub(super) fn mark(_: &'static str) {}

    pub(super) fn is_planted(_: &str) -> bool {
        false
    }
}

/// The counts are a model's own and outside of what it explores: std's locks, one set for the process, for each model
/// runs in a process of its own.
#[cfg(any(loom, shuttle))]
#[expect(clippy::disallowed_types, reason = "the model must not see its own bookkeeping")]
mod face {
    use std::{
        collections::BTreeMap,
        sync::{
            Arc, Mutex, OnceLock,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    static MARKS: Mutex<BTreeMap<&'static str, usize>> = Mutex::new(BTreeMap::new());

    pub(super) fn run(story: impl Fn() + Send + Sync + 'static) -> usize {
        let schedules = Arc::new(AtomicUsize::new(0));
        let counted = {
            let schedules = Arc::clone(&schedules);
            move || {
                schedules.fetch_add(1, Relaxed); // ordering: a count, read when all threads have ended
                story();
            }
        };
        check(counted);
        schedules.load(Relaxed) // ordering: all threads have ended
    }

    #[cfg(loom)]
    fn check(story: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound.get_or_insert(2);
        builder.max_branches = 20_000;
        builder.checkpoint_interval = 1_000;
        builder.check(story);
    }

    #[cfg(shuttle)]
    fn check(story: impl Fn() + Send + Sync + 'static) {
        let schedules: usize = std::env::var("SHUTTLE_ITERATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000);
        // Two ways to be random: one spreads evenly over schedules, the other over the order of the threads.
        let story = Arc::new(story);
        let same = Arc::clone(&story);
        shuttle::check_urw(move || same(), schedules.div_ceil(2));
        shuttle::check_random(move || story(), schedules.div_ceil(2));
    }

    pub(super) fn marks() -> Vec<(&'static str, usize)> {
        let marks = MARKS.lock().expect("held for a count only");
        marks.iter().map(|(mark, count)| (*mark, *count)).collect()
    }

    pub(super) fn mark(mark: &'static str) {
        *MARKS.lock().expect("held for a count only").entry(mark).or_default() += 1;
    }

    pub(super) fn is_planted(bug: &str) -> bool {
        static PLANTED: OnceLock<Option<String>> = OnceLock::new();
        PLANTED.get_or_init(|| std::env::var("FOUNDATION_PLANTED").ok()).as_deref() == Some(bug)
    }
}
