//! How entries come, change, and go.
//!
//! # Protocol: a live owner's lock is the order of what it does
//! Whoever registers, updates or unregisters for an owner does all of it under the owner's lock, and only while the owner
//! lives: the claim among the owner's, the entry in its table, and what follows from it (`books`). So for a live owner the
//! claims, the tables and the indexes agree whenever its lock is free. When it ends, its claims are taken under the lock,
//! and their entries leave the tables after that: see `owner`.
//!
//! Locks are taken in this order: an owner's, a part of a table's, a bag's, those of who hears of changes. No user's code
//! runs under any of them: values that may be the last ones are handed out.

use std::{
    any::Any,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use foundation_context::{Fields, Incarnation, fields};
use foundation_sync::{planted, reached};
use foundation_telemetry::Emitter;
use smol_str::SmolStr;

use crate::{
    Entry, KeyLocks, Owner, Owners, RegisterError, Removal, Starts,
    bags::Bags,
    books::Books,
    held::{Held, Kind},
    names::Names,
    owner::{Claim, Met},
};

/// What a registry is made of.
pub(crate) struct Inner<V> {
    pub(crate) owners: Owners,
    pub(crate) names: Names<V>,
    pub(crate) groups: Bags<SmolStr, V>,
    pub(crate) books: Books<V>,
    pub(crate) locks: KeyLocks,
    pub(crate) starts: Starts,
    pub(crate) registered: Emitter,
    pub(crate) updated: Emitter,
    pub(crate) unregistered: Emitter,
}

// No panic leaves half of a change behind: no user's code runs in the middle of one.
impl<V: RefUnwindSafe> UnwindSafe for Inner<V> {}
impl<V: RefUnwindSafe> RefUnwindSafe for Inner<V> {}

/// Where an owner's entry is found again, whatever it was updated to.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) id: u64,
}

impl Ticket {
    pub(crate) fn of<V>(held: &Held<V>) -> Self {
        Self { slot: held.slot, id: held.id }
    }
}

/// What becomes of an entry that is updated.
pub(crate) enum Revision<V> {
    Value(Arc<V>),
    Metadata(Fields),
}

/// Why an entry was not revised.
pub(crate) enum Refusal {
    /// It is not what stands there any more.
    Overtaken,
    /// Its owner has ended.
    Fenced,
}

impl<V: Send + Sync + 'static> Inner<V> {
    pub(crate) fn register(
        self: &Arc<Self>,
        kind: Kind,
        key: &str,
        owner: &Owner,
        value: V,
        metadata: Fields,
    ) -> Result<Ticket, RegisterError> {
        if !self.books.take_room() {
            self.find_room(kind, key, owner)?;
        }
        let key = SmolStr::new(key);
        let group = (kind == Kind::Member).then(|| self.groups.open(&key));
        let said = self.books.said(kind, metadata);
        let mut held = Arc::new(Held::new(self, key, owner, value, said, group));
        let mut met = Vec::new();
        let done = owner.alive(|claims| -> Result<_, Arc<Held<V>>> {
            let slot = claims.vacant_key();
            Arc::get_mut(&mut held).expect("it stands nowhere yet").slot = slot as u32;
            match &held.group {
                Some(group) => group.put(&held, || self.books.shown(&held, None)),
                None => self.names.hold(&self.books, &mut held, &mut met)?,
            }
            claims.insert(Arc::clone(&held) as Arc<dyn Claim>);
            Ok(Ticket::of(&held))
        });
        let refused = match done {
            Some(Ok(ticket)) => {
                self.say(&self.registered, &held);
                return Ok(ticket);
            }
            Some(Err(there)) => {
                let taken = there.taken();
                met.push(there);
                taken
            }
            None => RegisterError::Fenced(owner.incarnation()),
        };
        self.books.refused(&held);
        if let Some(group) = &held.group {
            self.groups.close(group);
        }
        Err(refused)
    }

    /// There is no room: takes that of a dead owner's entry in whose place the new one would come. Who would be refused
    /// with more room, too, learns why.
    fn find_room(&self, kind: Kind, key: &str, owner: &Owner) -> Result<(), RegisterError> {
        if owner.fenced() {
            return Err(RegisterError::Fenced(owner.incarnation()));
        }
        let there = if kind == Kind::Name { self.names.place(key) } else { None };
        if let Some(there) = there {
            if self.names.is_found(&there) {
                return Err(there.taken());
            }
            if !there.is_live() && !planted!("registry: the dead keep their room") {
                reached!("registry: the dead made room");
                let mut met = Vec::new();
                self.names.remove(&self.books, &there, there.owner.removal(), &mut met);
            }
        }
        // If it has left meanwhile, its room is about to be there, too.
        if self.books.take_room() {
            return Ok(());
        }
        Err(RegisterError::Full { key: key.into(), capacity: self.books.capacity() })
    }

    /// Gives up what the ticket is for, if its owner lives and has it. If the owner is ending, its end does that.
    pub(crate) fn give_up(
        self: &Arc<Self>,
        owner: &Owner,
        ticket: Ticket,
        wanted: Option<&Held<V>>,
    ) -> Option<Entry<V>> {
        let mut met = Vec::new();
        let held = owner.alive(|claims| {
            let held = self.claimed(claims.get(ticket.slot as usize)?, ticket.id)?;
            if wanted.is_some_and(|wanted| !std::ptr::eq(wanted, &*held)) {
                return None;
            }
            let claim = claims.remove(ticket.slot as usize);
            self.take_out(&held, Removal::Unregistered, &mut met);
            Some((held, claim))
        });
        let (held, _claim) = held.flatten()?;
        self.say(&self.unregistered, &held);
        Some(Entry(held))
    }

    /// Puts a revised entry in the place of `old`, if its owner lives and it is still what stands there.
    pub(crate) fn revise(self: &Arc<Self>, old: &Arc<Held<V>>, revision: Revision<V>) -> Result<Entry<V>, Refusal> {
        let (value, metadata) = match revision {
            Revision::Value(value) => (value, old.metadata().clone()),
            Revision::Metadata(metadata) => (Arc::clone(&old.value), metadata),
        };
        let new = Arc::new(old.revised(value, self.books.said(old.kind(), metadata)));
        let slot = old.slot as usize;
        if planted!("registry: an update does not wait for its owner") {
            self.names.update(&self.books, old, &new);
        }
        let done = old.owner.alive(|claims| {
            let stands = claims.get(slot).and_then(|claim| self.claimed(claim, old.id));
            let stands = stands.is_some_and(|there| Arc::ptr_eq(&there, old));
            if !stands && !planted!("registry: an update does not ask what stands there") {
                return None;
            }
            // It stands, and nobody else takes it away: race "resolved against successor" in `names`.
            if !planted!("registry: the new one is shown before the old one is overtaken") {
                old.overtake();
            }
            match &old.group {
                Some(group) => _ = group.replace(old, &new, || self.books.updated(&new, old)),
                None => self.names.update(&self.books, old, &new),
            }
            Some(std::mem::replace(&mut claims[slot], Arc::clone(&new) as Arc<dyn Claim>))
        });
        match done {
            Some(Some(_claim)) => {
                self.say(&self.updated, &new);
                Ok(Entry(new))
            }
            refused => {
                self.books.indexes.close(new.bags());
                Err(match refused {
                    Some(_) => Refusal::Overtaken,
                    None => Refusal::Fenced,
                })
            }
        }
    }

    /// What an owner holds of this registry, in no order.
    pub(crate) fn held_by(self: &Arc<Self>, owner: Incarnation) -> Vec<Arc<Held<V>>> {
        let Some(owner) = self.owners.get(owner) else { return Vec::new() };
        let all = owner.alive(|claims| claims.iter().filter_map(|(_, claim)| self.mine(claim)).collect::<Vec<_>>());
        all.unwrap_or_default()
    }

    /// The entry leaves wherever it stands. What is met on the way goes to `met`.
    pub(crate) fn take_out(&self, held: &Arc<Held<V>>, why: Removal, met: &mut Vec<Arc<Held<V>>>) {
        match &held.group {
            Some(group) => {
                if group.take(held, || self.books.gone(held, why)) {
                    self.groups.close(group);
                }
            }
            None => self.names.remove(&self.books, held, why, met),
        }
    }

    /// The claim as an entry of this registry, if it is one.
    pub(crate) fn mine(&self, claim: &Arc<dyn Claim>) -> Option<Arc<Held<V>>> {
        let claim: Arc<dyn Any + Send + Sync> = Arc::<dyn Claim>::clone(claim);
        claim.downcast::<Held<V>>().ok().filter(|held| std::ptr::eq(Arc::as_ptr(&held.registry), self))
    }

    fn claimed(&self, claim: &Arc<dyn Claim>, id: u64) -> Option<Arc<Held<V>>> {
        self.mine(claim).filter(|held| held.id == id)
    }

    /// Under no lock: those who wait for facts look again, and handlers run.
    fn say(&self, emitter: &Emitter, held: &Held<V>) {
        held.owner.activity().bump();
        emitter.emit(|| {
            let name = match held.group {
                None => "name",
                Some(_) => "group",
            };
            let fields = [(name, held.key.to_string().into()), ("owner", held.owner.incarnation().into())];
            (fields! {}, Fields::from(fields))
        });
    }
}

impl<V: Send + Sync + 'static> Claim for Held<V> {
    fn release(self: Arc<Self>, why: Removal, met: &mut Met) {
        let mut here = Vec::new();
        self.registry.take_out(&self, why, &mut here);
        met.extend(here.into_iter().map(|held| held as _));
    }

    fn is_entry(&self) -> bool {
        true
    }
}
