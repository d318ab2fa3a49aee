//! A child that does nothing but crash, again and again: the process does not grow.
//!
//! Alone in its program, for it looks at what the whole process has.
#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]

use std::{fs, sync::Arc, time::Duration};

use foundation_registry::{Cause, Exit};
use foundation_supervisor::{CRASHED, ChildSpec, Failure, Life, RESTARTED, Strategy, Supervisor};
use foundation_sync::{
    Full, Queue,
    atomic::{AtomicU64, Ordering},
};
use foundation_testkit::{TestUniverse, deep, patience};

/// How many threads more there may be: those that have ended and not had their turn since, on a busy machine. If each crash
/// left one, there would be hundreds.
const ENDING: u64 = 50;

/// What a process has at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Has {
    kib: u64,
    threads: u64,
    files: usize,
}

impl Has {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("Linux tells a process of itself");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is told");
            line.trim_start_matches(':').split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
        };
        let files = fs::read_dir("/proc/self/fd").expect("Linux tells a process of itself").count();
        Self { kib: number("VmRSS"), threads: number("Threads"), files }
    }

    fn most(self, other: Self) -> Self {
        let Self { kib, threads, files } = other;
        Self { kib: self.kib.max(kib), threads: self.threads.max(threads), files: self.files.max(files) }
    }
}

#[test]
fn a_process_does_not_grow_however_often_a_child_crashes() {
    // What may be there and not elsewhere: a table that is grown once, pages that the allocator keeps. If each crash left
    // but a list's cell, a million would leave 16 MiB.
    let (crashes, slack) = if deep() { (1_000_000, 4 * 1024) } else { (2_000, 4 * 1024) };
    let tenth = crashes / 10;
    let t = TestUniverse::new();
    let told = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&told);
    let count = move |_: &foundation_telemetry::Event| _ = counted.fetch_add(1, Ordering::Relaxed);
    t.telemetry().attach("count", [CRASHED, RESTARTED], count).expect("nobody else has the id");
    let looks = Queue::bounded(32, Full::Wait);
    let to = looks.clone();
    let body = move |life: &Life| -> Result<(), Failure> {
        let generation = life.incarnation().generation;
        if generation > crashes {
            to.close();
            // A queue that is closed is no reason to wait: it would end, and be restarted again and again.
            life.wait_until_told();
            return Ok(());
        }
        // As a worker does that others look for.
        life.register("crashes", generation)?.keep();
        if generation.is_multiple_of(tenth / 10) {
            to.send((generation, Has::now()), life.system().within(patience())).map_err(|_| Failure::new("full"))?;
        }
        match generation % 2 {
            0 => panic!("once more"),
            _ => Err(Failure::new("once more")),
        }
    };
    // Of each period's restarts none is left when the next one comes: what is counted against the intensity is bounded.
    let supervisor = Supervisor::new("t", Strategy::OneForOne).intensity(1_000, Duration::from_nanos(1));
    let tree = t.start(supervisor.child(ChildSpec::worker("crashes", body)));
    let (mut first, mut last) = (None::<Has>, None::<Has>);
    while let Ok((generation, has)) = looks.recv(t.within(10 * patience())) {
        let of = if generation <= tenth { &mut first } else { &mut last };
        if generation <= tenth || generation > crashes - tenth {
            *of = Some(of.map_or(has, |most| most.most(has)));
        }
    }
    let (first, last) = (first.expect("it was looked at"), last.expect("it was looked at"));
    assert!(
        last.kib <= first.kib + slack && last.threads <= first.threads + ENDING && last.files <= first.files,
        "the most in the first tenth of {crashes} crashes: {first:?}; in the last: {last:?}"
    );
    t.wait_for(|| t.restarts() == crashes);
    t.wait_for(|| told.load(Ordering::Relaxed) + t.lost() == 2 * crashes);
    t.telemetry().detach("count").expect("it was attached");
    assert_eq!(tree.stop(t.patience()), Ok(Exit::Shutdown(Cause::Requested)));
}
