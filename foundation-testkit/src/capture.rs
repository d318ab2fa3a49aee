//! Events, caught.

use std::{collections::VecDeque, fmt, sync::Arc};

use foundation_context::Fields;
use foundation_sync::Mutex;
use foundation_telemetry::{Event, EventName, Selectors, Telemetry};

/// How many events a capture keeps; the oldest make room, and are counted.
const KEPT: usize = 10_000;

/// Catches the events of some names, from whatever thread, until it is dropped.
#[must_use = "dropped, it catches nothing"]
pub struct Capture {
    id: Arc<str>,
    telemetry: Telemetry,
    /// Its address is in the id.
    caught: Arc<Mutex<Caught>>,
}

#[derive(Default)]
struct Caught {
    events: VecDeque<Event>,
    dropped: u64,
}

impl Capture {
    #[track_caller]
    pub(crate) fn new(telemetry: &Telemetry, names: impl Into<Selectors>) -> Self {
        let caught = Arc::new(Mutex::new(Caught::default()));
        let place = std::panic::Location::caller();
        // The address: a number that no other capture of the process has, for people beside the place.
        let id: Arc<str> = format!("capture {:p} at {place}", Arc::as_ptr(&caught)).into();
        let catches = Arc::clone(&caught);
        telemetry
            .attach(&id, names, move |event| {
                let event = event.clone();
                let oldest = {
                    let mut caught = catches.lock();
                    let full = caught.events.len() == KEPT;
                    caught.dropped += u64::from(full);
                    let oldest = if full { caught.events.pop_front() } else { None };
                    caught.events.push_back(event);
                    oldest
                };
                drop(oldest);
            })
            .expect("the id is this capture's own");
        Self { id, telemetry: telemetry.clone(), caught }
    }

    /// What was caught so far, in the order in which it was emitted. It stays.
    pub fn events(&self) -> Vec<Event> {
        self.caught.lock().events.iter().cloned().collect()
    }

    /// Takes out what was caught so far, in the order in which it was emitted.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.caught.lock().events).into()
    }

    /// How many events of those caught are such.
    pub fn count(&self, such: impl Fn(&Event) -> bool) -> usize {
        self.events().iter().filter(|event| such(event)).count()
    }

    /// How many events found no room: it keeps the last 10,000.
    pub fn dropped(&self) -> u64 {
        self.caught.lock().dropped
    }

    /// Events of these names, in this order, whatever was caught in between.
    pub(crate) fn in_order(&self, names: &[EventName]) -> Option<Vec<Event>> {
        let mut events = self.events().into_iter();
        names.iter().map(|name| events.find(|event| event.name == *name)).collect()
    }
}

/// Whether the event has these fields among its measurements and metadata.
pub(crate) fn has(event: &Event, expected: &Fields) -> bool {
    expected
        .iter()
        .all(|(name, value)| event.measurements.get(name).or_else(|| event.metadata.get(name)) == Some(value))
}

impl Drop for Capture {
    fn drop(&mut self) {
        // A test may have detached everything.
        _ = self.telemetry.detach(&self.id);
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capture({} events)", self.caught.lock().events.len())
    }
}
