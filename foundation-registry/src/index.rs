//! Names by what was said about them.
//!
//! # Protocol: what matches all the time is found
//! An entry is in one bag for each indexed attribute that it has. A query looks at the bags of the values that it asks for,
//! one after another, and then at the table of names, which is the truth.
//!
//! Named race: *query against update*: an entry is replaced by an update while a query looks for it.
//! - Where the attribute says what it said, the new entry takes the old one's place in the bag, in one step. The query
//!   has met one of the two, and finds in the table of names what stands there now.
//! - Where it says something else, and the query has asked for both values, it may have looked into the one bag before the
//!   entry came, and into the other one after it had left. An update moves a count after the entry has come, before it
//!   leaves. A query that looks into several bags and sees the count move looks at all names.

use std::{collections::HashSet, sync::Arc};

use foundation_context::{Fields, Value};
use foundation_sync::{
    atomic::{AtomicU64, Ordering},
    planted, reached,
};

use crate::{
    Query,
    bags::{Bag, Bags},
    held::Held,
    query::Canonical,
};

/// One value of one indexed attribute.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Indexed {
    pub(crate) attribute: &'static str,
    value: Canonical,
}

/// The indexed attributes of a registry, with a bag of names for each value that one of them has.
pub(crate) struct Indexes<V> {
    attributes: Box<[&'static str]>,
    /// How often a name has moved from one bag to another, for each attribute.
    moves: Box<[AtomicU64]>,
    pub(crate) bags: Bags<Indexed, V>,
}

impl<V: Send + Sync + 'static> Indexes<V> {
    pub(crate) fn new(attributes: Box<[&'static str]>) -> Self {
        let moves = attributes.iter().map(|_| AtomicU64::new(0)).collect();
        Self { attributes, moves, bags: Bags::default() }
    }

    /// The bags that an entry of this metadata will be in, opened.
    pub(crate) fn open(&self, metadata: &Fields) -> Vec<Arc<Bag<Indexed, V>>> {
        let indexed = self.attributes.iter().filter_map(|attribute| {
            let value = Canonical::from(metadata.get(attribute)?);
            Some(self.bags.open(&Indexed { attribute, value }))
        });
        indexed.collect()
    }

    /// The entry will not be in its bags any more, or never was.
    pub(crate) fn close(&self, bags: &[Arc<Bag<Indexed, V>>]) {
        bags.iter().for_each(|bag| self.bags.close(bag));
    }

    /// An entry that is in the new bags is about to leave the old ones.
    pub(crate) fn moved(&self, old: &[Arc<Bag<Indexed, V>>], new: &[Arc<Bag<Indexed, V>>]) {
        for left in old.iter().filter(|old| !new.iter().any(|new| Arc::ptr_eq(old, new))) {
            let attribute = self.attributes.iter().position(|known| *known == left.key.attribute);
            // ordering: Release, pairs with the first Acquire in `candidates`: who begins after the move sees the entry in
            // the new bag. Who sees that it has left the old one sees the count move: that bag's own order says so.
            _ = attribute.map(|attribute| self.moves[attribute].fetch_add(1, Ordering::Release));
        }
    }

    /// All that may match, as far as an index can tell; `None` if none can, or names have moved between the bags meanwhile.
    pub(crate) fn candidates(&self, query: &Query) -> Option<Vec<Arc<Held<V>>>> {
        let moves = |attribute: usize| {
            // ordering: Acquire, pairs with the Release in `moved`.
            self.moves[attribute].load(Ordering::Acquire)
        };
        let bags = |(attribute, values): (&'static str, &[Value])| -> Option<_> {
            let at = self.attributes.iter().position(|known| *known == attribute)?;
            let before = moves(at);
            let mut wanted: Vec<_> = values.iter().map(Canonical::from).collect();
            // A value that is listed twice is looked for once.
            let mut seen = HashSet::new();
            wanted.retain(|value| seen.insert(value.clone()));
            let several = wanted.len() > 1;
            let bags = wanted.into_iter().filter_map(|value| self.bags.get(&Indexed { attribute, value }));
            Some((bags.collect::<Vec<_>>(), several.then_some((at, before))))
        };
        let fewest =
            query.equalities().filter_map(bags).min_by_key(|(bags, _)| bags.iter().map(|bag| bag.len()).sum::<usize>());
        let (bags, several) = fewest?;
        let candidates = bags.iter().flat_map(|bag| bag.members()).collect();
        let moved = several.is_some_and(|(at, before)| moves(at) != before);
        if moved && !planted!("registry: a query does not see a move") {
            reached!("registry: a name moved while it was looked for");
            return None;
        }
        Some(candidates)
    }
}
