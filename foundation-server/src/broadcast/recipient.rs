//! Who gets a broadcast, whatever its type.

use std::{any::Any, fmt, sync::Arc};

use foundation_sync::{Clock, Permit, ReserveError, SendError, Until};

use crate::{
    Handle, Reason, ServerRef,
    desk::{Desk, NoRoom, count},
    envelope::{Cast, Parcel},
    server::Server,
};

/// A server that does messages of this type, whatever else it is. [`ServerRef::recipient`] makes one.
pub struct Recipient<M>(pub(super) Arc<dyn Accept<M>>);

impl<S: Server> ServerRef<S> {
    /// The same server, as one of those that do messages of this type.
    pub fn recipient<M: Send + 'static>(&self) -> Recipient<M>
    where
        S: Handle<M>,
    {
        Recipient(Arc::new(Door(Arc::clone(self.desk()))))
    }
}

impl<M: Send + 'static, S: Handle<M>> From<&ServerRef<S>> for Recipient<M> {
    fn from(server: &ServerRef<S>) -> Self {
        server.recipient()
    }
}

impl<M> Recipient<M> {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        self.0.name()
    }
}

impl<M> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.name())
    }
}

pub(super) trait Accept<M>: Send + Sync {
    fn name(&self) -> &Arc<str>;

    /// Which server it is: two of one have one.
    fn identity(&self) -> *const ();

    /// A place, if there is one now.
    fn try_reserve(&self) -> Result<Box<dyn Place<M>>, SendError<()>>;

    /// A place, as soon as there is one.
    fn reserve(&self, until: Until<'_>) -> Result<Box<dyn Place<M>>, NoRoom>;

    /// Whether its mailbox is one that makes senders wait.
    fn waits(&self) -> bool;

    /// That of its universe, if it has lived.
    fn clock(&self) -> Option<Clock>;

    fn reason(&self, why: &NoRoom) -> Reason;

    /// It gets nothing, for this is why; counted.
    fn refuse(&self);
}

/// A place in a mailbox. Dropped, it is given up.
pub(super) trait Place<M> {
    /// Puts the message there, unless the mailbox was closed meanwhile: then it comes back, to be dropped.
    fn commit(self: Box<Self>, message: M) -> Result<(), Box<dyn Any>>;
}

struct Door<S: Server>(Arc<Desk<S>>);

impl<M: Send + 'static, S: Handle<M>> Accept<M> for Door<S> {
    fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    fn identity(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }

    fn try_reserve(&self) -> Result<Box<dyn Place<M>>, SendError<()>> {
        let office = self.0.office().ok_or(SendError::Closed(()))?;
        match office.mailbox.reserve() {
            Ok(permit) => Ok(Box::new(permit)),
            Err(ReserveError::Closed) => Err(SendError::Closed(())),
            Err(ReserveError::Full) => Err(SendError::Full(())),
        }
    }

    fn reserve(&self, until: Until<'_>) -> Result<Box<dyn Place<M>>, NoRoom> {
        Ok(Box::new(self.0.reserve(until)?))
    }

    fn waits(&self) -> bool {
        self.0.office().is_some_and(|office| office.terms.full == foundation_sync::Full::Wait)
    }

    fn clock(&self) -> Option<Clock> {
        self.0.clock()
    }

    fn reason(&self, why: &NoRoom) -> Reason {
        self.0.reason(why)
    }

    fn refuse(&self) {
        count(&self.0.counts.refused);
    }
}

impl<M: Send + 'static, S: Handle<M>> Place<M> for Permit<Parcel<S>> {
    fn commit(self: Box<Self>, message: M) -> Result<(), Box<dyn Any>> {
        self.send(Arc::new(Cast::new(message))).map_err(|back| Box::new(back.0) as Box<dyn Any>)
    }
}
