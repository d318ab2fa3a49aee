//! Supervised sends.

use std::time::Duration;

use foundation_context::{fields, with};
use foundation_server::{DeadLetters, Delivery, Fate, Pending, Reason, SEND_FAILED, WhenFull};
use foundation_supervisor::Backoff;
use foundation_sync::{Deadline, MINUTE, SECOND, Stop};
use foundation_testkit::TestUniverse;

use crate::{Crash, Note, held, office, start};

const MILLI: Duration = Duration::from_millis(1);

/// With the original each success took 100 milliseconds.
#[test]
fn what_is_delivered_takes_no_time() {
    let t = TestUniverse::with_virtual_time();
    let office = office("clerk");
    let _tree = start(&t, office.spec.mailbox(1000, WhenFull::Refuse));
    let delivery = Delivery::of(&t).again(Backoff::constant(SECOND), 10).bury();
    let now = t.clock().now();
    (0..1000).for_each(|number| office.clerk.send(Note(number), &delivery, t.within(MINUTE)).expect("there is room"));
    assert_eq!(t.clock().now(), now);
    t.wait_for(|| office.notes.lock().len() == 1000);
    assert_eq!(DeadLetters::of(&t).counts().added, 0);
}

#[test]
fn a_sender_waits_for_room_until_its_deadline() {
    let t = TestUniverse::with_auto_time();
    let held = held(&t, "clerk", 1, WhenFull::Wait);
    held.fill();
    let before = t.clock().now();
    let failed = held.clerk.send(Note(1), &Delivery::of(&t), t.within(SECOND)).expect_err("it is full");
    assert_eq!((failed.reason.clone(), failed.attempts, failed.waited), (Reason::Full { capacity: 1 }, 1, SECOND));
    assert_eq!(t.clock().now() - before, 1_000_000_000);
    assert_eq!(failed.into_message().map(|note| note.0), Some(1));
    assert_eq!(held.clerk.status().refused, 1);
    let (clerk, delivery, until) = (held.clerk.clone(), Delivery::of(&t), t.within(MINUTE));
    let sends = t.spawn("sends", move || clerk.send(Note(2), &delivery, until).is_ok());
    held.go.try_send(()).expect("it waits");
    assert!(sends.join());
    t.wait_for(|| held.noted() == [1000, 2]);
}

#[test]
fn a_sender_tries_again_until_somebody_serves() {
    let t = TestUniverse::with_virtual_time();
    let office = office("clerk");
    let (clerk, until) = (office.clerk.clone(), t.within(MINUTE));
    let delivery = Delivery::of(&t).again(Backoff::exponential(SECOND, MINUTE).jitter(0), 10);
    let sends =
        t.spawn("sends", move || with(fields! { order: 1_u64 }, || clerk.send(Note(1), &delivery, until).is_ok()));
    // It tries after 1, 3 and 7 seconds.
    t.clock().advance(6 * SECOND);
    let _tree = start(&t, office.spec);
    t.clock().advance(SECOND - MILLI);
    assert!(office.notes.lock().is_empty());
    t.clock().advance(MILLI);
    assert!(sends.join());
    assert_eq!(*office.notes.lock(), [1]);
}

#[test]
fn the_last_attempt_is_at_the_deadline() {
    let t = TestUniverse::with_auto_time();
    let office = office("clerk");
    let delivery = Delivery::of(&t).again(Backoff::constant(2 * SECOND).jitter(0), 10);
    let failed = office.clerk.send(Note(1), &delivery, t.within(5 * SECOND)).expect_err("nobody serves");
    // At 0, 2, 4 and 5 seconds.
    assert_eq!((failed.attempts, failed.waited), (4, 5 * SECOND));
    assert_eq!(failed.reason, Reason::NotRunning { exit: None });
    let failed =
        office.clerk.send(Note(1), &delivery.clone().again(Backoff::constant(SECOND).jitter(0), 2), t.within(MINUTE));
    let failed = failed.expect_err("nobody serves");
    assert_eq!((failed.attempts, failed.waited), (3, 2 * SECOND));
}

#[test]
fn a_sender_whose_backoff_is_nothing_rests_between_two_attempts_all_the_same() {
    let t = TestUniverse::with_auto_time();
    let office = office("clerk");
    let delivery = Delivery::of(&t).again(Backoff::constant(Duration::ZERO), u32::MAX);
    let failed = office.clerk.send(Note(1), &delivery, t.within(10 * MILLI)).expect_err("nobody serves");
    assert_eq!((failed.attempts, failed.waited), (11, 10 * MILLI));
}

#[test]
fn a_sender_that_is_told_to_stop_stops() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let stop = Stop::new();
    let delivery = Delivery::of(&t).again(Backoff::constant(60 * MINUTE), 10);
    let (clerk, told) = (office.clerk.clone(), stop.clone());
    let sends = t.spawn("sends", move || {
        clerk.send(Note(1), &delivery, &told).map_err(|failed| (failed.attempts, failed.reason))
    });
    stop.tell();
    // It was told to while it rested; that is not why its attempt has failed.
    assert_eq!(sends.join(), Err((1, Reason::NotRunning { exit: None })));
}

#[test]
fn between_two_lives_the_mailbox_that_keeps_messages_accepts_them_and_one_that_does_not_refuses() {
    for (pending, accepts) in [(Pending::Wait, true), (Pending::DeadLetter, false)] {
        let t = TestUniverse::with_virtual_time();
        let office = office("clerk");
        let spec = office.spec.pending(pending).child().backoff(Backoff::constant(MINUTE).jitter(0));
        let _tree = start(&t, spec);
        office.clerk.cast(Crash).expect("it runs");
        t.wait_for(|| matches!(office.clerk.status().doing, foundation_server::Doing::Vacant { .. }));
        let sent = office.clerk.send(Note(1), &Delivery::of(&t), Deadline::now());
        assert_eq!(sent.is_ok(), accepts, "{pending:?}: {sent:?}");
        t.clock().advance(MINUTE);
        assert_eq!(*office.notes.lock(), if accepts { vec![1] } else { vec![] });
    }
}

#[test]
fn what_fails_comes_back_is_logged_is_dropped_or_becomes_a_letter() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    let logged = t.capture_telemetry(SEND_FAILED);
    let of = || Delivery::of(&t);
    let fate = |delivery: Delivery| {
        let failed = with(fields! { order: 9_u64 }, || office.clerk.send(Note(1), &delivery, Deadline::now()));
        let failed = failed.expect_err("nobody serves");
        assert_eq!((&*failed.server, &failed.reason), ("clerk", &Reason::NotRunning { exit: None }));
        match failed.fate {
            Fate::Returned(Note(number)) => format!("returned {number}"),
            other => other.to_string(),
        }
    };
    assert_eq!(fate(of()), "returned 1");
    assert_eq!((logged.events().len(), office.clerk.status().refused), (0, 1));
    assert_eq!(fate(of().log()), "it was logged and dropped");
    let [event] = &logged.events()[..] else { panic!("one is told: {:?}", logged.events()) };
    assert_eq!(event.metadata.get("recipient").and_then(foundation_context::Value::as_str), Some("clerk"));
    assert_eq!(fate(of().ignore()), "it was dropped");
    assert_eq!((office.clerk.status().refused, letters.counts().added), (3, 0));
    assert_eq!(fate(of().bury()), "it is dead letter 1");
    assert_eq!((office.clerk.status().refused, office.clerk.status().buried), (3, 1));
    let letter = letters.list(1).pop().expect("it is there");
    assert_eq!((letter.reason, letter.context), (Reason::NotRunning { exit: None }, fields! { order: 9_u64 }));
}
