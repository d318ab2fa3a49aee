//! One monitor, from its making to its end, as owners know it: its vigil. Who waits has the handle (`monitor.rs`).
//!
//! # Protocol
//! A monitor waits until somebody *takes* the place that is kept for its news, under the monitor's own lock, and thereby
//! decides how it ends: delivered, by its target's end; withdrawn, by its handle; or dropped, by its caller's end. Each
//! counts what it has taken, so a monitor ends once and is counted once.
//!
//! As long as it waits it stands in two lists, under its number: among those who wait for its target, and among those that
//! its caller has asked for. Each list is under its owner's lock, and constant work for a monitor. Who takes the place
//! strikes the monitor off the lists, except a list that is taken as a whole, by an end.
//!
//! Named races:
//! - *late monitor*: it finds its target's end under the target's lock, and delivers it to itself.
//! - *caller's end while it is made*: it is put on the caller's list first, which an ended caller refuses. On the target's
//!   list it is put only if it still waits, which is looked at under the target's lock: who takes it after that look
//!   strikes it off after that.
//! - *caller against target*: both end. Each finds the monitor on its list, one takes the place.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, DefaultHasher},
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::Arc,
};

use foundation_context::Incarnation;
use foundation_sync::{Mutex, Nanos, Permit, Queue, payload, planted, reached};

use crate::{Down, MonitorOptions, Owner, Owners, monitors::Book};

/// A list shrinks when it has more room than this, and most of it is free.
const KEPT: usize = 64;

/// What a monitor is made with.
pub(crate) struct Asked {
    options: MonitorOptions,
    location: &'static Location<'static>,
}

impl Asked {
    #[track_caller]
    pub(crate) fn here(options: MonitorOptions) -> Self {
        Self { options, location: Location::caller() }
    }
}

/// See the module.
pub(crate) struct Vigil {
    /// Which it is of the universe's, in the order in which they were made.
    pub(crate) number: u64,
    pub(crate) target: Owner,
    pub(crate) caller: Option<Owner>,
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) made: Nanos,
    waiting: Mutex<Option<Waiting>>,
}

struct Waiting {
    place: Permit<Down>,
    /// The handle's queue, if there is a handle.
    own: Option<Queue<Down>>,
    /// It was found to be a leak.
    found: bool,
}

/// The lists of one owner. By number, for two lists know a monitor; the hashes are the same in each run of a model.
#[derive(Default)]
pub(crate) struct Ties {
    /// Who waits for its end.
    watched: Vigils,
    /// What it asked for.
    asked: Vigils,
    /// Who acts on its end, on the thread that ends it.
    heirs: Vec<Arc<dyn Heir>>,
}

/// Who takes over what a life leaves behind: see [`Owner::leave_to`].
pub trait Heir: Send + Sync {
    /// The life has ended so: its names are free, and those who wait for its end do not know yet. Called by whoever ends it,
    /// where no user's code may run, such as where a supervisor gives a hung worker up: it takes locks of its own at most,
    /// waits for nobody, and drops no user's value.
    fn inherit(&self, down: &Down);

    /// Where users' code may run: what was inherited is seen to. A successor of the life may live by then.
    fn settle(&self) {}
}

/// How many heirs a life has at most.
pub const MOST_HEIRS: usize = 64;

/// A life has [as many heirs](MOST_HEIRS) as it may have: this one takes nothing over, and comes back.
#[derive(Clone)]
pub struct LeaveToError(pub Arc<dyn Heir>);

impl fmt::Display for LeaveToError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the life has {MOST_HEIRS} heirs already: one that takes over for others needs one place")
    }
}

impl fmt::Debug for LeaveToError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaveToError({self})")
    }
}

impl std::error::Error for LeaveToError {}

/// The heirs, to be told where users' code may run.
#[derive(Default)]
pub(crate) struct Heirs(Vec<Arc<dyn Heir>>);

impl Heirs {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Heirs {
    fn drop(&mut self) {
        for heir in &self.0 {
            // One that panics takes nothing from the others, nor does what it panics with.
            let settled = catch_unwind(AssertUnwindSafe(|| heir.settle()));
            settled.unwrap_or_else(payload::forget);
        }
    }
}

type Vigils = HashMap<u64, Arc<Vigil>, BuildHasherDefault<DefaultHasher>>;

impl Owners {
    /// Begins a monitor of whoever this is. Nothing, if it is over already.
    pub(crate) fn keep_vigil(
        &self,
        incarnation: Incarnation,
        asked: Asked,
        place: Permit<Down>,
        own: Option<Queue<Down>>,
    ) -> Option<Arc<Vigil>> {
        if let Some(target) = self.record(incarnation) {
            return Some(target.keep_vigil(asked, place, own));
        }
        let down = self.tombstone(incarnation);
        let table = &self.0;
        table.book.begin();
        deliver(&table.book, place, own, down);
        table.book.say_created(incarnation, asked.options.tag.as_ref(), asked.options.caller.as_ref(), asked.location);
        None
    }
}

impl Owner {
    /// Begins a monitor of this owner.
    pub(crate) fn keep_vigil(&self, asked: Asked, place: Permit<Down>, own: Option<Queue<Down>>) -> Arc<Vigil> {
        let table = self.table();
        let MonitorOptions { tag, caller } = asked.options;
        let made = table.clock.now();
        let vigil = Arc::new(Vigil {
            number: table.book.begin(),
            target: self.clone(),
            // A monitor of oneself gets its Down.
            caller: caller.filter(|caller| caller != self),
            tag,
            location: asked.location,
            made,
            waiting: Mutex::new(Some(Waiting { place, own, found: false })),
        });
        vigil.tie();
        table.activity.bump();
        table.book.say_created(self.incarnation(), vigil.tag.as_ref(), vigil.caller.as_ref(), vigil.location);
        vigil
    }

    /// Makes this one its heir, who takes over exactly once, and at once if it has ended. It is kept as long as the life.
    ///
    /// # Errors
    /// [`LeaveToError`]: the life has [as many](MOST_HEIRS) as it may have.
    pub fn leave_to(&self, heir: Arc<dyn Heir>) -> Result<(), LeaveToError> {
        let ended = {
            let mut state = self.0.state.lock();
            match state.ended.as_deref() {
                Some(_) if planted!("registry: a late heir is kept for nobody") => return Ok(()),
                None => {
                    let heirs = &mut state.ties.get_or_insert_default().heirs;
                    if heirs.len() >= MOST_HEIRS {
                        return Err(LeaveToError(heir));
                    }
                    heirs.push(heir);
                    return Ok(());
                }
                Some((exit, at)) => Down { incarnation: self.incarnation(), exit: exit.clone(), at: *at },
            }
        };
        reached!("registry: an heir came late");
        heir.inherit(&ended);
        heir.settle();
        Ok(())
    }

    /// Those who wait for this owner's end.
    pub(crate) fn vigils(&self) -> Vec<Arc<Vigil>> {
        let state = self.0.state.lock();
        state.ties.iter().flat_map(|ties| ties.watched.values().cloned()).collect()
    }
}

impl Vigil {
    /// Puts it on the lists, or finds that it is over.
    fn tie(self: &Arc<Self>) {
        if let Some(caller) = &self.caller
            && !self.tie_to(caller)
        {
            self.caller_ended();
            return;
        }
        let ended = {
            let mut state = self.target.0.state.lock();
            let ended = state.ended.clone();
            if ended.is_none() {
                if self.waits() || planted!("registry: a monitor is kept for nobody") {
                    state.ties.get_or_insert_default().watched.insert(self.number, Arc::clone(self));
                } else {
                    reached!("registry: a caller ended while its monitor was made");
                }
            }
            ended
        };
        if let Some((exit, at)) = ended.map(|ended| *ended) {
            reached!("registry: a monitor met a record that had ended");
            self.deliver(&Down { incarnation: self.target.incarnation(), exit, at });
        }
    }

    /// `false`: the caller has ended.
    fn tie_to(self: &Arc<Self>, caller: &Owner) -> bool {
        let mut state = caller.0.state.lock();
        if state.ending {
            return false;
        }
        state.ties.get_or_insert_default().asked.insert(self.number, Arc::clone(self));
        true
    }

    /// Takes the place: who does decides how it ends.
    fn take(&self) -> Option<Waiting> {
        self.waiting.lock().take()
    }

    pub(crate) fn waits(&self) -> bool {
        self.waiting.lock().is_some()
    }

    /// That it is a leak was found: whether for the first time. `None`: it does not wait any more.
    pub(crate) fn find(&self) -> Option<bool> {
        let mut waiting = self.waiting.lock();
        waiting.as_mut().map(|waiting| !std::mem::replace(&mut waiting.found, true))
    }

    /// The target has ended so.
    pub(crate) fn deliver(&self, down: &Down) {
        let Some(Waiting { place, own, .. }) = self.take() else { return };
        if let Some(caller) = &self.caller {
            strike(caller, |ties| &mut ties.asked, self.number);
        }
        deliver(&self.target.table().book, place, own, down.clone());
    }

    /// The caller has ended, and nobody waits any more.
    pub(crate) fn caller_ended(&self) {
        let taken = self.take();
        if taken.is_some() || planted!("registry: a caller's end counts what was delivered") {
            strike(&self.target, |ties| &mut ties.watched, self.number);
            self.target.table().book.drop_one();
        }
        if let Some(Waiting { place, own, .. }) = taken {
            drop(place);
            own.iter().for_each(Queue::close);
        }
    }

    /// The handle is dropped.
    pub(crate) fn withdraw(&self) {
        let waiting = self.take();
        if waiting.is_none() && !planted!("registry: a withdrawn monitor is struck off without a look") {
            reached!("registry: a monitor was over when it was dropped");
            return;
        }
        drop(waiting);
        strike(&self.target, |ties| &mut ties.watched, self.number);
        if let Some(caller) = &self.caller {
            strike(caller, |ties| &mut ties.asked, self.number);
        }
        let table = self.target.table();
        table.book.withdraw();
        table.activity.bump();
        table.book.say_withdrawn(self, &table.clock);
    }
}

/// Nothing comes after the news: the handle's queue is closed behind it.
fn deliver(book: &Book, place: Permit<Down>, own: Option<Queue<Down>>, down: Down) {
    book.deliver(place, down);
    own.iter().for_each(Queue::close);
}

/// Strikes a monitor off one of this owner's lists, if it is there.
fn strike(owner: &Owner, list: impl FnOnce(&mut Ties) -> &mut Vigils, number: u64) {
    let struck = {
        let mut state = owner.0.state.lock();
        let Some(ties) = &mut state.ties else { return };
        let list = list(ties);
        let struck = list.remove(&number);
        if list.capacity() > KEPT && list.len() < list.capacity() / 8 {
            list.shrink_to(list.len() * 2);
        }
        struck
    };
    drop(struck);
}

/// What an owner asked for, to be dropped with it: taken once, when it begins to end.
pub(crate) struct AskedFor(Vigils);

impl AskedFor {
    pub(crate) fn take(ties: &mut Option<Box<Ties>>) -> Self {
        Self(ties.as_mut().map(|ties| std::mem::take(&mut ties.asked)).unwrap_or_default())
    }

    pub(crate) fn drop_all(self) {
        self.0.into_values().for_each(|vigil| vigil.caller_ended());
    }
}

impl Ties {
    /// Everybody who waits gets the news, the heirs first.
    pub(crate) fn deliver(self, down: &Down) -> Heirs {
        let inherit = || self.heirs.iter().for_each(|heir| heir.inherit(down));
        let last = planted!("registry: heirs take over after Down");
        if !last {
            inherit();
        }
        self.watched.into_values().for_each(|vigil| vigil.deliver(down));
        if last {
            inherit();
        }
        Heirs(self.heirs)
    }
}

impl fmt::Debug for Vigil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vigil({:?})", self.target)
    }
}
