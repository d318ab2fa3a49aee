//! What they cost who have nothing to do.

use std::fs;

use foundation_supervisor::{ChildSpec, Foundation, Supervisor, Tree};
use foundation_sync::{Full, MINUTE, Queue, SECOND};
use stats_alloc::Region;

use crate::real::{COUNTED, crowd};

const MANY: usize = 1_000;

/// How many bytes each of many is, when it is there and has nothing to do.
fn each(many: usize, act: impl FnOnce()) -> f64 {
    let region = Region::new(COUNTED);
    act();
    let change = region.change();
    // What grew in place is among what was allocated.
    (change.bytes_allocated as f64 - change.bytes_deallocated as f64) / many as f64
}

fn start(foundation: &Foundation, tree: Supervisor) -> Tree {
    tree.start(foundation, foundation.within(MINUTE)).expect("it starts")
}

/// Waits until all of them wait.
fn settle(foundation: &Foundation) {
    let idle = || foundation.threads().iter().all(|thread| thread.waits_at().is_some()).then_some(());
    while foundation.activity().wait_for(&foundation.within(SECOND / 100), idle).is_none() {}
}

/// An idle supervisor, with all that its description takes.
pub(crate) fn supervisor() -> f64 {
    let foundation = Foundation::builder().start();
    start(&foundation, crowd::tree("first", 0));
    let bytes = each(MANY, || {
        let specs = (0..MANY).map(|n| ChildSpec::supervisor(crowd::tree(&format!("s{n}"), 0)));
        start(&foundation, specs.fold(crowd::tree("all", 0), Supervisor::child));
    });
    assert!(foundation.stop(MINUTE).is_clean());
    bytes
}

/// An idle worker, with all that its description takes, beside its stack.
pub(crate) fn worker() -> f64 {
    let foundation = Foundation::builder().start();
    start(&foundation, crowd::tree("first", 1));
    settle(&foundation);
    let bytes = each(MANY, || {
        start(&foundation, crowd::tree("all", MANY));
        settle(&foundation);
    });
    assert!(foundation.stop(MINUTE).is_clean());
    bytes
}

/// A thread that waits for a word to stop, beside its stack, and nothing else.
pub(crate) fn thread() -> f64 {
    let mut held = None;
    let bytes = each(MANY, || held = Some(crowd::hold(MANY)));
    held.into_iter().for_each(crowd::let_go);
    bytes
}

/// Context switches of all threads but the caller's, and clock ticks of the process, while a thousand workers in a
/// hundred trees have nothing to do for some time.
pub(crate) fn at_rest() -> Option<(u64, u64)> {
    let foundation = Foundation::builder().start();
    for n in 0..100 {
        start(&foundation, crowd::tree(&format!("t{n}"), 10));
    }
    settle(&foundation);
    let before = (switches()?, ticks()?);
    // Nothing comes.
    _ = Queue::<()>::bounded(1, Full::Wait).recv(foundation.within(2 * SECOND));
    // In this order: to count a thousand threads' switches takes some ticks.
    let ticks = ticks()? - before.1;
    let switches = switches()? - before.0;
    assert!(foundation.stop(MINUTE).is_clean());
    Some((switches, ticks))
}

fn switches() -> Option<u64> {
    let own = fs::read_link("/proc/thread-self").ok()?;
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        if Some(&*task.file_name()) != own.file_name() {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
            sum += counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
        }
    }
    Some(sum)
}

fn ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let times: Vec<_> = after_name.split_whitespace().skip(11).take(2).collect();
    times.iter().map(|time| time.parse::<u64>().ok()).sum()
}
