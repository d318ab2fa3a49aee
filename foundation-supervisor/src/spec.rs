//! How a tree is described.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use foundation_context::Fields;
use foundation_registry::Owner;
use foundation_sync::{Deadline, Full, Nanos, Queue, SECONDS_5, Serial, atomic::AtomicU64};

use crate::{
    Backoff, Failure, Life, StartError, System, Tree,
    core::{Intensity, Plan, Ready, Rules},
    crank::Crank,
    keeper::{Keeper, Plain},
    signals::Reload,
};

/// Which children go along when one ends and is restarted. OTP's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// None.
    OneForOne,
    /// All of them.
    OneForAll,
    /// Those started after it.
    RestForOne,
}

/// When a child that ended by itself is restarted. OTP's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Unless it ended as it should.
    Transient,
    /// Never; its spec is gone with it.
    Temporary,
}

/// Whether the end of significant children ends the supervisor. OTP's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// No.
    Never,
    /// The first one that ends by itself does.
    AnySignificant,
    /// The last one that ends by itself does.
    AllSignificant,
}

/// What becomes of a child that is abandoned while others depend on its end: it hangs, or did not stop in time for a
/// restart of its group. If nothing is said, a supervisor of one for one replaces it, and those of groups escalate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnAbandon {
    /// The supervisor gives up: "the old ones are gone before new ones start" can't be kept.
    Escalate,
    /// It goes on: the old one is fenced, so what it still does no longer counts.
    Replace,
    /// The whole universe stops, and [`run`](crate::run()) ends the process with a failure: for a child that holds what
    /// nobody can do without and only the end of the process sets free.
    Halt,
}

pub(crate) type Body = dyn Fn(&Life) -> Result<(), Failure> + Send + Sync;

#[derive(Clone)]
pub(crate) enum Kind {
    Worker(Arc<Body>),
    Supervisor(Arc<Supervisor>),
}

/// How one child is made, restarted and stopped.
#[derive(Clone)]
#[must_use = "a spec does nothing until it is put into a tree"]
pub struct ChildSpec {
    pub(crate) name: Arc<str>,
    pub(crate) rules: Rules,
    pub(crate) making: Making,
}

/// How a child's lives are made.
#[derive(Clone)]
pub(crate) struct Making {
    pub(crate) kind: Kind,
    pub(crate) fields: Fields,
    pub(crate) stack: Option<usize>,
    /// Told of a supervisor's handle when it is made, to be started by whoever hears of it.
    pub(crate) born: Option<Arc<Tell>>,
    /// See [`keep`](ChildSpec::keep).
    pub(crate) kept: Vec<Arc<dyn Keeper>>,
}

/// A supervisor's crank, and who it is.
pub(crate) type Born = (Serial<Crank>, Owner);

/// Hears of a supervisor's handle; `false`: nobody waits for it any more. It is not known what it holds, so that a spec,
/// and what is shared of it, is known to be `Send` without a look into a crank: the compiler would look too deep.
pub(crate) type Tell = dyn Fn(Born) -> bool + Send + Sync;

impl ChildSpec {
    /// A worker: permanent, started as soon as it has a thread, with five seconds to stop.
    ///
    /// The body runs once for each of its lives, on a fresh thread.
    pub fn worker(
        name: impl Into<Arc<str>>,
        body: impl Fn(&Life) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        let rules = Rules {
            restart: Restart::Permanent,
            ready: Ready::AtSpawn,
            stop_within: Some(nanos(SECONDS_5)),
            significant: false,
            on_abandon: None,
            heartbeat: None,
            backoff: None,
            intensity: None,
        };
        Self { name: name.into(), rules, making: Making::of(Kind::Worker(Arc::new(body))) }
    }

    /// A supervisor: permanent, started when its children are, with all the time that they need to stop.
    pub fn supervisor(supervisor: Supervisor) -> Self {
        let rules = Rules {
            restart: Restart::Permanent,
            ready: Ready::Within(None),
            stop_within: None,
            significant: false,
            on_abandon: None,
            heartbeat: None,
            backoff: None,
            intensity: None,
        };
        let name = Arc::clone(&supervisor.name);
        Self { name, rules, making: Making::of(Kind::Supervisor(Arc::new(supervisor))) }
    }

    /// Keeps a value as long as there is this spec or a copy of it: dropped, it tells that no life is to come. The
    /// supervisor drops it where users' code may run.
    ///
    /// The spec of a tree has copies of its children's, with which it would be restarted: what those keep is there as long
    /// as the tree, also when the child was deleted or is temporary and has ended.
    pub fn keep(self, value: impl Any + Send + Sync) -> Self {
        self.kept_by(Plain(value))
    }

    /// Keeps it as [`keep`](Self::keep) does, and tells it each time the child comes to rest: see [`Keeper`].
    pub fn kept_by(mut self, keeper: impl Keeper) -> Self {
        self.making.kept.push(Arc::new(keeper));
        self
    }

    /// See [`Supervisor::on_its_own`].
    pub(crate) fn on_its_own(&mut self) {
        if let Kind::Supervisor(supervisor) = &mut self.making.kind {
            Arc::make_mut(supervisor).on_its_own();
        }
    }

    pub(crate) fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// When it is restarted.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// It counts as started when it calls [`Life::ready`], within this time; [`Duration::MAX`] is however long it takes.
    pub fn ready_within(mut self, patience: Duration) -> Self {
        self.rules.ready = Ready::Within((patience != Duration::MAX).then(|| nanos(patience)));
        self
    }

    /// How long it may take to stop before it is abandoned. OTP's integer `shutdown`; zero is its `brutal_kill`.
    ///
    /// A supervisor always gets the time that its children need, each of which has its own: abandoned, it would leave them
    /// to nobody.
    pub fn stop_within(mut self, patience: Duration) -> Self {
        if matches!(self.making.kind, Kind::Worker(_)) {
            self.rules.stop_within = Some(nanos(patience));
        }
        self
    }

    /// Its supervisor waits for its end however long it takes. OTP's `infinity`.
    pub fn stop_whenever(mut self) -> Self {
        self.rules.stop_within = None;
        self
    }

    /// Its own end may end the supervisor: see [`AutoShutdown`]. Not for a permanent child, which never just ends.
    pub fn significant(mut self) -> Self {
        self.rules.significant = true;
        self
    }

    /// What becomes of its supervisor when this child is abandoned in the others' way.
    pub fn on_abandon(mut self, policy: OnAbandon) -> Self {
        self.rules.on_abandon = Some(policy);
        self
    }

    /// It is abandoned as hung if it passes no [checkpoint](Life::checkpoint) for this long and is not idle either: while
    /// it waits in [`Life::next`], [`next_all`](Life::next_all), [`send`](Life::send) or
    /// [`wait_until_told`](Life::wait_until_told) it is idle. Looked at once in so
    /// long, so that a hang is found after twice as long at the latest.
    ///
    /// Nothing else is a sign of life. A worker that waits for something of its own counts as hung, whether it is a system
    /// call, a lock, a queue's own `recv`, or this library: [`Tree::stop`], [`Tree::snapshot`], a key lock. A wait that may
    /// take long is made in parts, each with a deadline well within this one and a [checkpoint](Life::checkpoint) behind
    /// it; or it is left to a child without a heartbeat, whose answer is waited for in [`Life::next`].
    ///
    /// ```
    /// use foundation_supervisor::{Failure, Life, Tree};
    /// use foundation_sync::SECOND;
    ///
    /// /// Of a worker with a heartbeat of some seconds.
    /// fn stop_first(life: &Life, tree: &Tree) -> Result<(), Failure> {
    ///     while !life.told() && tree.stop(life.system().within(SECOND)).is_err() {
    ///         life.checkpoint();
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn heartbeat_within(mut self, patience: Duration) -> Self {
        self.rules.heartbeat = Some(nanos(patience));
        self
    }

    /// Its restarts wait: see [`Backoff`]. Its siblings go on until then, also those that the strategy takes along.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = Some(backoff.delays());
        self
    }

    /// An intensity of its own: its restarts do not count against the supervisor's, which gives up if there are more.
    pub fn intensity(mut self, restarts: usize, period: Duration) -> Self {
        self.rules.intensity = Some(Intensity { restarts, period: nanos(period) });
        self
    }

    /// The context in which each of its lives starts.
    pub fn context(mut self, fields: Fields) -> Self {
        self.making.fields = fields;
        self
    }

    /// Where its crank is to be found when it is made; who finds it starts it.
    pub(crate) fn born(mut self) -> (Self, Queue<Born>) {
        let born = Queue::bounded(1, Full::DropOldest);
        self.rules.ready = Ready::AtSpawn;
        let told = born.clone();
        self.making.born = Some(Arc::new(move |one| told.try_send(one).is_ok()));
        (self, born)
    }

    /// The size of its thread's stack in bytes, at least 128 KiB.
    pub fn stack(mut self, bytes: usize) -> Self {
        self.making.stack = Some(bytes);
        self
    }
}

impl Making {
    fn of(kind: Kind) -> Self {
        Self { kind, fields: Fields::new(), stack: None, born: None, kept: Vec::new() }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// How a supervisor is made: its strategy, its intensity, its children in start order.
#[derive(Clone, Debug)]
#[must_use = "a supervisor does nothing until it is started"]
pub struct Supervisor {
    pub(crate) name: Arc<str>,
    strategy: Strategy,
    intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    /// How many children it may have, if it is a dynamic one.
    pub(crate) dynamic: Option<usize>,
    most_abandoned: usize,
    /// How many abandoned lives of its children still run, whichever of its own lives left them: its replacement has this
    /// of its spec.
    pub(crate) left: Arc<AtomicU64>,
    pub(crate) children: Vec<ChildSpec>,
    /// Its children's paths do not begin with its name: the universe's own.
    pub(crate) nameless: bool,
    /// What SIGHUP does, in a program that is this tree.
    pub(crate) reload: Option<Reload>,
}

impl Supervisor {
    /// A supervisor without children, which allows three restarts in five seconds.
    pub fn new(name: impl Into<Arc<str>>, strategy: Strategy) -> Self {
        Self {
            name: name.into(),
            strategy,
            intensity: Intensity { restarts: 3, period: nanos(SECONDS_5) },
            auto_shutdown: AutoShutdown::Never,
            dynamic: None,
            most_abandoned: 8,
            left: Arc::default(),
            children: Vec::new(),
            nameless: false,
            reload: None,
        }
    }

    /// A supervisor whose children come and go, `most` of them at once: for connections, sessions, jobs. After Elixir's
    /// `DynamicSupervisor`.
    ///
    /// Children are put in by [`Tree::start_child`], which says who they are; several may have one name, for each is
    /// shown as `name:number`. A child that has ended for good is forgotten. Those that wait to be restarted count as
    /// children, too. They are stopped side by side.
    pub fn dynamic(name: impl Into<Arc<str>>, most: usize) -> Self {
        Self { dynamic: Some(most), ..Self::new(name, Strategy::OneForOne) }
    }

    /// Allows so many restarts in so long; one more, and it gives up. It counts attempts, of all children together.
    pub fn intensity(mut self, restarts: usize, period: Duration) -> Self {
        self.intensity = Intensity { restarts, period: nanos(period) };
        self
    }

    /// How many abandoned lives of its children may still run, 8 if not said; one more, and it gives up. One that ends
    /// after all does not count any more. When the supervisor is itself replaced, those that it left behind count for its
    /// replacement.
    pub fn abandoned_at_most(mut self, lives: usize) -> Self {
        self.most_abandoned = lives;
        self
    }

    /// Whether the end of significant children ends it.
    pub fn auto_shutdown(mut self, when: AutoShutdown) -> Self {
        self.auto_shutdown = when;
        self
    }

    /// One more child, started after those before it.
    pub fn child(mut self, spec: impl Into<ChildSpec>) -> Self {
        self.children.push(spec.into());
        self
    }

    /// One more worker, for [`run`](crate::run()): restarted unless it ends as it should.
    pub fn worker(
        &mut self,
        name: impl Into<Arc<str>>,
        body: impl Fn(&Life) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> &mut Self {
        self.children.push(ChildSpec::worker(name, body).restart(Restart::Transient).significant());
        self
    }

    /// Starts the tree in this universe. On return all children are started, in order.
    ///
    /// # Errors
    /// [`StartError`]: a child could not be started, and those before it are stopped again, or it took too long.
    #[track_caller]
    pub fn start(self, system: &System, until: Deadline) -> Result<Tree, StartError> {
        system.start_tree(self, until)
    }

    /// Counts by itself what it leaves behind, whatever it is a clone of, and so do those below.
    pub(crate) fn on_its_own(&mut self) {
        self.left = Arc::default();
        self.children.iter_mut().for_each(ChildSpec::on_its_own);
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            strategy: self.strategy,
            intensity: self.intensity,
            auto_shutdown: self.auto_shutdown,
            dynamic: self.dynamic,
            most_abandoned: self.most_abandoned,
        }
    }
}

pub(crate) fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)
}
