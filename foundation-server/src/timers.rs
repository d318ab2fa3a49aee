//! What a server has sent itself for later.

use std::{cmp::Reverse, collections::BinaryHeap, collections::HashMap};

use foundation_sync::Nanos;

use crate::{envelope::Parcel, server::Server};

/// How many timers one life of a server may have.
pub const MOST_TIMERS: usize = 4096;

/// Which timer of a server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey(u64);

/// The timers of one life. The order is that in which they are due, and among equals that in which they were set.
pub(crate) struct Timers<S: Server> {
    due: BinaryHeap<Reverse<(Nanos, u64)>>,
    /// What is cancelled is gone from here, and stays in `due` until then.
    set: HashMap<u64, Timer<S>>,
    last: u64,
}

enum Timer<S: Server> {
    Once(Parcel<S>),
    Every(Nanos, Box<dyn Fn() -> Parcel<S>>),
}

impl<S: Server> Default for Timers<S> {
    fn default() -> Self {
        Self { due: BinaryHeap::new(), set: HashMap::new(), last: 0 }
    }
}

impl<S: Server> Timers<S> {
    pub(crate) fn is_full(&self) -> bool {
        self.set.len() >= MOST_TIMERS
    }

    pub(crate) fn once(&mut self, at: Nanos, parcel: Parcel<S>) -> TimerKey {
        self.insert(at, Timer::Once(parcel))
    }

    pub(crate) fn every(&mut self, at: Nanos, period: Nanos, make: Box<dyn Fn() -> Parcel<S>>) -> TimerKey {
        self.insert(at, Timer::Every(period, make))
    }

    fn insert(&mut self, at: Nanos, timer: Timer<S>) -> TimerKey {
        self.last += 1;
        self.set.insert(self.last, timer);
        self.due.push(Reverse((at, self.last)));
        TimerKey(self.last)
    }

    pub(crate) fn cancel(&mut self, TimerKey(key): TimerKey) -> bool {
        let was = self.set.remove(&key).is_some();
        // Those that are cancelled are swept out when they are most of what is kept.
        if self.due.len() > 64 && self.due.len() > 2 * self.set.len() {
            let set = &self.set;
            self.due.retain(|Reverse((_, key))| set.contains_key(key));
        }
        was
    }

    /// When the next one is due.
    pub(crate) fn next(&mut self) -> Option<Nanos> {
        while let Some(Reverse((at, key))) = self.due.peek().copied() {
            if self.set.contains_key(&key) {
                return Some(at);
            }
            self.due.pop();
        }
        None
    }

    /// What is due.
    pub(crate) fn take_due(&mut self, now: Nanos) -> Option<Parcel<S>> {
        let at = self.next().filter(|at| *at <= now)?;
        let Reverse((_, key)) = self.due.pop()?;
        match self.set.remove(&key)? {
            Timer::Once(parcel) => Some(parcel),
            Timer::Every(period, make) => {
                let parcel = make();
                // What could not be kept up with is left out.
                let missed = (now - at) / period;
                let again = at.saturating_add(period.saturating_mul(missed + 1));
                self.set.insert(key, Timer::Every(period, make));
                self.due.push(Reverse((again, key)));
                Some(parcel)
            }
        }
    }
}
