//! A turnstile: so many at a time, in order of arrival.
//!
//! The example of `foundation_testkit::modelling`: a small protocol of one's own, on real threads, under loom and under
//! shuttle.
//!
//! # Protocol
//! The *line* is behind one lock: how many places are free, and who waits, each with a mailbox of its own for one word.
//! - *Arrive*: take a free place, or stand in line; one step under the lock.
//! - *Leave*: the place goes to whoever stands first, who is out of the line from then on; if nobody does it is free.
//!   One step under the lock; the word is sent after it.
//! - *Give up*: a deadline has passed, or a stop was told. Step out of the line, if one is still in it.
//!
//! Race *called while giving up*: between the end of the wait and the lock, the place may have been given away to the
//! one who gives up. He is no longer in the line; the place is his, and nobody else will give it on. So he enters after
//! all. He need not wait for the word: that he is out of the line says it.
//!
//! ```
//! use foundation_sync::{Clock, Deadline, SECOND};
//! use turnstile::{EnterError, Turnstile};
//!
//! let turnstile = Turnstile::new(1);
//! let inside = turnstile.enter(Clock::system().within(SECOND))?;
//! assert_eq!(turnstile.enter(Deadline::now()).unwrap_err(), EnterError::TimedOut);
//! drop(inside);
//! assert_eq!(turnstile.free(), 1);
//! # Ok::<(), EnterError>(())
//! ```

mod line;

use std::{fmt, sync::Arc};

use foundation_sync::{Full, Mailbox, Mutex, RecvError, Sender, Until, planted, reached};

use crate::line::Line;

/// So many at a time, in order of arrival. A handle: clones are of the same turnstile.
#[derive(Clone)]
pub struct Turnstile(Arc<Mutex<Line<Sender<()>>>>);

/// Somebody is inside; dropped, he leaves.
#[derive(Debug)]
#[must_use = "dropped, it leaves at once"]
pub struct Inside(Turnstile);

/// Why somebody did not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnterError {
    /// The stop was told.
    Stopped,
    /// The deadline passed.
    TimedOut,
}

impl Turnstile {
    /// So many may be inside at a time.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(Line::new(places))))
    }

    /// Waits for a place, behind those who came before.
    ///
    /// # Errors
    /// The deadline passed, or the stop was told, before it was one's turn.
    pub fn enter<'a>(&self, until: impl Into<Until<'a>>) -> Result<Inside, EnterError> {
        let (caller, mut mailbox) = Mailbox::bounded(1, Full::Refuse);
        let Some(ticket) = self.0.lock().arrive(caller) else {
            return Ok(Inside(self.clone()));
        };
        let error = match mailbox.recv(until) {
            Ok(()) => return Ok(Inside(self.clone())),
            Err(RecvError::TimedOut) => EnterError::TimedOut,
            // Nobody closes it.
            Err(RecvError::Stopped | RecvError::Closed) => EnterError::Stopped,
        };
        let stepped_out = self.0.lock().give_up(ticket);
        if stepped_out {
            return Err(error);
        }
        reached!("turnstile: called while giving up");
        if planted!("turnstile: who gives up looks at nothing") {
            return Err(error);
        }
        Ok(Inside(self.clone()))
    }

    /// How many places are free.
    pub fn free(&self) -> usize {
        self.0.lock().free()
    }

    /// How many stand in line.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let next = self.0.0.lock().leave();
        if let Some(caller) = next
            && !planted!("turnstile: nobody is called")
        {
            // There is room for one word, and only one is ever sent. Who gave up meanwhile has taken his mailbox along.
            _ = caller.try_send(());
        }
    }
}

impl fmt::Debug for Turnstile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turnstile({} free, {} wait)", self.free(), self.waiting())
    }
}

impl fmt::Display for EnterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "told to stop while waiting for a place",
            Self::TimedOut => "no place became free in time",
        })
    }
}

impl std::error::Error for EnterError {}
