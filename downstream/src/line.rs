//! The pure part: who has a place, and who stands where. No thread, no lock, no time.

use std::collections::VecDeque;

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// The line: how many places are free, and who waits. If somebody waits, no place is free.
pub(crate) struct Line<W> {
    free: usize,
    waiting: VecDeque<(Ticket, W)>,
    tickets: u64,
}

impl<W> Line<W> {
    pub(crate) fn new(free: usize) -> Self {
        Self { free, waiting: VecDeque::new(), tickets: 0 }
    }

    /// Takes a free place, or stands in line with this ticket.
    pub(crate) fn arrive(&mut self, who: W) -> Option<Ticket> {
        if self.free > 0 {
            self.free -= 1;
            return None;
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.push_back((ticket, who));
        Some(ticket)
    }

    /// Gives a place to whoever stands first; otherwise it is free.
    pub(crate) fn leave(&mut self) -> Option<W> {
        let first = self.waiting.pop_front();
        if first.is_none() {
            self.free += 1;
        }
        first.map(|(_, who)| who)
    }

    /// Steps out of the line. `false` if the place was already given to this ticket: it is in the line no more.
    pub(crate) fn give_up(&mut self, ticket: Ticket) -> bool {
        let there = self.waiting.iter().position(|(there, _)| *there == ticket);
        there.is_some_and(|at| self.waiting.remove(at).is_some())
    }

    pub(crate) fn free(&self) -> usize {
        self.free
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Ticket};

    #[test]
    fn a_place_goes_to_who_came_first() {
        let mut line = Line::new(1);
        assert_eq!(line.arrive("ann"), None, "there was a place");
        assert!(line.arrive("bob").is_some() && line.arrive("cid").is_some());
        assert_eq!([line.leave(), line.leave(), line.leave()], [Some("bob"), Some("cid"), None]);
        assert_eq!((line.free(), line.waiting()), (1, 0));
    }

    #[test]
    fn who_gave_up_is_not_called() {
        let mut line = Line::new(0);
        let bob = line.arrive("bob").expect("there is no place");
        line.arrive("cid");
        assert!(line.give_up(bob));
        assert_eq!(line.leave(), Some("cid"));
    }

    #[test]
    fn who_was_called_can_no_longer_give_up() {
        let mut line = Line::new(0);
        let bob: Ticket = line.arrive("bob").expect("there is no place");
        assert_eq!(line.leave(), Some("bob"));
        assert!(!line.give_up(bob), "the place is his");
    }
}
