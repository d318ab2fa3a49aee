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
//! Named races:
//! - *last look*: an event arrives between the errand's last look and its end. Both happen under one lock, so the errand
//!   sees the event, or who brought it sends the next errand.
//! - *event against loss*: an event arrives while the errand is dropped. It is lost and counted with the others, or finds
//!   the bit cleared, and sends the next errand.
//! - *flip against queue*: the mode is switched while events wait. They are delivered: an errand is out as long as
//!   anything waits, in either mode.

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

impl State {
    fn overflow(&mut self, telemetry: &Telemetry, count: usize) {
        self.overflowed += count as u64;
        telemetry.0.overflowed.fetch_add(count as u64, Ordering::Relaxed); // ordering: a count
    }
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
            if !state.closed && state.waiting.len() < self.capacity {
                state.waiting.push_back(event);
                (!std::mem::replace(&mut state.errand, true), None)
            } else {
                if !state.closed {
                    state.overflow(telemetry, 1);
                }
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

    /// How many events wait, and how many found no room.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.waiting.len(), state.overflowed)
    }

    /// No errand is out any more, and none will come: what waits is lost.
    fn lose(&self, telemetry: &Telemetry) {
        let lost = {
            let mut state = self.state.lock();
            state.errand = false;
            let lost = std::mem::take(&mut state.waiting);
            state.overflow(telemetry, lost.len());
            lost
        };
        drop(lost);
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
        let here = self.telemetry.0.errands.runs_here();
        let mut left = backlog.capacity;
        while left > 0 || here {
            let Some(event) = backlog.next() else {
                self.holds = false;
                break;
            };
            self.telemetry.call(&handler, &event);
            left = left.saturating_sub(1);
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
            backlog.lose(&self.telemetry);
        }
    }
}
