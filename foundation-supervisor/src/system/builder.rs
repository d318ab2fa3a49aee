//! How a universe is made: its parts in their order, and the supervisors that hold its trees.

use std::sync::{Arc, Weak};

use foundation_context::{Contexts, Incarnation};
use foundation_flags::Flags;
use foundation_registry::{CAPACITY, Owner, Owners, Registry, RegistryBuilder};
use foundation_sync::{Activity, Clock, Errands, Mutex, Queue, SECOND, Timekeeper, atomic::AtomicU64};
use foundation_telemetry::Telemetry;
use tracing::Dispatch;

#[cfg(feature = "legacy")]
use super::WeakSystem;
use super::{Foundation, Parts, Roots, System};
use crate::{
    ChildSpec, Strategy, Supervisor,
    census::Census,
    core::Event,
    courier::Courier,
    crank::{Above, Crank, News},
    ender::Ender,
    panics::Count,
    spec::Born,
};

/// How a universe is made.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it starts a universe"]
pub struct Builder {
    clock: Option<Clock>,
    without_courier: bool,
    registry_capacity: Option<usize>,
    indexed: Vec<&'static str>,
    dispatch: Option<Dispatch>,
    #[cfg(feature = "legacy")]
    legacy: crate::legacy::Start,
}

impl Builder {
    /// The clock by which everything in the universe goes: the system's, if not said. With that of a
    /// [virtual time](foundation_sync::VirtualTime) the universe's threads are of that time.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Room for so many names and members of groups in the universe's registry; by default
    /// [`CAPACITY`]. A worker that registers one more is refused.
    pub fn registry_capacity(mut self, entries: usize) -> Self {
        self.registry_capacity = Some(entries);
        self
    }

    /// An attribute of names' metadata by whose value the universe's registry finds names without looking at all of them:
    /// [`RegistryBuilder::index`](foundation_registry::RegistryBuilder::index).
    pub fn index(mut self, attribute: &'static str) -> Self {
        self.indexed.push(attribute);
        self
    }

    /// What each thread of the universe logs to through `tracing`, from its first act to the last destructor of its
    /// thread-locals, and a thread that [enters](System::enter) it meanwhile. If not said, what `tracing` takes for all
    /// threads: the program's global default.
    ///
    /// Of two universes each has its own:
    ///
    /// ```
    /// use foundation_supervisor::Foundation;
    /// use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};
    ///
    /// let quiet = Foundation::builder().dispatch(Dispatch::new(NoSubscriber::default())).start();
    /// quiet.enter(|| dispatcher::get_default(|default| assert!(default.is::<NoSubscriber>())));
    /// ```
    pub fn dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = Some(dispatch);
        self
    }

    /// No courier: crash reports are not delivered, errands are run by whoever brings them, and no thread is started for
    /// either. A guard, which needs a courier, is left out. For models.
    pub fn without_courier(mut self) -> Self {
        self.without_courier = true;
        self
    }

    /// Starts from the old, thread-private implementations, at stage 0 of
    /// [the workspace's own plan](foundation_flags::MigrationPlan::foundation): see [`System::migration`].
    #[cfg(feature = "legacy")]
    pub fn start_from_legacy(mut self) -> Self {
        self.legacy.from_legacy = true;
        self
    }

    /// Which figures of this universe are watched while it is migrated, from stage 1 on, and what is done where one is bad:
    /// [`Thresholds::runbook`](foundation_flags::Thresholds::runbook) has nine, all of which are measured here. Nothing
    /// where the universe does not [start from the old implementations](Self::start_from_legacy).
    ///
    /// Of failures there are spans that ended in an error, [calls](crate::Calls) that had no answer, and lives that failed
    /// or panicked: of all spans, all calls and those lives. An answer that says that something failed is the program's own,
    /// and looks like any other: where it is to count, let the handler's span [fail](foundation_telemetry::SpanGuard::fail).
    /// How fast look-ups, contexts and events are is measured by a probe once per window: names that there are, as the
    /// courier finds them, and events with a queued handler. A moment in which the machine stands makes none of them worse.
    #[cfg(feature = "legacy")]
    pub fn thresholds(mut self, thresholds: foundation_flags::Thresholds) -> Self {
        self.legacy.thresholds = Some(thresholds);
        self
    }

    /// Whether the program is ready for a stage of the workspace's own plan: asked before each, on the thread that wants to
    /// advance. See [`foundation_flags::Builder::ready_when`].
    #[cfg(feature = "legacy")]
    pub fn ready_when(
        mut self,
        name: &str,
        check: impl Fn(usize) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.legacy.checks.push(crate::legacy::Check(name.into(), std::sync::Arc::new(check)));
        self
    }

    /// No time between the stages of the workspace's own plan, and none after a rollback: for tests and demonstrations.
    #[cfg(feature = "legacy")]
    pub fn without_waiting(mut self) -> Self {
        self.legacy.without_waiting = true;
        self
    }

    /// What rolls a stage of the workspace's own plan back by itself. Nothing where the universe does not
    /// [start from the old implementations](Self::start_from_legacy).
    #[cfg(feature = "legacy")]
    pub fn guard(mut self, guard: foundation_flags::FailureGuard) -> Self {
        self.legacy.guard = Some(guard);
        self
    }

    /// Starts the universe. It has no thread until something needs one, and can't fail; one that begins with services
    /// can ([`service`](Self::service)).
    ///
    /// What a thread has from the one that makes it on Linux, its affinity, signal mask and nice value, all threads of the
    /// universe have from the one that calls this, whoever makes them: see [`System::conditions_refused`].
    pub fn start(self) -> Foundation {
        let started = self.try_start();
        started.expect("the workspace's own flags fit together, and there is no file that could be refused")
    }

    /// Starts the universe where this file says that its migration is; at stage 0, from the old implementations, where there
    /// is no such file yet. From then on it is kept there: see [`foundation_flags::Builder::file`].
    ///
    /// # Errors
    /// The file can't be read, or is not what it should be; the error says where. No universe was started: one that went
    /// on from stage 0 would take names away from those who see them.
    #[cfg(feature = "file")]
    pub fn start_from_legacy_file(
        mut self,
        path: impl Into<std::path::PathBuf>,
    ) -> Result<Foundation, foundation_flags::StartError> {
        (self.legacy.from_legacy, self.legacy.file) = (true, Some(path.into()));
        self.try_start()
    }

    fn try_start(self) -> Result<Foundation, foundation_flags::StartError> {
        let mut refused = None;
        let system = System(Arc::new_cyclic(|parts| Parts::new(parts, self, &mut refused)));
        if let Some(error) = refused {
            return Err(error);
        }
        let roots = Roots::start(&system);
        *system.0.roots.lock() = Some(roots);
        Ok(Foundation { system })
    }
}

impl Parts {
    /// `parts` are these parts themselves, once they are there: telemetry's errands go to the courier, which emits.
    /// What keeps it from starting is left in `refused`.
    fn new(parts: &Weak<Self>, builder: Builder, refused: &mut Option<foundation_flags::StartError>) -> Self {
        let courier_of = Weak::clone(parts);
        let errands = match builder.without_courier {
            true => Errands::default(),
            false => Errands::new(move |errand| match courier_of.upgrade() {
                Some(parts) => System(parts).run_errand(errand),
                None => Err(errand),
            }),
        };
        let clock = builder.clock.unwrap_or_else(Clock::system);
        let activity = Activity::default();
        let census = Census::new(activity.clone(), clock.clone(), builder.dispatch);
        let threads = census.clone();
        let timekeeper = Timekeeper::new(clock.clone(), move |body| threads.spawn("timekeeper", None, None, body));
        let telemetry =
            Telemetry::builder().activity(&activity).clock(&clock).errands(&errands).timekeeper(&timekeeper).build();
        let owners = Owners::in_universe(activity.clone(), clock.clone(), &telemetry);
        let described = Registry::builder(&owners, &telemetry).capacity(builder.registry_capacity.unwrap_or(CAPACITY));
        let registry = builder.indexed.into_iter().fold(described, RegistryBuilder::index).build();
        let courier = Courier::new(&telemetry, builder.without_courier);
        let contexts = Contexts::new(&clock);
        let flags = Flags::builder()
            .clock(&clock)
            .telemetry(&telemetry)
            .activity(&activity)
            .errands(&errands)
            .timekeeper(&timekeeper);
        #[cfg(feature = "legacy")]
        let migration = {
            let legacy = if builder.without_courier { builder.legacy.without_guard() } else { builder.legacy };
            let system = WeakSystem::of(parts);
            let migration = legacy.migration(flags.clone(), &system, &clock, &contexts, &registry, &telemetry);
            migration.unwrap_or_else(|error| {
                *refused = Some(error);
                None
            })
        };
        #[cfg(not(feature = "legacy"))]
        let _ = refused;
        let since = clock.now();
        Self {
            clock,
            activity,
            contexts,
            flags,
            telemetry,
            owners,
            registry,
            census,
            timekeeper,
            courier,
            ids: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            panics: Count::default(),
            abandoned: AtomicU64::new(0),
            late_exits: AtomicU64::new(0),
            above: Mutex::default(),
            since,
            #[cfg(feature = "legacy")]
            migration,
            roots: Mutex::new(None),
        }
    }
}

impl Roots {
    fn start(system: &System) -> Self {
        let own = |name| {
            let mut supervisor = Supervisor::new(name, Strategy::OneForOne);
            supervisor.nameless = true;
            supervisor
        };
        let (services, born_services) = ChildSpec::supervisor(own("services")).born();
        let (trees, born_trees) = ChildSpec::supervisor(own("trees")).born();
        // A universe's own supervisors do not fail; if one did, that would be the end, and visible.
        let universe = own("universe").intensity(0, SECOND).child(services).child(trees);
        let ender = Ender::begin(system, Incarnation { id: system.next_id(), generation: 1 }, "universe");
        let owner = Owner::clone(&ender);
        let root = Crank::new(system, &universe, "".into(), &owner, Above::Nobody(ender));
        root.push(News::Core(Event::Start(None)));
        let crank = |born: Queue<Born>| {
            let (crank, _) = born.try_recv().expect("they are made on the thread that starts the root");
            crank.push(News::Core(Event::Start(None)));
            crank
        };
        Self { root: (root, owner), services: crank(born_services), trees: crank(born_trees) }
    }
}
