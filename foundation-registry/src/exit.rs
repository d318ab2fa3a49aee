//! How a life ended.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::Incarnation;
use foundation_sync::Nanos;

/// How an incarnation ended: a value that is written once.
///
/// It holds text, never a user's value: its last holder may be anybody. After Erlang's exit reasons
/// (`normal`, `shutdown`, `{shutdown, Term}`, `{Reason, Stack}`, `killed`, `noproc`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// It returned, and nobody had told it to stop.
    Normal,
    /// It returned after it was told to stop, for this cause.
    Shutdown(Cause),
    /// It returned because it wanted to end, and left this word: as clean as `Shutdown` (OTP's `{shutdown, Term}`).
    ShutdownWith(Arc<str>),
    /// It returned an error, which reads so.
    Failed(Arc<str>),
    /// It panicked.
    Panicked(Panic),
    /// It was told to stop, or found hung, and had not ended after this long. It is fenced and left behind.
    Abandoned {
        /// From the word to stop to the end of patience.
        waited: Duration,
    },
    /// Nothing is known of it: it never was, or ended too long ago.
    NoSuchIncarnation,
}

impl Exit {
    /// Whether it ended as it should: by itself or because it was told to. OTP counts a supervisor that gave up among these;
    /// one that broke is not.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Shutdown(cause) => *cause != Cause::Broken,
            Self::Normal | Self::ShutdownWith(_) => true,
            _ => false,
        }
    }

    /// What kind of end it was, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown(_) | Self::ShutdownWith(_) => "shutdown",
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::Abandoned { .. } => "abandoned",
            Self::NoSuchIncarnation => "unknown",
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown(cause) => write!(f, "shutdown ({cause})"),
            Self::ShutdownWith(word) => write!(f, "shutdown: {word}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(panic) => panic.fmt(f),
            Self::Abandoned { waited } => write!(f, "abandoned after {waited:?}, still running"),
            Self::NoSuchIncarnation => f.write_str("no such incarnation"),
        }
    }
}

/// What a panic said, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Panic {
    /// Its message; a payload that is no text says so.
    pub message: Arc<str>,
    /// `file:line:column`, where it is known.
    pub location: Option<Arc<str>>,
    /// The backtrace, where the environment asks for one (`RUST_BACKTRACE`).
    pub backtrace: Option<Arc<str>>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

/// Why somebody was told to stop. OTP says `shutdown` to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its supervisor is being stopped, because somebody asked for it.
    Requested,
    /// This signal of the operating system.
    Signal(i32),
    /// Somebody asked for the end of this child alone.
    Terminated,
    /// A sibling's end takes it along, by the strategy.
    Sibling,
    /// It was not ready by its start deadline.
    TooSlow,
    /// A sibling could not be started.
    StartFailed,
    /// More restarts than the intensity allows.
    Intensity,
    /// It passed no checkpoint for as long as it may.
    Hung,
    /// A child was abandoned that had to be gone before others could be started.
    Abandoned,
    /// More lives were abandoned, and still run, than may be left behind.
    TooManyAbandoned,
    /// The universe was stopped because a child was abandoned that nothing can be done without.
    Halted,
    /// A significant child ended, and with it the reason to be.
    AutoShutdown,
    /// The supervisor itself is broken: a defect of the library.
    Broken,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("requested"),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::Terminated => f.write_str("terminated"),
            Self::Sibling => f.write_str("sibling restart"),
            Self::TooSlow => f.write_str("not ready in time"),
            Self::StartFailed => f.write_str("start failed"),
            Self::Intensity => f.write_str("too many restarts"),
            Self::Hung => f.write_str("missed its heartbeat"),
            Self::Abandoned => f.write_str("a child was abandoned"),
            Self::TooManyAbandoned => f.write_str("too many abandoned lives"),
            Self::Halted => f.write_str("halted: a child was abandoned"),
            Self::AutoShutdown => f.write_str("a significant child ended"),
            Self::Broken => f.write_str("the supervisor is broken, please report it"),
        }
    }
}

/// The news of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Down {
    /// Who.
    pub incarnation: Incarnation,
    /// How.
    pub exit: Exit,
    /// When, by the clock of its [`Owners`](crate::Owners); where nothing is known of it, when that was said.
    pub at: Nanos,
}
