//! Handlers that panicked: they are taken out, told of, and may be attached again.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_context::{fields, inside};
use foundation_sync::{Nanos, atomic::Ordering, payload, reached};

use crate::{Event, EventName, HANDLER_FAILURE, MOST_HANDLERS, Selector, Telemetry, handlers::Handler};

/// How many handlers that failed are kept, to be attached again; the oldest make room, and are counted.
pub const MOST_FAILED: usize = 64;

/// A handler that panicked, as [`Telemetry::failed`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// Its id.
    pub id: Arc<str>,
    /// What it listened to.
    pub selectors: Vec<Selector>,
    /// When it panicked, by the universe's clock.
    pub at: Nanos,
    /// What the panic said.
    pub reason: Arc<str>,
    /// The event that it was called for.
    pub event: EventName,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handler `{}` failed on {}: {}", self.id, self.event, self.reason)
    }
}

/// Why a handler can't be attached again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReattachError {
    /// None of this id has failed, or it was forgotten.
    Unknown(Arc<str>),
    /// Another one of this id is attached by now: detach that one first.
    Taken(Arc<str>),
    /// [`MOST_HANDLERS`] are attached by now.
    TooMany(Arc<str>),
}

impl fmt::Display for ReattachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "no handler `{id}` has failed, or it was forgotten: attach a new one"),
            Self::Taken(id) => write!(f, "another handler `{id}` is attached by now: detach that one first"),
            Self::TooMany(id) => write!(
                f,
                "{MOST_HANDLERS} handlers are attached by now, and there is no room for `{id}`: detach those that are \
                 not needed any more"
            ),
        }
    }
}

impl std::error::Error for ReattachError {}

impl Telemetry {
    /// The handlers that panicked and can be attached again, the oldest failure first: at most
    /// [`MOST_FAILED`], of each id the last. Those that made room are counted
    /// ([`Figures::forgotten`](crate::Figures::forgotten)).
    pub fn failed(&self) -> Vec<Failed> {
        self.0.book.lock().failed.iter().map(|(failed, ..)| failed.clone()).collect()
    }

    /// Attaches a handler again that has failed, to the same events. Its closure is the one that panicked: what it holds
    /// is as the panic left it.
    ///
    /// # Errors
    /// It is not among those that [failed](Self::failed), its id is taken, or [`MOST_HANDLERS`] are
    /// attached; nothing was done.
    pub fn reattach(&self, id: &str) -> Result<(), ReattachError> {
        let mut book = self.0.book.lock();
        let Some(at) = book.failed.iter().position(|(failed, ..)| *failed.id == *id) else {
            return Err(ReattachError::Unknown(id.into()));
        };
        if book.handlers.contains_key(id) {
            return Err(ReattachError::Taken(id.into()));
        }
        if book.is_full() {
            return Err(ReattachError::TooMany(id.into()));
        }
        if let Some((_, handler, selectors)) = book.failed.remove(at) {
            if let Some(backlog) = &handler.backlog {
                backlog.reopen();
            }
            book.put_in(handler, selectors);
        }
        Ok(())
    }

    /// Drops a handler that has failed. `false`: there is none of this id.
    pub fn forget(&self, id: &str) -> bool {
        self.forget_if(id, |_| true)
    }

    pub(crate) fn forget_if(&self, id: &str, such: impl Fn(&Arc<Handler>) -> bool) -> bool {
        let gone = {
            let mut book = self.0.book.lock();
            let at = book.failed.iter().position(|(failed, handler, _)| *failed.id == *id && such(handler));
            at.and_then(|at| book.failed.remove(at))
        };
        // The closure may be dropped here, not under the lock.
        gone.is_some()
    }

    /// Calls the handler. If it panics it is detached, and whoever calls does not notice.
    #[inline]
    pub(crate) fn call(&self, handler: &Arc<Handler>, event: &Event) {
        let Some(call) = &handler.call else { return };
        handler.calls.add();
        let outcome = inside::run(handler.number(), || catch_unwind(AssertUnwindSafe(|| call(event))));
        if let Err(panic) = outcome {
            self.fail(handler, event.name, panic);
        }
    }

    #[cold]
    fn fail(&self, handler: &Arc<Handler>, event: EventName, panic: Box<dyn Any + Send>) {
        let reason = payload::text(&*panic);
        payload::forget(panic);
        let at = self.0.clock.now();
        let failed = self.0.set_apart(handler, |selectors| Failed {
            id: Arc::clone(&handler.id),
            selectors: selectors.as_slice().to_vec(),
            at,
            reason: Arc::clone(&reason),
            event,
        });
        // Race "two failures": of many threads that see it fail one says so.
        if failed.is_none() {
            reached!("handlers: somebody else took it out");
            return;
        }
        drop(failed);
        self.0.activity.bump();
        handler.failures.fetch_add(1, Ordering::Relaxed); // ordering: a count
        self.0.counts.failures.fetch_add(1, Ordering::Relaxed); // ordering: a count
        // Who listens to failures and fails itself would be told of, and so on: it is only in the list.
        if event == HANDLER_FAILURE {
            return;
        }
        self.emit(HANDLER_FAILURE, || {
            let metadata = fields! {
                event_name: event.to_string(),
                handler_id: Arc::clone(&handler.id),
                reason: Arc::clone(&reason),
            };
            (fields! {}, metadata)
        });
    }
}
