//! Bounded queues: [`Queue`] with many readers, and the half of [`Mailbox`](crate::Mailbox) that its senders see.
//!
//! # Protocol
//! Two ends. Senders put values into the *back*; one lock guards it, the reserved places, who sleeps, and whether the
//! queue is closed. Readers take from the *batch* at the front, which a queue keeps under a lock of its own and a
//! mailbox's only reader holds outright. An empty batch is exchanged for all that is in the back, so readers and senders
//! meet once per batch. Who needs both locks takes the batch first. Where the oldest has to make room
//! ([`Full::DropOldest`]) there is no batch: all values stay where the oldest can be found.
//!
//! What is left in the batch counts against the capacity. Readers count it down in one atomic word without the back's
//! lock; a sender that goes to sleep sets a bit in that word, and the reader whose subtraction meets the bit calls it
//! (`left.rs`).
//!
//! Who sleeps is *called*, one of each side at a time: while one is on its way no second is called, so a burst costs one
//! wake-up and not one per value. Who was called looks under the lock and then calls the next, if there is something for
//! it; that is what leaving the lock means here ([`Shared::leave`](shared::Shared::leave)), whatever the reason.
//!
//! Before it sleeps a waiter may look for a bounded while (`spin.rs`) at hints. And it has
//! put the queue's [`Wake`](crate::Wake) into the [`Stop`](crate::Stop) that may end its sleep.
//!
//! Named races:
//! - *stop before sleep*: the word is said after the waiter looked and before it sleeps. `wake` takes the lock before it
//!   notifies, so the waiter is asleep by then, and is woken.
//! - *close before sleep*: the same, with `close`.
//! - *room while going to sleep*: a reader takes from the batch while a sender goes to sleep because of what is in it.
//!   Both change the same word, so one comes first: the reader meets the bit, or the sender sees the room.
//! - *stopped when called*: the reader that was called for a value has been told to stop. It leaves the value, and calls
//!   another as it goes. (The stop wakes everyone besides, for it does not know who waits for which.)

mod error;
mod left;
mod permit;
mod shared;
mod wait;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use crate::{Clock, Deadline, MODEL, Until, planted};

pub use error::{ClosedError, GiveBackError, RecvError, ReserveError, SendError, TryRecvError, TrySendError};
pub use permit::Permit;
use shared::Batch;
pub(crate) use shared::Shared;
pub(crate) use wait::{Side, Wait, told};

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
    /// The oldest value makes room and is counted. Readers take such a queue's values one by one, so it costs more.
    DropOldest,
}

/// A bounded queue: many senders, many readers, each value to one of them. For one reader, [`Mailbox`](crate::Mailbox)
/// is faster.
///
/// A clone is another handle to the same queue. Values of one sender arrive in the order in which it sent them; between
/// senders the order is that in which they got the lock. With several readers that is the order in which values are
/// taken out; what readers then do with them is in no order.
///
/// Who waits may look for some 20 microseconds before it sleeps, where looking has paid and there is more than one core; so
/// much may a deadline be overrun. Where other threads want this core the look may give it to them, once and for as long as
/// the system lets them have it: some milliseconds, after which looks are rare.
pub struct Queue<T>(Arc<Shared<T>>);

impl<T: Send + 'static> Queue<T> {
    /// A queue of at most so many values; a capacity of 0 counts as 1.
    pub fn bounded(capacity: usize, full: Full) -> Self {
        Self(Arc::new(Shared::new(capacity, full)))
    }

    /// Sends a value. A full queue that waits makes the caller wait.
    ///
    /// # Errors
    /// [`SendError`], with the value in it.
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

    /// Sends several values as far as there is room now, one after another with none of others between them, and wakes
    /// readers once for all of them. What finds no room comes back, in order: all of it if the queue was closed. Where the
    /// oldest makes room ([`Full::DropOldest`]), nothing comes back from an open queue, and what finds no room at once
    /// may have others' values between.
    ///
    /// ```
    /// use foundation_sync::{Full, Queue};
    ///
    /// let letters = Queue::bounded(2, Full::Wait);
    /// assert_eq!(letters.try_send_all(vec!['a', 'b', 'c']), ['c']);
    /// assert_eq!(letters.drain(), ['a', 'b']);
    /// ```
    #[must_use = "what found no room is in here only"]
    pub fn try_send_all(&self, values: Vec<T>) -> Vec<T> {
        self.0.send_all(values)
    }

    /// The next value. A reader that was told to stop gets no more, whatever is there.
    ///
    /// # Errors
    /// [`RecvError`].
    #[track_caller]
    pub fn recv<'a>(&self, until: impl Into<Until<'a>>) -> Result<T, RecvError> {
        let until = until.into();
        if !told(&until)
            && let Some(value) = self.next()
        {
            return Ok(value);
        }
        self.recv_next_batch(until, |value, _| value)
    }

    /// The next values, one at least, and `most` at most of those that are there: appended to `into`. For a reader that
    /// takes a lock once for several values, and can [give back](Self::give_back) what it does not come to.
    ///
    /// # Errors
    /// [`RecvError`]; then there are none.
    #[track_caller]
    pub fn recv_some<'a>(
        &self,
        into: &mut VecDeque<T>,
        most: usize,
        until: impl Into<Until<'a>>,
    ) -> Result<(), RecvError> {
        self.recv_next_batch(until.into(), |value, front| {
            let before = into.len();
            into.push_back(value);
            // Whether a sender sleeps is seen to by `leave`.
            _ = self.0.next_few(&mut front.items, most.saturating_sub(1), into);
            self.0.received(front, into.len() - before - 1);
        })
    }

    fn next(&self) -> Option<T> {
        let (value, asleep) = {
            let mut front = self.0.batch();
            let next = self.0.next(&mut front.items)?;
            self.0.received(&mut front, 1);
            next
        };
        if asleep {
            self.0.tell_sender();
        }
        Some(value)
    }

    #[track_caller]
    fn recv_next_batch<R>(&self, until: Until<'_>, take: impl FnOnce(T, &mut Batch<T>) -> R) -> Result<R, RecvError> {
        let shared = &self.0;
        let mut wait = Wait::new(shared, Side::Reader, until);
        loop {
            // Also after a sleep: who was told to stop gets no more.
            if wait.stopped() {
                return Err(wait.stop());
            }
            let mut front = shared.batch();
            let mut back = shared.lock();
            wait.resume(&mut back);
            // Whether a sender sleeps is seen to by `leave`.
            let value = match shared.next(&mut front.items) {
                Some((value, _)) => Some(value),
                None => shared.refill(&mut front.items, &mut back),
            };
            if let Some(value) = value {
                shared.received(&mut front, 1);
                let taken = take(value, &mut front);
                drop(front);
                shared.leave(back);
                return Ok(taken);
            }
            drop(front);
            if back.closed {
                shared.leave(back);
                return Err(RecvError::Closed);
            }
            wait.on(back)?;
        }
    }

    /// Waits for a value, lingers for more until the queue is half full or `linger` is over, and takes all.
    ///
    /// For a reader that is faster than its senders: it saves a wake-up per value, and each value waits at most so long.
    /// The lingering, too, ends with `until`, whatever clock that goes by; where that is another than `clock`, at most a
    /// millisecond late. In a model it does not linger.
    ///
    /// # Errors
    /// [`RecvError`]; what has arrived by then stays in the queue.
    #[track_caller]
    pub fn recv_all<'a>(
        &self,
        clock: &Clock,
        linger: Duration,
        until: impl Into<Until<'a>>,
    ) -> Result<Vec<T>, RecvError> {
        let shared = &self.0;
        let mut wait = Wait::new(shared, Side::Reader, until.into());
        let mut lingered = false;
        loop {
            if wait.stopped() {
                return Err(wait.stop());
            }
            let mut front = shared.batch();
            let mut back = shared.lock();
            wait.resume(&mut back);
            if front.items.is_empty() && back.items.is_empty() {
                drop(front);
                if back.closed {
                    shared.leave(back);
                    return Err(RecvError::Closed);
                }
                lingered = false;
                wait.on(back)?;
            } else if wait.watches() {
                drop(front);
                shared.leave(back);
                wait.watch()?;
            } else if !lingered && !MODEL {
                drop(front);
                shared.linger(back, &clock.within(linger), wait.until());
                lingered = true;
            } else {
                let all = shared.take_all(&mut front.items, &mut back);
                shared.received(&mut front, all.len());
                drop(front);
                shared.leave(back);
                return Ok(all.into());
            }
        }
    }

    /// The next value, if one is there.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv(Deadline::now()).map_err(TryRecvError::from)
    }

    /// Puts a value back at the front that was received or drained, whatever the capacity: for readers that hold what they
    /// took until it is done.
    ///
    /// No more can be given back than was taken out, and no more than `capacity` before more is taken out. So the queue
    /// holds at most twice its capacity, and with readers that hold more than `capacity` among them not all can give back.
    ///
    /// # Errors
    /// [`GiveBackError`], with the value in it.
    pub fn give_back(&self, value: T) -> Result<(), GiveBackError<T>> {
        let mut front = self.0.batch();
        let mut back = self.0.lock();
        if back.closed {
            return Err(GiveBackError::Closed(value));
        }
        if front.out == 0 {
            return Err(GiveBackError::NotReceived(value));
        }
        front.out -= 1;
        self.0.put_first(value, &mut front.items, &mut back);
        drop(front);
        if !planted!("queue: what is given back calls nobody") {
            self.0.leave(back);
        }
        Ok(())
    }

    /// Keeps a place for one value, so that sending it later can neither wait nor fail for want of room.
    ///
    /// # Errors
    /// [`ReserveError`].
    pub fn reserve(&self) -> Result<Permit<T>, ReserveError> {
        self.0.reserve()
    }

    /// The same, waiting for room: as long as a [`send`](Self::send) would.
    ///
    /// # Errors
    /// [`SendError`], with nothing in it; `Full` at once, where the queue does not wait.
    #[track_caller]
    pub fn reserve_until<'a>(&self, until: impl Into<Until<'a>>) -> Result<Permit<T>, SendError<()>> {
        self.0.reserve_until(until.into())
    }

    /// Refuses further values and wakes everyone. What is there can still be received.
    pub fn close(&self) {
        self.0.close();
    }

    /// Takes values again after a [`close`](Self::close).
    pub fn reopen(&self) {
        self.0.reopen();
    }

    /// Whether it was closed; it may hold values still.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Takes out all that is there, in order, and wakes senders that wait for room.
    #[must_use = "what was taken out is in here only"]
    pub fn drain(&self) -> Vec<T> {
        let mut front = self.0.batch();
        let mut back = self.0.lock();
        let all = self.0.take_all(&mut front.items, &mut back);
        self.0.received(&mut front, all.len());
        drop(front);
        self.0.leave(back);
        all.into()
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

    /// How many values were there at most. In a model nobody counts them.
    pub fn high_water(&self) -> usize {
        self.0.high_water()
    }

    /// How many values it holds at most, but for what is given back: as many again.
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
        self.0.describe("Queue", f)
    }
}
