//! Servers beside what two crossbeam channels, or a bare thread, take for the same.
//!
//! `cargo bench -p foundation-server --bench server` measures, and then prints the budgets: ours and the reference by
//! turns, and the ratio. `-- budgets` prints only those, `-- budgets calls casts` of those only two parts. `peers/` has
//! other libraries beside ours.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        clippy::print_stdout,
        reason = "the references, a clock beside them, and the table"
    )
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    pub(crate) mod asked;
    pub(crate) mod cores;
    pub(crate) mod fan_out;
    pub(crate) mod ratios;
    pub(crate) mod sent;
    pub(crate) mod work;

    use std::{alloc::System, time::Duration};

    use criterion::{Criterion, criterion_group};
    use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

    use asked::{Asked, Bare, Ours};
    use cores::Cores;

    /// Counts all threads' allocations.
    #[global_allocator]
    pub(crate) static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    fn calls(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("a call and back");
        let (ours, bare) = (Ours::on(Cores::Any), Bare::on(Cores::Any, 1));
        group.bench_function("foundation", |bench| bench.iter(|| ours.ask(0)));
        group.bench_function("two crossbeam channels", |bench| bench.iter(|| bare.ask(0)));
        group.finish();
    }

    fn casts(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("1,000 casts of one sender, done");
        let (ours, bare) = (sent::Ours::new(), sent::Bare::new());
        group.bench_function("foundation", |bench| bench.iter(|| sent::burst(&ours, 1)));
        group.bench_function("crossbeam bounded(1024)", |bench| bench.iter(|| sent::burst(&bare, 1)));
        group.finish();
    }

    fn tasks(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("a task and its outcome");
        let ours = work::Ours::new();
        group.bench_function("foundation", |bench| bench.iter(|| ours.work()));
        group.bench_function("spawn and join", |bench| bench.iter(work::bare));
        group.finish();
    }

    criterion_group! {
        name = benches;
        config = Criterion::default()
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .sample_size(10);
        targets = calls, casts, tasks
    }
}

#[cfg(not(any(loom, shuttle)))]
fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let asked = |what: &str| arguments.iter().any(|argument| argument == what);
    if !asked("budgets") {
        real::benches();
        criterion::Criterion::default().configure_from_args().final_summary();
    }
    // A list of the benchmarks, or a test of them, is no measurement.
    if !asked("--list") && !asked("--test") {
        real::ratios::print(&arguments);
    }
}

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
