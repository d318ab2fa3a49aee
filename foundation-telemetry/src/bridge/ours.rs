//! Which of our spans a span of `tracing` is, and where it is entered.

use std::sync::Arc;

use foundation_context::{SpanLink, span};
use foundation_sync::{
    legacy::Mode,
    thread::{self, ThreadId},
};

use super::inward::Shared;

/// Kept with the span of `tracing`. One for each layer that brought it in: a subscriber may have several.
#[derive(Default)]
pub(super) struct Ours(Vec<One>);

struct One {
    layer: Arc<Shared>,
    link: SpanLink,
    /// On which threads it is entered, and where among the spans of each. Guards of `tracing` may be dropped in any order.
    entered: Vec<(ThreadId, span::Place)>,
}

impl Ours {
    pub(super) fn add(&mut self, layer: &Arc<Shared>, link: SpanLink) {
        self.0.push(One { layer: Arc::clone(layer), link, entered: Vec::new() });
    }

    /// The one that this layer brought in.
    pub(super) fn of(&self, layer: &Arc<Shared>) -> Option<SpanLink> {
        self.0.iter().find(|one| Arc::ptr_eq(&one.layer, layer)).map(|one| one.link)
    }

    /// Whether it is this span, whichever layer brought it in.
    pub(super) fn is(&self, link: Option<SpanLink>) -> bool {
        self.0.iter().any(|one| Some(one.link) == link)
    }

    /// It is the calling thread's current one until it is [left](Self::leave).
    pub(super) fn enter(&mut self, layer: &Arc<Shared>, mode: &Mode) {
        if let Some(one) = self.one(layer) {
            one.entered.push((thread::id(), span::push(one.link, mode)));
        }
    }

    /// The calling thread leaves it, as often as it has entered it.
    pub(super) fn leave(&mut self, layer: &Arc<Shared>) {
        let Some(one) = self.one(layer) else { return };
        let here = thread::id();
        if let Some(at) = one.entered.iter().rposition(|(thread, _)| *thread == here) {
            let (_, place) = one.entered.swap_remove(at);
            span::remove(place);
        }
    }

    /// It is over; a guard that was forgotten on this thread does not leave it the current one.
    pub(super) fn take(&mut self, layer: &Arc<Shared>) -> Option<SpanLink> {
        let at = self.0.iter().position(|one| Arc::ptr_eq(&one.layer, layer))?;
        let (here, one) = (thread::id(), self.0.swap_remove(at));
        one.entered.into_iter().filter(|(thread, _)| *thread == here).for_each(|(_, place)| span::remove(place));
        Some(one.link)
    }

    fn one(&mut self, layer: &Arc<Shared>) -> Option<&mut One> {
        self.0.iter_mut().find(|one| Arc::ptr_eq(&one.layer, layer))
    }
}
