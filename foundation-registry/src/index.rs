//! Names by what was said about them.

use std::{collections::HashSet, sync::Arc};

use foundation_context::{Fields, Value};

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
    pub(crate) bags: Bags<Indexed, V>,
}

impl<V: Send + Sync + 'static> Indexes<V> {
    pub(crate) fn new(attributes: Box<[&'static str]>) -> Self {
        Self { attributes, bags: Bags::default() }
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

    /// All that may match, as far as an index can tell; `None` if none can.
    pub(crate) fn candidates(&self, query: &Query) -> Option<Vec<Arc<Held<V>>>> {
        let bags = |(attribute, values): (&'static str, &[Value])| -> Option<Vec<_>> {
            let attribute = self.attributes.iter().find(|known| **known == attribute)?;
            let mut wanted: Vec<_> = values.iter().map(Canonical::from).collect();
            // A value that is listed twice is looked for once.
            let mut seen = HashSet::new();
            wanted.retain(|value| seen.insert(value.clone()));
            Some(wanted.into_iter().filter_map(|value| self.bags.get(&Indexed { attribute, value })).collect())
        };
        let fewest =
            query.equalities().filter_map(bags).min_by_key(|bags| bags.iter().map(|bag| bag.len()).sum::<usize>());
        Some(fewest?.iter().flat_map(|bag| bag.members()).collect())
    }
}
