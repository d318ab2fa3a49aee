//! Names: who has them, how they are given up, and how many there may be.

use foundation_context::{Fields, Incarnation, Value, fields};
use foundation_registry::{Entry, Exit, REGISTERED, RegisterError, UNREGISTERED, UPDATED};
use foundation_sync::{Deadline, Full, Queue};

use crate::common::{Way, who};

suite! {
    a_name_stands_for_its_value_and_what_was_said_about_it,
    a_name_may_be_any_text,
    a_name_and_a_group_of_one_key_do_not_know_each_other,
    a_live_owners_name_is_refused_to_everybody_and_a_dead_owner_is_refused_everything,
    a_successor_has_the_name_at_once_and_nobody_takes_it_in_the_name_of_the_dead,
    an_operator_unregisters_what_an_incarnation_has_and_nothing_else,
    a_name_is_unregistered_if_a_condition_holds_for_what_stands_there_in_the_end,
    a_registration_never_gives_up_what_has_come_into_its_place,
    the_keys_of_an_owner_are_those_of_this_registry_and_repeat,
    names_are_counted_and_listed_in_order,
    what_finds_no_room_is_refused_and_room_comes_back,
    a_full_registry_says_of_a_taken_name_that_it_is_taken,
    what_comes_changes_and_goes_is_an_event,
    an_entry_is_kept_by_who_found_it,
}

fn a_name_stands_for_its_value_and_what_was_said_about_it(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    assert!(r.lookup("n").is_none());
    let registration = r.register("n", &owner, 10, fields! { shard: 3 }).expect("it is free");
    r.middle();
    let entry = r.lookup("n").expect("it is registered");
    assert_eq!((entry.name(), *entry.value()), ("n", 10));
    assert_eq!((entry.incarnation(), entry.owner()), (who(1), owner.owner()));
    assert_eq!((entry.metadata(), entry.is_current()), (&fields! { shard: 3 }, true));
    assert_eq!(format!("{entry:?}, {registration:?}, {:?}", *r), "n: w (1#1), Registration(w (1#1)), [n: w (1#1)]");
    r.named("m", &owner, 11).keep();
    assert!(r.lookup("m").is_some_and(|entry| entry.metadata().is_empty()));
    drop(registration);
    assert!(r.lookup("n").is_none(), "dropped, it is unregistered");
    assert_eq!((r.len(), owner.names()), (1, 1), "what was kept stays");
}

fn a_name_may_be_any_text(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let names = [String::new(), "n".repeat(23), "n".repeat(24), "n".repeat(1000), "ø 名前 \u{1f980}\0\n".into()];
    for (value, name) in names.iter().enumerate() {
        r.named(name, &owner, value).keep();
        r.joined(name, &owner, value + 10).keep();
    }
    r.middle();
    for (value, name) in names.iter().enumerate() {
        assert_eq!(r.lookup(name).map(|entry| (entry.name().to_owned(), *entry.value())), Some((name.clone(), value)));
        assert_eq!(r.values(name), [value + 10]);
        assert_eq!(r.name(name).get().map(|entry| *entry.value()), Some(value));
        let taken = r.register(name, &owner, 0, Fields::new()).expect_err("it is taken");
        assert!(matches!(&taken, RegisterError::AlreadyRegistered { name: said, .. } if **said == **name));
    }
    for name in &names {
        assert!(r.unregister(name, who(1)).is_some_and(|entry| entry.name() == name && !entry.is_current()));
        assert_eq!((r.lookup(name).is_none(), r.count(name)), (true, 1));
    }
}

fn a_name_and_a_group_of_one_key_do_not_know_each_other(way: Way) {
    let r = way.registry();
    let (one, other) = (r.begin(1), r.begin(2));
    let name = r.named("k", &one, 1);
    let member = r.joined("k", &other, 2);
    r.middle();
    assert_eq!((r.value("k"), r.values("k"), r.len(), r.count("k")), (Some(1), vec![2], 1, 1));
    assert!(r.unregister("k", who(2)).is_none(), "a member is no name");
    assert_eq!(r.leave_if("k", &one, |_| true), 0, "a name is no member");
    drop(name);
    assert_eq!((r.value("k"), r.values("k")), (None, vec![2]));
    drop(member);
    assert_eq!((r.count("k"), r.groups()), (0, vec![]));
}

/// In the original one backend refused a duplicate and the other replaced it in silence, and both registered the dead.
fn a_live_owners_name_is_refused_to_everybody_and_a_dead_owner_is_refused_everything(way: Way) {
    let r = way.registry();
    let (one, other, dead) = (r.begin(1), r.begin(2), r.begin(3));
    r.named("n", &one, 1).keep();
    let since = r.lookup("n").map(|entry| entry.since()).expect("it is registered");
    r.middle();
    for owner in [&one, &other] {
        let refused = r.register("n", owner, 2, Fields::new()).expect_err("it is taken");
        assert_eq!(refused, RegisterError::AlreadyRegistered { name: "n".into(), owner: who(1), since });
        assert_eq!(refused.to_string(), "`n` is taken by 1#1, which lives: stop it first, or choose another name");
    }
    drop(dead.end(Exit::Normal));
    for refused in [r.register("m", &dead, 3, Fields::new()), r.join("g", &dead, 3, Fields::new())] {
        let refused = refused.expect_err("it has ended");
        assert_eq!(refused, RegisterError::Fenced(who(3)));
        assert_eq!(refused.to_string(), "3#1 has ended: it can register nothing any more");
    }
    assert_eq!((r.value("n"), r.len(), r.count("g"), r.groups()), (Some(1), 1, 0, vec![]));
    assert_eq!((one.names(), other.names(), dead.names()), (1, 0, 0), "a refusal leaves nothing behind");
}

/// A reader of the original that had seen a dead one unregistered by name, and hit a newer registration.
fn a_successor_has_the_name_at_once_and_nobody_takes_it_in_the_name_of_the_dead(way: Way) {
    let r = way.registry();
    let dead = r.begin(1);
    let registration = r.named("n", &dead, 1);
    let seen = r.lookup("n").expect("it is registered");
    drop(dead.end(Exit::Failed("x".into())));
    assert!(r.lookup("n").is_none() && !seen.is_current());
    let successor = r.owners.begin(Incarnation { id: 1, generation: 2 }, "w");
    r.named("n", &successor, 2).keep();
    r.middle();
    assert!(r.unregister("n", seen.incarnation()).is_none());
    assert!(r.unregister_if("n", who(1), |_| panic!("it is another's")).is_none());
    drop(registration);
    assert_eq!(r.lookup("n").map(|entry| entry.incarnation().generation), Some(2));
    assert_eq!((*seen.value(), seen.incarnation()), (1, who(1)), "who has seen it keeps it");
}

fn an_operator_unregisters_what_an_incarnation_has_and_nothing_else(way: Way) {
    let r = way.registry();
    let (one, other) = (r.begin(1), r.begin(2));
    r.named("n", &one, 1).keep();
    r.named("m", &other, 2).keep();
    r.middle();
    assert!(r.unregister("n", who(2)).is_none() && r.unregister("x", who(1)).is_none());
    assert_eq!((r.value("n"), r.value("m")), (Some(1), Some(2)));
    let gone = r.unregister("n", who(1)).expect("it has it");
    assert_eq!((*gone.value(), gone.is_current()), (1, false));
    assert!(r.unregister("n", who(1)).is_none(), "once");
    assert_eq!((r.value("n"), r.value("m"), one.names(), other.names()), (None, Some(2), 0, 1));
}

fn a_name_is_unregistered_if_a_condition_holds_for_what_stands_there_in_the_end(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    r.named("n", &owner, 1).keep();
    assert!(r.unregister_if("n", who(1), |entry| *entry.value() == 2).is_none());
    assert_eq!(r.value("n"), Some(1));
    r.middle();
    // The condition holds for 1, which is overtaken while it is looked at.
    let mut seen = Vec::new();
    let gone = r.unregister_if("n", who(1), |entry| {
        seen.push(*entry.value());
        if seen.len() == 1 {
            r.update_value("n", &owner, |entry| entry.value() + 1).expect("it is its owner's");
        }
        true
    });
    assert_eq!((gone.map(|entry| *entry.value()), seen), (Some(2), vec![1, 2]));
    r.named("n", &owner, 3).keep();
    let gone = r.unregister_if("n", who(1), |_| r.unregister("n", who(1)).is_some());
    assert!(gone.is_none(), "it was given up meanwhile");
    assert!(r.is_empty());
}

/// An owner's places are used again, and each registry counts for itself.
fn a_registration_never_gives_up_what_has_come_into_its_place(way: Way) {
    let r = way.registry();
    let beside = way.beside(&r.owners, |builder| builder);
    let owner = r.begin(1);
    let first = r.named("n", &owner, 1);
    let elsewhere = beside.named("n", &owner, 10);
    assert!(r.unregister("n", who(1)).is_some() && beside.unregister("n", who(1)).is_some());
    r.middle();
    r.named("n", &owner, 2).keep();
    r.named("m", &owner, 3).keep();
    r.joined("n", &owner, 4).keep();
    beside.named("n", &owner, 20).keep();
    drop((first, elsewhere));
    assert_eq!((r.value("n"), r.value("m"), r.values("n"), beside.value("n")), (Some(2), Some(3), vec![4], Some(20)));
    assert_eq!(owner.names(), 4);
}

fn the_keys_of_an_owner_are_those_of_this_registry_and_repeat(way: Way) {
    let r = way.registry();
    let beside = way.beside(&r.owners, |builder| builder);
    let (one, other) = (r.begin(1), r.begin(2));
    assert_eq!((r.keys_of(who(1)), r.keys_of(who(9))), (vec![], vec![]));
    for name in ["c", "a"] {
        r.named(name, &one, 0).keep();
    }
    let twice = ["b", "b", "a"].map(|group| r.joined(group, &one, 0));
    beside.named("elsewhere", &one, 0).keep();
    r.named("other", &other, 0).keep();
    r.middle();
    assert_eq!(r.keys_of(who(1)), ["a", "a", "b", "b", "c"]);
    assert_eq!(
        (r.keys_of(who(2)), beside.keys_of(who(1)), one.names()),
        (vec!["other".into()], vec!["elsewhere".into()], 6)
    );
    drop(twice);
    r.update_value("c", &one, |_| 1).expect("it is its owner's");
    assert_eq!(r.keys_of(who(1)), ["a", "c"]);
    drop(one.end(Exit::Normal));
    assert_eq!((r.keys_of(who(1)), r.keys_of(who(2)).len()), (vec![], 1));
}

fn names_are_counted_and_listed_in_order(way: Way) {
    let r = way.registry();
    let (one, other) = (r.begin(1), r.begin(2));
    for (value, name) in ["d", "b", "a", "c"].into_iter().enumerate() {
        r.named(name, if value % 2 == 0 { &one } else { &other }, value).keep();
    }
    r.middle();
    let listed = || r.entries().iter().map(|entry| (entry.name().to_owned(), *entry.value())).collect::<Vec<_>>();
    assert_eq!(listed(), [("a", 2), ("b", 1), ("c", 3), ("d", 0)].map(|(name, value)| (name.to_owned(), value)));
    drop(one.end(Exit::Normal));
    assert_eq!(listed(), [("b", 1), ("c", 3)].map(|(name, value)| (name.to_owned(), value)));
    assert_eq!((r.len(), r.is_empty()), (2, false));
    drop(other.end(Exit::Normal));
    assert_eq!((r.len(), r.is_empty(), listed()), (0, true, vec![]));
}

fn what_finds_no_room_is_refused_and_room_comes_back(way: Way) {
    let r = way.built(|builder| builder.capacity(3));
    let (one, other) = (r.begin(1), r.begin(2));
    let full = |key: &str| {
        let refused = r.register(key, &one, 0, Fields::new()).expect_err("there is no room");
        assert_eq!(refused, RegisterError::Full { key: key.into(), capacity: 3 });
        let expected = format!(
            "there is no room for `{key}`: the registry has room for 3 entries, and all of it is taken; unregister some, or \
             build it with a greater capacity"
        );
        assert_eq!(refused.to_string(), expected);
        assert_eq!(r.join(key, &one, 0, Fields::new()).map(drop), Err(refused));
    };
    r.named("a", &one, 0).keep();
    let b = r.named("b", &other, 0);
    // What is refused gives its room back.
    for _ in 0..5 {
        assert!(matches!(r.register("a", &other, 0, Fields::new()), Err(RegisterError::AlreadyRegistered { .. })));
    }
    let member = r.joined("g", &one, 0);
    full("c");
    r.update_metadata("a", &one, |_| fields! { x: 1 }).expect("an update needs no room");
    full("c");
    drop(b);
    r.middle();
    r.named("c", &other, 0).keep();
    full("d");
    drop(member);
    r.joined("h", &other, 0).keep();
    full("d");
    drop(other.end(Exit::Normal));
    let dead = r.begin(3);
    drop(dead.end(Exit::Normal));
    for _ in 0..5 {
        assert_eq!(r.register("c", &dead, 0, Fields::new()).map(drop), Err(RegisterError::Fenced(who(3))));
        assert_eq!(r.join("h", &dead, 0, Fields::new()).map(drop), Err(RegisterError::Fenced(who(3))));
    }
    let again = ["c", "d"].map(|name| r.named(name, &one, 0));
    full("e");
    assert!(r.unregister("a", who(1)).is_some());
    drop(again);
    for group in ["g", "g", "g"] {
        r.joined(group, &one, 0).keep();
    }
    full("g");
    assert_eq!(r.leave_if("g", &one, |_| true), 3);
    assert_eq!(way.built::<()>(|builder| builder.capacity(0)).len(), 0);
}

/// With more room it would be refused all the same.
fn a_full_registry_says_of_a_taken_name_that_it_is_taken(way: Way) {
    let r = way.built(|builder| builder.capacity(1));
    let (one, other, dead) = (r.begin(1), r.begin(2), r.begin(3));
    drop(dead.end(Exit::Normal));
    r.named("n", &one, 0).keep();
    r.middle();
    assert!(matches!(
        r.register("n", &other, 0, Fields::new()),
        Err(RegisterError::AlreadyRegistered { owner, .. }) if owner == who(1)
    ));
    assert!(matches!(r.join("n", &other, 0, Fields::new()), Err(RegisterError::Full { .. })));
    assert_eq!(r.register("m", &dead, 0, Fields::new()).map(drop), Err(RegisterError::Fenced(who(3))));
    assert_eq!(r.join("m", &dead, 0, Fields::new()).map(drop), Err(RegisterError::Fenced(who(3))));
}

fn what_comes_changes_and_goes_is_an_event(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let events = Queue::bounded(16, Full::Refuse);
    let seen = events.clone();
    r.telemetry
        .attach("seen", [REGISTERED, UPDATED, UNREGISTERED], move |event| {
            seen.try_send((event.name, event.measurements.clone(), event.metadata.clone())).expect("there is room");
        })
        .expect("nobody else has the id");
    #[track_caller]
    fn heard<T: PartialEq + std::fmt::Debug + Send + 'static>(events: &Queue<T>, expected: &[T]) {
        let heard: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        assert_eq!(heard, expected);
    }
    let name = fields! { name: "n".to_owned(), owner: who(1) };
    let group = fields! { group: "g".to_owned(), owner: who(1) };
    let registration = r.named("n", &owner, 0);
    heard(&events, &[(REGISTERED, Fields::new(), name.clone())]);
    let member = r.joined("g", &owner, 0);
    heard(&events, &[(REGISTERED, Fields::new(), group.clone())]);
    r.middle();
    r.update_value("n", &owner, |_| 1).expect("it is its owner's");
    r.update_metadata("n", &owner, |_| Fields::new()).expect("it is its owner's");
    heard(&events, &[(UPDATED, Fields::new(), name.clone()), (UPDATED, Fields::new(), name.clone())]);
    drop(registration);
    heard(&events, &[(UNREGISTERED, Fields::new(), name.clone())]);
    drop(member);
    heard(&events, &[(UNREGISTERED, Fields::new(), group.clone())]);
    r.named("n", &owner, 2).keep();
    r.joined("g", &owner, 2).keep();
    heard(&events, &[(REGISTERED, Fields::new(), name.clone()), (REGISTERED, Fields::new(), group.clone())]);
    assert!(r.register("n", &owner, 3, Fields::new()).is_err());
    assert!(r.update_value("m", &owner, |_| 4).is_err() && r.unregister("m", who(1)).is_none());
    heard(&events, &[]);
    assert!(r.unregister("n", who(1)).is_some());
    assert_eq!(r.leave_if("g", &owner, |_| true), 1);
    heard(&events, &[(UNREGISTERED, Fields::new(), name), (UNREGISTERED, Fields::new(), group)]);
    r.named("m", &owner, 5).keep();
    heard(&events, &[(REGISTERED, Fields::new(), fields! { name: "m".to_owned(), owner: who(1) })]);
    drop(owner.end(Exit::Normal));
    heard(&events, &[]);
    assert!(events.recv(Deadline::now()).is_err());
}

fn an_entry_is_kept_by_who_found_it(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let registration = r.register("n", &owner, "value", fields! { zone: "north" }).expect("it is free");
    let entry: Entry<_> = r.lookup("n").expect("it is registered");
    let same = entry.clone();
    r.middle();
    drop(registration);
    drop(entry);
    drop(owner.end(Exit::Normal));
    assert_eq!((same.name(), *same.value()), ("n", "value"));
    assert_eq!(same.metadata().get("zone"), Some(&Value::from("north")));
    assert!(!same.is_current() && same.owner().fenced());
}

/// Universes never see each other.
#[test]
fn an_owner_of_another_universe_registers_nothing() {
    let (r, elsewhere) = (Way::New.registry(), Way::New.registry::<u32>());
    let stranger = elsewhere.begin(1);
    let registered = r.register("n", &stranger, 1, Fields::new()).map(|it| it.keep());
    assert!(registered.is_err() || r.keys_of(who(1)) == ["n"], "refused, or listed: {registered:?}");
}
