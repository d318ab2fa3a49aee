//! A tree as it is now: as data, as text, and with the feature `json` as JSON.
//!
//! No supervisor runs anything for it: each answers from its own records, one after another, on the thread that asks. What
//! workers leave behind on their way ([`Life::checkpoint`]) is read beside them, so a worker that is stuck is shown as it
//! is.

#[cfg(feature = "json")]
pub(crate) mod json;
pub(crate) mod record;
mod text;

use std::{collections::HashSet, panic::Location, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::Exit;
use foundation_sync::{Nanos, Serial, Until};

#[cfg(doc)]
use crate::Life;
use crate::{
    Budget, ChildError, Phase, QueueNote, Strategy, System,
    crank::{Crank, News, Reply},
    life::Orders,
    tree::ask,
};
use record::{ChildRecord, Left, Records, RoleRecord};

/// A supervisor and everything below it, as it was when it was asked. Each supervisor's children are of one moment; one
/// supervisor's moment is not another's.
///
/// As text it is a tree, one line for each child.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// When it was taken, by the universe's clock.
    pub at: Nanos,
    /// The supervisor that was asked.
    pub root: ChildSnapshot,
}

/// A child, and what is below it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChildSnapshot {
    /// Its name in its supervisor.
    pub name: Arc<str>,
    /// Its path in the universe.
    pub path: Arc<str>,
    /// Its present or last life; generation 0: there was none yet.
    pub incarnation: Incarnation,
    /// What it is doing.
    pub phase: Phase,
    /// How long its present life lasts, in nanoseconds.
    pub uptime: Option<Nanos>,
    /// How its last life before that ended, if its supervisor knows.
    pub last_exit: Option<ExitNote>,
    /// Its restarts, where it has an [intensity of its own](crate::ChildSpec::intensity); where not, its supervisor's
    /// count for it.
    pub restarts: Option<Budget>,
    /// How long it may go on without a checkpoint, in nanoseconds, if it is [looked
    /// after](crate::ChildSpec::heartbeat_within).
    pub heartbeat: Option<Nanos>,
    /// What it is.
    pub role: Role,
}

/// What a child is.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// A worker.
    Worker(WorkerNote),
    /// A supervisor.
    Supervisor(SupervisorNote),
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitNote {
    /// Which life.
    pub generation: u64,
    /// How. A panic's location is in it.
    pub exit: Exit,
    /// When, by the universe's clock.
    pub at: Nanos,
    /// Where it was last seen before.
    pub checkpoint: Option<&'static Location<'static>>,
}

/// What is known of a worker's present life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerNote {
    /// Its thread; `None` while it has none.
    pub thread: Option<ThreadView>,
    /// Where it was last seen: [`Life::checkpoint`].
    pub checkpoint: Option<&'static Location<'static>>,
    /// How many checkpoints there were.
    pub checkpoints: u64,
    /// The queues that it watches: [`Life::watch_queue`].
    pub queues: Vec<QueueNote>,
    /// How many more it would watch.
    pub more_queues: usize,
}

/// A worker's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadView {
    /// Its full name; the operating system may show less of it.
    pub name: Arc<str>,
    /// The operating system's number, where it is known: on Linux, and not before its first instruction.
    pub os_id: Option<u64>,
    /// Where it waits; `None`: it runs, or waits for something that is not of foundation-sync.
    pub waits_at: Option<&'static Location<'static>>,
}

/// What is known of a supervisor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SupervisorNote {
    /// Its strategy.
    pub strategy: Strategy,
    /// Its restarts.
    pub restarts: Budget,
    /// What is below it.
    pub below: Below,
    /// Lives of its children that were abandoned and still run, the first 64 of them. Where the supervisor itself has ended
    /// they are in [`System::threads`] alone.
    pub abandoned: Vec<AbandonedLife>,
    /// How many more.
    pub more_abandoned: usize,
}

/// What is below a supervisor.
#[derive(Clone, Debug, PartialEq)]
pub enum Below {
    /// Its children in start order.
    Children(Vec<ChildSnapshot>),
    /// It did not answer, and why.
    NotAnswering(ChildError),
    /// It does not run.
    NotRunning,
}

/// A life that was told to stop, was given up, and still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbandonedLife {
    /// The worker's path.
    pub path: Arc<str>,
    /// Which life.
    pub incarnation: Incarnation,
    /// When it was abandoned, by the universe's clock.
    pub at: Nanos,
    /// Its thread and where it was last seen.
    pub worker: WorkerNote,
}

impl Snapshot {
    /// All children, those of a supervisor behind it.
    pub fn children(&self) -> impl Iterator<Item = &ChildSnapshot> {
        let mut left = vec![&self.root];
        std::iter::from_fn(move || {
            let next = left.pop()?;
            left.extend(next.children().iter().rev());
            Some(next)
        })
    }

    /// The child of this path.
    pub fn find(&self, path: &str) -> Option<&ChildSnapshot> {
        self.children().find(|child| &*child.path == path)
    }

    /// Takes one of this supervisor, whose own name and life are known.
    pub(crate) fn take(
        name: &Arc<str>,
        incarnation: Incarnation,
        crank: &Serial<Crank>,
        until: &Until<'_>,
    ) -> Result<Self, ChildError> {
        Self::of(name, incarnation, crank, &mut |crank| match ask(crank, until.clone(), News::Children)? {
            Reply::Children(records) => Ok(*records),
            _ => Err(ChildError::Over),
        })
    }

    fn of(
        path: &Arc<str>,
        incarnation: Incarnation,
        crank: &Serial<Crank>,
        ask: &mut dyn FnMut(&Serial<Crank>) -> Result<Records, ChildError>,
    ) -> Result<Self, ChildError> {
        let records = ask(crank)?;
        let mut taker = Taker::new(&records.system, ask);
        let phase = records.phase;
        let uptime = (phase != Phase::Stopped).then(|| taker.since(records.since));
        let name = path.rsplit('/').next().unwrap_or(path).into();
        let role = Role::Supervisor(taker.supervisor(records));
        let path = Arc::clone(path);
        let (last_exit, restarts, heartbeat) = (None, None, None);
        let root = ChildSnapshot { name, path, incarnation, phase, uptime, last_exit, restarts, heartbeat, role };
        Ok(Self { at: taker.now, root })
    }
}

impl ChildSnapshot {
    /// The children below it, where it is a supervisor that has answered.
    pub fn children(&self) -> &[ChildSnapshot] {
        match &self.role {
            Role::Supervisor(SupervisorNote { below: Below::Children(children), .. }) => children,
            _ => &[],
        }
    }
}

/// Asks one supervisor after another.
struct Taker<'a> {
    ask: &'a mut dyn FnMut(&Serial<Crank>) -> Result<Records, ChildError>,
    now: Nanos,
    /// The names of the universe's threads.
    threads: HashSet<Arc<str>>,
}

impl<'a> Taker<'a> {
    fn new(system: &System, ask: &'a mut dyn FnMut(&Serial<Crank>) -> Result<Records, ChildError>) -> Self {
        let threads = system.threads().into_iter().map(|thread| thread.name).collect();
        Self { ask, now: system.clock().now(), threads }
    }

    fn since(&self, then: Nanos) -> Nanos {
        self.now.saturating_sub(then)
    }

    fn supervisor(&mut self, records: Records) -> SupervisorNote {
        let prefix = records.prefix;
        let children = records.children.into_iter().map(|child| self.child(&prefix, child)).collect();
        SupervisorNote {
            strategy: records.strategy,
            restarts: records.budget,
            below: Below::Children(children),
            abandoned: records.abandoned.into_iter().map(|left| self.abandoned(left)).collect(),
            more_abandoned: records.more_abandoned,
        }
    }

    fn child(&mut self, prefix: &str, record: ChildRecord) -> ChildSnapshot {
        let ChildRecord { name, incarnation, phase, since, last, restarts, heartbeat, role } = record;
        let path: Arc<str> = format!("{prefix}{name}").into();
        let mut phase = phase;
        let role = match role {
            RoleRecord::Worker(None) => Role::Worker(WorkerNote::default()),
            RoleRecord::Worker(Some(orders)) => Role::Worker(self.worker(&path, incarnation, &orders)),
            RoleRecord::Supervisor { strategy, budget, crank } => {
                let answer = crank.map(|crank| (self.ask)(&crank));
                Role::Supervisor(match answer {
                    Some(Ok(records)) => {
                        // It may stop by itself, of which those above hear when it has ended.
                        if phase == Phase::Running && records.phase == Phase::Stopping {
                            phase = records.phase;
                        }
                        self.supervisor(records)
                    }
                    silent => SupervisorNote {
                        strategy,
                        restarts: budget,
                        below: silent.and_then(Result::err).map_or(Below::NotRunning, Below::NotAnswering),
                        abandoned: Vec::new(),
                        more_abandoned: 0,
                    },
                })
            }
        };
        let (uptime, last_exit) = (since.map(|since| self.since(since)), last.map(Arc::unwrap_or_clone));
        ChildSnapshot { name, path, incarnation, phase, uptime, last_exit, restarts, heartbeat, role }
    }

    fn worker(&self, path: &str, incarnation: Incarnation, orders: &Orders) -> WorkerNote {
        let (queues, more_queues) = orders.checkpoints.queues();
        let name: Arc<str> = thread_name(path, incarnation.generation).into();
        let there = self.threads.contains(&name);
        let thread = there.then(|| ThreadView {
            name,
            os_id: orders.checkpoints.os_id(),
            waits_at: orders.whereabouts.waits_at(),
        });
        let (checkpoint, checkpoints) = (orders.checkpoints.place(), orders.checkpoints.number());
        WorkerNote { thread, checkpoint, checkpoints, queues, more_queues }
    }

    fn abandoned(&self, left: Left) -> AbandonedLife {
        let Left { incarnation, path, at, orders, .. } = left;
        let worker = self.worker(&path, incarnation, &orders);
        AbandonedLife { path, incarnation, at, worker }
    }
}

/// What the thread of this life is called.
pub(crate) fn thread_name(path: &str, generation: u64) -> String {
    format!("{path}#{generation}")
}

#[cfg(test)]
mod tests;
