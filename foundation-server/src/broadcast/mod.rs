//! One message to many servers.
//!
//! # Protocol
//! Two steps. First a *place* is reserved in the mailbox of each recipient that has one; only when there are as many as
//! the [`Quorum`] needs is the message *committed* to all places, and otherwise they are given up and nobody has got
//! anything. A copy for each, also for those that are full yet, is made before the first is committed, for a user's
//! `clone` may panic; and what was refused is dropped after the last, for so may a `drop`. A commit can fail in one way
//! only: its server has ended in between.
//!
//! Nobody waits with a place in hand: of two who held what the other waits for, neither would go on. So who finds too few
//! places gives them up, waits for the first mailbox that is full and makes senders wait, and with a place there tries the
//! others again. Who would have to make the room itself is in a [ring](crate::rings): for that mailbox it does not wait. If
//! there are more that may have a place than are needed, they are waited for in turn, each for a few milliseconds, for one
//! that hangs is to hold up nobody who can do without it. Once there are enough, they are committed, and the message is
//! brought to those that are left one by one, until the deadline.
//!
//! Named races:
//! - *death between*: a server ends after its place was reserved and before the commit. It is told as one that was not
//!   reached, and the others have the message: for these the quorum may be missed after all, which is an error that says so.
//! - *death while it is waited for*: a server that is full ends instead of making room. Where it was needed nobody gets the
//!   message, and the places of the others are given up.
//! - *two all-or-nothing*: two broadcasts want the last places of the same mailboxes. Each gets all or gives up what it has;
//!   who got a place in vain rests for a while, by chance and longer each time, lest both go on like that in step.

mod recipient;

use std::{any::Any, fmt, sync::Arc, time::Duration};

use foundation_supervisor::Backoff;
use foundation_sync::{SendError, Until, planted, reached};

pub use recipient::Recipient;

use crate::{
    Reason,
    desk::NoRoom,
    rest::{rest, sooner},
};
use recipient::Place;

/// How long one of several that are full is waited for, before the next one is.
const SLICE: Duration = Duration::from_millis(10);

/// How long who got a place in vain rests the first time, and at most.
const IN_VAIN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// How many recipients a message has to reach, of those that are different servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quorum {
    /// Whomever it reaches. It fails never.
    BestEffort,
    /// So many; with fewer places nobody gets it.
    AtLeast(usize),
    /// More than half; with fewer places nobody gets it.
    Majority,
    /// Everyone, or nobody gets it.
    All,
}

impl Quorum {
    /// How many of so many that is.
    #[must_use]
    pub fn of(self, recipients: usize) -> usize {
        match self {
            Self::BestEffort => 0,
            Self::AtLeast(most) => most,
            Self::Majority => recipients / 2 + 1,
            Self::All => recipients,
        }
    }
}

/// Why a recipient has not got the message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Missed {
    /// Its mailbox had no place, or it was not running. Also when it ended after its place was reserved; and when whoever
    /// sends would have had to make the room itself.
    Refused(Reason),
    /// It had a place, but there were too few others: nobody has got the message.
    Withheld,
}

/// What became of a broadcast: one result for each recipient, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The recipient's name, and whether its mailbox has accepted the message. A server that is there twice gets it once,
    /// and has one result, twice.
    pub results: Vec<(Arc<str>, Result<(), Missed>)>,
    /// How many different servers have accepted it.
    pub accepted: usize,
    /// How many had to.
    pub needed: usize,
}

/// Too few servers have got the message; the others have not. It comes back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastError<M> {
    /// Who has got it: nobody, unless somebody ended between the reservation and the commit.
    pub delivered: Delivered,
    /// The message.
    pub message: M,
}

/// Sends a message to these servers, to each of them once: a mailbox has accepted it, or it has not got it.
///
/// Full mailboxes that make senders wait are waited for until the deadline or the stop; a server that is not running is
/// not waited for, and neither is one that would have to wait for this thread itself ([`Reason::Ring`]). Until there are
/// places for enough, one that stays full holds up nobody who can do without it. The rest is then waited for in their order,
/// so one of these that stays full may take all the time; the others are looked at again before the end. What is accepted is
/// done at most once, as a [cast](crate::ServerRef::cast).
///
/// # Errors
/// [`BroadcastError`]: too few have accepted it. With no place for enough of them, nobody has.
///
/// ```
/// use foundation_server::{Handle, Quorum, Server, Turn, broadcast, server};
/// use foundation_supervisor::{Foundation, Strategy, Supervisor};
/// use foundation_sync::{SECOND, SECONDS_5};
///
/// struct Cache;
/// struct Index;
/// #[derive(Clone)]
/// struct Forget(u64);
///
/// impl Server for Cache {}
/// impl Server for Index {}
/// impl Handle<Forget> for Cache {
///     type Reply = ();
///     fn handle(&mut self, _: Forget, _: &mut Turn<Self>) {}
/// }
/// impl Handle<Forget> for Index {
///     type Reply = bool;
///     fn handle(&mut self, _: Forget, _: &mut Turn<Self>) -> bool { true }
/// }
///
/// let system = Foundation::builder().start();
/// let (cache, caches) = server("cache", || Cache);
/// let (index, indexes) = server("index", || Index);
/// let tree = Supervisor::new("data", Strategy::OneForOne).child(cache).child(index);
/// tree.start(&system, system.within(SECONDS_5))?;
///
/// let everyone = [caches.recipient(), indexes.recipient()];
/// let delivered = broadcast(&everyone, Forget(17), Quorum::All, system.within(SECOND)).expect("both run");
/// assert_eq!(delivered.accepted, 2);
/// assert!(system.stop(SECONDS_5).is_clean());
/// # Ok::<(), foundation_supervisor::StartError>(())
/// ```
#[track_caller]
pub fn broadcast<'a, M: Clone + Send + 'static>(
    recipients: &[Recipient<M>],
    message: M,
    quorum: Quorum,
    until: impl Into<Until<'a>>,
) -> Result<Delivered, BroadcastError<M>> {
    let mut round = Round::new(recipients, quorum);
    let until = until.into();
    round.reserve(&until);
    let withheld = planted!("broadcast: what came at the last moment is withheld") && is_over(&until);
    if round.places() >= round.needed && !withheld || planted!("broadcast: places are not counted") {
        round.copy(&message);
        round.commit();
        round.bring(&until);
    } else {
        round.withhold();
    }
    round.end(message)
}

/// One broadcast.
struct Round<'a, M> {
    recipients: &'a [Recipient<M>],
    /// Which of those that follow each recipient is.
    which: Vec<usize>,
    needed: usize,
    /// The different servers.
    servers: Vec<Server<'a, M>>,
    /// A copy for each that may get one.
    copies: Vec<M>,
    /// Copies that a mailbox did not accept after all.
    refused: Vec<Box<dyn Any>>,
}

struct Server<'a, M> {
    to: &'a Recipient<M>,
    stands: Stands<M>,
}

enum Stands<M> {
    Reserved(Box<dyn Place<M>>),
    Accepted,
    Withheld,
    Not(NoRoom),
}

impl<M> Stands<M> {
    fn full() -> Self {
        Self::Not(SendError::Full(()).into())
    }

    /// As far as is known: it may be that there was no time to look.
    fn is_full(&self) -> bool {
        matches!(self, Self::Not(NoRoom::For(SendError::Full(()) | SendError::TimedOut(()))))
    }
}

impl<'a, M: Clone + Send + 'static> Round<'a, M> {
    fn new(recipients: &'a [Recipient<M>], quorum: Quorum) -> Self {
        let mut servers: Vec<Server<'a, M>> = Vec::new();
        let mut known = std::collections::HashMap::new();
        let which = recipients.iter().map(|to| {
            *known.entry(to.0.identity()).or_insert_with(|| {
                servers.push(Server { to, stands: Stands::full() });
                servers.len() - 1
            })
        });
        let which = which.collect();
        let needed = quorum.of(servers.len());
        Self { recipients, which, needed, servers, copies: Vec::new(), refused: Vec::new() }
    }

    fn places(&self) -> usize {
        self.servers.iter().filter(|server| matches!(server.stands, Stands::Reserved(_))).count()
    }

    /// Reserves a place wherever there is one, and waits for more as long as there are too few.
    #[track_caller]
    fn reserve(&mut self, until: &Until<'_>) {
        self.try_reserve();
        let (mut turn, mut in_vain, mut got) = (0, 0, false);
        while self.places() < self.needed && self.may() >= self.needed && !is_over(until) {
            let waiting: Vec<usize> = (0..self.servers.len()).filter(|at| self.servers[*at].would_wait()).collect();
            // One that can be done without may be full for ever: then they are waited for in turn.
            let in_turn = self.may() > self.needed;
            let Some(full) = waiting.get(if in_turn { turn % waiting.len().max(1) } else { 0 }).copied() else {
                return;
            };
            turn += 1;
            self.servers
                .iter_mut()
                .filter(|server| matches!(server.stands, Stands::Reserved(_)))
                .for_each(Server::reset);
            let clock = self.servers[full].to.0.clock();
            if let Some(clock) = clock.as_ref().filter(|_| got) {
                // Race "two all-or-nothing".
                let chance = clock.now() ^ std::ptr::from_ref(self).addr() as u64;
                let span = Backoff::exponential(IN_VAIN.0, IN_VAIN.1).jitter(100).wait(in_vain, chance);
                in_vain += 1;
                _ = rest(clock, span, until);
            }
            let slice = clock.as_ref().filter(|_| in_turn).map(|clock| sooner(clock, SLICE, until));
            let server = &mut self.servers[full];
            let place = server.to.0.reserve(slice.unwrap_or_else(|| until.clone()));
            got = place.is_ok();
            server.stands = match place {
                Ok(place) => {
                    reached!("broadcast: room that was waited for");
                    Stands::Reserved(place)
                }
                Err(why) => {
                    // Race "death while it is waited for", or its time is over.
                    reached!("broadcast: waited in vain");
                    Stands::Not(why)
                }
            };
            self.try_reserve();
        }
    }

    /// Looks once, at each that has no place: also at those for which there was no time.
    fn try_reserve(&mut self) {
        for server in &mut self.servers {
            let ring = matches!(server.stands, Stands::Not(NoRoom::Ring(_)));
            if ring || server.stands.is_full() {
                server.stands = match server.to.0.try_reserve() {
                    Ok(place) => Stands::Reserved(place),
                    // It is full as long as there is the ring.
                    Err(SendError::Full(())) if ring => continue,
                    Err(why) => Stands::Not(why.into()),
                };
            }
        }
    }

    /// How many there may be: those that have a place, and those that are not full for good.
    fn may(&self) -> usize {
        self.servers.iter().filter(|server| server.may()).count()
    }

    /// All copies first: to make one is a user's code.
    fn copy(&mut self, message: &M) {
        self.copies = (0..self.may()).map(|_| message.clone()).collect();
    }

    fn commit(&mut self) {
        for server in &mut self.servers {
            server.commit(&mut self.copies, &mut self.refused);
        }
    }

    /// To those that were full, one after another.
    #[track_caller]
    fn bring(&mut self, until: &Until<'_>) {
        for server in self.servers.iter_mut().filter(|server| server.would_wait()) {
            // When time is over each is looked at once more.
            match server.to.0.reserve(until.clone()) {
                Ok(place) => {
                    server.stands = Stands::Reserved(place);
                    server.commit(&mut self.copies, &mut self.refused);
                }
                Err(why) => server.stands = Stands::Not(why),
            }
        }
    }

    fn withhold(&mut self) {
        for server in &mut self.servers {
            if let Stands::Reserved(_) = server.stands {
                let place = std::mem::replace(&mut server.stands, Stands::Withheld);
                if planted!("broadcast: what is withheld is not given up") {
                    std::mem::forget(place);
                }
            }
        }
    }

    fn end(self, message: M) -> Result<Delivered, BroadcastError<M>> {
        let accepted = self.servers.iter().filter(|server| matches!(server.stands, Stands::Accepted)).count();
        let results: Vec<_> = self.servers.iter().map(Server::result).collect();
        let of = |(to, which): (&Recipient<M>, &usize)| (Arc::clone(to.name()), results[*which].clone());
        let results = self.recipients.iter().zip(&self.which).map(of).collect();
        let delivered = Delivered { results, accepted, needed: self.needed };
        // Only now, when all is said and counted: to drop them is a user's code.
        drop((self.refused, self.copies));
        if accepted < self.needed { Err(BroadcastError { delivered, message }) } else { Ok(delivered) }
    }
}

impl<M> Server<'_, M> {
    fn would_wait(&self) -> bool {
        self.stands.is_full() && self.to.0.waits()
    }

    fn may(&self) -> bool {
        matches!(self.stands, Stands::Reserved(_)) || self.would_wait()
    }

    fn reset(&mut self) {
        self.stands = Stands::full();
    }

    /// Puts a copy into its place, if it has one.
    fn commit(&mut self, copies: &mut Vec<M>, refused: &mut Vec<Box<dyn Any>>) {
        if !matches!(self.stands, Stands::Reserved(_)) {
            return;
        }
        let Some(copy) = copies.pop() else { return };
        let Stands::Reserved(place) = std::mem::replace(&mut self.stands, Stands::Accepted) else { return };
        if let Err(back) = place.commit(copy) {
            refused.push(back);
            if !planted!("broadcast: who has died counts") {
                reached!("broadcast: death between");
                self.stands = Stands::Not(SendError::Closed(()).into());
            }
        }
    }

    fn result(&self) -> Result<(), Missed> {
        match &self.stands {
            Stands::Accepted => Ok(()),
            Stands::Withheld | Stands::Reserved(_) => Err(Missed::Withheld),
            Stands::Not(why) => {
                self.to.0.refuse();
                Err(Missed::Refused(self.to.0.reason(why)))
            }
        }
    }
}

fn is_over(until: &Until<'_>) -> bool {
    until.stop().is_some_and(foundation_sync::Stop::told) || until.deadline().passed()
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => reason.fmt(f),
            Self::Withheld => f.write_str("it was withheld: too few others had a place"),
        }
    }
}

impl<M> fmt::Display for BroadcastError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Delivered { results, accepted, needed } = &self.delivered;
        write!(f, "{accepted} servers have the message, and {needed} had to")?;
        let missed = results.iter().filter_map(|(name, result)| Some((name, result.as_ref().err()?)));
        missed.take(8).try_for_each(|(name, missed)| write!(f, "; `{name}`: {missed}"))
    }
}

impl<M> fmt::Debug for BroadcastError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BroadcastError({self})")
    }
}

impl<M> std::error::Error for BroadcastError<M> {}
