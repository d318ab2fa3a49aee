//! What an event is.

use std::fmt;

use foundation_context::{Context, Fields};

/// The name of an event: its words, from the general to the special. [`event_name!`](crate::event_name) makes one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName(&'static [&'static str]);

impl EventName {
    /// The name of these words.
    pub const fn new(words: &'static [&'static str]) -> Self {
        Self(words)
    }

    /// Its words.
    pub const fn words(&self) -> &'static [&'static str] {
        self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(", "))
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of an event, as a constant.
#[macro_export]
macro_rules! event_name {
    ($($word:literal),+ $(,)?) => { $crate::EventName::new(&[$($word),+]) };
}

/// A handler panicked and was detached. Measurements: none. Metadata: `event_name`, `handler_id`, `reason`.
pub const HANDLER_FAILURE: EventName = event_name!("telemetry", "handler", "failure");

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub name: EventName,
    /// Numbers about it. Durations are whole nanoseconds, named `duration`.
    pub measurements: Fields,
    /// Everything else about it.
    pub metadata: Fields,
    /// The context of whoever emitted it; empty where that one's universe works in legacy mode, in which a context is
    /// not logged.
    pub context: Context,
}
