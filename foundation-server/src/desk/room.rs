//! Room in a mailbox, for those who wait for it and are told if they would have to make it themselves.
//!
//! Named races:
//! - *room before the ring*: between the look that finds no room and the edge, the server takes a message and comes to wait
//!   for the sender. That closes no [ring](crate::rings), for there is room; so who is told of one looks once more.
//! - *own message*: the sender's own message fills the mailbox again while its edge is there still. So the edge ends with a
//!   place that is reserved, which is not one that is full, and the message comes afterwards.

use std::sync::Arc;

use foundation_sync::{Deadline, Permit, SendError, Until, planted, reached};

use super::{Desk, Office};
use crate::{
    envelope::Parcel,
    rings::{Wait, Waited},
    server::Server,
};

/// Why there is no place.
pub(crate) enum NoRoom {
    For(SendError<()>),
    /// Who waits would have to make it: the servers of the ring.
    Ring(Vec<Arc<str>>),
}

impl From<SendError<()>> for NoRoom {
    fn from(why: SendError<()>) -> Self {
        Self::For(why)
    }
}

/// As one in whose mailbox somebody waits for room.
impl<S: Server> Waited for Desk<S> {
    fn is_open(&self) -> bool {
        self.office().is_some_and(|Office { mailbox, .. }| mailbox.len() >= mailbox.capacity() && !mailbox.is_closed())
    }
}

impl<S: Server> Desk<S> {
    /// A place in the mailbox, as soon as there is one.
    #[track_caller]
    pub(crate) fn reserve(self: &Arc<Self>, until: Until<'_>) -> Result<Permit<Parcel<S>>, NoRoom> {
        let Some(Office { mailbox, .. }) = self.office() else { return Err(SendError::Closed(()).into()) };
        // A ring is of those that sleep.
        match mailbox.reserve_until(Deadline::now()) {
            Err(SendError::TimedOut(())) => {}
            known => return Ok(known?),
        }
        let edge = match self.rings().map(|rings| rings.enter(Wait::new(self, self))).transpose() {
            Ok(edge) => edge,
            Err(servers) if planted!("server: a ring of senders is believed at once") => {
                return Err(NoRoom::Ring(servers));
            }
            Err(servers) => {
                // Race "room before the ring".
                return match mailbox.reserve_until(Deadline::now()) {
                    Ok(place) => {
                        reached!("server: room before the ring");
                        Ok(place)
                    }
                    Err(SendError::TimedOut(())) => Err(NoRoom::Ring(servers)),
                    Err(why) => Err(why.into()),
                };
            }
        };
        let place = mailbox.reserve_until(until);
        if planted!("server: who has sent still waits for room") {
            std::mem::forget(edge);
        } else {
            // Race "own message".
            drop(edge);
        }
        Ok(place?)
    }
}
