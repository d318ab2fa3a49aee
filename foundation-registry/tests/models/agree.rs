//! Several ways to look at a registry, which agree.

use foundation_context::{Fields, fields};
use foundation_registry::{Exit, Owner, Owners, Query, RegisterError, Registry};
use foundation_sync::{Mutex, reached};
use foundation_telemetry::Telemetry;
use foundation_testkit::{explore, join, spawn};

use crate::{FIRST, SECOND};

fn indexed() -> (Owners, Registry<u32>) {
    let owners = Owners::default();
    let registry = Registry::builder(&owners, &Telemetry::new()).index("zone").build();
    (owners, registry)
}

fn found(registry: &Registry<u32>, zone: u32) -> usize {
    registry.query(&Query::new().eq("zone", u64::from(zone))).len()
}

/// "What matches all the time is found": it is there from before the query until after it.
#[test]
fn a_query_finds_what_a_lookup_has_found() {
    let scenario = explore("a query finds what a lookup has found").reaches(&["found", "not yet"]);
    scenario.catches(&["registry: an index is entered last"]).run(|| {
        let (owners, registry) = indexed();
        let owner = owners.begin(FIRST, "first");
        let other = registry.clone();
        let looks = spawn(move || match other.lookup("name") {
            Some(_) => {
                reached!("found");
                assert_eq!(found(&other, 7), 1, "it is there, and stays there");
            }
            None => reached!("not yet"),
        });
        registry.register("name", &owner, 1, fields! { zone: 7 }).expect("it is free").keep();
        join(looks);
        drop(owner.end(Exit::Normal));
    });
}

#[test]
fn a_query_finds_what_a_lookup_has_found_updated() {
    explore("a query finds what a lookup has found updated").reaches(&["found", "not yet"]).run(|| {
        let (owners, registry) = indexed();
        let owner = owners.begin(FIRST, "first");
        registry.register("name", &owner, 1, fields! { zone: 7 }).expect("it is free").keep();
        let other = registry.clone();
        let looks =
            spawn(move || match other.lookup("name").and_then(|entry| entry.metadata().get("zone")?.as_u64()) {
                Some(8) => {
                    reached!("found");
                    assert_eq!(found(&other, 8), 1, "it is there, and stays there");
                }
                _ => reached!("not yet"),
            });
        drop(registry.update_metadata("name", &owner, |_| fields! { zone: 8 }).expect("it is its owner's"));
        join(looks);
        drop(owner.end(Exit::Normal));
    });
}

/// "Each was there at some moment of the call."
#[test]
fn a_query_does_not_find_what_a_lookup_has_missed() {
    let scenario = explore("a query does not find what a lookup has missed").reaches(&["there", "gone"]);
    scenario.catches(&["registry: a query trusts what it meets"]).run(|| {
        let (owners, registry) = indexed();
        let owner = owners.begin(FIRST, "first");
        let registration = registry.register("name", &owner, 1, fields! { zone: 7 }).expect("it is free");
        let gives_up = spawn(move || drop(registration));
        match registry.lookup("name") {
            None => {
                reached!("gone");
                assert_eq!(found(&registry, 7), 0, "it was gone before the query began");
            }
            Some(_) => reached!("there"),
        }
        join(gives_up);
        drop(owner.end(Exit::Normal));
    });
}

#[test]
fn a_resolved_name_is_not_given_what_a_lookup_has_missed() {
    let scenario = explore("a resolved name is not given what a lookup has missed").reaches(&["there", "gone"]);
    scenario.catches(&["registry: an entry is taken out before it is overtaken"]).run(|| {
        let (owners, registry) = indexed();
        let owner = owners.begin(FIRST, "first");
        let registration = registry.register("name", &owner, 1, Fields::new()).expect("it is free");
        let mut name = registry.name("name");
        assert!(name.get().is_some());
        let gives_up = spawn(move || drop(registration));
        match registry.lookup("name") {
            None => {
                reached!("gone");
                assert!(name.get().is_none(), "it was gone before");
            }
            Some(_) => reached!("there"),
        }
        join(gives_up);
        drop(owner.end(Exit::Normal));
    });
}

/// There is room for two, and never more than one is there, or registered with success.
#[test]
fn who_is_refused_takes_nobodys_room() {
    explore("who is refused takes nobody's room").run(|| {
        let owners = Owners::default();
        let registry: Registry<u32> = Registry::builder(&owners, &Telemetry::new()).capacity(2).build();
        let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
        registry.register("taken", &first, 1, Fields::new()).expect("it is free").keep();
        let (other, same) = (registry.clone(), second.clone());
        let refused = spawn(move || {
            let refused = other.register("taken", &same, 2, Fields::new()).map(drop);
            assert!(matches!(refused, Err(RegisterError::AlreadyRegistered { .. })));
        });
        let registered = registry.register("free", &second, 3, Fields::new()).map(|it| it.keep());
        assert_eq!(registered, Ok(()), "there is one entry, and room for two");
        join(refused);
        drop((first.end(Exit::Normal), second.end(Exit::Normal)));
    });
}

/// A value whose drop asks for the lock of an owner: it waits for ever if it is dropped under that.
struct Probe(Mutex<Option<Owner>>);

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(owner) = self.0.lock().take() {
            _ = owner.names();
        }
    }
}

#[test]
fn a_check_drops_no_value_under_a_lock() {
    explore("a check drops no value under a lock").run(|| {
        let owners = Owners::default();
        let registry: Registry<Probe> = Registry::new(&owners, &Telemetry::new());
        let (first, second) = (owners.begin(FIRST, "first"), owners.begin(SECOND, "second"));
        let silent = Probe(Mutex::new(None));
        let kept = registry.register("name", &first, silent, Fields::new()).expect("it is free");
        let (other, locked) = (registry.clone(), first.clone());
        let changes = spawn(move || {
            drop(kept);
            let probe = Probe(Mutex::new(Some(locked)));
            drop(other.register("name", &second, probe, Fields::new()).expect("it is free"));
            drop(second.end(Exit::Normal));
        });
        assert_eq!(registry.check(), []);
        join(changes);
        drop(first.end(Exit::Normal));
    });
}
