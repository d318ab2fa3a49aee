//! Events, caught.

use std::{fmt, sync::Arc};

use foundation_sync::{Full, Queue};
use foundation_telemetry::{Event, EventName, Telemetry};

/// How many events a capture keeps; the oldest make room.
const KEPT: usize = 10_000;

/// Catches the events of some names, from whatever thread, until it is dropped.
#[must_use = "dropped, it catches nothing"]
pub struct Capture {
    id: Arc<str>,
    telemetry: Telemetry,
    events: Queue<Event>,
    /// Its address is in the id, so it is kept as long as the id is used.
    _own: Arc<()>,
}

impl Capture {
    #[track_caller]
    pub(crate) fn new(telemetry: &Telemetry, names: &[EventName]) -> Self {
        let events = Queue::bounded(KEPT, Full::DropOldest);
        let caught = events.clone();
        // A number that no other capture of the process has, for people beside the place.
        let own = Arc::new(());
        let id: Arc<str> = format!("capture {:p} at {}", Arc::as_ptr(&own), std::panic::Location::caller()).into();
        telemetry
            .attach(&id, names, move |event| {
                // It drops the oldest: there is room.
                _ = caught.try_send(event.clone());
            })
            .expect("the id is this capture's own");
        Self { id, telemetry: telemetry.clone(), events, _own: own }
    }

    /// Takes out what was caught so far, in the order in which it was emitted.
    pub fn take(&self) -> Vec<Event> {
        self.events.drain()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // A test may have detached everything.
        _ = self.telemetry.detach(&self.id);
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capture({:?})", self.events)
    }
}
