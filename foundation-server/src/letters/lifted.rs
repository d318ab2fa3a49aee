//! A letter in the hand of somebody who takes its message.

use std::{any::Any, sync::Arc};

use foundation_supervisor::System;

use super::{Letters, load::Load};

/// It goes back, should the message's `clone` panic.
pub(super) struct Lifted<'a> {
    pub(super) letters: &'a Arc<Letters>,
    pub(super) system: &'a System,
    pub(super) number: u64,
    /// Nothing, once the message is out of it.
    pub(super) load: Option<Box<dyn Load>>,
}

impl Lifted<'_> {
    pub(super) fn unpack(&mut self) -> Option<Box<dyn Any + Send>> {
        let message = self.load.as_ref()?.unpack();
        let empty = self.load.take();
        self.letters.shelf.lock().taken(self.number);
        self.system.activity().bump();
        // Its drop may be a user's.
        drop(empty);
        message
    }
}

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        let Some(load) = self.load.take() else { return };
        let due = self.letters.shelf.lock().put_back(self.number, load);
        self.letters.schedule(self.system, due);
        self.system.activity().bump();
    }
}
