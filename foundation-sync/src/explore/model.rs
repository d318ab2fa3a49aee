//! The faces of the models: which schedule is under way, what it reached, and how it is run again.
//!
//! A schedule has a number: its place in the run. Both checkers go through the same schedules in the same order when they
//! are given the same bound, or the same seed; so the number, with that, is all that a replay needs.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use super::{Ran, Story, account};

/// What the environment says.
struct Settings {
    /// The schedule that is to be replayed.
    schedule: Option<usize>,
    planted: Option<String>,
    checker: checker::Settings,
}

/// The scenario that is under way on this thread.
#[derive(Default)]
struct Now {
    name: &'static str,
    schedule: usize,
    /// The last one of which a panic was told.
    told: usize,
    replayed: Option<usize>,
    planted: Option<String>,
    /// What follows the schedule's number in the command that replays it.
    command: String,
    marks: BTreeMap<&'static str, usize>,
    suffers: &'static [&'static str],
    /// Those crashes of this run's that are still to come.
    crashes: Vec<&'static str>,
}

std::thread_local! {
    /// Outside of what is explored. A checker runs all threads of a model on the thread that called it; so this is the
    /// scenario's own, also where tests run side by side.
    static NOW: RefCell<Option<Now>> = const { RefCell::new(None) };
}

fn now<R>(with: impl FnOnce(&mut Now) -> R) -> Option<R> {
    NOW.with(|now| now.borrow_mut().as_mut().map(with))
}

pub(super) fn run(name: &'static str, suffers: &'static [&'static str], story: Story) -> Ran {
    let settings = Settings {
        schedule: number("FOUNDATION_SCHEDULE"),
        planted: std::env::var("FOUNDATION_PLANTED").ok(),
        checker: checker::Settings::read(),
    };
    let begun = Now {
        name,
        replayed: settings.schedule,
        planted: settings.planted.clone(),
        command: command(&settings),
        suffers,
        ..Now::default()
    };
    NOW.set(Some(begun));
    tell_of_panics();
    let counted: Story = Box::new(move || {
        now(begin);
        story();
    });
    let check = || checker::check(&settings.checker, settings.schedule, counted);
    let outcome = catch_unwind(AssertUnwindSafe(|| match settings.schedule {
        Some(_) => account::of(check),
        None => check(),
    }));
    if let Err(panic) = outcome {
        // A panic that was resumed has not passed the hook.
        tell();
        NOW.set(None);
        resume_unwind(panic);
    }
    let done = NOW.take().unwrap_or_default();
    Ran { schedules: done.schedule, replayed: done.replayed, marks: done.marks.into_iter().collect() }
}

#[expect(clippy::print_stdout, reason = "what a scenario has to say is said to the person who runs the test")]
fn begin(now: &mut Now) {
    now.schedule += 1;
    now.crashes = now.suffers.to_vec();
    if now.replayed == Some(now.schedule) {
        println!("schedule {} under {}:", now.schedule, checker::NAME);
    }
}

/// Whether the schedule that was asked for is under way: then it gives an account of itself.
pub(super) fn is_shown() -> bool {
    // Asked from inside of `now`, it is not.
    NOW.with(|now| {
        let now = now.try_borrow();
        now.is_ok_and(|now| now.as_ref().is_some_and(|now| now.replayed == Some(now.schedule)))
    })
}

#[expect(clippy::print_stdout, reason = "what a scenario has to say is said to the person who runs the test")]
pub(super) fn mark(mark: &'static str) {
    now(|now| *now.marks.entry(mark).or_default() += 1);
    if is_shown() {
        println!("  reached: {mark}");
    }
}

pub(super) fn is_planted(bug: &str) -> bool {
    now(|now| now.planted.as_deref() == Some(bug)).unwrap_or(false)
}

pub(super) fn take_crash(crash: &str) -> bool {
    let due = now(|now| now.crashes.iter().position(|due| *due == crash).map(|at| now.crashes.swap_remove(at)));
    let due = due.flatten();
    if let Some(crash) = due {
        mark(crash);
    }
    due.is_some()
}

/// Has each panic's schedule told: not when the model has been unwound, for it may be aborted on the way, when guards
/// that are dropped panic again.
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "models only: no universe has this hook")]
fn tell_of_panics() {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            tell();
        }));
    });
}

/// Tells in which schedule there was a panic, once for each.
#[expect(clippy::print_stderr, reason = "what a scenario has to say is said to the person who runs the test")]
fn tell() {
    // A thread may panic while its slots are being dropped, or this one is in use.
    let said = NOW.try_with(|now| {
        let mut now = now.try_borrow_mut().ok()?;
        let now = now.as_mut().filter(|now| now.told < now.schedule)?;
        now.told = now.schedule;
        Some((now.name, now.schedule, now.command.clone()))
    });
    if let Ok(Some((name, schedule, command))) = said {
        eprintln!("failed: {name}: schedule {schedule} under {}", checker::NAME);
        eprintln!("replay: FOUNDATION_SCHEDULE={schedule} {command}");
    }
}

/// The plain command that runs this test alone, in the same order of schedules. It lacks the features, of which the
/// program knows nothing.
fn command(settings: &Settings) -> String {
    let mut words = settings.checker.words();
    words.extend(settings.planted.as_ref().map(|bug| format!("FOUNDATION_PLANTED=\"{bug}\"")));
    words.push(format!("RUSTFLAGS=\"--cfg {}\" cargo test --profile model", checker::NAME));
    let package = std::env::var("CARGO_PKG_NAME").ok();
    words.extend(package.as_ref().map(|package| format!("--package {package}")));
    // The program's name is that of the target, with a hash behind it.
    let program = std::env::current_exe().ok();
    let target = program.as_ref().and_then(|path| path.file_stem()?.to_str()?.rsplit_once('-'));
    words.extend(target.map(|(target, _)| match package {
        Some(package) if package.replace('-', "_") == target => "--lib".to_owned(),
        _ => format!("--test {target}"),
    }));
    // The harness names a test's thread like the test.
    if let Some(test) = std::thread::current().name().filter(|name| *name != "main") {
        words.push(format!("-- --exact {test} --nocapture"));
    }
    words.join(" ")
}

fn number<N: std::str::FromStr>(name: &str) -> Option<N> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is `{text}`: expected a number"),
    }
}

#[cfg(loom)]
mod checker {
    use super::{Story, number};

    pub(super) const NAME: &str = "loom";

    /// How many preemptions a schedule may have.
    pub(super) struct Settings(usize);

    impl Settings {
        pub(super) fn read() -> Self {
            Self(number("LOOM_MAX_PREEMPTIONS").unwrap_or(2))
        }

        pub(super) fn words(&self) -> Vec<String> {
            vec![format!("LOOM_MAX_PREEMPTIONS={}", self.0)]
        }
    }

    /// All schedules, or up to the one of this number.
    pub(super) fn check(settings: &Settings, up_to: Option<usize>, story: Story) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(settings.0);
        builder.max_branches = builder.max_branches.max(20_000);
        builder.checkpoint_interval = 1;
        if let Some(number) = up_to {
            // Loom stops before the one that is one too many.
            builder.max_permutations = Some(number.saturating_add(1));
            builder.max_duration = None;
        }
        builder.check(story);
    }
}

#[cfg(shuttle)]
mod checker {
    use std::{hash::BuildHasher, mem::ManuallyDrop};

    use shuttle::scheduler::{RandomScheduler, Schedule, Scheduler, Task, TaskId, UrwRandomScheduler};

    use super::{Story, number};

    pub(super) const NAME: &str = "shuttle";

    /// Where chance begins for everybody, so that what has failed fails again, and what passes here passes there.
    const SEED: u64 = 1;

    /// Where chance begins, and how many schedules there are.
    pub(super) struct Settings {
        seed: u64,
        schedules: usize,
    }

    impl Settings {
        pub(super) fn read() -> Self {
            Self { seed: seed(), schedules: number("SHUTTLE_ITERATIONS").unwrap_or(5_000) }
        }

        pub(super) fn words(&self) -> Vec<String> {
            vec![format!("SHUTTLE_RANDOM_SEED={}", self.seed)]
        }
    }

    fn seed() -> u64 {
        match std::env::var("SHUTTLE_RANDOM_SEED").ok().as_deref() {
            None => SEED,
            // A standard library's hasher has a key that is different each time.
            Some("any") => std::hash::RandomState::new().hash_one(()),
            Some(text) => match text.parse() {
                Ok(seed) => seed,
                Err(_) => panic!("SHUTTLE_RANDOM_SEED is `{text}`: expected a number, or `any`"),
            },
        }
    }

    /// As many schedules as are set, or up to the one of this number.
    pub(super) fn check(settings: &Settings, up_to: Option<usize>, story: Story) {
        let mut config = shuttle::Config::new();
        // What replays a schedule is said by us; that shuttle knows no weak memory, in the chapter.
        config.failure_persistence = shuttle::FailurePersistence::None;
        config.silence_warnings = true;
        let turns = Turns {
            left: up_to.unwrap_or(settings.schedules),
            even: false,
            evenly: UrwRandomScheduler::new_from_seed(settings.seed, usize::MAX),
            simply: ManuallyDrop::new(RandomScheduler::new_from_seed(settings.seed, usize::MAX)),
        };
        shuttle::Runner::new(turns, config).run(story);
    }

    /// Two ways to be random, in turns: one spreads evenly over schedules, the other over the threads that can run.
    struct Turns {
        left: usize,
        even: bool,
        evenly: UrwRandomScheduler,
        /// Not dropped: it would say how it can be replayed alone.
        simply: ManuallyDrop<RandomScheduler>,
    }

    impl Turns {
        fn on_turn(&mut self) -> &mut dyn Scheduler {
            if self.even { &mut self.evenly } else { &mut *self.simply }
        }
    }

    impl Scheduler for Turns {
        fn new_execution(&mut self) -> Option<Schedule> {
            self.left = self.left.checked_sub(1)?;
            self.even = !self.even;
            self.on_turn().new_execution()
        }

        fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
            self.on_turn().next_task(runnable, current, yields)
        }

        fn next_u64(&mut self) -> u64 {
            self.on_turn().next_u64()
        }
    }
}
