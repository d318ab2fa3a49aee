//! The queue of one handler, and the errand that empties it.
//!
//! # Protocol
//! A bit says that an errand is out. Who puts an event in while it is not sets it and sends one; the errand delivers the
//! events in order, and clears the bit under the same lock under which it finds the queue empty. After as many events as
//! the queue holds it makes way: it sends the next errand, and the bit stays. Where an errand is run by whoever brings
//! it, that would run inside of the first; there one errand goes on until the queue is empty, also with what others bring
//! meanwhile.
//!
//! An errand that is dropped unrun, because nobody takes it or its courier has ended, clears the bit, so the next event
//! tries again; what waited by then nobody would deliver, so it is dropped and counted as what finds no room.
//!
//! A backlog counts what it was given and what is settled: delivered, lost, or not wanted any more. So a flush knows when
//! all that was given before it is settled, and waits for nothing that came later.
//!
//! Named races:
//! - *last look*: an event arrives between the errand's last look and its end. Both happen under one lock, so the errand
//!   sees the event, or who brought it sends the next errand.
//! - *event against loss*: an event arrives while the errand is dropped. It is lost and counted with the others, or finds
//!   the bit cleared, and sends the next errand.
//! - *taken out for nobody*: the handler is detached after an event was taken out for it, and before it is called. Nobody
//!   gets the event, and it is counted with those that still wait. (A model can't meet it: references are counted out of its
//!   sight.)
//! - *flip against queue*: the mode is switched while events wait. They are delivered: an errand is out as long as
//!   anything waits, in either mode.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use foundation_context::inside;
use foundation_sync::{Mutex, atomic::Ordering, payload, planted};

use crate::{Event, OVERFLOW, Telemetry, figures::Counts, handlers::Handler};

pub(crate) struct Backlog {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Event>,
    /// Whether an errand is out.
    errand: bool,
    /// The handler was detached.
    closed: bool,
    overflowed: u64,
    stand: Stand,
}

/// How far a backlog has come.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stand {
    /// How many events it was given.
    pub(crate) given: u64,
    /// How many of them are delivered, lost, or not wanted any more.
    pub(crate) settled: u64,
    /// How many of them were lost.
    pub(crate) lost: u64,
}

/// What became of an event that a backlog was to take.
enum Taken {
    /// It waits; `true`: an errand is to be sent.
    Waits(bool),
    NoRoom(Event),
    Closed(Event),
}

impl Backlog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default() }
    }

    /// Takes an event for the handler, whose backlog this is.
    pub(crate) fn take(self: &Arc<Self>, telemetry: &Telemetry, handler: &Arc<Handler>, event: &Event) {
        if !telemetry.0.service.is_new() {
            return telemetry.call(handler, event);
        }
        match self.put(event.clone()) {
            Taken::Waits(true) => {
                let (telemetry, backlog) = (telemetry.clone(), Arc::clone(self));
                let (id, handler) = (Arc::clone(&handler.id), Arc::downgrade(handler));
                Turn { telemetry, backlog, handler, id, holds: true }.send();
            }
            Taken::Waits(false) => {}
            Taken::NoRoom(event) => telemetry.note_overflow(&handler.id, 1, event.name != OVERFLOW),
            Taken::Closed(event) => {
                telemetry.0.counts.undelivered.fetch_add(1, Ordering::Relaxed); // ordering: a count
                drop(event);
            }
        }
    }

    fn put(&self, event: Event) -> Taken {
        let mut state = self.state.lock();
        if state.closed {
            return Taken::Closed(event);
        }
        if state.waiting.len() >= self.capacity {
            state.overflowed += 1;
            return Taken::NoRoom(event);
        }
        state.stand.given += 1;
        state.waiting.push_back(event);
        Taken::Waits(!std::mem::replace(&mut state.errand, true))
    }

    /// The handler was detached: what waits is not delivered any more, and comes back.
    pub(crate) fn close(&self, counts: &Counts) -> VecDeque<Event> {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        state.stand.settled += waiting.len() as u64;
        counts.undelivered.fetch_add(waiting.len() as u64, Ordering::Relaxed); // ordering: a count
        waiting
    }

    /// The handler is attached again.
    pub(crate) fn reopen(&self) {
        self.state.lock().closed = false;
    }

    /// How many events wait, and how many found no room.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.waiting.len(), state.overflowed)
    }

    pub(crate) fn stand(&self) -> Stand {
        self.state.lock().stand
    }

    /// No errand is out any more, and none will come: what waits is lost. It is to be counted, and then settled.
    fn lose(&self) -> usize {
        let lost = {
            let mut state = self.state.lock();
            state.errand = false;
            let lost = std::mem::take(&mut state.waiting);
            state.overflowed += lost.len() as u64;
            state.stand.lost += lost.len() as u64;
            lost
        };
        lost.len()
    }

    /// The next event; if there is none the turn ends: race "last look". Before that, one is `done`.
    fn next(&self, done: bool) -> Option<Event> {
        let mut state = self.state.lock();
        state.stand.settled += u64::from(done);
        let next = state.waiting.pop_front();
        if next.is_some() && planted!("queued: settled before it is delivered") {
            state.stand.settled += 1;
        }
        if next.is_none() && planted!("queued: the last look is not the end") {
            drop(state);
            state = self.state.lock();
        }
        state.errand = next.is_some();
        next
    }

    /// So many are delivered, or lost and counted.
    fn settle(&self, count: usize) {
        self.state.lock().stand.settled += count as u64;
    }
}

/// The right, and the duty, to empty one handler's queue. While nobody runs it, it does not keep the handler.
struct Turn {
    telemetry: Telemetry,
    backlog: Arc<Backlog>,
    handler: Weak<Handler>,
    id: Arc<str>,
    holds: bool,
}

impl Turn {
    fn send(self) {
        let errands = self.telemetry.0.errands.clone();
        if let Err(refused) = errands.send(Box::new(|| self.run())) {
            // What it holds may be the last handle to a user's closures.
            catch_unwind(AssertUnwindSafe(|| drop(refused))).unwrap_or_else(payload::forget);
        }
    }

    fn run(mut self) {
        let telemetry = self.telemetry.clone();
        inside::run(telemetry.number(), || self.deliver());
        telemetry.0.activity.bump();
        if self.holds {
            self.send();
        }
    }

    fn deliver(&mut self) {
        let here = self.telemetry.0.errands.runs_here();
        let (mut left, mut done) = (self.backlog.capacity, false);
        while left > 0 || here {
            let Some(event) = self.backlog.next(done) else {
                self.holds = false;
                return;
            };
            match self.handler.upgrade() {
                Some(handler) => self.telemetry.call(&handler, &event),
                // Race "taken out for nobody".
                None => _ = self.telemetry.0.counts.undelivered.fetch_add(1, Ordering::Relaxed), // ordering: a count
            }
            done = true;
            left = left.saturating_sub(1);
        }
        self.backlog.settle(1);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.holds {
            let lost = self.backlog.lose();
            self.telemetry.note_overflow(&self.id, lost, true);
            self.backlog.settle(lost);
            // Who flushes looks again.
            if !planted!("queued: a loss is not told") {
                self.telemetry.0.activity.bump();
            }
        }
    }
}
