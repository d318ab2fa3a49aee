//! What a worker's body sees of the world.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Address, Cause, Owner, RegisterError, Registration};
use foundation_sync::{Mutex, Queue, SendError, Stop};

use crate::{
    System, Tree,
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
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) stop: Stop,
    cause: Mutex<Option<Cause>>,
}

impl Orders {
    /// Tells it to stop. The first cause stands.
    pub(crate) fn stop(&self, cause: Cause) {
        self.cause.lock().get_or_insert(cause);
        self.stop.tell();
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        *self.cause.lock()
    }
}

/// This life is over for everybody else: it was abandoned, and what it receives or sends would count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced(pub Incarnation);

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was given up and is fenced: end now", self.0)
    }
}

impl std::error::Error for Fenced {}

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

    /// The tree that this worker is a child of. Asking it to stop, and waiting for that, would wait for oneself.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// This life as an owner of names.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The word to stop: pass it to what waits.
    pub fn stop(&self) -> &Stop {
        &self.orders.stop
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

    /// The next value of the queue; `None` once it is closed and empty, or this worker was told to stop.
    ///
    /// # Errors
    /// This life is fenced.
    #[track_caller]
    pub fn next<T: Send + 'static>(&self, queue: &Queue<T>) -> Result<Option<T>, Fenced> {
        self.unless_fenced()?;
        Ok(queue.recv(self.stop()).ok())
    }

    /// All values of the queue: waits for one, then lingers for more. `None` as in [`next`](Self::next).
    ///
    /// # Errors
    /// This life is fenced.
    #[track_caller]
    pub fn next_all<T: Send + 'static>(&self, queue: &Queue<T>, linger: Duration) -> Result<Option<Vec<T>>, Fenced> {
        self.unless_fenced()?;
        Ok(queue.recv_all(self.system.clock(), linger, self.stop()).ok())
    }

    fn unless_fenced(&self) -> Result<(), Fenced> {
        match self.owner.fenced() {
            true => Err(Fenced(self.incarnation())),
            false => Ok(()),
        }
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

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Life({:?})", self.owner)
    }
}
