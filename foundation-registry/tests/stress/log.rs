//! What the threads did, and what they were told.

use foundation_context::Incarnation;
use foundation_registry::{Entry, Exit, What};

/// When a call was made and when it returned, by a counter that all threads share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// Whether all of it is between the ends of the other.
    pub(crate) fn is_within(self, other: Self) -> bool {
        other.from < self.from && self.to < other.to
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Key {
    Name(usize),
    Group(usize),
}

/// An entry as it was at one time: each value and each metadata has a number that no other has; 0 is no metadata.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Version {
    pub(crate) value: u64,
    pub(crate) metadata: u64,
}

impl Version {
    pub(crate) fn of(entry: &Entry<u64>) -> Self {
        let metadata = entry.metadata().get("version").and_then(foundation_context::Value::as_u64);
        Self { value: *entry.value(), metadata: metadata.unwrap_or(0) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    Taken(Incarnation),
    Fenced,
    Full,
    Nobody,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Set {
    Group(usize),
    Zone(u64),
    All,
}

#[derive(Debug)]
pub(crate) enum Op {
    Put {
        key: Key,
        owner: Incarnation,
        new: Version,
        zone: Option<u64>,
        answer: Result<(), Refused>,
    },
    /// With what was replaced.
    Update {
        name: usize,
        owner: Incarnation,
        new: Version,
        zone: Option<u64>,
        answer: Result<Version, Refused>,
    },
    /// The registration whose first value this was is dropped.
    Drop {
        number: u64,
    },
    Leave {
        number: u64,
        left: bool,
    },
    Unregister {
        name: usize,
        owner: Incarnation,
        gone: Option<Version>,
    },
    Look {
        name: usize,
        resolved: bool,
        found: Option<Version>,
    },
    List {
        set: Set,
        found: Vec<Version>,
    },
    End {
        owner: Incarnation,
        won: bool,
        exit: Exit,
    },
    Down {
        owner: Incarnation,
        exit: Exit,
    },
    #[cfg_attr(not(feature = "legacy"), expect(dead_code, reason = "there is no switch to turn"))]
    Flip {
        on: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) span: Span,
    pub(crate) op: Op,
}

/// What a listener heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) what: What,
    pub(crate) key: Key,
    pub(crate) version: Version,
}

/// All of a round.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) capacity: usize,
    /// Whether the registry was switched between its two ways to work.
    pub(crate) flipped: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) heard: Vec<Heard>,
}
