//! What a life has in hand: see the module above.

use std::{collections::VecDeque, mem, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::Fenced;
use foundation_sync::{Clock, MutexGuard, Nanos, atomic::Ordering, planted, reached};

use super::{Desk, State, count};
use crate::{
    envelope::{Opened, Parcel},
    server::Server,
};

pub(super) struct InHand<S: Server> {
    pub(super) parcel: Parcel<S>,
    pub(super) since: Nanos,
}

/// What is in hand, to the one that does it.
pub(crate) struct Hand<'a, S: Server> {
    desk: &'a Desk<S>,
    who: Incarnation,
}

/// A message that is in hand.
pub(crate) type Taken<'a, S> = (Hand<'a, S>, Parcel<S>);

impl<S: Server> Desk<S> {
    /// A life has received these, and takes the first in hand.
    ///
    /// # Errors
    /// It is not the one that serves. They are back at the front of the mailbox: race "late life".
    pub(crate) fn receive(
        self: &Arc<Self>,
        who: Incarnation,
        parcels: &mut VecDeque<Parcel<S>>,
        clock: &Clock,
    ) -> Result<Option<Taken<'_, S>>, Fenced> {
        {
            let mut state = self.state.lock();
            if state.is_served_by(who) {
                debug_assert!(state.received.is_empty(), "it receives when it has come to all of them");
                mem::swap(&mut state.received, parcels);
                let next = state.received.pop_front();
                return Ok(self.take(state, next, who, clock));
            }
            reached!("server: a late life");
            if planted!("server: what a late life took is lost") {
                return Err(Fenced(who));
            }
            let down = state.last.clone();
            self.give_back(&mut state, mem::take(parcels), down.as_ref());
        }
        self.settle();
        Err(Fenced(who))
    }

    /// A life takes the next of what it has received in hand, if there is one.
    ///
    /// # Errors
    /// It is not the one that serves.
    pub(crate) fn take_in_hand(&self, who: Incarnation, clock: &Clock) -> Result<Option<Taken<'_, S>>, Fenced> {
        let mut state = self.serving(who)?;
        let next = state.received.pop_front();
        Ok(self.take(state, next, who, clock))
    }

    /// A life has done what it had in hand, and takes up nothing else.
    pub(crate) fn put_down(&self, who: Incarnation) {
        let mut state = self.state.lock();
        let done = state.is_served_by(who).then(|| state.in_hand.take());
        drop(state);
        drop(done);
    }

    /// A life takes something of its own in hand.
    ///
    /// # Errors
    /// It is not the one that serves.
    pub(crate) fn take_own_in_hand(
        &self,
        who: Incarnation,
        parcel: Parcel<S>,
        clock: &Clock,
    ) -> Result<Option<Taken<'_, S>>, Fenced> {
        Ok(self.take(self.serving(who)?, Some(parcel), who, clock))
    }

    /// A life is to do this next, and has nothing else that is kept for it. `false`: it is not the one that serves.
    pub(crate) fn keep(&self, who: Incarnation, parcel: Parcel<S>) -> bool {
        let mut state = self.state.lock();
        if state.is_served_by(who) || planted!("server: a late life keeps what nobody takes") {
            debug_assert!(state.kept.is_none(), "one at a time");
            state.kept = Some(parcel);
            return true;
        }
        reached!("server: a late life goes on");
        false
    }

    /// A life takes what was kept for it in hand.
    ///
    /// # Errors
    /// It is not the one that serves.
    pub(crate) fn take_kept_in_hand(&self, who: Incarnation, clock: &Clock) -> Result<Option<Taken<'_, S>>, Fenced> {
        let mut state = self.serving(who)?;
        let kept = state.kept.take();
        Ok(self.take(state, kept, who, clock))
    }

    fn serving(&self, who: Incarnation) -> Result<MutexGuard<'_, State<S>>, Fenced> {
        let state = self.state.lock();
        if state.is_served_by(who) { Ok(state) } else { Err(Fenced(who)) }
    }

    /// This is in hand from now on, or nothing. Unlocks before it drops what was in hand.
    fn take(
        &self,
        mut state: MutexGuard<'_, State<S>>,
        next: Option<Parcel<S>>,
        who: Incarnation,
        clock: &Clock,
    ) -> Option<Taken<'_, S>> {
        state.handled += u64::from(next.is_some());
        let in_hand = next.as_ref().map(|parcel| InHand { parcel: Arc::clone(parcel), since: clock.now() });
        let before = mem::replace(&mut state.in_hand, in_hand);
        drop(state);
        drop(before);
        next.map(|parcel| (Hand { desk: self, who }, parcel))
    }
}

impl<S: Server> Hand<'_, S> {
    /// It is done. `false`: this life has been given up.
    pub(crate) fn done(&self) -> bool {
        let taken = {
            let mut state = self.desk.state.lock();
            if planted!("server: what is answered stays in hand") {
                return state.is_served_by(self.who);
            }
            state.is_served_by(self.who).then(|| state.in_hand.take()).flatten()
        };
        taken.is_some()
    }

    /// There was nothing to be done: nothing was begun, and if this life was given up just then, nothing broken.
    fn was_empty(&self) {
        let given_up = !self.done();
        self.desk.state.lock().handled -= 1;
        if given_up {
            // ordering: a count
            self.desk.counts.broken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn note(&self, opened: Opened) {
        match opened {
            Opened::Done => {}
            Opened::Late => count(&self.desk.counts.late),
            Opened::Withdrawn => self.was_empty(),
        }
    }
}
