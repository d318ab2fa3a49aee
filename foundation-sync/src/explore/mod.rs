//! Scenarios: one story, run as thoroughly as the face at hand can.

#[cfg(any(loom, shuttle))]
mod account;
#[cfg(any(loom, shuttle))]
#[path = "model.rs"]
mod face;
#[cfg(not(any(loom, shuttle)))]
#[path = "real.rs"]
mod face;

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
    Scenario { name, reaches: &[], catches: &[], suffers: &[] }
}

/// One story about threads: every schedule of up to two preemptions under loom, thousands of random ones under
/// shuttle, a hundred runs for real. How to write one: the chapter `foundation_testkit::modelling`.
///
/// The environment may say otherwise: `LOOM_MAX_PREEMPTIONS` (2) is loom's bound, `SHUTTLE_ITERATIONS` (5000) the number
/// of shuttle's schedules, `SHUTTLE_RANDOM_SEED` where its chance begins (1; `any`: elsewhere each time),
/// `FOUNDATION_PLANTED` the bug that is planted.
///
/// A model that fails says in which schedule, and prints the command that runs that schedule again: the same test with
/// `FOUNDATION_SCHEDULE=12`. The schedules before it are run in silence, that one with the checker's own account of it,
/// and none after it. Real threads can't be replayed.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: &'static str,
    reaches: &'static [&'static str],
    catches: &'static [&'static str],
    suffers: &'static [&'static str],
}

/// A story, of one type: so a checker is compiled once, and not for each of them.
type Story = Box<dyn Fn() + Send + Sync>;

/// What came of running it.
struct Ran {
    schedules: usize,
    /// Only this one counts: it was asked for.
    replayed: Option<usize>,
    marks: Vec<(&'static str, usize)>,
}

impl Scenario {
    /// Marks ([`reached!`](crate::reached)) that some schedule must set; a green model that never saw the race proves
    /// nothing. Real threads are not held to it, nor is one schedule that is replayed.
    #[must_use = "a scenario does nothing until it is run"]
    pub fn reaches(self, marks: &'static [&'static str]) -> Self {
        Self { reaches: marks, ..self }
    }

    /// Bugs ([`planted!`](crate::planted)) with which it must fail: whoever runs the models plants each
    /// (`cargo xtask ci --only models` does), and replays the failure.
    #[must_use = "a scenario does nothing until it is run"]
    pub fn catches(self, bugs: &'static [&'static str]) -> Self {
        Self { catches: bugs, ..self }
    }

    /// Crashes ([`crash!`](crate::crash)) that each run of the story suffers: each once, when somebody first comes there.
    /// Some schedule must come to each, as to a [mark](Self::reaches).
    #[must_use = "a scenario does nothing until it is run"]
    pub fn suffers(self, crashes: &'static [&'static str]) -> Self {
        Self { suffers: crashes, ..self }
    }

    /// Runs it, and prints how many schedules ran and what they reached: `model: NAME: 17 schedules, 0.01 s; reached: ..`,
    /// and `catches: BUG` for each bug that can be planted.
    ///
    /// # Panics
    /// When the story panics in some schedule, or a model never reached a mark or a crash, or what the environment says
    /// can't be read, or there is no schedule of the number that is to be replayed.
    #[expect(clippy::disallowed_methods, reason = "a model has no clock of its own")]
    pub fn run(self, story: impl Fn() + Send + Sync + 'static) {
        let started = std::time::Instant::now();
        let ran = face::run(self.name, self.suffers, Box::new(story));
        self.report(&ran, started.elapsed().as_secs_f64());
        self.judge(&ran);
    }

    #[expect(clippy::print_stdout, reason = "what a scenario has to say is said to the person who runs the test")]
    fn report(&self, ran: &Ran, seconds: f64) {
        let reached: Vec<_> = self.expected().map(|mark| format!("{mark} {}x", ran.count(mark))).collect();
        let (name, schedules) = (self.name, ran.schedules);
        match ran.replayed {
            Some(number) if ran.has(number) => {
                println!("model: {name}: schedule {number} passes, {seconds:.2} s");
            }
            _ => println!("model: {name}: {schedules} schedules, {seconds:.2} s; reached: {}", reached.join(", ")),
        }
        for bug in self.catches {
            println!("catches: {bug}");
        }
    }

    /// Where some schedule must come.
    fn expected(&self) -> impl Iterator<Item = &'static str> {
        self.reaches.iter().chain(self.suffers).copied()
    }

    fn judge(&self, ran: &Ran) {
        if let Some(number) = ran.replayed {
            assert!(ran.has(number), "there is no schedule {number}: {} ran", ran.schedules);
        } else if crate::MODEL {
            let missed: Vec<_> = self.expected().filter(|mark| ran.count(mark) == 0).collect();
            assert!(missed.is_empty(), "no schedule reached {missed:?}: the scenario never saw its race");
        }
    }
}

impl Ran {
    /// Whether it came as far as this schedule. They are counted from 1.
    fn has(&self, number: usize) -> bool {
        number > 0 && self.schedules == number
    }

    fn count(&self, mark: &str) -> usize {
        self.marks.iter().find(|(name, _)| *name == mark).map_or(0, |(_, count)| *count)
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

/// Where a model may have its code crash that has no other reason to: it unwinds here, without the panic hook, if the
/// scenario [suffers](crate::Scenario::suffers) this crash. Nothing on the real face.
#[macro_export]
macro_rules! crash {
    ($crash:literal) => {
        if $crate::MODEL {
            $crate::crash_if_due($crash);
        }
    };
}

/// What [`crash!`](crate::crash) calls.
#[doc(hidden)]
pub fn crash_if_due(crash: &'static str) {
    if face::take_crash(crash) {
        std::panic::resume_unwind(Box::new(crash));
    }
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
