//! A service of the universe that is started when it is first needed.

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
#[derive(Debug, Default)]
pub struct OnNeed {
    running: AtomicBool,
    start: Mutex<Option<Start>>,
}

/// A start that was asked for.
struct Start(Waiter);

impl OnNeed {
    /// Nobody was needed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The service is needed: it is started, unless it was. Nobody waits for it, and under no lock of the caller's may it be
    /// called: the start may run on this thread. Where the start fails, the next call starts it again.
    pub fn need(&self, system: &System, spec: impl FnOnce() -> ChildSpec) {
        // ordering: Relaxed, a stale value costs one more try, which is refused: the name is taken.
        if self.running.load(Ordering::Relaxed) {
            return;
        }
        let ticket = {
            let mut start = self.start.lock();
            if start.as_ref().is_some_and(|Start(waiter)| waiter.waits()) {
                return;
            }
            let (ticket, waiter) = Ticket::new();
            *start = Some(Start(waiter));
            ticket
        };
        system.begin_service(spec(), ticket);
    }

    /// The service's body says that it runs: nobody has to start it from now on.
    pub fn runs(&self) {
        self.running.store(true, Ordering::Relaxed); // ordering: a hint, see `need`
    }
}

impl System {
    fn begin_service(&self, spec: ChildSpec, ticket: Ticket) {
        if let Some(roots) = self.roots() {
            roots.services.push(News::StartChild(Box::new(spec), ticket));
        }
    }
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Start")
    }
}
