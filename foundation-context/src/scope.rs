//! What is said on a thread, and until when.
//!
//! A thread has a pile of entries, the innermost last. Who opens a scope gets its entry's number, and takes that one out
//! again wherever it stands: guards may be dropped in any order, and nothing here restores "what was there before".
//! What a context shows is gathered from the pile when somebody asks, and kept with the innermost entry until something
//! below changes; so a scope costs the same at any depth, and a context that leaves the thread is never a chain.
//!
//! Entries come in three kinds. A scope's stays until its number is called. What was [`set`] hides what is below, and ends
//! with the scope in which it was set. A context that was entered hides what is below, too, and takes all that is left
//! above it along when it ends; the breadcrumbs of the outer piece of work wait in it meanwhile.

use std::{fmt, marker::PhantomData, sync::Arc};

use foundation_sync::legacy::View;

use crate::{Breadcrumb, Fields, MOST_BYTES, Value, contexts, gathered::Gathered, slot::PILE, trail::Trail};

type Seen = Option<Arc<Gathered>>;
pub(crate) type Way = Option<Arc<Trail>>;

pub(crate) struct Pile {
    entries: Vec<Entry>,
    /// How many entries there ever were. The first one's number is 1.
    placed: u64,
    /// Of the piece of work that is under way.
    trail: Way,
}

struct Entry {
    id: u64,
    /// The entry with which it ends: another one for what was set.
    owner: u64,
    /// Whether what is below is hidden.
    hides: bool,
    fields: Fields,
    /// What is visible from here, if somebody asked.
    seen: Seen,
    /// Of a context that was entered: the trail of the outer piece of work.
    outer: Option<Way>,
}

impl Pile {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), placed: 0, trail: None }
    }

    fn next(&mut self) -> u64 {
        self.placed += 1;
        self.placed
    }

    fn open(&mut self, fields: Fields, hides: bool) -> u64 {
        let id = self.next();
        self.entries.push(Entry { id, owner: id, hides, fields, seen: None, outer: None });
        id
    }

    fn set(&mut self, fields: Fields) {
        let owner = match self.entries.last_mut() {
            // Set again: the pile does not grow.
            Some(last) if last.owner != last.id => {
                (last.fields, last.seen) = (fields, None);
                return;
            }
            last => last.map_or(0, |last| last.id),
        };
        let id = self.next();
        self.entries.push(Entry { id, owner, hides: true, fields, seen: None, outer: None });
    }

    fn enter(&mut self, seen: Seen, trail: Way) -> u64 {
        let (id, outer) = (self.next(), std::mem::replace(&mut self.trail, trail));
        self.entries.push(Entry { id, owner: id, hides: true, fields: Fields::new(), seen, outer: Some(outer) });
        id
    }

    fn close(&mut self, id: u64) {
        let Some(at) = self.entries.iter().rposition(|entry| entry.id == id) else { return };
        if let Some(outer) = self.entries[at].outer.take() {
            self.trail = outer;
            self.entries.truncate(at);
        } else if at + 1 == self.entries.len() {
            self.entries.pop();
        } else {
            self.entries.retain(|entry| entry.id != id && entry.owner != id);
            // What was gathered above it is not so any more.
            self.entries[at..].iter_mut().take_while(|entry| !entry.hides).for_each(|entry| entry.seen = None);
        }
    }

    fn find(&self, name: &str) -> Option<&Value> {
        for entry in self.entries.iter().rev() {
            if entry.outer.is_some() {
                return entry.seen.as_ref()?.fields().get(name);
            }
            let said = entry.fields.get(name);
            if said.is_some() || entry.hides {
                return said;
            }
        }
        None
    }

    fn gather(&mut self) -> Seen {
        let last = self.entries.last()?;
        if last.seen.is_some() || last.outer.is_some() {
            return last.seen.clone();
        }
        let top = self.entries.len() - 1;
        let known = |entry: &Entry| entry.seen.is_some() || entry.hides;
        let from = self.entries.iter().rposition(known).unwrap_or(0);
        // Scopes come and go at the top: what they stand on is gathered once.
        if from + 1 < top {
            self.gather_up_to(from, top - 1);
            return self.gather_up_to(top - 1, top);
        }
        self.gather_up_to(from, top)
    }

    fn gather_up_to(&mut self, from: usize, to: usize) -> Seen {
        let first = &self.entries[from];
        let known = first.seen.as_deref().cloned();
        let mut all = known.unwrap_or_else(|| Gathered::of(first.fields.clone(), MOST_BYTES));
        self.entries[from + 1..=to].iter().for_each(|entry| all.add(&entry.fields));
        let seen = (!all.is_empty()).then(|| Arc::new(all));
        self.entries[to].seen.clone_from(&seen);
        seen
    }
}

/// Nothing of a user's runs or is dropped in there. `None` where the thread's slots are gone already, and where it is asked
/// from within, which only a user's allocator can do.
fn pile<R>(act: impl FnOnce(&mut Pile) -> R) -> Option<R> {
    PILE.try_with(|pile| pile.try_borrow_mut().ok().map(|mut pile| act(&mut pile))).ok().flatten()
}

/// What is visible on the calling thread, and the trail of what it is at.
pub(crate) fn seen() -> (Seen, Way) {
    pile(|pile| (pile.gather(), pile.trail.clone())).unwrap_or_default()
}

/// Makes this all that is visible on the calling thread, for good.
pub(crate) fn bind(seen: Seen, trail: Way) {
    let old = pile(|pile| {
        let old = (std::mem::take(&mut pile.entries), pile.trail.take());
        if seen.is_some() || trail.is_some() {
            _ = pile.enter(seen, trail);
        }
        old
    });
    drop(old);
}

/// Adds to the trail of what the calling thread is at.
pub(crate) fn leave(breadcrumb: Breadcrumb) {
    let oldest = pile(|pile| Arc::make_mut(pile.trail.get_or_insert_default()).push(breadcrumb));
    drop(oldest);
}

/// A context that was entered, until it is dropped.
pub(crate) struct Inside(u64);

pub(crate) fn enter(seen: Seen, trail: Way) -> Inside {
    Inside(pile(|pile| pile.enter(seen, trail)).unwrap_or(0))
}

impl Drop for Inside {
    fn drop(&mut self) {
        _ = pile(|pile| pile.close(self.0));
    }
}

/// Fields that are in the context until this is dropped. Guards may be dropped in any order: each takes out what is its
/// own. It stays on its thread.
///
/// ```compile_fail
/// let scope = foundation_context::scope(foundation_context::fields! { a: 1 });
/// std::thread::spawn(move || drop(scope));
/// ```
#[must_use = "its fields are taken out again when it is dropped"]
pub struct Scope {
    id: u64,
    /// For the thread's home to count, while it works the old way.
    _view: Option<View>,
    _stays: PhantomData<*const ()>,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.id)
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        _ = pile(|pile| pile.close(self.id));
    }
}

#[inline]
fn open(fields: Fields, hides: bool) -> Scope {
    let id = pile(|pile| pile.open(fields, hides)).unwrap_or(0);
    Scope { id, _view: contexts::view(), _stays: PhantomData }
}

/// Runs `work` with these fields added to the context; what a name said before is hidden meanwhile.
#[inline]
pub fn with<R>(fields: Fields, work: impl FnOnce() -> R) -> R {
    let _scope = open(fields, false);
    work()
}

/// Runs `work` with these fields, and no others, in the context. Who works, the span and the breadcrumbs stay.
pub fn with_only<R>(fields: Fields, work: impl FnOnce() -> R) -> R {
    let _scope = open(fields, true);
    work()
}

/// Adds these fields to the context until the guard is dropped: for what does not end where a call does.
///
/// ```
/// use foundation_context::{self as context, fields};
///
/// let first = context::scope(fields! { a: 1 });
/// let second = context::scope(fields! { b: 2 });
/// drop(first);
/// assert_eq!(context::current().to_string(), "b: 2");
/// # drop(second);
/// ```
pub fn scope(fields: Fields) -> Scope {
    open(fields, false)
}

/// Makes these fields, and no others, the context's from now on: until the innermost scope, or the call of
/// [`enter`](crate::Context::enter) or [`take_on`](crate::Context::take_on), that is open now ends, or somebody sets
/// others in it. Then what was there before is visible again. Where none is open they stay until the thread ends.
pub fn set(fields: Fields) {
    _ = pile(|pile| pile.set(fields));
}

/// What the field of this name says on the calling thread: looked for where it lies, without a lock or an allocation, and as
/// it was said, also where a context has no room for it. [`Context::get`](crate::Context::get) asks one that was taken
/// along.
///
/// ```
/// use foundation_context::{self as context, Value, fields};
///
/// let step = context::with(fields! { step: "parse" }, || context::field("step"));
/// assert_eq!(step, Some(Value::from("parse")));
/// assert_eq!(context::field("step"), None);
/// ```
pub fn field(name: &str) -> Option<Value> {
    pile(|pile| pile.find(name).cloned()).flatten()
}

/// Leaves no field in the context, from now on, for as long as [`set`] would.
pub fn clear() {
    set(Fields::new());
}
