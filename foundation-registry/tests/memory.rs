//! What names cost in memory, and what costs none.
//!
//! Counted by an allocator that comes with the crate allocation-counter, for each thread by itself.
#![cfg(not(any(loom, shuttle)))]

use allocation_counter::{AllocationInfo, measure};
use foundation_context::{Fields, Incarnation};
use foundation_registry::{Exit, Owners, Registry};
use foundation_telemetry::Telemetry;
use foundation_testkit::deep;

/// As many owners as there are parts of an owner's claims: few.
const OWNERS: u64 = 16;
/// Of a name, beside its key and its value. With the old way each remembers its thread and who sees it, too.
const MOST_BYTES: i64 = if cfg!(feature = "legacy") { 280 } else { 200 };
/// A removed entry's memory comes back in the middle of later calls of the thread that removed it.
const LATER: u64 = 100_000;

fn registry() -> (Owners, Registry<u64>) {
    let owners = Owners::default();
    let registry = Registry::new(&owners, &Telemetry::new());
    (owners, registry)
}

fn name(id: u64) -> String {
    format!("name {id:018}")
}

/// How many bytes are there after the act that were not before.
fn bytes(act: impl FnOnce()) -> i64 {
    measure(act).bytes_current
}

#[test]
fn a_name_costs_at_most_200_bytes_and_a_burst_gives_its_memory_back() {
    let many = if deep() { 1_000_000 } else { 100_000 };
    let (owners, registry) = registry();
    let burst: Vec<_> = (0..OWNERS).map(|id| owners.begin(Incarnation { id, generation: 1 }, "burst")).collect();
    let lasting = owners.begin(Incarnation { id: OWNERS, generation: 1 }, "lasting");
    let came = bytes(|| {
        for id in 0..many {
            let owner = &burst[(id % OWNERS) as usize];
            registry.register(&name(id), owner, id, Fields::new()).expect("it is free").keep();
        }
    });
    let (key, value) = (23, size_of::<u64>() as i64);
    let each = came / many as i64 - key - value;
    assert!(each <= MOST_BYTES, "a name of {many} costs {each} bytes beside its key and its value");
    let went = bytes(|| {
        burst.iter().for_each(|owner| drop(owner.end(Exit::Normal)));
        drop(burst);
        for _ in 0..LATER {
            drop(registry.register("another", &lasting, 0, Fields::new()).expect("it is free"));
        }
    });
    assert!(registry.is_empty());
    let left = came + went;
    assert!(left < came / 50, "{left} bytes are left of {came}, after {many} names came and went");
}

#[test]
fn looking_up_allocates_nothing() {
    let (owners, registry) = registry();
    let owner = owners.begin(Incarnation { id: 1, generation: 1 }, "it");
    for id in 0..1000 {
        registry.register(&name(id), &owner, id, Fields::new()).expect("it is free").keep();
    }
    let (there, nowhere) = (name(7), name(1001));
    let mut resolved = [registry.name(&there), registry.name(&nowhere)];
    let mut look = || {
        assert!(registry.lookup(&there).is_some_and(|entry| *entry.value() == 7));
        assert!(registry.lookup(&nowhere).is_none());
        assert!(resolved[0].get().is_some() && resolved[1].get().is_none());
        assert!(registry.members(&nowhere).is_empty() && registry.members("no group").is_empty());
        assert_eq!((registry.count(&nowhere), registry.len()), (0, 1000));
    };
    look();
    let AllocationInfo { count_total, .. } = measure(|| (0..1000).for_each(|_| look()));
    assert_eq!(count_total, 0, "of 1,000 rounds");
}

/// "A registry that has become small again gives its memory back", also if its owner lives on.
#[test]
fn a_burst_of_one_owner_that_lives_on_gives_its_memory_back() {
    let many = 100_000;
    let (owners, registry) = registry();
    let owner = owners.begin(Incarnation { id: 1, generation: 1 }, "lasting");
    let mut burst = Vec::with_capacity(many);
    let came = bytes(|| {
        for id in 0..many as u64 {
            burst.push(registry.register(&name(id), &owner, id, Fields::new()).expect("it is free"));
        }
    });
    let went = bytes(|| {
        burst.clear();
        for _ in 0..LATER {
            drop(registry.register("another", &owner, 0, Fields::new()).expect("it is free"));
        }
    });
    assert!(registry.is_empty());
    let left = came + went;
    assert!(left < came / 50, "{left} bytes are left of {came}, after {many} names came and went");
}

#[test]
fn counting_a_group_allocates_nothing_whatever_its_key() {
    let (owners, registry) = registry();
    let owner = owners.begin(Incarnation { id: 1, generation: 1 }, "it");
    let group = "a group whose key is longer than 23 bytes";
    registry.join(group, &owner, 0, Fields::new()).expect("there is room").keep();
    let look = || assert_eq!((registry.count(group), registry.count("none of this key, which is long")), (1, 0));
    look();
    let AllocationInfo { count_total, .. } = measure(|| (0..1000).for_each(|_| look()));
    assert_eq!(count_total, 0, "of 1,000 rounds");
}

#[test]
fn a_lone_member_that_comes_and_goes_does_not_have_its_group_made_anew() {
    let (owners, registry) = registry();
    let owner = owners.begin(Incarnation { id: 1, generation: 1 }, "it");
    let come_and_go = || drop(registry.join("group", &owner, 0, Fields::new()).expect("there is room"));
    come_and_go();
    let AllocationInfo { count_total, .. } = measure(|| (0..1000).for_each(|_| come_and_go()));
    // What the old way remembers of an entry is one more.
    let each = if cfg!(feature = "legacy") { 3 } else { 2 };
    assert!(count_total <= each * 1000, "{count_total} in 1,000 rounds: an entry, and its place in the group");
}

#[test]
fn groups_that_were_left_give_their_memory_back() {
    let (owners, registry) = registry();
    let owner = owners.begin(Incarnation { id: 1, generation: 1 }, "it");
    let empty = registry.sizes().bytes;
    let join = |id| registry.join(&name(id), &owner, 0, Fields::new()).expect("there is room");
    let members: Vec<_> = (0..1000).map(join).collect();
    let came = registry.sizes().bytes - empty;
    drop(members);
    let left = registry.sizes().bytes - empty;
    assert!(left < came / 20, "{left} bytes are left of {came}, after 1,000 groups came and went");
}
