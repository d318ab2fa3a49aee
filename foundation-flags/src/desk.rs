//! One change at a time: a role, not a lock.
//!
//! # Protocol
//! Who wants to change something takes the role, works without any lock, and gives the role back. Whoever can't wait,
//! because it may not, leaves a note instead: what is written down is *behind*. Whoever has the role looks for that note
//! before it gives the role back, and writes again.
//!
//! Who left the note sees to it that somebody takes the role for it, if nobody has it: the courier.
//!
//! Whoever has heard that the file was changed, and finds the role taken, does not wait either: it leaves the other note,
//! that the file is *to be looked at*. Who had the role looks for that one when it has given the role back.
//!
//! Named races:
//! - *note against return*: the note comes while the role is given back. Both happen under one lock: either the note is
//!   seen, or whoever comes for it finds the role free. The same holds for the other note: it is left only where the role is
//!   found taken, in one step, so somebody is still to give it back.

#[cfg(feature = "watch")]
use std::sync::Arc;

use foundation_sync::{Condvar, Deadline, Mutex, planted, reached};

use crate::ChangeError;

#[derive(Debug, Default)]
pub(crate) struct Desk {
    book: Mutex<Book>,
    free: Condvar,
}

#[derive(Default)]
struct Book {
    taken: bool,
    behind: bool,
    /// Who wants the file to be looked at.
    #[cfg(feature = "watch")]
    looks: Option<Arc<str>>,
}

impl Desk {
    /// Waits for the role.
    pub(crate) fn take(&self, until: &Deadline) -> Result<(), ChangeError> {
        let mut book = self.book.lock();
        while book.taken {
            if until.passed() {
                return Err(ChangeError::Busy);
            }
            book = self.free.wait(book, until);
        }
        book.taken = true;
        Ok(())
    }

    /// Takes the role; or, if somebody has it, leaves the note that the file is to be looked at. Does not wait.
    #[cfg(feature = "watch")]
    pub(crate) fn take_or_note(&self, by: &Arc<str>) -> bool {
        let mut book = self.book.lock();
        if book.taken {
            book.looks = Some(Arc::clone(by));
            return false;
        }
        book.taken = true;
        true
    }

    /// The note that the file is to be looked at, once.
    #[cfg(feature = "watch")]
    pub(crate) fn take_note_to_look(&self) -> Option<Arc<str>> {
        self.book.lock().looks.take()
    }

    /// Leaves the note that what is written down is behind. Does not wait.
    pub(crate) fn note_behind(&self) {
        let mut book = self.book.lock();
        book.behind = true;
        if book.taken {
            reached!("desk: a note for whoever has the role");
        }
    }

    /// Whether there is a note.
    pub(crate) fn is_behind(&self) -> bool {
        self.book.lock().behind
    }

    /// Takes the role if there is a note and nobody has it. Does not wait.
    pub(crate) fn take_if_behind(&self) -> bool {
        let mut book = self.book.lock();
        let takes = book.behind && !book.taken;
        book.taken |= takes;
        takes
    }

    /// Gives the role back, unless there is a note: then `false`, the note is taken, and the role is kept.
    pub(crate) fn give_back(&self) -> bool {
        {
            let mut book = self.book.lock();
            if std::mem::take(&mut book.behind) && !planted!("desk: the note is not looked for") {
                return false;
            }
            book.taken = false;
        }
        self.free.notify_all();
        true
    }
}
