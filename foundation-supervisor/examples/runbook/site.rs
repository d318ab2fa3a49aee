//! What the runbook works on: a universe that started from the old implementations, with one supervised worker.

use foundation_context::Incarnation;
use foundation_flags::{EMERGENCY, FILE_REFUSED, Flags, ROLLED_BACK, STAGE_ENABLED};
use foundation_registry::Registration;
use foundation_supervisor::{ChildSpec, Failure, Life, Strategy, Supervisor, System, Tree};
use foundation_sync::{Deadline, Full, Queue, SECONDS_5, atomic::AtomicU64};
use foundation_telemetry::{Event, EventName};

use crate::{log::Log, page::check};

/// What the indexer is asked to do, on its thread.
type Job = Box<dyn FnOnce(&Life) + Send>;

/// What the runbook works on.
pub(crate) struct Site {
    pub(crate) system: System,
    pub(crate) flags: Flags,
    pub(crate) tree: Tree,
    pub(crate) jobs: Queue<Job>,
    /// The events of the migration.
    pub(crate) news: Queue<Event>,
    pub(crate) log: Log,
    /// How many keys of events that are emitted once were taken.
    pub(crate) keys: AtomicU64,
}

impl Site {
    pub(crate) fn start(system: &System, flags: &Flags, log: &Log) -> Result<Self, Failure> {
        let jobs: Queue<Job> = Queue::bounded(8, Full::Wait);
        let asked = jobs.clone();
        let indexer = ChildSpec::worker("indexer", move |life| {
            let _name = life.register("indexer", "its address")?;
            while let Some(job) = life.next(&asked)? {
                job(life);
            }
            Ok(())
        });
        let tree = Supervisor::new("site", Strategy::OneForOne).child(indexer);
        let tree = tree.start(system, system.within(SECONDS_5))?;
        let (system, flags) = (system.clone(), flags.clone());
        let news = hear(&system, "news", &[STAGE_ENABLED, ROLLED_BACK, EMERGENCY, FILE_REFUSED])?;
        let site = Self { system, flags, tree, jobs, news, log: log.clone(), keys: AtomicU64::new(0) };
        // Whoever does jobs has its name.
        site.ask(|_| ())?;
        Ok(site)
    }

    pub(crate) fn advance_to(&self, stage: usize, day: &str) -> Result<(), Failure> {
        let change = self.flags.advance_to(stage, "operator", day, self.soon())?;
        check("the stage is reached", self.flags.status().stage == stage, change)?;
        self.heard("the migration's event is told", STAGE_ENABLED)
    }

    pub(crate) fn heard(&self, what: &str, name: EventName) -> Result<(), Failure> {
        let told = self.news.recv(self.soon());
        let found = told.as_ref().map(|event| format!("{} {}", event.name, event.measurements));
        let found = found.unwrap_or_else(ToString::to_string);
        check(what, told.is_ok_and(|event| event.name == name), found)
    }

    /// Has the indexer do this, and waits for what comes of it.
    pub(crate) fn ask<R: Send + 'static>(&self, work: impl FnOnce(&Life) -> R + Send + 'static) -> Result<R, Failure> {
        let answer = Queue::bounded(1, Full::Refuse);
        let reply = answer.clone();
        let job: Job = Box::new(move |life| _ = reply.try_send(work(life)));
        self.jobs.send(job, self.soon()).map_err(|error| Failure::new(format!("the indexer is busy: {error}")))?;
        answer.recv(self.soon()).map_err(|error| Failure::new(format!("the indexer does not answer: {error}")))
    }

    /// Has the indexer register this name, too.
    pub(crate) fn register(&self, name: &'static str) -> Result<(Incarnation, Registration), Failure> {
        let (indexer, registration) = self.ask(move |life| (life.incarnation(), life.register(name, "its address")))?;
        Ok((indexer, registration?))
    }

    /// Whether this thread finds the name.
    pub(crate) fn finds(&self, name: &str) -> bool {
        self.system.registry().lookup(name).is_some()
    }

    /// Checks whether this thread, which registered nothing, finds the name.
    pub(crate) fn check_name(&self, what: &str, name: &str, expected: bool) -> Result<(), Failure> {
        let found = self.finds(name);
        check(what, found == expected, if found { "found here" } else { "not found here" })
    }

    /// Without the figures, which differ from window to window, and when all that was decided is written down.
    pub(crate) fn status(&self) -> String {
        let written = || (!self.flags.status().unwritten).then_some(());
        _ = self.system.activity().wait_for(&self.soon(), written);
        let mut status = self.flags.status();
        status.figures.clear();
        status.to_string()
    }

    pub(crate) fn flags_on(&self) -> usize {
        self.flags.status().flags.iter().filter(|flag| flag.on).count()
    }

    pub(crate) fn soon(&self) -> Deadline {
        self.system.within(SECONDS_5)
    }
}

/// What is emitted under these names from now on, until the handler is detached.
pub(crate) fn hear(system: &System, id: &str, names: &[EventName]) -> Result<Queue<Event>, Failure> {
    let events = Queue::bounded(64, Full::DropOldest);
    let heard = events.clone();
    system.telemetry().attach(id, names, move |event| _ = heard.try_send(event.clone()))?;
    Ok(events)
}
