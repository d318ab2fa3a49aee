//! In which virtual times a thread lives: its places in them.

use std::cell::RefCell;

use super::{ThreadKey, VirtualTime};
use crate::{thread_slot, watched};

thread_slot! {
    /// The last one is the innermost.
    static SEATS: RefCell<Vec<Seat>> = RefCell::new(Vec::new());
}

/// A thread's place in one time.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) time: VirtualTime,
    pub(super) key: ThreadKey,
    /// Whether it may advance that time.
    pub(super) drives: bool,
}

/// The calling thread's places, one for each time. None where the thread's own slots have gone already.
pub(super) fn own() -> Vec<Seat> {
    let seats = SEATS.try_with(|seats| seats.borrow().clone()).unwrap_or_default();
    let mut own: Vec<Seat> = Vec::new();
    for seat in seats.into_iter().rev() {
        // Within a turn the thread has two in the same time: the inner one counts, for it is one thread.
        if !own.iter().any(|inner| inner.time.is(&seat.time)) {
            own.push(seat);
        }
    }
    own
}

/// The calling thread's place in this time.
pub(super) fn seat_in(time: &VirtualTime) -> Option<Seat> {
    let find = |seats: &RefCell<Vec<Seat>>| seats.borrow().iter().rev().find(|seat| seat.time.is(time)).cloned();
    // Of a place that was given up on another thread nothing is left but this.
    SEATS.try_with(find).ok().flatten().filter(|seat| time.has(seat.key))
}

/// A thread that will be: counted as running from now on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Enrolled(VirtualTime, ThreadKey);

impl Enrolled {
    pub(crate) fn new(time: &VirtualTime, name: &str) -> Self {
        Self(time.clone(), time.enrol(name))
    }

    /// By the thread itself. One that is of this time already stays what it is.
    fn take(self, drives: bool) -> Entered {
        if seat_in(&self.0).is_some() {
            return Entered(None);
        }
        Entered(Some((Taken::new(Seat { time: self.0.clone(), key: self.1, drives }), self)))
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// A place in a clock's time for a thread that will be: made by [`Clock::enrolment`](crate::Clock::enrolment).
///
/// Where that time is virtual, the thread counts as running from then on, until this is dropped or its place is.
#[derive(Debug)]
#[must_use = "dropped, the place is given up"]
pub struct Enrolment(pub(crate) Option<Enrolled>);

impl Enrolment {
    /// Makes the calling thread the one that was meant, for as long as the guard lives. One that is of this time already
    /// stays what it is.
    pub fn take(self) -> Entered {
        match self.0 {
            Some(enrolled) => enrolled.take(false),
            None => Entered(None),
        }
    }
}

/// The calling thread is of a virtual time, until this is dropped: made by [`VirtualTime::enter`] and [`Enrolment::take`].
#[derive(Debug)]
#[must_use = "dropped, the thread is of that time no more"]
pub struct Entered(#[expect(dead_code, reason = "held for what its drop does")] Option<(Taken, Enrolled)>);

impl Entered {
    pub(super) fn new(time: &VirtualTime, name: &str) -> Self {
        match seat_in(time) {
            Some(_) => Self(None),
            None => Enrolled::new(time, name).take(true),
        }
    }
}

/// The calling thread handles what is due in this time, until this is dropped: it counts as running, whoever it is, and may
/// not advance it.
#[derive(Debug)]
pub(crate) struct Turning {
    _taken: Taken,
    _enrolled: Option<Enrolled>,
}

impl Turning {
    pub(crate) fn new(time: &VirtualTime) -> Self {
        let (key, enrolled) = match seat_in(time) {
            Some(seat) => (seat.key, None),
            None => {
                let enrolled = Enrolled::new(time, "whoever turns what is due");
                (enrolled.1, Some(enrolled))
            }
        };
        Self { _taken: Taken::new(Seat { time: time.clone(), key, drives: false }), _enrolled: enrolled }
    }
}

/// A place is among those of the thread; dropped, it is not, unless that is done on another thread.
#[derive(Debug)]
struct Taken(Seat);

impl Taken {
    fn new(seat: Seat) -> Self {
        watched::more();
        _ = SEATS.try_with(|seats| seats.borrow_mut().push(seat.clone()));
        Self(seat)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // The last one that is this: in a turn there are two. On another thread there is none, and what stays behind is a
        // place that was left, which counts as none.
        let old = SEATS.try_with(|seats| {
            let mut seats = seats.borrow_mut();
            let at = seats.iter().rposition(|seat| seat.time.is(&self.0.time) && seat.key == self.0.key)?;
            watched::less();
            Some(seats.remove(at))
        });
        drop(old);
    }
}
