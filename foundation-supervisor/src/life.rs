//! What a worker's body sees of the world.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Address, Cause, Fenced, Owner, OwnerRecvError, RegisterError, Registration};
use foundation_sync::{
    Mutex, Queue, SendError, Stop,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    Failure, System, Tree,
    core::{Event, Who},
};

/// One life of a worker, as its body sees it.
pub struct Life {
    pub(crate) system: System,
    pub(crate) owner: Owner,
    pub(crate) orders: Arc<Orders>,
    pub(crate) tree: Tree,
    pub(crate) who: Who,
}

/// What a worker was told.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The owner's: its end says it at the latest.
    stop: Stop,
    cause: Mutex<Option<Cause>>,
    /// There is nothing for it to do.
    ignored: AtomicBool,
}

impl Orders {
    pub(crate) fn of(owner: &Owner) -> Self {
        Self { stop: owner.stop().clone(), cause: Mutex::new(None), ignored: AtomicBool::new(false) }
    }

    /// Tells it to stop. The first cause stands.
    pub(crate) fn stop(&self, cause: Cause) {
        self.cause.lock().get_or_insert(cause);
        self.stop.tell();
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        *self.cause.lock()
    }

    pub(crate) fn ignored(&self) -> bool {
        self.ignored.load(Ordering::Relaxed) // ordering: written and read by the worker's own thread
    }
}

impl Life {
    /// Which life this is.
    pub fn incarnation(&self) -> Incarnation {
        self.owner.incarnation()
    }

    /// The worker's path in its tree.
    pub fn name(&self) -> &Arc<str> {
        self.owner.name()
    }

    /// The universe.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The tree that this worker is a child of. To stop it with [`stop`](Tree::stop) would be to wait for oneself, which is
    /// refused: [`tell_to_stop`](Tree::tell_to_stop), then return from the body.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// This life as an owner of names.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The word to stop: pass it to what waits. It is also said when this life is fenced.
    pub fn stop(&self) -> &Stop {
        self.owner.stop()
    }

    /// Whether this worker was told to stop: one load.
    pub fn told(&self) -> bool {
        self.orders.stop.told()
    }

    /// Why it was told to stop, if it was.
    pub fn cause(&self) -> Option<Cause> {
        self.orders.cause()
    }

    /// Says that this worker is ready: see [`ChildSpec::ready_within`](crate::ChildSpec::ready_within).
    pub fn ready(&self) {
        self.tree.tell(Event::Ready(self.who));
    }

    /// Ends this life because there is nothing for it to do: `return life.ignore()`. That counts as a start, not as a
    /// failure; it is not restarted, whatever its kind, and its spec stays unless it is temporary or its supervisor
    /// dynamic. OTP's `ignore`, which only an `init` can say.
    ///
    /// # Errors
    /// None: it is what the body returns.
    pub fn ignore(&self) -> Result<(), Failure> {
        self.orders.ignored.store(true, Ordering::Relaxed); // ordering: see `Orders::ignored`
        Ok(())
    }

    /// The next value of the queue; `None` once it is closed and empty, or this worker was told to stop.
    ///
    /// Nothing is taken after this life was fenced: what is in the queue then is its successor's
    /// ([`Owner::recv`]).
    ///
    /// # Errors
    /// This life is fenced.
    #[track_caller]
    pub fn next<T: Send + 'static>(&self, queue: &Queue<T>) -> Result<Option<T>, Fenced> {
        or_none(self.owner.recv(queue, self.stop()))
    }

    /// All values of the queue: waits for one, then lingers for more. `None` as in [`next`](Self::next).
    ///
    /// # Errors
    /// This life is fenced.
    #[track_caller]
    pub fn next_all<T: Send + 'static>(&self, queue: &Queue<T>, linger: Duration) -> Result<Option<Vec<T>>, Fenced> {
        or_none(self.owner.recv_all(queue, self.system.clock(), linger, self.stop()))
    }

    /// Sends a value; waits for room until this worker is told to stop.
    ///
    /// # Errors
    /// [`SendError`], with the value in it.
    #[track_caller]
    pub fn send<T: Send + 'static>(&self, queue: &Queue<T>, value: T) -> Result<(), SendError<T>> {
        queue.send(value, self.stop())
    }

    /// Gives this worker a name under which others find `value`.
    ///
    /// # Errors
    /// A live owner has the name, or this life is fenced.
    pub fn register<T: Send + Sync + 'static>(&self, name: &str, value: T) -> Result<Registration, RegisterError> {
        self.system.registry().register(name, &self.owner, Address::new(value), Fields::new())
    }

    /// What is reached under this name, if somebody has it and it is of this type.
    pub fn find<T: Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        self.system.find(name)
    }
}

/// Nothing more comes: that is no error.
fn or_none<T>(received: Result<T, OwnerRecvError>) -> Result<Option<T>, Fenced> {
    match received {
        Ok(value) => Ok(Some(value)),
        Err(OwnerRecvError::Fenced(fenced)) => Err(fenced),
        Err(OwnerRecvError::Recv(_)) => Ok(None),
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Life({:?})", self.owner)
    }
}
