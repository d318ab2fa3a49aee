//! Queries that go by an index while entries are updated.

use foundation_context::{Fields, fields};
use foundation_registry::{Exit, OwnerGuard, Owners, Query, Registry};
use foundation_telemetry::Telemetry;
use foundation_testkit::{explore, join, reached, spawn};

use crate::FIRST;

/// A name in the north.
fn indexed() -> (Registry<u32>, OwnerGuard) {
    let owners = Owners::default();
    let registry = Registry::builder(&owners, &Telemetry::new()).index("zone").build();
    let owner = owners.begin(FIRST, "first");
    registry.register("name", &owner, 1, fields! { zone: "north" }).expect("it is free").keep();
    (registry, owner)
}

/// Race "query against update": what it is found by stays.
#[test]
fn a_query_finds_a_name_that_is_updated_old_or_new() {
    explore("a query finds a name that is updated old or new")
        .reaches(&["old", "new"])
        .catches(&["registry: an index is left before it is entered"])
        .run(|| {
            let (registry, owner) = indexed();
            let (other, same) = (registry.clone(), owner.clone());
            let updates = spawn(move || drop(other.update_value("name", &same, |_| 2)));
            let found: Vec<_> =
                registry.query(&Query::new().eq("zone", "north")).iter().map(|it| *it.value()).collect();
            match found[..] {
                [1] => reached!("old"),
                [2] => reached!("new"),
                _ => panic!("it matches all the time, once: {found:?}"),
            }
            join(updates);
            drop(owner.end(Exit::Normal));
            assert!(registry.query(&Query::new().eq("zone", "north")).is_empty());
        });
}

/// Race "query against update": it moves from one value that was asked for to another.
#[test]
fn a_query_for_several_values_finds_a_name_that_moves_from_one_to_another() {
    explore("a query for several values finds a name that moves from one to another")
        .reaches(match cfg!(shuttle) {
            // That it moves just then is too rare for random schedules to be held to it.
            true => &["before", "after"],
            false => &["before", "after", "registry: a name moved while it was looked for"],
        })
        .catches(&["registry: a query does not see a move"])
        .run(|| {
            let (registry, owner) = indexed();
            let (other, same) = (registry.clone(), owner.clone());
            let updates = spawn(move || {
                other.update_metadata("name", &same, |_| fields! { zone: "south" }).expect("it is its owner's");
            });
            let query = Query::new().is_in("zone", ["south", "north"]);
            let found = registry.query(&query);
            assert_eq!(found.len(), 1, "it matches all the time, once");
            match found[0].metadata().get("zone").and_then(|zone| zone.as_str()) {
                Some("north") => reached!("before"),
                Some("south") => reached!("after"),
                other => panic!("{other:?}"),
            }
            join(updates);
            assert_eq!((registry.query(&query).len(), registry.query(&Query::new().eq("zone", "north")).len()), (1, 0));
            drop(registry.update_metadata("name", &owner, |_| Fields::new()));
            assert!(registry.query(&query).is_empty());
            drop(owner.end(Exit::Normal));
        });
}
