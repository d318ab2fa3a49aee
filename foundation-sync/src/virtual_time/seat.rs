//! In which virtual time a thread lives: the one thread-local state of this crate.

use std::cell::RefCell;

use super::{ThreadKey, VirtualTime};
use crate::{thread_slot, watched};

thread_slot! {
    /// The time, the thread's key in it, and whether it may advance it.
    static SEAT: RefCell<Option<(VirtualTime, ThreadKey, bool)>> = RefCell::new(None);
}

/// The calling thread's time and place. None where the thread's own slots have gone already.
pub(super) fn own() -> Option<(VirtualTime, ThreadKey)> {
    SEAT.try_with(|seat| seat.borrow().as_ref().map(|(time, key, _)| (time.clone(), *key))).ok().flatten()
}

/// The calling thread's place in this time, and whether it may advance it.
pub(super) fn seat_in(time: &VirtualTime) -> Option<(ThreadKey, bool)> {
    let own = |seat: &RefCell<Option<(VirtualTime, ThreadKey, bool)>>| {
        seat.borrow().as_ref().filter(|(own, ..)| own.is(time)).map(|(_, key, drives)| (*key, *drives))
    };
    SEAT.try_with(own).ok().flatten()
}

/// A thread that will be: counted as running from now on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Enrolled(VirtualTime, ThreadKey);

impl Enrolled {
    pub(crate) fn new(time: &VirtualTime, name: &str) -> Self {
        Self(time.clone(), time.enrol(name))
    }

    /// Runs the body of the thread. On one that is of this time already it is that one's part.
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        if seat_in(&self.0).is_some() {
            drop(self);
            return body();
        }
        let _back = Taken::new(&self.0, self.1, false);
        body()
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// The calling thread is of a virtual time, until this is dropped: made by [`VirtualTime::enter`].
#[derive(Debug)]
#[must_use = "dropped, the thread is of that time no more"]
pub struct Entered(#[expect(dead_code, reason = "held for what its drop does")] Option<(Taken, Enrolled)>);

impl Entered {
    pub(super) fn new(time: &VirtualTime, name: &str) -> Self {
        if seat_in(time).is_some() {
            return Self(None);
        }
        let enrolled = Enrolled::new(time, name);
        Self(Some((Taken::new(time, enrolled.1, true), enrolled)))
    }
}

/// The slot is taken; dropped, what was there before is back, unless that was done on another thread.
#[derive(Debug)]
struct Taken {
    own: (VirtualTime, ThreadKey),
    before: Option<(VirtualTime, ThreadKey, bool)>,
}

impl Taken {
    fn new(time: &VirtualTime, key: ThreadKey, drives: bool) -> Self {
        let before = SEAT.try_with(|seat| seat.replace(Some((time.clone(), key, drives)))).ok().flatten();
        watched::more();
        Self { own: (time.clone(), key), before }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let before = self.before.take();
        // Dropped on another thread than it was made on it finds another's place; what stays behind there is one that
        // was left, and counts as none.
        let old = SEAT.try_with(|seat| {
            let (time, key) = &self.own;
            let own = seat.borrow().as_ref().is_some_and(|(there, of, _)| there.is(time) && of == key);
            if !own {
                return None;
            }
            watched::less();
            seat.replace(before)
        });
        drop(old);
    }
}
