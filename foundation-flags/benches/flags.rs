//! Reads of flags beside a relaxed load and a mask: ours and the reference by turns, and the ratio.
//!
//! `cargo bench -p foundation-flags --bench flags` prints the table.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a clock beside them, and the table")
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    use std::{
        hint::black_box,
        sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        thread,
        time::{Duration, Instant},
    };

    use foundation_flags::{Flag, Flags, Target};
    use foundation_sync::Deadline;

    const ROUNDS: usize = 401;

    /// How long one side of a round takes, about: so short that most rounds are disturbed by nobody.
    const ROUND: Duration = Duration::from_micros(200);

    const HELD: Flag = Flag::on("flag_0");
    const UNDECLARED: Flag = Flag::on("nobody_knows");
    const SHORT: &str = "user-42";
    const UUID: &str = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";

    fn median(mut all: Vec<f64>) -> f64 {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    /// Nanoseconds for each of so many.
    fn per(many: u32, act: &mut impl FnMut() -> bool) -> f64 {
        let start = Instant::now();
        (0..many).for_each(|_| _ = black_box(act()));
        start.elapsed().as_nanos() as f64 / f64::from(many)
    }

    /// A row: the ratio is the median of the rounds' ratios.
    fn row(what: &str, goal: Option<f64>, mut ours: impl FnMut() -> bool, mut reference: impl FnMut() -> bool) {
        let fits = |each: f64| (ROUND.as_nanos() as f64 / each.max(0.2)) as u32;
        let many = (fits(per(10_000, &mut ours)), fits(per(10_000, &mut reference)));
        let round = |_| (per(many.0, &mut ours), per(many.1, &mut reference));
        let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
        let ratio = median(rounds.iter().map(|(ours, reference)| ours / reference).collect());
        let (our, its) = (
            median(rounds.iter().map(|round| round.0).collect()),
            median(rounds.iter().map(|round| round.1).collect()),
        );
        let least = rounds.iter().map(|round| round.0).fold(f64::INFINITY, f64::min);
        let goal =
            goal.map_or_else(String::new, |goal| format!("{goal:>6.1}{}", if ratio > goal { "  over" } else { "" }));
        println!("{what:<58} {least:>9.2} {our:>7.2}   {its:>7.2}  {ratio:>7.2} {goal}");
    }

    /// The reference: a word, and a bit of it.
    fn load_and_mask(word: &AtomicU64) -> bool {
        black_box(word).load(Relaxed) & 2 != 0
    }

    /// So many flags, the first of which is on.
    fn declared(many: usize) -> (Flags, Vec<Flag>) {
        let others = (1..many).map(|number| Flag::off(format!("flag_{number}").leak()));
        let all: Vec<_> = [HELD].into_iter().chain(others).collect();
        let builder = all.iter().fold(Flags::builder(), |builder, flag| builder.flag(flag));
        (builder.start().expect("they fit together"), all)
    }

    fn change(flags: &Flags, flag: &Flag, percent: f64) {
        flags.change("bench", "it measures").percent(flag, percent).apply(Deadline::never()).expect("it is free");
    }

    /// Reads of flags that nobody changes.
    fn rows() {
        let word = AtomicU64::new(2);
        let reference = || load_and_mask(&word);
        for (many, goal) in [(8, 1.2), (900, 2.5)] {
            let (flags, all) = declared(many);
            let gate = flags.gate(&HELD);
            row(&format!("a held gate of {many} flags"), Some(goal), || black_box(&gate).enabled(), reference);
            let name = format!("through the table of {many} flags");
            row(&name, Some(8.0), || black_box(&flags).enabled(black_box(&HELD)), reference);
            let words: Vec<_> = all.iter().map(|_| AtomicU64::new(2)).collect();
            let (mut at, mut its_at) = (0, 0);
            let mut next = || {
                at = if at + 1 == many { 0 } else { at + 1 };
                black_box(&flags).enabled(&all[at])
            };
            let next_word = || {
                its_at = if its_at + 1 == many { 0 } else { its_at + 1 };
                load_and_mask(&words[its_at])
            };
            row("  the same, each in turn", None, &mut next, next_word);
        }
        let (flags, all) = declared(8);
        let quarter = all[1];
        change(&flags, &quarter, 25.0);
        for (id, length) in [(SHORT, 7), (UUID, 36)] {
            let gate = flags.gate(&quarter);
            let read = || black_box(&flags).enabled_for(black_box(&quarter), black_box(id));
            row(&format!("25 % of ids, for one of {length} bytes"), Some(20.0), read, reference);
            let read = || black_box(&gate).enabled_for(black_box(id));
            row("  the same through a held gate", None, read, reference);
        }
    }

    /// Calls it while another thread changes flags that are read, one after another.
    fn beside_changes(read: impl FnOnce(&Flags)) {
        let (flags, all) = declared(8);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for percent in (0..=100).cycle() {
                    if over.load(Relaxed) {
                        break;
                    }
                    change(&flags, &HELD, f64::from(percent));
                    change(&flags, &all[1], f64::from(percent));
                }
            });
            read(&flags);
            over.store(true, Relaxed);
        });
        println!("{:<58} {} changes were made meanwhile", "", flags.view().version());
    }

    pub(crate) fn print() {
        println!(
            "{:<58} {:>9} {:>7}   {:>7}  {:>7} {:>6}",
            "ns for each read", "our least", "median", "its", "ratio", "goal"
        );
        rows();
        let word = AtomicU64::new(2);
        let reference = || load_and_mask(&word);
        beside_changes(|flags| {
            let gate = flags.gate(&HELD);
            row("a held gate, changed meanwhile", Some(1.2), || black_box(&gate).enabled(), reference);
            let read = || black_box(flags).enabled(black_box(&HELD));
            row("through the table, changed meanwhile", Some(8.0), read, reference);
            for (id, length) in [(SHORT, 7), (UUID, 36)] {
                let read = || black_box(flags).enabled_for(black_box(&HELD), black_box(id));
                row(&format!("for an id of {length} bytes, changed meanwhile"), Some(20.0), read, reference);
            }
        });
        let (flags, all) = declared(8);
        let targets = all[2];
        let named = |flags: &Flags| {
            let change =
                flags.change("bench", "it measures").actor(&targets, "user-1", true).group(&targets, "staff", true);
            change.apply(Deadline::never()).expect("it is free");
        };
        named(&flags);
        let target = Target::id(SHORT).groups(&["beta", "staff"]);
        let read = || black_box(&flags).enabled_for_target(black_box(&targets), black_box(&target));
        row("for a target in two groups, actors and groups are named", None, read, reference);
        let name = HELD.name();
        row("by name", None, || black_box(&flags).enabled_named(black_box(name)), reference);
        row("strictly", None, || black_box(&flags).strict().enabled(black_box(&HELD)) == Ok(true), reference);
        row("not declared, so counted", None, || black_box(&flags).enabled(black_box(&UNDECLARED)), reference);
    }
}

#[cfg(not(any(loom, shuttle)))]
fn main() {
    // A list of the benchmarks, or a test of them, is no measurement.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    real::print();
}

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
