//! Who is attached.
//!
//! # Protocol
//! One lock guards the table of names and handlers; a writer makes a new list for each name that it changes and
//! publishes it as a snapshot, then its length. Whoever emits looks at the length, loads the list and calls the handlers
//! without a lock. A handler lives until the last list that holds it is gone.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_context::fields;
use foundation_sync::{
    Snapshot,
    atomic::{AtomicUsize, Ordering},
};

use crate::{Event, EventName, HANDLER_FAILURE, Telemetry, queued::Backlog, sampling::Tap};

type Call = dyn Fn(&Event) + Send + Sync;

pub(crate) struct Handler {
    id: Arc<str>,
    call: Box<Call>,
    /// Of a queued one.
    pub(crate) backlog: Option<Backlog>,
}

type List = Vec<Arc<Handler>>;

/// Who listens to one name.
pub(crate) struct Slot {
    pub(crate) name: EventName,
    /// The length of the list, for those who would find it empty.
    listeners: AtomicUsize,
    pub(crate) list: Snapshot<List>,
    /// Which of them are let through.
    pub(crate) tap: Tap,
}

#[derive(Default)]
pub(crate) struct Book {
    slots: HashMap<EventName, Arc<Slot>>,
    /// By id: the handler and its events.
    handlers: HashMap<Arc<str>, (Arc<Handler>, Vec<EventName>)>,
}

/// An attached handler, as [`Telemetry::list`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its id.
    pub id: Arc<str>,
    /// What it listens to.
    pub events: Vec<EventName>,
    /// How many events wait for it; 0 unless it is a queued one.
    pub queued: usize,
    /// How many events found no room in its queue, or waited there when an errand of it was refused or lost.
    pub overflowed: u64,
}

/// A handler of this id is attached already: detach it first, or choose another id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachError {
    /// The id.
    pub id: Arc<str>,
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a handler `{}` is attached already: detach it first, or choose another id", self.id)
    }
}

impl std::error::Error for AttachError {}

/// No handler of this id is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachError {
    /// The id.
    pub id: Arc<str>,
}

impl fmt::Display for DetachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no handler `{}` is attached", self.id)
    }
}

impl std::error::Error for DetachError {}

impl Telemetry {
    /// Calls `handler` for each event of these names, on the thread that emits it.
    ///
    /// # Errors
    /// The id is taken; nothing was attached.
    pub fn attach(
        &self,
        id: &str,
        events: &[EventName],
        handler: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<(), AttachError> {
        self.insert(Handler { id: id.into(), call: Box::new(handler), backlog: None }, events)
    }

    /// Calls `handler` for each event of these names, in order, away from the thread that emits: where the universe's
    /// errands are run. At most `capacity` events wait for it (0 counts as 1); what finds no room is counted
    /// ([`overflowed`](Self::overflowed)), and so is what waits when nobody takes the errand, or it is dropped unrun: the
    /// courier has no room, or has ended. What waits when it is detached is not delivered, and not counted.
    ///
    /// Where there is no universe an errand is run by whoever emits, before `emit` returns, and goes on until nothing
    /// waits, also with what other threads emit meanwhile.
    ///
    /// In legacy mode it runs on the emitter; what waits when the mode is switched is delivered all the same, perhaps
    /// after younger events.
    ///
    /// # Errors
    /// The id is taken; nothing was attached.
    pub fn attach_queued(
        &self,
        id: &str,
        events: &[EventName],
        capacity: usize,
        handler: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<(), AttachError> {
        let backlog = Some(Backlog::new(capacity));
        self.insert(Handler { id: id.into(), call: Box::new(handler), backlog }, events)
    }

    fn insert(&self, handler: Handler, events: &[EventName]) -> Result<(), AttachError> {
        let id = Arc::clone(&handler.id);
        let handler = Arc::new(handler);
        let mut events = events.to_vec();
        events.sort_unstable();
        events.dedup();
        let refused = {
            let mut book = self.0.book.lock();
            if book.handlers.contains_key(&id) {
                Some(handler)
            } else {
                for event in &events {
                    // All handlers of the old list are in the new one, so none is dropped here.
                    _ = book.slot(*event).change(|list| list.push(Arc::clone(&handler)));
                }
                book.handlers.insert(Arc::clone(&id), (handler, events));
                None
            }
        };
        match refused {
            // The closure is dropped here, not under the lock.
            Some(_) => Err(AttachError { id }),
            None => Ok(()),
        }
    }

    /// Detaches a handler from all its events. An event that is on its way may still reach it; one that waits in its
    /// queue does not.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn detach(&self, id: &str) -> Result<(), DetachError> {
        match self.remove(id, None) {
            Some(_) => Ok(()),
            None => Err(DetachError { id: id.into() }),
        }
    }

    /// Takes the handler out, if it is still this one; the caller drops it and the old lists without a lock.
    fn remove(&self, id: &str, only: Option<&Arc<Handler>>) -> Option<(Arc<Handler>, Vec<Arc<List>>)> {
        let (handler, gone) = {
            let mut book = self.0.book.lock();
            let (there, _) = book.handlers.get(id)?;
            if only.is_some_and(|only| !Arc::ptr_eq(only, there)) {
                return None;
            }
            let (_, (handler, events)) = book.handlers.remove_entry(id)?;
            let gone =
                events.iter().map(|event| book.slot(*event).change(|list| list.retain(|other| *other.id != *id)));
            let gone = gone.collect();
            (handler, gone)
        };
        if let Some(backlog) = &handler.backlog {
            backlog.close();
        }
        Some((handler, gone))
    }

    /// Who is attached, by id.
    pub fn list(&self) -> Vec<Listed> {
        let handlers: Vec<_> = {
            let book = self.0.book.lock();
            book.handlers.values().map(|(handler, events)| (Arc::clone(handler), events.clone())).collect()
        };
        let listed = handlers.into_iter().map(|(handler, events)| {
            let (queued, overflowed) = handler.backlog.as_ref().map_or((0, 0), Backlog::figures);
            Listed { id: Arc::clone(&handler.id), events, queued, overflowed }
        });
        let mut list: Vec<_> = listed.collect();
        list.sort_by(|a, b| a.id.cmp(&b.id));
        list
    }

    /// Calls the handler. If it panics it is detached, and whoever calls does not notice.
    pub(crate) fn call(&self, handler: &Arc<Handler>, event: &Event) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| (handler.call)(event))) else { return };
        let reason = panic_text(&*panic);
        // A payload is a user's value, and its drop may panic, too.
        _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
        // Of many threads that see it fail one detaches it and says so.
        let Some(gone) = self.remove(&handler.id, Some(handler)) else { return };
        _ = catch_unwind(AssertUnwindSafe(|| drop(gone)));
        self.0.failures.fetch_add(1, Ordering::Relaxed); // ordering: a count
        self.emit(HANDLER_FAILURE, || {
            let metadata = fields! {
                event_name: event.name.to_string(),
                handler_id: Arc::clone(&handler.id),
                reason: reason,
            };
            (fields! {}, metadata)
        });
    }
}

/// What a panic said, as far as it is text.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a text".to_owned(),
    }
}

impl Book {
    pub(crate) fn slot(&mut self, name: EventName) -> &Arc<Slot> {
        self.slots.entry(name).or_insert_with(|| {
            let (listeners, list) = (AtomicUsize::new(0), Snapshot::new(List::new()));
            Arc::new(Slot { name, listeners, list, tap: Tap::new() })
        })
    }
}

impl Slot {
    /// Whether somebody listens.
    pub(crate) fn heard(&self) -> bool {
        // ordering: Acquire, pairs with the Release in `change`.
        self.listeners.load(Ordering::Acquire) > 0
    }

    /// Called under the book's lock. Returns the old list, to be dropped outside of it.
    #[must_use = "dropping a list may drop a handler, which is not done under the lock"]
    fn change(&self, change: impl FnOnce(&mut List)) -> Arc<List> {
        let old = self.list.load();
        let mut list = List::clone(&old);
        change(&mut list);
        let len = list.len();
        self.list.store(Arc::new(list));
        // ordering: Release, pairs with the Acquire in `heard`: who sees the length finds the list. Only stored, never
        // loaded, by writers.
        self.listeners.store(len, Ordering::Release);
        old
    }
}
