//! What the registry promises, one call after another.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foundation_context::{Fields, Incarnation, Value, fields};
use foundation_registry::{Address, Exit, Owner, Owners, RegisterError, Registry};
use foundation_telemetry::Telemetry;
use foundation_testkit::TestUniverse;

fn who(id: u64, generation: u64) -> Incarnation {
    Incarnation { id, generation }
}

fn registry<V: Send + Sync + 'static>() -> (Owners, Registry<V>) {
    let owners = Owners::default();
    let registry = Registry::new(&owners, &Telemetry::new());
    (owners, registry)
}

/// One for each way a registry works: to a single thread they are the same.
fn registries<V: Send + Sync + 'static>() -> Vec<(Owners, Registry<V>)> {
    vec![
        registry(),
        #[cfg(feature = "legacy")]
        {
            let (owners, registry) = registry();
            registry.switch().push(registry.switch().epoch().turned(false));
            (owners, registry)
        },
    ]
}

#[test]
fn a_name_has_one_live_owner() {
    for (owners, registry) in registries() {
        one_live_owner(&owners, &registry);
    }
}

fn one_live_owner(owners: &Owners, registry: &Registry<i32>) {
    let (first, second) = (owners.begin(who(1, 1), "first"), owners.begin(who(2, 1), "second"));
    let registration = registry.register("n", &first, 10, fields! { shard: 3 }).expect("it is free");
    let refused = registry.register("n", &second, 20, Fields::new()).expect_err("it is taken");
    assert!(
        matches!(&refused, RegisterError::AlreadyRegistered { name, owner, .. } if &**name == "n" && *owner == who(1, 1))
    );
    assert_eq!(refused.to_string(), "`n` is taken by 1#1, which lives: stop it first, or choose another name");
    let entry = registry.lookup("n").expect("it is registered");
    assert_eq!(
        (*entry.value(), entry.incarnation(), entry.metadata().get("shard")),
        (10, who(1, 1), Some(&Value::from(3)))
    );
    drop(registration);
    assert!(registry.lookup("n").is_none(), "dropped, it is unregistered");
    registry.register("n", &second, 20, Fields::new()).expect("it is free again").keep();
    assert_eq!((registry.len(), second.names(), first.names()), (1, 1, 0));
}

#[test]
fn the_names_of_the_dead_are_free_and_they_register_no_more() {
    for (owners, registry) in registries() {
        names_of_the_dead(&owners, &registry);
    }
}

fn names_of_the_dead(owners: &Owners, registry: &Registry<i32>) {
    let first = owners.begin(who(1, 1), "first");
    for name in ["a", "b"] {
        registry.register(name, &first, 0, Fields::new()).expect("it is free").keep();
    }
    let late = registry.register("c", &first, 0, Fields::new()).expect("it is free");
    assert!(first.end(Exit::Normal).is_some());
    assert!(registry.is_empty() && registry.entries().is_empty());
    assert_eq!(registry.register("d", &first, 0, Fields::new()).map(drop), Err(RegisterError::Fenced(who(1, 1))));
    let second = owners.begin(who(1, 2), "first");
    registry.register("c", &second, 1, Fields::new()).expect("it is free").keep();
    drop(late);
    assert_eq!(registry.lookup("c").map(|entry| entry.incarnation()), Some(who(1, 2)), "a successor's entry stays");
}

/// The table frees what left it whenever it likes; a value's drop has to be nobody's business but its holder's.
#[test]
fn a_value_is_dropped_by_its_last_holder_at_once() {
    for (owners, registry) in registries() {
        let owner = owners.begin(who(1, 1), "w");
        let value = Arc::new(());
        registry.register("n", &owner, Arc::clone(&value), Fields::new()).expect("it is free").keep();
        drop(owner.end(Exit::Normal));
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

/// Its drop waits for ever where the owner's lock is still held.
struct AsksItsOwner(Owner, Arc<AtomicUsize>);

impl Drop for AsksItsOwner {
    fn drop(&mut self) {
        self.1.fetch_add(1 + self.0.names(), Ordering::Relaxed);
    }
}

#[test]
fn a_value_that_is_refused_is_dropped_without_a_lock() {
    for (owners, registry) in registries() {
        let (owner, drops) = (owners.begin(who(1, 1), "w"), Arc::default());
        let register =
            || registry.register("n", &owner, AsksItsOwner(owner.clone(), Arc::clone(&drops)), Fields::new());
        let registration = register().expect("it is free");
        assert!(matches!(register(), Err(RegisterError::AlreadyRegistered { .. })));
        assert_eq!(drops.swap(0, Ordering::Relaxed), 2, "one value was dropped, while its owner had one name");
        drop(registration);
        assert_eq!(drops.swap(0, Ordering::Relaxed), 1);
        drop(owner.end(Exit::Normal));
        assert_eq!(register().map(drop), Err(RegisterError::Fenced(who(1, 1))));
        assert_eq!(drops.swap(0, Ordering::Relaxed), 1);
    }
}

/// A registry that dies inside another's table once waited for itself for ever.
#[test]
fn a_registry_may_hold_registries() {
    for _ in 0..200 {
        let (owners, outer) = registry();
        let owner = owners.begin(who(1, 1), "w");
        let (inner_owners, inner) = registry();
        let inner_owner = inner_owners.begin(who(2, 1), "inner");
        inner.register("n", &inner_owner, 1, Fields::new()).expect("it is free").keep();
        outer.register("inner", &owner, (inner, inner_owners), Fields::new()).expect("it is free").keep();
        drop(inner_owner.end(Exit::Normal));
        drop(owner.end(Exit::Normal));
    }
}

#[test]
fn an_address_is_found_by_its_type() {
    let t = TestUniverse::new();
    let owner = t.owners().begin(who(77, 1), "w");
    t.registry().register("n", &owner, Address::new(5_u32), Fields::new()).expect("it is free").keep();
    assert_eq!(t.find::<u32>("n").as_deref(), Some(&5));
    assert!(t.find::<u64>("n").is_none() && t.find::<u32>("m").is_none());
    assert_eq!(t.whereis("n"), Some(who(77, 1)));
    drop(owner.end(Exit::Normal));
}

#[test]
fn registering_and_unregistering_are_events() {
    let t = TestUniverse::new();
    let owner = t.owners().begin(who(77, 1), "w");
    let register = || t.registry().register("n", &owner, Address::new(()), Fields::new()).expect("it is free");
    t.assert_telemetry_event(&["foundation", "registry", "register"], fields! { name: "n".to_owned() }, || {
        register().keep()
    });
    drop(owner.end(Exit::Normal));
    let owner = t.owners().begin(who(77, 2), "w");
    let registration = t.registry().register("n", &owner, Address::new(()), Fields::new()).expect("it is free");
    t.assert_telemetry_event(&["foundation", "registry", "unregister"], fields! { name: "n".to_owned() }, || {
        drop(registration)
    });
    drop(owner.end(Exit::Normal));
}
