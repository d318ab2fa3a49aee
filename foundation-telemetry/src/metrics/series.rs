//! A metric's series, by their tags' values.

use std::{
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use foldhash::fast::{FixedState, RandomState};
use foundation_context::{Fields, Value};
use foundation_sync::{
    MODEL, Mutex, Once,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    planted, reached,
};

use super::{
    Measured, Metric, Series,
    cell::{Cell, Number},
};

pub(super) struct Table {
    /// A power of two, at least twice as many as may be used: so who looks for what is not there soon meets a free one.
    places: Box<[Once<Box<Entry>>]>,
    most: usize,
    /// How many places are used. Changed under the lock.
    used: AtomicUsize,
    enters: Mutex<usize>,
    other: Once<Box<Entry>>,
    overflowed: AtomicU64,
    hasher: FixedState,
}

pub(super) struct Entry {
    hash: u64,
    /// `None`: the tags of all that found no room.
    tags: Option<Box<[Value]>>,
    cell: Cell,
    #[cfg(feature = "metrics")]
    mirror: Option<super::bridge::Mirror>,
}

/// What an event says of one that it does not have.
const NOTHING: &Value = &Value::Static("");

fn tag<'a>(metadata: &'a Fields, name: &str) -> &'a Value {
    metadata.get(name).unwrap_or(NOTHING)
}

/// Texts are the same however they are held, and a fraction that is no number is the same as itself.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits(),
        _ => match (one.as_str(), other.as_str()) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        },
    }
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        let places = most.saturating_mul(2).next_power_of_two();
        Self {
            places: (0..places).map(|_| Once::new()).collect(),
            most,
            used: AtomicUsize::new(0),
            enters: Mutex::new(0),
            other: Once::new(),
            overflowed: AtomicU64::new(0),
            // In a model each run of a schedule is as the one before.
            hasher: FixedState::with_seed(if MODEL { 0 } else { RandomState::default().hash_one(0) }),
        }
    }

    pub(super) fn find(&self, metadata: &Fields, of: &Measured, measures: impl FnOnce(&Entry) -> bool) -> bool {
        let hash = self.hash(metadata, &of.metric);
        match self.probe(hash, metadata, &of.metric) {
            Ok(entry) => measures(entry),
            Err(_) => measures(self.enter(hash, metadata, of)),
        }
    }

    fn hash(&self, metadata: &Fields, metric: &Metric) -> u64 {
        if metric.tags.is_empty() {
            return 0;
        }
        let mut hasher = self.hasher.build_hasher();
        for name in &metric.tags {
            let value = tag(metadata, name);
            match (value, value.as_str()) {
                (_, Some(text)) => hasher.write(text.as_bytes()),
                (Value::Bool(value), _) => hasher.write_u8((*value).into()),
                (Value::U64(value), _) => hasher.write_u64(*value),
                (Value::I64(value), _) => hasher.write_i64(*value),
                (Value::F64(value), _) => hasher.write_u64(value.to_bits()),
                _ => {}
            }
            // So that `ab`, `c` is not `a`, `bc`.
            hasher.write_u8(0xFF);
        }
        hasher.finish()
    }

    /// The series, or the place where it would be.
    fn probe(&self, hash: u64, metadata: &Fields, metric: &Metric) -> Result<&Entry, usize> {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(entry) = self.places[at].get() {
            if entry.hash == hash && entry.is_of(metadata, metric) {
                return Ok(entry);
            }
            at = (at + 1) & mask;
        }
        Err(at)
    }

    #[cold]
    fn enter(&self, hash: u64, metadata: &Fields, of: &Measured) -> &Entry {
        // ordering: none; who is wrong looks again under the lock.
        if self.used.load(Ordering::Relaxed) < self.most {
            // Made before the lock: a recorder's code may run.
            let tags = of.metric.tags.iter().map(|name| tag(metadata, name).clone()).collect();
            let entry = Box::new(Entry::new(hash, Some(tags), of));
            let refused = {
                let mut used = self.enters.lock();
                // Somebody may have been faster.
                let probed = if planted!("metrics: enters without a second look") {
                    Err(self.places.iter().position(|place| place.get().is_none()).unwrap_or(0))
                } else {
                    self.probe(hash, metadata, &of.metric)
                };
                match probed {
                    Err(at) if *used < self.most => {
                        *used += 1;
                        self.used.store(*used, Ordering::Relaxed); // ordering: as above
                        self.places[at].set(entry).err()
                    }
                    _ => {
                        reached!("metrics: somebody was faster");
                        Some(entry)
                    }
                }
            };
            drop(refused);
        }
        if let Ok(entry) = self.probe(hash, metadata, &of.metric) {
            return entry;
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed); // ordering: a count
        self.other.get_or(|| Box::new(Entry::new(0, None, of)))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().chain([&self.other]).filter_map(Once::get).map(|entry| &**entry)
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed) // ordering: a count
    }
}

impl Entry {
    fn new(hash: u64, tags: Option<Box<[Value]>>, of: &Measured) -> Self {
        #[cfg(feature = "metrics")]
        let mirror = of.recording.as_ref().map(|recording| recording.mirror(&of.metric, tags.as_deref()));
        Self {
            hash,
            tags,
            cell: Cell::new(of.metric.kind),
            #[cfg(feature = "metrics")]
            mirror,
        }
    }

    fn is_of(&self, metadata: &Fields, metric: &Metric) -> bool {
        let tags = self.tags.as_deref().unwrap_or_default();
        tags.iter().zip(&metric.tags).all(|(value, name)| same(value, tag(metadata, name)))
    }

    pub(super) fn measure(&self, number: Number) -> bool {
        #[cfg(feature = "metrics")]
        if let Some(mirror) = &self.mirror {
            mirror.measure(number);
        }
        self.cell.measure(number)
    }

    pub(super) fn read(&self, metric: &Metric) -> Series {
        let value = |at: usize| self.tags.as_ref().map_or_else(|| "other".to_owned(), |tags| tags[at].to_string());
        let tags = metric.tags.iter().enumerate().map(|(at, name)| (*name, value(at))).collect();
        Series { metric: Arc::clone(&metric.name), unit: metric.unit, tags, reading: self.cell.read() }
    }
}
