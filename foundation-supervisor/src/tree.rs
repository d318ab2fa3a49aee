//! A running tree, from outside.

use std::{fmt, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::{Cause, Exit, Monitor, Owner};
use foundation_sync::{Deadline, RecvError, Serial, Until};

use crate::{
    ChildError, ChildSpec, Phase, Snapshot, StopError,
    census::Census,
    core::{Answer, Event},
    crank::{Crank, Key, News, Reply, Request, Ticket},
    snapshot::record::ChildRecord,
};

/// A running tree. A clone is another handle; dropping them all does not stop it.
#[derive(Clone)]
pub struct Tree {
    crank: Serial<Crank>,
    owner: Owner,
    /// What the paths of those below begin with.
    prefix: Arc<str>,
    census: Census,
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

impl Tree {
    pub(crate) fn new(crank: Serial<Crank>, owner: Owner, prefix: Arc<str>, census: &Census) -> Self {
        Self { crank, owner, prefix, census: census.clone() }
    }

    /// The calling thread, if it is of a life below this tree: one that this tree waits for. Of those who are waited for,
    /// each below a supervisor that has not ended, no two are of one path.
    fn inside(&self) -> Option<Arc<str>> {
        let lives = !self.owner.fenced();
        lives.then(|| self.census.awaited_here()).flatten().filter(|caller| caller.starts_with(&*self.prefix))
    }

    /// The same, if it is this child or below it.
    fn inside_child(&self, child: &Key) -> Option<Arc<str>> {
        let caller = self.inside()?;
        let is_inside = match child {
            Key::Name(name) => {
                let below = caller.strip_prefix(&*self.prefix).and_then(|path| path.strip_prefix(&**name));
                below.is_some_and(|rest| rest.starts_with(['/', '#']))
            }
            // The children of a dynamic supervisor have their number in their name.
            Key::Life(life) => {
                let child = caller.strip_prefix(&*self.prefix).and_then(|path| path.split(['/', '#']).next());
                let below = child.is_some_and(|child| child.ends_with(&format!(":{}", life.id)));
                below || foundation_context::incarnation().is_some_and(|own| own.id == life.id)
            }
        };
        is_inside.then_some(caller)
    }

    #[cfg(test)]
    pub(crate) fn crank(&self) -> &Serial<Crank> {
        &self.crank
    }

    /// Starts the children of a tree that has just taken its seat.
    #[track_caller]
    pub(crate) fn first_start(&self, until: &Deadline) -> Result<(), ChildError> {
        ask_child(&self.crank, self.owner.name(), until, |ticket| News::Core(Event::Start(Some(ticket)))).map(drop)
    }

    /// Who the supervisor is, for monitors.
    pub fn incarnation(&self) -> Incarnation {
        self.owner.incarnation()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It still runs at the deadline, or the caller was told to stop; or the caller lives in it
    /// ([`StopError::Inside`]), which is said at once.
    #[track_caller]
    pub fn wait<'a>(&self, until: impl Into<Until<'a>>) -> Result<Exit, StopError> {
        self.wait_after(until, || {})
    }

    /// Waits for its end, if that is not to come from the calling thread, and before that does this.
    #[track_caller]
    fn wait_after<'a>(&self, until: impl Into<Until<'a>>, first: impl FnOnce()) -> Result<Exit, StopError> {
        let monitor = self.monitor();
        if let Ok(down) = monitor.try_recv() {
            return Ok(down.exit);
        }
        if let Some(caller) = self.inside() {
            return Err(StopError::Inside { caller });
        }
        first();
        Ok(monitor.recv(until)?.exit)
    }

    /// Asks for the news of its end.
    #[track_caller]
    pub fn monitor(&self) -> Monitor {
        self.owner.monitor()
    }

    /// Stops its children in reverse order and waits for its end; says how it ended, which may have been before.
    ///
    /// # Errors
    /// It still runs at the deadline, or the caller was told to stop; it goes on stopping. Or the caller lives in it
    /// ([`StopError::Inside`]): that is said at once, and nobody is told to stop.
    #[track_caller]
    pub fn stop<'a>(&self, until: impl Into<Until<'a>>) -> Result<Exit, StopError> {
        self.wait_after(until, || self.tell_to_stop(Cause::Requested))
    }

    /// Tells it to stop, and does not wait: for those who live in it, too.
    pub fn tell_to_stop(&self, cause: Cause) {
        self.tell(Event::Stop(None, cause));
    }

    #[cfg(test)]
    pub(crate) fn push(&self, news: News) {
        self.crank.push(news);
    }

    pub(crate) fn tell(&self, event: Event<Ticket>) {
        self.crank.push(News::Core(event));
    }

    /// Its children in start order.
    ///
    /// # Errors
    /// [`ChildError::Over`], `TimedOut` or `Stopped`.
    #[track_caller]
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

    /// Adds a child and starts it, behind all others; says which life it began. If that fails, its spec is gone again.
    ///
    /// # Errors
    /// [`ChildError`].
    #[track_caller]
    pub fn start_child<'a>(
        &self,
        spec: impl Into<ChildSpec>,
        until: impl Into<Until<'a>>,
    ) -> Result<Incarnation, ChildError> {
        let mut spec = spec.into();
        spec.check().map_err(ChildError::BadSpec)?;
        spec.on_its_own();
        let name = Arc::clone(&spec.name);
        started(ask_child(&self.crank, &name, until, |ticket| News::StartChild(Box::new(spec), ticket))?)
    }

    /// Stops a child and keeps its spec, unless it is temporary or the supervisor a dynamic one. Fine if it has ended
    /// already and its spec is still there.
    ///
    /// # Errors
    /// [`ChildError`]: [`Inside`](ChildError::Inside) at once to a child that asks for its own end.
    #[track_caller]
    pub fn terminate_child<'a>(
        &self,
        child: impl Into<ChildKey>,
        until: impl Into<Until<'a>>,
    ) -> Result<(), ChildError> {
        let ChildKey(key) = child.into();
        if let Some(caller) = self.inside_child(&key) {
            return Err(ChildError::Inside { caller });
        }
        self.request(ChildKey(key), until, Request::Terminate).map(drop)
    }

    /// Starts a child that has ended; says which life it began.
    ///
    /// # Errors
    /// [`ChildError`].
    #[track_caller]
    pub fn restart_child<'a>(
        &self,
        child: impl Into<ChildKey>,
        until: impl Into<Until<'a>>,
    ) -> Result<Incarnation, ChildError> {
        started(self.request(child, until, Request::Restart)?)
    }

    /// Drops the spec of a child that has ended: its name is free for another.
    ///
    /// # Errors
    /// [`ChildError`].
    #[track_caller]
    pub fn delete_child<'a>(&self, child: impl Into<ChildKey>, until: impl Into<Until<'a>>) -> Result<(), ChildError> {
        self.request(child, until, Request::Delete).map(drop)
    }

    /// Restarts a child now that [backs off](crate::Backoff).
    ///
    /// # Errors
    /// [`ChildError`].
    #[track_caller]
    pub fn skip_backoff<'a>(&self, child: impl Into<ChildKey>, until: impl Into<Until<'a>>) -> Result<(), ChildError> {
        self.request(child, until, Request::SkipBackoff).map(drop)
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
    #[track_caller]
    pub fn snapshot<'a>(&self, until: impl Into<Until<'a>>) -> Result<Snapshot, ChildError> {
        Snapshot::take(self.owner.name(), self.incarnation(), &self.crank, &until.into())
    }

    #[track_caller]
    fn request<'a>(
        &self,
        child: impl Into<ChildKey>,
        until: impl Into<Until<'a>>,
        request: Request,
    ) -> Result<Option<Incarnation>, ChildError> {
        let ChildKey(key) = child.into();
        let name = key.to_string().into();
        ask_child(&self.crank, &name, until, |ticket| News::Child(key, request, ticket))
    }
}

/// Which child of a supervisor: by its name there, or by any of its lives. A name is all there is to `&str`; what
/// [`Tree::start_child`] returned is the way to a child of a dynamic supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildKey(pub(crate) Key);

impl From<&str> for ChildKey {
    fn from(name: &str) -> Self {
        Self(Key::Name(name.into()))
    }
}

impl From<&String> for ChildKey {
    fn from(name: &String) -> Self {
        name.as_str().into()
    }
}

impl From<&Arc<str>> for ChildKey {
    fn from(name: &Arc<str>) -> Self {
        Self(Key::Name(Arc::clone(name)))
    }
}

impl From<Incarnation> for ChildKey {
    fn from(life: Incarnation) -> Self {
        Self(Key::Life(life))
    }
}

fn started(life: Option<Incarnation>) -> Result<Incarnation, ChildError> {
    life.ok_or(ChildError::Over)
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({:?})", self.owner)
    }
}

#[track_caller]
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

#[track_caller]
pub(crate) fn ask_child<'a>(
    crank: &Serial<Crank>,
    name: &Arc<str>,
    until: impl Into<Until<'a>>,
    news: impl FnOnce(Ticket) -> News,
) -> Result<Option<Incarnation>, ChildError> {
    let name = Arc::clone(name);
    match ask(crank, until, news)? {
        Reply::Core(Answer::Done) => Ok(None),
        Reply::Core(Answer::Started(who)) => Ok(Some(who.incarnation())),
        Reply::Core(Answer::NotFound) => Err(ChildError::NotFound(name)),
        Reply::Core(Answer::AlreadyRunning) => Err(ChildError::AlreadyRunning(name)),
        Reply::Core(Answer::Busy) => Err(ChildError::Busy),
        Reply::Core(Answer::Restarting) => Err(ChildError::Restarting(name)),
        Reply::Core(Answer::NotBackingOff) => Err(ChildError::NotBackingOff(name)),
        Reply::AlreadyPresent => Err(ChildError::AlreadyPresent(name)),
        Reply::TooMany => Err(ChildError::TooMany),
        Reply::BadSpec(error) => Err(ChildError::BadSpec(error)),
        Reply::StartFailed(exit) => Err(ChildError::StartFailed { name, exit }),
        Reply::Core(_) | Reply::Children(_) => Err(ChildError::Over),
    }
}
