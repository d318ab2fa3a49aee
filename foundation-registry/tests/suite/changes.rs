//! Who hears of changes: listeners, and those who watch a name.

use foundation_context::{Fields, fields};
use foundation_registry::{Exit, Listener, Removal, Watch, What};
use foundation_sync::{Deadline, RecvError, SECONDS_5, Stop, TryRecvError};
use foundation_testkit::{join, spawn};

use crate::common::{Way, who};

suite! {
    a_listener_hears_every_change_in_order,
    a_listener_hears_why_an_entry_is_no_more,
    what_a_listener_has_no_room_for_is_counted,
    a_listener_hears_what_happens_while_it_listens,
    a_listener_waits_until_a_deadline_or_a_stop,
    news_holds_the_entry_as_it_was,
    a_watch_returns_each_differing_state_once,
    a_watch_does_not_return_what_it_began_with,
    a_watch_is_about_one_name_and_waits_until_a_deadline_or_a_stop,
    many_watch_one_name,
}

/// What was heard: what happened, to which key, with which value.
fn heard(listener: &Listener<u32>) -> Vec<(What, String, u32)> {
    std::iter::from_fn(|| listener.try_recv().ok())
        .map(|change| (change.what, change.entry.name().to_owned(), *change.entry.value()))
        .collect()
}

const REGISTERED: What = What::Registered;
const UPDATED: What = What::Updated;
const UNREGISTERED: What = What::Unregistered(Removal::Unregistered);
const OWNER_ENDED: What = What::Unregistered(Removal::OwnerEnded);
const OWNER_ABANDONED: What = What::Unregistered(Removal::OwnerAbandoned);

#[track_caller]
fn check(listener: &Listener<u32>, expected: &[(What, &str, u32)]) {
    let expected: Vec<_> = expected.iter().map(|(what, key, value)| (*what, (*key).to_owned(), *value)).collect();
    assert_eq!(heard(listener), expected);
    assert_eq!(listener.lost(), 0);
}

fn a_listener_hears_every_change_in_order(way: Way) {
    let r = way.built(|builder| builder.index("zone"));
    let owner = r.begin(1);
    let listener = r.listen(100);
    let name = r.register("n", &owner, 1, fields! { zone: "north" }).expect("it is free");
    let member = r.joined("g", &owner, 2);
    check(&listener, &[(REGISTERED, "n", 1), (REGISTERED, "g", 2)]);
    r.middle();
    assert!(r.register("n", &owner, 9, Fields::new()).is_err() && r.update_value("x", &owner, |_| 9).is_err());
    check(&listener, &[]);
    drop(r.update_value("n", &owner, |_| 3));
    drop(r.update_metadata("n", &owner, |_| fields! { zone: "south" }));
    check(&listener, &[(UPDATED, "n", 3), (UPDATED, "n", 3)]);
    drop(name);
    drop(member);
    check(&listener, &[(UNREGISTERED, "n", 3), (UNREGISTERED, "g", 2)]);
    r.named("n", &owner, 4).keep();
    r.joined("g", &owner, 5).keep();
    assert!(r.unregister("n", who(1)).is_some());
    assert_eq!(r.leave_if("g", &owner, |_| true), 1);
    check(&listener, &[(REGISTERED, "n", 4), (REGISTERED, "g", 5), (UNREGISTERED, "n", 4), (UNREGISTERED, "g", 5)]);
}

/// Elixir's listeners hear nothing of a death.
fn a_listener_hears_why_an_entry_is_no_more(way: Way) {
    let r = way.registry();
    let [gives_up, ends, fails, abandoned] = [1, 2, 3, 4].map(|id| r.begin(id));
    let listener = r.listen(100);
    for (value, owner) in [&gives_up, &ends, &fails, &abandoned].into_iter().enumerate() {
        r.named(&format!("n{value}"), owner, value as u32).keep();
        r.joined("g", owner, value as u32).keep();
    }
    assert_eq!(heard(&listener).len(), 8);
    r.middle();
    for owner in [&gives_up, &ends] {
        drop(r.update_value(&format!("n{}", owner.incarnation().id - 1), owner, |entry| entry.value() + 10));
    }
    check(&listener, &[(UPDATED, "n0", 10), (UPDATED, "n1", 11)]);
    assert!(r.unregister("n0", who(1)).is_some());
    drop(ends.end(Exit::Normal));
    drop(fails.end(Exit::Failed("x".into())));
    drop(abandoned.end(Exit::Abandoned { waited: SECONDS_5 }));
    let mut expected = [
        (UNREGISTERED, "n0", 10),
        (OWNER_ENDED, "n1", 11),
        (OWNER_ENDED, "g", 1),
        (OWNER_ENDED, "n2", 2),
        (OWNER_ENDED, "g", 2),
        (OWNER_ABANDONED, "n3", 3),
        (OWNER_ABANDONED, "g", 3),
    ]
    .map(|(what, key, value)| (format!("{what:?}"), key.to_owned(), value));
    // What one owner held leaves in no order.
    let mut said: Vec<_> =
        heard(&listener).into_iter().map(|(what, key, value)| (format!("{what:?}"), key, value)).collect();
    said.sort();
    expected.sort();
    assert_eq!(said, expected);
    drop(gives_up.end(Exit::Normal));
    check(&listener, &[(OWNER_ENDED, "g", 0)]);
}

fn what_a_listener_has_no_room_for_is_counted(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let (small, large) = (r.listen(2), r.listen(100));
    assert_eq!(small.lost(), 0);
    for value in 0..3 {
        drop(r.named("n", &owner, value));
    }
    r.middle();
    assert_eq!((small.lost(), large.lost()), (4, 0), "each for itself");
    assert_eq!(format!("{small:?}, {large:?}"), "Listener(2 waiting, 4 lost), Listener(6 waiting, 0 lost)");
    assert_eq!(heard(&small), [(REGISTERED, "n".into(), 0), (UNREGISTERED, "n".into(), 0)], "the oldest are kept");
    r.named("n", &owner, 3).keep();
    assert_eq!((heard(&small), small.lost()), (vec![(REGISTERED, "n".into(), 3)], 4));
    assert_eq!(heard(&large).len(), 7);
    let least = r.listen(0);
    r.joined("g", &owner, 4).keep();
    r.joined("g", &owner, 5).keep();
    assert_eq!((heard(&least), least.lost()), (vec![(REGISTERED, "g".into(), 4)], 1), "0 counts as 1");
}

fn a_listener_hears_what_happens_while_it_listens(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    r.named("before", &owner, 1).keep();
    let first = r.listen(100);
    r.named("n", &owner, 2).keep();
    let second = r.listen(100);
    r.middle();
    check(&first, &[(REGISTERED, "n", 2)]);
    drop(first);
    r.named("m", &owner, 3).keep();
    check(&second, &[(REGISTERED, "m", 3)]);
    let third = r.listen(100);
    drop(second);
    assert!(r.unregister("before", who(1)).is_some(), "it is heard by who came later");
    check(&third, &[(UNREGISTERED, "before", 1)]);
}

fn a_listener_waits_until_a_deadline_or_a_stop(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let (listener, stop) = (r.listen(1), Stop::new());
    assert_eq!(listener.recv(Deadline::now()).map(|change| change.what), Err(RecvError::TimedOut));
    assert_eq!(listener.try_recv().map(|change| change.what), Err(TryRecvError::Empty));
    stop.tell();
    assert_eq!(listener.recv(&stop).map(|change| change.what), Err(RecvError::Stopped));
    r.middle();
    let (registry, same) = (foundation_registry::Registry::clone(&r), owner.clone());
    let registers = spawn(move || registry.register("n", &same, 7, Fields::new()).expect("it is free").keep());
    let change = listener.recv(Deadline::never()).expect("it is registered");
    assert_eq!((change.what, *change.entry.value()), (REGISTERED, 7));
    assert_eq!(format!("{change:?}, {:?}", change.clone()), "Registered n: w (1#1), Registered n: w (1#1)");
    join(registers);
}

fn news_holds_the_entry_as_it_was(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let listener = r.listen(100);
    let registration = r.register("n", &owner, 1, fields! { zone: "north" }).expect("it is free");
    drop(r.update_metadata("n", &owner, |_| fields! { zone: "south" }));
    r.middle();
    drop(registration);
    let changes: Vec<_> = std::iter::from_fn(|| listener.try_recv().ok()).collect();
    let zones: Vec<_> = changes.iter().filter_map(|change| change.entry.metadata().get("zone")).collect();
    assert_eq!(zones, [&"north".into(), &"south".into(), &"south".into()]);
    assert!(changes.iter().all(|change| change.entry.owner() == owner.owner() && !change.entry.is_current()));
}

/// What a watch sees, without waiting.
fn sees(watch: &mut Watch<u32>) -> Option<Option<u32>> {
    watch.try_next().map(|now| now.map(|entry| *entry.value()))
}

fn a_watch_returns_each_differing_state_once(way: Way) {
    let r = way.registry();
    let (owner, successor) = (r.begin(1), r.begin(2));
    let mut watch = r.watch("n");
    assert_eq!((watch.name(), format!("{watch:?}")), ("n", "Watch(n)".to_owned()));
    assert_eq!(sees(&mut watch), None);
    r.named("n", &owner, 1).keep();
    assert_eq!((sees(&mut watch), sees(&mut watch)), (Some(Some(1)), None));
    drop(r.update_value("n", &owner, |_| 2));
    assert_eq!((sees(&mut watch), sees(&mut watch)), (Some(Some(2)), None));
    drop(r.update_metadata("n", &owner, |_| fields! { zone: "north" }));
    assert_eq!((sees(&mut watch), sees(&mut watch)), (Some(Some(2)), None), "what is said of it is another thing");
    r.middle();
    drop(owner.end(Exit::Normal));
    assert_eq!((sees(&mut watch), sees(&mut watch)), (Some(None), None));
    r.named("n", &successor, 3).keep();
    for value in 4..9 {
        drop(r.update_value("n", &successor, |_| value));
    }
    assert_eq!((sees(&mut watch), sees(&mut watch)), (Some(Some(8)), None), "what came in between is not seen");
    assert!(r.unregister("n", who(2)).is_some());
    drop(r.named("n", &successor, 9));
    assert_eq!((sees(&mut watch), sees(&mut watch)), (Some(None), None));
    drop(r.named("n", &successor, 10));
    assert_eq!(sees(&mut watch), None, "nothing is there, as before");
    r.named("n", &successor, 11).keep();
    let again = r.unregister("n", who(2)).map(|gone| *gone.value());
    r.named("n", &successor, 11).keep();
    assert_eq!((again, sees(&mut watch), sees(&mut watch)), (Some(11), Some(Some(11)), None), "another registration");
}

fn a_watch_does_not_return_what_it_began_with(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let registration = r.named("n", &owner, 1);
    let mut watch = r.watch("n");
    r.middle();
    assert_eq!(watch.next(Deadline::now()).map(drop), Err(RecvError::TimedOut));
    drop(registration);
    assert_eq!(
        watch.next(Deadline::now()).map(|now| now.is_none()),
        Ok(true),
        "it has come: the deadline does not matter"
    );
    assert_eq!(watch.next(Deadline::now()).map(drop), Err(RecvError::TimedOut));
}

fn a_watch_is_about_one_name_and_waits_until_a_deadline_or_a_stop(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let (mut watch, stop) = (r.watch("n"), Stop::new());
    r.named("m", &owner, 1).keep();
    r.joined("n", &owner, 2).keep();
    r.middle();
    assert_eq!(watch.next(Deadline::now()).map(drop), Err(RecvError::TimedOut), "other keys, and groups");
    stop.tell();
    assert_eq!(watch.next(&stop).map(drop), Err(RecvError::Stopped));
    let registration = r.named("n", &owner, 3);
    assert_eq!(watch.next(Deadline::never()).map(|now| now.map(|entry| *entry.value())), Ok(Some(3)));
    let ends = spawn(move || drop(registration));
    assert_eq!(watch.next(Deadline::never()).map(|now| now.is_none()), Ok(true));
    join(ends);
}

fn many_watch_one_name(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let mut watches: Vec<_> = (0..10).map(|_| r.watch("n")).collect();
    r.middle();
    let registration = r.named("n", &owner, 1);
    watches.truncate(5);
    for watch in &mut watches {
        assert_eq!(watch.next(Deadline::never()).map(|now| now.is_some()), Ok(true));
    }
    watches.extend((0..5).map(|_| r.watch("n")));
    drop(registration);
    for watch in &mut watches {
        assert_eq!(watch.next(Deadline::never()).map(|now| now.is_none()), Ok(true));
    }
}

/// In legacy mode: what is hidden from the thread that watches is nothing to it.
#[cfg(feature = "legacy")]
#[test]
fn a_watch_sees_what_its_thread_finds() {
    let r = Way::Legacy.registry();
    let owner = r.begin(1);
    let mut watch = r.watch("n");
    let (registry, same) = (foundation_registry::Registry::clone(&r), owner.clone());
    join(spawn(move || registry.register("n", &same, 1, Fields::new()).expect("it is free").keep()));
    assert_eq!((sees(&mut watch), watch.next(Deadline::now()).map(drop)), (None, Err(RecvError::TimedOut)));
    r.switch().push(r.switch().epoch().flipped());
    assert_eq!(sees(&mut watch), Some(Some(1)), "a turn shows it");
    drop(owner.end(Exit::Normal));
    assert_eq!(sees(&mut watch), Some(None));
}

/// In legacy mode: who waits hears of a turn that shows another thread's entry.
#[cfg(feature = "legacy")]
#[test]
fn what_a_turn_shows_is_seen_by_a_watch_when_it_looks_next() {
    let r = Way::Legacy.registry();
    let owner = r.begin(1);
    r.named("n", &owner, 1).keep();
    let registry = foundation_registry::Registry::clone(&r);
    join(spawn(move || {
        let mut watch = registry.watch("n");
        assert!(watch.try_next().is_none(), "it is another thread's");
        registry.switch().push(registry.switch().epoch().flipped());
        assert_eq!(watch.try_next().flatten().map(|entry| *entry.value()), Some(1));
    }));
}
