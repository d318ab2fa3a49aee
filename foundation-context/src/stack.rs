//! The spans that are open on a thread.
//!
//! Guards may be dropped in any order, and may outlive the call of [`Context::enter`](crate::Context::enter) in which
//! they were made. So nothing here restores what was there before: each takes its own entry out, wherever it stands, and
//! the current span is the last that is left.

use std::sync::Arc;

use foundation_sync::legacy::Mode;

use crate::{SpanLink, slot::SPANS};

/// A span as a thread has it. Contexts share it, so that they, and errors that remember one, stay small.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) link: SpanLink,
    /// How its universe treats spans: in legacy mode the link does not leave the thread.
    pub(crate) mode: Mode,
}

/// The entries of one thread, the innermost last.
#[derive(Debug)]
pub(crate) struct Stack {
    entries: Vec<Entry>,
    /// How many entries there ever were.
    placed: u64,
}

#[derive(Debug)]
struct Entry {
    place: u64,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// Hides what is below it.
    Nothing,
    /// Nobody has asked for it.
    Alone(Current),
    Shared(Arc<Current>),
}

impl Held {
    fn link(&self) -> Option<SpanLink> {
        match self {
            Self::Nothing => None,
            Self::Alone(current) => Some(current.link),
            Self::Shared(current) => Some(current.link),
        }
    }

    /// For a context: shared from now on.
    fn share(&mut self) -> Option<Arc<Current>> {
        let current = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => return None,
            Self::Alone(current) => Arc::new(current),
            Self::Shared(current) => current,
        };
        *self = Self::Shared(Arc::clone(&current));
        Some(current)
    }
}

/// Where a span stands among those of its thread.
#[derive(Debug)]
#[must_use = "what is placed has to be removed"]
pub struct Place(u64);

impl Stack {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), placed: 0 }
    }

    fn place(&mut self, held: Held) -> Place {
        self.placed += 1;
        self.entries.push(Entry { place: self.placed, held });
        Place(self.placed)
    }
}

/// Makes this span, or none, the thread's current one.
///
/// `None` where the thread is about to end.
pub(crate) fn place(current: Option<Arc<Current>>) -> Option<Place> {
    SPANS.try_with(|stack| stack.borrow_mut().place(current.map_or(Held::Nothing, Held::Shared))).ok()
}

/// Makes it the thread's current one from now on, whatever was there.
pub(crate) fn replace(current: Option<Arc<Current>>) {
    let old = SPANS.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        let old = std::mem::take(&mut stack.entries);
        if let Some(current) = current {
            _ = stack.place(Held::Shared(current));
        }
        old
    });
    drop(old);
}

/// The thread's current span; `None` where the thread is about to end.
pub(crate) fn current() -> Option<Arc<Current>> {
    SPANS.try_with(|stack| stack.borrow_mut().entries.last_mut().and_then(|entry| entry.held.share())).ok().flatten()
}

/// The link of the thread's current span, if it has one.
pub fn current_span() -> Option<SpanLink> {
    SPANS.try_with(|stack| stack.borrow().entries.last().and_then(|entry| entry.held.link())).ok().flatten()
}

/// Makes this span the thread's current one, until it is removed.
pub fn push(link: SpanLink, mode: &Mode) -> Place {
    let held = Held::Alone(Current { link, mode: mode.clone() });
    SPANS.try_with(|stack| stack.borrow_mut().place(held)).unwrap_or(Place(0))
}

/// Takes the span out, wherever it stands.
pub fn remove(Place(place): Place) {
    let entry = SPANS.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        let at = stack.entries.iter().rposition(|entry| entry.place == place)?;
        Some(stack.entries.remove(at))
    });
    drop(entry);
}
