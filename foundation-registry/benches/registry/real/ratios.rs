//! The budgets: each beside its reference, round by round, as a ratio.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use foundation_context::{Fields, fields};
use foundation_registry::{Exit, Query};
use foundation_sync::{
    Deadline, Full, Queue,
    atomic::{AtomicU64, Ordering},
    thread,
};

use crate::real::tables::{Dash, Ours, Table, at_once, begin, full, mix, names};

const ROUNDS: usize = 21;
/// How many times in a round.
const CALLS: u32 = 20_000;
const MANY: usize = 10_000;

fn time(calls: u32, act: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    act();
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// A row: nanoseconds of ours and of the reference, the ratio of a round, and what it is to be.
fn row(what: &str, goal: f64, calls: u32, mut ours: impl FnMut(), mut reference: impl FnMut()) {
    time(calls, &mut ours);
    time(calls, &mut reference);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (time(calls, &mut ours), time(calls, &mut reference))).collect();
    let ratio = median(rounds.iter().map(|(ours, reference)| ours / reference).collect());
    let [ours, reference] = [0, 1].map(|at| median(rounds.iter().map(|pair| [pair.0, pair.1][at]).collect()));
    let verdict = if ratio <= goal { "" } else { "  over" };
    println!("{what:<58} {ours:>9.1} {reference:>9.1} {ratio:>7.2} {goal:>6.2}{verdict}");
}

fn alone(what: &str, calls: u32, mut act: impl FnMut()) {
    time(calls, &mut act);
    let ours = median((0..ROUNDS).map(|_| time(calls, &mut act)).collect());
    println!("{what:<58} {ours:>9.1}");
}

fn repeat(mut act: impl FnMut()) -> impl FnMut() {
    move || (0..CALLS).for_each(|_| act())
}

/// Prints the table.
pub(crate) fn print() {
    println!(
        "{:<58} {:>9} {:>9} {:>7} {:>6}",
        "beside dashmap with std's hasher, unless said", "ours, ns", "its, ns", "ratio", "goal"
    );
    let (ours, entries, _held) = full::<Ours>(MANY);
    let (dash, _, _) = full::<Dash>(MANY);
    reading(&ours, &dash, &entries);
    let load = AtomicU64::new(7);
    let mut name = ours.registry.name("name 7");
    let resolved = repeat(|| _ = black_box(black_box(&mut name).get()));
    row(
        "a resolved name, beside a relaxed load",
        2.5,
        CALLS,
        resolved,
        repeat(|| _ = black_box(black_box(&load).load(Ordering::Relaxed))),
    );
    churn(&ours, &dash, "");
    let asleep = sleepers(&ours, 1000);
    churn(&ours, &dash, ", 1,000 threads");
    wake(asleep);
    others(&ours);
}

fn reading(ours: &Ours, dash: &Dash, entries: &[(super::tables::Name, super::tables::Value)]) {
    let own: Vec<_> = (0..8).map(|thread| names(&format!("of thread {thread}"), 1024)).collect();
    for threads in [1, 2, 8] {
        let calls = 4 * MANY as u32;
        row(
            &format!("lookup, 10,000 names, {threads} threads, each"),
            0.75,
            calls,
            || at_once(threads, |_| (0..4).for_each(|_| ours.look_up(entries))),
            || at_once(threads, |_| (0..4).for_each(|_| dash.look_up(entries))),
        );
        row(
            &format!("9 lookups to a name put in or taken out, {threads} threads, each"),
            0.75,
            calls,
            || at_once(threads, |at| (0..4).for_each(|_| mix(ours, at, entries, &own[at]))),
            || at_once(threads, |at| (0..4).for_each(|_| mix(dash, at, entries, &own[at]))),
        );
    }
}

fn churn(ours: &Ours, dash: &Dash, circumstances: &str) {
    let (one, many) = (names("the one", 1), names("one of many", 4096));
    let (mut turn, mut turn_too) = (many.iter().cycle(), many.iter().cycle());
    row(
        &format!("register and unregister{circumstances}"),
        3.5,
        CALLS,
        repeat(|| ours.come_and_go(&one[0])),
        repeat(|| dash.come_and_go(&one[0])),
    );
    row(
        &format!("the same, 4,096 names by turns{circumstances}"),
        3.5,
        CALLS,
        repeat(|| ours.come_and_go(turn.next().expect("a cycle does not end"))),
        repeat(|| dash.come_and_go(turn_too.next().expect("a cycle does not end"))),
    );
    row(
        &format!("the same name with an indexed attribute{circumstances}"),
        3.5,
        CALLS,
        repeat(|| {
            drop(ours.registry.register("the one", &ours.hands[0], 1, fields! { shard: 3 }).expect("it is free"))
        }),
        repeat(|| dash.come_and_go(&one[0])),
    );
}

/// So many threads that have looked a name up, and sleep.
fn sleepers(ours: &Ours, count: usize) -> (Queue<()>, Vec<thread::JoinHandle<()>>) {
    let (work, ready) = (Queue::bounded(1, Full::Refuse), Queue::bounded(count, Full::Refuse));
    let start = |_| {
        let (work, ready, registry) = (work.clone(), ready.clone(), ours.registry.clone());
        let body = move || {
            black_box(registry.lookup("name 7"));
            ready.try_send(()).expect("there is room for all");
            _ = work.recv(Deadline::never());
        };
        thread::Builder::new("asleep").stack(128 * 1024).spawn(body).expect("a thread can be started")
    };
    let threads = (0..count).map(start).collect();
    (0..count).for_each(|_| ready.recv(Deadline::never()).expect("they all say so"));
    (work, threads)
}

fn wake((work, threads): (Queue<()>, Vec<thread::JoinHandle<()>>)) {
    work.close();
    threads.into_iter().for_each(|thread| thread.join().expect("it did not panic"));
}

/// What has no reference.
fn others(ours: &Ours) {
    let registry = &ours.registry;
    let indexed: Vec<_> = names("of a shard", MANY)
        .into_iter()
        .map(|(name, n)| {
            registry.register(&name, &ours.hands[1], *n, fields! { shard: *n % 1000 }).expect("it is free")
        })
        .collect();
    let query = Query::new().eq("shard", 7);
    alone("query by an index, 10 of 10,000", CALLS / 10, || {
        (0..CALLS / 10).for_each(|_| _ = black_box(registry.query(&query)))
    });
    drop(indexed);
    let members: Vec<_> = (0..100_000)
        .map(|n| registry.join("group", &ours.hands[1], n, Fields::new()).expect("there is room"))
        .collect();
    let mut come_and_go =
        repeat(|| drop(registry.join("group", &ours.hands[0], 1, Fields::new()).expect("there is room")));
    alone("join and leave a group of 100,000", CALLS, &mut come_and_go);
    alone("count of a group of 100,000", CALLS, repeat(|| _ = black_box(registry.count("group"))));
    alone("len", CALLS, repeat(|| _ = black_box(registry.len())));
    drop(members);
    let many = names("of one owner", 1000);
    let ends: Vec<_> = (0..ROUNDS as u64)
        .map(|round| {
            let owner = begin(&ours.owners, 1000 + round);
            for (name, value) in &many {
                registry.register(name, &owner, **value, Fields::new()).expect("it is free").keep();
            }
            time(1000, &mut || drop(owner.end(Exit::Normal)))
        })
        .collect();
    println!("{:<58} {:>9.1}", "the end of an owner with 1,000 names, each", median(ends));
    println!("{:<58} {:>9.1?}", "100,000 owners end on 4 threads, until no name is there", all_end(ours));
}

fn all_end(ours: &Ours) -> Duration {
    let owners: Vec<_> = (0..100_000).map(|id| begin(&ours.owners, 10_000 + id)).collect();
    for (owner, (name, value)) in owners.iter().zip(names("of many owners", 100_000)) {
        ours.registry.register(&name, owner, *value, Fields::new()).expect("it is free").keep();
    }
    let start = Instant::now();
    at_once(4, |thread| owners.iter().skip(thread).step_by(4).for_each(|owner| drop(owner.end(Exit::Normal))));
    let took = start.elapsed();
    assert!(ours.registry.lookup("of many owners 7").is_none());
    took
}
