//! What a letter holds: a message and where it goes.

use std::{any::Any, any::TypeId, sync::Arc};

use foundation_context::{Context, Fields};
use foundation_registry::Down;
use foundation_sync::{Deadline, Nanos, SendError};

use super::{
    letter::{DeadLetter, Reason, Retry},
    shelf::New,
};
use crate::{
    Turn,
    desk::{Desk, NoRoom, count},
    envelope::{Envelope, Opened, Parcel},
    server::Server,
};

/// A message that is to become a letter.
pub(crate) struct Letter<S: Server> {
    pub(crate) load: Addressed<S>,
    pub(crate) reason: Reason,
    pub(crate) fields: Fields,
    /// Of one that was a letter before.
    pub(crate) past: Option<Past>,
    pub(crate) retry: Option<Retry>,
}

/// What is remembered of a letter that was delivered, should it come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) first_failure: Nanos,
    pub(crate) attempts: u32,
    pub(crate) retry: Option<Retry>,
    /// It was quarantined once, and is not tried by itself any more.
    pub(crate) kills: bool,
}

/// A message, and the server that it is for.
pub(crate) struct Addressed<S: Server> {
    pub(crate) desk: Arc<Desk<S>>,
    pub(crate) parcel: Parcel<S>,
}

/// The same, whatever the server.
pub(super) trait Load: Send + Sync {
    /// Sends it, once, without waiting. It comes back if that has failed, with the reason.
    fn send(self: Box<Self>, past: Past) -> Result<(), (Box<dyn Load>, Reason)>;

    /// Whether its server will never live again.
    fn is_hopeless(&self) -> bool;

    fn message_type(&self) -> TypeId;

    /// The message. Runs a user's `clone`.
    fn unpack(&self) -> Option<Box<dyn Any + Send>>;
}

impl dyn Load {
    pub(super) fn carries<M: 'static>(&self) -> bool {
        self.message_type() == TypeId::of::<M>()
    }
}

impl<S: Server> Letter<S> {
    /// Makes a letter of what was laid aside.
    pub(crate) fn of(desk: &Arc<Desk<S>>, parcel: Parcel<S>, reason: Reason) -> Self {
        let fields = parcel.context().fields();
        let (parcel, past) = match parcel.past() {
            Some((inner, past)) => (inner, Some(past)),
            None => (parcel, None),
        };
        let retry = past.and_then(|past| past.retry);
        Self { load: Addressed { desk: Arc::clone(desk), parcel }, reason, fields, past, retry }
    }

    pub(super) fn into_new(self, now: Nanos) -> New<Box<dyn Load>> {
        let Self { load, reason, fields, past, retry } = self;
        let view = DeadLetter {
            number: 0,
            recipient: Arc::clone(&load.desk.name),
            message: load.parcel.message(),
            reason,
            attempts: past.map_or(0, |past| past.attempts),
            first_failure: past.map_or(now, |past| past.first_failure),
            last_failure: now,
            next_attempt: None,
            context: fields,
        };
        New {
            view,
            retry,
            kills: past.is_some_and(|past| past.kills),
            hopeless: load.desk.is_gone(),
            load: Box::new(load),
        }
    }
}

impl<S: Server> Load for Addressed<S> {
    fn send(self: Box<Self>, past: Past) -> Result<(), (Box<dyn Load>, Reason)> {
        let again = Arc::new(Sent { parcel: Arc::clone(&self.parcel), past });
        match self.desk.post(again, Deadline::now()) {
            Ok(()) => {
                count(&self.desk.counts.redelivered);
                Ok(())
            }
            Err(why) => {
                let reason = self.desk.reason(&why.into());
                Err((self, reason))
            }
        }
    }

    fn is_hopeless(&self) -> bool {
        self.desk.is_gone()
    }

    fn message_type(&self) -> TypeId {
        self.parcel.message_type()
    }

    fn unpack(&self) -> Option<Box<dyn Any + Send>> {
        self.parcel.unpack()
    }
}

impl<S: Server> Desk<S> {
    /// Puts a message into the mailbox; a full one makes the caller wait until then, if it is one that waits.
    #[track_caller]
    pub(crate) fn post<'a>(
        &self,
        parcel: Parcel<S>,
        until: impl Into<foundation_sync::Until<'a>>,
    ) -> Result<(), SendError<()>> {
        let Some(office) = self.office() else { return Err(SendError::Closed(())) };
        office.mailbox.send(parcel, until).map_err(|error| match error {
            SendError::Closed(_) => SendError::Closed(()),
            SendError::Full(_) => SendError::Full(()),
            SendError::Stopped(_) => SendError::Stopped(()),
            SendError::TimedOut(_) => SendError::TimedOut(()),
        })
    }

    /// The same for people.
    pub(crate) fn reason(&self, why: &NoRoom) -> Reason {
        let why = match why {
            NoRoom::For(why) => why,
            NoRoom::Ring(servers) => return Reason::Ring { servers: servers.clone() },
        };
        match why {
            SendError::Closed(()) => Reason::NotRunning { exit: self.last_end().map(|down| down.exit) },
            SendError::Full(()) | SendError::TimedOut(()) => {
                Reason::Full { capacity: self.office().map_or(0, |office| office.mailbox.capacity()) }
            }
            SendError::Stopped(()) => {
                Reason::Undeliverable { what: "its sender was told to stop while it waited for room".into() }
            }
        }
    }
}

/// A message that was a letter: it remembers that.
struct Sent<S: Server> {
    parcel: Parcel<S>,
    past: Past,
}

impl<S: Server> Envelope<S> for Sent<S> {
    fn message(&self) -> &'static str {
        self.parcel.message()
    }

    fn open(&self, server: &mut S, turn: &mut Turn<'_, S>, done: &dyn Fn() -> bool) -> Opened {
        self.parcel.open(server, turn, done)
    }

    fn end(&self, down: &Down) {
        self.parcel.end(down);
    }

    fn again(&self) -> Option<u32> {
        self.parcel.again()
    }

    fn is_call(&self) -> bool {
        self.parcel.is_call()
    }

    fn context(&self) -> &Context {
        self.parcel.context()
    }

    fn message_type(&self) -> TypeId {
        self.parcel.message_type()
    }

    fn unpack(&self) -> Option<Box<dyn Any + Send>> {
        self.parcel.unpack()
    }

    fn past(&self) -> Option<(Parcel<S>, Past)> {
        Some((Arc::clone(&self.parcel), self.past))
    }
}
