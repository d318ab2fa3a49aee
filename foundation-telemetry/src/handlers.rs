//! Who is attached.
//!
//! # Protocol
//! One lock guards the table of names and handlers; a writer makes a new list for each name that it changes and
//! publishes it as a snapshot, then its length. Whoever emits looks at the length, borrows the list and calls the handlers
//! without a lock. A handler lives until the last list that holds it is gone, and its closure is dropped with it, by
//! whoever had that list: who detaches, or an emission that was on its way. So no emission that begins after `detach`
//! has returned can meet it, and no emission keeps the closures of others alive. One that panicked is kept beside the
//! table, until somebody attaches it again or nobody can.
//!
//! Named races:
//! - *attach against first use*: a name is used for the first time while a handler of a prefix is attached. Both happen
//!   under the lock: the new name's list has the handler, or whoever attaches finds the name.
//! - *detach against emission*: told above; `detach_wait` waits for the closure's drop.
//! - *two failures*: a handler panics on two threads at once. One of them takes it out of the table, and says so.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_sync::{
    Condvar, Deadline, Mutex, Snapshot,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    payload, planted, reached,
};

use crate::{
    Event, EventName, Selector, Selectors, Telemetry,
    failed::{Failed, MOST_FAILED},
    figures::Counts,
    queued::Backlog,
    sampling::Tap,
    tally::Tally,
};

pub(crate) type Call = dyn Fn(&Event) + Send + Sync;

pub(crate) struct Handler {
    pub(crate) id: Arc<str>,
    /// `None` only while it is being dropped.
    pub(crate) call: Option<Box<Call>>,
    /// Of a queued one.
    pub(crate) backlog: Option<Arc<Backlog>>,
    pub(crate) calls: Tally,
    pub(crate) failures: AtomicU64,
    end: Arc<End>,
    counts: Arc<Counts>,
}

/// Whether a handler's closure is gone.
#[derive(Default)]
pub(crate) struct End {
    is: Mutex<bool>,
    came: Condvar,
}

pub(crate) type List = Vec<Arc<Handler>>;

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
    pub(crate) handlers: HashMap<Arc<str>, (Arc<Handler>, Selectors)>,
    /// Those that panicked, the oldest first.
    pub(crate) failed: VecDeque<(Failed, Arc<Handler>, Selectors)>,
}

/// An attached handler, as [`Telemetry::list`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its id.
    pub id: Arc<str>,
    /// What it listens to.
    pub selectors: Vec<Selector>,
    /// How often it was called.
    pub calls: u64,
    /// How often it panicked: more than 0 only if it was attached again.
    pub failures: u64,
    /// How many events wait for it; 0 unless it is a queued one.
    pub queued: usize,
    /// How many events found no room in its queue, or waited there when an errand of it was refused or lost.
    pub overflowed: u64,
}

/// How many handlers are attached at most. Each emission goes through those of its name, and who attaches one makes a new
/// list for each name: where there are so many, whoever attaches them seldom detaches them.
pub const MOST_HANDLERS: usize = 1024;

/// Why a handler, of this id, was not attached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// One of this id is attached already: detach it first, or choose another id.
    Taken(Arc<str>),
    /// [`MOST_HANDLERS`] are attached already.
    TooMany(Arc<str>),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(id) => {
                write!(f, "a handler `{id}` is attached already: detach it first, or choose another id")
            }
            Self::TooMany(id) => write!(
                f,
                "{MOST_HANDLERS} handlers are attached, and there is no room for `{id}`: detach those that are not \
                 needed any more (`Telemetry::list` shows them)"
            ),
        }
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

/// Why [`Telemetry::detach_wait`] can't say that a handler has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DetachWaitError {
    /// No handler of this id is attached.
    Unknown(Arc<str>),
    /// The calling thread runs this handler, and would wait for itself. It stays attached.
    Inside(Arc<str>),
    /// It is detached, but an emission is still in it.
    TimedOut(Arc<str>),
}

impl fmt::Display for DetachWaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "no handler `{id}` is attached"),
            Self::Inside(id) => write!(f, "the handler `{id}` can't wait for its own end: use `detach` in it"),
            Self::TimedOut(id) => write!(f, "the handler `{id}` is detached, but an emission is still in it"),
        }
    }
}

impl std::error::Error for DetachWaitError {}

/// What was taken out, to be dropped without a lock: the old lists, the handler and what made room for it, and what waited.
pub(crate) type Gone = (Vec<Arc<List>>, Vec<Arc<Handler>>, VecDeque<Event>);

impl Telemetry {
    /// Calls `handler` for each event that is selected, on the thread that emits it: of one name, of several, of a prefix
    /// ([`Selector`]).
    ///
    /// # Errors
    /// The id is taken, or [`MOST_HANDLERS`] are attached; nothing was attached.
    pub fn attach(
        &self,
        id: &str,
        events: impl Into<Selectors>,
        handler: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<(), AttachError> {
        self.insert(self.handler(id, Box::new(handler), None), events.into())
    }

    /// Calls `handler` for each event that is selected, in order, away from the thread that emits: where the universe's
    /// errands are run. At most `capacity` events wait for it (0 counts as 1). What finds no room is counted
    /// ([`overflowed`](Self::overflowed)), and so is what waits when nobody takes the errand, or it is dropped unrun: the
    /// courier has no room, or has ended; at most once a second [`OVERFLOW`](crate::OVERFLOW) says so. What waits when it
    /// is detached, or fails, is not delivered, and counted apart
    /// ([`Figures::undelivered`](crate::Figures::undelivered)).
    ///
    /// Where there is no universe an errand is run by whoever emits, before `emit` returns, and goes on until nothing
    /// waits, also with what other threads emit meanwhile.
    ///
    /// In legacy mode it runs on the emitter; what waits when the mode is switched is delivered all the same, perhaps
    /// after younger events.
    ///
    /// # Errors
    /// The id is taken, or [`MOST_HANDLERS`] are attached; nothing was attached.
    pub fn attach_queued(
        &self,
        id: &str,
        events: impl Into<Selectors>,
        capacity: usize,
        handler: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<(), AttachError> {
        self.insert(self.handler(id, Box::new(handler), Some(Arc::new(Backlog::new(capacity)))), events.into())
    }

    fn handler(&self, id: &str, call: Box<Call>, backlog: Option<Arc<Backlog>>) -> Arc<Handler> {
        let (calls, failures) = (Tally::default(), AtomicU64::new(0));
        let (end, counts) = (Arc::default(), Arc::clone(&self.0.counts));
        Arc::new(Handler { id: id.into(), call: Some(call), backlog, calls, failures, end, counts })
    }

    fn insert(&self, handler: Arc<Handler>, events: Selectors) -> Result<(), AttachError> {
        let id = Arc::clone(&handler.id);
        let refused = {
            let mut book = self.0.book.lock();
            if book.handlers.contains_key(&id) {
                Some((handler, AttachError::Taken(id)))
            } else if book.is_full() {
                Some((handler, AttachError::TooMany(id)))
            } else {
                book.put_in(handler, events);
                None
            }
        };
        match refused {
            // The closure is dropped here, not under the lock.
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Detaches a handler from all its events. An event that is on its way may still reach it; one that waits in its
    /// queue does not. Its closure is dropped here, or by the last emission that is in it. One that has failed, and waits
    /// to be attached again, is forgotten.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn detach(&self, id: &str) -> Result<(), DetachError> {
        if self.let_go(id, None) || self.forget(id) { Ok(()) } else { Err(DetachError { id: id.into() }) }
    }

    /// Detaches a handler from all its events, and waits until no emission is in it any more: then its closure has been
    /// dropped.
    ///
    /// # Errors
    /// There is none of this id; it is called by the handler itself, or by one that hears one of its events and would wait
    /// for its own emission, and nothing was done; or it was detached, and the deadline has passed while an emission was
    /// still in it.
    pub fn detach_wait(&self, id: &str, until: Deadline) -> Result<(), DetachWaitError> {
        let (there, inside) = {
            let book = self.0.book.lock();
            let there = book.handlers.get(id).map(|(handler, _)| (handler.number(), Arc::clone(&handler.end)));
            let inside = there.as_ref().is_some_and(|(number, _)| {
                foundation_context::inside::is(|who| who == *number || book.hear_the_same(who, *number))
            });
            (there, inside)
        };
        let Some((number, end)) = there else {
            return if self.forget(id) { Ok(()) } else { Err(DetachWaitError::Unknown(id.into())) };
        };
        if inside {
            return Err(DetachWaitError::Inside(id.into()));
        }
        self.let_go(id, Some(number));
        // It may have failed meanwhile.
        self.forget_if(id, |handler| handler.number() == number);
        if end.wait(&until) { Ok(()) } else { Err(DetachWaitError::TimedOut(id.into())) }
    }

    /// Takes the handler out, if it is still the one of this number.
    fn let_go(&self, id: &str, only: Option<usize>) -> bool {
        let gone = self.0.take_out(id, only);
        let found = gone.is_some();
        drop(gone);
        // Who flushes waits for it no more.
        self.0.activity.bump();
        found
    }

    /// Who is attached, by id.
    pub fn list(&self) -> Vec<Listed> {
        let mut list: Vec<_> = {
            let book = self.0.book.lock();
            book.handlers.values().map(|(handler, selectors)| handler.listed(selectors)).collect()
        };
        list.sort_by(|a, b| a.id.cmp(&b.id));
        list
    }
}

impl crate::telemetry::Inner {
    fn take_out(&self, id: &str, only: Option<usize>) -> Option<Gone> {
        let mut book = self.book.lock();
        let (handler, _, mut gone) = book.take_out(id, only)?;
        gone.1.push(handler);
        Some(gone)
    }

    /// Takes one out that has failed, and keeps it apart. `None`: somebody else has taken it out.
    pub(crate) fn set_apart(&self, only: &Arc<Handler>, why: impl FnOnce(&Selectors) -> Failed) -> Option<Gone> {
        let mut book = self.book.lock();
        let only_one =
            if planted!("handlers: who fails twice is taken out twice") { None } else { Some(only.number()) };
        let (handler, selectors, mut gone) = book.take_out(&only.id, only_one)?;
        // What failed before under the same id makes room, and so does the oldest of too many.
        let before = book.failed.iter().position(|(failed, ..)| failed.id == only.id);
        let before = before.or_else(|| (book.failed.len() == MOST_FAILED).then_some(0));
        if let Some((_, old, _)) = before.and_then(|at| book.failed.remove(at)) {
            self.counts.forgotten.fetch_add(1, Ordering::Relaxed); // ordering: a count
            gone.1.push(old);
        }
        let failed = why(&selectors);
        book.failed.push_back((failed, handler, selectors));
        Some(gone)
    }
}

impl Handler {
    /// Which one it is, as long as it lives.
    pub(crate) fn number(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    fn listed(&self, selectors: &Selectors) -> Listed {
        let (queued, overflowed) = self.backlog.as_ref().map_or((0, 0), |backlog| backlog.figures());
        Listed {
            id: Arc::clone(&self.id),
            selectors: selectors.as_slice().to_vec(),
            calls: self.calls.sum(),
            failures: self.failures.load(Ordering::Relaxed), // ordering: a count
            queued,
            overflowed,
        }
    }
}

impl Drop for Handler {
    /// Whoever drops it may be an emission, which must not notice a panic.
    fn drop(&mut self) {
        let call = self.call.take();
        if planted!("handlers: the end is told before the closure is dropped") {
            *self.end.is.lock() = true;
            self.end.came.notify_all();
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(call))) {
            payload::forget(panic);
            self.counts.drop_panics.fetch_add(1, Ordering::Relaxed); // ordering: a count
        }
        *self.end.is.lock() = true;
        self.end.came.notify_all();
    }
}

impl End {
    fn wait(&self, until: &Deadline) -> bool {
        let mut is = self.is.lock();
        while !*is && !until.passed() {
            reached!("handlers: an emission is still in it");
            is = self.came.wait(is, until);
        }
        *is
    }
}

impl Book {
    /// The slot of this name. Race "attach against first use".
    pub(crate) fn slot(&mut self, name: EventName) -> &Arc<Slot> {
        let handlers = &self.handlers;
        self.slots.entry(name).or_insert_with(|| {
            let forgets = planted!("handlers: a new name has no handlers of prefixes");
            let hears = |selectors: &Selectors| selectors.has_prefix() && selectors.selects(name) && !forgets;
            let hear = handlers.values().filter(|(_, selectors)| hears(selectors));
            let list: List = hear.map(|(handler, _)| Arc::clone(handler)).collect();
            Arc::new(Slot { name, listeners: AtomicUsize::new(list.len()), list: Snapshot::new(list), tap: Tap::new() })
        })
    }

    /// Whether there is an event that both of these hear.
    fn hear_the_same(&self, one: usize, other: usize) -> bool {
        self.slots.values().any(|slot| {
            let list = slot.list.load();
            let hears = |number| list.iter().any(|handler| handler.number() == number);
            hears(one) && hears(other)
        })
    }

    /// Whether there is no room for one more handler.
    pub(crate) fn is_full(&self) -> bool {
        self.handlers.len() >= MOST_HANDLERS
    }

    /// Attaches a handler whose id is free, where there is room.
    pub(crate) fn put_in(&mut self, handler: Arc<Handler>, selectors: Selectors) {
        // Entered last, so that a slot that is made here does not have it yet.
        for name in selectors.names() {
            self.slot(name);
        }
        for slot in self.slots.values().filter(|slot| selectors.selects(slot.name)) {
            // All handlers of the old list are in the new one, so none is dropped here.
            _ = slot.change(|list| list.push(Arc::clone(&handler)));
        }
        self.handlers.insert(Arc::clone(&handler.id), (handler, selectors));
    }

    fn take_out(&mut self, id: &str, only: Option<usize>) -> Option<(Arc<Handler>, Selectors, Gone)> {
        let (there, _) = self.handlers.get(id)?;
        if only.is_some_and(|only| only != there.number()) {
            return None;
        }
        let (_, (handler, selectors)) = self.handlers.remove_entry(id)?;
        let slots = self.slots.values().filter(|slot| selectors.selects(slot.name));
        let lists = slots.map(|slot| slot.change(|list| list.retain(|other| *other.id != *id))).collect();
        // Under the lock, so that it is not closed after it has been attached again. No event holds a user's value.
        let waiting = handler.backlog.as_ref().map(|backlog| backlog.close(&handler.counts)).unwrap_or_default();
        Some((handler, selectors, (lists, Vec::new(), waiting)))
    }
}

impl Slot {
    /// Whether somebody listens.
    #[inline]
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
        if planted!("handlers: the old list stays") && len < old.len() {
            return old;
        }
        self.list.store(Arc::new(list));
        // ordering: Release, pairs with the Acquire in `heard`: who sees the length finds the list. Only stored, never
        // loaded, by writers.
        self.listeners.store(len, Ordering::Release);
        old
    }
}
