//! What says that queued handlers have lost events: one event at most for each window.
//!
//! # Protocol
//! The first loss of a window has its end timed; there one event says how much was lost by then. Where nobody keeps time
//! it is told by the first loss after the window's end, or by a flush.

use std::sync::{Arc, Weak};

use foundation_context::fields;
use foundation_sync::{Mutex, Nanos, atomic::Ordering};

use crate::{OVERFLOW, Telemetry, telemetry::Inner};

/// How long a window is.
const WINDOW: Nanos = 1_000_000_000;

#[derive(Default)]
pub(crate) struct Overflow(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many losses were told.
    told: u64,
    /// When the next are to be.
    due: Option<Nanos>,
    /// Whose the last one was.
    handler: Option<Arc<str>>,
}

impl Telemetry {
    /// So many events are lost to this handler. Losses of what tells of losses are not told: there would be no end.
    pub(crate) fn note_overflow(&self, handler: &Arc<str>, count: usize, tells: bool) {
        if count == 0 {
            return;
        }
        let add = || self.0.counts.overflowed.fetch_add(count as u64, Ordering::Relaxed); // ordering: a count
        if !tells {
            let mut state = self.0.overflow.0.lock();
            add();
            state.told += count as u64;
            return;
        }
        add();
        let (now, comes) = (self.0.clock.now(), self.0.later.comes());
        let end = now.saturating_add(WINDOW);
        let (first, due) = {
            let mut state = self.0.overflow.0.lock();
            state.handler = Some(Arc::clone(handler));
            (state.due.is_none(), *state.due.get_or_insert(end))
        };
        if comes && first {
            let errand = Due(Some(Arc::downgrade(&self.0)));
            self.0.later.at(end, Box::new(move || errand.tell()));
        }
        if !comes && due <= now {
            self.tell_overflow();
        }
    }

    /// Tells of what was lost and not told yet.
    pub(crate) fn tell_overflow(&self) {
        let (count, handler) = {
            let mut state = self.0.overflow.0.lock();
            state.due = None;
            let all = self.0.counts.overflowed.load(Ordering::Relaxed); // ordering: a count
            (all.saturating_sub(std::mem::replace(&mut state.told, all)), state.handler.take())
        };
        if count > 0 {
            self.emit(OVERFLOW, || {
                let handler = handler.unwrap_or_else(|| "".into());
                (fields! { count: count }, fields! { handler_id: handler })
            });
        }
    }
}

/// The errand at a window's end. If it is lost the next loss begins another window.
struct Due(Option<Weak<Inner>>);

impl Due {
    fn tell(mut self) {
        if let Some(inner) = self.0.take().and_then(|inner| inner.upgrade()) {
            Telemetry(inner).tell_overflow();
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take().and_then(|inner| inner.upgrade()) {
            inner.overflow.0.lock().due = None;
        }
    }
}
