//! How entries come, change, and go.
//!
//! # Protocol: a live owner's lock is the order of what it does
//! Whoever registers, updates or unregisters for an owner does all of it under the owner's lock, and only while the owner
//! lives: the claim among the owner's, the entry in its indexes and then in its table, and what follows from it (`books`).
//! So for a live owner the claims, the tables and the indexes agree whenever its lock is free. When it ends, its claims are
//! taken under the lock, and their entries leave the tables after that: see `owner`.
//!
//! Locks are taken in this order: an owner's, that of those who are kept aside (`private`), a part of a table's, that of the
//! idle bag and those of the bags' own tables, those of who hears of changes. No user's code runs under any of them: values
//! that may be the last ones are handed out.

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
    Entry, KeyLocks, Owner, Owners, RegisterError, Registration, Removal, Starts,
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

/// What becomes of an entry that is updated.
pub(crate) enum Revision<V> {
    Value(V),
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
    ) -> Result<Registration, RegisterError> {
        if !owner.is_of(&self.owners) {
            return Err(RegisterError::Stranger(owner.incarnation()));
        }
        // Who would be refused anyway takes nobody's last room.
        if self.books.is_nearly_full() {
            self.refuse(kind, key, owner)?;
        }
        if !self.books.take_room() {
            self.find_room(kind, key, owner)?;
        }
        let key = SmolStr::new(key);
        let group = (kind == Kind::Member).then(|| self.groups.open(&key));
        let mut parts = Some((self.books.said(kind, metadata), group));
        let mut met = Vec::new();
        let done = owner.alive(|claims| {
            let (said, group) = parts.take().expect("an owner acts once");
            let held = Arc::new(Held::new(self, key, owner, claims.vacant_key(), value, said, group));
            if !planted!("registry: an index is entered last") {
                self.books.enter_bags(&held);
            }
            match &held.group {
                Some(group) => group.put(&held, || self.books.shown(&held, None)),
                None => {
                    if let Err(there) = self.names.hold(&self.books, &held, &mut met) {
                        return Err((there, held));
                    }
                }
            }
            if planted!("registry: an index is entered last") {
                self.books.enter_bags(&held);
            }
            let registration = Registration::new(&held);
            let told = self.registered.heard().then(|| Arc::clone(&held));
            claims.insert(held);
            Ok((registration, told))
        });
        match done {
            Some(Ok((registration, told))) => {
                owner.activity().bump();
                if let Some(held) = told {
                    self.tell(&self.registered, &held);
                }
                Ok(registration)
            }
            Some(Err((there, held))) => {
                self.books.stepped_back(&held);
                let taken = there.taken();
                met.extend([there, held]);
                Err(taken)
            }
            None => {
                let (said, group) = parts.take().expect("nobody has acted");
                self.books.refused(said.as_ref().map_or(&[], |said| &said.bags));
                group.iter().for_each(|group| self.groups.close(group));
                Err(RegisterError::Fenced(owner.incarnation()))
            }
        }
    }

    /// Why this one would be refused, however much room there is. Else what stands where it would come: a dead one.
    fn refuse(&self, kind: Kind, key: &str, owner: &Owner) -> Result<Option<Arc<Held<V>>>, RegisterError> {
        if owner.fenced() {
            return Err(RegisterError::Fenced(owner.incarnation()));
        }
        match if kind == Kind::Name { self.names.place(key) } else { None } {
            Some(there) if self.names.is_found(&there) => Err(there.taken()),
            there => Ok(there.filter(|there| !there.is_live())),
        }
    }

    /// There is no room: takes that of a dead owner's entry in whose place the new one would come.
    fn find_room(&self, kind: Kind, key: &str, owner: &Owner) -> Result<(), RegisterError> {
        if let Some(dead) = self.refuse(kind, key, owner)? {
            reached!("registry: the dead made room");
            let mut met = Vec::new();
            self.take_out(&dead, dead.owner.removal(), &mut met);
        }
        // If it has left meanwhile, its room is about to be there, too.
        if self.books.take_room() {
            return Ok(());
        }
        Err(RegisterError::Full { key: key.into(), capacity: self.books.capacity() })
    }

    /// Gives up this very entry, if its owner lives and has it; whether that was done. If the owner is ending, its end
    /// does it.
    pub(crate) fn give_up(&self, held: &Arc<Held<V>>) -> bool {
        let mut met = Met::new();
        let slot = held.slot as usize;
        let claim = held.owner.alive(|claims| {
            claims.get(slot).filter(|claim| is_claim(claim, held))?;
            Some(claims.remove(slot).release(Removal::Unregistered, &mut met))
        });
        let Some(Some(claim)) = claim else { return false };
        claim.say();
        true
    }

    /// Puts a revised entry in the place of `old`, a name, if its owner lives and it is still what stands there.
    pub(crate) fn revise(self: &Arc<Self>, old: &Arc<Held<V>>, revision: Revision<V>) -> Result<Entry<V>, Refusal> {
        let (value, metadata) = match revision {
            Revision::Value(value) => (Some(value), old.metadata().clone()),
            Revision::Metadata(metadata) => (None, metadata),
        };
        let new = Arc::new(old.revised(value, self.books.said(Kind::Name, metadata)));
        let slot = old.slot as usize;
        if planted!("registry: an update does not wait for its owner") {
            self.names.update(&self.books, old, &new);
        }
        let done = old.owner.alive(|claims| {
            let stands = claims.get(slot).is_some_and(|claim| is_claim(claim, old));
            if !stands && !planted!("registry: an update does not ask what stands there") {
                return None;
            }
            // It stands, and nobody else takes it away: race "resolved against successor" in `names`.
            if !planted!("registry: the new one is shown before the old one is overtaken") {
                old.overtake();
            }
            if planted!("registry: an index is left before it is entered") {
                old.bags().iter().for_each(|bag| _ = bag.take(old, || {}));
            }
            self.books.enter_bags(&new);
            self.names.update(&self.books, old, &new);
            Some(std::mem::replace(&mut claims[slot], Arc::clone(&new) as Arc<dyn Claim>))
        });
        match done {
            Some(Some(_claim)) => {
                new.owner.activity().bump();
                self.tell(&self.updated, &new);
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
        // Whoever finds it no more does not get it from a resolved name or a query either.
        if !planted!("registry: an entry is taken out before it is overtaken") {
            held.overtake();
        }
        match &held.group {
            // One that was lost (see `check`) is booked all the same.
            Some(group) => {
                if group.take(held, || _ = self.books.gone(held, why)) || self.books.gone(held, why) {
                    self.groups.close(group);
                }
            }
            None => {
                self.names.remove(&self.books, held, why, met);
                self.books.gone(held, why);
            }
        }
    }

    /// The claim as an entry of this registry, if it is one.
    pub(crate) fn mine(&self, claim: &Arc<dyn Claim>) -> Option<Arc<Held<V>>> {
        let claim: Arc<dyn Any + Send + Sync> = Arc::<dyn Claim>::clone(claim);
        claim.downcast::<Held<V>>().ok().filter(|held| std::ptr::eq(Arc::as_ptr(&held.registry), self))
    }

    /// Under no lock: handlers run.
    fn tell(&self, emitter: &Emitter, held: &Held<V>) {
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

/// Whether the claim is this very entry.
pub(crate) fn is_claim<V>(claim: &Arc<dyn Claim>, held: &Arc<Held<V>>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(claim), Arc::as_ptr(held))
}

impl<V: Send + Sync + 'static> Claim for Held<V> {
    fn release(self: Arc<Self>, why: Removal, met: &mut Met) -> Arc<dyn Claim> {
        let mut here = Vec::new();
        self.registry.take_out(&self, why, &mut here);
        met.extend(here.into_iter().map(|held| held as _));
        self
    }

    fn entry(&self) -> Option<u64> {
        Some(self.id)
    }

    fn say(&self) {
        self.owner.activity().bump();
        self.registry.tell(&self.registry.unregistered, self);
    }
}
