//! The new one away from the caller: for who may not wait for it.
//!
//! # Protocol
//! The old one's answer goes to the caller, and a copy of it with the new one to somebody else's errands, which a user has
//! to name: nothing of a universe's is risked with a new one that may hang. So many may be under way; what finds no room, or
//! comes back, or is dropped unrun wherever it waited, or by errands that panic, is counted as dropped, once.

use std::{fmt::Debug, sync::Arc};

use foundation_context as context;
use foundation_sync::{Errands, Nanos};

use super::{Finding, Shadow, caught, cut};

impl<O: Debug + Clone + Send + 'static, N: Debug + 'static> Shadow<O, N> {
    /// Runs the old one and returns its answer; if the call is chosen, the new one is run by the errands of
    /// [`later`](Self::later), in the caller's context, and is compared with a copy of the answer. The caller pays for the
    /// copy and for handing over. Where no errands are named it is [`run`](Self::run): the calling thread runs the new one
    /// before this returns.
    ///
    /// The new one finds what the world has become by then, and is measured under another load than the old one. One that
    /// never returns keeps its place, and whoever runs the errands; when all places are taken, further calls are dropped,
    /// which the report counts.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_later(&self, old: impl FnOnce() -> O, new: impl FnOnce() -> N + Send + 'static) -> O {
        self.run_later_if(self.chosen(None), None, old, new)
    }

    /// The same for the call of this id.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_later_for(&self, id: &str, old: impl FnOnce() -> O, new: impl FnOnce() -> N + Send + 'static) -> O {
        self.run_later_if(self.chosen(Some(id)), Some(id), old, new)
    }

    fn run_later_if<F>(&self, chosen: bool, id: Option<&str>, old: impl FnOnce() -> O, new: F) -> O
    where
        F: FnOnce() -> N + Send + 'static,
    {
        let Some((errands, places)) = self.away.as_ref().filter(|_| chosen) else {
            return self.run_if(chosen, id, old, new);
        };
        let (answer, took, new) = self.answer(old, new);
        self.send(errands, *places, id, &answer, took, new);
        answer
    }

    fn send<F>(&self, errands: &Errands, places: usize, id: Option<&str>, answer: &O, took: Nanos, new: F)
    where
        F: FnOnce() -> N + Send + 'static,
    {
        if !self.tally.wait(places) {
            self.tally.dropped();
            return self.discard(new);
        }
        let id = id.map(|id| cut(id, self.text));
        match caught(self.text, || answer.clone()) {
            Ok(copy) => {
                let later = Later { shadow: Some(self.clone()), id, took, parts: Some((copy, new)) };
                let errand = Box::new(context::inherit(|| later.run()));
                // Who takes errands is a user's, too. An errand that comes back is dropped, and counts itself; so does one
                // that a panic drops, so nothing is to be done about that here.
                _ = caught(self.text, || drop(errands.send(errand)));
            }
            Err(said) => {
                self.tally.waited();
                self.discard(new);
                let said = self.is_seen(Finding::ComparePanicked).then_some(said);
                self.note(Finding::ComparePanicked, id.as_deref(), (answer, took), (said, None));
            }
        }
    }
}

/// A call that waits for its new implementation.
struct Later<O, N, F> {
    /// `None` only while it is being dropped.
    shadow: Option<Shadow<O, N>>,
    id: Option<Arc<str>>,
    took: Nanos,
    parts: Option<(O, F)>,
}

impl<O: Debug, N: Debug, F: FnOnce() -> N> Later<O, N, F> {
    fn run(mut self) {
        if let (Some(shadow), Some((old, new))) = (&self.shadow, self.parts.take()) {
            shadow.look(self.id.as_deref(), &old, self.took, new);
            shadow.discard(old);
        }
    }
}

impl<O, N, F> Drop for Later<O, N, F> {
    fn drop(&mut self) {
        let Some(shadow) = self.shadow.take() else { return };
        if let Some(parts) = self.parts.take() {
            shadow.tally.dropped();
            shadow.discard(parts);
        }
        shadow.tally.waited();
        // It may be the last handle, and its equality is a user's.
        let (tally, text) = (Arc::clone(&shadow.tally), shadow.text);
        if caught(text, || drop(shadow)).is_err() {
            tally.drop_panicked();
        }
    }
}
