//! Whether a registry's tables agree, and how they are made to.
//!
//! An entry stands in up to three kinds of places: among its owner's claims, in the table of names or of a group's
//! members, and in the indexes' bags. For a live owner they agree whenever its lock is free (see `inner`), so each entry
//! is judged under that lock: what is found is wrong, not on its way. An owner that is ending is left alone, for its end
//! cleans up; what is left of one that has ended is wrong.

use std::{fmt, sync::Arc};

use foundation_context::Incarnation;

use crate::{
    Owner, Registry, Removal,
    bags::Bag,
    held::Held,
    index::Indexed,
    inner::{Inner, is_claim},
};

/// Something that a registry's tables don't agree on: a defect of the library, or memory that was damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The name, or the group's key.
    pub key: String,
    /// Whose entry it is.
    pub owner: Incarnation,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Wrong {
    /// Its owner lives and has it, but nobody finds it.
    Lost,
    /// It is found, but its owner does not have it, so nobody would give it up.
    Unclaimed,
    /// It is found, but its owner has ended.
    Dead,
    /// Queries by this attribute don't find it.
    NotIndexed(&'static str),
    /// It is in an index by this attribute, with a value that it does not have, or without being found otherwise.
    WronglyIndexed(&'static str),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, owner, what } = self;
        write!(f, "`{key}` of {owner} ")?;
        match what {
            Wrong::Lost => f.write_str("is its owner's, but is not found"),
            Wrong::Unclaimed => f.write_str("is found, but is not its owner's"),
            Wrong::Dead => f.write_str("is found, but its owner has ended"),
            Wrong::NotIndexed(attribute) => write!(f, "is not in the index by `{attribute}`"),
            Wrong::WronglyIndexed(attribute) => write!(f, "is wrongly in the index by `{attribute}`"),
        }
    }
}

/// What became of the mismatches that [`Registry::rebuild`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// These are repaired.
    pub repaired: Vec<Mismatch>,
    /// These are not: another live owner has the name that was lost.
    pub left: Vec<Mismatch>,
}

/// How much there is in a registry. Each figure is true at some moment of the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Names, of all threads.
    pub names: usize,
    /// Groups that have a member.
    pub groups: usize,
    /// Their members.
    pub members: usize,
    /// Entries of indexes: a name is in one for each indexed attribute that it has.
    pub indexed: usize,
    /// Those who hear of every change.
    pub listeners: usize,
    /// Names that are watched, as often as they are.
    pub watches: usize,
    /// Names and members, and those who are just being registered or refused.
    pub taken: usize,
    /// How many there is room for.
    pub capacity: usize,
    /// About how many bytes the registry takes for all that: its tables, and what it allocates for an entry. Not what
    /// values and metadata own.
    pub bytes: usize,
}

impl<V: Send + Sync + 'static> Registry<V> {
    /// Everything that the tables don't agree on: nothing, if the library works. It looks at each entry under its owner's
    /// lock, while others register and unregister.
    pub fn check(&self) -> Vec<Mismatch> {
        self.0.wrongs().iter().map(Case::mismatch).collect()
    }

    /// Repairs what [`check`](Self::check) would find, and cleans up what is left of owners that have ended. The owners'
    /// own record of what they have is what counts.
    pub fn rebuild(&self) -> Rebuilt {
        let mut rebuilt = Rebuilt::default();
        for case in self.0.wrongs() {
            match self.0.repair(&case) {
                true => rebuilt.repaired.push(case.mismatch()),
                false => rebuilt.left.push(case.mismatch()),
            }
        }
        rebuilt
    }

    /// How much there is of everything, and about how many bytes it takes.
    pub fn sizes(&self) -> Sizes {
        let inner = &self.0;
        let (groups, bags) = (inner.groups.all(), inner.books.indexes.bags.all());
        let members = groups.iter().map(|bag| bag.len()).sum();
        let names = inner.names.len();
        // Two counts stand before what an `Arc` holds; an owner's claim is a wide pointer.
        let entry = size_of::<Held<V>>() + 16 + 16;
        let tables = inner.names.bytes() + inner.groups.bytes() + inner.books.indexes.bags.bytes();
        Sizes {
            names,
            groups: groups.iter().filter(|bag| bag.len() > 0).count(),
            members,
            indexed: bags.iter().map(|bag| bag.len()).sum(),
            listeners: inner.books.changes.listeners(),
            watches: inner.books.changes.watches(),
            taken: inner.books.taken(),
            capacity: inner.books.capacity(),
            bytes: (names + members) * entry + tables,
        }
    }
}

/// A mismatch, and where it is.
struct Case<V> {
    held: Arc<Held<V>>,
    what: Wrong,
    bag: Option<Arc<Bag<Indexed, V>>>,
}

impl<V> Case<V> {
    fn mismatch(&self) -> Mismatch {
        Mismatch { key: self.held.key.to_string(), owner: self.held.owner.incarnation(), what: self.what }
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// All that is wrong, in the order of its keys.
    fn wrongs(&self) -> Vec<Case<V>> {
        let mut wrongs = Vec::new();
        for owner in self.owners.live() {
            let claimed = owner.alive(|claims| {
                let mine: Vec<_> = claims.iter().filter_map(|(_, claim)| self.mine(claim)).collect();
                mine.iter().for_each(|held| self.judge_claimed(held, &mut wrongs));
                mine
            });
            drop(claimed);
        }
        let members = self.groups.all().into_iter().flat_map(|bag| bag.members());
        for held in self.names.all().into_iter().chain(members) {
            if let Some(what) = self.judge_standing(&held) {
                wrongs.push(Case { held, what, bag: None });
            }
        }
        for bag in self.books.indexes.bags.all() {
            for held in bag.members() {
                if self.is_wrongly_in(&held, &bag) {
                    let what = Wrong::WronglyIndexed(bag.key.attribute);
                    wrongs.push(Case { held, what, bag: Some(Arc::clone(&bag)) });
                }
            }
        }
        wrongs.sort_by(|a, b| (&a.held.key, a.what).cmp(&(&b.held.key, b.what)));
        wrongs
    }

    /// Under its owner's lock, which has it.
    fn judge_claimed(&self, held: &Arc<Held<V>>, wrongs: &mut Vec<Case<V>>) {
        if !self.stands(held) {
            wrongs.push(Case { held: Arc::clone(held), what: Wrong::Lost, bag: None });
        }
        for bag in held.bags().iter().filter(|bag| !bag.has(held)) {
            let what = Wrong::NotIndexed(bag.key.attribute);
            wrongs.push(Case { held: Arc::clone(held), what, bag: Some(Arc::clone(bag)) });
        }
    }

    /// Found in a table just now: whether that is right, if it is still there.
    fn judge_standing(&self, held: &Arc<Held<V>>) -> Option<Wrong> {
        let judged =
            self.judged(&held.owner, |claimed| (self.stands(held) && !claimed(held)).then_some(Wrong::Unclaimed));
        match judged {
            Judged::Alive(wrong) => wrong,
            Judged::Ending => None,
            Judged::Ended => self.stands(held).then_some(Wrong::Dead),
        }
    }

    /// Found in an index just now: whether it is still there, and should not be.
    fn is_wrongly_in(&self, held: &Arc<Held<V>>, bag: &Arc<Bag<Indexed, V>>) -> bool {
        let belongs = || held.bags().iter().any(|its| Arc::ptr_eq(its, bag));
        let judged = self.judged(&held.owner, |claimed| bag.has(held) && !(claimed(held) && belongs()));
        match judged {
            Judged::Alive(wrong) => wrong,
            Judged::Ending => false,
            Judged::Ended => bag.has(held),
        }
    }

    /// Asks under the owner's lock, with what tells whether an entry is among its claims.
    fn judged<R>(&self, owner: &Owner, ask: impl FnOnce(&dyn Fn(&Arc<Held<V>>) -> bool) -> R) -> Judged<R> {
        let answer = owner
            .alive(|claims| ask(&|held| claims.get(held.slot as usize).is_some_and(|claim| is_claim(claim, held))));
        match answer {
            Some(answer) => Judged::Alive(answer),
            None if owner.has_ended() => Judged::Ended,
            None => Judged::Ending,
        }
    }

    fn stands(&self, held: &Arc<Held<V>>) -> bool {
        match &held.group {
            Some(group) => group.has(held),
            None => self.names.stands(held),
        }
    }

    /// Whether it is repaired, or is no longer wrong.
    fn repair(&self, case: &Case<V>) -> bool {
        let Case { held, what, bag } = case;
        let mut met = Vec::new();
        match (what, bag) {
            (Wrong::Lost, _) => {
                let found = held.owner.alive(|claims| {
                    let claim = claims.get(held.slot as usize);
                    match &held.group {
                        // It was given up meanwhile.
                        _ if !claim.is_some_and(|claim| is_claim(claim, held)) => true,
                        Some(group) => {
                            group.put(held, || self.books.found(held, None));
                            true
                        }
                        None => self.names.find_again(&self.books, held, &mut met),
                    }
                });
                found.unwrap_or(true)
            }
            (Wrong::Unclaimed | Wrong::Dead, _) => {
                let why = if held.owner.fenced() { held.owner.removal() } else { Removal::Unregistered };
                self.take_out(held, why, &mut met);
                true
            }
            (Wrong::NotIndexed(_), Some(bag)) => {
                held.owner.alive(|_| held.is_current().then(|| bag.put(held, || {})));
                true
            }
            (Wrong::WronglyIndexed(_), Some(bag)) => {
                bag.take(held, || {});
                true
            }
            (Wrong::NotIndexed(_) | Wrong::WronglyIndexed(_), None) => true,
        }
    }
}

enum Judged<R> {
    Alive(R),
    /// On its way out: its end cleans up.
    Ending,
    Ended,
}

#[cfg(test)]
mod tests;
