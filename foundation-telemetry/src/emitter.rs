//! Who calls the handlers.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::Fields;

use crate::{Event, EventName, Telemetry, handlers::Slot};

/// Emits events of one name.
#[derive(Clone)]
pub struct Emitter {
    /// As whoever made it wrote it: the slot may have been made for the same words, not declared.
    pub(crate) name: EventName,
    pub(crate) slot: Arc<Slot>,
    pub(crate) telemetry: Telemetry,
}

impl Emitter {
    /// Emits an event. `build` makes (measurements, metadata), and is called only if somebody listens.
    #[inline]
    pub fn emit(&self, build: impl FnOnce() -> (Fields, Fields)) {
        if self.slot.heard() {
            self.telemetry.emit_heard(&self.slot, self.name, build);
        }
    }

    /// Emits an event unless one of this name was emitted under this key within the window: of all such emissions
    /// exactly one passes, however many threads race. Returns whether this one did.
    ///
    /// The window begins with the emission that passes, and goes by the universe's clock; a window of zero suppresses
    /// nothing. How many were suppressed is counted ([`Telemetry::suppressed`]), and reported when the window is closed, if
    /// there were any ([`DEDUP_CLOSED`](crate::DEDUP_CLOSED)): by the universe's courier, soon after its end, or by an
    /// emission that needs its place before. Where there is no timekeeper the next emission of this kind after its end does
    /// it, of whatever name and key, or [`report_windows`](Telemetry::report_windows).
    ///
    /// At most 4,096 windows are open, 16 in each of 256 buckets ([`MOST_WINDOWS`](crate::MOST_WINDOWS)). A key whose
    /// bucket is full, which may be long before 4,096 are open, passes each time and is counted
    /// ([`Telemetry::untracked`]): there more than one passes. Keys are told apart by a hash of 64 bits that nobody can
    /// foresee. When nobody listens nothing passes, and no window begins. If `build` panics its window stays.
    ///
    /// In legacy mode a window is its thread's alone, until the mode is switched: then it counts for everybody, also if
    /// the mode is switched back.
    pub fn emit_once_per(&self, window: Duration, key: &str, build: impl FnOnce() -> (Fields, Fields)) -> bool {
        let passes = self.slot.heard() && self.telemetry.passes(self.slot.name, key, window);
        if passes {
            self.telemetry.deliver(&self.slot, &Event::new(self.name, build()));
        }
        passes
    }

    /// Whether somebody listens.
    #[inline]
    pub fn heard(&self) -> bool {
        self.slot.heard()
    }

    /// The name of its events.
    pub fn name(&self) -> EventName {
        self.name
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Emitter({})", self.name)
    }
}

impl Telemetry {
    pub(crate) fn emit_to(&self, slot: &Arc<Slot>, build: impl FnOnce() -> (Fields, Fields)) {
        if slot.heard() {
            self.emit_heard(slot, slot.name, build);
        }
    }

    /// Emits an event to which somebody listens: all of them, unless the name has a sampler.
    // A call, so that an emitter that is not heard sets up no frame for what would be built.
    #[inline(never)]
    fn emit_heard(&self, slot: &Arc<Slot>, name: EventName, build: impl FnOnce() -> (Fields, Fields)) {
        if slot.tap.is_on() {
            return self.emit_sampled(slot, name, build);
        }
        self.deliver(slot, &Event::new(name, build()));
    }

    pub(crate) fn deliver(&self, slot: &Slot, event: &Event) {
        for handler in slot.list.peek().iter() {
            match &handler.backlog {
                Some(backlog) => backlog.take(self, handler, event),
                None => self.call(handler, event),
            }
        }
        self.0.activity.bump();
    }
}
