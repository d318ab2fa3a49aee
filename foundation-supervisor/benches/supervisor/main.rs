//! Supervision beside what the machine takes for the same without it.
//!
//! `cargo bench -p foundation-supervisor --bench supervisor` measures, and then prints the budgets: ours and the reference
//! by turns, and the ratio. `-- budgets` prints only those. `peers/` has other libraries beside ours.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        clippy::print_stdout,
        reason = "the references, a clock beside them, a hook that prints no panic, and the table"
    )
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    pub(crate) mod crowd;
    pub(crate) mod ratios;
    pub(crate) mod replace;
    pub(crate) mod rest;

    use std::{alloc::System, time::Duration};

    use criterion::{Criterion, criterion_group};
    use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

    /// Counts all threads' allocations.
    #[global_allocator]
    static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    fn replacement(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("panic to the replacement's first instruction");
        let (ours, reference) = (replace::Ours::new(), replace::Reference::new());
        let sum = |times: u64, crash: &dyn Fn() -> Duration| (0..times).map(|_| crash()).sum();
        group.bench_function("foundation", |bench| bench.iter_custom(|times| sum(times, &|| ours.crash())));
        group.bench_function("catch and spawn", |bench| bench.iter_custom(|times| sum(times, &|| reference.crash())));
        group.finish();
    }

    fn thousand(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("1,000 children");
        group.bench_function("foundation, started", |bench| {
            bench.iter_custom(|times| (0..times).map(|_| crowd::ours(1000).started).sum());
        });
        group.bench_function("foundation, stopped", |bench| {
            bench.iter_custom(|times| (0..times).map(|_| crowd::ours(1000).stopped).sum());
        });
        group.finish();
    }

    criterion_group! {
        name = benches;
        config = Criterion::default()
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .sample_size(10);
        targets = replacement, thousand
    }
}

#[cfg(not(any(loom, shuttle)))]
fn main() {
    // The panics that are measured are not printed.
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(real::replace::PANIC) {
            others(panic);
        }
    }));
    let arguments: Vec<_> = std::env::args().collect();
    let asked = |what: &str| arguments.iter().any(|argument| argument == what);
    if !asked("budgets") {
        real::benches();
        criterion::Criterion::default().configure_from_args().final_summary();
    }
    // A list of the benchmarks, or a test of them, is no measurement.
    if !asked("--list") && !asked("--test") {
        real::ratios::print();
    }
}

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
