//! What a supervisor is told and asked, and what it answers.

use std::{fmt, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::Exit;
use foundation_sync::{Full, Queue, RecvError, TryRecvError, Until};

use crate::{
    ChildSpec, SpecError,
    core::{Answer, Event},
    snapshot::record::Records,
};

/// What a supervisor is told.
pub(crate) enum News {
    Core(Event<Ticket>),
    Child(Key, Request, Ticket),
    StartChild(Box<ChildSpec>, Ticket),
    Children(Ticket),
    /// From itself: take up what a turn had to leave.
    GoOn,
    /// Panics: a defect of ours.
    #[cfg(test)]
    Break,
    /// The same, when it is to tell its end.
    #[cfg(test)]
    BreakAtItsEnd,
}

/// Which child is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Name(Arc<str>),
    /// One of its lives, whichever.
    Life(Incarnation),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Life(life) => life.fmt(f),
        }
    }
}

/// What is to be done with a child.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Terminate,
    Restart,
    Delete,
    SkipBackoff,
}

/// What a caller is answered.
pub(crate) enum Reply {
    Core(Answer),
    StartFailed(Exit),
    AlreadyPresent,
    TooMany,
    BadSpec(SpecError),
    Children(Box<Records>),
}

/// The right to answer one caller. Dropped unused, it answers that the supervisor is over.
pub(crate) struct Ticket(Queue<Reply>);

impl Ticket {
    pub(crate) fn new() -> (Self, Waiter) {
        let answer = Queue::bounded(1, Full::Refuse);
        (Self(answer.clone()), Waiter(answer))
    }

    pub(super) fn reply(self, reply: Reply) {
        // One ticket, one answer: there is room, unless the caller has gone.
        _ = self.0.try_send(reply);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Where a caller waits for its answer.
pub(crate) struct Waiter(Queue<Reply>);

impl Waiter {
    /// Whether there is no answer yet.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Empty))
    }

    #[track_caller]
    pub(crate) fn wait<'a>(&self, until: impl Into<Until<'a>>) -> Result<Reply, RecvError> {
        match self.0.recv(until) {
            Err(RecvError::Closed) => Ok(Reply::Core(Answer::Over)),
            other => other,
        }
    }
}
