//! Messages: calls and back, casts, a message to each of many.
//!
//! Who asks is, with ours, a thread, and with theirs a task of their runtime: each where it is at home.

mod crossbeams;
mod kameos;
mod ours;
mod ractors;

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::median;

const ROUNDS: usize = 21;
pub(crate) const CALLS: usize = 2_000;
/// Fits into a mailbox of 1,024.
pub(crate) const BURST: usize = 1_000;
pub(crate) const MANY: usize = 1_000;

trait Messages {
    /// So many callers at once, [`CALLS`] calls in all.
    fn calls(&self, callers: usize);

    /// [`BURST`] casts, and a call that is answered when they are done.
    fn casts(&self);

    /// A cast to each of [`MANY`], and then a call to each.
    fn fan_out(&self);
}

fn each(many: usize, act: impl FnOnce()) -> f64 {
    let since = Instant::now();
    act();
    let took: Duration = since.elapsed();
    took.as_nanos() as f64 / many as f64
}

fn print(what: &str, all: [f64; 4]) {
    let [ours, crossbeam, ractor, kameo] = all;
    println!("{what:<48} {ours:>12.1} {crossbeam:>12.1} {ractor:>12.1} {kameo:>12.1}");
}

fn row(what: &str, all: &[Box<dyn Messages>; 4], measure: impl Fn(&dyn Messages) -> f64) {
    let rounds: Vec<_> = (0..=ROUNDS).map(|_| [0, 1, 2, 3].map(|at| measure(&*all[at]))).skip(1).collect();
    let of = |at: usize| rounds.iter().map(move |round| round[at]);
    print(what, [0, 1, 2, 3].map(|at| median(of(at).collect())));
    print("  the least", [0, 1, 2, 3].map(|at| of(at).fold(f64::INFINITY, f64::min)));
}

pub(crate) fn table(runtime: &Runtime) {
    println!(
        "\n{:<48} {:>12} {:>12} {:>12} {:>12}",
        "median of rounds by turns, ns for each", "foundation", "crossbeam", "ractor", "kameo"
    );
    let all: [Box<dyn Messages>; 4] = [
        Box::new(ours::start()),
        Box::new(crossbeams::start()),
        Box::new(ractors::start(runtime)),
        Box::new(kameos::start(runtime)),
    ];
    for callers in [1, 2, 8] {
        row(&format!("a call and back, callers: {callers}"), &all, |one| each(CALLS, || one.calls(callers)));
    }
    row("a cast, done", &all, |one| each(BURST, || one.casts()));
    row("a cast to each of 1,000, then a call to each", &all, |one| each(MANY, || one.fan_out()));
}
