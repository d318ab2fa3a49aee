//! A bounded queue of many senders and one reader, who is thereby faster.
//!
//! The protocol is that of [`Queue`](crate::Queue), told in `queue/mod.rs`. What differs is who owns the batch: the only
//! reader, so it takes a value without a lock, and a lock once per batch.

use std::{collections::VecDeque, fmt, sync::Arc};

use crate::{
    Deadline, Full, Permit, RecvError, ReserveError, SendError, TryRecvError, TrySendError, Until, planted,
    queue::{Shared, Side, Wait, told},
};

/// The reader's end of a bounded queue with one reader.
///
/// Values of one sender arrive in the order in which it sent them; between senders the order is that in which they got
/// the lock. Dropped, the mailbox is closed, and what it had is dropped on the thread that drops it.
///
/// As a process's mailbox does in OTP it outlives its senders: when the last one is gone the reader goes on waiting, for
/// [`sender`](Self::sender) may make another. What ends a wait is a close, a stop or a deadline.
///
/// Who waits may look for some 20 microseconds before it sleeps, where looking has paid and there is more than one core; so
/// much may a deadline be overrun. Where other threads want this core the look may give it to them, once and for as long as
/// the system lets them have it: some milliseconds, after which looks are rare.
///
/// ```
/// use foundation_sync::{Clock, Full, Mailbox, RecvError, SECOND, thread};
///
/// let clock = Clock::system();
/// let (sender, mut mailbox) = Mailbox::bounded(16, Full::Wait);
/// let until = clock.within(SECOND);
/// let counts = thread::Builder::new("counts").spawn(move || {
///     for number in 1..=100 {
///         sender.send(number, &until).expect("somebody reads");
///     }
///     sender.close();
/// })?;
/// let mut sum = 0;
/// let end = loop {
///     match mailbox.recv(&clock.within(SECOND)) {
///         Ok(number) => sum += number,
///         Err(end) => break end,
///     }
/// };
/// assert_eq!((sum, end), (5050, RecvError::Closed));
/// counts.join().expect("it did not panic");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropped, it refuses what is sent"]
pub struct Mailbox<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    /// What was taken out of the back and not handed out yet.
    batch: VecDeque<T>,
}

/// A senders' end of a [`Mailbox`]. A clone is another one.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T: Send + 'static> Mailbox<T> {
    /// Both ends of a mailbox of at most so many values; a capacity of 0 counts as 1.
    pub fn bounded(capacity: usize, full: Full) -> (Sender<T>, Self) {
        let mailbox = Self { shared: Arc::new(Shared::new(capacity, full)), batch: VecDeque::new() };
        (mailbox.sender(), mailbox)
    }

    /// Another sender.
    #[must_use]
    pub fn sender(&self) -> Sender<T> {
        Sender(Arc::clone(&self.shared))
    }

    /// The next value. A reader that was told to stop gets no more, whatever is there.
    ///
    /// # Errors
    /// [`RecvError`].
    #[track_caller]
    pub fn recv<'a>(&mut self, until: impl Into<Until<'a>>) -> Result<T, RecvError> {
        let until = until.into();
        if !told(&until)
            && let Some(value) = self.next()
        {
            return Ok(value);
        }
        self.recv_next_batch(until)
    }

    fn next(&mut self) -> Option<T> {
        let (value, asleep) = self.shared.next(&mut self.batch)?;
        if asleep {
            self.shared.tell_sender();
        }
        Some(value)
    }

    #[track_caller]
    fn recv_next_batch(&mut self, until: Until<'_>) -> Result<T, RecvError> {
        let shared = &self.shared;
        let mut wait = Wait::new(shared, Side::Reader, until);
        loop {
            // Also after a sleep: who was told to stop gets no more.
            if wait.stopped() {
                return Err(wait.stop());
            }
            let mut back = shared.lock();
            wait.resume(&mut back);
            if let Some(value) = shared.refill(&mut self.batch, &mut back) {
                shared.leave(back);
                return Ok(value);
            }
            if back.closed {
                shared.leave(back);
                return Err(RecvError::Closed);
            }
            wait.on(back)?;
        }
    }

    /// The next value, if one is there.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.recv(Deadline::now()).map_err(TryRecvError::from)
    }

    /// Refuses further values and wakes everyone. What is there can still be received.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether it was closed; it may hold values still.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Takes out all that is there, in order, and wakes senders that wait for room.
    #[must_use = "what was taken out is in here only"]
    pub fn drain(&mut self) -> Vec<T> {
        let mut back = self.shared.lock();
        let all = self.shared.take_all(&mut self.batch, &mut back);
        if planted!("mailbox: a drain calls nobody") {
            return all.into();
        }
        self.shared.leave(back);
        all.into()
    }

    /// How many values are there.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no value is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values made room for younger ones.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped()
    }

    /// How many values it holds at most.
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }
}

impl<T: Send + 'static> Drop for Mailbox<T> {
    fn drop(&mut self) {
        if !planted!("mailbox: the reader goes and does not close") {
            self.shared.close();
        }
        // Closed, so nothing comes after. Dropped here, under no lock.
        drop(self.drain());
    }
}

impl<T: Send + 'static> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe("Mailbox", f)
    }
}

impl<T: Send + 'static> Sender<T> {
    /// Sends a value. A full mailbox that waits makes the caller wait.
    ///
    /// # Errors
    /// [`SendError`], with the value in it; `Closed` also when the reader is gone.
    #[track_caller]
    pub fn send<'a>(&self, value: T, until: impl Into<Until<'a>>) -> Result<(), SendError<T>> {
        self.0.send(value, until.into())
    }

    /// Sends a value if there is room now.
    ///
    /// # Errors
    /// [`TrySendError`], with the value in it.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.0.send(value, Deadline::now().into()).map_err(TrySendError::from)
    }

    /// Keeps a place for one value, so that sending it later can neither wait nor fail for want of room.
    ///
    /// # Errors
    /// [`ReserveError`].
    pub fn reserve(&self) -> Result<Permit<T>, ReserveError> {
        self.0.reserve()
    }

    /// Refuses further values, from all senders, and wakes everyone. What is there can still be received.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether it was closed, by a sender or because the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// How many values are there.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no value is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values made room for younger ones.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// How many values it holds at most.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe("Sender", f)
    }
}
