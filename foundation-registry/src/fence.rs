//! Whether a life still counts, and how it receives while it does.
//!
//! # Protocol: the fence and the receives
//! One word says whether the life is fenced and how many of its receives are under way. A receive counts itself in,
//! unless the fence is up, takes what it takes, and counts itself out. Who fences puts the fence up, ends the receives that
//! wait, and then waits until those that were under way are out. That is as long as a wait for a lock: no user's code runs
//! in a receive, and who waits in one has been woken.
//!
//! A life has two stops. One is *said*, to whoever asks for it: users watch it, and their code runs when it is told. The
//! other one is *heeded* by the life's receives alone: it is told when the first one is, and by who fences, so that an end
//! runs no user's code. The one that is said is told when the end is over ([`Remains`](crate::Remains)).
//!
//! Named races:
//! - *fence against receive*: both change the word, so one comes first. A receive that came first is waited for; it may
//!   take a value, while the fence has not returned. One that came second takes nothing.
//! - *stop made meanwhile*: each of a life's stops is made when it is first needed, the heeded one by the first receive.
//!   Who makes one touches the word after that: the fence comes later, and finds it; or it came before, and who has made
//!   it tells it.
//! - *out before the wait*: the last receive goes out after who fences has counted and before it sleeps. It takes the lock
//!   before it notifies, so who fences sleeps by then, and is woken.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use foundation_context::Incarnation;
use foundation_sync::{
    Clock, Condvar, Deadline, Mailbox, Mutex, Once, Queue, RecvError, Stop, Until, Wake, Watching,
    atomic::{AtomicUsize, Ordering},
    planted, reached,
};

use crate::Owner;

const FENCED: usize = 1 << (usize::BITS - 1);

/// This life is over for everybody else: it has ended or was given up, and what it still receives, sends or registers
/// would count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced(pub Incarnation);

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has ended, or was given up: it receives nothing any more, end now", self.0)
    }
}

impl std::error::Error for Fenced {}

/// Why an owner received nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerRecvError {
    /// It has ended, or was given up, before it received anything.
    Fenced(Fenced),
    /// As for anybody: the queue is closed and empty, it was told to stop, or nothing came until the deadline.
    Recv(RecvError),
}

impl fmt::Display for OwnerRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced(fenced) => fenced.fmt(f),
            Self::Recv(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OwnerRecvError {}

impl From<Fenced> for OwnerRecvError {
    fn from(fenced: Fenced) -> Self {
        Self::Fenced(fenced)
    }
}

/// See the module. One for each owner.
#[derive(Default)]
pub(crate) struct Fence {
    word: AtomicUsize,
    /// Whoever asks for the life's stop gets this one.
    said: Once<Stop>,
    /// Boxed: most owners receive nothing.
    heeded: Once<Box<Heeded>>,
}

/// Known to the life's receives alone.
struct Heeded {
    stop: Stop,
    _follows: Option<Watching>,
}

impl Heeded {
    fn following(said: &Stop) -> Self {
        let stop = Stop::new();
        let follower =
            (!planted!("registry: the word to stop reaches no receive")).then(|| Arc::new(Tells(stop.clone())));
        let _follows = follower.and_then(|follower| said.watch(follower));
        Self { stop, _follows }
    }
}

/// The word to stop, to be said when it is dropped: whoever watches it may be a user.
pub(crate) struct Says(Option<Stop>);

impl Says {
    /// Whether nobody is left to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(Stop::told)
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.tell();
        }
    }
}

/// Where those who fence wait for receives: one place for all owners of a universe, for it is seldom needed.
#[derive(Default)]
pub(crate) struct Outside {
    lock: Mutex<()>,
    out: Condvar,
}

impl Fence {
    pub(crate) fn is_up(&self) -> bool {
        // ordering: Acquire, pairs with the Release in `put_up`: who sees the fence sees what the life did before.
        self.word.load(Ordering::Acquire) & FENCED != 0
    }

    /// No receive comes in any more. Those under way are to be seen to by [`see_out`](Self::see_out).
    pub(crate) fn put_up(&self) {
        let ordering = match planted!("registry: the fence is relaxed") {
            true => Ordering::Relaxed,
            // ordering: Release, pairs with the Acquire in `is_up`; Acquire, pairs with the Release in `made`: race
            // "stop made meanwhile". That the receives come before or after is the one order of the one word.
            false => Ordering::AcqRel,
        };
        self.word.fetch_or(FENCED, ordering);
    }

    /// Ends the receives that are under way. The fence is up. The word to stop is still to be said.
    pub(crate) fn see_out(&self, outside: &Outside) -> Says {
        if let Some(heeded) = self.heeded.get()
            && !planted!("registry: the fence wakes no receive")
        {
            heeded.stop.tell();
        }
        self.wait_until_out(outside);
        Says(self.said.get().cloned())
    }

    fn wait_until_out(&self, outside: &Outside) {
        // ordering: Acquire, here and below, pairs with the Release in `out`: what the receives did comes before.
        if self.word.load(Ordering::Acquire) == FENCED || planted!("registry: the fence waits for no receive") {
            return;
        }
        reached!("registry: fence met a receive");
        let mut lock = outside.lock.lock();
        // Without a deadline, as one waits for a lock: see the module. An end that returned before would take the promise
        // back that nothing is received after it.
        while self.word.load(Ordering::Acquire) != FENCED {
            lock = outside.out.wait(lock, &Deadline::never());
        }
    }

    fn said(&self) -> &Stop {
        self.made(&self.said, Stop::new, |stop| stop)
    }

    fn heeded(&self) -> &Stop {
        let said = self.said();
        &self.made(&self.heeded, || Box::new(Heeded::following(said)), |heeded| &heeded.stop).stop
    }

    /// What is in one of the cells, made now if need be.
    fn made<'a, T>(&self, cell: &'a Once<T>, make: impl FnOnce() -> T, stop: impl FnOnce(&T) -> &Stop) -> &'a T {
        if let Some(there) = cell.get() {
            return there;
        }
        let made = cell.get_or(make);
        // ordering: Release, so that a fence that comes after it sees the stop; Acquire, with the Release in `put_up`. It
        // changes nothing, but a change has its place in the one order of the word: race "stop made meanwhile".
        let word = self.word.fetch_or(0, Ordering::AcqRel);
        if word & FENCED != 0 && !planted!("registry: a stop that is made late is not told") {
            reached!("registry: a stop was made meanwhile");
            stop(made).tell();
        }
        made
    }

    /// Counts a receive in. `false`: the fence is up.
    fn come_in(&self, outside: &Outside) -> bool {
        // Looked at first: who is fenced and goes on trying is not waited for.
        if self.is_up() {
            return false;
        }
        // ordering: Acquire, with the Release in `put_up`. Race "fence against receive".
        if self.word.fetch_add(1, Ordering::Acquire) & FENCED == 0 {
            return true;
        }
        reached!("registry: receive met the fence");
        self.go_out(outside);
        false
    }

    fn go_out(&self, outside: &Outside) {
        // ordering: Release, pairs with the Acquire in `see_out`.
        if self.word.fetch_sub(1, Ordering::Release) == FENCED | 1 {
            // The lock: race "out before the wait".
            if !planted!("registry: a receive goes out without the lock") {
                drop(outside.lock.lock());
            }
            outside.out.notify_all();
        }
    }
}

/// A receive that is under way, until it is dropped.
struct Receive<'a>(&'a Owner);

impl<'a> Receive<'a> {
    fn begin(owner: &'a Owner) -> Result<Self, Fenced> {
        match owner.fence().come_in(owner.outside()) {
            true => Ok(Self(owner)),
            false => Err(Fenced(owner.incarnation())),
        }
    }

    /// What ends it for its life's sake.
    fn own(&self) -> &'a Stop {
        let (said, heeded) = (self.0.fence().said(), self.0.fence().heeded());
        // The word may be said, and not passed on yet.
        if said.told() { said } else { heeded }
    }

    /// What ends it, if the caller has a stop besides.
    fn also(&self, until: &Until<'_>) -> Option<Either> {
        let own = self.own();
        if planted!("registry: a receive heeds its own life alone") {
            return None;
        }
        let said = self.0.stop();
        until.stop().filter(|stop| !std::ptr::eq(*stop, said)).map(|stop| Either::of([own, stop]))
    }

    fn until<'e>(&self, until: &Until<'_>, also: Option<&'e Either>) -> Until<'e>
    where
        'a: 'e,
    {
        until.deadline().clone().or_stop(also.map_or_else(|| self.own(), |either| &either.stop))
    }

    fn end<T>(self, received: Result<T, RecvError>) -> Result<T, OwnerRecvError> {
        received.map_err(|error| match self.0.fenced() {
            true => Fenced(self.0.incarnation()).into(),
            false => OwnerRecvError::Recv(error),
        })
    }
}

impl Drop for Receive<'_> {
    fn drop(&mut self) {
        self.0.fence().go_out(self.0.outside());
    }
}

/// A stop that is told when one of two is.
struct Either {
    stop: Stop,
    _watching: [Option<Watching>; 2],
}

struct Tells(Stop);

impl Wake for Tells {
    fn wake(&self) {
        self.0.tell();
    }
}

impl Either {
    fn of(stops: [&Stop; 2]) -> Self {
        let stop = Stop::new();
        let watch = |first: &Stop| {
            if planted!("registry: a receive heeds its caller alone") && std::ptr::eq(first, stops[0]) {
                return None;
            }
            let watching = first.watch(Arc::new(Tells(stop.clone())));
            if watching.is_none() {
                stop.tell();
            }
            watching
        };
        let _watching = stops.map(watch);
        Self { stop, _watching }
    }
}

impl Owner {
    /// Whether it has ended, or was given up: what it does now does not count any more. One load.
    pub fn fenced(&self) -> bool {
        self.fence().is_up()
    }

    /// The word to stop for this life: said by whoever looks after it, and after its end at the latest, when what
    /// [`end`](crate::OwnerGuard::end) returned is dropped. Who asks for it for the first time after the end finds it told.
    pub fn stop(&self) -> &Stop {
        self.fence().said()
    }

    /// The next value of the queue, for this life, which is told to stop by [`stop`](Self::stop) whatever `until` says.
    ///
    /// Once [`end`](crate::OwnerGuard::end) has returned, nothing is taken out of the queue any more by this life, and
    /// nothing that it took before was lost. So what is in the queue then is its successor's.
    ///
    /// # Errors
    /// [`OwnerRecvError`]: it is fenced, or there is no value.
    #[track_caller]
    pub fn recv<'a, T: Send + 'static>(
        &self,
        queue: &Queue<T>,
        until: impl Into<Until<'a>>,
    ) -> Result<T, OwnerRecvError> {
        // First: it is the caller's code, and no user's code runs in a receive.
        let until = until.into();
        let receive = Receive::begin(self)?;
        let also = receive.also(&until);
        let received = queue.recv(receive.until(&until, also.as_ref()));
        receive.end(received)
    }

    /// The next values of the queue, as [`Queue::recv_some`] receives them, for this life: see [`recv`](Self::recv).
    ///
    /// # Errors
    /// [`OwnerRecvError`]: it is fenced, or there is no value.
    #[track_caller]
    pub fn recv_some<'a, T: Send + 'static>(
        &self,
        queue: &Queue<T>,
        into: &mut VecDeque<T>,
        most: usize,
        until: impl Into<Until<'a>>,
    ) -> Result<(), OwnerRecvError> {
        // First: it is the caller's code, and no user's code runs in a receive.
        let until = until.into();
        let receive = Receive::begin(self)?;
        let also = receive.also(&until);
        let received = queue.recv_some(into, most, receive.until(&until, also.as_ref()));
        receive.end(received)
    }

    /// All values of the queue, as [`Queue::recv_all`] receives them, for this life: see [`recv`](Self::recv).
    ///
    /// # Errors
    /// [`OwnerRecvError`]: it is fenced, or there is no value.
    #[track_caller]
    pub fn recv_all<'a, T: Send + 'static>(
        &self,
        queue: &Queue<T>,
        clock: &Clock,
        linger: Duration,
        until: impl Into<Until<'a>>,
    ) -> Result<Vec<T>, OwnerRecvError> {
        // First: it is the caller's code, and no user's code runs in a receive.
        let until = until.into();
        let receive = Receive::begin(self)?;
        let also = receive.also(&until);
        let received = queue.recv_all(clock, linger, receive.until(&until, also.as_ref()));
        receive.end(received)
    }

    /// The next value of the mailbox, for this life: see [`recv`](Self::recv).
    ///
    /// # Errors
    /// [`OwnerRecvError`]: it is fenced, or there is no value.
    #[track_caller]
    pub fn recv_mail<'a, T: Send + 'static>(
        &self,
        mailbox: &mut Mailbox<T>,
        until: impl Into<Until<'a>>,
    ) -> Result<T, OwnerRecvError> {
        // First: it is the caller's code, and no user's code runs in a receive.
        let until = until.into();
        let receive = Receive::begin(self)?;
        let also = receive.also(&until);
        let received = mailbox.recv(receive.until(&until, also.as_ref()));
        receive.end(received)
    }
}
