//! What follows from an entry that comes or goes: room, indexes, who hears of it.
//!
//! The tables of names and of groups are the truth. An entry is in the indexes before it can be seen, for who asks them
//! looks at the tables, too. All else is done when a change can be seen, under the lock of that part of the table, so each
//! change is booked exactly once, in the order of its key, and whoever has taken an entry out, or met that somebody else
//! did, finds it booked.

use std::sync::Arc;

use foundation_context::Fields;
use foundation_sync::{
    atomic::{AtomicUsize, Ordering},
    planted, reached,
};

use crate::{
    Removal, What,
    bags::Bag,
    changes::Changes,
    held::{Held, Kind, Said},
    index::{Indexed, Indexes},
};

pub(crate) struct Books<V> {
    capacity: usize,
    /// How many entries there are, and those that are about to be put in.
    taken: AtomicUsize,
    pub(crate) indexes: Indexes<V>,
    pub(crate) changes: Changes<V>,
}

impl<V: Send + Sync + 'static> Books<V> {
    pub(crate) fn new(capacity: usize, indexed: Box<[&'static str]>) -> Self {
        Self { capacity, taken: AtomicUsize::new(0), indexes: Indexes::new(indexed), changes: Changes::default() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes room for one entry, if there is any. Never more than there is: not even for a moment, in which somebody
    /// else might be refused.
    pub(crate) fn take_room(&self) -> bool {
        if planted!("registry: room is looked for and taken in two steps") {
            // ordering: none, it is a planted bug.
            let taken = self.taken.load(Ordering::Relaxed);
            if taken < self.capacity {
                // ordering: none, it is a planted bug.
                self.taken.fetch_add(1, Ordering::Relaxed);
            }
            return taken < self.capacity;
        }
        let one_more = |taken| (taken < self.capacity).then_some(taken + 1);
        // ordering: Relaxed. It is a count; what was in the room is nobody's business.
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Whether those who are just registering, if they are no more than some, may fill it.
    pub(crate) fn is_nearly_full(&self) -> bool {
        const SOME: usize = 64;
        self.taken() + SOME >= self.capacity
    }

    pub(crate) fn give_room(&self) {
        // ordering: Relaxed, see `take_room`.
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many entries there are.
    pub(crate) fn taken(&self) -> usize {
        // ordering: Relaxed, it is a count.
        self.taken.load(Ordering::Relaxed)
    }

    /// What an entry says, with the indexes' bags opened that it will be in.
    pub(crate) fn said(&self, kind: Kind, metadata: Fields) -> Option<Box<Said<V>>> {
        if metadata.is_empty() {
            return None;
        }
        let bags = match kind {
            Kind::Name => self.indexes.open(&metadata),
            Kind::Member => Vec::new(),
        };
        Some(Box::new(Said { metadata, bags }))
    }

    /// The entry is about to be seen: whoever has found it in its table finds it in the indexes, too.
    pub(crate) fn enter_bags(&self, new: &Arc<Held<V>>) {
        new.bags().iter().for_each(|bag| bag.put(new, || {}));
    }

    /// The entry is not seen any more.
    fn leave_bags(&self, old: &Held<V>) {
        for bag in old.bags() {
            bag.take(old, || {});
            self.indexes.bags.close(bag);
        }
    }

    /// The entry can be seen, instead of another one whose owner has ended.
    pub(crate) fn shown(&self, new: &Arc<Held<V>>, dead: Option<&Arc<Held<V>>>) {
        if let Some(dead) = dead {
            reached!("registry: a successor replaced the dead");
            if planted!("registry: the successor is said first") {
                self.changes.say(What::Registered, new);
            }
            self.gone(dead, dead.owner.removal());
        }
        self.changes.say(What::Registered, new);
    }

    /// The entry, which is booked already, can be seen by everybody, instead of another one whose owner has ended.
    pub(crate) fn found(&self, held: &Arc<Held<V>>, dead: Option<&Arc<Held<V>>>) {
        if let Some(dead) = dead {
            self.gone(dead, dead.owner.removal());
        }
        self.changes.moved(held);
    }

    /// The entry can be seen instead of an older one of the same registration.
    pub(crate) fn updated(&self, new: &Arc<Held<V>>, old: &Arc<Held<V>>) {
        if old.leave() {
            self.indexes.moved(old.bags(), new.bags());
            self.leave_bags(old);
            self.changes.say(What::Updated, new);
        }
    }

    /// The entry can be seen no more: booked by whoever says it first, who is told `true`.
    pub(crate) fn gone(&self, old: &Arc<Held<V>>, why: Removal) -> bool {
        let first = old.leave();
        if first {
            self.leave_bags(old);
            self.give_room();
            self.changes.say(What::Unregistered(why), old);
        }
        first
    }

    /// An entry that is not put in never stood anywhere: it leaves the bags that it has entered. (One that did, and
    /// stepped back, is booked as gone.)
    pub(crate) fn stepped_back(&self, held: &Held<V>) {
        if held.leave() {
            self.leave_bags(held);
            self.give_room();
        }
    }

    /// An entry that would have been in these bags is not put in.
    pub(crate) fn refused(&self, bags: &[Arc<Bag<Indexed, V>>]) {
        self.indexes.close(bags);
        self.give_room();
    }
}
