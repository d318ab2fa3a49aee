//! One call's waiting, for a reader or for a sender.

use std::sync::Arc;

use super::{
    RecvError,
    shared::{Back, Shared},
};
use crate::{
    MutexGuard, Stop, Until, Wake, Watching, planted, reached,
    spin::{self, Pace},
    thread,
};

#[derive(Clone, Copy)]
pub(crate) enum Side {
    Reader,
    Sender,
}

/// Whether who waits so long was told to stop.
pub(crate) fn told(until: &Until<'_>) -> bool {
    until.stop.is_some_and(Stop::told)
}

/// See the module.
pub(crate) struct Wait<'a, T> {
    shared: &'a Arc<Shared<T>>,
    side: Side,
    until: Until<'a>,
    watching: Option<Watching>,
    /// One look for each sleep: who is always too late sleeps, too.
    looked: bool,
    since: Since,
}

/// What has happened since this call last held the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    Nothing,
    Looked { found: bool },
    Slept,
}

impl<'a, T: Send + 'static> Wait<'a, T> {
    pub(crate) fn new(shared: &'a Arc<Shared<T>>, side: Side, until: Until<'a>) -> Self {
        Self { shared, side, until, watching: None, looked: false, since: Since::Nothing }
    }

    pub(crate) fn until(&self) -> &Until<'a> {
        &self.until
    }

    pub(crate) fn stopped(&self) -> bool {
        told(&self.until)
    }

    /// Says how the waiting went. From here on nobody is on the way: who leaves the lock calls the next.
    pub(crate) fn resume(&mut self, back: &mut Back<T>) {
        let waiters = back.waiters(self.side);
        match std::mem::replace(&mut self.since, Since::Nothing) {
            Since::Nothing => {}
            Since::Looked { found } => waiters.luck.note(found),
            Since::Slept if planted!("queue: who was called stays called") => {}
            Since::Slept => waiters.called = false,
        }
    }

    /// The end of a reader that was told to stop. If it was called, another one is.
    pub(crate) fn stop(&mut self) -> RecvError {
        if self.since != Since::Nothing && !planted!("queue: a stopped reader takes the call along") {
            let mut back = self.shared.lock();
            if back.waiters(self.side).called {
                reached!("stopped when called");
            }
            self.resume(&mut back);
            self.shared.leave(back);
        }
        RecvError::Stopped
    }

    /// Whether the stop does not know yet whom to wake.
    pub(crate) fn watches(&self) -> bool {
        self.until.stop.is_some() && self.watching.is_none()
    }

    /// Tells the stop whom to wake. The state is to be looked at again.
    pub(crate) fn watch(&mut self) -> Result<(), RecvError> {
        if let Some(stop) = self.until.stop {
            let wake = Arc::clone(self.shared) as Arc<dyn Wake>;
            self.watching = Some(stop.watch(wake).ok_or(RecvError::Stopped)?);
        }
        Ok(())
    }

    /// Waits once, with the lock given up. The state is to be looked at again, unless it is over.
    #[track_caller]
    pub(crate) fn on(&mut self, mut back: MutexGuard<'_, Back<T>>) -> Result<(), RecvError> {
        let shared = self.shared;
        let over = match (self.stopped(), self.until.deadline.passed()) {
            (true, _) => Some(RecvError::Stopped),
            (_, true) => Some(RecvError::TimedOut),
            _ => None,
        };
        if let Some(over) = over {
            shared.leave(back);
            return Err(over);
        }
        if !self.looked && back.cores != Some(false) && back.waiters(self.side).luck.tried() {
            self.looked = true;
            self.look(back);
            return Ok(());
        }
        if self.watches() {
            shared.leave(back);
            return self.watch();
        }
        match self.side {
            Side::Reader => {
                back.readers.asleep += 1;
                back = shared.arrived.wait(back, &self.until.deadline);
                back.readers.asleep -= 1;
            }
            Side::Sender => {
                back.senders.asleep += 1;
                // Race "room while going to sleep": this one is called, and awake.
                if !shared.calls_sender(&mut back) {
                    back = shared.room.wait(back, &self.until.deadline);
                }
                back.senders.asleep -= 1;
            }
        }
        self.looked = false;
        self.since = Since::Slept;
        Ok(())
    }

    fn look(&mut self, mut back: MutexGuard<'_, Back<T>>) {
        let shared = self.shared;
        let (seen, known) = (shared.looks(self.side, &mut back), back.cores);
        shared.leave(back);
        let cores = known.unwrap_or_else(|| {
            // It asks the operating system: once, and not under the lock.
            let cores = thread::cores() > 1;
            shared.lock().cores = Some(cores);
            cores
        });
        // What a sender looks at is the readers' own; it finds more room if it leaves them in peace.
        let pace = match self.side {
            Side::Reader => Pace::Often,
            Side::Sender => Pace::Seldom,
        };
        let found = cores && spin::look(pace, || shared.looks_good(self.side, seen) || self.stopped());
        self.since = Since::Looked { found };
    }
}
