//! What an event is.

use std::fmt;

use foundation_context::{Context, Fields, carried};

use crate::EventName;

/// Something that happened.
///
/// It is made on the stack of whoever emits it, for the time of the call. A clone, and what waits in a handler's queue, is
/// *kept*: it has the emitter's context with it.
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub name: EventName,
    /// Numbers about it. Durations are whole nanoseconds, named `duration`.
    pub measurements: Fields,
    /// Everything else about it.
    pub metadata: Fields,
    /// Of one that is kept.
    context: Option<Context>,
}

impl Event {
    #[inline]
    pub(crate) fn new(name: EventName, (measurements, metadata): (Fields, Fields)) -> Self {
        Self { name, measurements, metadata, context: None }
    }

    /// One that is kept: with the calling thread's context.
    pub(crate) fn kept(name: EventName, (measurements, metadata): (Fields, Fields)) -> Self {
        Self { name, measurements, metadata, context: Some(carried()) }
    }

    /// The context of whoever emitted it; empty where that one's universe works in legacy mode, in which a context does
    /// not leave its thread.
    ///
    /// Asked of an event that is not kept it is the calling thread's, which is the emitter's as long as the handler does
    /// not pass the event on by reference: what is to be asked elsewhere is cloned first.
    pub fn context(&self) -> Context {
        self.context.clone().unwrap_or_else(carried)
    }
}

impl Clone for Event {
    fn clone(&self) -> Self {
        let (name, context) = (self.name, Some(self.context()));
        Self { name, measurements: self.measurements.clone(), metadata: self.metadata.clone(), context }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.name)
            .field("measurements", &self.measurements)
            .field("metadata", &self.metadata)
            .field("context", &self.context())
            .finish()
    }
}
