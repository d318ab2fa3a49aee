//! One message to many servers.

use foundation_server::{BroadcastError, Delivered, Missed, Quorum, Reason, Recipient, WhenFull, broadcast};
use foundation_sync::{Deadline, MINUTE, SECOND};
use foundation_testkit::TestUniverse;

use crate::{Held, Note, held, office};

fn three(t: &TestUniverse, full: WhenFull) -> [Held; 3] {
    ["a", "b", "c"].map(|name| held(t, name, 1, full))
}

fn everyone(held: &[Held]) -> Vec<Recipient<Note>> {
    held.iter().map(|held| held.clerk.recipient()).collect()
}

fn waiting(held: &[Held]) -> Vec<usize> {
    held.iter().map(|held| held.clerk.status().waiting).collect()
}

fn outcome(delivered: &Delivered) -> String {
    let sign = |(name, result): &(std::sync::Arc<str>, Result<(), Missed>)| match result {
        Ok(()) => format!("{name}+"),
        Err(Missed::Withheld) => format!("{name}="),
        Err(Missed::Refused(Reason::Full { .. })) => format!("{name}!"),
        Err(_) => format!("{name}-"),
    };
    delivered.results.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// The original's delivered to some of all or nothing.
#[test]
fn each_quorum_is_met_or_nobody_gets_the_message() {
    for (quorum, met, results) in [
        (Quorum::BestEffort, true, "a+ b! c+ never-"),
        (Quorum::AtLeast(2), true, "a+ b! c+ never-"),
        (Quorum::AtLeast(3), false, "a= b! c= never-"),
        (Quorum::Majority, false, "a= b! c= never-"),
        (Quorum::All, false, "a= b! c= never-"),
    ] {
        for full in [WhenFull::Refuse, WhenFull::Wait] {
            let t = TestUniverse::new();
            let (held, never) = (three(&t, full), office("never"));
            held[1].fill();
            let mut recipients = everyone(&held);
            recipients.push(never.clerk.recipient());
            let sent = broadcast(&recipients, Note(7), quorum, Deadline::now());
            let delivered = match &sent {
                Ok(delivered) => delivered,
                Err(BroadcastError { delivered, message: Note(7), .. }) => delivered,
                Err(other) => panic!("another message comes back: {other}"),
            };
            assert_eq!((sent.is_ok(), outcome(delivered).as_str()), (met, results), "{quorum:?}, {full:?}");
            let places = if met { [1, 1, 1] } else { [0, 1, 0] };
            assert_eq!((waiting(&held), delivered.accepted), (places.to_vec(), if met { 2 } else { 0 }));
            // What was reserved was given up.
            if !met {
                held[0].clerk.cast(Note(1)).expect("there is room");
            }
        }
    }
}

#[test]
fn a_server_that_is_there_twice_gets_the_message_once() {
    let t = TestUniverse::new();
    let held = three(&t, WhenFull::Refuse);
    let mut recipients = everyone(&held);
    recipients.extend(everyone(&held));
    let delivered = broadcast(&recipients, Note(7), Quorum::All, Deadline::now()).expect("there is room");
    assert_eq!(outcome(&delivered), "a+ b+ c+ a+ b+ c+");
    assert_eq!((delivered.accepted, delivered.needed), (3, 3));
    assert_eq!(waiting(&held), [1, 1, 1]);
}

#[test]
fn all_are_waited_for_until_the_deadline_and_nobody_gets_it_before() {
    let t = TestUniverse::with_virtual_time();
    let held = three(&t, WhenFull::Wait);
    held[0].fill();
    held[2].fill();
    let sends = |number: u32| {
        let (recipients, until) = (everyone(&held), t.within(SECOND));
        let sends = t.spawn("sends", move || broadcast(&recipients, Note(number), Quorum::All, until));
        t.clock().advance(SECOND / 2);
        sends
    };
    let in_vain = sends(7);
    // Who waits for the first holds no place in the second.
    held[1].clerk.cast(Note(1)).expect("there is room");
    t.clock().advance(SECOND);
    let failed = in_vain.join().expect_err("all are full");
    assert_eq!((outcome(&failed.delivered).as_str(), waiting(&held)), ("a! b! c!", vec![1, 1, 1]));
    let reaches = sends(8);
    held.iter().for_each(|held| held.go.try_send(()).expect("it waits"));
    // Who got a place in vain has rested.
    t.clock().advance(SECOND / 4);
    assert_eq!(reaches.join().expect("there is room").accepted, 3);
    let noted: [&[u32]; 3] = [&[1000, 8], &[1, 8], &[1000, 8]];
    for (held, noted) in held.iter().zip(noted) {
        t.wait_for(|| held.noted() == noted);
    }
}

#[test]
fn the_rest_is_waited_for_when_there_are_enough() {
    let t = TestUniverse::with_virtual_time();
    let held = three(&t, WhenFull::Wait);
    held[0].fill();
    held[1].fill();
    let (recipients, until) = (everyone(&held), t.within(SECOND));
    let sends = t.spawn("sends", move || broadcast(&recipients, Note(8), Quorum::AtLeast(1), until));
    t.clock().advance(SECOND / 2);
    assert_eq!(waiting(&held), [1, 1, 1], "who had a place has the message");
    // The first, which is waited for, stays full to the end; the second has room meanwhile.
    held[1].go.try_send(()).expect("it waits");
    t.clock().advance(SECOND);
    let delivered = sends.join().expect("one has it");
    assert_eq!((outcome(&delivered).as_str(), delivered.accepted), ("a! b+ c+", 2));
}

#[test]
fn nobody_is_waited_for_when_there_can_be_no_quorum() {
    let t = TestUniverse::with_virtual_time();
    let (held, never) = (three(&t, WhenFull::Wait), office("never"));
    held[0].fill();
    let mut recipients = everyone(&held);
    recipients.push(never.clerk.recipient());
    let failed = broadcast(&recipients, Note(7), Quorum::All, t.within(MINUTE)).expect_err("one never ran");
    assert_eq!(outcome(&failed.delivered), "a! b= c= never-");
    assert!(broadcast(&[], Note(7), Quorum::All, Deadline::now()).is_ok(), "all of nobody");
    assert!(broadcast(&[], Note(7), Quorum::AtLeast(1), Deadline::now()).is_err());
}

/// Its third copy can't be made.
struct Fragile(std::sync::Arc<foundation_sync::Mutex<u32>>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        let copies = {
            let mut copies = self.0.lock();
            *copies += 1;
            *copies
        };
        if copies == 3 {
            // Without the panic hook, which would print.
            std::panic::resume_unwind(Box::new("it can't be cloned"));
        }
        Self(std::sync::Arc::clone(&self.0))
    }
}

impl foundation_server::Handle<Fragile> for crate::Clerk {
    type Reply = ();
    fn handle(&mut self, _: Fragile, _: &mut foundation_server::Turn<Self>) {}
}

#[test]
fn a_clone_that_panics_for_one_that_is_full_panics_before_anybody_has_the_message() {
    let t = TestUniverse::new();
    let held = three(&t, WhenFull::Wait);
    held[2].fill();
    let recipients: Vec<Recipient<Fragile>> = held.iter().map(|held| held.clerk.recipient()).collect();
    let until = t.patience();
    let sends = t.spawn("sends", move || {
        let sent = || broadcast(&recipients, Fragile(Default::default()), Quorum::AtLeast(2), until).is_ok();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(sent)).is_err()
    });
    assert!(sends.join());
    assert_eq!(waiting(&held), [0, 0, 1]);
    held[0].clerk.cast(Note(1)).expect("its place was given up");
}

#[test]
fn one_that_hangs_does_not_hold_up_a_majority() {
    let t = TestUniverse::with_virtual_time();
    let held = three(&t, WhenFull::Wait);
    held.iter().for_each(Held::fill);
    let (recipients, until) = (everyone(&held), t.within(MINUTE));
    let before = t.clock().now();
    let sends = t.spawn("sends", move || broadcast(&recipients, Note(8), Quorum::Majority, until));
    t.clock().advance(SECOND);
    // The first one hangs.
    held[1..].iter().for_each(|held| held.go.try_send(()).expect("it waits"));
    for held in &held[1..] {
        t.wait_for(|| held.noted().first() == Some(&1000));
    }
    t.clock().advance(SECOND);
    for held in &held[1..] {
        t.wait_for(|| held.noted() == [1000, 8]);
    }
    assert!(t.clock().now() - before < 60_000_000_000, "the first one is still waited for");
    t.clock().advance(MINUTE);
    assert_eq!(outcome(&sends.join().expect("a majority has it")), "a! b+ c+");
}

/// Race "two all-or-nothing": each finds the place for which the other one waits.
#[test]
fn two_to_all_who_wait_for_each_others_places_both_reach_everyone() {
    let t = TestUniverse::with_auto_time();
    for round in 0..20 {
        let held = ["a", "b"].map(|name| held(&t, &format!("{name}{round}"), 1, WhenFull::Wait));
        held.iter().for_each(Held::fill);
        let (there, back) = (everyone(&held), everyone(&held).into_iter().rev().collect::<Vec<_>>());
        let sends = [(1, there), (2, back)].map(|(number, recipients)| {
            let until = t.within(MINUTE);
            t.spawn("sends", move || broadcast(&recipients, Note(number), Quorum::All, until).is_ok())
        });
        held.iter().for_each(|held| held.go.try_send(()).expect("it waits"));
        assert_eq!(sends.map(foundation_testkit::Beside::join), [true, true], "round {round}");
        for held in &held {
            t.wait_for(|| held.noted().len() == 3);
            let mut noted = held.noted();
            noted.sort_unstable();
            assert_eq!(noted, [1, 2, 1000], "round {round}");
        }
    }
}
