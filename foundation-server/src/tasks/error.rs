//! Why a task has no result.

use std::{fmt, sync::Arc, time::Duration};

use foundation_registry::Exit;
use foundation_supervisor::ChildError;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// It ended so: it panicked, was abandoned, or was told to stop before it had begun.
    Exited(Exit),
    /// It still runs.
    TimedOut {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The caller was told to stop.
    Stopped,
    /// The result was taken before.
    Taken,
    /// The task waits for the caller: these wait for each other, from the task to the caller.
    Ring(Vec<Arc<str>>),
    /// It was not started. (Of a map's items.)
    NotStarted(ChildError),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(exit) => write!(f, "the task ended without a result: {exit}"),
            Self::TimedOut { waited } => write!(f, "the task has no result after {waited:?}, and goes on"),
            Self::Stopped => f.write_str("told to stop while waiting for a task"),
            Self::Taken => f.write_str("the task's result was taken before"),
            Self::Ring(names) => {
                f.write_str("the wait would be for oneself: ")?;
                names.iter().try_for_each(|name| write!(f, "`{name}` -> "))?;
                f.write_str("the caller")
            }
            Self::NotStarted(error) => write!(f, "the task was not started: {error}"),
        }
    }
}

impl std::error::Error for TaskError {}
