//! Contexts beside what a `tracing` span takes for the same.
//!
//! `cargo bench -p foundation-context --bench context` measures, and then prints the budgets: ours and the reference by
//! turns, and the ratio. `-- budgets` prints only those.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a clock beside them, and the table")
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    use std::{hint::black_box, time::Duration, time::Instant};

    use criterion::{Criterion, criterion_group};
    use foundation_context::{self as context, InContext, fields, with};
    use foundation_sync::thread;

    /// A scope with two fields, opened and closed.
    fn ours() {
        with(fields! { request_id: black_box(7_u64), step: "parse" }, || black_box(()));
    }

    /// A span with two fields, opened, entered and closed.
    fn reference() {
        tracing::info_span!("operation", request_id = black_box(7_u64), step = "parse").in_scope(|| black_box(()));
    }

    fn current() {
        _ = black_box(context::current());
    }

    /// What a server's call does: its context is taken along out of a scope of its own.
    fn taken_along() {
        with(fields! { request_id: black_box(7_u64), step: "parse" }, || _ = black_box(context::carried()));
    }

    fn inherited() {
        context::inherit(|| black_box(()))();
    }

    fn breadcrumb() {
        context::breadcrumb("parsed the order", fields! { items: black_box(3_u64) });
    }

    fn error() {
        _ = black_box(Err::<(), _>(std::fmt::Error).in_context());
    }

    /// Runs it so many scopes deep, with two fields each.
    fn nested(depth: usize, work: &mut dyn FnMut()) {
        match depth {
            0 => work(),
            depth => with(fields! { depth: depth, also: "x" }, || nested(depth - 1, work)),
        }
    }

    /// The registry of `tracing-subscriber`, and nothing that listens.
    fn on_a_registry(work: impl FnOnce()) {
        tracing::subscriber::with_default(tracing_subscriber::registry(), work);
    }

    fn scopes(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("two fields for the time of a call");
        group.bench_function("at the root", |bench| bench.iter(ours));
        nested(8, &mut || {
            group.bench_function("eight scopes deep", |bench| bench.iter(ours));
        });
        on_a_registry(|| {
            group.bench_function("tracing span", |bench| bench.iter(reference));
        });
        group.finish();
    }

    fn others(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("two scopes deep");
        nested(2, &mut || {
            group.bench_function("current", |bench| bench.iter(current));
            group.bench_function("a scope, taken along", |bench| bench.iter(taken_along));
            group.bench_function("inherit and run", |bench| bench.iter(inherited));
            group.bench_function("breadcrumb", |bench| bench.iter(breadcrumb));
            group.bench_function("an error in context", |bench| bench.iter(error));
        });
        group.finish();
    }

    criterion_group! {
        name = benches;
        config = Criterion::default()
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .sample_size(10);
        targets = scopes, others
    }

    const ROUNDS: usize = 101;
    const EACH: u32 = 2_000;

    /// Nanoseconds for each.
    fn time(work: fn()) -> f64 {
        let began = Instant::now();
        (0..EACH).for_each(|_| work());
        began.elapsed().as_nanos() as f64 / f64::from(EACH)
    }

    /// The fast tenth of rounds: what others do to a machine is in the slow ones.
    fn fast(mut rounds: Vec<f64>) -> f64 {
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 10]
    }

    /// Ours and the span by turns, so many scopes deep.
    fn beside(depth: usize, ours: fn()) -> [f64; 2] {
        let mut rounds = Vec::new();
        on_a_registry(|| {
            nested(depth, &mut || rounds.extend((0..ROUNDS).map(|_| [time(ours), time(reference)])));
        });
        [0, 1].map(|at| fast(rounds.iter().map(|round| round[at]).collect()))
    }

    /// The same on so many threads at once: the mean of them.
    fn beside_on(threads: usize, depth: usize, ours: fn()) -> [f64; 2] {
        let all = std::sync::Arc::new(foundation_sync::Mutex::new(Vec::new()));
        let started: Vec<_> = (0..threads)
            .map(|_| {
                let all = std::sync::Arc::clone(&all);
                let body = move || {
                    let took = beside(depth, ours);
                    all.lock().push(took);
                };
                thread::Builder::new("beside").spawn(body).expect("a thread")
            })
            .collect();
        started.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        let all = all.lock();
        [0, 1].map(|at| all.iter().map(|took| took[at]).sum::<f64>() / all.len() as f64)
    }

    /// What it is, on how many threads, how deep, what is done, and its goal.
    type Row = (&'static str, usize, usize, fn(), Option<f64>);

    pub(crate) fn budgets() {
        println!("\n{:<44} {:>9} {:>9} {:>7} {:>6}", "ns for each, fast tenth", "ours", "a span", "ratio", "goal");
        let rows: [Row; 9] = [
            ("with, two fields, at the root", 1, 0, ours, Some(0.8)),
            ("the same, eight scopes deep", 1, 8, ours, Some(0.8)),
            ("the same, on two threads", 2, 8, ours, Some(0.8)),
            ("the same, and taken along", 1, 0, taken_along, None),
            ("the same, and taken along, eight deep", 1, 8, taken_along, None),
            ("current, two scopes deep", 1, 2, current, None),
            ("inherit and run, two scopes deep", 1, 2, inherited, None),
            ("breadcrumb", 1, 2, breadcrumb, None),
            ("an error in context, two scopes deep", 1, 2, error, None),
        ];
        for (what, threads, depth, act, goal) in rows {
            let [ours, span] = beside_on(threads, depth, act);
            let ratio = ours / span;
            let over = if goal.is_some_and(|goal| ratio > goal) { "  over" } else { "" };
            let goal = goal.map_or_else(String::new, |goal| format!("{goal:>6.2}{over}"));
            println!("{what:<44} {ours:>9.1} {span:>9.1} {ratio:>7.2} {goal}");
        }
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
        real::budgets();
    }
}

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
