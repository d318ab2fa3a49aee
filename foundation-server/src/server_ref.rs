//! The way to a server.

use std::{fmt, sync::Arc};

use foundation_registry::Down;
use foundation_sync::{Full, RecvError, SendError, TrySendError, Until};

use crate::{
    CallError, CastError, Handle, Status,
    desk::{Desk, count},
    envelope::{Again, Call, Cast, Parcel},
    rings::{Edge, Wait},
    server::Server,
};

/// The way to a server: to whichever life serves, never to one that has ended. A clone is another one.
///
/// What a sender has sent is received in that order; what comes back from a life that was given up may come late. A message
/// belongs to the context in which it was sent: its handler has the sender's fields, and a span that it opens is a child of
/// the sender's.
pub struct ServerRef<S: Server>(Arc<Desk<S>>);

impl<S: Server> ServerRef<S> {
    pub(crate) fn new(desk: Arc<Desk<S>>) -> Self {
        Self(desk)
    }

    pub(crate) fn desk(&self) -> &Arc<Desk<S>> {
        &self.0
    }

    /// The name in its spec.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// How it is. Nobody is asked, and nothing waited for.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Asks the server, and waits for its answer. OTP's `call`.
    ///
    /// It has one outcome. An error says whether the message [was begun](CallError::begun); one that was not comes back,
    /// and nobody will do it, so it can be asked again. In particular a call whose deadline passes while it waits for its
    /// turn is taken back. Over a restart it waits for the next life, if its server's [`Pending`](crate::Pending) says so.
    ///
    /// Its universe [counts](foundation_supervisor::Calls) it: as failed where there is an error, but for a caller that was
    /// told to stop.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn call<'a, M: Send + 'static>(&self, message: M, until: impl Into<Until<'a>>) -> Result<S::Reply, CallError<M>>
    where
        S: Handle<M>,
    {
        let outcome = self.ask(message, until.into());
        self.0.count_call(matches!(&outcome, Err(error) if !matches!(error, CallError::Stopped { .. })));
        outcome
    }

    #[track_caller]
    fn ask<M: Send + 'static>(&self, message: M, until: Until<'_>) -> Result<S::Reply, CallError<M>>
    where
        S: Handle<M>,
    {
        let desk = &self.0;
        let call = Arc::new(Call::new(message));
        let Some(office) = desk.office() else {
            let message = call.withdraw().expect("it was not sent");
            return Err(self.not_running(message).into());
        };
        let (mut patience, mut edge) = (None, None);
        let mut sent = office.mailbox.try_send(Arc::clone(&call) as Parcel<S>).map_err(SendError::from);
        if office.terms.full == Full::Wait
            && let Err(SendError::Full(parcel)) = sent
        {
            // It may be the caller who is to make room.
            edge = match self.wait_for(&call) {
                Ok(edge) => edge,
                Err(servers) => return self.give_up(&call, |message| CallError::Ring { servers, message }),
            };
            patience = until.deadline().left();
            sent = office.mailbox.send(parcel, until.clone());
        }
        if let Err(error) = sent {
            let message = call.withdraw().expect("it was not sent");
            return Err(match error {
                SendError::Closed(_) => self.not_running(message).into(),
                SendError::Full(_) => self.full(message).into(),
                SendError::Stopped(_) => CallError::Stopped { message: Some(self.returned(message)) },
                SendError::TimedOut(_) => CallError::TimedOut {
                    waited: patience.unwrap_or_default(),
                    server: Box::new(desk.status()),
                    message: Some(self.returned(message)),
                },
            });
        }
        // After it was sent, so that the server does not wait for this clock, and before the wait.
        let patience = patience.or_else(|| until.deadline().left());
        if edge.is_none() && !call.answer.look(&desk.looks, &until) {
            // Nobody sleeps over a call that waits for itself.
            edge = match self.wait_for(&call) {
                Ok(edge) => edge,
                Err(servers) => return self.give_up(&call, |message| CallError::Ring { servers, message }),
            };
        }
        let _edge = edge;
        match call.answer.recv(until, || Arc::clone(&call)) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(down)) => Err(self.exited(&call, down)),
            Err(RecvError::Stopped) => self.give_up(&call, |message| CallError::Stopped { message }),
            Err(RecvError::TimedOut | RecvError::Closed) => self.give_up(&call, |message| CallError::TimedOut {
                waited: patience.unwrap_or_default(),
                server: Box::new(desk.status()),
                message,
            }),
        }
    }

    /// Sends the message, and does not wait: for room neither. OTP's `cast`.
    ///
    /// It is done at most once: if its server dies of it, or on it, it is lost with it, and counted
    /// ([`Status::broken`]).
    ///
    /// # Errors
    /// [`CastError`], with the message.
    pub fn cast<M: Send + 'static>(&self, message: M) -> Result<(), CastError<M>>
    where
        S: Handle<M>,
    {
        // No handle of it is kept: its server would have to wait for this thread's cache.
        match self.post(Arc::new(Cast::new(message))) {
            Ok(()) => Ok(()),
            Err((refused, parcel)) => {
                let message = parcel.unpack().and_then(|message| message.downcast().ok());
                Err(self.refused(refused, *message.expect("it was not sent, and is what it was")))
            }
        }
    }

    /// The same, but the message is done again if its server dies of it, or on it: by the next life, before any other, at
    /// least once in all, with [the attempt](crate::Turn::attempt) to be seen. A message that has cost
    /// [too many lives](crate::ServerSpec::quarantine_after) becomes a dead letter.
    ///
    /// # Errors
    /// [`CastError`], with the message.
    pub fn cast_again<M: Clone + Send + Sync + 'static>(&self, message: M) -> Result<(), CastError<M>>
    where
        S: Handle<M>,
    {
        let again = Arc::new(Again::new(message));
        match self.post(Arc::clone(&again) as Parcel<S>) {
            Ok(()) => Ok(()),
            Err((refused, parcel)) => {
                drop(parcel);
                let again = Arc::into_inner(again).expect("it was not sent");
                Err(self.refused(refused, again.into_message()))
            }
        }
    }

    fn post(&self, parcel: Parcel<S>) -> Result<(), (Refused, Parcel<S>)> {
        let Some(office) = self.0.office() else { return Err((Refused::NotRunning, parcel)) };
        office.mailbox.try_send(parcel).map_err(|error| match error {
            TrySendError::Closed(parcel) => (Refused::NotRunning, parcel),
            TrySendError::Full(parcel) => (Refused::Full, parcel),
        })
    }

    /// The calling thread is about to sleep over this call.
    fn wait_for<M: Send + 'static>(&self, call: &Arc<Call<M, S::Reply>>) -> Result<Option<Edge<'_>>, Vec<Arc<str>>>
    where
        S: Handle<M>,
    {
        let Some(rings) = self.0.rings() else { return Ok(None) };
        rings.enter(Wait::new(call, &self.0)).map(Some)
    }

    /// The caller waits no more; unless it has been answered by now, that is for this reason.
    fn give_up<M: Send + 'static>(
        &self,
        call: &Call<M, S::Reply>,
        why: impl FnOnce(Option<M>) -> CallError<M>,
    ) -> Result<S::Reply, CallError<M>>
    where
        S: Handle<M>,
    {
        let message = call.withdraw();
        match call.answer.close() {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(down)) => Err(self.exited_with(down, message)),
            None => Err(why(message.map(|message| self.returned(message)))),
        }
    }

    fn exited<M, R>(&self, call: &Call<M, R>, down: Down) -> CallError<M> {
        self.exited_with(down, call.withdraw())
    }

    fn exited_with<M>(&self, down: Down, message: Option<M>) -> CallError<M> {
        let Down { incarnation, exit, .. } = down;
        let message = message.map(|message| self.returned(message));
        CallError::Exited { server: Arc::clone(&self.0.name), incarnation, exit, message }
    }

    fn refused<M>(&self, refused: Refused, message: M) -> CastError<M> {
        match refused {
            Refused::Full => self.full(message),
            Refused::NotRunning => self.not_running(message),
        }
    }

    fn full<M>(&self, message: M) -> CastError<M> {
        count(&self.0.counts.refused);
        let capacity = self.0.office().map_or(0, |office| office.mailbox.capacity());
        CastError::Full { server: Arc::clone(&self.0.name), capacity, message }
    }

    fn not_running<M>(&self, message: M) -> CastError<M> {
        count(&self.0.counts.refused);
        let exit = self.0.last_end().map(|down| down.exit);
        CastError::NotRunning { server: Arc::clone(&self.0.name), exit, message }
    }

    fn returned<M>(&self, message: M) -> M {
        count(&self.0.counts.returned);
        message
    }
}

enum Refused {
    Full,
    NotRunning,
}

impl<S: Server> Clone for ServerRef<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Server> fmt::Debug for ServerRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerRef({})", self.status())
    }
}
