//! What a shadow costs a call: one that is not chosen, and one that is, beside the bare call.
//!
//! `cargo bench -p foundation-flags --bench shadow` prints the table.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a clock beside them, and the table")
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    use std::{hint::black_box, time::Instant};

    use foundation_flags::{Flag, Flags, Shadow};
    use foundation_sync::{Clock, SECOND};

    const ROUNDS: usize = 41;
    /// How long one side of a round takes, about.
    const ROUND: f64 = 2e6;

    const OFF: Flag = Flag::off("off");
    const SHARE: Flag = Flag::off("share");
    const ON: Flag = Flag::on("on");

    fn per(many: u32, act: &impl Fn()) -> f64 {
        let start = Instant::now();
        (0..many).for_each(|_| act());
        start.elapsed().as_nanos() as f64 / f64::from(many)
    }

    fn median(mut all: Vec<f64>) -> f64 {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    /// The two by turns: the median of each, and of their differences.
    fn row(what: &str, ours: impl Fn(), bare: impl Fn()) {
        let many = [per(1_000, &ours), per(1_000, &bare)].map(|each| (ROUND / each.max(0.2)) as u32);
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (per(many[0], &ours), per(many[1], &bare))).collect();
        let [ours, bare] = [0, 1].map(|at| median(rounds.iter().map(|round| [round.0, round.1][at]).collect()));
        let more = median(rounds.iter().map(|(ours, bare)| ours - bare).collect());
        println!("{what:<52} {ours:>9.2} {bare:>9.2} {more:>9.2}");
    }

    pub(crate) fn main() {
        let arguments: Vec<_> = std::env::args().collect();
        // A list of the benchmarks, or a test of them, is no measurement.
        if arguments.iter().any(|argument| argument == "--list" || argument == "--test") {
            return;
        }
        let flags = Flags::builder().flag(&OFF).flag(&SHARE).flag(&ON).start().expect("they fit together");
        let until = Clock::system().within(SECOND);
        flags.change("bench", "a ten-thousandth").percent(&SHARE, 0.01).apply(until).expect("it is declared");
        let shadow = |flag: &Flag| -> Shadow<u64> { Shadow::new(&flags, flag, PartialEq::eq) };
        let (off, share, on) = (shadow(&OFF), shadow(&SHARE), shadow(&ON));
        let bare = || _ = black_box(work(1));
        println!("{:<52} {:>9} {:>9} {:>9}", "ns for each call, medians", "shadowed", "bare", "more");
        row("off, without an id", || _ = black_box(off.run(|| work(1), || work(2))), bare);
        row("off, for an id", || _ = black_box(off.run_for(black_box("order-7"), || work(1), || work(2))), bare);
        row(
            "0.01 %, for an id that is not of it",
            || _ = black_box(share.run_for(black_box("order-7"), || work(1), || work(2))),
            bare,
        );
        row("0.01 %, without an id", || _ = black_box(share.run(|| work(1), || work(2))), bare);
        row("on, both equal", || _ = black_box(on.run_for(black_box("order-7"), || work(1), || work(1))), bare);
        row("on, both different", || _ = black_box(on.run_for(black_box("order-7"), || work(1), || work(2))), bare);
    }

    #[inline(never)]
    fn work(number: u64) -> u64 {
        black_box(number)
    }
}

#[cfg(not(any(loom, shuttle)))]
fn main() {
    real::main();
}

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
