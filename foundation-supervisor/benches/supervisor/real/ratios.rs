//! The budgets: each beside its reference, round by round, as a ratio.

use std::time::Duration;

use super::{crowd, replace, rest};

const ROUNDS: usize = 21;
/// How many crashes a round has.
const CRASHES: usize = 100;
const CHILDREN: usize = 1000;

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The median of so many, in microseconds.
fn micros(times: usize, act: impl Fn() -> Duration) -> f64 {
    median((0..times).map(|_| act().as_nanos() as f64 / 1000.0).collect())
}

fn line(what: &str, rounds: &[(f64, f64)], goal: Option<f64>) {
    let ratio = median(rounds.iter().map(|(ours, reference)| ours / reference).collect());
    let [ours, reference] = [0, 1].map(|at| median(rounds.iter().map(|pair| [pair.0, pair.1][at]).collect()));
    let wanted = goal.map_or_else(String::new, |goal| format!("{goal:.2}"));
    let verdict = if goal.is_some_and(|goal| ratio > goal) { "  over" } else { "" };
    println!("{what:<66} {ours:>9.1} {reference:>9.1} {ratio:>7.2} {wanted:>6}{verdict}");
}

/// Prints the table.
pub(crate) fn print() {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        println!(
            "RUST_BACKTRACE is set: each crash of ours has its backtrace taken and written, the reference's has not"
        );
    }
    println!("{:<66} {:>9} {:>9} {:>7} {:>6}", "", "ours, us", "its, us", "ratio", "goal");
    let (ours, reference) = (replace::Ours::new(), replace::Reference::new());
    let round = |_| (micros(CRASHES, || ours.crash()), micros(CRASHES, || reference.crash()));
    // The first one is to warm up.
    let rounds: Vec<_> = (0..=ROUNDS).map(round).skip(1).collect();
    line("panic to replacement, beside panic, catch, spawn", &rounds, Some(1.0));
    let silent = replace::Ours::without_reports();
    let rounds: Vec<_> = (0..=ROUNDS)
        .map(|_| (micros(CRASHES, || silent.crash()), micros(CRASHES, || reference.crash())))
        .skip(1)
        .collect();
    line("the same where nobody is told of it", &rounds, None);
    let deaf = replace::Deaf::new();
    let rounds: Vec<_> = (0..=ROUNDS)
        .map(|_| {
            let ours = micros(20, || deaf.replace());
            deaf.renew();
            (ours, micros(20, || reference.crash()))
        })
        .skip(1)
        .collect();
    line("a stop ignored, abandoned at once, to replacement, beside the same", &rounds, None);
    drop((ours, silent, reference, deaf));
    let rounds: Vec<_> = (0..=ROUNDS).map(|_| (crowd::ours(CHILDREN), crowd::threads(CHILDREN))).skip(1).collect();
    let took = |of: fn(&crowd::Took) -> Duration| -> Vec<_> {
        let micros = |took| of(took).as_nanos() as f64 / 1000.0;
        rounds.iter().map(|(ours, threads)| (micros(ours), micros(threads))).collect()
    };
    line("1,000 children started in order, beside 1,000 threads", &took(|took| took.started), None);
    line("1,000 children stopped in reverse order, beside told and joined", &took(|took| took.stopped), None);
    println!("\n{:<66} {:>9} {:>17}", "", "bytes", "goal");
    weight("an idle supervisor, with its name and its spec", rest::supervisor(), 512.0);
    weight("an idle worker beside its stack, with its name and its spec", rest::worker(), 1024.0);
    println!("{:<66} {:>9.0}", "a thread that waits for a word to stop, beside its stack", rest::thread());
    if let Some((switches, ticks)) = rest::at_rest() {
        println!(
            "\n1,000 idle workers in 100 trees, two seconds: {switches} wake-ups, {ticks} ticks of the CPU (goal: none)"
        );
    }
}

fn weight(what: &str, bytes: f64, goal: f64) {
    let verdict = if bytes > goal { "  over" } else { "" };
    println!("{what:<66} {bytes:>9.0} {goal:>17.0}{verdict}");
}
