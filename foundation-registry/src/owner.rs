//! Who is alive, and how the others ended.
//!
//! # Protocol: the exit sequence, as far as this crate goes
//! An owner's record goes through three states: alive, ending, ended. `end` moves it once; the second caller learns that
//! it came too late.
//! 1. Alive to ending, under the record's lock: fenced, and its names taken. No name can be added between the two.
//! 2. Its names leave their registries.
//! 3. Ending to ended, under the lock: the exit is set and the monitors are taken.
//! 4. The tombstone is set, then the record leaves the table of the living.
//! 5. The monitors get their Down.
//!
//! Named races:
//! - *register against death*: `register` holds the record's lock while it puts the name in, so the name is either
//!   among those taken in step 1 or refused.
//! - *late monitor*: whoever finds the record sees its state under the lock; whoever does not finds the tombstone, which
//!   was set before.
//! - *exit against exit*: the worker ends by itself while its supervisor abandons it; step 1 lets one through.

use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use foundation_context::Incarnation;
use foundation_sync::{
    Activity, Keyed, Map, Mutex, Permit, Queue, ReserveError,
    atomic::{AtomicBool, Ordering},
    planted, reached,
};
use slab::Slab;

use crate::{Down, Exit, Monitor};

/// How many ends are remembered.
pub const TOMBSTONES: usize = 1024;

/// Something an owner holds that ends with it: a name.
pub(crate) trait Claim: Send + Sync {
    /// Gives it up, unless somebody else holds it by now; whether it was still held. What is met on the way goes to `met`.
    fn release(&self, met: &mut Met) -> bool;
}

/// What may be the last references to users' values: to be dropped where users' code may run.
pub(crate) type Met = Vec<Arc<dyn Any + Send + Sync>>;

/// The owners of one universe. A clone is another handle.
#[derive(Clone, Default)]
pub struct Owners(Arc<Table>);

#[derive(Default)]
struct Table {
    /// Who lives; their records hold themselves until they end.
    live: Map<Incarnation, Record>,
    tombstones: Mutex<Tombstones>,
    activity: Activity,
}

#[derive(Default)]
struct Tombstones {
    order: VecDeque<Incarnation>,
    exits: HashMap<Incarnation, Exit>,
}

/// One incarnation, as an owner of names. A clone is another handle.
#[derive(Clone)]
pub struct Owner(Arc<Record>);

struct Record {
    incarnation: Incarnation,
    name: Arc<str>,
    fenced: AtomicBool,
    state: Mutex<State>,
    owners: Owners,
}

impl Keyed<Incarnation> for Record {
    fn key(&self) -> &Incarnation {
        &self.incarnation
    }
}

#[derive(Default)]
struct State {
    /// The record itself, until it ends: the table holds it weakly.
    alive: Option<Owner>,
    ending: bool,
    ended: Option<Exit>,
    claims: Slab<Arc<dyn Claim>>,
    monitors: Slab<Permit<Down>>,
}

impl Owners {
    /// Nobody lives; what changes moves this activity counter.
    pub fn with_activity(activity: Activity) -> Self {
        Self(Arc::new(Table { activity, ..Table::default() }))
    }

    /// A life begins. The name is for people.
    pub fn begin(&self, incarnation: Incarnation, name: &str) -> Owner {
        let record = Record {
            incarnation,
            name: name.into(),
            fenced: AtomicBool::new(false),
            state: Mutex::default(),
            owners: self.clone(),
        };
        let owner = Owner(Arc::new(record));
        owner.0.state.lock().alive = Some(owner.clone());
        let begun = self.0.live.insert_unless(&owner.0, |_| true);
        debug_assert!(begun.is_ok(), "an incarnation begins once");
        self.0.activity.bump();
        owner
    }

    /// The owner, if it lives.
    pub fn get(&self, incarnation: Incarnation) -> Option<Owner> {
        self.record(incarnation).filter(|owner| !owner.fenced())
    }

    /// All who live at some moment of the call.
    pub fn live(&self) -> Vec<Owner> {
        let mut live: Vec<_> = self.0.live.values().into_iter().map(Owner).filter(|owner| !owner.fenced()).collect();
        live.sort_by_key(Owner::incarnation);
        live
    }

    /// How it ended; `None` while it lives.
    pub fn exit_of(&self, incarnation: Incarnation) -> Option<Exit> {
        match self.record(incarnation) {
            Some(owner) => owner.0.state.lock().ended.clone(),
            None => Some(self.tombstone(incarnation)),
        }
    }

    /// Asks for the news of its end: exactly one Down, at once if it has ended.
    pub fn monitor(&self, incarnation: Incarnation) -> Monitor {
        let (news, place) = Monitor::place();
        let waiting = self.watch(incarnation, place);
        Monitor::new(news, waiting)
    }

    /// The same, with the news brought to a queue of the caller's, in which a place is kept for it from now on.
    ///
    /// # Errors
    /// There is no room for one more Down, or the queue is closed.
    pub fn monitor_into(&self, incarnation: Incarnation, news: &Queue<Down>) -> Result<(), ReserveError> {
        self.watch(incarnation, news.reserve()?);
        Ok(())
    }

    /// Keeps the place until the end and says with whom, or fills it at once.
    fn watch(&self, incarnation: Incarnation, place: Permit<Down>) -> Option<(Owner, usize)> {
        match self.record(incarnation) {
            Some(owner) => owner.watch(place).map(|key| (owner, key)),
            None => {
                let exit = self.tombstone(incarnation);
                // A queue that was closed meanwhile wants no news.
                _ = place.send(Down { incarnation, exit });
                None
            }
        }
    }

    pub(crate) fn unwatch(owner: &Owner, key: usize) {
        let place = {
            let mut state = owner.0.state.lock();
            // After the end the monitors were taken, and the key is nobody's.
            if state.ended.is_none() { state.monitors.try_remove(key) } else { None }
        };
        drop(place);
    }

    fn record(&self, incarnation: Incarnation) -> Option<Owner> {
        self.0.live.get(&incarnation).map(Owner)
    }

    fn tombstone(&self, incarnation: Incarnation) -> Exit {
        let tombstones = self.0.tombstones.lock();
        tombstones.exits.get(&incarnation).cloned().unwrap_or(Exit::NoSuchIncarnation)
    }

    /// How many monitors wait for a Down.
    pub fn monitors(&self) -> usize {
        self.live().iter().map(|owner| owner.0.state.lock().monitors.len()).sum()
    }
}

impl Owner {
    /// Who this is.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// Its name, for people.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Asks for the news of its end: exactly one Down, at once if it has ended. However long ago that was: an owner
    /// remembers its own end.
    pub fn monitor(&self) -> Monitor {
        let (news, place) = Monitor::place();
        let waiting = self.watch(place).map(|key| (self.clone(), key));
        Monitor::new(news, waiting)
    }

    /// Keeps the place until the end, under this key, or fills it at once.
    fn watch(&self, place: Permit<Down>) -> Option<usize> {
        let exit = {
            let mut state = self.0.state.lock();
            match state.ended.clone() {
                None => return Some(state.monitors.insert(place)),
                Some(exit) => exit,
            }
        };
        reached!("registry: a monitor met a record that had ended");
        // A queue that was closed meanwhile wants no news.
        _ = place.send(Down { incarnation: self.0.incarnation, exit });
        None
    }

    /// Whether it has ended, or was given up: what it does now does not count any more. One load.
    pub fn fenced(&self) -> bool {
        // ordering: Acquire, pairs with the Release in `end`.
        self.0.fenced.load(Ordering::Acquire)
    }

    /// The life ends so. `None`: it had ended already, and that end stands.
    ///
    /// On return its names are free, and its monitors have their Down.
    pub fn end(&self, exit: Exit) -> Option<Remains> {
        let claims = {
            let mut state = self.0.state.lock();
            if std::mem::replace(&mut state.ending, true) && !planted!("registry: two ends pass") {
                reached!("registry: two ends of one life");
                return None;
            }
            // ordering: Release, pairs with the Acquire in `fenced`. Only stored, never loaded, by writers.
            self.0.fenced.store(true, Ordering::Release);
            std::mem::take(&mut state.claims)
        };
        let mut met = Met::new();
        let mut names_leave = || claims.iter().for_each(|(_, claim)| _ = claim.release(&mut met));
        if !planted!("registry: names stay") && !planted!("registry: names leave after Down") {
            names_leave();
        }
        let (monitors, alive) = {
            let mut state = self.0.state.lock();
            state.ended = Some(exit.clone());
            (std::mem::take(&mut state.monitors), state.alive.take())
        };
        let table = &self.0.owners.0;
        if planted!("registry: the tombstone comes last") {
            table.live.remove(&self.0);
        }
        let forgotten = table.tombstones.lock().set(self.0.incarnation, exit.clone());
        drop(forgotten);
        table.live.remove(&self.0);
        drop(alive);
        for (_, place) in monitors {
            // A queue that was closed meanwhile wants no news.
            _ = place.send(Down { incarnation: self.0.incarnation, exit: exit.clone() });
        }
        if planted!("registry: names leave after Down") {
            names_leave();
        }
        table.activity.bump();
        Some(Remains(claims, met))
    }

    /// Adds what `claim` puts in place, under the record's lock: race "register against death". What it has captured is
    /// dropped without the lock if it is not called.
    pub(crate) fn claim<C: Claim + 'static, E>(
        &self,
        fenced: E,
        claim: impl FnOnce() -> Result<Arc<C>, E>,
    ) -> Result<(Arc<C>, usize), E> {
        let mut state = self.0.state.lock();
        if state.ending && !planted!("registry: the dead register") {
            reached!("registry: register met death");
            return Err(fenced);
        }
        let claim = claim()?;
        let key = state.claims.insert(Arc::clone(&claim) as Arc<dyn Claim>);
        Ok((claim, key))
    }

    pub(crate) fn disclaim(&self, key: usize) {
        let claim = {
            let mut state = self.0.state.lock();
            // After the end the claims were taken, and the key is nobody's.
            if state.ending { None } else { state.claims.try_remove(key) }
        };
        drop(claim);
    }

    /// How many names it holds.
    pub fn names(&self) -> usize {
        self.0.state.lock().claims.len()
    }

    pub(crate) fn activity(&self) -> &Activity {
        &self.0.owners.0.activity
    }
}

/// What an owner held when it ended. Dropping it may drop users' values: do that where users' code may run.
#[must_use = "drop it where users' code may run"]
#[expect(dead_code, reason = "kept only to be dropped")]
pub struct Remains(Slab<Arc<dyn Claim>>, Met);

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

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.live()).finish()
    }
}

impl Tombstones {
    /// The oldest one makes room, and is returned to be dropped without the lock.
    fn set(&mut self, incarnation: Incarnation, exit: Exit) -> Option<Exit> {
        self.exits.insert(incarnation, exit);
        self.order.push_back(incarnation);
        if self.order.len() <= TOMBSTONES {
            return None;
        }
        self.order.pop_front().and_then(|oldest| self.exits.remove(&oldest))
    }
}
