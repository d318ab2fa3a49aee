//! A running tree, from outside.

use std::{fmt, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::{Cause, Exit, Monitor, Owner};
use foundation_sync::{Deadline, RecvError, Serial, Until};

use crate::{
    ChildSpec, Phase, Snapshot,
    core::{Answer, Event},
    crank::{Crank, News, Reply, Ticket},
    snapshot::record::ChildRecord,
    spec::Kind,
};

/// A running tree. A clone is another handle; dropping them all does not stop it.
#[derive(Clone)]
pub struct Tree {
    crank: Serial<Crank>,
    owner: Owner,
}

/// A child, as its supervisor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildView {
    /// Its name in its supervisor.
    pub name: Arc<str>,
    /// Its present or last life.
    pub incarnation: Incarnation,
    /// What it is doing.
    pub phase: Phase,
}

/// Why a tree was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// Two children of one supervisor have this name.
    DoubledName(Arc<str>),
    /// A tree of this name runs already.
    AlreadyPresent(Arc<str>),
    /// One of the children could not be started; those before it have been stopped again.
    ChildFailed {
        /// The tree.
        tree: Arc<str>,
        /// How the tree ended.
        exit: Exit,
    },
    /// Not all children were started by the deadline; those that were are being stopped.
    TimedOut,
    /// The universe is stopping.
    Stopped,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoubledName(name) => write!(f, "two children are named `{name}`: a name is used once per supervisor"),
            Self::AlreadyPresent(name) => {
                write!(f, "a tree `{name}` runs already: stop it first, or choose another name")
            }
            Self::ChildFailed { tree, exit: Exit::Failed(why) } => {
                write!(f, "tree `{tree}` could not be started: {why}")
            }
            Self::ChildFailed { tree, exit } => write!(f, "tree `{tree}` could not be started: {exit}"),
            Self::TimedOut => f.write_str("not all children were ready by the deadline"),
            Self::Stopped => f.write_str("the universe is stopping"),
        }
    }
}

impl std::error::Error for StartError {}

/// Why something could not be done with a child.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// No child has this name.
    NotFound(Arc<str>),
    /// A child of this name is there, running or not.
    AlreadyPresent(Arc<str>),
    /// Two children of the supervisor that was to be started have this name.
    DoubledName(Arc<str>),
    /// More than a thousand requests wait already.
    Busy,
    /// It runs: terminate it first.
    AlreadyRunning(Arc<str>),
    /// A restart failed and is being tried again.
    Restarting(Arc<str>),
    /// It could not be started.
    StartFailed {
        /// The child.
        name: Arc<str>,
        /// How it ended.
        exit: Exit,
    },
    /// The supervisor ended before it could.
    Over,
    /// Not done by the deadline. It goes on.
    TimedOut,
    /// The caller was told to stop while it waited. It goes on.
    Stopped,
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name) => write!(f, "no child is named `{name}`"),
            Self::AlreadyPresent(name) => write!(f, "a child `{name}` is there already"),
            Self::AlreadyRunning(name) => write!(f, "`{name}` runs: terminate it first"),
            Self::Restarting(name) => write!(f, "`{name}` is being restarted"),
            Self::StartFailed { name, exit } => write!(f, "`{name}` could not be started: {exit}"),
            Self::DoubledName(name) => write!(f, "two children are named `{name}`: a name is used once per supervisor"),
            Self::Busy => f.write_str("too many requests wait for the supervisor"),
            Self::Over => f.write_str("the supervisor has ended"),
            Self::TimedOut => f.write_str("not done by the deadline"),
            Self::Stopped => f.write_str("told to stop while waiting for the supervisor"),
        }
    }
}

impl std::error::Error for ChildError {}

impl Tree {
    pub(crate) fn new(crank: Serial<Crank>, owner: Owner) -> Self {
        Self { crank, owner }
    }

    #[cfg(test)]
    pub(crate) fn crank(&self) -> &Serial<Crank> {
        &self.crank
    }

    /// Starts the children of a tree that has just taken its seat.
    pub(crate) fn first_start(&self, until: &Deadline) -> Result<(), ChildError> {
        ask_child(&self.crank, self.owner.name(), until, |ticket| News::Core(Event::Start(Some(ticket))))
    }

    /// Who the supervisor is, for monitors.
    pub fn incarnation(&self) -> Incarnation {
        self.owner.incarnation()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It still runs at the deadline, or the caller was told to stop.
    #[track_caller]
    pub fn wait<'a>(&self, until: impl Into<Until<'a>>) -> Result<Exit, RecvError> {
        self.monitor().recv(until).map(|down| down.exit)
    }

    /// Asks for the news of its end.
    #[track_caller]
    pub fn monitor(&self) -> Monitor {
        self.owner.monitor()
    }

    /// Stops its children in reverse order and waits for its end; says how it ended, which may have been before.
    ///
    /// # Errors
    /// It still runs at the deadline, or the caller was told to stop; it goes on stopping.
    #[track_caller]
    pub fn stop<'a>(&self, until: impl Into<Until<'a>>) -> Result<Exit, RecvError> {
        self.tell_to_stop(Cause::Requested);
        self.wait(until)
    }

    /// Tells it to stop, and does not wait.
    pub fn tell_to_stop(&self, cause: Cause) {
        self.tell(Event::Stop(None, cause));
    }

    pub(crate) fn tell(&self, event: Event<Ticket>) {
        self.crank.push(News::Core(event));
    }

    /// Its children in start order.
    ///
    /// # Errors
    /// [`ChildError::Over`], `TimedOut` or `Stopped`.
    pub fn children<'a>(&self, until: impl Into<Until<'a>>) -> Result<Vec<ChildView>, ChildError> {
        match ask(&self.crank, until, News::Children)? {
            Reply::Children(records) => {
                let view = |child: ChildRecord| ChildView {
                    name: child.name,
                    incarnation: child.incarnation,
                    phase: child.phase,
                };
                Ok(records.children.into_iter().map(view).collect())
            }
            _ => Err(ChildError::Over),
        }
    }

    /// Adds a child and starts it. If that fails, its spec is gone again.
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn start_child<'a>(&self, spec: ChildSpec, until: impl Into<Until<'a>>) -> Result<(), ChildError> {
        if let Kind::Supervisor(supervisor) = &spec.kind
            && let Some(name) = supervisor.doubled()
        {
            return Err(ChildError::DoubledName(Arc::clone(name)));
        }
        let name = Arc::clone(&spec.name);
        ask_child(&self.crank, &name, until, |ticket| News::StartChild(Box::new(spec), ticket))
    }

    /// Stops a child and keeps its spec, unless it is temporary. Fine if it has ended already.
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn terminate_child<'a>(&self, name: &str, until: impl Into<Until<'a>>) -> Result<(), ChildError> {
        let name: Arc<str> = name.into();
        ask_child(&self.crank, &name, until, |ticket| News::Terminate(Arc::clone(&name), ticket))
    }

    /// Starts a child that has ended.
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn restart_child<'a>(&self, name: &str, until: impl Into<Until<'a>>) -> Result<(), ChildError> {
        let name: Arc<str> = name.into();
        ask_child(&self.crank, &name, until, |ticket| News::RestartChild(Arc::clone(&name), ticket))
    }

    /// The tree as it is now, with everything below it: to be read, or printed. Supervisors are asked one after another; a
    /// worker that is stuck holds nothing up. One below that does not answer by the deadline is shown as such.
    ///
    /// ```
    /// use foundation_supervisor::{ChildSpec, Foundation, Strategy, Supervisor};
    /// use foundation_sync::{Full, Queue, SECONDS_5};
    ///
    /// let foundation = Foundation::builder().start();
    /// let orders = Queue::<u64>::bounded(8, Full::Wait);
    /// let clerk = ChildSpec::worker("clerk", move |life| {
    ///     life.watch_queue(&orders);
    ///     while let Some(order) = life.next(&orders)? {
    ///         life.checkpoint();
    ///         let _ = order;
    ///     }
    ///     Ok(())
    /// });
    /// let shop = Supervisor::new("shop", Strategy::OneForOne).child(clerk);
    /// let tree = shop.start(&foundation, foundation.within(SECONDS_5))?;
    /// let snapshot = tree.snapshot(foundation.within(SECONDS_5))?;
    /// assert!(snapshot.find("shop/clerk").is_some_and(|clerk| clerk.incarnation.generation == 1));
    /// assert!(snapshot.to_string().contains("└── clerk  worker"));
    /// assert!(foundation.stop(SECONDS_5).is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ChildError::TimedOut`] or `Stopped`: this supervisor itself did not answer.
    pub fn snapshot<'a>(&self, until: impl Into<Until<'a>>) -> Result<Snapshot, ChildError> {
        Snapshot::take(self.owner.name(), self.incarnation(), &self.crank, &until.into())
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({:?})", self.owner)
    }
}

pub(crate) fn ask<'a>(
    crank: &Serial<Crank>,
    until: impl Into<Until<'a>>,
    news: impl FnOnce(Ticket) -> News,
) -> Result<Reply, ChildError> {
    let (ticket, waiter) = Ticket::new();
    crank.push(news(ticket));
    waiter.wait(until).map_err(|error| match error {
        RecvError::Stopped => ChildError::Stopped,
        RecvError::TimedOut | RecvError::Closed => ChildError::TimedOut,
    })
}

pub(crate) fn ask_child<'a>(
    crank: &Serial<Crank>,
    name: &Arc<str>,
    until: impl Into<Until<'a>>,
    news: impl FnOnce(Ticket) -> News,
) -> Result<(), ChildError> {
    let name = Arc::clone(name);
    match ask(crank, until, news)? {
        Reply::Core(Answer::Done) => Ok(()),
        Reply::Core(Answer::NotFound) => Err(ChildError::NotFound(name)),
        Reply::Core(Answer::AlreadyRunning) => Err(ChildError::AlreadyRunning(name)),
        Reply::Core(Answer::Busy) => Err(ChildError::Busy),
        Reply::Core(Answer::Restarting) => Err(ChildError::Restarting(name)),
        Reply::AlreadyPresent => Err(ChildError::AlreadyPresent(name)),
        Reply::StartFailed(exit) => Err(ChildError::StartFailed { name, exit }),
        Reply::Core(_) | Reply::Children(_) => Err(ChildError::Over),
    }
}
