//! Why something could not be done with a tree or a child.

use std::{fmt, sync::Arc};

use foundation_registry::Exit;
use foundation_sync::RecvError;

use crate::SpecError;

/// Why a tree was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// It can't be started as it is described.
    BadSpec(SpecError),
    /// A tree of this name runs already.
    AlreadyPresent(Arc<str>),
    /// One of the children could not be started; those before it have been stopped again.
    ChildFailed {
        /// The tree.
        tree: Arc<str>,
        /// How the tree ended.
        exit: Exit,
    },
    /// More than a thousand requests wait already.
    Busy,
    /// Not all children were started by the deadline; those that were are being stopped.
    TimedOut,
    /// The universe is stopping.
    Stopped,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSpec(error) => error.fmt(f),
            Self::AlreadyPresent(name) => {
                write!(f, "a tree `{name}` runs already: stop it first, or choose another name")
            }
            Self::ChildFailed { tree, exit: Exit::Failed(why) } => {
                write!(f, "tree `{tree}` could not be started: {why}")
            }
            Self::ChildFailed { tree, exit } => write!(f, "tree `{tree}` could not be started: {exit}"),
            Self::Busy => f.write_str("too many requests wait for the universe's trees"),
            Self::TimedOut => f.write_str("not all children were ready by the deadline"),
            Self::Stopped => f.write_str("the universe is stopping"),
        }
    }
}

impl std::error::Error for StartError {}

/// Why the end of a tree was not waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopError {
    /// It still runs at the deadline.
    TimedOut,
    /// The caller was told to stop while it waited.
    Stopped,
    /// The calling thread is a worker of this tree, or of one below it, and would wait for its own end. Nothing was done.
    Inside {
        /// The thread: its worker's path, and `#` with the generation.
        caller: Arc<str>,
    },
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the tree has not ended by the deadline"),
            Self::Stopped => f.write_str("told to stop while waiting for the tree's end"),
            Self::Inside { caller } => {
                write!(f, "`{caller}` would wait for its own end: call `tell_to_stop`, then return from the body")
            }
        }
    }
}

impl std::error::Error for StopError {}

impl From<RecvError> for StopError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Stopped => Self::Stopped,
            RecvError::TimedOut | RecvError::Closed => Self::TimedOut,
        }
    }
}

/// Why something could not be done with a child.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// No child has this name.
    NotFound(Arc<str>),
    /// A child of this name is there, running or not.
    AlreadyPresent(Arc<str>),
    /// It can't be started as it is described.
    BadSpec(SpecError),
    /// The dynamic supervisor has as many children as it may have.
    TooMany,
    /// More than a thousand requests wait already.
    Busy,
    /// It runs: terminate it first.
    AlreadyRunning(Arc<str>),
    /// A restart failed and is being tried again, or waits for its backoff to end.
    Restarting(Arc<str>),
    /// It does not wait for a backoff to end.
    NotBackingOff(Arc<str>),
    /// It could not be started.
    StartFailed {
        /// The child.
        name: Arc<str>,
        /// How it ended.
        exit: Exit,
    },
    /// The supervisor ended before it could.
    Over,
    /// Not done by the deadline. It goes on.
    TimedOut,
    /// The caller was told to stop while it waited. It goes on.
    Stopped,
    /// The calling thread is this child, or a worker below it, and would wait for its own end. Nothing was done.
    Inside {
        /// The thread: its worker's path, and `#` with the generation.
        caller: Arc<str>,
    },
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name) => write!(f, "no child is named `{name}`"),
            Self::AlreadyPresent(name) => write!(f, "a child `{name}` is there already"),
            Self::AlreadyRunning(name) => write!(f, "`{name}` runs: terminate it first"),
            Self::Restarting(name) => {
                write!(f, "`{name}` is being restarted: terminate it to stop that, or skip its backoff")
            }
            Self::NotBackingOff(name) => write!(f, "`{name}` does not wait for a backoff to end"),
            Self::StartFailed { name, exit } => write!(f, "`{name}` could not be started: {exit}"),
            Self::BadSpec(error) => error.fmt(f),
            Self::TooMany => {
                f.write_str("the supervisor has as many children as it may have: wait until one has ended")
            }
            Self::Busy => f.write_str("too many requests wait for the supervisor"),
            Self::Over => f.write_str("the supervisor has ended"),
            Self::TimedOut => f.write_str("not done by the deadline"),
            Self::Stopped => f.write_str("told to stop while waiting for the supervisor"),
            Self::Inside { caller } => {
                write!(f, "`{caller}` would wait for its own end: return from the body, or have another thread ask")
            }
        }
    }
}

impl std::error::Error for ChildError {}
