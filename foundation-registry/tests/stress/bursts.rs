//! Much at once, and one thing over and over.

use std::sync::Arc;

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Exit, OwnerGuard, Owners, Registry};
use foundation_sync::{
    Deadline, Full, Queue,
    atomic::{AtomicU64, Ordering},
};
use foundation_telemetry::Telemetry;
use foundation_testkit::deep;

use crate::beside::Beside;

fn registry() -> (Owners, Registry<u64>) {
    let owners = Owners::default();
    let registry = Registry::new(&owners, &Telemetry::new());
    (owners, registry)
}

fn begin(owners: &Owners, id: u64, generation: u64) -> OwnerGuard {
    owners.begin(Incarnation { id, generation }, "one of many")
}

fn name(id: u64) -> String {
    format!("name {id}")
}

#[test]
fn many_owners_end_at_once_and_no_name_outlives_its_down() {
    const THREADS: usize = 4;
    let many = 100_000;
    let (owners, registry) = registry();
    let news = Queue::bounded(many, Full::Refuse);
    let all: Vec<_> = (0..many as u64).map(|id| begin(&owners, id, 1)).collect();
    for owner in &all {
        let id = owner.incarnation().id;
        registry.register(&name(id), owner, id, Fields::new()).expect("it is free").keep();
        owners.monitor_into(owner.incarnation(), &news).expect("there is room for all");
    }
    assert_eq!((registry.len(), owners.monitors().len()), (many, many));
    let all = Arc::new(all);
    let ends: Vec<_> = (0..THREADS)
        .map(|at| {
            let all = Arc::clone(&all);
            Beside::spawn("ends", move || {
                let share = all.iter().skip(at).step_by(THREADS);
                share.filter(|owner| owner.end(Exit::Normal).is_some()).count()
            })
        })
        .collect();
    for _ in 0..many {
        let down = news.recv(Deadline::never()).expect("there is one for each");
        assert_eq!(down.exit, Exit::Normal);
        let found = registry.lookup(&name(down.incarnation.id));
        assert!(found.is_none(), "{found:?} has outlived its Down");
    }
    assert_eq!(ends.into_iter().map(Beside::join).sum::<usize>(), many);
    assert_eq!((news.len(), registry.len(), owners.live().len(), owners.monitors().len()), (0, 0, 0, 0));
}

#[test]
fn one_name_is_started_and_stopped_over_and_over_and_is_free_after_each_down() {
    let last = if deep() { 100_000 } else { 10_000 };
    let (owners, registry) = registry();
    // The last one whose Down somebody has seen.
    let down = Arc::new(AtomicU64::new(0));
    let looker = {
        let (registry, down) = (registry.clone(), Arc::clone(&down));
        Beside::spawn("looker", move || {
            let mut name = registry.name("name");
            loop {
                let dead = down.load(Ordering::SeqCst);
                let found = registry.lookup("name").map(|entry| *entry.value());
                assert!(found.is_none_or(|found| found > dead), "{found:?} was found, and {dead} is down");
                let held = name.get().map(|entry| *entry.value());
                assert!(
                    held.is_none_or(|held| held > dead && Some(held) >= found),
                    "{held:?} is held, after {found:?}"
                );
                if dead == last {
                    break;
                }
            }
        })
    };
    let turns = [(); 2].map(|()| Queue::bounded(1, Full::Refuse));
    let other = relay(&owners, &registry, &down, [&turns[1], &turns[0]], last);
    let one = relay(&owners, &registry, &down, [&turns[0], &turns[1]], last);
    turns[0].try_send(0).expect("there is room");
    assert_eq!(one.join() + other.join(), last);
    looker.join();
    assert!(registry.is_empty() && owners.live().is_empty());
}

/// Waits for the Down of the one that it is told of, starts the next one under its name, says so, and ends it.
fn relay(
    owners: &Owners,
    registry: &Registry<u64>,
    down: &Arc<AtomicU64>,
    [before, after]: [&Queue<u64>; 2],
    last: u64,
) -> Beside<u64> {
    let (owners, registry, down) = (owners.clone(), registry.clone(), Arc::clone(down));
    let (before, after) = (before.clone(), after.clone());
    Beside::spawn("relay", move || {
        let mut started = 0;
        while let Ok(dead) = before.recv(Deadline::never()) {
            if dead > 0 {
                owners.monitor(Incarnation { id: 1, generation: dead }).recv(Deadline::never()).expect("there is one");
                let found = registry.lookup("name");
                assert!(found.is_none(), "{found:?} was found after its Down");
                down.store(dead, Ordering::SeqCst);
            }
            if dead == last {
                after.close();
                break;
            }
            let owner = begin(&owners, 1, dead + 1);
            registry.register("name", &owner, dead + 1, Fields::new()).expect("it is free after the Down").keep();
            started += 1;
            after.try_send(dead + 1).expect("the other one waits for it");
            drop(owner.end(Exit::Normal));
        }
        started
    })
}

#[test]
fn a_burst_of_names_comes_and_goes() {
    let many = if deep() { 1_000_000 } else { 100_000 };
    let (owners, registry) = registry();
    let burst: Vec<_> = (0..4).map(|id| begin(&owners, id, 1)).collect();
    let comes: Vec<_> = burst
        .iter()
        .map(|owner| {
            let (registry, owner) = (registry.clone(), owner.owner().clone());
            Beside::spawn("comes", move || {
                for id in (owner.incarnation().id..many).step_by(4) {
                    registry.register(&name(id), &owner, id, Fields::new()).expect("it is free").keep();
                }
            })
        })
        .collect();
    comes.into_iter().for_each(Beside::join);
    assert_eq!(registry.len() as u64, many);
    assert!((0..many).step_by(7).all(|id| registry.lookup(&name(id)).is_some_and(|entry| *entry.value() == id)));
    let goes: Vec<_> =
        burst.into_iter().map(|owner| Beside::spawn("goes", move || drop(owner.end(Exit::Normal)))).collect();
    goes.into_iter().for_each(Beside::join);
    assert!(registry.is_empty() && registry.entries().is_empty());
    assert!((0..many).step_by(7).all(|id| registry.lookup(&name(id)).is_none()));
}
