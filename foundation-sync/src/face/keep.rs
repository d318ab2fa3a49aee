//! What a thread keeps until its thread-locals have been destroyed.

use std::{any::Any, cell::Cell};

use crate::thread_slot;

thread_slot! {
    static KEPT: Cell<Option<Box<dyn Any>>> = Cell::new(None);
}

/// The thread's first act: its slots are destroyed last made first, those that are made meanwhile before the others, so
/// what is made before all others goes last.
pub(super) fn keep(value: impl Any) {
    KEPT.set(Some(Box::new(value)));
}
