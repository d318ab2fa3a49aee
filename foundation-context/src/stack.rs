//! The spans that are open on a thread.
//!
//! Guards may be dropped in any order, and may outlive the call of [`Context::enter`](crate::Context::enter) in which
//! they were made. So nothing here restores what was there before: each takes its own entry out, wherever it stands, and
//! the current span is the last that is left.

use std::sync::Arc;

use foundation_sync::legacy::Mode;

use crate::{SpanLink, slot::SPANS};

/// A span as a thread has it. Shared, so that contexts, and errors that remember one, stay small.
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
    /// `None` hides what is below it.
    current: Option<Arc<Current>>,
}

/// Where a span stands among those of its thread.
#[derive(Debug)]
#[must_use = "what is placed has to be removed"]
pub struct Place(u64);

impl Stack {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), placed: 0 }
    }

    fn place(&mut self, current: Option<Arc<Current>>) -> Place {
        self.placed += 1;
        self.entries.push(Entry { place: self.placed, current });
        Place(self.placed)
    }
}

/// Makes this span, or none, the thread's current one.
///
/// `None` where the thread is about to end.
pub(crate) fn place(current: Option<Arc<Current>>) -> Option<Place> {
    SPANS.try_with(|stack| stack.borrow_mut().place(current)).ok()
}

/// Makes it the thread's current one from now on, whatever was there.
pub(crate) fn replace(current: Option<Arc<Current>>) {
    let old = SPANS.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        let old = std::mem::take(&mut stack.entries);
        if current.is_some() {
            _ = stack.place(current);
        }
        old
    });
    drop(old);
}

/// The thread's current span; `None` where the thread is about to end.
pub(crate) fn current() -> Option<Arc<Current>> {
    SPANS.try_with(|stack| stack.borrow().entries.last().and_then(|entry| entry.current.clone())).ok().flatten()
}

/// The link of the thread's current span, if it has one.
pub fn current_span() -> Option<SpanLink> {
    current().map(|current| current.link)
}

/// Makes this span the thread's current one, until it is removed.
pub fn push(link: SpanLink, mode: &Mode) -> Place {
    place(Some(Arc::new(Current { link, mode: mode.clone() }))).unwrap_or(Place(0))
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
