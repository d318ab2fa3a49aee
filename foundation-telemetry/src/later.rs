//! What is due later: the timekeeper says when, whoever runs the universe's errands does it.
//!
//! # Protocol
//! One serial, whose only news is an errand that is due. Its turn sends the errand on; one that is refused, because the
//! courier has no room, is due again [`AGAIN`] later. After the timekeeper's end what was to come is dropped: an errand
//! that must not be lost in silence counts itself when it is dropped.

use std::any::Any;

use foundation_sync::{Agenda, Errand, Errands, Nanos, Serial, Timekeeper, TimerId, Turn};

/// How long a refused errand waits.
const AGAIN: Nanos = 100_000_000;

/// The timers of one universe's telemetry. Where there is no timekeeper nothing is ever due by itself.
pub(crate) struct Later(Option<(Timekeeper, Serial<Hands>)>);

pub(crate) struct Hands {
    errands: Errands,
    timekeeper: Timekeeper,
}

impl Turn for Hands {
    type Event = Errand;

    fn turn(&mut self, me: &Serial<Self>, errand: Errand, _: &mut Agenda) {
        if let Err(errand) = self.errands.send(errand) {
            self.timekeeper.set(self.timekeeper.clock().now().saturating_add(AGAIN), me, errand);
        }
    }

    /// Nothing to bring into order: the errand was sent, or is lost with the panic, and counts itself.
    fn broken(&mut self, _: &Serial<Self>, _: Box<dyn Any + Send>, _: &mut Agenda) {}
}

impl Later {
    pub(crate) fn new(timekeeper: Option<Timekeeper>, errands: &Errands) -> Self {
        Self(timekeeper.map(|timekeeper| {
            let hands = Hands { errands: errands.clone(), timekeeper: timekeeper.clone() };
            let serial = Serial::new(hands, &timekeeper);
            (timekeeper, serial)
        }))
    }

    /// Whether anything is ever due by itself.
    pub(crate) fn comes(&self) -> bool {
        self.0.is_some()
    }

    /// Has the errand run at that time, or soon after; `None` where nobody says that it is due, and it is dropped.
    pub(crate) fn at(&self, at: Nanos, errand: Errand) -> Option<TimerId> {
        let (timekeeper, serial) = self.0.as_ref()?;
        Some(timekeeper.set(at, serial, errand))
    }

    /// Takes it back. `false`: it is on its way, or was run.
    pub(crate) fn cancel(&self, timer: TimerId) -> bool {
        self.0.as_ref().is_some_and(|(timekeeper, _)| timekeeper.cancel(timer))
    }
}
