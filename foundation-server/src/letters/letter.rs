//! A dead letter, as an operator sees it.

use std::{fmt, sync::Arc};

use foundation_context::Fields;
use foundation_registry::Exit;
use foundation_supervisor::Backoff;
use foundation_sync::Nanos;

/// Why a message was not done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Its server had ended so, and none was to come, or it was not to wait for the next.
    NotRunning {
        /// How the last life ended, if there was one.
        exit: Option<Exit>,
    },
    /// It has cost as many lives of its server as it may.
    Quarantined {
        /// How many.
        lives: u32,
        /// How the last of them ended.
        exit: Exit,
    },
    /// The mailbox was full, for as long as its sender was willing to wait.
    Full {
        /// How many it holds.
        capacity: usize,
    },
    /// Its sender, a server, would have waited for itself to make room.
    Ring {
        /// From the server that it was for to the one that its sender is; each waits for the next.
        servers: Vec<Arc<str>>,
    },
    /// Something else, as whoever gave it up says.
    Undeliverable {
        /// What.
        what: Arc<str>,
    },
}

/// How letters are tried again by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Retry {
    /// How long each attempt waits; each but the first for a millisecond at least.
    pub backoff: Backoff,
    /// How many attempts there are at most, over all deaths of the message: those that were asked for by hand count, too.
    pub most: u32,
}

impl Retry {
    /// So many attempts at most, each after its wait.
    pub fn new(backoff: Backoff, most: u32) -> Self {
        Self { backoff, most }
    }
}

/// A letter in the box, as it was when it was looked at. As text it is a line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number in its universe, from 1, never reused.
    pub number: u64,
    /// To which server, by its name.
    pub recipient: Arc<str>,
    /// The message's type.
    pub message: &'static str,
    /// Why it is here; after an attempt, why that has failed.
    pub reason: Reason,
    /// How often it was tried again.
    pub attempts: u32,
    /// When it became a dead letter, by the universe's clock; one that was delivered and came back, for the first time.
    pub first_failure: Nanos,
    /// When it was last tried in vain, or came back.
    pub last_failure: Nanos,
    /// When it is tried again by itself; `None`: never.
    pub next_attempt: Option<Nanos>,
    /// The fields of the context in which it was sent.
    pub context: Fields,
}

/// How many letters there are, and what became of those that were: `added` is the sum of `delivered`, `taken`, `purged`,
/// `overflowed` and `waiting`. What came since there is a sink is the sum of what it has got, `for_sink`, `unsunk` and
/// `sink_panics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LetterCounts {
    /// How many came.
    pub added: u64,
    /// How many a mailbox has accepted after all.
    pub delivered: u64,
    /// How many were [taken](crate::DeadLetters::take).
    pub taken: u64,
    /// How many were purged.
    pub purged: u64,
    /// How many made room for younger ones.
    pub overflowed: u64,
    /// How many are there.
    pub waiting: u64,
    /// How many attempts have failed.
    pub failed_attempts: u64,
    /// How many letters wait for the sink, or are with it.
    pub for_sink: u64,
    /// How many letters the sink has missed: it was too slow, or the universe had ended.
    pub unsunk: u64,
    /// In how many letters the sink has panicked.
    pub sink_panics: u64,
}

/// What became of letters that were sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retried {
    /// The numbers of those that a mailbox has accepted.
    pub delivered: Vec<u64>,
    /// Those that stay, and why.
    pub failed: Vec<(u64, Reason)>,
}

/// Why a letter's message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TakeError {
    /// There is no such letter, or not any more.
    NoSuchLetter(u64),
    /// Its message is of this type.
    OtherType(&'static str),
    /// It is just being sent, or taken.
    Out(u64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { exit: None } => f.write_str("its server was not running"),
            Self::NotRunning { exit: Some(exit) } => {
                write!(f, "its server was not running: the last life ended, {exit}")
            }
            Self::Quarantined { lives, exit } => write!(f, "it has cost {lives} lives; the last ended, {exit}"),
            Self::Full { capacity } => write!(f, "the mailbox was full: {capacity} messages waited"),
            Self::Ring { servers } => {
                f.write_str("its sender would wait for itself: ")?;
                servers.iter().try_for_each(|server| write!(f, "`{server}` -> "))?;
                f.write_str("the sender")
            }
            Self::Undeliverable { what } => f.write_str(what),
        }
    }
}

impl Reason {
    /// In one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => "not_running",
            Self::Quarantined { .. } => "quarantined",
            Self::Full { .. } => "full",
            Self::Ring { .. } => "ring",
            Self::Undeliverable { .. } => "undeliverable",
        }
    }
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, recipient, message, reason, attempts, .. } = self;
        write!(f, "dead letter {number}, a {message} to `{recipient}`: {reason}")?;
        match attempts {
            0 => Ok(()),
            1 => f.write_str("; tried again once"),
            times => write!(f, "; tried again {times} times"),
        }
    }
}

impl fmt::Display for TakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchLetter(number) => write!(f, "there is no dead letter {number}"),
            Self::OtherType(is) => write!(f, "the letter's message is a {is}"),
            Self::Out(number) => write!(f, "dead letter {number} is being sent or taken"),
        }
    }
}

impl std::error::Error for TakeError {}
