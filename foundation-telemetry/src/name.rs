//! What events are called.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use crate::EventSpec;

/// The name of an event: its words, from the general to the special. [`event_name!`](crate::event_name) makes one, and
/// [`events!`](crate::events) one that is declared. Two are equal if their words are, declared or not.
#[derive(Clone, Copy)]
pub struct EventName {
    words: &'static [&'static str],
    spec: Option<&'static EventSpec>,
}

impl EventName {
    /// The name of these words.
    pub const fn new(words: &'static [&'static str]) -> Self {
        Self { words, spec: None }
    }

    /// The name of an event that is declared: what [`events!`](crate::events) makes.
    pub const fn declared(words: &'static [&'static str], spec: &'static EventSpec) -> Self {
        Self { words, spec: Some(spec) }
    }

    /// Its words.
    pub const fn words(&self) -> &'static [&'static str] {
        self.words
    }

    /// What it was declared to say; `None` of one that was not.
    pub const fn spec(&self) -> Option<&'static EventSpec> {
        self.spec
    }
}

impl PartialEq for EventName {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for EventName {}

impl PartialOrd for EventName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EventName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.words.cmp(other.words)
    }
}

impl Hash for EventName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.hash(state);
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.words.join(", "))
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
