//! A wait by virtual time: one thread's, in all the times in which it has a place.

use std::{panic::Location, sync::Arc, time::Duration};

use super::{Book, SleeperKey, VirtualTime, seat};
use crate::{Clock, Deadline, Mutex, Nanos, face::RawCondvar, planted, reached};

/// A wait. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Sleeper(Arc<Parker>);

/// A word that is said once, and stays said.
///
/// It is *claimed* by whoever wakes: a time, under its book's lock, or who notifies. Then the thread is marked as running
/// wherever it has a place; and only then is the word said.
#[derive(Default)]
pub(super) struct Parker {
    state: Mutex<State>,
    word: RawCondvar,
}

#[derive(Default)]
struct State {
    claimed: bool,
    said: bool,
    beds: Vec<(VirtualTime, SleeperKey)>,
}

impl Parker {
    /// Takes the right, and the duty, to wake; `false` if somebody has.
    pub(super) fn claim(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().claimed, true)
    }

    /// For whoever claimed it.
    pub(super) fn wake(&self) {
        let beds = std::mem::take(&mut self.state.lock().beds);
        for (time, key) in &beds {
            time.up(*key);
        }
        self.state.lock().said = true;
        self.word.notify_all();
    }

    /// Whether somebody has claimed it, and the bed is not wanted any more.
    fn add(&self, time: &VirtualTime, key: SleeperKey) -> bool {
        let mut state = self.state.lock();
        if !state.claimed {
            state.beds.push((time.clone(), key));
        }
        state.claimed
    }

    /// `false` if the deadline has passed first.
    fn sleep(&self, until: Option<&Deadline>) -> bool {
        let mut state = self.state.lock();
        while !state.said {
            state = match until.and_then(Deadline::left) {
                Some(left) if left.is_zero() => return false,
                Some(left) => self.word.wait_for(state, left),
                None => self.word.wait(state),
            };
        }
        true
    }
}

impl Sleeper {
    /// Lies down until the deadline, in its time and in all in which the calling thread has a place. `None` where there is
    /// no such time, or none that still obeys: then it is a wait by the system.
    pub(crate) fn lie_down(until: &Deadline) -> Option<Self> {
        let mut seats = seat::own();
        seats.retain(|seat| !seat.time.flows());
        let deadline = until.virtual_time().filter(|(time, _)| !time.flows());
        if seats.is_empty() && deadline.is_none() {
            return None;
        }
        let sleeper = Self(Arc::default());
        // A stranger to the deadline's time waits by it all the same.
        let stranger = deadline.filter(|(time, _)| !seats.iter().any(|seat| seat.time.is(time)));
        if let Some((time, at)) = stranger {
            sleeper.lie_down_in(time, None, at);
        }
        for seat in &seats {
            let at = deadline.filter(|(time, _)| time.is(&seat.time)).map_or(Nanos::MAX, |(_, at)| at);
            sleeper.lie_down_in(&seat.time, Some(seat), at);
        }
        Some(sleeper)
    }

    fn lie_down_in(&self, time: &VirtualTime, seat: Option<&seat::Seat>, at: Nanos) {
        let key = time.step(|book: &mut Book<Arc<Parker>>| {
            if at <= book.now() || book.flows() {
                return (None, Vec::new());
            }
            let (key, woken) = book.lie_down(seat.map(|seat| seat.key), at, Arc::clone(&self.0));
            (Some(key), woken)
        });
        match key {
            Some(key) if self.0.add(time, key) => time.up(key),
            Some(_) => {}
            // Time has passed it, or was let go: whoever waits looks again.
            None if self.0.claim() => self.0.wake(),
            None => {}
        }
    }

    /// Wakes it; `false` if something else has.
    pub(crate) fn wake(&self) -> bool {
        if planted!("virtual time: a wake-up under way is taken for rest") {
            self.0.state.lock().said = true;
            self.0.word.notify_all();
            return true;
        }
        let claimed = self.0.claim();
        if claimed {
            self.0.wake();
        } else {
            reached!("notified and due");
        }
        claimed
    }

    /// Sleeps until it is woken, or until the deadline, if that is the system's.
    ///
    /// # Errors
    /// It waited by a time that stands and that nobody moved within its patience, on a thread that is not of that time:
    /// the test's own, as a rule, which would wait for ever.
    pub(crate) fn sleep(&self, until: &Deadline) -> Result<(), Stands> {
        let by = until.virtual_time().map(|(time, _)| time);
        let patience = by.filter(|_| seat::own().is_empty()).and_then(VirtualTime::stands);
        let real = match (by, patience) {
            (None, _) => Some(until.clone()),
            (Some(_), patience) => patience.map(|patience| Clock::system().within(patience)),
        };
        let woken = self.0.sleep(real.as_ref());
        if planted!("virtual time: a wake-up under way is taken for rest") && self.0.claim() {
            self.0.wake();
        }
        if woken || !self.0.claim() {
            return Ok(());
        }
        // Nobody else does: it runs again.
        self.0.wake();
        patience.map_or(Ok(()), |waited| Err(Stands { waited }))
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A time stood for so long.
pub(crate) struct Stands {
    waited: Duration,
}

impl Stands {
    pub(crate) fn fail(&self, place: &Location<'_>) -> ! {
        panic!(
            "waited {:?} of real time at {place} for a virtual time that stands: a thread that is not of that time waits by \
             it only while another one advances it. Wait by the system's clock (`t.patience()` in a test), or advance the \
             time first",
            self.waited
        )
    }
}
