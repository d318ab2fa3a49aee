//! Who delivers a batch: the protocol is told in `mod.rs`.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_context::inside;
use foundation_sync::{Deadline, Errand, Nanos, atomic::Ordering, payload, planted, reached, thread};

use super::{AddError, Batching, FlushBatchError, Hands, Inner, State, WhenFull};

/// How many batches an errand delivers before it makes way for others.
const SHARE: usize = 16;

/// How long it takes until what the courier had no room for is tried again.
const AGAIN: Nanos = 100_000_000;

impl<T> State<T> {
    /// Up to which one all that were added are settled: delivered, failed or dropped.
    fn settled(&self) -> u64 {
        if self.in_hand > 0 && !planted!("batch: what is taken counts as delivered") { self.hand } else { self.first() }
    }

    /// The number of the first that waits.
    fn first(&self) -> u64 {
        self.figures.added - self.waiting.len() as u64
    }

    fn is_due(&self, batching: &Batching, now: Nanos) -> bool {
        let Some((since, _)) = self.waiting.front() else { return false };
        let old = batching.age.is_some_and(|age| since.saturating_add(age) <= now);
        self.closed || old || self.waiting.len() >= batching.size || self.first() < self.flush_to
    }
}

/// What one look at the state says.
enum Step<T> {
    Batch(Vec<T>),
    /// Somebody else has to go on.
    MakeWay,
    Done {
        /// All is over.
        gone: Option<Hands<T>>,
        wakes_at: Option<Nanos>,
    },
}

impl<T: Send + 'static> Inner<T> {
    pub(super) fn add(self: &Arc<Self>, item: T) -> Result<(), AddError<T>> {
        let (sends, wakes_at, oldest) = {
            let mut state = self.state.lock();
            let mut oldest = None;
            if state.closed {
                state.figures.refused += 1;
                return Err(AddError::Closed(item));
            }
            if state.waiting.len() >= self.batching.capacity {
                match self.batching.when_full {
                    WhenFull::Refuse => {
                        state.figures.refused += 1;
                        return Err(AddError::Full(item));
                    }
                    WhenFull::DropOldest => oldest = state.waiting.pop_front(),
                }
                self.count_dropped(&mut state, 1);
            }
            let now = self.now();
            state.waiting.push_back((now, item));
            state.figures.added += 1;
            // Who delivers looks again before it ends: race "last look".
            let rests = state.hands.is_some();
            let due = rests && state.is_due(&self.batching, now);
            let sends = due && !mem::replace(&mut state.errand, true);
            let wakes_at = if rests && !due { self.alarm(&mut state) } else { None };
            (sends, wakes_at, oldest)
        };
        self.go_on(sends, wakes_at);
        // Its drop is a user's, and may panic: the errand is out by now.
        drop(oldest);
        Ok(())
    }

    pub(super) fn flush(self: &Arc<Self>, until: &Deadline) -> Result<(), FlushBatchError> {
        let target = {
            let mut state = self.state.lock();
            if state.by == Some(thread::id()) {
                return Err(FlushBatchError::Inside);
            }
            state.flush_to = state.figures.added;
            state.flush_to
        };
        loop {
            self.deliver(Some(target));
            let mut state = self.state.lock();
            if state.settled() >= target {
                return Ok(());
            }
            if state.hands.is_some() {
                continue;
            }
            reached!("batch: a flush waits for who delivers");
            if until.passed() {
                return Err(FlushBatchError::TimedOut(state.waiting.len() + state.in_hand));
            }
            state = self.settled.wait(state, until);
            drop(state);
        }
    }

    /// Delivers what is due, if nobody does: until so many are settled, or an errand's share.
    fn deliver(self: &Arc<Self>, target: Option<u64>) {
        let mut hands = {
            let mut state = self.state.lock();
            let Some(hands) = state.hands.take() else { return };
            state.by = Some(thread::id());
            hands
        };
        let here = self.telemetry.0.errands.runs_here();
        let mut left = SHARE;
        loop {
            let enough = |state: &State<T>| match target {
                Some(target) => state.settled() >= target,
                None => left == 0 && !here,
            };
            let (step, rest) = self.step(hands, enough);
            match (step, rest) {
                (Step::Batch(items), Some(back)) => {
                    hands = back;
                    let count = items.len();
                    let number = self.telemetry.number();
                    let outcome = inside::run(number, || catch_unwind(AssertUnwindSafe(|| hands(items))));
                    self.settle(count, outcome.is_err());
                    outcome.unwrap_or_else(payload::forget);
                    left = left.saturating_sub(1);
                }
                (Step::MakeWay, _) => return self.go_on(true, None),
                (Step::Done { gone, wakes_at }, _) => {
                    // The closure is a user's, and its drop may panic.
                    catch_unwind(AssertUnwindSafe(|| drop(gone))).unwrap_or_else(payload::forget);
                    return self.go_on(false, wakes_at);
                }
                (Step::Batch(_), None) => return,
            }
        }
    }

    /// Takes the next batch, or puts the hands back.
    fn step(&self, hands: Hands<T>, enough: impl Fn(&State<T>) -> bool) -> (Step<T>, Option<Hands<T>>) {
        let mut state = self.state.lock();
        let due = state.is_due(&self.batching, self.now());
        if due && !enough(&state) {
            let count = state.waiting.len().min(self.batching.size);
            let items = state.waiting.drain(..count).map(|(_, item)| item).collect();
            (state.in_hand, state.hand) = (count, state.first() - count as u64);
            return (Step::Batch(items), Some(hands));
        }
        if planted!("batch: the last look is not the end") {
            drop(state);
            state = self.state.lock();
        }
        state.by = None;
        // Who waits for its flush may have to deliver itself.
        self.settled.notify_all();
        if state.closed && state.waiting.is_empty() {
            return (Step::Done { gone: Some(hands), wakes_at: None }, None);
        }
        state.hands = Some(hands);
        if due {
            let out = mem::replace(&mut state.errand, true);
            return (if out { Step::Done { gone: None, wakes_at: None } } else { Step::MakeWay }, None);
        }
        let wakes_at = self.alarm(&mut state);
        (Step::Done { gone: None, wakes_at }, None)
    }

    fn settle(&self, count: usize, panicked: bool) {
        let mut state = self.state.lock();
        state.in_hand = 0;
        state.figures.batches += 1;
        if panicked {
            state.figures.failed += count as u64;
            state.figures.panics += 1;
        } else {
            state.figures.delivered += count as u64;
        }
        drop(state);
        self.settled.notify_all();
        self.telemetry.0.activity.bump();
    }

    /// When the oldest is old, if that is to be told and nobody will.
    fn alarm(&self, state: &mut State<T>) -> Option<Nanos> {
        let (since, _) = state.waiting.front()?;
        let at = since.saturating_add(self.batching.age?);
        let comes = self.telemetry.0.later.comes() && !mem::replace(&mut state.timer, true);
        comes.then_some(at)
    }

    fn go_on(self: &Arc<Self>, sends: bool, wakes_at: Option<Nanos>) {
        let inner = &self.telemetry.0;
        if let Some(at) = wakes_at {
            inner.later.at(at, Turn::by_timer(self));
        }
        if sends && let Err(refused) = inner.errands.send(Turn::by_errand(self)) {
            drop(refused);
            let again = inner.later.comes() && !mem::replace(&mut self.state.lock().timer, true);
            if again {
                inner.later.at(inner.clock.now().saturating_add(AGAIN), Turn::by_timer(self));
            }
        }
    }

    /// What time it is, where that matters.
    fn now(&self) -> Nanos {
        self.batching.age.map_or(0, |_| self.telemetry.0.clock.now())
    }

    fn count_dropped(&self, state: &mut State<T>, count: usize) {
        state.figures.dropped += count as u64;
        self.telemetry.0.batches.dropped.fetch_add(count as u64, Ordering::Relaxed); // ordering: a count
    }

    /// Nobody will deliver what waits.
    fn lose(&self) {
        let lost = {
            let mut state = self.state.lock();
            if !state.over || state.errand || state.timer || state.hands.is_none() {
                return;
            }
            let lost = mem::take(&mut state.waiting);
            self.count_dropped(&mut state, lost.len());
            lost
        };
        self.settled.notify_all();
        drop(lost);
    }
}

/// The right, and the duty, to deliver what is due.
pub(super) struct Turn<T: Send + 'static> {
    inner: Arc<Inner<T>>,
    timer: bool,
    ran: bool,
}

impl<T: Send + 'static> Turn<T> {
    pub(super) fn by_errand(inner: &Arc<Inner<T>>) -> Errand {
        Self::errand(inner, false)
    }

    fn by_timer(inner: &Arc<Inner<T>>) -> Errand {
        Self::errand(inner, true)
    }

    fn errand(inner: &Arc<Inner<T>>, timer: bool) -> Errand {
        let mut turn = Self { inner: Arc::clone(inner), timer, ran: false };
        Box::new(move || {
            turn.ran = true;
            turn.is_out_no_more();
            turn.inner.deliver(None);
        })
    }

    fn is_out_no_more(&self) {
        let mut state = self.inner.state.lock();
        if self.timer {
            state.timer = false;
        } else {
            state.errand = false;
        }
    }
}

impl<T: Send + 'static> Drop for Turn<T> {
    fn drop(&mut self) {
        if !self.ran {
            self.is_out_no_more();
            self.inner.lose();
        }
    }
}
