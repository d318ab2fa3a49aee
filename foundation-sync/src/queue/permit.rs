//! A place that is kept.

use std::{fmt, sync::Arc};

use super::{ClosedError, Full, RecvError, ReserveError, SendError, Side, Wait, shared::Shared};
use crate::{Until, planted};

/// A place that is kept in a queue or a mailbox. Dropped, it is given up.
#[must_use]
pub struct Permit<T: Send + 'static> {
    shared: Option<Arc<Shared<T>>>,
}

impl<T: Send + 'static> Permit<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared: Some(shared) }
    }

    /// Puts the value in the place that was kept.
    ///
    /// # Errors
    /// [`ClosedError`], with the value in it: the queue was closed meanwhile.
    pub fn send(mut self, value: T) -> Result<(), ClosedError<T>> {
        let shared = self.shared.take().expect("taken here or in drop, once");
        let mut back = shared.lock();
        back.reserved -= 1;
        if back.closed {
            return Err(ClosedError(value));
        }
        shared.put(value, &mut back);
        shared.leave(back);
        Ok(())
    }
}

impl<T: Send + 'static> Shared<T> {
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Permit<T>, ReserveError> {
        let mut back = self.lock();
        if back.closed {
            return Err(ReserveError::Closed);
        }
        if !self.has_room(&mut back) {
            return Err(ReserveError::Full);
        }
        back.reserved += 1;
        self.leave(back);
        Ok(Permit::new(Arc::clone(self)))
    }

    /// The same, waiting for room as a sender does.
    #[track_caller]
    pub(super) fn reserve_until(self: &Arc<Self>, until: Until<'_>) -> Result<Permit<T>, SendError<()>> {
        let mut wait = Wait::new(self, Side::Sender, until);
        let mut waited = false;
        loop {
            let mut back = self.lock();
            wait.resume(&mut back);
            if back.closed {
                self.leave(back);
                return Err(SendError::Closed(()));
            }
            // Also after a sleep: another one may have come first.
            if self.has_room(&mut back) || (waited && planted!("queue: who is called for a place takes it unseen")) {
                back.reserved += 1;
                self.leave(back);
                return Ok(Permit::new(Arc::clone(self)));
            }
            if matches!(self.full, Full::Refuse | Full::DropOldest) {
                self.leave(back);
                return Err(SendError::Full(()));
            }
            match wait.on(back) {
                Ok(()) => waited = true,
                Err(RecvError::Stopped) => return Err(SendError::Stopped(())),
                Err(_) => return Err(SendError::TimedOut(())),
            }
        }
    }
}

impl<T: Send + 'static> Drop for Permit<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            let mut back = shared.lock();
            back.reserved -= 1;
            if planted!("queue: a dropped permit calls nobody") {
                return;
            }
            shared.leave(back);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
