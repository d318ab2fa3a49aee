//! One life as an owner, and its end.
//!
//! # Protocol: the exit sequence, as far as this crate goes
//! An owner's record goes through three states: alive, ending, ended. `end` moves it once; the second caller learns that
//! it came too late.
//! 1. Alive to ending, under the record's lock: the fence goes up, and its names and what it asked for are taken. Nothing
//!    can be added between them. Then its receives are seen out (`fence.rs`).
//! 2. The monitors that it asked for are dropped (`vigil.rs`), and its names leave their registries.
//! 3. Ending to ended, under the lock: the exit is set and the monitors are taken.
//! 4. The tombstone is set, then the record leaves the table of the living.
//! 5. The heirs take over, and the monitors get their Down.
//! 6. What is left is handed to the caller, to be dropped where users' code may run: what it held, the heirs' second part,
//!    and the word to stop, if somebody has asked for it. So an end runs no user's code, and waits for nobody but its
//!    receives.
//!
//! So whoever learns of the end, by a Down or by being told the exit, sees all that the life did, and all of steps 1 and 2.
//!
//! Named races:
//! - *register against death*: `register` holds the record's lock while it puts the name in, so the name is either
//!   among those taken in step 1 or refused.
//! - *late monitor*: whoever finds the record sees its state under the lock; whoever does not finds the tombstone, which
//!   was set before.
//! - *exit against exit*: the worker ends by itself while its supervisor abandons it; step 1 lets one through.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
};

use foundation_context::Incarnation;
use foundation_sync::{
    Activity, Keyed, Mutex, Nanos,
    atomic::{AtomicBool, Ordering},
    planted, reached,
};
use slab::Slab;

pub(crate) use crate::owners::Owners;
use crate::{
    Down, Exit, Removal,
    fence::{Fence, Outside, Says},
    owners::Table,
    vigil::{AskedFor, Heirs, Ties},
};

/// Something an owner holds that ends with it: a name, a lock.
pub(crate) trait Claim: Any + Send + Sync {
    /// Gives it up, unless somebody else holds it by now, and comes back to be dropped without a lock. What is met on the
    /// way goes to `met`.
    fn release(self: Arc<Self>, why: Removal, met: &mut Met) -> Arc<dyn Claim>;

    /// The number by which a [`Registration`](crate::Registration) knows it, if it is a name, or a place in a group. No
    /// other entry of the owners' registries has it; an update keeps it.
    fn entry(&self) -> Option<u64> {
        None
    }

    /// Says that it was given up, under no lock.
    fn say(&self) {}
}

/// So much room for claims a life keeps.
const KEPT: usize = 64;

/// What may be the last references to users' values: to be dropped where users' code may run.
pub(crate) type Met = Vec<Arc<dyn Any + Send + Sync>>;

/// One incarnation, as an owner of names. A clone is another handle. None of them ends it: see
/// [`OwnerGuard`](crate::OwnerGuard).
#[derive(Clone)]
pub struct Owner(pub(crate) Arc<Record>);

pub(crate) struct Record {
    incarnation: Incarnation,
    name: Arc<str>,
    abandoned: AtomicBool,
    fence: Fence,
    pub(crate) state: Mutex<State>,
    owners: Owners,
}

#[derive(Default)]
pub(crate) struct State {
    /// The record itself, until it ends: the table holds it weakly.
    alive: Option<Owner>,
    pub(crate) ending: bool,
    /// Boxed, for most owners have not.
    pub(crate) ended: Option<Box<(Exit, Nanos)>>,
    claims: Slab<Arc<dyn Claim>>,
    /// Most owners have none.
    pub(crate) ties: Option<Box<Ties>>,
}

impl Keyed<Incarnation> for Record {
    fn key(&self) -> &Incarnation {
        &self.incarnation
    }
}

impl PartialEq for Owner {
    /// Whether it is the same life of the same universe.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Owner {}

/// See [`Owner::mark`]. It keeps nothing but the place in memory, so it may be dropped under any lock.
pub(crate) struct Mark(Weak<Record>);

impl PartialEq<Owner> for Mark {
    fn eq(&self, owner: &Owner) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&owner.0))
    }
}

impl Owner {
    /// It lives from now on, until it ends.
    pub(crate) fn new(incarnation: Incarnation, name: Arc<str>, owners: &Owners) -> Self {
        let record = Record {
            incarnation,
            name,
            abandoned: AtomicBool::new(false),
            fence: Fence::default(),
            state: Mutex::default(),
            owners: owners.clone(),
        };
        let owner = Self(Arc::new(record));
        owner.0.state.lock().alive = Some(owner.clone());
        owner
    }

    /// It never lived: another one lives under its number.
    pub(crate) fn refuse(&self) {
        let why = format!("{} lives already: begin with another number, or a later generation", self.incarnation());
        let alive = {
            let mut state = self.0.state.lock();
            state.ending = true;
            state.ended = Some(Box::new((Exit::Failed(why.into()), self.now())));
            self.0.fence.put_up();
            state.alive.take()
        };
        drop(alive);
    }

    /// Who this is.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// Its name, for people.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The life ends so: see [`OwnerGuard::end`](crate::OwnerGuard::end), which has the right to it.
    pub(crate) fn end(&self, exit: Exit) -> Option<Remains> {
        let table = self.table();
        let (claims, asked) = {
            let mut state = self.0.state.lock();
            if std::mem::replace(&mut state.ending, true) && !planted!("registry: two ends pass") {
                reached!("registry: two ends of one life");
                return None;
            }
            // ordering: Relaxed, the fence shows it.
            self.0.abandoned.store(matches!(exit, Exit::Abandoned { .. }), Ordering::Relaxed);
            self.0.fence.put_up();
            if planted!("registry: the exit is set first") {
                state.ended = Some(Box::new((exit.clone(), 0)));
            }
            (std::mem::take(&mut state.claims), AskedFor::take(&mut state.ties))
        };
        let says = self.0.fence.see_out(&table.outside);
        asked.drop_all();
        let mut met = Met::new();
        let mut names_leave = |claims: Slab<Arc<dyn Claim>>| -> Vec<_> {
            claims.into_iter().map(|(_, claim)| claim.release(self.removal(), &mut met)).collect()
        };
        let (mut left, mut late) = (Vec::new(), Slab::new());
        match planted!("registry: names stay") || planted!("registry: names leave after Down") {
            true => late = claims,
            false => left = names_leave(claims),
        }
        let down = Down { incarnation: self.0.incarnation, exit, at: table.clock.now() };
        let ended = Box::new((down.exit.clone(), down.at));
        let (ties, alive) = {
            let mut state = self.0.state.lock();
            state.ended = Some(ended);
            (state.ties.take(), state.alive.take())
        };
        if planted!("registry: the tombstone comes last") {
            table.live.remove(&self.0);
        }
        table.tombstones.set(&down);
        table.live.remove(&self.0);
        drop(alive);
        let heirs = ties.map(|ties| ties.deliver(&down)).unwrap_or_default();
        if planted!("registry: names leave after Down") {
            left = names_leave(late);
        }
        table.activity.bump();
        Some(Remains { says, heirs, left, met })
    }

    /// Changes what it holds, under its lock, if it lives: race "register against death". If not, what `act` has captured
    /// is dropped without the lock; else it hands out what may be somebody's last reference.
    pub(crate) fn alive<R>(&self, act: impl FnOnce(&mut Slab<Arc<dyn Claim>>) -> R) -> Option<R> {
        let mut state = self.0.state.lock();
        if state.ending && !planted!("registry: the dead register") {
            reached!("registry: register met death");
            return None;
        }
        let done = act(&mut state.claims);
        give_back(&mut state.claims);
        Some(done)
    }

    /// Gives up the entry of this number, which stands in this slot if it is still there and the owner lives. If the owner
    /// is ending, its end does that.
    pub(crate) fn give_up(&self, slot: u32, entry: u64) {
        let mut met = Met::new();
        let claim = self.alive(|claims| {
            let claim = claims.get(slot as usize)?;
            if claim.entry() != Some(entry) {
                return None;
            }
            Some(claims.remove(slot as usize).release(Removal::Unregistered, &mut met))
        });
        if let Some(Some(claim)) = claim {
            claim.say();
        }
    }

    /// By which it is known to be the same life, later: universes count alike, so a number does not tell.
    pub(crate) fn mark(&self) -> Mark {
        Mark(Arc::downgrade(&self.0))
    }

    /// Whether it is one of these.
    pub(crate) fn is_of(&self, owners: &Owners) -> bool {
        Arc::ptr_eq(&self.0.owners.0, &owners.0)
    }

    pub(crate) fn next_entry(&self) -> u64 {
        // ordering: Relaxed: numbers that differ.
        self.table().entries.fetch_add(1, Ordering::Relaxed)
    }

    /// Why what it held is no more, once it is fenced.
    pub(crate) fn removal(&self) -> Removal {
        // ordering: Relaxed: whoever has seen that it is fenced sees what was stored before that.
        match self.0.abandoned.load(Ordering::Relaxed) {
            true => Removal::OwnerAbandoned,
            false => Removal::OwnerEnded,
        }
    }

    /// The time now, by the clock of its universe.
    pub(crate) fn now(&self) -> Nanos {
        self.table().clock.now()
    }

    /// How many names it has, and places in groups, of all registries.
    pub fn names(&self) -> usize {
        self.0.state.lock().claims.iter().filter(|(_, claim)| claim.entry().is_some()).count()
    }

    /// How much it has that its end would take back: names and places in groups, and locks that it holds or waits for.
    pub fn claims(&self) -> usize {
        self.0.state.lock().claims.len()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<Down> {
        let ended = self.0.state.lock().ended.clone();
        ended.map(|ended| Down { incarnation: self.0.incarnation, exit: ended.0, at: ended.1 })
    }

    /// Whether its end has begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.0.state.lock().ending
    }

    /// Whether its end is complete: its names have left. It copies nothing.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.state.lock().ended.is_some()
    }

    pub(crate) fn activity(&self) -> &Activity {
        &self.table().activity
    }

    pub(crate) fn table(&self) -> &Table {
        &self.0.owners.0
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.0.fence
    }

    pub(crate) fn outside(&self) -> &Outside {
        &self.table().outside
    }
}

/// Gives back the room for claims that a life had once and has no more: all of it with the last claim, before that what
/// lies behind the last one that is there. A claim keeps its place, so no more can be had. It is looked at when the claims
/// are a power of two, so a claim pays its share of that once.
fn give_back(claims: &mut Slab<Arc<dyn Claim>>) {
    let (len, room) = (claims.len(), claims.capacity());
    if room <= KEPT || len >= room / 8 {
        return;
    }
    match len {
        0 => *claims = Slab::new(),
        len if len.is_power_of_two() => claims.shrink_to_fit(),
        _ => {}
    }
}

/// What an owner held when it ended, its word to stop ([`Owner::stop`]), which is said when this is dropped, and its
/// [heirs](crate::Heir), who are told to settle then. That may drop users' values and wake users'
/// [`Wake`](foundation_sync::Wake)s: do it where users' code may run.
#[must_use = "drop it where users' code may run"]
pub struct Remains {
    /// The first field, so that it is said before a value's drop panics.
    says: Says,
    heirs: Heirs,
    left: Vec<Arc<dyn Claim>>,
    met: Met,
}

impl Remains {
    /// Whether there is nothing: then it may be dropped anywhere.
    pub fn is_empty(&self) -> bool {
        self.says.is_empty() && self.heirs.is_empty() && self.left.is_empty() && self.met.is_empty()
    }
}

impl fmt::Debug for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remains")
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.name, self.0.incarnation)
    }
}
