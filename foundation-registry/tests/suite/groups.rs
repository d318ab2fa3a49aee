//! Groups: many members under one key.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use foundation_context::{Fields, fields};
use foundation_registry::{Exit, RegisterError};

use crate::common::{Way, who};

suite! {
    members_are_listed_in_the_order_in_which_they_joined,
    one_owner_is_a_member_more_than_once_and_leaves_one_place_at_a_time,
    an_owner_leaves_the_places_for_which_a_condition_holds,
    who_ends_leaves_all_groups,
    the_dead_join_nothing,
    a_dispatch_calls_each_member_in_order_under_no_lock,
    a_panic_in_a_dispatch_goes_on_and_the_rest_are_not_called,
    groups_are_those_with_a_member,
    a_group_may_be_large,
}

fn members_are_listed_in_the_order_in_which_they_joined(way: Way) {
    let r = way.registry();
    let [one, two, three] = [1, 2, 3].map(|id| r.begin(id));
    assert_eq!((r.members("g").len(), r.count("g")), (0, 0));
    let _third = r.join("g", &three, 30, fields! { zone: "north" }).expect("there is room");
    let first = r.joined("g", &one, 10);
    r.middle();
    let _second = r.joined("g", &two, 20);
    r.joined("other", &two, 0).keep();
    assert_eq!((r.values("g"), r.count("g")), (vec![30, 10, 20], 3));
    let members = r.members("g");
    assert_eq!((members[0].name(), members[0].incarnation(), members[0].owner()), ("g", who(3), three.owner()));
    assert_eq!((members[0].metadata(), members[0].is_current()), (&fields! { zone: "north" }, true));
    drop(first);
    let _again = r.joined("g", &one, 11);
    assert_eq!(r.values("g"), [30, 20, 11], "who joins again is the last");
    assert!(!members[1].is_current() && members[0].is_current());
    assert!(r.lookup("g").is_none() && r.is_empty() && r.entries().is_empty(), "a member is no name");
}

fn one_owner_is_a_member_more_than_once_and_leaves_one_place_at_a_time(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    let [first, second, third] = [1, 2, 3].map(|value| r.joined("g", &owner, value));
    assert_eq!(owner.names(), 3);
    r.middle();
    drop(second);
    assert_eq!(r.values("g"), [1, 3]);
    drop(first);
    assert_eq!(r.values("g"), [3]);
    drop(third);
    assert_eq!((r.values("g"), r.count("g"), owner.names()), (vec![], 0, 0));
}

fn an_owner_leaves_the_places_for_which_a_condition_holds(way: Way) {
    let r = way.registry();
    let (owner, other) = (r.begin(1), r.begin(2));
    for value in 0..6 {
        r.joined("g", &owner, value).keep();
    }
    r.joined("g", &other, 10).keep();
    r.joined("h", &owner, 20).keep();
    r.middle();
    let left = r.leave_if("g", &owner, |entry| {
        assert_eq!(entry.owner(), owner.owner(), "others are not asked about");
        r.joined("h", &other, 30).keep();
        entry.value() % 2 == 0
    });
    assert_eq!((left, r.values("g"), r.count("h")), (3, vec![1, 3, 5, 10], 7));
    assert_eq!(r.leave_if("g", &owner, |_| false), 0);
    // It leaves by itself what it is asked about.
    assert_eq!(r.leave_if("g", &owner, |_| r.leave_if("g", &owner, |_| true) == 9), 0);
    assert_eq!(r.values("g"), [10]);
    assert_eq!((r.leave_if("g", &owner, |_| true), r.leave_if("nobody's", &owner, |_| true)), (0, 0));
    assert_eq!(owner.names(), 1);
}

fn who_ends_leaves_all_groups(way: Way) {
    let r = way.registry();
    let (owner, other) = (r.begin(1), r.begin(2));
    let kept = r.joined("g", &owner, 1);
    for group in ["g", "h", "h"] {
        r.joined(group, &owner, 2).keep();
    }
    r.joined("g", &other, 3).keep();
    r.middle();
    let members = r.members("h");
    drop(owner.end(Exit::Normal));
    assert_eq!((r.values("g"), r.count("g"), r.count("h"), r.groups()), (vec![3], 1, 0, vec![("g".into(), 1)]));
    assert!(members.iter().all(|entry| !entry.is_current()));
    r.joined("h", &other, 4).keep();
    drop(kept);
    assert_eq!((r.values("g"), r.values("h")), (vec![3], vec![4]));
}

fn the_dead_join_nothing(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    drop(owner.end(Exit::Normal));
    r.middle();
    assert_eq!(r.join("g", &owner, 1, Fields::new()).map(drop), Err(RegisterError::Fenced(who(1))));
    assert_eq!((r.members("g").len(), r.count("g"), r.groups(), owner.names()), (0, 0, vec![], 0));
}

fn a_dispatch_calls_each_member_in_order_under_no_lock(way: Way) {
    let r = way.registry();
    let [one, two] = [1, 2].map(|id| r.begin(id));
    assert_eq!(r.dispatch("g", |_| panic!("nobody is there")), 0);
    for (owner, value) in [(&two, 1), (&one, 2), (&two, 3)] {
        r.joined("g", owner, value).keep();
    }
    r.middle();
    let mut called = Vec::new();
    let members = r.dispatch("g", |entry| {
        called.push(*entry.value());
        // Who joins meanwhile is not called, and nobody waits.
        r.joined("g", &one, 10 + entry.value()).keep();
        assert_eq!(r.leave_if("g", &two, |entry| *entry.value() == 3), usize::from(called.len() == 1));
    });
    assert_eq!((members, called), (3, vec![1, 2, 3]), "as they were when it began");
    assert_eq!(r.values("g"), [1, 2, 11, 12, 13]);
}

fn a_panic_in_a_dispatch_goes_on_and_the_rest_are_not_called(way: Way) {
    let r = way.registry();
    let owner = r.begin(1);
    for value in 1..=3 {
        r.joined("g", &owner, value).keep();
    }
    r.middle();
    let mut called = Vec::new();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        r.dispatch("g", |entry| {
            called.push(*entry.value());
            if *entry.value() == 2 {
                resume_unwind(Box::new("two"));
            }
        })
    }));
    assert_eq!(panic.expect_err("it goes on").downcast_ref(), Some(&"two"));
    assert_eq!(called, [1, 2]);
    assert_eq!(r.dispatch("g", |_| {}), 3, "nothing is broken by it");
    // The same goes for the other closures that are passed in.
    r.named("n", &owner, 1).keep();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(r.update_value("n", &owner, |_| broken())))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(r.unregister_if("n", who(1), |_| broken())))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| r.leave_if("g", &owner, |_| broken()))).is_err());
    drop(r.update_value("n", &owner, |_| 5));
    assert_eq!((r.value("n"), r.count("g"), owner.names()), (Some(5), 3, 4));
}

fn broken<T>() -> T {
    resume_unwind(Box::new(()))
}

fn groups_are_those_with_a_member(way: Way) {
    let r = way.registry();
    let (owner, other) = (r.begin(1), r.begin(2));
    assert_eq!(r.groups(), []);
    let joined = ["c", "a", "b", "a"].map(|group| r.joined(group, &owner, 0));
    r.joined("a", &other, 0).keep();
    r.named("n", &owner, 0).keep();
    r.middle();
    assert_eq!(r.groups(), [("a", 3), ("b", 1), ("c", 1)].map(|(group, members)| (group.to_owned(), members)));
    drop(joined);
    assert_eq!(r.groups(), [("a".to_owned(), 1)]);
    drop(other.end(Exit::Normal));
    assert_eq!(r.groups(), []);
    drop([0; 3].map(|_| r.joined("a", &owner, 0)));
    assert_eq!((r.groups(), r.count("a")), (vec![], 0), "it comes and goes");
}

fn a_group_may_be_large(way: Way) {
    const MEMBERS: usize = 2_000;
    let r = way.registry();
    let (owner, other) = (r.begin(1), r.begin(2));
    for value in 0..MEMBERS {
        r.joined("g", if value % 2 == 0 { &owner } else { &other }, value).keep();
    }
    r.middle();
    assert_eq!(r.count("g"), MEMBERS);
    assert!(r.values("g").into_iter().eq(0..MEMBERS), "all, in order");
    drop(owner.end(Exit::Normal));
    assert!(r.values("g").into_iter().eq((0..MEMBERS).filter(|value| value % 2 == 1)));
    drop(other.end(Exit::Normal));
    assert_eq!((r.count("g"), r.groups(), r.values("g")), (0, vec![], vec![]));
}
