//! How a decision is made: published, pushed, written down.
//!
//! # Protocol
//! One immutable state is published. A decision is published by compare-and-swap, then pushed to the switches: each is told
//! the epoch of its flag, and the latest epoch stands, so pushes of two decisions may arrive in any order.
//!
//! What takes a risk (the next stage, a release, a plain change) takes a role first, one at a time, is written down
//! durably, and is published only if no other decision came in between. What goes back (a rollback, an emergency, a
//! hold) waits for nobody: it is published and pushed first, and the file follows, by the courier. Its failure is
//! reported. A decision is dated when it is made, so after those that it waited for.
//!
//! Named races:
//! - *emergency against advance*: an emergency comes while an advance is being written down. The advance finds another
//!   version published than the one that it was made of, and is refused; the file is written again.
//! - *late push*: an advance was published before the emergency, and pushes after it. See
//!   [`Switch`](foundation_sync::Switch).

use std::sync::Arc;

use foundation_sync::{Deadline, atomic::Ordering, planted, reached};

use crate::{
    Change, ChangeError,
    flags::Inner,
    state::{Share, State, Who},
    store::For,
};

impl Inner {
    pub(crate) fn who(&self, by: &str, why: &str) -> Who {
        Who { by: by.into(), why: why.into(), at: self.clock.date(), now: self.clock.now() }
    }

    /// What takes a risk: in the role, written down, and only if nothing came in between. It is dated in the role: who
    /// waited long for it decides now.
    pub(crate) fn change(
        self: &Arc<Self>,
        (by, why): (&str, &str),
        until: &Deadline,
        make: impl FnOnce(&State, &Who) -> Result<State, ChangeError>,
    ) -> Result<Arc<Change>, ChangeError> {
        self.desk.take(until)?;
        let role = Role(self);
        let before = self.state.load();
        let changed = make(&before, &self.who(by, why)).and_then(|after| {
            self.store.save(&self.shape, &after, For::Risk).and_then(|()| self.publish(&before, &after)).inspect_err(
                |error| {
                    if !matches!(error, ChangeError::FileChanged(_) | ChangeError::FileText(_)) {
                        // The file says what never was, or nobody knows what: what is published is written once more.
                        self.desk.note_behind();
                    }
                },
            )
        });
        drop(role);
        // Also where it was refused: it may have written what somebody else left a note about.
        self.follow();
        changed
    }

    /// What is written down is published, if nothing came in between.
    pub(crate) fn publish(&self, before: &Arc<State>, after: &State) -> Result<Arc<Change>, ChangeError> {
        if planted!("flags: published one by one") {
            let mut half = State::clone(before);
            half.epochs[0] = after.epochs[0];
            self.state.store(Arc::new(half));
        }
        if planted!("flags: pushed before it is published") {
            self.push(after);
        }
        let (_, after) = self.state.update(|now| {
            // Race "emergency against advance".
            if now.version != before.version && !planted!("flags: an advance is published over an emergency") {
                reached!("flags: a rollback came in between");
                return Err(ChangeError::Superseded(now.last()));
            }
            Ok(after.onto(now, &self.shape))
        })?;
        self.push(&after);
        Ok(after.last())
    }

    /// What goes back: published and pushed first, and the rest follows.
    pub(crate) fn go_back<E>(
        self: &Arc<Self>,
        who: (&str, &str),
        make: impl Fn(&State, &Who) -> Result<State, E>,
    ) -> Result<Arc<Change>, E> {
        let change = self.publish_back(who, make)?;
        self.follow();
        Ok(change)
    }

    /// Publishes and pushes what goes back, before it takes any lock. It runs no user's code and waits for nobody.
    pub(crate) fn publish_back<E>(
        &self,
        (by, why): (&str, &str),
        make: impl Fn(&State, &Who) -> Result<State, E>,
    ) -> Result<Arc<Change>, E> {
        let (_, after) = self.state.update(|state| make(state, &self.who(by, why)))?;
        self.push(&after);
        self.desk.note_behind();
        Ok(after.last())
    }

    /// Tells the switches; each takes the latest epoch, whoever brings it.
    pub(crate) fn push(&self, state: &State) {
        for (switches, epoch) in self.switches.iter().zip(&state.epochs) {
            switches.iter().for_each(|switch| _ = switch.push(*epoch));
        }
        for (share, Share(pushed)) in self.shares.iter().zip(&state.shares) {
            if planted!("flags: a late share wins") {
                share.store(*pushed, Ordering::Release); // ordering: planted
                continue;
            }
            // ordering: Release, pairs with the Acquire in `share`. The greatest stands.
            if share.fetch_max(*pushed, Ordering::Release) > *pushed {
                reached!("flags: a share came late");
            }
        }
        if let Some(attempts) = &self.attempts {
            attempts.stand_on(state.footing);
        }
        self.activity.bump();
    }

    /// Writes what is behind, and gives the role back.
    fn give_back(&self) {
        while !self.desk.give_back() {
            // A failure is kept, and told when the role is free: a handler may ask for it.
            _ = self.store.save(&self.shape, &self.state.load(), For::Published);
        }
    }
}

/// The right to change something, for as long as this lives.
pub(crate) struct Role<'a>(pub(crate) &'a Arc<Inner>);

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl State {
    /// The last decision.
    fn last(&self) -> Arc<Change> {
        self.history.back().map(Arc::clone).expect("a decision was made, and the history keeps the last one")
    }
}
