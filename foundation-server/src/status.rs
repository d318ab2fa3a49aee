//! How a server is.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::Incarnation;
use foundation_registry::Exit;
use foundation_sync::atomic::Ordering;

use crate::{
    desk::{Desk, Phase, View},
    server::Server,
};

/// How a server is, as far as it can be seen from outside: nobody is asked, and nothing waited for. As text it is a line.
///
/// Where nothing is under way, what was sent to it is the sum
/// `handled - again + buried - redelivered + refused + returned + waiting`; a dead letter that was
/// [added](crate::DeadLetters::add) counts as sent, and so do the timers and the
/// [continuations](crate::Turn::continue_with) of the server itself that were begun, or buried at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its name in its spec.
    pub server: Arc<str>,
    /// What it is doing.
    pub doing: Doing,
    /// How many messages wait.
    pub waiting: usize,
    /// The most that waited in its mailbox at a time, or those that [wait](Self::waiting), if they are more: what a life
    /// has received and not come to waits beside the mailbox. So it is never less than `waiting`.
    pub most_waiting: usize,
    /// How many may wait.
    pub capacity: usize,
    /// How many messages were begun, by all its lives.
    pub handled: u64,
    /// How many the mailbox refused: it was full, or nobody was to come.
    pub refused: u64,
    /// How many came back to their callers before they were begun.
    pub returned: u64,
    /// How many were begun and not done, for their life ended.
    pub broken: u64,
    /// How many of those came back, to be done again or to become dead letters. The others are lost.
    pub again: u64,
    /// How many messages were done too late: a call whose caller waited no more, or whose life had been given up when it
    /// was done, and a [`cast_again`](crate::ServerRef::cast_again) of such a life, which the next one does again.
    pub late: u64,
    /// How many became dead letters, each time; those [added](crate::DeadLetters::add) by hand, too.
    pub buried: u64,
    /// How many dead letters the mailbox has accepted after all.
    pub redelivered: u64,
}

/// What a server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// It was not started yet, or its tree was not.
    NotStarted,
    /// This life has nothing in hand.
    Idle(Incarnation),
    /// This life has a message in hand.
    Busy {
        /// Which life.
        incarnation: Incarnation,
        /// The message's type.
        message: &'static str,
        /// For how long.
        since: Duration,
    },
    /// It is between two lives.
    Vacant {
        /// Which life was the last.
        incarnation: Incarnation,
        /// How that has ended.
        exit: Exit,
    },
    /// It has ended, and none is to come.
    Ended {
        /// Which life was the last.
        incarnation: Incarnation,
        /// How that has ended.
        exit: Exit,
    },
}

impl<S: Server> Desk<S> {
    pub(crate) fn status(&self) -> Status {
        let mailbox = self.office().map(|office| &office.mailbox);
        let read = |counter: &foundation_sync::atomic::AtomicU64| counter.load(Ordering::Relaxed); // ordering: a count
        let (counts, view) = (&self.counts, self.view());
        let waiting = mailbox.map_or(0, |mailbox| mailbox.len()) + view.received;
        Status {
            server: Arc::clone(&self.name),
            waiting,
            most_waiting: mailbox.map_or(0, |mailbox| mailbox.high_water()).max(waiting),
            capacity: mailbox.map_or(0, |mailbox| mailbox.capacity()),
            handled: view.handled,
            doing: view.doing(),
            refused: read(&counts.refused),
            returned: read(&counts.returned),
            broken: read(&counts.broken),
            again: read(&counts.again),
            late: read(&counts.late),
            buried: read(&counts.buried),
            redelivered: read(&counts.redelivered),
        }
    }
}

impl View {
    fn doing(self) -> Doing {
        match self.phase {
            Phase::New => Doing::NotStarted,
            Phase::Served(seat) => match self.busy {
                None => Doing::Idle(seat.incarnation),
                Some((message, since)) => Doing::Busy {
                    incarnation: seat.incarnation,
                    message,
                    since: Duration::from_nanos(seat.system.clock().now().saturating_sub(since)),
                },
            },
            Phase::Vacant(down) => Doing::Vacant { incarnation: down.incarnation, exit: down.exit },
            Phase::Closed(down) => Doing::Ended { incarnation: down.incarnation, exit: down.exit },
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.server, self.doing)?;
        match self.waiting {
            0 => Ok(()),
            waiting => write!(f, ", {waiting} waiting"),
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("was not started"),
            Self::Idle(incarnation) => write!(f, "({incarnation}) is idle"),
            Self::Busy { incarnation, message, since } => {
                write!(f, "({incarnation}) has been busy for {since:?} with a {message}")
            }
            Self::Vacant { incarnation, exit } => write!(f, "is being restarted; {incarnation} ended, {exit}"),
            Self::Ended { incarnation, exit } => write!(f, "has ended; {incarnation} was the last, {exit}"),
        }
    }
}
