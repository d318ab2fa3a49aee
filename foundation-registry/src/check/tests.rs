//! Each place that an entry stands in is damaged by hand.

use foundation_context::{Fields, Incarnation, fields};
use foundation_telemetry::Telemetry;

use super::*;
use crate::{Entry, Exit, OwnerGuard, Owners, Query};

struct Damaged {
    owner: OwnerGuard,
    registry: Registry<u32>,
    _registrations: [crate::Registration; 3],
}

/// Two names, of which one is indexed, and a member of a group.
fn healthy() -> Damaged {
    let owners = Owners::default();
    let registry: Registry<u32> = Registry::builder(&owners, &Telemetry::new()).index("shard").build();
    let owner = owners.begin(Incarnation { id: 1, generation: 1 }, "w");
    let registrations = [
        registry.register("indexed", &owner, 1, fields! { shard: 3 }).expect("it is free"),
        registry.register("plain", &owner, 2, Fields::new()).expect("it is free"),
        registry.join("group", &owner, 3, Fields::new()).expect("it lives"),
    ];
    assert_eq!(registry.check(), []);
    Damaged { owner, registry, _registrations: registrations }
}

impl Damaged {
    fn name(&self, name: &str) -> Entry<u32> {
        self.registry.lookup(name).expect("it is registered")
    }

    #[track_caller]
    fn shows(&self, key: &str, what: Wrong, text: &str) {
        let mismatches = vec![Mismatch { key: key.to_owned(), owner: self.owner.incarnation(), what }];
        assert_eq!(mismatches[0].to_string(), text);
        assert_eq!(self.registry.check(), mismatches);
        assert_eq!(self.registry.rebuild(), Rebuilt { repaired: mismatches, left: vec![] });
        assert_eq!(self.registry.check(), []);
        assert_eq!(self.registry.rebuild(), Rebuilt::default());
    }
}

#[test]
fn a_name_that_is_lost_is_shown_and_found_again() {
    let damaged = healthy();
    let entry = damaged.name("plain");
    assert!(damaged.registry.0.names.lose(&entry.0));
    assert!(damaged.registry.lookup("plain").is_none());
    damaged.shows("plain", Wrong::Lost, "`plain` of 1#1 is its owner's, but is not found");
    assert_eq!(*damaged.name("plain").value(), 2);
}

#[test]
fn a_member_that_is_lost_is_shown_and_found_again() {
    let damaged = healthy();
    let member = damaged.registry.members("group").remove(0);
    assert!(member.0.group.as_ref().is_some_and(|group| group.take(&member.0, || {})));
    damaged.shows("group", Wrong::Lost, "`group` of 1#1 is its owner's, but is not found");
    assert_eq!(damaged.registry.count("group"), 1);
}

#[test]
fn a_name_that_is_lost_and_registered_by_another_is_left_to_that_one() {
    let damaged = healthy();
    assert!(damaged.registry.0.names.lose(&damaged.name("plain").0));
    let other = damaged.registry.owners().begin(Incarnation { id: 2, generation: 1 }, "other");
    let _held = damaged.registry.register("plain", &other, 9, Fields::new()).expect("nobody finds it");
    let lost = Mismatch { key: "plain".to_owned(), owner: damaged.owner.incarnation(), what: Wrong::Lost };
    assert_eq!(damaged.registry.rebuild(), Rebuilt { repaired: vec![], left: vec![lost] });
    assert_eq!(*damaged.name("plain").value(), 9);
}

#[test]
fn a_name_that_nobody_would_give_up_is_shown_and_given_up() {
    let damaged = healthy();
    let entry = damaged.name("plain");
    _ = damaged.owner.alive(|claims| claims.remove(entry.0.slot as usize));
    damaged.shows("plain", Wrong::Unclaimed, "`plain` of 1#1 is found, but is not its owner's");
    assert!(damaged.registry.lookup("plain").is_none());
    assert_eq!(damaged.registry.sizes().taken, 2);
}

#[test]
fn what_is_left_of_an_owner_that_has_ended_is_shown_and_cleaned_up() {
    let damaged = healthy();
    let entry = damaged.name("indexed");
    _ = damaged.owner.alive(|claims| claims.remove(entry.0.slot as usize));
    drop(damaged.owner.end(Exit::Normal));
    let wrong = [Wrong::Dead, Wrong::WronglyIndexed("shard")];
    let found: Vec<_> = damaged.registry.check().into_iter().map(|mismatch| mismatch.what).collect();
    assert_eq!(found, wrong);
    assert_eq!(damaged.registry.rebuild().repaired.len(), 2);
    assert_eq!(damaged.registry.check(), []);
    assert_eq!((damaged.registry.sizes().taken, damaged.registry.sizes().indexed), (0, 0));
}

#[test]
fn a_name_that_is_not_indexed_is_shown_and_indexed() {
    let damaged = healthy();
    let entry = damaged.name("indexed");
    assert!(entry.0.bags()[0].take(&entry.0, || {}));
    let query = Query::new().eq("shard", 3);
    assert!(damaged.registry.query(&query).is_empty());
    damaged.shows("indexed", Wrong::NotIndexed("shard"), "`indexed` of 1#1 is not in the index by `shard`");
    assert_eq!(damaged.registry.query(&query).len(), 1);
}

#[test]
fn a_name_that_is_wrongly_indexed_is_shown_and_taken_out() {
    let damaged = healthy();
    let (entry, plain) = (damaged.name("indexed"), damaged.name("plain"));
    entry.0.bags()[0].put(&plain.0, || {});
    damaged.shows("plain", Wrong::WronglyIndexed("shard"), "`plain` of 1#1 is wrongly in the index by `shard`");
    assert_eq!(damaged.registry.sizes().indexed, 1);
}

#[test]
fn sizes_count_everything() {
    let damaged = healthy();
    let (_listener, _watch) = (damaged.registry.listen(8), damaged.registry.watch("plain"));
    let sizes = damaged.registry.sizes();
    let expected = Sizes {
        names: 2,
        groups: 1,
        members: 1,
        indexed: 1,
        listeners: 1,
        watches: 1,
        taken: 3,
        capacity: crate::CAPACITY,
        bytes: sizes.bytes,
    };
    assert_eq!(sizes, expected);
    assert!((3 * 100..64 * 1024).contains(&sizes.bytes), "{} bytes", sizes.bytes);
}

#[test]
fn a_name_that_is_lost_and_then_given_up_leaves_its_room_or_is_shown() {
    let Damaged { owner, registry, _registrations: [indexed, plain, member] } = healthy();
    let entry = registry.lookup("indexed").expect("it is registered");
    assert!(registry.0.names.lose(&entry.0));
    drop((indexed, plain, member));
    assert_eq!(owner.names(), 0);
    _ = registry.rebuild();
    let sizes = registry.sizes();
    assert_eq!((registry.check(), sizes.names, sizes.indexed, sizes.taken), (vec![], 0, 0, 0));
}

#[test]
fn what_was_given_up_since_it_was_found_to_be_lost_does_not_come_back() {
    let Damaged { owner, registry, _registrations: [_indexed, plain, _member] } = healthy();
    assert!(registry.0.names.lose(&registry.lookup("plain").expect("it is registered").0));
    let cases = registry.0.wrongs();
    drop(plain);
    assert_eq!(owner.names(), 2);
    cases.iter().for_each(|case| _ = registry.0.repair(case));
    assert!(registry.lookup("plain").is_none(), "it was given up");
    assert_eq!(registry.check(), []);
}
