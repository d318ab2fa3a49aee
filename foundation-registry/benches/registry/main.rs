//! The registry beside what else there is.
//!
//! `cargo bench -p foundation-registry --bench registry` measures the tables one after another, and then prints the
//! budgets: ours and the reference by turns, and the ratio. `-- budgets` prints only those.
//!
//! The references hash with std's default hasher, unless said; they hold nothing but a name and a value. Ours has an
//! owner and a value for each name, and whoever listens hears of it.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        clippy::print_stdout,
        reason = "the references, threads to drive them, a clock beside them, and the table"
    )
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    pub(crate) mod ratios;
    pub(crate) mod tables;

    use std::{collections::HashMap, sync::RwLock, time::Duration};

    use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
    use tables::{Dash, DashFold, Name, Ours, Table, Value, at_once, full, mix, names};

    fn get<T: Table>(criterion: &mut Criterion) {
        let (table, entries, _held) = full::<T>(10_000);
        let own: Vec<_> = (0..8).map(|thread| names(&format!("of thread {thread}"), 1024)).collect();
        for threads in [1, 2, 8] {
            // So many rounds that starting the threads does not count.
            let mut group = criterion.benchmark_group("10,000 names, each thread");
            group.throughput(Throughput::Elements(40_000));
            group.bench_function(BenchmarkId::new(T::NAME, format!("get, {threads} threads")), |bench| {
                bench.iter(|| at_once(threads, |_| (0..4).for_each(|_| table.look_up(&entries))));
            });
            group.bench_function(BenchmarkId::new(T::NAME, format!("90/10, {threads} threads")), |bench| {
                bench.iter(|| at_once(threads, |at| (0..4).for_each(|_| mix(&table, at, &entries, &own[at]))));
            });
            group.finish();
        }
    }

    fn churn<T: Table>(criterion: &mut Criterion) {
        let (table, _entries, _held) = full::<T>(10_000);
        let mut group = criterion.benchmark_group("put in and taken out, 10,000 names");
        let one = names("the one", 1);
        group.bench_function(BenchmarkId::new(T::NAME, "one name"), |bench| bench.iter(|| table.come_and_go(&one[0])));
        let many = names("one of many", 4096);
        let mut turn = many.iter().cycle();
        group.bench_function(BenchmarkId::new(T::NAME, "4,096 names"), |bench| {
            bench.iter(|| table.come_and_go(turn.next().expect("a cycle does not end")));
        });
        group.finish();
    }

    fn both<T: Table>(criterion: &mut Criterion) {
        get::<T>(criterion);
        churn::<T>(criterion);
    }

    criterion_group! {
        name = benches;
        config = Criterion::default()
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .sample_size(10);
        targets =
            both::<Ours>,
            both::<Dash>,
            both::<DashFold>,
            both::<papaya::HashMap<Name, Value>>,
            both::<scc::HashMap<Name, Value>>,
            both::<RwLock<HashMap<Name, Value>>>
    }
}

#[cfg(not(any(loom, shuttle)))]
fn main() {
    real::benches();
    criterion::Criterion::default().configure_from_args().final_summary();
    // A list of the benchmarks, or a test of them, is no measurement.
    if !std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        real::ratios::print();
    }
}

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
