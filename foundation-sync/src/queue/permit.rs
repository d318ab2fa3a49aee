//! A place that is kept.

use std::{fmt, sync::Arc};

use super::{ClosedError, shared::Shared};
use crate::planted;

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
