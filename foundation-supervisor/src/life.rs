//! What a worker's body sees of the world.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Address, Cause, Fenced, Owner, OwnerRecvError, RegisterError, Registration};
use foundation_sync::{
    Deadline, Mutex, Queue, SendError, Stop, Until, Whereabouts,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    Failure, Restart, System, Tree,
    checkpoint::Checkpoints,
    core::{Event, Who},
    courier::Crash,
    ender::Ender,
};

/// One life of a worker, as its body sees it.
pub struct Life {
    pub(crate) system: System,
    pub(crate) orders: Arc<Orders>,
    pub(crate) tree: Tree,
    pub(crate) who: Who,
    pub(crate) restart: Restart,
}

/// What a worker's thread and its supervisor have in common: what it was told, and the right to end its life.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) ender: Ender,
    /// The owner's: its end says it at the latest.
    stop: Stop,
    cause: Mutex<Option<Cause>>,
    /// Of its thread: two may have one name.
    pub(crate) whereabouts: Whereabouts,
    /// There is nothing for it to do.
    ignored: AtomicBool,
    /// Its supervisor does not wait for its end any more.
    gone: AtomicBool,
    pub(crate) checkpoints: Checkpoints,
    /// What is told of its end, for its supervisor to pass on: only that knows how many restarts are left.
    pub(crate) report: Mutex<Option<Box<Crash>>>,
}

impl Orders {
    pub(crate) fn of(ender: Ender) -> Self {
        Self {
            stop: ender.stop().clone(),
            ender,
            cause: Mutex::new(None),
            whereabouts: Whereabouts::default(),
            ignored: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            checkpoints: Checkpoints::default(),
            report: Mutex::new(None),
        }
    }

    /// Tells it to stop. The first cause stands.
    pub(crate) fn stop(&self, cause: Cause) {
        self.cause.lock().get_or_insert(cause);
        self.stop.tell();
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        *self.cause.lock()
    }

    /// By its supervisor, which has heard of its end or has given it up.
    pub(crate) fn go(&self) {
        self.gone.store(true, Ordering::Relaxed); // ordering: nothing else hangs on it
    }

    pub(crate) fn gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed) // ordering: see `go`
    }

    pub(crate) fn ignored(&self) -> bool {
        self.ignored.load(Ordering::Relaxed) // ordering: written and read by the worker's own thread
    }
}

/// What one life was told, for whoever looks after its end, when the [`Life`] is gone.
#[derive(Clone, Debug)]
pub struct Told(Arc<Orders>);

impl Told {
    /// Why it was told to stop, if it was.
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause()
    }
}

impl Life {
    /// Which life this is.
    pub fn incarnation(&self) -> Incarnation {
        self.owner().incarnation()
    }

    /// The worker's path in its tree.
    pub fn name(&self) -> &Arc<str> {
        self.owner().name()
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
        &self.orders.ender
    }

    /// The word to stop: pass it to what waits. It is also said when this life is fenced.
    pub fn stop(&self) -> &Stop {
        self.owner().stop()
    }

    /// Whether this worker was told to stop: one load.
    pub fn told(&self) -> bool {
        self.orders.stop.told()
    }

    /// Why it was told to stop, if it was.
    pub fn cause(&self) -> Option<Cause> {
        self.orders.cause()
    }

    /// What this life is told: to be asked when it has ended, too, such as by its [heir](foundation_registry::Heir).
    #[must_use]
    pub fn what_told(&self) -> Told {
        Told(Arc::clone(&self.orders))
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

    /// Whether this life has [said](Self::ignore) that there is nothing for it to do.
    pub fn ignores(&self) -> bool {
        self.orders.ignored()
    }

    /// Says that this worker is here, and works: a number is counted up, and the place in the code is kept, for snapshots
    /// and for the report of a crash or of a worker that had to be abandoned. It costs some nanoseconds: call it where
    /// work goes on for long without a wait of the worker's own.
    ///
    /// [`next`](Self::next), [`next_all`](Self::next_all), [`send`](Self::send) and
    /// [`wait_until_told`](Self::wait_until_told) are checkpoints, too; as long as they wait the worker counts as idle.
    ///
    /// ```
    /// use foundation_supervisor::{Failure, Life};
    ///
    /// fn add_up(life: &Life, numbers: &[u64]) -> Result<u64, Failure> {
    ///     let mut sum = 0;
    ///     for thousand in numbers.chunks(1000) {
    ///         life.checkpoint();
    ///         sum += thousand.iter().sum::<u64>();
    ///     }
    ///     Ok(sum)
    /// }
    /// ```
    #[track_caller]
    pub fn checkpoint(&self) {
        self.orders.checkpoints.pass();
    }

    /// Shows this queue in [snapshots](crate::Snapshot) as long as this life lasts: how full it is, and was at most. Of one
    /// life the first 8 are shown, and the others counted.
    pub fn watch_queue<T: Send + 'static>(&self, queue: &Queue<T>) {
        self.orders.checkpoints.watch(queue);
    }

    /// When it is restarted, as its spec says.
    pub fn restart(&self) -> Restart {
        self.restart
    }

    /// The next value of the queue, waited for until this worker is told to stop or `until` is over, and taken for this life
    /// ([`Owner::recv`]): what [`next`](Self::next) is made of.
    ///
    /// # Errors
    /// [`OwnerRecvError`].
    #[track_caller]
    pub fn recv<'a, T: Send + 'static>(
        &self,
        queue: &Queue<T>,
        until: impl Into<Until<'a>>,
    ) -> Result<T, OwnerRecvError> {
        let _idle = self.orders.checkpoints.wait();
        self.owner().recv(queue, until)
    }

    /// The next values of the queue, one at least and `most` at most of those that are there, appended to `into`; else as
    /// [`recv`](Self::recv).
    ///
    /// # Errors
    /// [`OwnerRecvError`].
    #[track_caller]
    pub fn recv_some<'a, T: Send + 'static>(
        &self,
        queue: &Queue<T>,
        into: &mut VecDeque<T>,
        most: usize,
        until: impl Into<Until<'a>>,
    ) -> Result<(), OwnerRecvError> {
        let _idle = self.orders.checkpoints.wait();
        self.owner().recv_some(queue, into, most, until)
    }

    /// Waits until this worker is told to stop: for a body that has started something, and ends it afterwards.
    #[track_caller]
    pub fn wait_until_told(&self) {
        let _idle = self.orders.checkpoints.wait();
        self.stop().wait(&Deadline::never());
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
        or_none(self.recv(queue, self.stop()))
    }

    /// All values of the queue: waits for one, then lingers for more. `None` as in [`next`](Self::next).
    ///
    /// # Errors
    /// This life is fenced.
    #[track_caller]
    pub fn next_all<T: Send + 'static>(&self, queue: &Queue<T>, linger: Duration) -> Result<Option<Vec<T>>, Fenced> {
        let _idle = self.orders.checkpoints.wait();
        or_none(self.owner().recv_all(queue, self.system.clock(), linger, self.stop()))
    }

    /// Sends a value; waits for room until this worker is told to stop.
    ///
    /// # Errors
    /// [`SendError`], with the value in it.
    #[track_caller]
    pub fn send<T: Send + 'static>(&self, queue: &Queue<T>, value: T) -> Result<(), SendError<T>> {
        let _idle = self.orders.checkpoints.wait();
        queue.send(value, self.stop())
    }

    /// Gives this worker a name under which others find `value`.
    ///
    /// # Errors
    /// A live owner has the name, or this life is fenced.
    pub fn register<T: Send + Sync + 'static>(&self, name: &str, value: T) -> Result<Registration, RegisterError> {
        self.system.registry().register(name, self.owner(), Address::new(value), Fields::new())
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
        write!(f, "Life({:?})", self.owner())
    }
}
