//! Handlers, and who calls them.
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

use foundation_context::{Fields, current, fields};
use foundation_sync::{
    Activity, Mutex, Snapshot,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::{Event, EventName, HANDLER_FAILURE};

type Call = dyn Fn(&Event) + Send + Sync;

struct Handler {
    id: Arc<str>,
    call: Box<Call>,
}

type List = Vec<Arc<Handler>>;

/// Who listens to one name.
struct Slot {
    /// The length of the list, for those who would find it empty.
    listeners: AtomicUsize,
    list: Snapshot<List>,
}

#[derive(Default)]
struct Book {
    slots: HashMap<EventName, Arc<Slot>>,
    /// By id: the handler and its events.
    handlers: HashMap<Arc<str>, (Arc<Handler>, Vec<EventName>)>,
}

/// The events of one universe. A clone is another handle.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    activity: Activity,
    failures: AtomicU64,
    book: Mutex<Book>,
}

/// An attached handler, as [`Telemetry::list`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: Arc<str>,
    /// What it listens to.
    pub events: Vec<EventName>,
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

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// No handlers.
    pub fn new() -> Self {
        Self::with_activity(Activity::default())
    }

    /// No handlers; events that are heard move this universe's activity counter.
    pub fn with_activity(activity: Activity) -> Self {
        let (failures, book) = (AtomicU64::new(0), Mutex::new(Book::default()));
        Self(Arc::new(Inner { activity, failures, book }))
    }

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
        let id: Arc<str> = id.into();
        let handler = Arc::new(Handler { id: Arc::clone(&id), call: Box::new(handler) });
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

    /// Detaches a handler from all its events. An event that is on its way may still reach it.
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
        let mut book = self.0.book.lock();
        let (there, _) = book.handlers.get(id)?;
        if only.is_some_and(|only| !Arc::ptr_eq(only, there)) {
            return None;
        }
        let (_, (handler, events)) = book.handlers.remove_entry(id)?;
        let gone = events.iter().map(|event| book.slot(*event).change(|list| list.retain(|other| *other.id != *id)));
        let gone = gone.collect();
        Some((handler, gone))
    }

    /// Who is attached, by id.
    pub fn list(&self) -> Vec<Listed> {
        let mut list: Vec<_> = {
            let book = self.0.book.lock();
            book.handlers
                .iter()
                .map(|(id, (_, events))| Listed { id: Arc::clone(id), events: events.clone() })
                .collect()
        };
        list.sort_by(|a, b| a.id.cmp(&b.id));
        list
    }

    /// How many handlers panicked and were detached.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed) // ordering: a count
    }

    /// What emits events of this name: resolve it once, emit for one load.
    pub fn emitter(&self, name: EventName) -> Emitter {
        let slot = Arc::clone(self.0.book.lock().slot(name));
        Emitter { name, slot, telemetry: self.clone() }
    }

    /// Emits one event. It looks the name up under a lock: where there are many events, keep an
    /// [`emitter`](Self::emitter).
    pub fn emit(&self, name: EventName, build: impl FnOnce() -> (Fields, Fields)) {
        self.emitter(name).emit(build);
    }

    fn failed(&self, event: EventName, handler: &Arc<Handler>, panic: Box<dyn Any + Send>) {
        let reason = panic_text(&*panic);
        // A payload is a user's value, and its drop may panic, too.
        _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
        // Of many threads that see it fail one detaches it and says so.
        let Some(gone) = self.remove(&handler.id, Some(handler)) else { return };
        _ = catch_unwind(AssertUnwindSafe(|| drop(gone)));
        self.0.failures.fetch_add(1, Ordering::Relaxed); // ordering: a count
        self.emit(HANDLER_FAILURE, || {
            (fields! {}, fields! { event_name: event.to_string(), handler_id: Arc::clone(&handler.id), reason: reason })
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

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("handlers", &self.list()).finish()
    }
}

impl Book {
    fn slot(&mut self, name: EventName) -> &Arc<Slot> {
        self.slots
            .entry(name)
            .or_insert_with(|| Arc::new(Slot { listeners: AtomicUsize::new(0), list: Snapshot::new(List::new()) }))
    }
}

impl Slot {
    /// Called under the book's lock. Returns the old list, to be dropped outside of it.
    #[must_use = "dropping a list may drop a handler, which is not done under the lock"]
    fn change(&self, change: impl FnOnce(&mut List)) -> Arc<List> {
        let old = self.list.load();
        let mut list = List::clone(&old);
        change(&mut list);
        let len = list.len();
        self.list.store(Arc::new(list));
        // ordering: Release, pairs with the Acquire in `emit`: who sees the length finds the list. Only stored, never
        // loaded, by writers.
        self.listeners.store(len, Ordering::Release);
        old
    }
}

/// Emits events of one name.
#[derive(Clone)]
pub struct Emitter {
    name: EventName,
    slot: Arc<Slot>,
    telemetry: Telemetry,
}

impl Emitter {
    /// Emits an event. `build` makes (measurements, metadata), and is called only if somebody listens.
    pub fn emit(&self, build: impl FnOnce() -> (Fields, Fields)) {
        // ordering: Acquire, pairs with the Release in `change`.
        if self.slot.listeners.load(Ordering::Acquire) > 0 {
            self.deliver(build());
        }
    }

    #[cold]
    fn deliver(&self, (measurements, metadata): (Fields, Fields)) {
        let event = Event { name: self.name, measurements, metadata, context: current() };
        for handler in self.slot.list.load().iter() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (handler.call)(&event))) {
                self.telemetry.failed(self.name, handler, panic);
            }
        }
        self.telemetry.0.activity.bump();
    }

    /// Whether somebody listens.
    pub fn heard(&self) -> bool {
        // ordering: Acquire, pairs with the Release in `change`.
        self.slot.listeners.load(Ordering::Acquire) > 0
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Emitter({})", self.name)
    }
}
