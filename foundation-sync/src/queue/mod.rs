//! A bounded queue of many senders and many readers.
//!
//! # Protocol
//! One lock guards the items, the reserved places and whether the queue is closed; two condition variables wake readers
//! (`arrived`) and senders (`room`). Who waits until a [`Stop`] has first put the queue's [`Wake`] into it, and looks
//! again under the lock before it sleeps.
//!
//! Named races:
//! - *stop before sleep*: the word is said after the waiter looked and before it sleeps. `wake` takes the lock before it
//!   notifies, so the waiter is asleep by then, and is woken.
//! - *close before sleep*: the same, with `close`.

mod error;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use crate::{Clock, Condvar, Deadline, MODEL, Mutex, MutexGuard, Stop, Until, Wake, Watching, planted, reached};

pub use error::{GiveBackError, RecvError, ReserveError, SendError, TryRecvError, TrySendError};

/// What a full queue does with one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The sender waits for room.
    Wait,
    /// The sender waits until half of the places are free, which saves a wake-up per value. For pipelines, whose readers
    /// go on reading: a reader that stops in between waits for such a sender in vain.
    WaitForHalf,
    /// The value is refused and comes back.
    Refuse,
    /// The oldest value makes room and is counted.
    DropOldest,
}

/// A bounded queue: many senders, many readers, each value to one of them.
///
/// A clone is another handle to the same queue. Values of one sender arrive in the order in which it sent them; between
/// senders the order is that in which they got the lock.
pub struct Queue<T>(Arc<Shared<T>>);

struct Shared<T> {
    capacity: usize,
    full: Full,
    state: Mutex<State<T>>,
    arrived: Condvar,
    /// For readers who linger: the queue is half full.
    filled: Condvar,
    room: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    reserved: usize,
    /// How many values are out that may be given back.
    out: usize,
    readers: usize,
    lingering: usize,
    senders: usize,
    dropped: u64,
    closed: bool,
}

impl<T: Send + 'static> Queue<T> {
    /// A queue of at most so many values; a capacity of 0 counts as 1.
    pub fn bounded(capacity: usize, full: Full) -> Self {
        let state = State {
            items: VecDeque::new(),
            reserved: 0,
            out: 0,
            readers: 0,
            lingering: 0,
            senders: 0,
            dropped: 0,
            closed: false,
        };
        let (arrived, filled, room) = (Condvar::new(), Condvar::new(), Condvar::new());
        Self(Arc::new(Shared { capacity: capacity.max(1), full, state: Mutex::new(state), arrived, filled, room }))
    }

    /// Sends a value. A full queue that waits makes the caller wait.
    ///
    /// # Errors
    /// [`SendError`], with the value in it.
    pub fn send<'a>(&self, value: T, until: impl Into<Until<'a>>) -> Result<(), SendError<T>> {
        let until = until.into();
        let mut wait = Wait::new(&self.0, until);
        let mut state = self.0.state.lock();
        loop {
            if state.closed {
                return Err(SendError::Closed(value));
            }
            if self.0.has_room(&state) {
                self.0.put(state, value);
                return Ok(());
            }
            match self.0.full {
                Full::Wait | Full::WaitForHalf => {}
                Full::Refuse => return Err(SendError::Full(value)),
                Full::DropOldest => match state.items.pop_front() {
                    // All places are reserved: there is no oldest.
                    None => return Err(SendError::Full(value)),
                    Some(oldest) => {
                        state.dropped += 1;
                        self.0.put(state, value);
                        drop(oldest);
                        return Ok(());
                    }
                },
            }
            match wait.on(state, Side::Sender) {
                Ok(again) => state = again,
                Err(RecvError::Stopped) => return Err(SendError::Stopped(value)),
                Err(_) => return Err(SendError::TimedOut(value)),
            }
        }
    }

    /// Sends a value if there is room now.
    ///
    /// # Errors
    /// [`TrySendError`], with the value in it.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.send(value, Deadline::now()) {
            Ok(()) => Ok(()),
            Err(SendError::Closed(value)) => Err(TrySendError::Closed(value)),
            Err(SendError::Full(value) | SendError::Stopped(value) | SendError::TimedOut(value)) => {
                Err(TrySendError::Full(value))
            }
        }
    }

    /// The next value. A reader that was told to stop gets no more, whatever is there.
    ///
    /// # Errors
    /// [`RecvError`].
    pub fn recv<'a>(&self, until: impl Into<Until<'a>>) -> Result<T, RecvError> {
        let until = until.into();
        let mut wait = Wait::new(&self.0, until);
        let mut state = self.0.state.lock();
        loop {
            // Also after a sleep: who was told to stop gets no more.
            if wait.stopped() {
                return Err(RecvError::Stopped);
            }
            if let Some(value) = self.0.take(&mut state) {
                return Ok(value);
            }
            if state.closed {
                return Err(RecvError::Closed);
            }
            state = wait.on(state, Side::Reader)?;
        }
    }

    /// Waits for a value, lingers for more until the queue is half full or `linger` is over, and takes all.
    ///
    /// For a reader that is faster than its senders: it saves a wake-up per value, and each value waits at most so long.
    /// In a model it does not linger.
    ///
    /// # Errors
    /// [`RecvError`]; what has arrived by then stays in the queue.
    pub fn recv_all<'a>(
        &self,
        clock: &Clock,
        linger: Duration,
        until: impl Into<Until<'a>>,
    ) -> Result<Vec<T>, RecvError> {
        let until = until.into();
        let mut wait = Wait::new(&self.0, until);
        let mut state = self.0.state.lock();
        loop {
            if wait.stopped() {
                return Err(RecvError::Stopped);
            }
            if !state.items.is_empty() {
                if wait.watches() {
                    state = wait.watch(state)?;
                    continue;
                }
                let linger = if MODEL { Duration::ZERO } else { linger };
                let enough = clock.within(wait.until.deadline.left().map_or(linger, |left| left.min(linger)));
                while !enough.passed() && !state.closed && !wait.stopped() && !self.0.half_full(&state) {
                    state.lingering += 1;
                    state = self.0.filled.wait(state, &enough);
                    state.lingering -= 1;
                }
                let all = std::mem::take(&mut state.items);
                if !all.is_empty() && !wait.stopped() {
                    state.out = state.out.saturating_add(all.len());
                    if state.senders > 0 {
                        self.0.room.notify_all();
                    }
                    return Ok(all.into());
                }
                // Told to stop, or another reader was faster.
                state.items = all;
                continue;
            }
            if state.closed {
                return Err(RecvError::Closed);
            }
            state = wait.on(state, Side::Reader)?;
        }
    }

    /// The next value, if one is there.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.state.lock();
        match self.0.take(&mut state) {
            Some(value) => Ok(value),
            None if state.closed => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Puts a received value back at the front, whatever the capacity: for readers that hold what they took until it is
    /// done. No more can be given back than was received.
    ///
    /// # Errors
    /// [`GiveBackError`], with the value in it.
    pub fn give_back(&self, value: T) -> Result<(), GiveBackError<T>> {
        let mut state = self.0.state.lock();
        if state.closed {
            return Err(GiveBackError::Closed(value));
        }
        if state.out == 0 {
            return Err(GiveBackError::NotReceived(value));
        }
        state.out -= 1;
        state.items.push_front(value);
        self.0.tell_reader(state);
        Ok(())
    }

    /// Keeps a place for one value, so that sending it later can neither wait nor fail for want of room.
    ///
    /// # Errors
    /// [`ReserveError`].
    pub fn reserve(&self) -> Result<Permit<T>, ReserveError> {
        let mut state = self.0.state.lock();
        if state.closed {
            return Err(ReserveError::Closed);
        }
        if !self.0.has_room(&state) {
            return Err(ReserveError::Full);
        }
        state.reserved += 1;
        Ok(Permit { queue: Some(self.clone()) })
    }

    /// Refuses further values and wakes everyone. What is there can still be received.
    pub fn close(&self) {
        self.0.state.lock().closed = true;
        if planted!("queue: close tells nobody") {
            return;
        }
        self.0.wake_all();
    }

    /// Takes out all that is there.
    pub fn drain(&self) -> Vec<T> {
        let items = std::mem::take(&mut self.0.state.lock().items);
        self.0.room.notify_all();
        items.into()
    }

    /// How many values are there.
    pub fn len(&self) -> usize {
        self.0.state.lock().items.len()
    }

    /// Whether no value is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values made room for younger ones.
    pub fn dropped(&self) -> u64 {
        self.0.state.lock().dropped
    }

    /// How many values it holds at most, but for what is given back.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, closed) = {
            let state = self.0.state.lock();
            (state.items.len(), state.closed)
        };
        write!(f, "Queue({len} of {}{})", self.0.capacity, if closed { ", closed" } else { "" })
    }
}

impl<T> Shared<T> {
    fn has_room(&self, state: &State<T>) -> bool {
        state.items.len() + state.reserved < self.capacity
    }

    fn wake_all(&self) {
        self.arrived.notify_all();
        self.filled.notify_all();
        self.room.notify_all();
    }

    fn half_full(&self, state: &State<T>) -> bool {
        state.items.len() >= self.capacity.div_ceil(2)
    }

    fn put(&self, mut state: MutexGuard<'_, State<T>>, value: T) {
        state.items.push_back(value);
        self.tell_reader(state);
    }

    fn tell_reader(&self, state: MutexGuard<'_, State<T>>) {
        let awaited = state.readers > 0;
        let filled = state.lingering > 0 && self.half_full(&state);
        drop(state);
        if filled {
            self.filled.notify_all();
        }
        if awaited {
            reached!("a reader slept");
            self.arrived.notify_one();
        }
    }

    fn take(&self, state: &mut State<T>) -> Option<T> {
        let value = state.items.pop_front()?;
        state.out = state.out.saturating_add(1);
        if state.senders > 0 {
            reached!("a sender waited for room");
            match self.full {
                Full::WaitForHalf if self.half_full(state) => {}
                // Half of the places are free: not for one sender alone.
                Full::WaitForHalf => self.room.notify_all(),
                _ => self.room.notify_one(),
            }
        }
        Some(value)
    }
}

impl<T: Send> Wake for Shared<T> {
    fn wake(&self) {
        // The lock: race "stop before sleep".
        if !planted!("queue: stop notifies without the lock") {
            drop(self.state.lock());
        }
        self.wake_all();
    }
}

#[derive(Clone, Copy)]
enum Side {
    Reader,
    Sender,
}

/// One call's waiting.
struct Wait<'a, T> {
    shared: &'a Arc<Shared<T>>,
    until: Until<'a>,
    watching: Option<Watching>,
}

impl<'a, T: Send + 'static> Wait<'a, T> {
    fn new(shared: &'a Arc<Shared<T>>, until: Until<'a>) -> Self {
        Self { shared, until, watching: None }
    }

    fn stopped(&self) -> bool {
        self.until.stop.is_some_and(Stop::told)
    }

    /// Whether the stop does not know yet whom to wake.
    fn watches(&self) -> bool {
        self.until.stop.is_some() && self.watching.is_none()
    }

    /// Tells the stop whom to wake. The state is to be looked at again.
    fn watch<'s>(&mut self, state: MutexGuard<'s, State<T>>) -> Result<MutexGuard<'s, State<T>>, RecvError>
    where
        'a: 's,
    {
        drop(state);
        if let Some(stop) = self.until.stop {
            self.watching = Some(stop.watch(Arc::clone(self.shared) as Arc<dyn Wake>).ok_or(RecvError::Stopped)?);
        }
        Ok(self.shared.state.lock())
    }

    /// Waits once. The state is to be looked at again, unless it is over.
    fn on<'s>(&mut self, mut state: MutexGuard<'s, State<T>>, side: Side) -> Result<MutexGuard<'s, State<T>>, RecvError>
    where
        'a: 's,
    {
        if self.stopped() {
            return Err(RecvError::Stopped);
        }
        if self.until.deadline.passed() {
            return Err(RecvError::TimedOut);
        }
        if self.watches() {
            return self.watch(state);
        }
        match side {
            Side::Reader => {
                state.readers += 1;
                state = self.shared.arrived.wait(state, &self.until.deadline);
                state.readers -= 1;
            }
            Side::Sender => {
                state.senders += 1;
                state = self.shared.room.wait(state, &self.until.deadline);
                state.senders -= 1;
            }
        }
        Ok(state)
    }
}

/// A place that is kept in a queue. Dropped, it is given up.
#[must_use]
pub struct Permit<T: Send + 'static> {
    queue: Option<Queue<T>>,
}

impl<T: Send + 'static> Permit<T> {
    /// Puts the value in the place that was kept.
    ///
    /// # Errors
    /// The queue was closed meanwhile; the value comes back.
    pub fn send(mut self, value: T) -> Result<(), T> {
        let queue = self.queue.take().expect("taken here or in drop, once");
        let mut state = queue.0.state.lock();
        state.reserved -= 1;
        if state.closed {
            return Err(value);
        }
        queue.0.put(state, value);
        Ok(())
    }
}

impl<T: Send + 'static> Drop for Permit<T> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.0.state.lock().reserved -= 1;
            queue.0.room.notify_one();
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
