//! Trees whose workers crash, hang, ignore their stop and start slowly, on real threads, while others start, end and
//! restart their children: from a seed, for some time, against what must hold all the while and at the end.
//!
//! `FOUNDATION_SEED` says which seed; the threads are real, so it repeats what is done and not how it is interleaved.
#![cfg(not(any(loom, shuttle)))]

mod body;
mod counts;
mod plan;
mod world;

use std::{sync::Arc, time::Duration};

use foundation_registry::{Cause, Exit};
use foundation_supervisor::{ChildError, StartError, StopError, Tree};
use foundation_testkit::{TestUniverse, deep, patience, wait_for};

use crate::{counts::Counts, plan::Plan, world::World};

/// How many manage at once, beside the one who starts and stops the tree.
const MANAGERS: usize = 3;

#[test]
#[expect(clippy::print_stdout, reason = "the seed is said to the person who runs the test")]
fn whatever_crashes_hangs_and_is_managed_at_once_is_accounted_for() {
    let (seeds, span) = if deep() { (20, Duration::from_secs(60)) } else { (1, Duration::from_secs(10)) };
    let first = match std::env::var("FOUNDATION_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("FOUNDATION_SEED is `{text}`: expected a number")),
        Err(_) => u64::from(fastrand::u32(..)),
    };
    for seed in first..first + seeds {
        println!("again: FOUNDATION_SEED={seed} cargo test -p foundation-supervisor --test chaos");
        let before = threads_of_the_process();
        let summary = chaos(seed, span);
        println!("{summary}");
        // What is left of a thread once it has left the universe's census is its last instructions.
        wait_for(|| match threads_of_the_process() {
            now if now <= before => Ok(()),
            now => Err(format!("{now} threads of the process, {before} before")),
        });
    }
}

/// As the operating system sees it.
fn threads_of_the_process() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn chaos(seed: u64, span: Duration) -> String {
    let t = TestUniverse::new();
    let world = World::new(seed, &t);
    let counts = Counts::listen(t.telemetry());
    let (until, at_last) = (t.within(span), t.within(span + 4 * patience()));
    let managers: Vec<_> = (0..MANAGERS)
        .map(|n| {
            let world = Arc::clone(&world);
            t.spawn("manager", move || {
                let mut rng = fastrand::Rng::with_seed(seed ^ (n as u64 + 1));
                while !world.is_released() {
                    manage(&world, &mut rng);
                    world.pause(Duration::from_micros(rng.u64(..2_000)));
                }
            })
        })
        .collect();
    let mut plan = Plan::new(seed);
    // On a machine that is busy with something else it takes longer until everything was met.
    while !until.passed() || !world.unmet().is_empty() && !at_last.passed() {
        one_tree(&t, &world, &mut plan);
    }
    world.release();
    managers.into_iter().for_each(|manager| manager.join());
    t.wait_for(|| world.left());
    world.reap(true);
    let wrong = world.wrong();
    assert!(wrong.is_empty(), "seed {seed}: {} are wrong, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    let summary = world.sum_up();
    counts.agree(&t, &world);
    counts.detach(t.telemetry());
    assert_eq!(t.owners().monitors().len(), 0, "seed {seed}: monitors");
    // It looks for threads, names, monitors and the rest.
    drop(t);
    summary
}

/// A tree, from its start to its end.
fn one_tree(t: &TestUniverse, world: &Arc<World>, plan: &mut Plan) {
    if plan.starts_well() {
        world.calm();
    }
    let started = plan.tree(world).start(t, t.patience());
    match started {
        Ok(tree) => {
            world.storm();
            live(t, world, plan, &tree);
        }
        Err(StartError::ChildFailed { .. }) => world.note("starts that failed"),
        Err(other) => world.complain(format!("a start: {other}")),
    }
    world.storm();
    // Whoever lived in it has ended, or was abandoned, which is an end.
    world.reap(true);
    let (names, live) = (t.registry().entries(), t.owners().live());
    if !names.is_empty() {
        world.complain(format!("names outlived their tree: {names:?}"));
    }
    if let Some(owner) = live.iter().find(|owner| owner.name().starts_with(plan::ROOT)) {
        world.complain(format!("{owner:?} outlived its tree"));
    }
}

fn live(t: &TestUniverse, world: &World, plan: &mut Plan, tree: &Tree) {
    let exit = match tree.wait(t.within(plan.life_of_a_tree())) {
        Err(StopError::TimedOut) => tree.stop(t.patience()),
        ended => ended,
    };
    match exit {
        Ok(Exit::Shutdown(Cause::Requested)) => world.note("trees stopped"),
        Ok(Exit::Shutdown(Cause::Intensity | Cause::Abandoned | Cause::TooManyAbandoned)) => {
            world.note("trees gave up")
        }
        Ok(other) => world.complain(format!("a tree ended so: {other}")),
        Err(error) => world.complain(format!("a stop: {error}, and the tree is {:?}", tree.children(t.patience()))),
    }
}

/// One call to some supervisor.
fn manage(world: &Arc<World>, rng: &mut fastrand::Rng) {
    let Some(tree) = world.some_tree(rng) else { return };
    let soon = world.soon();
    let (what, done) = match rng.u8(..8) {
        0..3 => ("start_child", tree.start_child(plan::one_more(world, rng), soon).map(drop)),
        3..5 => ("terminate_child", tree.terminate_child(&plan::some_child(rng), soon)),
        5..7 => {
            // Of one that has ended: else it is seldom that there is one.
            let child = plan::some_child(rng);
            let ended = tree.terminate_child(&child, &soon);
            ("restart_child", ended.and_then(|()| tree.restart_child(&child, soon).map(drop)))
        }
        _ => ("children", tree.children(soon).map(drop)),
    };
    match done {
        Ok(()) => world.note(what),
        Err(ChildError::TimedOut | ChildError::Stopped | ChildError::BadSpec(_) | ChildError::Busy) => {
            world.complain(format!("{what}: {done:?}"));
        }
        Err(_) => world.note("calls refused"),
    }
}
