//! What the handles of a queue or of a mailbox share. The protocol is told in `queue/mod.rs`.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use super::{Full, SendError, Wait, left::Left, told, wait::Side};
use crate::{
    Clock, Condvar, Deadline, MODEL, Mutex, MutexGuard, Until, Wake,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    planted, reached,
    spin::Luck,
};

/// Who lingers by one clock and ends by another looks so often whether either is over.
const AGAIN: Duration = Duration::from_millis(1);

/// See the module.
pub(crate) struct Shared<T> {
    pub(crate) capacity: usize,
    pub(super) full: Full,
    pub(super) arrived: Condvar,
    /// For readers who linger: the queue is half full.
    pub(super) filled: Condvar,
    pub(super) room: Condvar,
    pub(super) front: Line<Front<T>>,
    pub(super) back: Line<Mutex<Back<T>>>,
    hints: Line<Hints>,
}

/// Something on cache lines of its own: readers and senders work on different ones.
#[repr(align(64))]
pub(super) struct Line<T>(pub(super) T);

/// The readers' end.
pub(super) struct Front<T> {
    /// A queue's batch. A mailbox's reader has its own and leaves this one empty.
    pub(super) batch: Mutex<Batch<T>>,
    left: Left,
}

pub(super) struct Batch<T> {
    pub(super) items: VecDeque<T>,
    /// How many values may be given back: at most `capacity`, for of what is out it is not known which is done with.
    pub(super) out: usize,
}

/// What those look at who do not sleep yet. One that is late costs a look: what counts is looked up under the lock.
struct Hints {
    /// One more each time a value has come for which a reader looks. Written when the lock is free again, for who sees it
    /// takes it; and not at all where nobody looks, nor by the reader, who would wait for this line once more.
    values: AtomicUsize,
    /// Whether there is room. Written under the lock of the back by who changes it, and never read by the writer.
    room: AtomicBool,
}

/// The senders' end, and who sleeps.
pub(crate) struct Back<T> {
    pub(crate) items: VecDeque<T>,
    pub(super) reserved: usize,
    /// How many are left in the batch, at most: as last seen.
    left: usize,
    /// How many there were at most.
    most: usize,
    pub(super) readers: Waiters,
    pub(super) senders: Waiters,
    pub(super) lingering: usize,
    pub(super) dropped: u64,
    pub(crate) closed: bool,
    /// Whether the machine has more than one core, once somebody wanted to know.
    pub(super) cores: Option<bool>,
    /// A reader looks, or has looked, for a value.
    looked_for: bool,
    /// What the hint says.
    room: bool,
}

pub(super) struct Waiters {
    pub(super) asleep: usize,
    /// One of those that sleep, or have slept, was called and has not looked yet.
    pub(super) called: bool,
    pub(super) luck: Luck,
}

impl<T> Back<T> {
    fn taken(&self) -> usize {
        self.items.len() + self.reserved + self.left
    }

    /// There is something for a reader that looks: whether it is to be hinted at.
    fn is_found(&mut self) -> bool {
        self.looked_for && (!self.items.is_empty() || self.closed) && std::mem::take(&mut self.looked_for)
    }

    pub(super) fn waiters(&mut self, side: Side) -> &mut Waiters {
        match side {
            Side::Reader => &mut self.readers,
            Side::Sender => &mut self.senders,
        }
    }
}

impl<T> Shared<T> {
    pub(crate) fn new(capacity: usize, full: Full) -> Self {
        let waiters = || Waiters { asleep: 0, called: false, luck: Luck::new() };
        let batch = Mutex::new(Batch { items: VecDeque::new(), out: 0 });
        let back = Mutex::new(Back {
            items: VecDeque::new(),
            reserved: 0,
            left: 0,
            most: 0,
            readers: waiters(),
            senders: waiters(),
            lingering: 0,
            dropped: 0,
            closed: false,
            cores: None,
            looked_for: false,
            room: true,
        });
        Self {
            capacity: capacity.max(1),
            full,
            arrived: Condvar::new(),
            filled: Condvar::new(),
            room: Condvar::new(),
            front: Line(Front { batch, left: Left::new() }),
            back: Line(back),
            hints: Line(Hints { values: AtomicUsize::new(0), room: AtomicBool::new(true) }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Back<T>> {
        self.back.0.lock()
    }

    pub(super) fn batch(&self) -> MutexGuard<'_, Batch<T>> {
        self.front.0.batch.lock()
    }

    /// Unlocks, and calls whoever can go on: at most one of each side, and none while one is on its way.
    #[inline]
    pub(crate) fn leave(&self, mut back: MutexGuard<'_, Back<T>>) {
        self.hint(&mut back);
        let found = back.is_found();
        if back.readers.asleep > 0 || back.senders.asleep > 0 || back.lingering > 0 {
            self.leave_and_call(back);
        } else {
            drop(back);
        }
        if found {
            self.hint_value();
        }
    }

    fn hint_value(&self) {
        self.hints.0.values.fetch_add(1, Ordering::Relaxed); // ordering: a hint, see `looks_good`
    }

    #[cold]
    fn leave_and_call(&self, mut back: MutexGuard<'_, Back<T>>) {
        let reader = self.calls_reader(&mut back);
        let sender = self.calls_sender(&mut back);
        let filled = back.lingering > 0 && self.half_full(&mut back);
        if sender && back.senders.asleep > 1 {
            reached!("two senders waited for room");
        }
        drop(back);
        if reader {
            reached!("a reader slept");
            self.arrived.notify_one();
        }
        if sender {
            reached!("a sender waited for room");
            match self.full {
                // Half of the places are free: not for one sender alone.
                Full::WaitForHalf if !planted!("queue: half free calls one sender") => self.room.notify_all(),
                _ => self.room.notify_one(),
            }
        }
        if filled {
            self.filled.notify_all();
        }
    }

    fn calls_reader(&self, back: &mut Back<T>) -> bool {
        if back.readers.asleep == 0 || (back.items.is_empty() && self.left().count() == 0) {
            return false;
        }
        if back.readers.called {
            reached!("one is on its way");
            return false;
        }
        if planted!("queue: a send calls nobody") {
            return false;
        }
        back.readers.called = true;
        true
    }

    /// Whether a sender that sleeps is to be called. If not, the batch knows that one sleeps.
    pub(super) fn calls_sender(&self, back: &mut Back<T>) -> bool {
        if back.senders.asleep == 0 || back.senders.called {
            return false;
        }
        if !self.worth_a_call(back) {
            if back.left == 0 {
                return false;
            }
            if !planted!("mailbox: a sender sleeps and does not tell the batch") {
                back.left = self.left().sleep();
            }
            if !self.worth_a_call(back) {
                return false;
            }
            reached!("room while going to sleep");
        }
        back.senders.called = true;
        true
    }

    fn worth_a_call(&self, back: &mut Back<T>) -> bool {
        back.taken() < self.capacity && (self.full != Full::WaitForHalf || !self.half_full(back))
    }

    pub(super) fn has_room(&self, back: &mut Back<T>) -> bool {
        if back.taken() >= self.capacity && back.left > 0 {
            back.left = self.left().count();
        }
        back.taken() < self.capacity
    }

    pub(super) fn half_full(&self, back: &mut Back<T>) -> bool {
        if back.left > 0 {
            back.left = self.left().count();
        }
        back.items.len() + back.left >= self.capacity.div_ceil(2)
    }

    fn left(&self) -> &Left {
        &self.front.0.left
    }

    fn hint(&self, back: &mut Back<T>) {
        if MODEL {
            return;
        }
        let room = back.taken() < self.capacity || back.closed;
        if room != back.room {
            back.room = room;
            self.hints.0.room.store(room, Ordering::Relaxed); // ordering: a hint, see `looks_good`
        }
    }

    /// This side is about to look. What it has seen under the lock; for [`looks_good`](Self::looks_good).
    pub(super) fn looks(&self, side: Side, back: &mut Back<T>) -> usize {
        match side {
            Side::Reader => {
                back.looked_for = true;
                self.hints.0.values.load(Ordering::Relaxed) // ordering: a hint, see `looks_good`
            }
            Side::Sender => back.left,
        }
    }

    /// Whether it is worth while to look again under the lock. Takes none.
    pub(super) fn looks_good(&self, side: Side, seen: usize) -> bool {
        // ordering: Relaxed, both, with what `hint_value` and `hint` write: who sees it takes the lock before it does
        // anything.
        match side {
            Side::Reader => self.hints.0.values.load(Ordering::Relaxed) != seen || self.left().count() > 0,
            Side::Sender => self.hints.0.room.load(Ordering::Relaxed) || self.left().count() != seen,
        }
    }

    /// Takes a value out of the batch, and whether a sender sleeps that has to hear of it.
    #[inline]
    pub(crate) fn next(&self, batch: &mut VecDeque<T>) -> Option<(T, bool)> {
        let value = batch.pop_front()?;
        Some((value, self.left().take(1)))
    }

    /// Takes so many values at most out of the batch, and whether a sender sleeps that has to hear of it.
    pub(super) fn next_few(&self, batch: &mut VecDeque<T>, most: usize, into: &mut VecDeque<T>) -> bool {
        let count = most.min(batch.len());
        into.extend(batch.drain(..count));
        count > 0 && self.left().take(count)
    }

    /// Calls a sender that sleeps, for there is room.
    #[cold]
    pub(crate) fn tell_sender(&self) {
        reached!("a sender sleeps behind a batch");
        let mut back = self.lock();
        back.left = self.left().wake();
        self.leave(back);
    }

    /// The oldest value of the back. The others come along into the batch, which is empty, unless they must stay where
    /// the oldest of all can be dropped.
    pub(crate) fn refill(&self, batch: &mut VecDeque<T>, back: &mut Back<T>) -> Option<T> {
        if self.full == Full::DropOldest || back.items.len() == 1 {
            return back.items.pop_front();
        }
        debug_assert!(batch.is_empty(), "what is in the batch is older");
        std::mem::swap(batch, &mut back.items);
        let first = batch.pop_front()?;
        self.batched(back, batch.len());
        Some(first)
    }

    /// So many are in the batch now. For who owns the batch.
    pub(crate) fn batched(&self, back: &mut Back<T>, count: usize) {
        back.left = count;
        self.left().set(count);
    }

    /// All that is undelivered, in order. For who owns the batch.
    pub(crate) fn take_all(&self, batch: &mut VecDeque<T>, back: &mut Back<T>) -> VecDeque<T> {
        let all = if batch.is_empty() {
            std::mem::take(&mut back.items)
        } else {
            let mut all = std::mem::take(batch);
            all.append(&mut back.items);
            all
        };
        self.batched(back, 0);
        all
    }

    /// So many were taken out, and may come back.
    pub(super) fn received(&self, batch: &mut Batch<T>, count: usize) {
        batch.out = batch.out.saturating_add(count).min(self.capacity);
    }

    /// Takes a value in, for which there is room.
    #[inline]
    pub(super) fn put(&self, value: T, back: &mut Back<T>) {
        back.items.push_back(value);
        if back.items.len() + back.left > back.most {
            self.note_most(back);
        }
    }

    /// What was last seen in the batch may be gone, so it is looked up; but not in models, where that would be one more
    /// step of every send, and nobody asks.
    #[cold]
    fn note_most(&self, back: &mut Back<T>) {
        if MODEL {
            return;
        }
        if back.left > 0 {
            back.left = self.left().count();
        }
        back.most = back.most.max(back.items.len() + back.left);
    }

    pub(super) fn put_first(&self, value: T, batch: &mut VecDeque<T>, back: &mut Back<T>) {
        if self.full == Full::DropOldest {
            back.items.push_front(value);
        } else {
            batch.push_front(value);
            self.batched(back, batch.len());
        }
        self.note_most(back);
    }

    /// Waits until the queue is half full or closed, or until it is `enough`, or until the end of the call.
    #[track_caller]
    pub(super) fn linger(&self, mut back: MutexGuard<'_, Back<T>>, enough: &Deadline, until: &Until<'_>) {
        let over = || enough.passed() || until.deadline.passed() || told(until);
        while !over() && !back.closed && !self.half_full(&mut back) {
            // What is there is in this reader's care: none is called for it.
            back.lingering += 1;
            back = match enough.first(&until.deadline) {
                Some(first) => self.filled.wait(back, first),
                // A wait goes by one clock.
                None => self.filled.wait(back, &Clock::system().within(AGAIN)),
            };
            back.lingering -= 1;
        }
        self.leave(back);
    }

    pub(crate) fn len(&self) -> usize {
        let back = self.lock();
        back.items.len() + self.left().count()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub(crate) fn high_water(&self) -> usize {
        self.lock().most
    }

    pub(crate) fn close(&self) {
        let found = {
            let mut back = self.lock();
            back.closed = true;
            self.hint(&mut back);
            back.is_found()
        };
        if found {
            self.hint_value();
        }
        if planted!("queue: close tells nobody") {
            return;
        }
        self.wake_all();
    }

    pub(crate) fn reopen(&self) {
        let mut back = self.lock();
        back.closed = false;
        self.leave(back);
    }

    fn wake_all(&self) {
        self.arrived.notify_all();
        self.filled.notify_all();
        self.room.notify_all();
    }

    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, closed) = {
            let back = self.lock();
            (back.items.len() + self.left().count(), back.closed)
        };
        write!(f, "{name}({len} of {}{})", self.capacity, if closed { ", closed" } else { "" })
    }
}

impl<T: Send + 'static> Shared<T> {
    #[inline]
    #[track_caller]
    pub(crate) fn send(self: &Arc<Self>, value: T, until: Until<'_>) -> Result<(), SendError<T>> {
        let mut back = self.lock();
        if !back.closed && self.has_room(&mut back) {
            self.put(value, &mut back);
            self.leave(back);
            return Ok(());
        }
        drop(back);
        self.send_slowly(value, until)
    }

    pub(super) fn send_all(self: &Arc<Self>, values: Vec<T>) -> Vec<T> {
        let mut values = values.into_iter();
        let mut back = self.lock();
        while values.len() > 0 && !back.closed && self.has_room(&mut back) {
            let value = values.next().expect("there are some left");
            self.put(value, &mut back);
        }
        self.leave(back);
        values.filter_map(|value| Some(self.send(value, Deadline::now().into()).err()?.into_inner())).collect()
    }

    #[cold]
    #[track_caller]
    fn send_slowly(self: &Arc<Self>, value: T, until: Until<'_>) -> Result<(), SendError<T>> {
        let mut wait = Wait::new(self, Side::Sender, until);
        loop {
            let mut back = self.lock();
            wait.resume(&mut back);
            if back.closed {
                self.leave(back);
                return Err(SendError::Closed(value));
            }
            if self.has_room(&mut back) {
                self.put(value, &mut back);
                self.leave(back);
                return Ok(());
            }
            match self.full {
                Full::Wait | Full::WaitForHalf => {}
                Full::Refuse => return Err(SendError::Full(value)),
                Full::DropOldest => match back.items.pop_front() {
                    // All places are reserved: there is no oldest.
                    None => return Err(SendError::Full(value)),
                    Some(oldest) => {
                        back.dropped += u64::from(!planted!("queue: what makes room is not counted"));
                        back.items.push_back(value);
                        self.leave(back);
                        drop(oldest);
                        return Ok(());
                    }
                },
            }
            match wait.on(back) {
                Ok(()) => {}
                Err(super::RecvError::Stopped) => return Err(SendError::Stopped(value)),
                Err(_) => return Err(SendError::TimedOut(value)),
            }
        }
    }
}

impl<T: Send> Wake for Shared<T> {
    fn wake(&self) {
        // The lock: race "stop before sleep".
        if !planted!("queue: stop notifies without the lock") {
            drop(self.lock());
        }
        if planted!("queue: a stop calls one of those that sleep") {
            self.arrived.notify_one();
            return;
        }
        self.wake_all();
    }
}
