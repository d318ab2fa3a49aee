//! The map beside what else there is: names looked up by one thread and by two, and a name that comes and goes.
//!
//! All hash with std's default hasher. Ours holds its values weakly, the others hold them.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the references, and threads to drive them")
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    use std::{
        collections::HashMap,
        hint::black_box,
        sync::{Arc, RwLock},
        time::Duration,
    };

    use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
    use foundation_sync::Map;

    type Name = Arc<str>;
    type Value = Arc<u64>;

    trait Table: Sync {
        const NAME: &str;

        fn new() -> Self;
        fn get(&self, name: &str) -> Option<Value>;
        fn put(&self, name: &Name, value: &Value);
        fn take(&self, name: &Name, value: &Value);
    }

    impl Table for Map<Name, u64> {
        const NAME: &str = "foundation";

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.get(name)
        }

        fn put(&self, name: &Name, value: &Value) {
            _ = self.insert_unless(Arc::clone(name), value, |_| true);
        }

        fn take(&self, name: &Name, value: &Value) {
            self.remove(name, value);
        }
    }

    impl Table for scc::HashMap<Name, Value> {
        const NAME: &str = "scc HashMap";

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.read_sync(name, |_, value| Arc::clone(value))
        }

        fn put(&self, name: &Name, value: &Value) {
            _ = self.insert_sync(Arc::clone(name), Arc::clone(value));
        }

        fn take(&self, name: &Name, _: &Value) {
            self.remove_sync(name);
        }
    }

    impl Table for scc::HashIndex<Name, Value> {
        const NAME: &str = "scc HashIndex";

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.peek_with(name, |_, value| Arc::clone(value))
        }

        fn put(&self, name: &Name, value: &Value) {
            _ = self.insert_sync(Arc::clone(name), Arc::clone(value));
        }

        fn take(&self, name: &Name, _: &Value) {
            self.remove_sync(name);
        }
    }

    impl Table for dashmap::DashMap<Name, Value> {
        const NAME: &str = "dashmap";

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.get(name).map(|value| Arc::clone(&value))
        }

        fn put(&self, name: &Name, value: &Value) {
            self.insert(Arc::clone(name), Arc::clone(value));
        }

        fn take(&self, name: &Name, _: &Value) {
            self.remove(name);
        }
    }

    impl Table for papaya::HashMap<Name, Value> {
        const NAME: &str = "papaya";

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.pin().get(name).cloned()
        }

        fn put(&self, name: &Name, value: &Value) {
            self.pin().insert(Arc::clone(name), Arc::clone(value));
        }

        fn take(&self, name: &Name, _: &Value) {
            self.pin().remove(name);
        }
    }

    impl Table for RwLock<HashMap<Name, Value>> {
        const NAME: &str = "RwLock";

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.read().expect("nobody panics").get(name).cloned()
        }

        fn put(&self, name: &Name, value: &Value) {
            self.write().expect("nobody panics").insert(Arc::clone(name), Arc::clone(value));
        }

        fn take(&self, name: &Name, _: &Value) {
            self.write().expect("nobody panics").remove(name);
        }
    }

    /// A table of so many names.
    fn full<T: Table>(names: usize) -> (T, Vec<(Name, Value)>) {
        let table = T::new();
        let mut entries: Vec<_> = (0..names).map(|n| (format!("name {n}").into(), Arc::new(n as u64))).collect();
        entries.iter().for_each(|(name, value)| table.put(name, value));
        // In an order that is not that of the memory: a stride that has no factor in common with the number.
        entries = (0..names).map(|n| entries[n * 7919 % names].clone()).collect();
        (table, entries)
    }

    fn look_up<T: Table>(table: &T, entries: &[(Name, Value)]) {
        entries.iter().for_each(|(name, _)| _ = black_box(table.get(name)));
    }

    fn get<T: Table>(criterion: &mut Criterion) {
        let (table, entries) = full::<T>(10_000);
        let mut group = criterion.benchmark_group("get, 10,000 names");
        group.throughput(Throughput::Elements(10_000));
        group.bench_function(BenchmarkId::new(T::NAME, "1 thread"), |bench| bench.iter(|| look_up(&table, &entries)));
        // So many rounds that starting the threads does not count.
        group.throughput(Throughput::Elements(100_000));
        let rounds = || (0..10).for_each(|_| look_up(&table, &entries));
        group.bench_function(BenchmarkId::new(T::NAME, "2 threads, each"), |bench| {
            bench.iter(|| {
                std::thread::scope(|scope| {
                    scope.spawn(rounds);
                    rounds();
                });
            });
        });
        group.finish();
    }

    fn churn<T: Table>(criterion: &mut Criterion) {
        for names in [10_000, 100_000] {
            let (table, _entries) = full::<T>(names);
            let mut group = criterion.benchmark_group(format!("insert and remove, {names} names"));
            let come_and_go = |(name, value): &(Name, Value)| {
                table.put(name, value);
                table.take(name, value);
            };
            let one = ("the one".into(), Arc::new(1));
            group.bench_function(BenchmarkId::new(T::NAME, "one key"), |bench| bench.iter(|| come_and_go(&one)));
            let many: Vec<_> = (0..4096).map(|n| (format!("one of many {n}").into(), Arc::new(n))).collect();
            let mut turn = many.iter().cycle();
            group.bench_function(BenchmarkId::new(T::NAME, "4,096 keys"), |bench| {
                bench.iter(|| come_and_go(turn.next().expect("a cycle does not end")));
            });
            group.finish();
        }
    }

    fn both<T: Table>(criterion: &mut Criterion) {
        get::<T>(criterion);
        churn::<T>(criterion);
    }

    criterion_group! {
        name = benches;
        config = Criterion::default()
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .sample_size(20);
        targets =
            both::<Map<Name, u64>>,
            both::<scc::HashIndex<Name, Value>>,
            both::<scc::HashMap<Name, Value>>,
            both::<dashmap::DashMap<Name, Value>>,
            both::<papaya::HashMap<Name, Value>>,
            both::<RwLock<HashMap<Name, Value>>>
    }
}

#[cfg(not(any(loom, shuttle)))]
criterion::criterion_main!(real::benches);

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
