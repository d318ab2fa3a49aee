//! What lies in a mailbox: a message, and what becomes of it.
//!
//! # Protocol: a call's outcome
//! The message is taken out once: by its server, which begins it; or by its caller, who gives up before that, and then it
//! is withdrawn and never done. The answer is put once ([`OneShot`]): by the server that has done it, or by the end of the
//! life that had it in hand or was to do it. A caller that has given up after its message was begun closes the answer: what
//! was put before is its outcome, what comes later is late, and counted.

use std::{
    any::{Any, TypeId, type_name},
    sync::Arc,
};

use foundation_context::{Context, carried};
use foundation_registry::Down;
use foundation_sync::{
    Mutex, OneShot, Wake,
    atomic::{AtomicU32, Ordering},
    planted,
};

use crate::{Handle, Turn, letters::Past, rings::Waited, server::Server};

/// A message to a server of this type.
pub(crate) trait Envelope<S: Server>: Send + Sync {
    /// The message's type, for people.
    fn message(&self) -> &'static str;

    /// Has the server do it; `done` says that it has, before it is answered, or must not be done again.
    fn open(&self, server: &mut S, turn: &mut Turn<'_, S>, done: &dyn Fn() -> bool) -> Opened;

    /// The life that was to do it, or has begun to, has ended so: who waits for it is told. Drops nothing of a user's.
    fn end(&self, down: &Down) {
        _ = down;
    }

    /// How often it has been begun, if it may be begun again.
    fn again(&self) -> Option<u32> {
        None
    }

    /// Whether somebody waits for its answer, who is told of its end.
    fn is_call(&self) -> bool {
        false
    }

    /// The context in which it was sent.
    fn context(&self) -> &Context;

    /// The message's type.
    fn message_type(&self) -> TypeId;

    /// The message, if it was not begun, or may be begun again. Runs a user's `clone`.
    fn unpack(&self) -> Option<Box<dyn Any + Send>>;

    /// Of one that was a dead letter before: what lies in here, and what is remembered of it.
    fn past(&self) -> Option<(Parcel<S>, Past)> {
        None
    }
}

pub(crate) type Parcel<S> = Arc<dyn Envelope<S>>;

/// What became of a message that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    Done,
    /// It was done, but its answer came too late: the caller has given up, or this life was.
    Late,
    /// It had been taken back.
    Withdrawn,
}

/// A message whose sender waits for the answer.
pub(crate) struct Call<M, R> {
    message: Mutex<Option<M>>,
    context: Context,
    pub(crate) answer: OneShot<Result<R, Down>>,
}

impl<M, R> Call<M, R> {
    pub(crate) fn new(message: M) -> Self {
        Self { message: Mutex::new(Some(message)), context: carried(), answer: OneShot::new() }
    }

    /// Takes the message back, if no server has begun it.
    pub(crate) fn withdraw(&self) -> Option<M> {
        self.message.lock().take()
    }
}

impl<M: Send + 'static, S: Handle<M>> Envelope<S> for Call<M, S::Reply> {
    fn message(&self) -> &'static str {
        type_name::<M>()
    }

    fn open(&self, server: &mut S, turn: &mut Turn<'_, S>, done: &dyn Fn() -> bool) -> Opened {
        let message = self.message.lock().take();
        let Some(message) = message else { return Opened::Withdrawn };
        let reply = self.context.take_on(|| server.handle(message, turn));
        // A life that was given up answers nobody: its end has.
        match done() && self.answer.put(Ok(reply)).is_ok() {
            true => Opened::Done,
            false => Opened::Late,
        }
    }

    fn end(&self, down: &Down) {
        if !planted!("server: an end tells no caller") {
            // Who has been answered, or waits no more, needs no other outcome.
            _ = self.answer.put(Err(down.clone()));
        }
    }

    fn is_call(&self) -> bool {
        true
    }

    fn context(&self) -> &Context {
        &self.context
    }

    fn message_type(&self) -> TypeId {
        TypeId::of::<M>()
    }

    fn unpack(&self) -> Option<Box<dyn Any + Send>> {
        self.withdraw().map(|message| Box::new(message) as Box<dyn Any + Send>)
    }
}

impl<M: Send, R: Send> Waited for Call<M, R> {
    fn is_open(&self) -> bool {
        self.answer.is_open()
    }
}

impl<M: Send, R: Send> Wake for Call<M, R> {
    fn wake(&self) {
        self.answer.wake();
    }
}

/// A message that is done at most once.
pub(crate) struct Cast<M> {
    message: Mutex<Option<M>>,
    context: Context,
}

impl<M> Cast<M> {
    pub(crate) fn new(message: M) -> Self {
        Self::within(message, carried())
    }

    pub(crate) fn within(message: M, context: Context) -> Self {
        Self { message: Mutex::new(Some(message)), context }
    }

    /// Takes the message back.
    pub(crate) fn withdraw(&self) -> Option<M> {
        self.message.lock().take()
    }
}

impl<M: Send + 'static, S: Handle<M>> Envelope<S> for Cast<M> {
    fn message(&self) -> &'static str {
        type_name::<M>()
    }

    fn open(&self, server: &mut S, turn: &mut Turn<'_, S>, _: &dyn Fn() -> bool) -> Opened {
        let message = self.message.lock().take();
        let Some(message) = message else { return Opened::Withdrawn };
        self.context.take_on(|| drop(server.handle(message, turn)));
        Opened::Done
    }

    fn context(&self) -> &Context {
        &self.context
    }

    fn message_type(&self) -> TypeId {
        TypeId::of::<M>()
    }

    fn unpack(&self) -> Option<Box<dyn Any + Send>> {
        self.withdraw().map(|message| Box::new(message) as Box<dyn Any + Send>)
    }
}

/// A message that is done again if its server dies of it, or on it.
pub(crate) struct Again<M> {
    message: M,
    begun: AtomicU32,
    context: Context,
}

impl<M> Again<M> {
    pub(crate) fn new(message: M) -> Self {
        Self { message, begun: AtomicU32::new(0), context: carried() }
    }

    /// The message, if nobody else has it.
    pub(crate) fn into_message(self) -> M {
        self.message
    }
}

impl<M: Clone + Send + Sync + 'static, S: Handle<M>> Envelope<S> for Again<M> {
    fn message(&self) -> &'static str {
        type_name::<M>()
    }

    fn open(&self, server: &mut S, turn: &mut Turn<'_, S>, done: &dyn Fn() -> bool) -> Opened {
        // ordering: Relaxed: a count; a life that was given up may still be at it when the next one begins it.
        let attempt = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        turn.set_attempt(attempt);
        self.context.take_on(|| drop(server.handle(self.message.clone(), turn)));
        if done() { Opened::Done } else { Opened::Late }
    }

    fn again(&self) -> Option<u32> {
        Some(self.begun.load(Ordering::Relaxed)) // ordering: see `open`
    }

    fn context(&self) -> &Context {
        &self.context
    }

    fn message_type(&self) -> TypeId {
        TypeId::of::<M>()
    }

    fn unpack(&self) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(self.message.clone()))
    }
}
