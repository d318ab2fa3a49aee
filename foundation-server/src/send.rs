//! Supervised send: a message that is delivered until a deadline, or whose failure is seen to.
//!
//! # Protocol
//! *Delivered* is what the server's mailbox has accepted: that of the life that serves, or, between two lives, the one
//! that keeps messages for the next ([`Pending::Wait`](crate::Pending)). What is accepted is done, or becomes a dead
//! letter, or is counted as broken by its server's end; nothing is waited for after it. So a success costs as much as a
//! cast.
//!
//! A sender waits for room as a call does, and is in no [ring](crate::rings) meanwhile either: who would have to make the
//! room itself is told at once. Where nobody serves, or the mailbox is one that refuses, it *tries again*, if
//! it has a backoff: after the next wait, or when the deadline is there, if that is earlier. After the last of these, or
//! when it is told to stop meanwhile, it has *failed*, with the reason of the last attempt. The message is one parcel
//! through all attempts, in one hand, so it is accepted once at most.
//!
//! Named race:
//! - *restart against the last attempt*: the server comes back after the last attempt and before the deadline. The sender
//!   tries once more when the deadline is there, for it has waited for that.

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::{carried, fields};
use foundation_supervisor::{Backoff, System};
use foundation_sync::{Deadline, RecvError, SendError, Until};
use foundation_telemetry::events;

use crate::{
    DeadLetters, Handle, Reason, Retry, ServerRef,
    desk::{NoRoom, count},
    envelope::{Cast, Parcel},
    letters::{Addressed, Letter},
    rest::{LEAST_WAIT, rest},
    server::Server,
};

events! {
    /// The events of sends with patience.
    pub(crate) const EVENTS;

    /// A message that was to be [logged](Delivery::log) was not delivered. Emitted by the sender.
    pub const SEND_FAILED = ["foundation", "send", "failed"];
    measurements { attempts: "attempts", duration: "ns" }
    metadata { recipient: "text", message: "text", reason: "text" }
}

/// How a message is delivered, and what becomes of it if it is not. If nothing is said there is one attempt, which waits
/// for room until the deadline, and a message that can't be delivered comes back.
///
/// ```
/// use foundation_server::{Delivery, Fate, Handle, Server, Turn, server};
/// use foundation_supervisor::{Backoff, Foundation};
/// use foundation_sync::SECOND;
/// use std::time::Duration;
///
/// struct Audit;
/// impl Server for Audit {}
/// impl Handle<u32> for Audit {
///     type Reply = ();
///     fn handle(&mut self, _: u32, _: &mut Turn<Self>) {}
/// }
///
/// let system = Foundation::builder().start();
/// let (_spec, audit) = server("audit", || Audit);
/// let delivery = Delivery::of(&system).again(Backoff::constant(Duration::from_millis(1)), 2).bury();
/// let failed = audit.send(7, &delivery, system.within(SECOND)).expect_err("nobody has started it");
/// assert_eq!((failed.attempts, failed.fate), (3, Fate::Buried(1)));
/// assert!(system.stop(SECOND).is_clean());
/// ```
#[derive(Clone, Debug)]
#[must_use = "it says how to send"]
pub struct Delivery {
    system: System,
    again: Option<(Backoff, u32)>,
    failed: Failed,
}

#[derive(Clone, Debug)]
enum Failed {
    Return,
    Log,
    Ignore,
    Bury(Option<Retry>),
}

impl Delivery {
    /// In this universe: by its clock, and to its dead letters.
    pub fn of(system: &System) -> Self {
        Self { system: system.clone(), again: None, failed: Failed::Return }
    }

    /// Tries again while nobody serves, or a mailbox that does not wait is full: so often at most, each time after the
    /// backoff's wait, which is a millisecond at least.
    pub fn again(mut self, backoff: Backoff, most: u32) -> Self {
        self.again = Some((backoff, most));
        self
    }

    /// What fails is logged, told as [`SEND_FAILED`], and dropped.
    pub fn log(mut self) -> Self {
        self.failed = Failed::Log;
        self
    }

    /// What fails is dropped, and counted: [`Status::refused`](crate::Status::refused).
    pub fn ignore(mut self) -> Self {
        self.failed = Failed::Ignore;
        self
    }

    /// What fails becomes a dead letter, which is tried again as [all are](DeadLetters::set_retry).
    pub fn bury(mut self) -> Self {
        self.failed = Failed::Bury(None);
        self
    }

    /// What fails becomes a dead letter, which is tried again so.
    pub fn bury_and_retry(mut self, retry: Retry) -> Self {
        self.failed = Failed::Bury(Some(retry));
        self
    }
}

/// A message was not delivered, and what became of it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndeliveredError<M> {
    /// To whom.
    pub server: Arc<str>,
    /// Why the last attempt failed.
    pub reason: Reason,
    /// How many attempts there were.
    pub attempts: u32,
    /// How long they took, by the universe's clock.
    pub waited: Duration,
    /// What became of the message.
    pub fate: Fate<M>,
}

/// What became of a message that was not delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate<M> {
    /// Here it is.
    Returned(M),
    /// It was logged and dropped.
    Logged,
    /// It was dropped and counted.
    Ignored,
    /// It is the dead letter of this number.
    Buried(u64),
}

impl<M> UndeliveredError<M> {
    /// The message, if it has come back.
    pub fn into_message(self) -> Option<M> {
        match self.fate {
            Fate::Returned(message) => Some(message),
            _ => None,
        }
    }
}

impl<S: Server> ServerRef<S> {
    /// Delivers a message: returns when the server's mailbox has accepted it, be it that of the life that serves or, between
    /// two lives, the one that [keeps messages](crate::Pending::Wait) for the next. Nothing is waited for after that: to
    /// know that a message was done, [call](Self::call).
    ///
    /// It waits for room, and tries again as `delivery` says, until the deadline or the stop. The message is accepted once
    /// at most, and like a [cast](Self::cast) it is done at most once.
    ///
    /// # Errors
    /// [`UndeliveredError`]: it was not accepted; where the message is now.
    #[track_caller]
    pub fn send<'a, M: Send + 'static>(
        &self,
        message: M,
        delivery: &Delivery,
        until: impl Into<Until<'a>>,
    ) -> Result<(), UndeliveredError<M>>
    where
        S: Handle<M>,
    {
        let until = until.into();
        let cast = Arc::new(Cast::new(message));
        // Where there is room nobody asks what time it is.
        match self.desk().post(Arc::clone(&cast) as Parcel<S>, Deadline::now()) {
            Ok(()) => Ok(()),
            Err(why) => self.send_slowly(cast, why, delivery, &until),
        }
    }

    #[cold]
    #[track_caller]
    fn send_slowly<M: Send + 'static>(
        &self,
        cast: Arc<Cast<M>>,
        why: SendError<()>,
        delivery: &Delivery,
        until: &Until<'_>,
    ) -> Result<(), UndeliveredError<M>>
    where
        S: Handle<M>,
    {
        let clock = delivery.system.clock();
        let (since, mut attempts) = (clock.now(), 1);
        let mut why = NoRoom::For(why);
        if let NoRoom::For(SendError::TimedOut(())) = why {
            match self.wait_for_room(&cast, until) {
                Ok(()) => return Ok(()),
                Err(refused) => why = refused,
            }
        }
        if let Some((backoff, most)) = delivery.again {
            // What was waited for is over: its time, or the sender's, or it is in a ring.
            while attempts <= most && matches!(why, NoRoom::For(SendError::Closed(()) | SendError::Full(()))) {
                let wait = backoff.wait(attempts - 1, clock.now() ^ u64::from(attempts));
                if until.deadline().left().is_some_and(|left| left.is_zero()) {
                    break;
                }
                // Race "restart against the last attempt". Why it has failed is what the last attempt says.
                if rest(clock, wait.max(Duration::from_nanos(LEAST_WAIT)), until) == RecvError::Stopped {
                    break;
                }
                attempts = attempts.saturating_add(1);
                match self.wait_for_room(&cast, until) {
                    Ok(()) => return Ok(()),
                    Err(refused) => why = refused,
                }
            }
        }
        let waited = Duration::from_nanos(clock.now().saturating_sub(since));
        let reason = self.desk().reason(&why);
        Err(self.undelivered(cast, reason, attempts, waited, delivery))
    }

    /// As a call does: it may be the sender who is to make room.
    #[track_caller]
    fn wait_for_room<M: Send + 'static>(&self, cast: &Arc<Cast<M>>, until: &Until<'_>) -> Result<(), NoRoom>
    where
        S: Handle<M>,
    {
        let place = self.desk().reserve(until.clone())?;
        Ok(place.send(Arc::clone(cast) as Parcel<S>).map_err(|_closed| SendError::Closed(()))?)
    }

    fn undelivered<M: Send + 'static>(
        &self,
        cast: Arc<Cast<M>>,
        reason: Reason,
        attempts: u32,
        waited: Duration,
        delivery: &Delivery,
    ) -> UndeliveredError<M>
    where
        S: Handle<M>,
    {
        let desk = self.desk();
        let counts = &desk.counts;
        count(if matches!(delivery.failed, Failed::Bury(_)) { &counts.buried } else { &counts.refused });
        let message = || cast.withdraw().expect("no mailbox has accepted it");
        let fate = match &delivery.failed {
            Failed::Return => Fate::Returned(message()),
            Failed::Log => {
                self.log(&reason, attempts, waited, delivery, std::any::type_name::<M>());
                Fate::Logged
            }
            Failed::Ignore => Fate::Ignored,
            Failed::Bury(retry) => {
                let letter = Letter {
                    load: Addressed { desk: Arc::clone(desk), parcel: cast },
                    reason: reason.clone(),
                    fields: carried().fields(),
                    past: None,
                    retry: *retry,
                };
                Fate::Buried(DeadLetters::of(&delivery.system).bury(letter))
            }
        };
        UndeliveredError { server: Arc::clone(&desk.name), reason, attempts, waited, fate }
    }

    fn log(&self, reason: &Reason, attempts: u32, waited: Duration, delivery: &Delivery, message: &'static str) {
        let server = &self.desk().name;
        tracing::warn!(target: "foundation", %server, message_type = message, %reason, attempts, "a message was not delivered");
        delivery.system.telemetry().emit(SEND_FAILED, || {
            (
                fields! { attempts: attempts, duration: u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX) },
                fields! { recipient: Arc::clone(server), message: message, reason: reason.to_string() },
            )
        });
    }
}

impl<M> fmt::Display for UndeliveredError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, reason, attempts, waited, fate } = self;
        let times = if *attempts == 1 { "attempt" } else { "attempts" };
        write!(f, "`{server}` has not accepted the message in {attempts} {times} and {waited:?}: {reason}; {fate}")
    }
}

impl<M> fmt::Display for Fate<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(_) => f.write_str("it comes back"),
            Self::Logged => f.write_str("it was logged and dropped"),
            Self::Ignored => f.write_str("it was dropped"),
            Self::Buried(number) => write!(f, "it is dead letter {number}"),
        }
    }
}

impl<M> fmt::Debug for UndeliveredError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UndeliveredError({self})")
    }
}

impl<M> fmt::Debug for Fate<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fate({self})")
    }
}

impl<M> std::error::Error for UndeliveredError<M> {}
