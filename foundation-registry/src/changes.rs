//! Who hears of changes: listeners, and those who watch a name.
//!
//! # Protocol: a change is said where it is made
//! Whoever changes what stands under a key says so when it can be seen, under the lock of that part of the table: so
//! those who listen hear the changes of one key in the order in which they were made. Saying it is putting it into
//! bounded queues. Nobody's code runs, and what finds no room is counted.
//!
//! Named race: *listen against change*: who makes a change makes it, and then looks at `heard`, under the lock of that
//! part; who comes to listen enters itself, raises `heard`, and passes through each part's lock before it looks at the
//! table. A change before that is seen, and one after it is heard. Groups have no such lock in common: there a fence on
//! each side orders its write before its look.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
};

use foundation_sync::{
    Full, Mutex, Queue, RecvError, TryRecvError, Until,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    fence, planted, reached,
};
use slab::Slab;
use smol_str::SmolStr;

use crate::{Entry, held::Held, inner::Inner, names::Names};

/// Why an entry is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Removal {
    /// It was unregistered while its owner lived.
    Unregistered,
    /// Its owner ended.
    OwnerEnded,
    /// Its owner was abandoned, and is fenced.
    OwnerAbandoned,
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// It is new.
    Registered,
    /// It has taken the place of the same registration with another value or metadata.
    Updated,
    /// It is no more.
    Unregistered(Removal),
}

/// A change of a registry.
pub struct Change<V> {
    /// What happened.
    pub what: What,
    /// To which entry.
    pub entry: Entry<V>,
}

impl<V> Clone for Change<V> {
    fn clone(&self) -> Self {
        Self { what: self.what, entry: self.entry.clone() }
    }
}

impl<V> fmt::Debug for Change<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.what, self.entry)
    }
}

pub(crate) struct Changes<V> {
    /// How many listen or watch. With nobody, a change costs a load, and a group's a fence.
    heard: AtomicUsize,
    listeners: Mutex<Slab<Arc<Ear<V>>>>,
    watches: Mutex<HashMap<SmolStr, Slab<Queue<()>>>>,
}

struct Ear<V> {
    changes: Queue<Change<V>>,
    lost: AtomicU64,
}

impl<V> Default for Changes<V> {
    fn default() -> Self {
        Self { heard: AtomicUsize::new(0), listeners: Mutex::default(), watches: Mutex::default() }
    }
}

impl<V: Send + Sync + 'static> Changes<V> {
    /// Says what can be seen since just now. Called under a lock of the table; the caller keeps the entry.
    pub(crate) fn say(&self, what: What, held: &Arc<Held<V>>) {
        if held.group.is_some() {
            // ordering: SeqCst, pairs with the fence in `hear`.
            fence(Ordering::SeqCst);
        }
        if self.is_heard() {
            for (_, ear) in &*self.listeners.lock() {
                let change = Change { what, entry: Entry(Arc::clone(held)) };
                if ear.changes.try_send(change).is_err() {
                    // ordering: Relaxed, it is a count.
                    ear.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            if held.group.is_none() {
                self.nudge(&held.key);
            }
        }
    }

    /// Somebody else is found under the name: those who watch it look again.
    pub(crate) fn moved(&self, held: &Held<V>) {
        if self.is_heard() {
            self.nudge(&held.key);
        }
    }

    fn is_heard(&self) -> bool {
        // ordering: Relaxed, ordered by the lock that the caller holds, or the fence: race "listen against change".
        self.heard.load(Ordering::Relaxed) > 0 && !planted!("registry: a change is not said")
    }

    fn nudge(&self, name: &str) {
        for (_, news) in self.watches.lock().get(name).into_iter().flatten() {
            // One that has not been read yet says as much.
            _ = news.try_send(());
        }
    }

    /// One more listens, and is entered.
    fn hear(&self, names: &Names<V>) {
        // ordering: Relaxed, ordered by what follows.
        self.heard.fetch_add(1, Ordering::Relaxed);
        // ordering: SeqCst, pairs with the fence in `say`.
        fence(Ordering::SeqCst);
        names.pass();
    }

    fn unhear(&self) {
        // ordering: Relaxed: who still sees the old count finds nobody.
        self.heard.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn listeners(&self) -> usize {
        self.listeners.lock().len()
    }

    pub(crate) fn watches(&self) -> usize {
        self.watches.lock().values().map(Slab::len).sum()
    }
}

/// Hears of every change of a registry: see [`Registry::listen`](crate::Registry::listen). Dropped, it hears no more.
#[must_use = "dropped, it hears nothing"]
pub struct Listener<V: Send + Sync + 'static> {
    registry: Arc<Inner<V>>,
    ear: Arc<Ear<V>>,
    key: usize,
}

impl<V: Send + Sync + 'static> Listener<V> {
    pub(crate) fn new(registry: &Arc<Inner<V>>, capacity: usize) -> Self {
        let ear = Arc::new(Ear { changes: Queue::bounded(capacity, Full::Refuse), lost: AtomicU64::new(0) });
        let changes = &registry.books.changes;
        let key = changes.listeners.lock().insert(Arc::clone(&ear));
        changes.hear(&registry.names);
        Self { registry: Arc::clone(registry), ear, key }
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// There is none by the deadline, or the caller was told to stop.
    #[track_caller]
    pub fn recv<'a>(&self, until: impl Into<Until<'a>>) -> Result<Change<V>, RecvError> {
        self.ear.changes.recv(until)
    }

    /// The next change, if there is one.
    ///
    /// # Errors
    /// There is none.
    pub fn try_recv(&self) -> Result<Change<V>, TryRecvError> {
        self.ear.changes.try_recv()
    }

    /// How many changes found no room: they were not heard. Who sees it rise looks at
    /// [`Registry::entries`](crate::Registry::entries) to know what there is.
    pub fn lost(&self) -> u64 {
        // ordering: Relaxed, it is a count.
        self.ear.lost.load(Ordering::Relaxed)
    }
}

impl<V: Send + Sync + 'static> Drop for Listener<V> {
    fn drop(&mut self) {
        let changes = &self.registry.books.changes;
        changes.unhear();
        let ear = changes.listeners.lock().try_remove(self.key);
        drop(ear);
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Listener<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({} waiting, {} lost)", self.ear.changes.len(), self.lost())
    }
}

/// Waits for a name to stand for something else: see [`Registry::watch`](crate::Registry::watch).
#[must_use = "dropped, it watches nothing"]
pub struct Watch<V: Send + Sync + 'static> {
    registry: Arc<Inner<V>>,
    name: SmolStr,
    news: Queue<()>,
    key: usize,
    /// What was found last: no more than its memory is kept, not its value.
    seen: Option<Weak<Held<V>>>,
}

impl<V: Send + Sync + 'static> Watch<V> {
    pub(crate) fn new(registry: &Arc<Inner<V>>, name: &str) -> Self {
        let (news, changes) = (Queue::bounded(1, Full::Refuse), &registry.books.changes);
        let name = SmolStr::new(name);
        let key = changes.watches.lock().entry(name.clone()).or_default().insert(news.clone());
        changes.hear(&registry.names);
        let seen = registry.names.find(&name).as_ref().map(Arc::downgrade);
        Self { registry: Arc::clone(registry), name, news, key, seen }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the name stands for something else than when this returned last, or, the first time, than when the
    /// watch began: another owner's entry, an update, or nothing. What came and went in between is not seen. (A turn of
    /// the switch of the feature `legacy` is no change of the name: what it shows is seen at the next look.)
    ///
    /// # Errors
    /// Nothing has changed by the deadline, or the caller was told to stop.
    #[track_caller]
    pub fn next<'a>(&mut self, until: impl Into<Until<'a>>) -> Result<Option<Entry<V>>, RecvError> {
        let until = until.into();
        loop {
            if let Some(now) = self.try_next() {
                return Ok(now);
            }
            reached!("registry: a watch waited");
            self.news.recv(until.clone())?;
        }
    }

    /// What the name stands for now, if that is something else than what was seen last.
    pub fn try_next(&mut self) -> Option<Option<Entry<V>>> {
        let now = self.registry.names.find(&self.name);
        let same = match (&now, &self.seen) {
            (Some(now), Some(seen)) => std::ptr::eq(Arc::as_ptr(now), seen.as_ptr()),
            (None, None) => true,
            _ => false,
        };
        if same {
            return None;
        }
        self.seen = now.as_ref().map(Arc::downgrade);
        Some(now.map(Entry))
    }
}

impl<V: Send + Sync + 'static> Drop for Watch<V> {
    fn drop(&mut self) {
        let changes = &self.registry.books.changes;
        changes.unhear();
        let news = {
            let mut watches = changes.watches.lock();
            let those = watches.get_mut(&self.name);
            let news = those.and_then(|those| those.try_remove(self.key));
            if watches.get(&self.name).is_some_and(Slab::is_empty) {
                watches.remove(&self.name);
            }
            news
        };
        drop(news);
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Watch<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.name)
    }
}
