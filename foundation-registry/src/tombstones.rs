//! How the last ones ended.

use std::collections::{HashMap, VecDeque};

use foundation_context::Incarnation;
use foundation_sync::{MODEL, Mutex, Nanos, planted};

use crate::{Down, Exit};

/// How many ends are remembered, the last ones. In a model they are two.
pub const TOMBSTONES: usize = if MODEL { 2 } else { 1024 };

/// The ends of those who left the table of the living, for as long as there is room: the oldest makes room for the
/// youngest, and is counted.
#[derive(Default)]
pub(crate) struct Tombstones(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    order: VecDeque<Incarnation>,
    ends: HashMap<Incarnation, (Exit, Nanos)>,
    forgotten: u64,
}

impl Tombstones {
    pub(crate) fn set(&self, down: &Down) {
        // What makes room is dropped without the lock.
        let forgotten = self.0.lock().set(down);
        drop(forgotten);
    }

    pub(crate) fn get(&self, incarnation: Incarnation) -> Option<Down> {
        let ring = self.0.lock();
        ring.ends.get(&incarnation).map(|(exit, at)| Down { incarnation, exit: exit.clone(), at: *at })
    }

    /// How many ends have made room.
    pub(crate) fn forgotten(&self) -> u64 {
        self.0.lock().forgotten
    }
}

impl Ring {
    fn set(&mut self, down: &Down) -> Option<(Exit, Nanos)> {
        let before = self.ends.insert(down.incarnation, (down.exit.clone(), down.at));
        if before.is_some() {
            // It has lived twice, one life after the other, and has its place.
            return before;
        }
        self.order.push_back(down.incarnation);
        if self.order.len() <= TOMBSTONES {
            return None;
        }
        let oldest = match planted!("registry: the youngest end makes room") {
            true => self.order.pop_back(),
            false => self.order.pop_front(),
        };
        self.forgotten += 1;
        oldest.and_then(|oldest| self.ends.remove(&oldest))
    }
}
