//! The budgets: each beside its reference, round by round, as a ratio.

use stats_alloc::Region;

use crate::real::{
    COUNTED,
    asked::{self, Asked, at_once, beside, each, each_of_a_sleeper},
    cores::Cores,
    fan_out::{self, Many},
    sent::{self, BURST, Sent},
    work,
};

const ROUNDS: usize = 21;

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn verdict(ratio: f64, goal: Option<f64>) -> String {
    let over = if goal.is_some_and(|goal| ratio > goal) { "  over" } else { "" };
    goal.map_or_else(String::new, |goal| format!("{goal:>6.2}{over}"))
}

/// A tenth, the half and nine tenths of them took no longer.
fn tenths(mut all: Vec<u64>) -> [f64; 3] {
    all.sort_unstable();
    [1, 5, 9].map(|tenth| all[all.len() * tenth / 10] as f64)
}

/// A row of single calls. The ratio that counts is that of the fast tenth: what others do to a machine is in the slow ones.
fn spread(what: &str, goal: Option<f64>, rounds: &[[Vec<u64>; 2]]) {
    let of = |at: usize| tenths(rounds.iter().flat_map(|round| round[at].iter().copied()).collect());
    let (ours, reference) = (of(0), of(1));
    let ratio = ours[0] / reference[0];
    let columns = |[p10, p50, p90]: [f64; 3]| format!("{p10:>7.0} {p50:>7.0} {p90:>8.0}");
    println!(
        "{what:<44} {}   {}  {ratio:>5.2} {:>5.2} {}",
        columns(ours),
        columns(reference),
        ours[1] / reference[1],
        verdict(ratio, goal)
    );
}

/// A row of rounds, each of which took so long for one of many things.
fn row(what: &str, goal: Option<f64>, mut ours: impl FnMut() -> f64, mut reference: impl FnMut() -> f64) {
    _ = (ours(), reference());
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (ours(), reference())).collect();
    let ratio = median(rounds.iter().map(|(ours, reference)| ours / reference).collect());
    let least = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(f64::INFINITY, f64::min);
    let [ours, reference] = [0, 1].map(|at| median(rounds.iter().map(|round| [round.0, round.1][at]).collect()));
    println!(
        "{what:<44} {:>9.0} {ours:>9.0}   {:>9.0} {reference:>9.0}  {ratio:>7.2} {}",
        least(|round| round.0),
        least(|round| round.1),
        verdict(ratio, goal)
    );
}

/// Nanoseconds for each of so many.
fn per(many: usize, act: impl FnOnce()) -> f64 {
    asked::time(act) as f64 / many as f64
}

/// The parts of the table, each of which can be had alone.
const PARTS: [(&str, fn()); 6] = [
    ("calls", calls),
    ("callers", callers),
    ("casts", casts),
    ("fan-out", fan_outs),
    ("tasks", tasks),
    ("allocations", allocations),
];

/// Prints the table, or those parts of it that are asked for.
pub(crate) fn print(asked: &[String]) {
    let named = |name: &str| asked.iter().any(|part| part == name);
    let all = !PARTS.iter().any(|(name, _)| named(name));
    PARTS.iter().filter(|(name, _)| all || named(name)).for_each(|(_, print)| print());
}

/// One caller, by where the two threads are.
fn calls() {
    println!(
        "{:<44} {:>7} {:>7} {:>8}   {:>7} {:>7} {:>8}  {:>5} {:>5} {:>6}",
        "ns, of single calls", "our p10", "p50", "p90", "its p10", "p50", "p90", "p10", "p50", "goal"
    );
    let modes = [
        ("a call and back, on two cores", Cores::Two, Some(1.2)),
        ("the same on one core", Cores::One, Some(1.2)),
        ("the same wherever the system puts them", Cores::Any, None),
    ];
    for (what, cores, goal) in modes {
        if !cores.can_be_had() {
            println!("{what:<44} not on this machine");
            continue;
        }
        let (ours, bare) = (asked::Ours::on(cores), asked::Bare::on(cores, 1));
        let round = |_| beside(cores, || [each(&ours, 200), each(&bare, 200)]);
        spread(what, goal, &(0..5 * ROUNDS).map(round).collect::<Vec<_>>());
    }
    let (ours, bare) = (asked::Ours::on(Cores::Any), asked::Bare::on(Cores::Any, 1));
    let round = |_| [each_of_a_sleeper(&ours, 20), each_of_a_sleeper(&bare, 20)];
    spread("a call after the server slept", Some(1.0), &(0..2 * ROUNDS).map(round).collect::<Vec<_>>());
}

fn head() {
    println!(
        "\n{:<44} {:>9} {:>9}   {:>9} {:>9}  {:>7} {:>6}",
        "ns for each, in rounds", "our least", "median", "its least", "median", "ratio", "goal"
    );
}

/// More than one at once: the time of all calls together, for each.
fn callers() {
    head();
    for callers in [2, 8] {
        let (ours, bare) = (asked::Ours::on(Cores::Any), asked::Bare::on(Cores::Any, callers));
        let calls = 2000 / callers;
        let all = |asked: &dyn Asked| {
            per(calls * callers, || at_once(callers, |caller| (0..calls).for_each(|_| _ = asked.ask(caller))))
        };
        row(&format!("a call and back, {callers} callers at once"), None, || all(&ours), || all(&bare));
    }
}

fn casts() {
    head();
    let (ours, bare) = (sent::Ours::new(), sent::Bare::new());
    for senders in [1, 2, 8] {
        let times = 20;
        fn all(sent: &impl Sent, senders: usize, times: usize) -> f64 {
            per(times * BURST, || sent::bursts(sent, senders, times))
        }
        let what = format!("a cast, done, {senders} senders");
        row(&what, Some(2.0), || all(&ours, senders, times), || all(&bare, senders, times));
    }
}

fn fan_outs() {
    head();
    let (ours, bare, many) = (fan_out::Ours::new(), fan_out::Bare::new(), fan_out::MANY);
    row("a cast to each of 1,000, done", None, || per(many, || ours.tell_each()), || per(many, || bare.tell_each()));
    row("a call to each of 1,000", None, || per(many, || ours.ask_each()), || per(many, || bare.ask_each()));
}

fn tasks() {
    head();
    let (ours, some) = (work::Ours::new(), 100);
    row(
        "a task and its outcome, beside spawn and join",
        None,
        || per(some, || (0..some).for_each(|_| ours.work())),
        || per(some, || (0..some).for_each(|_| work::bare())),
    );
}

/// How many allocations a call takes, of all threads: its envelope is one.
fn allocations() {
    let ours = asked::Ours::on(Cores::Any);
    _ = each(&ours, 1000);
    let calls = 10_000;
    let region = Region::new(COUNTED);
    (0..calls).for_each(|_| _ = ours.ask(0));
    let change = region.change();
    let each = (change.allocations + change.reallocations) as f64 / f64::from(calls);
    println!("\n{:<44} {each:>7.3}", "allocations for each call");
}
