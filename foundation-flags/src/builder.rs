//! How flags are made.

use std::{ffi::OsString, fmt, sync::Arc};

use foundation_sync::{Activity, Clock, Epoch, Errands, Mutex, Snapshot, Switch, Timekeeper, atomic::AtomicU64};
use foundation_telemetry::{Tally, Telemetry};

use crate::{
    Attempts, FailureGuard, FileError, Flag, Flags, MigrationPlan, Reading, Thresholds,
    desk::Desk,
    environment::{Environment, Wrong},
    events::Events,
    flag::Table,
    flags::Inner,
    guard::{Monitor, Sources},
    inventory::is_undated,
    notices::Notices,
    ready::Checks,
    state::{Shape, Share, State},
    store::Store,
    subscribers::Subscribers,
    telling::Teller,
};

/// How flags are made: which there are, what they govern, and what is around them.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it starts flags"]
pub struct Builder {
    flags: Vec<Flag>,
    bound: Vec<(Flag, Switch)>,
    plan: Option<MigrationPlan>,
    guard: Option<FailureGuard>,
    #[cfg(feature = "file")]
    file: Option<std::path::PathBuf>,
    clock: Option<Clock>,
    telemetry: Option<Telemetry>,
    environment: Environment,
    node: Option<Arc<str>>,
    activity: Activity,
    errands: Errands,
    timekeeper: Option<Timekeeper>,
    ready: Checks,
    thresholds: Option<Thresholds>,
    sources: Sources,
}

/// Why flags could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// Two flags that can't be told apart.
    Doubled(Box<[Flag; 2]>),
    /// What a flag is said to [expire](Flag::expires) on is no date.
    NoDate(Box<Flag>),
    /// What monitors or enforces the plan is not one of its flags.
    NotInPlan(Box<Flag>),
    /// A guard without a plan has nothing to roll back.
    GuardWithoutPlan,
    /// Figures are measured, or thresholds given, and there is no plan whose stages they are about.
    FiguresWithoutPlan,
    /// A guard's windows, and those of figures, need somebody who closes them.
    GuardWithoutTimekeeper,
    /// What follows a guard's rollback, and reading figures, is not the timekeeper's to run: it needs a courier.
    GuardWithoutErrands,
    /// What the environment says can't be taken up.
    Environment {
        /// The variable.
        variable: Arc<str>,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// Two flags govern one switch.
    BoundTwice(Box<[Flag; 2]>),
    /// What was written down can't be taken up again.
    File(FileError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubled(two) if two[0].name() == two[1].name() => {
                let [one, other] = &**two;
                let (respects, name) = (one.differences(other).join(" and "), one.name());
                let (here, there) = (one.declared_at(), other.declared_at());
                write!(f, "the flag `{name}` is declared twice, with different {respects}: at {here} and at {there}")
            }
            Self::Doubled(two) => {
                let [one, other] = two.map(|flag| flag.name());
                write!(f, "the flags `{one}` and `{other}` have the same hash: give one of them another name")
            }
            Self::NoDate(flag) => {
                let (name, text) = (flag.name(), flag.expiry().map_or_else(String::new, |expiry| expiry.to_string()));
                write!(f, "the flag `{name}` expires on `{text}`, which is no date: write a day as 2027-01-31")
            }
            Self::NotInPlan(flag) => {
                write!(f, "`{}` is to watch over the plan, and is in none of its stages", flag.name())
            }
            Self::GuardWithoutPlan => f.write_str("a guard rolls stages back: give the flags a plan"),
            Self::FiguresWithoutPlan => f.write_str(
                "figures are measured and judged for the stages of a plan: give the flags a plan, or neither `measure` nor \
                 `thresholds`",
            ),
            Self::GuardWithoutTimekeeper => {
                f.write_str("guards and figures are judged when time is over: give the flags a timekeeper")
            }
            Self::GuardWithoutErrands => f.write_str(
                "a guard's rollback is told and written, and figures are read, by somebody else: give the flags errands",
            ),
            Self::Environment { variable, problem } => write!(f, "the environment variable {variable}: {problem}"),
            Self::BoundTwice(two) => {
                let [one, other] = two.map(|flag| flag.name());
                write!(f, "the flags `{one}` and `{other}` are bound to one switch: give each its own")
            }
            Self::File(error) => {
                write!(f, "{error}; mend the file, or move it away to start at stage 0")
            }
        }
    }
}

impl std::error::Error for StartError {}

impl Builder {
    /// Declares a flag.
    pub fn flag(mut self, flag: &Flag) -> Self {
        self.declare(*flag);
        self
    }

    /// The flag governs what reads this switch. It is set when the flags are started, and with each change.
    pub fn bind(mut self, flag: &Flag, switch: &Switch) -> Self {
        self.declare(*flag);
        self.bound.push((*flag, switch.clone()));
        self
    }

    /// The stages that the flags go through, and with them the stages' flags.
    pub fn plan(mut self, plan: MigrationPlan) -> Self {
        plan.stages.iter().flat_map(|stage| &stage.flags).for_each(|flag| self.declare(*flag));
        self.plan = Some(plan);
        self
    }

    /// What rolls a stage back by itself. It needs a plan, a [timekeeper](Self::timekeeper), and
    /// [errands](Self::errands) that are run elsewhere.
    pub fn guard(mut self, guard: FailureGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Which figures are watched while a migration is monitored, from stage 1 on, and from what value on what is done. They
    /// need what a [guard](Self::guard) needs. What nobody [measures](Self::measure) is said to be not measured.
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = Some(thresholds);
        self
    }

    /// Who measures a figure: called at both ends of each window, on the courier. The last one of a figure stands; a panic
    /// counts as not measured. It needs what a [guard](Self::guard) needs.
    ///
    /// What it is counted in says its [threshold](Self::thresholds), the one of its name; without one a figure is a plain
    /// [count](crate::Unit::Count), and in the [baseline](Flags::start_baseline) alone. To have it shown, and nothing else,
    /// give it a threshold without levels.
    pub fn measure(mut self, figure: &'static str, read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        self.sources.add(figure, read);
        self
    }

    /// A check of the program's own that is asked before each stage, with its number: an error says why the program is not
    /// ready, and the stage is refused. A panic counts as one. It runs on the thread that asks for the stage, before
    /// anything is changed and while nobody is kept waiting, so it may take its time; all of them are asked, in their order.
    ///
    /// ```
    /// use foundation_flags::{Flag, Flags, MigrationPlan};
    /// use foundation_sync::Deadline;
    ///
    /// const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
    /// let flags = Flags::builder()
    ///     .plan(MigrationPlan::new("checkout").stage("switch", &[NEW_CHECKOUT]))
    ///     .ready_when("replicas", |_stage| Err("one of three is behind".into()))
    ///     .start()?;
    ///
    /// let refused = flags.advance_to(1, "alice", "day 1", Deadline::now()).expect_err("it is not ready");
    /// assert_eq!(refused.to_string(), "not ready for stage 1: replicas (one of three is behind)");
    /// # Ok::<(), foundation_flags::StartError>(())
    /// ```
    pub fn ready_when(
        mut self,
        name: &str,
        check: impl Fn(usize) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.ready.add(name, check);
        self
    }

    /// Where flags, stage, holds and history are written down, and found again at the next start. It need not exist. A file
    /// belongs to one program at a time: another one takes what this one writes for a person's change, and refuses what it
    /// did not decide itself.
    #[cfg(feature = "file")]
    pub fn file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// What the environment says about flags of no plan for everybody, instead of what is written down, until somebody says
    /// something else for everybody: a variable's name is the prefix and the flag's name in upper case (with `_` for
    /// anything but letters and digits), its value `on`, `off` or a percentage such as `25%`. Other variables are left
    /// alone. The environment is not read by itself: give `std::env::vars_os()`, or what a test says.
    ///
    /// ```
    /// use foundation_flags::{Flag, Flags};
    ///
    /// const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
    /// let variables = [("SHOP_FLAG_NEW_CHECKOUT", "on"), ("PATH", "/bin")];
    /// let flags = Flags::builder().flag(&NEW_CHECKOUT).environment("SHOP_FLAG_", variables).start()?;
    /// assert!(flags.enabled(&NEW_CHECKOUT));
    /// # Ok::<(), foundation_flags::StartError>(())
    /// ```
    pub fn environment<K, V>(mut self, prefix: &str, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.environment.read(prefix, variables);
        self
    }

    /// On which node these flags are: what is said for it is said for every read that names no other.
    pub fn node(mut self, node: &str) -> Self {
        self.node = Some(node.into());
        self
    }

    /// By which clock decisions are dated; the system's by default.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Where decisions are told as events; nowhere by default.
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = Some(telemetry.clone());
        self
    }

    /// What is moved by each decision, for whoever waits for one; nothing by default.
    pub fn activity(mut self, activity: &Activity) -> Self {
        self.activity = activity.clone();
        self
    }

    /// Who runs what is deferred: events of decisions, the file after a rollback. By default the calling thread.
    pub fn errands(mut self, errands: &Errands) -> Self {
        self.errands = errands.clone();
        self
    }

    /// Who closes a guard's windows.
    pub fn timekeeper(mut self, keeper: &Timekeeper) -> Self {
        self.timekeeper = Some(keeper.clone());
        self
    }

    /// Makes the flags, and sets what they govern.
    ///
    /// # Errors
    /// [`StartError`]: the declarations don't fit together, or the file can't be read.
    pub fn start(self) -> Result<Flags, StartError> {
        let table = Table::new(self.flags.clone()).map_err(StartError::Doubled)?;
        if let Some(flag) = table.flags().iter().find(|flag| is_undated(flag)) {
            return Err(StartError::NoDate(Box::new(*flag)));
        }
        let from_stage = self.first_stages();
        let shape = Shape { table, plan: self.plan, from_stage, node: self.node };
        let environment = self.environment.settings(&shape);
        let environment =
            environment.map_err(|Wrong { variable, problem }| StartError::Environment { variable, problem })?;
        let planned = |flag: &Flag| shape.table.find(flag).is_some_and(|number| shape.from_stage[number].is_some());
        if let Some(plan) = &shape.plan
            && let Some(flag) = [plan.monitored_by, plan.enforced_by].into_iter().flatten().find(|flag| !planned(flag))
        {
            return Err(StartError::NotInPlan(Box::new(flag)));
        }
        let mut bound = self.bound.iter().enumerate();
        let twice = bound.find_map(|(at, (flag, switch))| {
            let before = self.bound[..at].iter().find(|(_, other)| other.is(switch));
            before.filter(|(other, _)| other != flag).map(|(other, _)| (*other, *flag))
        });
        if let Some((one, other)) = twice {
            return Err(StartError::BoundTwice(Box::new([one, other])));
        }
        let switches_of = |flag: &Flag| {
            let bound = self.bound.iter().filter(|(of, _)| of == flag).map(|(_, switch)| switch.clone());
            std::iter::once(Switch::off()).chain(bound).collect::<Vec<_>>()
        };
        let switches: Vec<_> = shape.table.flags().iter().map(switches_of).collect();
        // A flag's epochs go on from where the switches that it governs are.
        let epochs = switches.iter().map(|switches| switches.iter().map(Switch::epoch).max().unwrap_or(Epoch::OFF));
        let clock = self.clock.unwrap_or_else(Clock::system);
        let first = State::first(&shape, &epochs.collect::<Vec<_>>(), clock.date());
        #[cfg(feature = "file")]
        let store = Store::new(self.file);
        #[cfg(not(feature = "file"))]
        let store = Store;
        let mut state = store.load(&shape, first)?;
        state.environment = environment;
        state.settle(&shape);
        state.go_on_waiting(clock.date(), clock.now());
        let monitoring = shape.plan.as_ref().and_then(|plan| plan.monitored_by);
        let monitoring = monitoring.and_then(|flag| shape.table.find(&flag)).map(|number| switches[number][0].clone());
        let monitors = self.thresholds.is_some() || !self.sources.is_empty();
        if (self.guard.is_some() || monitors) && shape.plan.is_some() && self.errands.runs_here() {
            return Err(StartError::GuardWithoutErrands);
        }
        let keeper = match (&shape.plan, self.timekeeper) {
            _ if self.guard.is_none() && !monitors => None,
            (None, _) if self.guard.is_some() => return Err(StartError::GuardWithoutPlan),
            (None, _) => return Err(StartError::FiguresWithoutPlan),
            (_, None) => return Err(StartError::GuardWithoutTimekeeper),
            (_, keeper) => keeper,
        };
        let (guard, sources) = (self.guard, self.sources);
        let thresholds = self.thresholds.unwrap_or(Thresholds::new("none"));
        for (switches, epoch) in switches.iter().zip(&state.epochs) {
            switches.iter().for_each(|switch| _ = switch.push(*epoch));
        }
        let telemetry = self.telemetry.unwrap_or_default();
        let footing = state.footing;
        let flags = Flags(Arc::new_cyclic(|inner| Inner {
            shape,
            switches,
            shares: state.shares.iter().map(|Share(share)| AtomicU64::new(*share)).collect(),
            overrides: AtomicU64::new(0),
            subscribers: Subscribers::new(),
            undeclared: Tally::default(),
            clock,
            activity: self.activity,
            errands: self.errands,
            desk: Desk::default(),
            store,
            events: Events::new(&telemetry),
            teller: Mutex::new(Teller::after(state.version)),
            untold: AtomicU64::new(0),
            notices: Notices::default(),
            ready: self.ready,
            attempts: guard.zip(keeper.as_ref()).map(|(guard, keeper)| Attempts::new(guard, monitoring, inner, keeper)),
            monitor: keeper.filter(|_| monitors).map(|keeper| Monitor::new(thresholds, sources, inner, &keeper)),
            state: Snapshot::new(state),
        }));
        if let Some(attempts) = flags.attempts() {
            attempts.stand_on(footing);
        }
        if let Some(monitor) = &flags.0.monitor {
            // Of a universe that is being made there is no courier yet: then the window is opened a second later.
            monitor.look();
        }
        flags.0.tell_of_start();
        Ok(flags)
    }

    fn declare(&mut self, flag: Flag) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    /// For each flag the first stage that has it.
    fn first_stages(&self) -> Vec<Option<usize>> {
        let stages = || self.plan.iter().flat_map(|plan| &plan.stages).enumerate();
        let first = |flag: &Flag| stages().find(|(_, stage)| stage.flags.contains(flag)).map(|(at, _)| at + 1);
        self.flags.iter().map(first).collect()
    }
}
