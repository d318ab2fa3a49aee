//! Dead letters: messages that no server has done, kept for a while, sent again, taken back or purged.
//!
//! # Protocol
//! A universe has one box of letters, which is data of the universe's and no worker's: nothing in it is lost when whoever
//! works with it crashes. A letter is *waiting*, or *out*: in the hand of somebody who tries it again. It goes out under
//! the box's lock, so to one at a time; it keeps its place meanwhile, and nobody purges, takes or crowds out what is out.
//! Whoever has it out sends it once, to its server's mailbox, without waiting, and then says under the lock what became of
//! it: *delivered*, which removes it, or *failed*, which counts an attempt and makes it wait again. If he crashes before
//! he has sent, the letter fails like that (a guard says it as he unwinds); from the moment in which it is handed over it
//! counts as delivered. So a letter reaches a mailbox at most once for each time that it was counted as delivered.
//!
//! A message that was delivered and dies again comes back as a new letter, with its first failure, its attempts and its
//! retry: what goes round and round comes to its end.
//!
//! The *postman* is a service of the universe, started with the first letter that is to be tried again by itself. All that
//! it has to know is in the box: when which letter is due. It sleeps until the first of them, or until the *bell* is rung,
//! for one is due earlier, or the window of an event ends.
//!
//! What is told to users, the sink's letters and the events, is told by an errand to the courier: one at a time, which tells
//! some letters, and is sent again as long as there are more. Where the courier has no room for it the postman sends it
//! again after a while, and once more when he is told to stop. What is left for the sink then is found by whoever asks for
//! the counts: once the courier has ended, it counts as missed.
//!
//! Named races:
//! - *two try one letter*: an operator and the postman, or two lives of the postman. The second finds it out, and leaves it.
//! - *bell before sleep*: a letter comes when the postman has looked and does not sleep yet. The bell keeps one ring.
//! - *full of what is out*: each letter that might make room is out. Then there is one more than the box holds, for each
//!   that is out at most.
//! - *last look*: something comes to be told between an errand's last look and its end. Both happen under the box's lock and
//!   the tray's, so either it is seen or who brings it sends the next errand.
//! - *retry against end*: the server ends while a letter is sent to it. Its mailbox's lock decides, as for any message.

mod letter;
mod lifted;
mod load;
mod postman;
mod shelf;
mod tell;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use std::{fmt, sync::Arc};

use foundation_context::carried;
use foundation_supervisor::{OnNeed, System};
use foundation_sync::{Full, Mutex, Queue};

use crate::{Handle, ServerRef, desk::count, envelope::Cast, server::Server};

pub use letter::{DeadLetter, LetterCounts, Reason, Retried, Retry, TakeError};
pub(crate) use load::{Addressed, Letter, Past};
pub use tell::{DEAD_LETTER_ADDED, DEAD_LETTER_DELIVERED, DEAD_LETTER_OVERFLOWED, DEAD_LETTER_PURGED};

use lifted::Lifted;
use load::Load;
use shelf::Shelf;
pub(crate) use tell::EVENTS;

use tell::Desk;

/// How many views are made under one hold of the lock.
const PAGE: usize = 256;

/// The dead letters of a universe. A clone is another handle.
///
/// A message becomes one when its server's last life has ended, or its next is not to be waited for
/// ([`Pending`](crate::Pending)); when it has killed too many lives; when a [send](crate::ServerRef::send) has failed that
/// says so; or when it is [added](Self::add) by hand. A call never does: it comes back to its caller.
///
/// # What is promised
/// - A letter stays until it is delivered, taken, purged, or crowded out by younger ones: `added` is the sum of those and of
///   what waits, at any moment ([`counts`](Self::counts)).
/// - To send it again is to send it once: it is accepted by its server's mailbox, and is no letter any more, or it stays.
///   What the mailbox has accepted is treated like any message: it may come back as a new letter.
/// - Whoever retries may crash: the letter in his hand stays, with one more attempt.
///
/// # What is not
/// - Letters do not survive their universe: they are in memory. They can be listed and taken as long as there is a handle.
/// - A letter whose server will never live again, for its tree has given up or has ended, is not tried by itself any more;
///   it stays, for an operator. So does one that was quarantined: it kills.
/// - Letters to one server may be delivered in another order than they were sent in.
///
/// ```
/// use foundation_server::{DeadLetters, Handle, Server, Turn, server};
/// use foundation_supervisor::{Foundation, Strategy, Supervisor};
/// use foundation_sync::{SECOND, SECONDS_5};
///
/// struct Mailer;
/// struct Mail(&'static str);
///
/// impl Server for Mailer {}
/// impl Handle<Mail> for Mailer {
///     type Reply = ();
///     fn handle(&mut self, _: Mail, _: &mut Turn<Self>) {}
/// }
///
/// let system = Foundation::builder().start();
/// let letters = DeadLetters::of(&system);
/// let (spec, mailer) = server("mailer", || Mailer);
/// let number = letters.add(&mailer, Mail("hello"), "the mailer is not there yet");
/// assert_eq!(&*letters.list(10)[0].recipient, "mailer");
///
/// Supervisor::new("mails", Strategy::OneForOne).child(spec).start(&system, system.within(SECONDS_5))?;
/// let retried = letters.retry(|letter| &*letter.recipient == "mailer");
/// assert_eq!(retried.delivered, [number]);
/// assert_eq!(letters.counts().waiting, 0);
/// assert!(system.stop(SECONDS_5).is_clean());
/// # Ok::<(), foundation_supervisor::StartError>(())
/// ```
#[derive(Clone)]
pub struct DeadLetters {
    system: System,
    letters: Arc<Letters>,
}

/// The box of one universe.
pub(crate) struct Letters {
    shelf: Mutex<Shelf<Box<dyn Load>>>,
    desk: Desk,
    postman: OnNeed,
    bell: Queue<()>,
    /// Where a test has the postman crash: with a letter in its hand.
    #[cfg(test)]
    fault: foundation_sync::atomic::AtomicBool,
}

impl Default for Letters {
    fn default() -> Self {
        Self {
            shelf: Mutex::default(),
            desk: Desk::default(),
            postman: OnNeed::new(),
            bell: Queue::bounded(1, Full::Refuse),
            #[cfg(test)]
            fault: foundation_sync::atomic::AtomicBool::new(false),
        }
    }
}

impl DeadLetters {
    /// Those of this universe.
    pub fn of(system: &System) -> Self {
        Self { system: system.clone(), letters: system.part() }
    }

    /// How many it holds: 10,000 if not said. The oldest makes room for one more, is counted and dropped by the courier. 0
    /// counts as 1. It is said once, before the first letter.
    ///
    /// # Errors
    /// It was said, or there was a letter: how many it holds.
    pub fn set_capacity(&self, letters: usize) -> Result<(), usize> {
        self.letters.shelf.lock().set_capacity(letters)
    }

    /// How many it holds.
    pub fn capacity(&self) -> usize {
        self.letters.shelf.lock().capacity()
    }

    /// How letters are tried again by themselves that come from now on and have nothing said of their own: not at all, if
    /// this is not said.
    pub fn set_retry(&self, retry: Option<Retry>) {
        self.letters.shelf.lock().retry = retry;
    }

    /// What gets each letter that comes from now on, once: a log, a file, a table. The courier calls it, after the letter
    /// is in the box and in order; where it is too slow it misses some, which are [counted](LetterCounts::unsunk), and so
    /// is a panic in it. A second sink takes the place of the first.
    ///
    /// ```
    /// use foundation_server::DeadLetters;
    /// use foundation_supervisor::Foundation;
    ///
    /// let system = Foundation::builder().start();
    /// DeadLetters::of(&system).set_sink(|letter| eprintln!("{letter}"));
    /// ```
    pub fn set_sink(&self, sink: impl Fn(&DeadLetter) + Send + Sync + 'static) {
        let before = self.letters.desk.set_sink(Arc::new(sink));
        drop(before);
    }

    /// Makes a message a dead letter: what a program can't deliver in its own way. `what` says why. Its number.
    pub fn add<M: Send + 'static, S: Handle<M>>(
        &self,
        server: &ServerRef<S>,
        message: M,
        what: impl Into<Arc<str>>,
    ) -> u64 {
        let letter = Letter {
            load: Addressed { desk: Arc::clone(server.desk()), parcel: Arc::new(Cast::new(message)) },
            reason: Reason::Undeliverable { what: what.into() },
            fields: carried().fields(),
            past: None,
            retry: None,
        };
        count(&server.desk().counts.buried);
        self.bury(letter)
    }

    pub(crate) fn bury<S: Server>(&self, letter: Letter<S>) -> u64 {
        self.letters.put(&self.system, letter)
    }

    /// The letters, from the oldest on, so many at most.
    #[must_use]
    pub fn list(&self, most: usize) -> Vec<DeadLetter> {
        self.find(most, |_| true)
    }

    /// Those that are such, from the oldest on, so many at most. The closure runs under no lock, so letters may come and go
    /// meanwhile; those that come after it has begun are not looked at.
    #[must_use]
    pub fn find(&self, most: usize, mut such: impl FnMut(&DeadLetter) -> bool) -> Vec<DeadLetter> {
        let (mut found, mut after) = (Vec::new(), 0);
        // Numbers are counted: this is the youngest's.
        let youngest = self.letters.shelf.lock().counts().added;
        while found.len() < most {
            let page = self.letters.shelf.lock().page(after, youngest, PAGE);
            let Some(last) = page.last() else { break };
            after = last.number;
            found.extend(page.into_iter().filter(|letter| such(letter)).take(most - found.len()));
        }
        found
    }

    /// Sends each of those letters again, from the oldest on, that are such now: what became of each. It does not wait, and
    /// what is full stays full. A letter that somebody else has just out, or has delivered, is left to him.
    ///
    /// It does not look at how often a letter was tried already: this is an operator's.
    #[must_use = "it says which were delivered"]
    pub fn retry(&self, such: impl FnMut(&DeadLetter) -> bool) -> Retried {
        let mut retried = Retried::default();
        for letter in self.find(usize::MAX, such) {
            match self.letters.attempt(&self.system, letter.number) {
                None => {}
                Some(Ok(())) => retried.delivered.push(letter.number),
                Some(Err(reason)) => retried.failed.push((letter.number, reason)),
            }
        }
        self.letters.tell(&self.system);
        retried
    }

    /// Drops those letters that are such: how many. Their messages are dropped here.
    pub fn purge(&self, such: impl FnMut(&DeadLetter) -> bool) -> usize {
        let mut purged = 0;
        for letter in self.find(usize::MAX, such) {
            let gone = self.letters.shelf.lock().purge(letter.number);
            // Its drop is the user's, who is the caller.
            if let Some(gone) = gone {
                purged += 1;
                drop(gone);
            }
        }
        self.letters.tell(&self.system);
        self.system.activity().bump();
        purged
    }

    /// Takes a letter's message back, if it is of this type: it is no letter any more. One that was to be
    /// [done again](crate::ServerRef::cast_again) is cloned; where that panics the letter stays as it was.
    ///
    /// # Errors
    /// [`TakeError`].
    pub fn take<M: Send + 'static>(&self, number: u64) -> Result<M, TakeError> {
        let load = self.letters.shelf.lock().lift(number, |load| load.carries::<M>())?;
        let mut lifted = Lifted { letters: &self.letters, system: &self.system, number, load: Some(load) };
        let message = lifted.unpack().and_then(|message| message.downcast().ok());
        Ok(*message.expect("it is of this type, and was not begun"))
    }

    /// How many there are, and were.
    #[must_use]
    pub fn counts(&self) -> LetterCounts {
        self.letters.tell_left(&self.system);
        let counts = self.letters.shelf.lock().counts();
        self.letters.desk.count(counts)
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeadLetters").field(&self.counts()).finish()
    }
}

impl Letters {
    pub(crate) fn put<S: Server>(self: &Arc<Self>, system: &System, letter: Letter<S>) -> u64 {
        let now = system.clock().now();
        let new = letter.into_new(now);
        let (added, crowded_out) = self.shelf.lock().add(new, now);
        if let Some(oldest) = crowded_out {
            // Whoever brings a letter may be somewhere in the middle of another's end.
            system.discard(oldest);
        }
        let (number, due) = (added.number, added.due);
        self.desk.sink(added.view);
        self.schedule(system, due);
        self.tell(system);
        system.activity().bump();
        number
    }
}
