//! Rows of a table: ours beside a reference, round by round.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

const ROUNDS: usize = 41;

/// How long one side of a round takes, about.
const ROUND: Duration = Duration::from_millis(2);

pub(crate) fn head(what: &str) {
    println!(
        "\n{what:<52} {:>9} {:>9}   {:>9} {:>9}  {:>7} {:>6}",
        "our least", "median", "its least", "median", "ratio", "goal"
    );
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Nanoseconds for each of so many, on so many threads at once: of the slowest thread.
fn per(threads: usize, many: u32, act: &(impl Fn() + Sync)) -> f64 {
    let began = Barrier::new(threads);
    let run = || {
        began.wait();
        let start = Instant::now();
        (0..many).for_each(|_| act());
        start.elapsed().as_nanos() as f64 / f64::from(many)
    };
    if threads == 1 {
        return run();
    }
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        all.into_iter().map(|one| one.join().expect("it does not panic")).fold(0.0, f64::max)
    })
}

/// A row: the ratio is the median of the rounds' ratios.
pub(crate) fn row(what: &str, threads: usize, goal: Option<f64>, ours: impl Fn() + Sync, reference: impl Fn() + Sync) {
    let fits = |each: f64| (ROUND.as_nanos() as f64 / each.max(0.2)) as u32;
    let many = [per(threads, 10_000, &ours), per(threads, 10_000, &reference)].map(fits);
    let round = |_| (per(threads, many[0], &ours), per(threads, many[1], &reference));
    let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
    let ratio = median(rounds.iter().map(|(ours, reference)| ours / reference).collect());
    let least = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(f64::INFINITY, f64::min);
    let [our, its] = [0, 1].map(|at| median(rounds.iter().map(|round| [round.0, round.1][at]).collect()));
    let goal = goal.map_or_else(String::new, |goal| format!("{goal:>6.2}{}", if ratio > goal { "  over" } else { "" }));
    let threads = if threads == 1 { String::new() } else { format!(", {threads} threads") };
    println!(
        "{:<52} {:>9.2} {our:>9.2}   {:>9.2} {its:>9.2}  {ratio:>7.2} {goal}",
        format!("{what}{threads}"),
        least(|round| round.0),
        least(|round| round.1),
    );
}
