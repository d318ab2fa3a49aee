//! The map beside what else there is: names looked up, a name that comes and goes, and nine lookups to one of these, by one
//! thread, by two, and by more than there are cores.
//!
//! All hash with std's default hasher, unless they are said to use foldhash. Ours holds its values weakly, the others hold
//! them.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the references, and threads to drive them")
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    use std::{
        collections::HashMap,
        hash::{BuildHasher, RandomState},
        hint::black_box,
        sync::{Arc, RwLock},
        time::Duration,
    };

    use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
    use foldhash::quality::RandomState as Foldhash;
    use foundation_sync::{Keyed, Map};

    type Name = Arc<str>;
    type Value = Arc<Named>;

    struct Named(Name);

    impl Keyed<Name> for Named {
        fn key(&self) -> &Name {
            &self.0
        }
    }

    trait Hashes: BuildHasher + Default + Clone + Send + Sync {
        /// Behind a table's name.
        const NAME: &str;
    }

    impl Hashes for RandomState {
        const NAME: &str = "";
    }

    impl Hashes for Foldhash {
        const NAME: &str = ", foldhash";
    }

    trait Table: Sync {
        const NAME: &str;
        type Hashes: Hashes;

        fn new() -> Self;
        fn get(&self, name: &str) -> Option<Value>;
        fn put(&self, value: &Value);
        fn take(&self, value: &Value);
    }

    impl<S: Hashes> Table for Map<Name, Named, S> {
        const NAME: &str = "foundation";
        type Hashes = S;

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.get(name)
        }

        fn put(&self, value: &Value) {
            _ = self.insert_unless(value, |_| true);
        }

        fn take(&self, value: &Value) {
            self.remove(value);
        }
    }

    impl<S: Hashes> Table for dashmap::DashMap<Name, Value, S> {
        const NAME: &str = "dashmap";
        type Hashes = S;

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.get(name).map(|value| Arc::clone(&value))
        }

        fn put(&self, value: &Value) {
            self.insert(Arc::clone(&value.0), Arc::clone(value));
        }

        fn take(&self, value: &Value) {
            self.remove(&value.0);
        }
    }

    impl<S: Hashes> Table for scc::HashIndex<Name, Value, S> {
        const NAME: &str = "scc HashIndex";
        type Hashes = S;

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.peek_with(name, |_, value| Arc::clone(value))
        }

        fn put(&self, value: &Value) {
            _ = self.insert_sync(Arc::clone(&value.0), Arc::clone(value));
        }

        fn take(&self, value: &Value) {
            self.remove_sync(&value.0);
        }
    }

    impl<S: Hashes> Table for papaya::HashMap<Name, Value, S> {
        const NAME: &str = "papaya";
        type Hashes = S;

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.pin().get(name).cloned()
        }

        fn put(&self, value: &Value) {
            self.pin().insert(Arc::clone(&value.0), Arc::clone(value));
        }

        fn take(&self, value: &Value) {
            self.pin().remove(&value.0);
        }
    }

    impl<S: Hashes> Table for RwLock<HashMap<Name, Value, S>> {
        const NAME: &str = "RwLock";
        type Hashes = S;

        fn new() -> Self {
            Self::default()
        }

        fn get(&self, name: &str) -> Option<Value> {
            self.read().expect("nobody panics").get(name).cloned()
        }

        fn put(&self, value: &Value) {
            self.write().expect("nobody panics").insert(Arc::clone(&value.0), Arc::clone(value));
        }

        fn take(&self, value: &Value) {
            self.write().expect("nobody panics").remove(&value.0);
        }
    }

    fn named(name: String) -> Value {
        Arc::new(Named(name.into()))
    }

    fn id<T: Table>(what: &str) -> BenchmarkId {
        BenchmarkId::new(format!("{}{}", T::NAME, T::Hashes::NAME), what)
    }

    /// A table of so many names.
    fn full<T: Table>(names: usize) -> (T, Vec<Value>) {
        let table = T::new();
        // A value is made when it is put in.
        let put = |n| {
            let value = named(format!("name {n}"));
            table.put(&value);
            value
        };
        let mut entries: Vec<_> = (0..names).map(put).collect();
        // In an order that is not that of the memory: a stride that has no factor in common with the number.
        entries = (0..names).map(|n| Arc::clone(&entries[n * 7919 % names])).collect();
        (table, entries)
    }

    fn look_up<T: Table>(table: &T, names: &[Name]) {
        names.iter().for_each(|name| _ = black_box(table.get(name)));
    }

    /// The names alone: who asks does not have the value at hand.
    fn names(entries: &[Value]) -> Vec<Name> {
        entries.iter().map(|value| String::from(&*value.0).into()).collect()
    }

    /// All threads at once do the same, each so often that starting them does not count.
    fn at_once(threads: usize, work: impl Fn(usize) + Sync) {
        let work = &work;
        std::thread::scope(|scope| {
            for thread in 1..threads {
                scope.spawn(move || work(thread));
            }
            work(0);
        });
    }

    fn get<T: Table>(criterion: &mut Criterion) {
        let (table, entries) = full::<T>(10_000);
        let names = names(&entries);
        let mut group = criterion.benchmark_group("get, 10,000 names");
        group.throughput(Throughput::Elements(10_000));
        group.bench_function(id::<T>("1 thread"), |bench| bench.iter(|| look_up(&table, &names)));
        group.throughput(Throughput::Elements(100_000));
        group.bench_function(id::<T>("2 threads, each"), |bench| {
            bench.iter(|| at_once(2, |_| (0..10).for_each(|_| look_up(&table, &names))));
        });
        group.finish();
    }

    /// Of twenty steps eighteen look a name up, one takes an entry out, and one puts it in again.
    fn mix<T: Table>(criterion: &mut Criterion) {
        let (table, entries) = full::<T>(10_000);
        let names = names(&entries);
        let mut group = criterion.benchmark_group("90 lookups to 10 changes, 10,000 names");
        let work = |thread: usize| {
            // Each thread has its own to take out.
            let own = &entries[thread * 1_000..][..1_000];
            for (turn, looked_up) in names.chunks_exact(18).enumerate() {
                let value = &own[turn % own.len()];
                look_up(&table, &looked_up[..9]);
                table.take(value);
                look_up(&table, &looked_up[9..]);
                table.put(value);
            }
        };
        for (threads, name) in [(1, "1 thread"), (2, "2 threads, each"), (8, "8 threads, each")] {
            group.throughput(Throughput::Elements(10 * (10_000 / 18) * 20));
            group.bench_function(id::<T>(name), |bench| {
                bench.iter(|| at_once(threads, |thread| (0..10).for_each(|_| work(thread))));
            });
        }
        group.finish();
    }

    fn churn<T: Table>(criterion: &mut Criterion) {
        for names in [10_000, 100_000] {
            let (table, _entries) = full::<T>(names);
            let mut group = criterion.benchmark_group(format!("insert and remove, {names} names"));
            let come_and_go = |value: &Value| {
                table.put(value);
                table.take(value);
            };
            let one = named("the one".into());
            group.bench_function(id::<T>("one key"), |bench| bench.iter(|| come_and_go(&one)));
            let many: Vec<_> = (0..4096).map(|n| named(format!("one of many {n}"))).collect();
            let mut turn = many.iter().cycle();
            group.bench_function(id::<T>("4,096 keys"), |bench| {
                bench.iter(|| come_and_go(turn.next().expect("a cycle does not end")));
            });
            group.finish();
        }
    }

    fn all<T: Table>(criterion: &mut Criterion) {
        get::<T>(criterion);
        mix::<T>(criterion);
        churn::<T>(criterion);
    }

    criterion_group! {
        name = benches;
        config = Criterion::default()
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .sample_size(20);
        targets =
            all::<Map<Name, Named, Foldhash>>,
            all::<Map<Name, Named>>,
            all::<dashmap::DashMap<Name, Value>>,
            all::<dashmap::DashMap<Name, Value, Foldhash>>,
            all::<scc::HashIndex<Name, Value>>,
            all::<papaya::HashMap<Name, Value>>,
            all::<RwLock<HashMap<Name, Value>>>
    }
}

#[cfg(not(any(loom, shuttle)))]
criterion::criterion_main!(real::benches);

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
