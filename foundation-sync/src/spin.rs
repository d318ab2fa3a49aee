//! Looking before sleeping.
//!
//! To sleep and to be woken takes 5 to 50 microseconds, a look at a word that another core writes some 50 nanoseconds. So
//! who waits looks for a while before it sleeps, but only where looking has paid: each look in vain doubles the number of
//! waits that sleep at once, up to 63, and one that found something sets it to none. A reader that is idle between
//! values, or a queue that is waited for a few times only, sleeps; a pair in quick succession never does.

use std::time::Duration;

use crate::{Clock, MODEL, thread};

/// The waits of a new queue that sleep at once: most queues that carry one answer end before.
const FIRST: u8 = 7;
const MOST: u8 = 63;

const SPAN: Duration = Duration::from_micros(20);
const PAUSES: usize = 32;

/// Whether it is worth while to look before sleeping, learnt from how it went. Its home is under a lock.
#[derive(Debug)]
pub(crate) struct Luck {
    misses: u8,
    asleep: u8,
}

impl Luck {
    pub(crate) fn new() -> Self {
        Self { misses: 0, asleep: FIRST }
    }

    /// Whether to look before this sleep. Counts the sleeps that are slept at once.
    pub(crate) fn tried(&mut self) -> bool {
        if MODEL || self.asleep == 0 {
            return !MODEL;
        }
        self.asleep -= 1;
        false
    }

    /// How the look went.
    pub(crate) fn note(&mut self, found: bool) {
        self.misses = if found { 0 } else { (self.misses * 2 + 1).min(MOST) };
        self.asleep = self.misses;
    }
}

/// How often to look: at each pause, for what is urgent, or once in a round, so as not to disturb who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Often,
    Seldom,
}

/// Looks until `found`, for about 20 microseconds. Whether it was found within them.
///
/// A yield is half a microsecond where nobody else wants this core, and as long as the others like where somebody does:
/// the clock is read after each, so one look gives away its core once, and counts as in vain then.
pub(crate) fn look(pace: Pace, found: impl Fn() -> bool) -> bool {
    let end = Clock::system().within(SPAN);
    loop {
        // So many pauses of 25 to 45 nanoseconds, and a yield: for what is waited for, where it wants this core. Early and
        // often: a pair that shares a core would else pause while the other can not run. But not before a call to another
        // core and back is over, which a yield would hold up.
        for _ in 0..PAUSES {
            if pace == Pace::Often && found() {
                return true;
            }
            std::hint::spin_loop();
        }
        thread::yield_now();
        if end.passed() {
            return false;
        }
        if found() {
            return true;
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_become_rare_and_one_that_pays_brings_them_back() {
        let mut luck = Luck::new();
        let sleeps = |luck: &mut Luck| (0..).take_while(|_| !luck.tried()).count();
        let mut seen = Vec::new();
        for _ in 0..8 {
            seen.push(sleeps(&mut luck));
            luck.note(false);
        }
        assert_eq!(seen, [7, 1, 3, 7, 15, 31, 63, 63]);
        luck.note(true);
        assert_eq!((sleeps(&mut luck), sleeps(&mut luck)), (0, 0));
    }

    #[test]
    fn a_look_ends_by_itself_and_when_it_has_found() {
        assert!(!look(Pace::Often, || false) && !look(Pace::Seldom, || false));
        assert!(look(Pace::Often, || true) && look(Pace::Seldom, || true));
    }
}
