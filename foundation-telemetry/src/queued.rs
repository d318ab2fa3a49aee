//! The queue of one handler, and the errand that empties it.
//!
//! # Protocol
//! A bit says that an errand is out. Who puts an event in while it is not sets it and sends one; the errand delivers the
//! events in order, and clears the bit under the same lock under which it finds the queue empty. After as many events as
//! the queue holds it makes way: it sends the next errand, and the bit stays; where errands are run by whoever brings them
//! it goes on instead. An errand that nobody takes, or that is dropped unrun because its courier has ended, clears the bit,
//! and the events that wait then are dropped and counted: nobody is left to deliver them.
//!
//! Named races:
//! - *last look*: an event arrives between the errand's last look and its end. Both happen under one lock, so the errand
//!   sees the event, or who brought it sends the next errand.
//! - *flip against queue*: the mode is switched while events wait. Their errand is out, and delivers them.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_sync::{Mutex, atomic::Ordering, planted};

use crate::{Event, Telemetry, handlers::Handler};

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
}

impl Backlog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default() }
    }

    /// Takes an event for the handler, whose backlog this is.
    pub(crate) fn take(&self, telemetry: &Telemetry, handler: &Arc<Handler>, event: &Event) {
        if !telemetry.0.service.is_new() {
            return telemetry.call(handler, event);
        }
        let event = event.clone();
        let (sends, refused) = {
            let mut state = self.state.lock();
            if state.closed {
                (false, Some(event))
            } else if state.waiting.len() < self.capacity {
                state.waiting.push_back(event);
                (!std::mem::replace(&mut state.errand, true), None)
            } else {
                state.overflowed += 1;
                telemetry.0.overflowed.fetch_add(1, Ordering::Relaxed); // ordering: a count
                (false, Some(event))
            }
        };
        drop(refused);
        if sends {
            Turn { telemetry: telemetry.clone(), handler: Arc::clone(handler), holds: true }.send();
        }
    }

    /// The handler was detached: what waits is not delivered any more.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }

    /// Nobody delivers what waits: it is dropped and counted. The next event sends an errand again.
    fn give_up(&self, telemetry: &Telemetry) {
        let waiting = {
            let mut state = self.state.lock();
            state.errand = false;
            let waiting = std::mem::take(&mut state.waiting);
            state.overflowed += waiting.len() as u64;
            waiting
        };
        telemetry.0.overflowed.fetch_add(waiting.len() as u64, Ordering::Relaxed); // ordering: a count
        drop(waiting);
    }

    /// How many events wait, and how many found no room.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.waiting.len(), state.overflowed)
    }

    /// The next event; if there is none the turn ends: race "last look".
    fn next(&self) -> Option<Event> {
        let mut state = self.state.lock();
        let next = state.waiting.pop_front();
        if next.is_none() && planted!("queued: the last look is not the end") {
            drop(state);
            state = self.state.lock();
        }
        state.errand = next.is_some();
        next
    }
}

/// The right, and the duty, to empty one handler's queue.
struct Turn {
    telemetry: Telemetry,
    handler: Arc<Handler>,
    holds: bool,
}

impl Turn {
    fn send(self) {
        let errands = self.telemetry.0.errands.clone();
        if let Err(refused) = errands.send(Box::new(|| self.run())) {
            // What may be the last handle to a user's closure.
            _ = catch_unwind(AssertUnwindSafe(|| drop(refused)));
        }
    }

    fn run(mut self) {
        let handler = Arc::clone(&self.handler);
        let Some(backlog) = &handler.backlog else { return };
        let share = if self.telemetry.0.errands.runs_here() { usize::MAX } else { backlog.capacity };
        for _ in 0..share {
            let Some(event) = backlog.next() else {
                self.holds = false;
                break;
            };
            self.telemetry.call(&handler, &event);
        }
        self.telemetry.0.activity.bump();
        if self.holds {
            self.send();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(backlog) = self.handler.backlog.as_ref().filter(|_| self.holds) {
            backlog.give_up(&self.telemetry);
        }
    }
}
