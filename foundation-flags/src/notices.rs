//! What is to be told that is no decision: it waits here for whoever tells, and there is an end to it.

use std::{collections::VecDeque, sync::Arc};

use foundation_sync::Mutex;

use crate::Level;

/// How many wait at most.
const WAITING: usize = 256;

/// Something that happened, to be told once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// A stage was asked for, and not reached.
    Failed { from: usize, to: usize, by: Arc<str>, reason: Arc<str> },
    /// A figure has crossed the limit of an alert.
    Alert { figure: Arc<str>, level: Level, value: f64, limit: f64, stage: usize, reason: Arc<str> },
}

#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    waiting: VecDeque<Notice>,
    lost: u64,
}

impl Notices {
    /// The oldest goes where there is no room.
    pub(crate) fn add(&self, notice: Notice) {
        let oldest = {
            let mut book = self.0.lock();
            book.waiting.push_back(notice);
            let oldest = if book.waiting.len() > WAITING { book.waiting.pop_front() } else { None };
            book.lost += u64::from(oldest.is_some());
            oldest
        };
        drop(oldest);
    }

    pub(crate) fn take(&self) -> VecDeque<Notice> {
        std::mem::take(&mut self.0.lock().waiting)
    }

    /// How many were never told.
    pub(crate) fn lost(&self) -> u64 {
        self.0.lock().lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_are_counted_where_there_is_no_room() {
        let notices = Notices::default();
        let notice = |to| Notice::Failed { from: 0, to, by: "alice".into(), reason: "test".into() };
        (0..WAITING + 3).for_each(|to| notices.add(notice(to)));
        let taken = notices.take();
        assert_eq!((taken.len(), &taken[0], notices.lost()), (WAITING, &notice(3), 3));
        assert!(notices.take().is_empty());
    }
}
