//! Names that were resolved, against what replaces them.

use foundation_context::Fields;
use foundation_registry::{Exit, Fenced, Name, OwnerRecvError, Registry};
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{FIRST, SECOND, registry};

#[test]
fn whoever_has_seen_an_update_is_not_given_the_old_one() {
    explore("whoever has seen an update is not given the old one")
        .reaches(&["it was seen", "it was not"])
        .catches(&["registry: the new one is shown before the old one is overtaken"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let mut name = registry.name("name");
            assert_eq!(name.get().map(|entry| *entry.value()), Some(1));
            let looks = {
                let registry = registry.clone();
                spawn(move || see(&registry, 1, &mut name))
            };
            _ = registry.update_value("name", &owner, |_| 2).expect("it lives");
            join(looks);
            drop(owner.end(Exit::Normal));
        });
}

#[test]
fn whoever_has_seen_a_successor_is_not_given_the_dead() {
    explore("whoever has seen a successor is not given the dead")
        .reaches(&["it was seen", "it was not", "registry: a successor replaced the dead"])
        .catches(&["registry: the new one is shown before the old one is overtaken"])
        .run(|| {
            let (owners, registry) = registry();
            let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
            registry.register("name", &first, 1, Fields::new()).expect("it is free").keep();
            let mut name = registry.name("name");
            assert_eq!(name.get().map(|entry| *entry.value()), Some(1));
            let (first, ending) = (first.clone(), first);
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            let looks = {
                let registry = registry.clone();
                spawn(move || see(&registry, 1, &mut name))
            };
            // The fence is up: the name is the successor's, whether it has been given up or not.
            let received = first.recv(&Queue::<()>::bounded(1, Full::Wait), Deadline::never());
            assert_eq!(received, Err(OwnerRecvError::Fenced(Fenced(FIRST))));
            registry.register("name", &second, 2, Fields::new()).expect("its owner is fenced").keep();
            join(ends);
            join(looks);
            drop(second.end(Exit::Normal));
        });
}

/// If a lookup finds another one than the old, the resolved name is that, too.
fn see(registry: &Registry<u32>, old: u32, name: &mut Name<u32>) {
    match registry.lookup("name").map(|entry| *entry.value()).filter(|value| *value != old) {
        None => reached!("it was not"),
        found => {
            reached!("it was seen");
            assert_eq!(name.get().map(|entry| *entry.value()), found);
        }
    }
}
