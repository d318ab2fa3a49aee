//! What a handler can do besides answering.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use foundation_supervisor::{Failure, Life};
use foundation_sync::Nanos;

use crate::{
    Handle, ServerRef,
    desk::Desk,
    envelope::{Cast, Parcel},
    server::Server,
    timers::{TimerKey, Timers},
};

/// One server's turn: the life that it is, and what is to be done next. It is a [`Life`], too.
pub struct Turn<'a, S: Server> {
    life: &'a Life,
    desk: &'a Arc<Desk<S>>,
    agenda: &'a mut Agenda<S>,
    attempt: u32,
}

/// What one life is to do besides its mailbox.
pub(crate) struct Agenda<S: Server> {
    /// The desk keeps what is to be done next.
    pub(crate) continues: bool,
    pub(crate) timers: Timers<S>,
    pub(crate) end: Option<Result<(), Failure>>,
}

impl<S: Server> Default for Agenda<S> {
    fn default() -> Self {
        Self { continues: false, timers: Timers::default(), end: None }
    }
}

impl<'a, S: Server> Turn<'a, S> {
    pub(crate) fn new(life: &'a Life, desk: &'a Arc<Desk<S>>, agenda: &'a mut Agenda<S>) -> Self {
        Self { life, desk, agenda, attempt: 1 }
    }

    /// The way to this server, to be passed on, or [registered](Life::register). Elixir's `self()`.
    pub fn me(&self) -> ServerRef<S> {
        ServerRef::new(Arc::clone(self.desk))
    }

    pub(crate) fn set_attempt(&mut self, attempt: u32) {
        self.attempt = attempt;
    }

    /// Which attempt at this message it is, from 1: more than that only for those that are
    /// [to be done again](crate::ServerRef::cast_again).
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Does this message next, before any other. OTP's `continue`: to answer first and then to do the rest. One at a time.
    /// If the life ends before that, however it does, the message becomes a dead letter.
    ///
    /// # Errors
    /// There is one already, or this life was given up; this one comes back.
    pub fn continue_with<M: Send + 'static>(&mut self, message: M) -> Result<(), M>
    where
        S: Handle<M>,
    {
        if self.agenda.continues {
            return Err(message);
        }
        let own = Arc::new(Cast::new(message));
        if !self.desk.keep(self.life.incarnation(), Arc::clone(&own) as Parcel<S>) {
            return Err(own.withdraw().expect("nobody else has it"));
        }
        self.agenda.continues = true;
        Ok(())
    }

    /// Sends this message to the server itself after a while; a timer is its life's, and ends with it. It is sent in the
    /// context of now. OTP's `send_after`.
    ///
    /// # Errors
    /// There are [too many timers](crate::MOST_TIMERS); the message comes back.
    pub fn after<M: Send + 'static>(&mut self, span: Duration, message: M) -> Result<TimerKey, M>
    where
        S: Handle<M>,
    {
        let at = self.in_a_while(span);
        if self.agenda.timers.is_full() {
            return Err(message);
        }
        Ok(self.agenda.timers.once(at, Arc::new(Cast::new(message))))
    }

    /// Sends this message again and again, each time so long after the last was due; what could not be kept up with is left
    /// out. At least a microsecond.
    ///
    /// # Errors
    /// There are [too many timers](crate::MOST_TIMERS); the message comes back.
    pub fn every<M: Clone + Send + 'static>(&mut self, period: Duration, message: M) -> Result<TimerKey, M>
    where
        S: Handle<M>,
    {
        let period = period.max(Duration::from_micros(1));
        let at = self.in_a_while(period);
        if self.agenda.timers.is_full() {
            return Err(message);
        }
        let period = Nanos::try_from(period.as_nanos()).unwrap_or(Nanos::MAX);
        let context = foundation_context::carried();
        let make = move || -> Parcel<S> { Arc::new(Cast::within(message.clone(), context.clone())) };
        Ok(self.agenda.timers.every(at, period, Box::new(make)))
    }

    /// Takes a timer back: whether it was still to come. After this its message is not done.
    pub fn cancel(&mut self, timer: TimerKey) -> bool {
        self.agenda.timers.cancel(timer)
    }

    /// Ends this life after this message: as it should, or with a failure. What still waits is treated as at any end. OTP's
    /// `stop`. The first one stands.
    pub fn end(&mut self, how: Result<(), Failure>) {
        self.agenda.end.get_or_insert(how);
    }

    fn in_a_while(&self, span: Duration) -> Nanos {
        let span = Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX);
        self.life.system().clock().now().saturating_add(span)
    }
}

impl<S: Server> Deref for Turn<'_, S> {
    type Target = Life;

    fn deref(&self) -> &Life {
        self.life
    }
}

impl<S: Server> fmt::Debug for Turn<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("life", &self.life).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
