//! Who tells a desk of its lives: the heir of each, how it has ended; their supervisor, that none is to come.

use std::sync::Arc;

use foundation_registry::{Cause, Down, Heir};
use foundation_supervisor::{Keeper, Told};

use super::Desk;
use crate::server::Server;

/// The heir of one life.
pub(super) struct Estate<S: Server> {
    pub(super) desk: Arc<Desk<S>>,
    pub(super) number: u64,
    pub(super) told: Told,
}

impl<S: Server> Heir for Estate<S> {
    fn inherit(&self, down: &Down) {
        let terminated = self.told.cause() == Some(Cause::Terminated);
        self.desk.inherit(self.number, terminated, down);
    }

    fn settle(&self) {
        self.desk.settle();
    }
}

/// Kept with a server's spec: told when no life is to come, and when that is gone, nobody will ever live here.
pub(crate) struct Lease<S: Server>(pub(crate) Arc<Desk<S>>);

impl<S: Server> Keeper for Lease<S> {
    fn rests(&self) -> bool {
        self.0.rests(false)
    }

    fn settle(&self) {
        self.0.settle();
    }
}

impl<S: Server> Drop for Lease<S> {
    fn drop(&mut self) {
        if self.0.rests(true) {
            self.0.settle();
        }
    }
}
