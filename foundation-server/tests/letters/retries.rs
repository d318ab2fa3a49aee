//! Letters that are tried again by themselves.

use std::time::Duration;

use foundation_server::{DeadLetters, Delivery, Reason, Retry};
use foundation_supervisor::{Backoff, ChildSpec, Foundation, OnNeed, Restart};
use foundation_sync::{Deadline, Full, MINUTE, Queue, SECOND};
use foundation_testkit::TestUniverse;

use crate::{Note, office, start};

pub(crate) fn each_second(most: u32) -> Retry {
    Retry::new(Backoff::constant(SECOND).jitter(0), most)
}

/// With the original the attempts went on past their limit.
#[test]
fn a_letter_is_tried_after_each_wait_and_so_often_at_most() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(Retry::new(Backoff::exponential(SECOND, MINUTE).jitter(0), 3)));
    let office = office("clerk");
    letters.add(&office.clerk, Note(1), "so");
    for (after, attempts, next) in [(1, 1, Some(3)), (2, 2, Some(7)), (4, 3, None), (3600, 3, None)] {
        t.clock().advance(Duration::from_secs(after));
        let letter = letters.list(1).pop().expect("it stays");
        assert_eq!(letter.attempts, attempts, "{after}");
        assert_eq!(letter.next_attempt.map(|at| at / 1_000_000_000), next);
        assert_eq!(letter.first_failure, 0);
    }
    assert_eq!(letters.counts().failed_attempts, 3);
    assert_eq!(t.threads().iter().filter(|thread| thread.name.contains("postman")).count(), 1);
}

#[test]
fn a_letter_is_delivered_once_when_its_server_has_come() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    let office = office("clerk");
    let delivery = Delivery::of(&t).bury_and_retry(each_second(10));
    office.clerk.send(Note(1), &delivery, Deadline::now()).expect_err("nobody serves");
    t.clock().advance(Duration::from_millis(2500));
    let _tree = start(&t, office.spec);
    t.clock().advance(Duration::from_millis(499));
    assert!(office.notes.lock().is_empty());
    t.clock().advance(Duration::from_millis(1));
    assert_eq!(*office.notes.lock(), [1]);
    t.clock().advance(MINUTE);
    assert_eq!(*office.notes.lock(), [1]);
    let counts = letters.counts();
    assert_eq!((counts.added, counts.delivered, counts.failed_attempts, counts.waiting), (1, 1, 2, 0));
}

#[test]
fn letters_that_come_later_and_are_due_earlier_are_tried_earlier() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    let office = office("clerk");
    let every = |wait| Delivery::of(&t).bury_and_retry(Retry::new(Backoff::constant(wait).jitter(0), 1));
    for (number, wait) in [(1, MINUTE), (2, 10 * SECOND), (3, SECOND)] {
        office.clerk.send(Note(number), &every(wait), Deadline::now()).expect_err("nobody serves");
    }
    let _tree = start(&t, office.spec);
    for (span, noted) in [(SECOND, &[3][..]), (9 * SECOND, &[3, 2]), (50 * SECOND, &[3, 2, 1])] {
        t.clock().advance(span);
        assert_eq!(*office.notes.lock(), noted);
    }
    assert_eq!(letters.counts().waiting, 0);
}

/// The original tried letters to processes that could never come back.
#[test]
fn a_letter_to_a_server_that_will_never_live_again_is_not_tried_by_itself() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(each_second(10)));
    let office = office("clerk");
    letters.add(&office.clerk, Note(1), "there is a spec still");
    drop(office.spec);
    letters.add(&office.clerk, Note(2), "there is none");
    assert_eq!(letters.list(2).iter().map(|letter| letter.next_attempt.is_some()).collect::<Vec<_>>(), [true, false]);
    t.clock().advance(MINUTE);
    assert_eq!(letters.list(2).iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [1, 0]);
    assert!(letters.list(2).iter().all(|letter| letter.next_attempt.is_none()));
}

#[test]
fn a_letter_that_was_delivered_and_comes_back_has_its_past_and_comes_to_its_end() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(each_second(3)));
    let held = crate::held(&t, "clerk", 8, foundation_server::WhenFull::Wait);
    letters.add(&held.clerk, Note(1), "so");
    t.clock().advance(SECOND);
    assert_eq!((letters.counts().delivered, held.clerk.status().waiting), (1, 1));
    t.clock().advance(SECOND);
    held.tree.stop(t.patience()).expect("it stops");
    // The courier drops the spec.
    t.clock().advance(Duration::ZERO);
    let letter = t.wait_for(|| letters.list(1).pop());
    assert_eq!((letter.number, letter.attempts, letter.first_failure), (2, 1, 0));
    assert_eq!(letter.last_failure, 2_000_000_000);
    assert!(matches!(letter.reason, Reason::NotRunning { exit: Some(_) }), "{letter}");
    letters.retry(|_| true).failed.first().expect("nobody serves");
    let letter = letters.list(1).pop().expect("it stays");
    assert_eq!((letter.attempts, letter.next_attempt), (2, None), "its tree has ended");
}

#[test]
fn a_universe_ends_with_letters_that_are_due() {
    let foundation = Foundation::builder().start();
    let letters = DeadLetters::of(&foundation);
    letters.set_retry(Some(Retry::new(Backoff::constant(MINUTE), 10)));
    let office = office("clerk");
    letters.add(&office.clerk, Note(1), "so");
    assert!(foundation.stop(foundation_testkit::patience()).is_clean());
    assert_eq!(letters.take::<Note>(1).map(|note| note.0), Ok(1));
    letters.add(&office.clerk, Note(2), "after the end");
    assert_eq!(letters.counts().waiting, 1);
}

#[test]
fn a_letter_is_tried_although_the_postman_could_not_be_started_for_the_one_before() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(each_second(1)));
    // Another service has his name.
    let waits = Queue::<()>::bounded(1, Full::Refuse);
    let its = waits.clone();
    OnNeed::new().need(&t, || {
        let body = move |life: &foundation_supervisor::Life| {
            _ = life.recv(&its, Deadline::never());
            Ok(())
        };
        ChildSpec::worker("postman", body).restart(Restart::Temporary)
    });
    let postmen = || t.threads().iter().filter(|thread| thread.name.contains("postman")).count();
    t.wait_for(|| postmen() == 1);
    let office = office("clerk");
    letters.add(&office.clerk, Note(1), "so");
    waits.try_send(()).expect("it waits");
    t.wait_for(|| postmen() == 0);
    t.clock().advance(SECOND);
    assert_eq!(letters.list(1)[0].attempts, 0, "there is no postman");
    letters.add(&office.clerk, Note(2), "so");
    t.clock().advance(2 * SECOND);
    assert_eq!(letters.list(2).iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_backoff_of_nothing_waits_for_a_millisecond_after_each_attempt() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(Retry::new(Backoff::constant(Duration::ZERO), 100)));
    // Without its spec nobody would be to come.
    let office = office("clerk");
    letters.add(&office.clerk, Note(1), "so");
    t.wait_for(|| letters.list(1)[0].attempts > 0);
    assert_eq!(letters.list(1)[0].next_attempt, Some(1_000_000));
    for attempts in 2..5 {
        t.clock().advance(Duration::from_millis(1));
        assert_eq!(letters.list(1)[0].attempts, attempts);
    }
}
