//! The turnstile on real threads.

use foundation_sync::{Deadline, Stop};
use foundation_testkit::{join, spawn, wait_for};
use turnstile::{EnterError, Turnstile};

#[test]
fn who_waits_enters_when_somebody_leaves() {
    let turnstile = Turnstile::new(1);
    let inside = turnstile.enter(Deadline::now()).expect("it is free");
    let same = turnstile.clone();
    let waits = spawn(move || drop(same.enter(Deadline::never()).expect("somebody leaves")));
    wait_for(|| turnstile.waiting() == 1);
    drop(inside);
    join(waits);
    assert_eq!(turnstile.free(), 1);
}

#[test]
fn a_stop_ends_the_wait_and_leaves_no_trace() {
    let (turnstile, stop) = (Turnstile::new(0), Stop::new());
    let (same, told) = (turnstile.clone(), stop.clone());
    let waits = spawn(move || assert_eq!(same.enter(&told).unwrap_err(), EnterError::Stopped));
    wait_for(|| turnstile.waiting() == 1);
    stop.tell();
    join(waits);
    assert_eq!((turnstile.free(), turnstile.waiting()), (0, 0));
}

#[test]
fn a_deadline_that_has_passed_does_not_wait() {
    assert_eq!(Turnstile::new(0).enter(Deadline::now()).unwrap_err(), EnterError::TimedOut);
}
