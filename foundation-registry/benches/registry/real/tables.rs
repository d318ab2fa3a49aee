//! The registry, and what else there is, as tables of names.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    hint::black_box,
    sync::{Arc, RwLock},
};

use foundation_context::{Fields, Incarnation};
use foundation_registry::{OwnerGuard, Owners, Registration, Registry};
use foundation_telemetry::Telemetry;

pub(crate) type Name = Arc<str>;
pub(crate) type Value = Arc<u64>;

/// How many may put names in at once, each as an owner of its own.
pub(crate) const HANDS: usize = 8;

pub(crate) trait Table: Sync + Sized {
    const NAME: &str;
    /// What is given up to take a name out.
    type Held: Send;

    fn new() -> Self;
    fn get(&self, name: &str) -> bool;
    fn put(&self, hand: usize, name: &Name, value: &Value) -> Self::Held;
    fn take(&self, name: &Name, held: Self::Held);

    fn come_and_go(&self, (name, value): &(Name, Value)) {
        let held = self.put(0, name, value);
        self.take(name, held);
    }

    fn look_up(&self, entries: &[(Name, Value)]) {
        entries.iter().for_each(|(name, _)| _ = black_box(self.get(name)));
    }
}

pub(crate) struct Ours {
    pub(crate) owners: Owners,
    pub(crate) registry: Registry<u64>,
    pub(crate) hands: Vec<OwnerGuard>,
}

pub(crate) fn begin(owners: &Owners, id: u64) -> OwnerGuard {
    owners.begin(Incarnation { id, generation: 1 }, "one of many")
}

impl Table for Ours {
    const NAME: &str = "foundation";
    type Held = Registration;

    fn new() -> Self {
        let owners = Owners::default();
        let registry = Registry::<u64>::builder(&owners, &Telemetry::new()).index("shard").build();
        let hands = (0..HANDS as u64).map(|id| begin(&owners, id)).collect();
        Self { owners, registry, hands }
    }

    fn get(&self, name: &str) -> bool {
        black_box(self.registry.lookup(name)).is_some()
    }

    fn put(&self, hand: usize, name: &Name, value: &Value) -> Registration {
        self.registry.register(name, &self.hands[hand], **value, Fields::new()).expect("it is free")
    }

    fn take(&self, _: &Name, held: Registration) {
        drop(held);
    }
}

macro_rules! table {
    ($type:ty, $name:literal, |$table:ident, $key:ident, $value:ident| $get:expr, $put:expr, $take:expr) => {
        impl Table for $type {
            const NAME: &str = $name;
            type Held = ();

            fn new() -> Self {
                Self::default()
            }

            fn get(&self, $key: &str) -> bool {
                let $table = self;
                let found: Option<Value> = $get;
                black_box(found).is_some()
            }

            fn put(&self, _: usize, $key: &Name, $value: &Value) {
                let ($table, $key, $value) = (self, Arc::clone($key), Arc::clone($value));
                _ = $put;
            }

            fn take(&self, $key: &Name, (): ()) {
                let $table = self;
                _ = $take;
            }
        }
    };
}

pub(crate) type Dash<S = std::hash::RandomState> = dashmap::DashMap<Name, Value, S>;
pub(crate) type DashFold = Dash<foldhash::quality::RandomState>;

table!(Dash, "dashmap", |table, key, value| dash_get(table, key), table.insert(key, value), table.remove(key));
table!(
    DashFold,
    "dashmap, foldhash",
    |table, key, value| dash_get(table, key),
    table.insert(key, value),
    table.remove(key)
);
table!(
    papaya::HashMap<Name, Value>,
    "papaya",
    |table, key, value| table.pin().get(key).cloned(),
    table.pin().insert(key, value).is_some(),
    table.pin().remove(key).is_some()
);
table!(
    scc::HashMap<Name, Value>,
    "scc HashMap",
    |table, key, value| table.read_sync(key, |_, value| Arc::clone(value)),
    table.insert_sync(key, value),
    table.remove_sync(key)
);
table!(
    RwLock<HashMap<Name, Value>>,
    "RwLock",
    |table, key, value| table.read().expect("nobody panics").get(key).cloned(),
    table.write().expect("nobody panics").insert(key, value),
    table.write().expect("nobody panics").remove(key)
);

fn dash_get<S: BuildHasher + Clone>(table: &Dash<S>, name: &str) -> Option<Value> {
    table.get(name).map(|value| Arc::clone(&value))
}

/// So many names.
pub(crate) fn names(prefix: &str, count: usize) -> Vec<(Name, Value)> {
    (0..count).map(|n| (format!("{prefix} {n}").into(), Arc::new(n as u64))).collect()
}

/// A table of so many names, and what holds them.
pub(crate) fn full<T: Table>(count: usize) -> (T, Vec<(Name, Value)>, Vec<T::Held>) {
    let (table, entries) = (T::new(), names("name", count));
    let held = entries.iter().map(|(name, value)| table.put(0, name, value)).collect();
    // In an order that is not that of the memory: a stride that has no factor in common with the number.
    let entries = (0..count).map(|n| entries[n * 7919 % count].clone()).collect();
    (table, entries, held)
}

/// So many threads do this at once, each told which one it is.
pub(crate) fn at_once(threads: usize, act: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        let act = &act;
        (1..threads).for_each(|thread| _ = scope.spawn(move || act(thread)));
        act(0);
    });
}

/// One call in ten puts a name in or takes it out again, one of 1,024 of this thread's own; the others look names up.
pub(crate) fn mix<T: Table>(table: &T, hand: usize, entries: &[(Name, Value)], own: &[(Name, Value)]) {
    let mut held: Vec<Option<T::Held>> = own.iter().map(|_| None).collect();
    let mut turn = (0..own.len()).cycle();
    for ten in entries.chunks(10) {
        let (name, value) = &own[turn.next().expect("a cycle does not end")];
        let place = &mut held[value_of(value)];
        match place.take() {
            Some(held) => table.take(name, held),
            None => *place = Some(table.put(hand, name, value)),
        }
        table.look_up(&ten[1..]);
    }
    for ((name, _), held) in own.iter().zip(held) {
        held.into_iter().for_each(|held| table.take(name, held));
    }
}

fn value_of(value: &Value) -> usize {
    **value as usize
}
