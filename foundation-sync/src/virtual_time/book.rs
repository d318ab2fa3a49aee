//! Who sleeps until when, and when time moves: the pure part.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{Nanos, planted};

/// The time, who lives in it, and who sleeps in it. `W` is how a sleeper is woken.
///
/// Whoever is woken counts as running from that moment on, not only when its thread gets there: so there is no moment in
/// which all seem to wait while a wake-up is under way.
#[derive(Debug)]
pub(super) struct Book<W> {
    now: Nanos,
    /// How far time may go by itself once everybody waits.
    limit: Nanos,
    pace: Pace,
    /// Somebody advances the time.
    advancing: bool,
    threads: BTreeMap<u64, Thread>,
    /// How many threads do not wait.
    running: usize,
    sleepers: BTreeMap<u64, Sleeper<W>>,
    /// The sleepers that have a deadline, in order.
    due: BTreeSet<(Nanos, u64)>,
    /// The number of the last thread or sleeper.
    last: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Time stands still until somebody advances it.
    Stands,
    /// Time jumps to the next deadline whenever everybody waits.
    Jumps,
    /// Time has been let go: it is the system's, from some moment on.
    Flows,
}

#[derive(Debug)]
struct Thread {
    name: Arc<str>,
    waits: bool,
}

#[derive(Debug)]
struct Sleeper<W> {
    at: Nanos,
    thread: Option<u64>,
    wake: W,
}

/// A thread of this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadKey(u64);

/// One wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SleeperKey(u64);

/// Why nobody advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Busy,
    Flows,
}

impl<W> Book<W> {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            now: 0,
            limit: if pace == Pace::Stands { 0 } else { Nanos::MAX },
            pace,
            advancing: false,
            threads: BTreeMap::new(),
            running: 0,
            sleepers: BTreeMap::new(),
            due: BTreeSet::new(),
            last: 0,
        }
    }

    pub(super) fn now(&self) -> Nanos {
        self.now
    }

    pub(super) fn jumps(&self) -> bool {
        self.pace == Pace::Jumps
    }

    pub(super) fn flows(&self) -> bool {
        self.pace == Pace::Flows
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// One thread more; it runs.
    pub(super) fn enrol(&mut self, name: Arc<str>) -> ThreadKey {
        let number = self.number();
        self.threads.insert(number, Thread { name, waits: false });
        self.running += 1;
        ThreadKey(number)
    }

    /// One thread less.
    pub(super) fn leave(&mut self, key: ThreadKey) -> Vec<W> {
        if self.threads.remove(&key.0).is_some_and(|thread| !thread.waits) {
            self.running -= 1;
        }
        self.go_on()
    }

    /// Somebody waits until `at`. A thread that has left is nobody's.
    pub(super) fn lie_down(&mut self, thread: Option<ThreadKey>, at: Nanos, wake: W) -> (SleeperKey, Vec<W>) {
        let number = self.number();
        let thread = thread.map(|key| key.0).filter(|key| self.threads.contains_key(key));
        if at != Nanos::MAX {
            self.due.insert((at, number));
        }
        self.sleepers.insert(number, Sleeper { at, thread, wake });
        self.runs(thread, false);
        (SleeperKey(number), self.go_on())
    }

    /// Wakes a sleeper, unless it has been.
    pub(super) fn wake(&mut self, key: SleeperKey) -> Option<W> {
        let sleeper = self.sleepers.remove(&key.0)?;
        self.due.remove(&(sleeper.at, key.0));
        self.runs(sleeper.thread, true);
        Some(sleeper.wake)
    }

    fn runs(&mut self, thread: Option<u64>, runs: bool) {
        let Some(thread) = thread.and_then(|key| self.threads.get_mut(&key)) else { return };
        match (thread.waits, runs) {
            (true, true) => self.running += 1,
            (false, false) => self.running -= 1,
            _ => return,
        }
        thread.waits = !runs;
    }

    /// Moves time as far as it may go. Those whose deadline is reached are to be woken, in the order of their deadlines.
    fn go_on(&mut self) -> Vec<W> {
        let mut woken = Vec::new();
        while self.running == 0 || planted!("virtual time: goes on while somebody runs") {
            let Some(&(at, number)) = self.due.first().filter(|(at, _)| *at <= self.limit) else {
                if self.advancing {
                    self.now = self.now.max(self.limit);
                }
                break;
            };
            self.now = self.now.max(at);
            woken.extend(self.wake(SleeperKey(number)));
            // All of one moment, before any of them can make time go on.
            while let Some(&(_, number)) = self.due.first().filter(|(same, _)| *same <= at) {
                woken.extend(self.wake(SleeperKey(number)));
            }
        }
        woken
    }

    /// Lets time go to `to`. A thread of this time that asks for it counts as waiting meanwhile.
    pub(super) fn advance(&mut self, to: Nanos, driver: Option<ThreadKey>) -> Result<Vec<W>, Refused> {
        if self.flows() {
            return Err(Refused::Flows);
        }
        if self.advancing {
            return Err(Refused::Busy);
        }
        self.advancing = true;
        self.limit = to.max(self.now);
        self.runs(driver.map(|key| key.0), false);
        Ok(self.go_on())
    }

    /// Whether time has arrived, and what was due is handled.
    pub(super) fn settled(&self) -> bool {
        self.running == 0 && self.now >= self.limit
    }

    /// The advance is over, arrived or given up.
    pub(super) fn arrive(&mut self, driver: Option<ThreadKey>) -> Vec<W> {
        self.advancing = false;
        self.limit = if self.jumps() { Nanos::MAX } else { self.now };
        self.runs(driver.map(|key| key.0), true);
        // Time that jumps need not wait for somebody to lie down.
        self.go_on()
    }

    pub(super) fn has(&self, key: ThreadKey) -> bool {
        self.threads.contains_key(&key.0)
    }

    /// Who does not wait.
    pub(super) fn who_runs(&self) -> Vec<Arc<str>> {
        self.threads.values().filter(|thread| !thread.waits).map(|thread| Arc::clone(&thread.name)).collect()
    }

    /// From now on time is the system's: everybody looks again.
    pub(super) fn flow(&mut self) -> Vec<W> {
        self.pace = Pace::Flows;
        self.limit = self.now;
        let sleepers: Vec<_> = self.sleepers.keys().copied().collect();
        sleepers.into_iter().filter_map(|number| self.wake(SleeperKey(number))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(pace: Pace) -> Book<&'static str> {
        Book::new(pace)
    }

    #[test]
    fn time_stands_until_it_is_advanced_and_wakes_in_the_order_of_deadlines() {
        let mut book = book(Pace::Stands);
        for (at, name) in [(30, "c"), (10, "a"), (20, "b"), (40, "d")] {
            assert!(book.lie_down(None, at, name).1.is_empty());
        }
        assert_eq!(book.advance(30, None), Ok(vec!["a", "b", "c"]));
        assert!(book.settled());
        assert_eq!(book.arrive(None), [""; 0]);
        assert_eq!(book.now(), 30);
        assert!(book.lie_down(None, 35, "e").1.is_empty(), "it stands again");
        assert_eq!(book.advance(40, None), Ok(vec!["e", "d"]));
    }

    #[test]
    fn time_waits_for_whoever_it_has_woken() {
        let mut book = book(Pace::Stands);
        let [first, second] = ["first", "second"].map(|name| book.enrol(name.into()));
        book.lie_down(Some(first), 10, "first");
        assert_eq!(book.advance(30, None), Ok(vec![]), "the second runs");
        assert_eq!(book.who_runs(), ["second".into()]);
        assert_eq!(book.lie_down(Some(second), 20, "second").1, ["first"]);
        assert_eq!(book.now(), 10);
        assert!(!book.settled());
        assert_eq!(book.lie_down(Some(first), 15, "first again").1, ["first again"], "set within the span");
        assert_eq!(book.now(), 15);
        assert_eq!(book.leave(first), ["second"]);
        assert_eq!(book.now(), 20);
        assert_eq!(book.lie_down(Some(second), Nanos::MAX, "for ever").1, [""; 0]);
        assert!(book.settled());
        assert_eq!(book.now(), 30);
    }

    #[test]
    fn all_of_one_moment_are_woken_in_the_order_in_which_they_lay_down() {
        let mut book = book(Pace::Stands);
        let keys = ["a", "b", "c"].map(|name| (name, book.enrol(name.into())));
        keys.iter().for_each(|(name, key)| assert!(book.lie_down(Some(*key), 5, name).1.is_empty()));
        assert_eq!(book.advance(5, None), Ok(vec!["a", "b", "c"]));
        assert_eq!(book.who_runs().len(), 3);
    }

    #[test]
    fn whoever_is_notified_runs_from_that_moment_on() {
        let mut book = book(Pace::Jumps);
        let [first, second] = ["first", "second"].map(|name| book.enrol(name.into()));
        let (waits, _) = book.lie_down(Some(first), 100, "by its deadline");
        assert_eq!(book.wake(waits), Some("by its deadline"));
        assert_eq!(book.wake(waits), None, "it is woken once");
        assert_eq!(book.lie_down(Some(second), 50, "second").1, [""; 0], "the first runs");
        assert_eq!(book.now(), 0);
        assert_eq!(book.lie_down(Some(first), 60, "first").1, ["second"]);
        assert_eq!(book.now(), 50);
    }

    #[test]
    fn jumping_time_ends_where_nobody_has_a_deadline() {
        let mut book = book(Pace::Jumps);
        let only = book.enrol("only".into());
        assert_eq!(book.lie_down(Some(only), 7, "at 7").1, ["at 7"]);
        assert_eq!(book.lie_down(Some(only), Nanos::MAX, "for ever").1, [""; 0]);
        assert_eq!(book.now(), 7);
    }

    #[test]
    fn advancing_jumping_time_stops_where_it_was_asked_to() {
        let mut book = book(Pace::Jumps);
        let [driver, worker] = ["driver", "worker"].map(|name| book.enrol(name.into()));
        book.lie_down(Some(worker), 10, "worker");
        assert_eq!(book.advance(25, Some(driver)), Ok(vec!["worker"]));
        assert_eq!(book.lie_down(Some(worker), 30, "worker").1, [""; 0]);
        assert!(book.settled());
        assert_eq!(book.arrive(Some(driver)), [""; 0]);
        assert_eq!(book.now(), 25);
        assert_eq!(book.who_runs(), ["driver".into()], "and it jumps no further while the driver runs");
        assert_eq!(book.lie_down(Some(driver), Nanos::MAX, "driver").1, ["worker"]);
        assert_eq!(book.now(), 30);
    }

    #[test]
    fn jumping_time_goes_on_when_a_stranger_has_advanced_it() {
        let mut book = book(Pace::Jumps);
        let worker = book.enrol("worker".into());
        assert_eq!(book.advance(5, None), Ok(vec![]));
        assert_eq!(book.lie_down(Some(worker), 9, "worker").1, [""; 0]);
        assert_eq!(book.arrive(None), ["worker"]);
        assert_eq!(book.now(), 9);
    }

    #[test]
    fn one_advances_at_a_time_and_an_advance_into_the_past_only_settles() {
        let mut book = book(Pace::Stands);
        assert_eq!(book.advance(5, None), Ok(vec![]));
        assert_eq!(book.advance(9, None), Err(Refused::Busy));
        assert_eq!(book.arrive(None), [""; 0]);
        assert_eq!(book.advance(3, None), Ok(vec![]));
        assert!(book.settled());
        assert_eq!(book.arrive(None), [""; 0]);
        assert_eq!(book.now(), 5);
    }

    #[test]
    fn an_advance_that_is_given_up_leaves_time_where_it_got() {
        let mut book = book(Pace::Stands);
        let worker = book.enrol("worker".into());
        book.lie_down(Some(worker), 3, "worker");
        assert_eq!(book.advance(10, None), Ok(vec!["worker"]));
        assert!(!book.settled());
        assert_eq!(book.arrive(None), [""; 0]);
        assert_eq!(book.lie_down(Some(worker), 5, "worker").1, [""; 0]);
        assert_eq!(book.now(), 3);
    }

    #[test]
    fn time_that_is_let_go_wakes_everybody_and_is_not_advanced() {
        let mut book = book(Pace::Stands);
        let worker = book.enrol("worker".into());
        book.lie_down(Some(worker), 10, "worker");
        book.lie_down(None, Nanos::MAX, "foreign");
        assert_eq!(book.flow(), ["worker", "foreign"]);
        assert_eq!(book.advance(10, None), Err(Refused::Flows));
    }

    #[test]
    fn a_thread_that_has_left_sleeps_as_a_stranger() {
        let mut book = book(Pace::Jumps);
        let gone = book.enrol("gone".into());
        let stays = book.enrol("stays".into());
        book.leave(gone);
        assert_eq!(book.lie_down(Some(gone), 5, "gone").1, [""; 0]);
        assert_eq!(book.who_runs(), ["stays".into()]);
        book.leave(gone);
        assert_eq!(book.lie_down(Some(stays), 9, "stays").1, ["gone", "stays"]);
    }
}
