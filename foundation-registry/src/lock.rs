//! One at a time for each key, first come, first served.
//!
//! # Protocol
//! Whoever asks for a key gets a *ticket*: the first one holds the key, the others stand in its line, in the order in
//! which they asked. The ticket is its owner's claim from the moment it exists, holding or waiting, so the owner's end
//! takes it back like a name, before its Down is out. A ticket ends once, in one way: it *leaves*. One that held the key
//! gives it to the next in line, who is called; one that waited steps out. A key with a line is never free in between, so
//! nobody overtakes; a key whose last ticket left is forgotten. All of it is decided under the table's one lock; callers
//! wait on a queue of their own, for at most one call, and look at the table when it comes, or when they give up.
//!
//! Named races:
//! - *given while giving up*: the one who waits gives up (its deadline, its stop) when the key is just being given to it.
//!   Giving up looks at the table: who stands there as holder was given it. At a deadline it has the key; told to stop, it
//!   gives it to the next.
//! - *given to the dead*: the next in line is ending. Either its claim leaves the line first, or it is given the key and
//!   passes it on when its claim is taken: every ticket in the table has a claim that has not left yet.
//! - *asked while ending*: the ticket is made under the record's lock, so it is either among the claims that the end takes
//!   back, or refused.
//! - *late drop*: a guard is dropped after its owner's end, when a successor holds the key. Leaving names the ticket,
//!   whose number is never used again.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use foundation_context::Incarnation;
use foundation_sync::{Clock, Full, Mutex, Nanos, Permit, Queue, RecvError, Stop, Until, planted, reached};

use crate::{
    Owner, Removal,
    owner::{Claim, Mark, Met},
};

/// Locks with names: one holder at a time for each key. A clone is another handle.
///
/// Keys are a world of their own, they have nothing to do with registered names. A key comes into being with the first
/// who asks for it, and is forgotten when nobody holds it or waits for it. Who asks first gets it first. After Elixir's
/// `Registry.lock/3`, with deadlines.
///
/// ```
/// use foundation_context::Incarnation;
/// use foundation_registry::{KeyLocks, LockError, Owners};
/// use foundation_sync::{Clock, SECOND};
///
/// let (clock, owners) = (Clock::system(), Owners::default());
/// let locks = KeyLocks::new(&clock);
/// let [writer, reader] = [1, 2].map(|id| owners.begin(Incarnation { id, generation: 1 }, "w"));
///
/// let guard = locks.lock("index", &writer, clock.within(SECOND))?;
/// assert!(matches!(locks.try_lock("index", &reader), Err(LockError::Taken(_))));
/// drop(guard);
/// assert!(locks.try_lock("index", &reader).is_ok());
/// # Ok::<(), LockError>(())
/// ```
#[derive(Clone)]
pub struct KeyLocks(Arc<Table>);

/// A key that is held. Dropped, also in a panic, it is given to the next in line; so it is when its owner ends.
#[must_use = "dropped, the key is given to the next at once"]
pub struct KeyGuard {
    ticket: Arc<Ticket>,
    owner: Owner,
    /// Where the owner keeps the ticket.
    place: usize,
}

/// Who has a key, and who waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockNote {
    /// The key.
    pub key: Arc<str>,
    /// Who holds it.
    pub owner: Incarnation,
    /// The holder's name, for people.
    pub name: Arc<str>,
    /// Since when, by the clock of the locks.
    pub since: Nanos,
    /// For how long, when this was noted.
    pub held_for: Duration,
    /// Who waits, the next one first.
    pub waiting: Vec<Incarnation>,
}

/// Why a key was not locked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody holds it, and the caller did not want to wait.
    Taken(LockNote),
    /// Somebody still held it at the deadline.
    TimedOut(LockNote),
    /// The caller was told to stop.
    Stopped {
        /// The key.
        key: Arc<str>,
        /// Who had it, unless it was free, or was just being given to the caller.
        held: Option<LockNote>,
    },
    /// The one who asks holds it already: it would wait for itself.
    Yours(LockNote),
    /// The one who asks has ended, or was given up.
    Fenced {
        /// The key.
        key: Arc<str>,
        /// Who asked.
        owner: Incarnation,
    },
}

impl fmt::Display for LockNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, owner, name, held_for, .. } = self;
        write!(f, "`{key}`, held by {name} ({owner}) for {held_for:.1?}")?;
        match self.waiting.len() {
            0 => Ok(()),
            count => write!(f, ", {count} waiting"),
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(note) => write!(f, "the key is taken ({note}): wait for it, or come back later"),
            Self::TimedOut(note) => {
                write!(f, "the key is still taken at the deadline ({note}): wait longer, or end its holder")
            }
            Self::Stopped { key, held: None } => write!(f, "told to stop, so `{key}` was not locked: return"),
            Self::Stopped { held: Some(note), .. } => {
                write!(f, "told to stop before the key was free ({note}): return")
            }
            Self::Yours(note) => write!(f, "the key is the caller's own ({note}): use that guard, or drop it first"),
            Self::Fenced { key, owner } => {
                write!(f, "{owner} has ended, or was given up: it can't lock `{key}` any more, its successor can")
            }
        }
    }
}

impl std::error::Error for LockError {}

impl KeyLocks {
    /// No key is held. The clock says since when one is.
    pub fn new(clock: &Clock) -> Self {
        Self(Arc::new(Table { clock: clock.clone(), lines: Mutex::default() }))
    }

    /// Locks the key for this owner, after those who asked before. A caller that was told to stop gets no more, whatever
    /// is free.
    ///
    /// Threads that share an owner are one holder: while one of them holds the key, the others are refused.
    ///
    /// The owner's end ends the wait, in any case. Its [word to stop](Owner::stop) does only if `until` says so: give it
    /// `clock.within(..).or_stop(owner.stop())`.
    ///
    /// # Errors
    /// Somebody has it until the deadline, or until the caller is told to stop; or this owner has it itself, or has ended.
    #[track_caller]
    pub fn lock<'a>(&self, key: &str, owner: &Owner, until: impl Into<Until<'a>>) -> Result<KeyGuard, LockError> {
        let until = until.into();
        let key = Arc::from(key);
        if until.stop().is_some_and(Stop::told) {
            let held = self.0.note(&key);
            return Err(LockError::Stopped { key, held });
        }
        match self.ask(key, owner, Kind::Waits)? {
            (guard, None) => Ok(guard),
            (guard, Some(bell)) => guard.settle(bell.recv(until)),
        }
    }

    /// Locks the key for this owner if it is free.
    ///
    /// # Errors
    /// Somebody has it, or this owner itself, or this owner has ended.
    pub fn try_lock(&self, key: &str, owner: &Owner) -> Result<KeyGuard, LockError> {
        self.ask(Arc::from(key), owner, Kind::Tries).map(|(guard, _)| guard)
    }

    /// Who holds what, and who waits, by key, at one moment.
    pub fn locks(&self) -> Vec<LockNote> {
        let now = self.0.clock.now();
        let lines = self.0.lines.lock();
        lines.keys.iter().map(|(key, line)| line.note(key, now)).collect()
    }

    /// A ticket for the key, and what it is called with, if it has to wait.
    fn ask(&self, key: Arc<str>, owner: &Owner, kind: Kind) -> Result<(KeyGuard, Option<Bell>), LockError> {
        let fenced = LockError::Fenced { key: Arc::clone(&key), owner: owner.incarnation() };
        let mut bell = None;
        // Under the record's lock: race "asked while ending".
        let asked = owner.alive(|claims| {
            let (number, called) = self.0.enter(&key, owner, kind)?;
            bell = called;
            let ticket = Arc::new(Ticket { table: Arc::clone(&self.0), key: Arc::clone(&key), number });
            let place = claims.insert(Arc::clone(&ticket) as Arc<dyn Claim>);
            Ok((ticket, place))
        });
        let (ticket, place) = asked.ok_or(fenced)??;
        owner.activity().bump();
        Ok((KeyGuard { ticket, owner: owner.clone(), place }, bell))
    }
}

impl fmt::Debug for KeyLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.locks().iter().map(ToString::to_string)).finish()
    }
}

impl KeyGuard {
    /// The key.
    pub fn key(&self) -> &Arc<str> {
        &self.ticket.key
    }

    /// Whether it still counts. Not after the end of its owner: then another may hold the key. One load.
    ///
    /// Ask before each step that must not overlap with the next holder's: one who is given up in the middle of a step is
    /// not stopped there.
    pub fn is_held(&self) -> bool {
        !self.owner.fenced()
    }

    /// What became of one that had to wait. Dropped here, the ticket leaves.
    fn settle(self, heard: Result<(), RecvError>) -> Result<Self, LockError> {
        let stopped = heard == Err(RecvError::Stopped);
        if heard.is_err() && planted!("lock: who gives up takes the key along") {
            let key = Arc::clone(self.key());
            std::mem::forget(self);
            return Err(LockError::Stopped { key, held: None });
        }
        match self.ticket.table.settle(&self.ticket) {
            Standing::Holds if !stopped => {
                if heard.is_err() {
                    reached!("lock: given at the deadline");
                }
                Ok(self)
            }
            // Race "given while giving up".
            Standing::Holds => {
                reached!("lock: given while giving up");
                Err(LockError::Stopped { key: Arc::clone(self.key()), held: None })
            }
            Standing::Waited(note) if stopped => {
                Err(LockError::Stopped { key: Arc::clone(self.key()), held: Some(note) })
            }
            Standing::Waited(note) => Err(LockError::TimedOut(note)),
            Standing::Gone => {
                reached!("lock: died in the line");
                Err(LockError::Fenced { key: Arc::clone(self.key()), owner: self.owner.incarnation() })
            }
        }
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.ticket.table.leave(&self.ticket);
        // After the end the claims were taken, and the place is nobody's.
        let claim = self.owner.alive(|claims| claims.try_remove(self.place));
        drop(claim);
        self.owner.activity().bump();
    }
}

impl fmt::Debug for KeyGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyGuard(`{}`, {:?}{})", self.key(), self.owner, if self.is_held() { "" } else { ", ended" })
    }
}

/// How a caller asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Waits,
    Tries,
}

/// A queue for the one call.
type Bell = Queue<()>;

struct Table {
    clock: Clock,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    /// The number of the last ticket.
    last: u64,
    /// The keys that somebody holds.
    keys: BTreeMap<Arc<str>, Line>,
}

struct Line {
    holder: Holder,
    waiting: VecDeque<Waiting>,
}

struct Holder {
    number: u64,
    mark: Mark,
    owner: Incarnation,
    name: Arc<str>,
    since: Nanos,
}

struct Waiting {
    number: u64,
    mark: Mark,
    owner: Incarnation,
    name: Arc<str>,
    call: Permit<()>,
}

/// The right to a key, or a place in its line, as its owner's claim.
struct Ticket {
    table: Arc<Table>,
    key: Arc<str>,
    number: u64,
}

impl Claim for Ticket {
    /// Leaving names the ticket: race "late drop".
    fn release(self: Arc<Self>, _: Removal, _: &mut Met) -> Arc<dyn Claim> {
        self.table.leave(&self);
        self
    }
}

/// Where a ticket stood.
enum Standing {
    Holds,
    /// In the line, which it has left now.
    Waited(LockNote),
    Gone,
}

impl Table {
    /// A new ticket: it has the key, or stands in the line, to be called with what is returned.
    fn enter(&self, key: &Arc<str>, owner: &Owner, kind: Kind) -> Result<(u64, Option<Bell>), LockError> {
        let now = self.clock.now();
        let (mark, incarnation, name) = (owner.mark(), owner.incarnation(), Arc::clone(owner.name()));
        let mut lines = self.lines.lock();
        let number = lines.last + 1;
        let Some(line) = lines.keys.get_mut(key) else {
            let holder = Holder { number, mark, owner: incarnation, name, since: now };
            lines.keys.insert(Arc::clone(key), Line { holder, waiting: VecDeque::new() });
            lines.last = number;
            return Ok((number, None));
        };
        if line.holder.mark == *owner {
            return Err(LockError::Yours(line.note(key, now)));
        }
        if kind == Kind::Tries {
            return Err(LockError::Taken(line.note(key, now)));
        }
        let bell = Bell::bounded(1, Full::Refuse);
        let call = bell.reserve().expect("the queue is new and has room for one");
        line.waiting.push_back(Waiting { number, mark, owner: incarnation, name, call });
        lines.last = number;
        Ok((number, Some(bell)))
    }

    /// The ticket waits no more: it holds the key, or has left the line.
    fn settle(&self, ticket: &Ticket) -> Standing {
        let now = self.clock.now();
        let (standing, gone) = {
            let mut lines = self.lines.lock();
            let Some(line) = lines.keys.get_mut(&ticket.key) else { return Standing::Gone };
            if line.holder.number == ticket.number {
                return Standing::Holds;
            }
            let Some(gone) = line.step_out(ticket.number) else { return Standing::Gone };
            (Standing::Waited(line.note(&ticket.key, now)), gone)
        };
        drop(gone);
        standing
    }

    /// The ticket leaves: the key goes to the next, or the line closes up. Whether it had not left before.
    fn leave(&self, ticket: &Ticket) -> bool {
        let now = self.clock.now();
        let called = {
            let mut lines = self.lines.lock();
            let Some(line) = lines.keys.get_mut(&ticket.key) else { return false };
            let holds = line.holder.number == ticket.number;
            if holds || planted!("lock: a late drop takes the successor's key") {
                let called = line.pass_on(now);
                if called.is_none() {
                    lines.keys.remove(&ticket.key);
                }
                called
            } else if planted!("lock: the dead stay in the line") {
                return false;
            } else {
                reached!("lock: not the holder leaves");
                match line.step_out(ticket.number) {
                    None => return false,
                    // It is its own: whoever waits for it learns that it has ended.
                    Some(gone) => Some(gone.call),
                }
            }
        };
        if let Some(call) = called
            && !planted!("lock: nobody is called")
        {
            // The queue is never closed; who gave up does not listen any more, and has looked at the table.
            _ = call.send(());
        }
        true
    }

    fn note(&self, key: &Arc<str>) -> Option<LockNote> {
        let now = self.clock.now();
        self.lines.lock().keys.get(key).map(|line| line.note(key, now))
    }
}

impl Line {
    /// The next in line holds the key from now on, and is to be called without the lock. `None`: nobody waits.
    fn pass_on(&mut self, now: Nanos) -> Option<Permit<()>> {
        let next = match planted!("lock: the last comes first") {
            false => self.waiting.pop_front(),
            true => self.waiting.pop_back(),
        };
        let Waiting { number, mark, owner, name, call } = next?;
        self.holder = Holder { number, mark, owner, name, since: now };
        Some(call)
    }

    fn step_out(&mut self, number: u64) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.number == number)?;
        self.waiting.remove(at)
    }

    fn note(&self, key: &Arc<str>, now: Nanos) -> LockNote {
        let Holder { owner, ref name, since, .. } = self.holder;
        LockNote {
            key: Arc::clone(key),
            owner,
            name: Arc::clone(name),
            since,
            held_for: Duration::from_nanos(now.saturating_sub(since)),
            waiting: self.waiting.iter().map(|waiting| waiting.owner).collect(),
        }
    }
}
