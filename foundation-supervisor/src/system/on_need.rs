//! A service of the universe that is started when it is first needed.

use std::fmt;

use foundation_sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::System;
use crate::{
    ChildSpec,
    crank::{News, Ticket, Waiter},
};

/// Whether a service of a universe was started: for a crate that needs a thread of its own, but not before there is
/// something for it to do.
///
/// It is a child of the universe's services: restarted as its spec says, and stopped after all trees. Give it an
/// [intensity](ChildSpec::intensity) of its own, for if the services give up the universe ends.
#[derive(Default)]
pub struct OnNeed {
    running: AtomicBool,
    /// The start that is under way.
    start: Mutex<Option<Waiter>>,
}

impl OnNeed {
    /// Nobody was needed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The service is needed: it is started, unless it was. Nobody waits for it. The start may run on the calling thread, so
    /// call this under no lock. Where the start fails, the next call starts it again.
    pub fn need(&self, system: &System, spec: impl FnOnce() -> ChildSpec) {
        if let Some(ticket) = self.take_ticket() {
            system.begin_service(spec(), ticket);
        }
    }

    /// With what it is to be started, if it is not and nobody else does it.
    pub(crate) fn take_ticket(&self) -> Option<Ticket> {
        // ordering: Relaxed, a stale value costs one more try, which is refused: the name is taken.
        if self.running.load(Ordering::Relaxed) {
            return None;
        }
        let mut start = self.start.lock();
        if start.as_ref().is_some_and(Waiter::waits) {
            return None;
        }
        let (ticket, waiter) = Ticket::new();
        *start = Some(waiter);
        Some(ticket)
    }

    /// The service's body says that it runs: nobody has to start it from now on.
    pub fn runs(&self) {
        self.running.store(true, Ordering::Relaxed); // ordering: a hint, see `take_ticket`
    }
}

impl System {
    fn begin_service(&self, spec: ChildSpec, ticket: Ticket) {
        if let Some(roots) = self.roots() {
            roots.services.push(News::StartChild(Box::new(spec), ticket));
        }
    }
}

impl fmt::Debug for OnNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.running.load(Ordering::Relaxed); // ordering: see `take_ticket`
        f.write_str(if runs { "OnNeed(runs)" } else { "OnNeed(not started)" })
    }
}
