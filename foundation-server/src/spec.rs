//! How a server is described.

use std::{fmt, sync::Arc};

use foundation_supervisor::ChildSpec;
use foundation_sync::{Full, SECONDS_5};

use crate::{
    ServerRef,
    desk::{Desk, Lease},
    serve::serve,
    server::Server,
};

/// What becomes of messages that wait when a life ends and another is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pending {
    /// They wait for the next life, and more may come.
    Wait,
    /// They become dead letters, calls come back, and nothing is taken until the next life begins.
    DeadLetter,
}

/// What a full mailbox does with one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// A call waits for room until its deadline; a cast, which never waits, is refused.
    Wait,
    /// It is refused.
    Refuse,
}

/// What is fixed when the spec is complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) capacity: usize,
    pub(crate) full: Full,
    pub(crate) pending: Pending,
    pub(crate) quarantine_after: u32,
}

/// How a server is made: its mailbox, and what a restart does to its messages. The rest is said of it as of any
/// [child](Self::child).
#[must_use = "a spec does nothing until it is put into a tree"]
pub struct ServerSpec<S: Server> {
    child: ChildSpec,
    desk: Arc<Desk<S>>,
    terms: Terms,
}

/// A server, to be put into a tree, and the way to it, which survives its restarts.
///
/// `make` makes the state of each life, on the life's thread.
///
/// ```
/// use foundation_server::{Handle, Server, Turn, server};
/// use foundation_supervisor::{Foundation, Strategy, Supervisor};
/// use foundation_sync::{SECOND, SECONDS_5};
///
/// #[derive(Default)]
/// struct Totals { words: u64 }
/// struct Add(&'static str);
/// struct Get;
///
/// impl Server for Totals {}
/// impl Handle<Add> for Totals {
///     type Reply = ();
///     fn handle(&mut self, Add(text): Add, _: &mut Turn<Self>) { self.words += text.split(' ').count() as u64; }
/// }
/// impl Handle<Get> for Totals {
///     type Reply = u64;
///     fn handle(&mut self, _: Get, _: &mut Turn<Self>) -> u64 { self.words }
/// }
///
/// let system = Foundation::builder().start();
/// let (spec, totals) = server("totals", Totals::default);
/// Supervisor::new("counts", Strategy::OneForOne).child(spec).start(&system, system.within(SECONDS_5))?;
///
/// totals.cast(Add("to be or not to be"))?;
/// assert_eq!(totals.call(Get, system.within(SECOND))?, 6);
/// assert!(system.stop(SECONDS_5).is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn server<S: Server>(
    name: impl Into<Arc<str>>,
    make: impl Fn() -> S + Send + Sync + 'static,
) -> (ServerSpec<S>, ServerRef<S>) {
    let name = name.into();
    let desk = Arc::new(Desk::new(Arc::clone(&name)));
    let own = Arc::clone(&desk);
    let child = ChildSpec::worker(name, move |life| serve(&own, &make, life))
        .ready_within(SECONDS_5)
        .kept_by(Lease(Arc::clone(&desk)));
    let terms = Terms { capacity: 1024, full: Full::Wait, pending: Pending::Wait, quarantine_after: 3 };
    (ServerSpec { child, desk: Arc::clone(&desk), terms }, ServerRef::new(desk))
}

impl<S: Server> ServerSpec<S> {
    /// How many messages its mailbox holds, 1,024 if not said, and what it does with one more: [`WhenFull::Wait`] if not
    /// said.
    pub fn mailbox(mut self, capacity: usize, full: WhenFull) -> Self {
        self.terms.capacity = capacity;
        self.terms.full = match full {
            WhenFull::Wait => Full::Wait,
            WhenFull::Refuse => Full::Refuse,
        };
        self
    }

    /// What becomes of waiting messages over a restart: [`Pending::Wait`] if not said.
    pub fn pending(mut self, pending: Pending) -> Self {
        self.terms.pending = pending;
        self
    }

    /// How many lives a message may cost that is [to be done again](ServerRef::cast_again), 3 if not said; then it becomes a
    /// dead letter. 0 counts as 1.
    pub fn quarantine_after(mut self, lives: u32) -> Self {
        self.terms.quarantine_after = lives.max(1);
        self
    }

    /// The spec as a child's, for what is said of any child: when it is restarted, how long it may take to start and stop.
    /// A server is permanent if not said otherwise, and has five seconds for its [`init`](Server::init).
    pub fn child(self) -> ChildSpec {
        self.desk.open_office(self.terms);
        self.child
    }
}

impl<S: Server> From<ServerSpec<S>> for ChildSpec {
    fn from(spec: ServerSpec<S>) -> Self {
        spec.child()
    }
}

impl<S: Server> fmt::Debug for ServerSpec<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSpec").field("child", &self.child).field("terms", &self.terms).finish_non_exhaustive()
    }
}
