//! What a wait for a fact promises, on real threads.

use std::time::Duration;

use foundation_sync::{Activity, Clock, Deadline};

#[test]
fn a_wait_ends_also_when_the_look_itself_moves_the_counter() {
    let (activity, until) = (Activity::default(), Clock::system().within(Duration::from_millis(5)));
    let found = activity.wait_for(&until, || {
        activity.bump();
        None::<()>
    });
    assert!(found.is_none() && until.passed());
}

#[test]
fn a_deadline_that_has_passed_looks_once() {
    let mut looks = 0;
    let found = Activity::default().wait_for(&Deadline::now(), || {
        looks += 1;
        None::<()>
    });
    assert_eq!((found, looks), (None, 1));
}

#[test]
fn there_is_one_look_after_the_deadline() {
    let until = Clock::system().within(Duration::from_millis(1));
    assert_eq!(Activity::default().wait_for(&until, || until.passed().then_some("late")), Some("late"));
}
