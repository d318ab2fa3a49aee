//! How a tree is described.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::Fields;
use foundation_registry::Owner;
use foundation_sync::{Deadline, Full, Nanos, Queue, SECONDS_5, Serial};

use crate::{
    Failure, Life, StartError, System, Tree,
    core::{Plan, Ready, Rules},
    crank::Crank,
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

/// What becomes of a group restart when a child that had to go first was abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnAbandon {
    /// The supervisor gives up: "the old ones are gone before new ones start" can't be kept.
    Escalate,
    /// It goes on: the old one is fenced, so what it still does no longer counts.
    Replace,
}

pub(crate) type Body = dyn Fn(&Life) -> Result<(), Failure> + Send + Sync;

#[derive(Clone)]
pub(crate) enum Kind {
    Worker(Arc<Body>),
    Supervisor(Box<Supervisor>),
}

/// How one child is made, restarted and stopped.
#[derive(Clone)]
#[must_use = "a spec does nothing until it is put into a tree"]
pub struct ChildSpec {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) rules: Rules,
    pub(crate) fields: Fields,
    pub(crate) stack: Option<usize>,
    /// Where the handle of a supervisor is told when it is made, to be started by whoever hears of it.
    pub(crate) born: Option<Queue<Born>>,
}

/// A supervisor's crank, and who it is.
pub(crate) type Born = (Serial<Crank>, Owner);

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
            on_abandon: OnAbandon::Escalate,
        };
        Self {
            name: name.into(),
            kind: Kind::Worker(Arc::new(body)),
            rules,
            fields: Fields::new(),
            stack: None,
            born: None,
        }
    }

    /// A supervisor: permanent, started when its children are, with all the time that they need to stop.
    pub fn supervisor(supervisor: Supervisor) -> Self {
        let rules = Rules {
            restart: Restart::Permanent,
            ready: Ready::Within(None),
            stop_within: None,
            significant: false,
            on_abandon: OnAbandon::Escalate,
        };
        let name = Arc::clone(&supervisor.name);
        Self {
            name,
            kind: Kind::Supervisor(Box::new(supervisor)),
            rules,
            fields: Fields::new(),
            stack: None,
            born: None,
        }
    }

    /// When it is restarted.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// It counts as started when it calls [`Life::ready`], within this time.
    pub fn ready_within(mut self, patience: Duration) -> Self {
        self.rules.ready = Ready::Within(Some(nanos(patience)));
        self
    }

    /// How long it may take to stop before it is abandoned. OTP's integer `shutdown`; zero is its `brutal_kill`.
    ///
    /// A supervisor always gets the time that its children need, each of which has its own: abandoned, it would leave them
    /// to nobody.
    pub fn stop_within(mut self, patience: Duration) -> Self {
        if matches!(self.kind, Kind::Worker(_)) {
            self.rules.stop_within = Some(nanos(patience));
        }
        self
    }

    /// Its supervisor waits for its end however long it takes. OTP's `infinity`.
    pub fn stop_whenever(mut self) -> Self {
        self.rules.stop_within = None;
        self
    }

    /// Its own end may end the supervisor: see [`AutoShutdown`]. Nothing to a permanent child, which never just ends.
    pub fn significant(mut self) -> Self {
        self.rules.significant = true;
        self
    }

    /// What becomes of a group restart when this child has to go first and is abandoned.
    pub fn on_abandon(mut self, policy: OnAbandon) -> Self {
        self.rules.on_abandon = policy;
        self
    }

    /// The context in which each of its lives starts.
    pub fn context(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// Where its crank is to be found when it is made; who finds it starts it.
    pub(crate) fn born(mut self) -> (Self, Queue<Born>) {
        let born = Queue::bounded(1, Full::DropOldest);
        self.rules.ready = Ready::AtSpawn;
        self.born = Some(born.clone());
        (self, born)
    }

    /// The size of its thread's stack in bytes, at least 128 KiB.
    pub fn stack(mut self, bytes: usize) -> Self {
        self.stack = Some(bytes);
        self
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
    intensity: usize,
    period: Duration,
    auto_shutdown: AutoShutdown,
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
            intensity: 3,
            period: SECONDS_5,
            auto_shutdown: AutoShutdown::Never,
            children: Vec::new(),
            nameless: false,
            reload: None,
        }
    }

    /// Allows so many restarts in so long; one more, and it gives up. It counts attempts, of all children together.
    pub fn intensity(mut self, restarts: usize, period: Duration) -> Self {
        (self.intensity, self.period) = (restarts, period);
        self
    }

    /// Whether the end of significant children ends it.
    pub fn auto_shutdown(mut self, when: AutoShutdown) -> Self {
        self.auto_shutdown = when;
        self
    }

    /// One more child, started after those before it.
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.push(spec);
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

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            strategy: self.strategy,
            intensity: self.intensity,
            period: nanos(self.period),
            auto_shutdown: self.auto_shutdown,
            children: self.children.iter().map(|child| child.rules).collect(),
        }
    }

    /// The first name that two of its children have.
    pub(crate) fn doubled(&self) -> Option<&Arc<str>> {
        let mut names: Vec<_> = self.children.iter().map(|child| &child.name).collect();
        names.sort_unstable();
        let own = names.windows(2).find(|two| two[0] == two[1]).map(|two| two[0]);
        own.or_else(|| {
            self.children.iter().find_map(|child| match &child.kind {
                Kind::Supervisor(supervisor) => supervisor.doubled(),
                Kind::Worker(_) => None,
            })
        })
    }
}

fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)
}
