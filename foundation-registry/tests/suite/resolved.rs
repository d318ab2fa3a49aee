//! Names that are looked up over and over.

use foundation_context::{Incarnation, fields};
use foundation_registry::{Exit, Name};

use crate::common::{Way, who};

suite! {
    a_resolved_name_is_the_same_entry_while_nothing_changes,
    a_resolved_name_follows_updates_and_successors,
    a_resolved_name_finds_nothing_and_then_something,
    a_clone_of_a_resolved_name_resolves_for_itself,
}

fn got(name: &mut Name<u32>) -> Option<u32> {
    name.get().map(|entry| *entry.value())
}

fn a_resolved_name_is_the_same_entry_while_nothing_changes(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    r.named("n", &owner, 1).keep();
    let mut name = r.name("n");
    assert_eq!((name.as_str(), format!("{name:?}")), ("n", "Name(n)".to_owned()));
    let first = name.get().map(|entry| std::ptr::from_ref(entry.value()));
    r.named("m", &owner, 2).keep();
    r.middle();
    assert_eq!(name.get().map(|entry| std::ptr::from_ref(entry.value())), first);
    assert_eq!(r.lookup("n").map(|entry| std::ptr::from_ref(entry.value())), first);
}

fn a_resolved_name_follows_updates_and_successors(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let mut name = r.name("n");
    let registration = r.named("n", &owner, 1);
    assert_eq!(got(&mut name), Some(1));
    drop(r.update_value("n", &owner, |_| 2));
    assert_eq!(got(&mut name), Some(2));
    r.middle();
    drop(r.update_metadata("n", &owner, |_| fields! { zone: "north" }));
    assert_eq!(name.get().map(|entry| entry.metadata().clone()), Some(fields! { zone: "north" }));
    drop(registration);
    assert_eq!((got(&mut name), got(&mut name)), (None, None));
    r.named("n", &owner, 3).keep();
    assert_eq!(got(&mut name), Some(3));
    drop(owner.end(Exit::Normal));
    assert_eq!(got(&mut name), None, "never the dead");
    let successor = r.owners.begin(Incarnation { id: 1, generation: 2 }, "w");
    r.named("n", &successor, 4).keep();
    assert_eq!(name.get().map(|entry| (*entry.value(), entry.incarnation().generation)), Some((4, 2)));
    assert!(r.unregister("n", who(1)).is_none() && got(&mut name).is_some());
    let stranger = r.begin(9);
    drop(successor.end(Exit::Normal));
    r.named("n", &stranger, 5).keep();
    assert_eq!(got(&mut name), Some(5));
}

fn a_resolved_name_finds_nothing_and_then_something(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let mut name = r.name("n");
    assert!(name.get().is_none() && name.get().is_none());
    r.joined("n", &owner, 1).keep();
    assert!(name.get().is_none(), "a group is no name");
    r.middle();
    for value in 2..5 {
        let registration = r.named("n", &owner, value);
        assert_eq!(got(&mut name), Some(value));
        drop(registration);
        assert_eq!(got(&mut name), None);
    }
}

fn a_clone_of_a_resolved_name_resolves_for_itself(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    r.named("n", &owner, 1).keep();
    let mut name = r.name("n");
    assert_eq!(got(&mut name), Some(1));
    let mut same = name.clone();
    r.middle();
    drop(r.update_value("n", &owner, |_| 2));
    assert_eq!((got(&mut same), got(&mut name)), (Some(2), Some(2)));
    assert!(r.unregister("n", who(1)).is_some());
    assert_eq!((got(&mut name), got(&mut same), got(&mut same.clone())), (None, None, None));
}

/// In legacy mode: a resolved name that is given to another thread finds what that thread finds.
#[cfg(feature = "legacy")]
#[test]
fn a_resolved_name_finds_what_its_thread_finds() {
    let r = Way::Legacy.registry();
    let owner = r.begin(1);
    r.named("n", &owner, 1).keep();
    let mut name = r.name("n");
    assert_eq!(got(&mut name), Some(1));
    let turn = r.switch().clone();
    foundation_testkit::join(foundation_testkit::spawn(move || {
        assert_eq!(got(&mut name), None, "it is another thread's");
        turn.push(turn.epoch().flipped());
        assert_eq!(got(&mut name), Some(1));
    }));
}

/// The same where that thread has the name for itself.
#[cfg(feature = "legacy")]
#[test]
fn a_resolved_name_finds_what_its_thread_has_kept_aside() {
    let r = Way::Legacy.registry();
    let (owner, other) = (r.begin(1), r.begin(2));
    r.named("n", &owner, 1).keep();
    let mut name = r.name("n");
    assert_eq!(got(&mut name), Some(1));
    let registry = foundation_registry::Registry::clone(&r);
    foundation_testkit::join(foundation_testkit::spawn(move || {
        registry.register("n", &other, 2, foundation_context::Fields::new()).expect("it is free to it").keep();
        assert_eq!(got(&mut name), Some(2));
        assert_eq!(got(&mut name.clone()), Some(2));
        registry.switch().push(registry.switch().epoch().flipped());
        assert_eq!(registry.lookup("n").map(|entry| *entry.value()), Some(2));
    }));
    // Resolved where it is everybody's, and given to the thread that has its own.
    let r = Way::Legacy.registry();
    let (owner, other) = (r.begin(3), r.begin(4));
    r.named("n", &owner, 3).keep();
    let registry = foundation_registry::Registry::clone(&r);
    let (names, given) = (
        foundation_sync::Queue::bounded(1, foundation_sync::Full::Refuse),
        foundation_sync::Queue::<()>::bounded(1, foundation_sync::Full::Refuse),
    );
    let (taken, says) = (names.clone(), given.clone());
    let beside = foundation_testkit::spawn(move || {
        registry.register("n", &other, 4, foundation_context::Fields::new()).expect("it is free to it").keep();
        says.try_send(()).expect("there is room");
        let mut name: Name<u32> = taken.recv(foundation_sync::Deadline::never()).expect("it is given");
        assert_eq!(registry.lookup("n").map(|entry| *entry.value()), Some(4));
        assert_eq!(got(&mut name), Some(4), "as a lookup");
    });
    given.recv(foundation_sync::Deadline::never()).expect("it says so");
    r.switch().push(r.switch().epoch().flipped());
    let mut name = r.name("n");
    assert_eq!(got(&mut name), Some(3));
    names.try_send(name).expect("there is room");
    foundation_testkit::join(beside);
}
