//! Why a message was not taken, or not answered. What comes back with the error was not begun.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::Incarnation;
use foundation_registry::Exit;

use crate::Status;

/// Why a message was not taken; it comes back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CastError<M> {
    /// The mailbox is full.
    Full {
        /// Whose.
        server: Arc<str>,
        /// How many it holds.
        capacity: usize,
        /// What was to be sent.
        message: M,
    },
    /// Nobody serves: it was not started, or has ended so, and no life is to come, or messages are not to
    /// [wait for it](crate::Pending::DeadLetter).
    NotRunning {
        /// Who.
        server: Arc<str>,
        /// How its last life ended, if it has lived.
        exit: Option<Exit>,
        /// What was to be sent.
        message: M,
    },
}

/// Why a call has no answer.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError<M> {
    /// The mailbox is full, and refuses.
    Full {
        /// Whose.
        server: Arc<str>,
        /// How many it holds.
        capacity: usize,
        /// What was to be asked.
        message: M,
    },
    /// Nobody serves: it was not started, or has ended so, and no life is to come, or messages are not to
    /// [wait for it](crate::Pending::DeadLetter).
    NotRunning {
        /// Who.
        server: Arc<str>,
        /// How its last life ended, if it has lived.
        exit: Option<Exit>,
        /// What was to be asked.
        message: M,
    },
    /// The life that was to answer has ended so.
    Exited {
        /// Who.
        server: Arc<str>,
        /// Which life.
        incarnation: Incarnation,
        /// How.
        exit: Exit,
        /// What was asked, if it had not been begun: nobody will do it.
        message: Option<M>,
    },
    /// There was no answer until the deadline.
    TimedOut {
        /// How long the caller waited.
        waited: Duration,
        /// What the server was at.
        server: Box<Status>,
        /// What was asked, if it had not been begun: it is taken back, and nobody will do it.
        message: Option<M>,
    },
    /// The caller was told to stop.
    Stopped {
        /// What was asked, if it had not been begun: it is taken back, and nobody will do it.
        message: Option<M>,
    },
    /// The call would wait for itself: these servers wait for each other, from the one that the caller asked to the caller.
    Ring {
        /// Who waits for whom, in this order.
        servers: Vec<Arc<str>>,
        /// What was asked, if it had not been begun: it is taken back.
        message: Option<M>,
    },
}

impl<M> CastError<M> {
    /// The message.
    pub fn into_message(self) -> M {
        match self {
            Self::Full { message, .. } | Self::NotRunning { message, .. } => message,
        }
    }
}

impl<M> CallError<M> {
    /// The message, if it was not begun: nobody will do it.
    pub fn into_message(self) -> Option<M> {
        match self {
            Self::Full { message, .. } | Self::NotRunning { message, .. } => Some(message),
            Self::Exited { message, .. }
            | Self::TimedOut { message, .. }
            | Self::Stopped { message }
            | Self::Ring { message, .. } => message,
        }
    }

    /// Whether the server had begun the message: it may have been done, in part or in full.
    pub fn begun(&self) -> bool {
        match self {
            Self::Full { .. } | Self::NotRunning { .. } => false,
            Self::Exited { message, .. }
            | Self::TimedOut { message, .. }
            | Self::Stopped { message }
            | Self::Ring { message, .. } => message.is_none(),
        }
    }
}

impl<M> From<CastError<M>> for CallError<M> {
    fn from(error: CastError<M>) -> Self {
        match error {
            CastError::Full { server, capacity, message } => Self::Full { server, capacity, message },
            CastError::NotRunning { server, exit, message } => Self::NotRunning { server, exit, message },
        }
    }
}

fn full(f: &mut fmt::Formatter<'_>, server: &str, capacity: usize) -> fmt::Result {
    write!(f, "the mailbox of `{server}` is full: {capacity} messages wait")
}

fn not_running(f: &mut fmt::Formatter<'_>, server: &str, exit: Option<&Exit>) -> fmt::Result {
    match exit {
        Some(exit) => write!(f, "`{server}` is not running: its last life ended, {exit}"),
        None => write!(f, "`{server}` is not running: it was not started"),
    }
}

/// Whether it is worth while to ask again.
struct Begun(bool);

impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "the message had been begun" } else { "the message was not begun" })
    }
}

impl<M> fmt::Display for CastError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { server, capacity, .. } => full(f, server, *capacity),
            Self::NotRunning { server, exit, .. } => not_running(f, server, exit.as_ref()),
        }
    }
}

impl<M> fmt::Display for CallError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = Begun(self.begun());
        match self {
            Self::Full { server, capacity, .. } => full(f, server, *capacity),
            Self::NotRunning { server, exit, .. } => not_running(f, server, exit.as_ref()),
            Self::Exited { server, incarnation, exit, .. } => {
                write!(f, "`{server}` ({incarnation}) ended before it answered: {exit}; {begun}")
            }
            Self::TimedOut { server, waited, .. } => write!(f, "no answer within {waited:?}; {server}; {begun}"),
            Self::Stopped { .. } => write!(f, "told to stop while waiting for an answer; {begun}"),
            Self::Ring { servers, .. } => {
                f.write_str("the call would wait for itself: ")?;
                for server in servers {
                    write!(f, "`{server}` -> ")?;
                }
                write!(f, "the caller; {begun}")
            }
        }
    }
}

impl<M> fmt::Debug for CastError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CastError({self})")
    }
}

impl<M> fmt::Debug for CallError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallError({self})")
    }
}

impl<M> std::error::Error for CastError<M> {}
impl<M> std::error::Error for CallError<M> {}
