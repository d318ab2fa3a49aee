//! How the last ones ended.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use foundation_context::Incarnation;
use foundation_sync::{MODEL, Mutex, Nanos, planted};

use crate::{Down, Exit, Panic};

/// How many ends are remembered, the last ones. In a model they are two.
///
/// Of an exit's texts, what is remembered is cut to the first 512 bytes, with an ellipsis behind them, and a panic's
/// backtrace is not: so what is remembered is bounded in bytes, too. An owner remembers its own end as it was.
pub const TOMBSTONES: usize = if MODEL { 2 } else { 1024 };

/// So much of a text is remembered.
const TEXT: usize = 512;

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
        let exit = brief(&down.exit);
        // What makes room is dropped without the lock.
        let forgotten = self.0.lock().set(down.incarnation, (exit, down.at));
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
    fn set(&mut self, incarnation: Incarnation, end: (Exit, Nanos)) -> Option<(Exit, Nanos)> {
        let before = self.ends.insert(incarnation, end);
        if before.is_some() {
            // It has lived twice, one life after the other, and has its place.
            return before;
        }
        self.order.push_back(incarnation);
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

/// The exit as it is remembered.
fn brief(exit: &Exit) -> Exit {
    match exit {
        Exit::ShutdownWith(word) => Exit::ShutdownWith(cut(word)),
        Exit::Failed(error) => Exit::Failed(cut(error)),
        Exit::Panicked(Panic { message, location, backtrace: _ }) => {
            Exit::Panicked(Panic { message: cut(message), location: location.as_ref().map(cut), backtrace: None })
        }
        Exit::Normal | Exit::Shutdown(_) | Exit::Abandoned { .. } | Exit::NoSuchIncarnation => exit.clone(),
    }
}

fn cut(text: &Arc<str>) -> Arc<str> {
    match text.len() > TEXT {
        true => format!("{}…", &text[..text.floor_char_boundary(TEXT)]).into(),
        false => Arc::clone(text),
    }
}
