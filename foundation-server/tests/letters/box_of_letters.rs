//! What becomes a letter, and what an operator can do with it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use foundation_context::{fields, with};
use foundation_registry::{Cause, Exit};
use foundation_server::{DeadLetters, Fate, Pending, Reason, TakeError, WhenFull};
use foundation_sync::{Full, Mutex, Queue, SECOND};
use foundation_testkit::TestUniverse;

use crate::{Crash, Hold, Note, held, office, start};

fn adds_up(letters: &DeadLetters) {
    let counts = letters.counts();
    let gone = counts.delivered + counts.taken + counts.purged + counts.overflowed;
    assert_eq!(counts.added, gone + counts.waiting, "{counts:?}");
}

#[test]
fn messages_that_wait_for_a_server_that_ends_for_good_are_dead_letters_with_all_that_is_known() {
    let t = TestUniverse::with_virtual_time();
    t.clock().advance(SECOND);
    let held = held(&t, "clerk", 8, WhenFull::Wait);
    with(fields! { order: 17_u64 }, || held.clerk.cast(Note(1)).expect("there is room"));
    held.clerk.cast(Note(2)).expect("there is room");
    held.tree.stop(t.patience()).expect("it stops");
    let letters = DeadLetters::of(&t);
    let found = t.wait_for(|| Some(letters.list(10)).filter(|found| found.len() == 2));
    let first = &found[0];
    assert_eq!((first.number, &*first.recipient, first.attempts), (1, "clerk", 0));
    assert!(first.message.ends_with("Note"), "{first}");
    assert_eq!(first.reason, Reason::NotRunning { exit: Some(Exit::Shutdown(Cause::Requested)) });
    assert_eq!((first.first_failure, first.last_failure), (1_000_000_000, 1_000_000_000));
    assert_eq!(first.next_attempt, None, "nobody has said that it is to be tried again");
    assert_eq!((&first.context, found[1].context.is_empty()), (&fields! { order: 17_u64 }, true));
    assert_eq!(held.clerk.status().buried, 2);
    assert!(held.noted().is_empty());
    assert_eq!(
        first.to_string(),
        format!(
            "dead letter 1, a {} to `clerk`: its server was not running: the last life ended, {}",
            first.message,
            Exit::Shutdown(Cause::Requested)
        )
    );
    adds_up(&letters);
}

#[test]
fn messages_that_are_not_to_wait_for_the_next_life_are_dead_letters_and_can_be_sent_to_it() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let _tree = start(&t, office.spec.pending(Pending::DeadLetter));
    let go = Queue::bounded(1, Full::Refuse);
    office.clerk.cast(Hold(go.clone())).expect("it runs");
    t.wait_for(|| office.clerk.status().handled == 1);
    office.clerk.cast(Crash).expect("there is room");
    (1..=3).for_each(|number| office.clerk.cast(Note(number)).expect("there is room"));
    go.try_send(()).expect("it waits");
    let letters = DeadLetters::of(&t);
    t.wait_for(|| letters.counts().added == 3);
    assert!(
        letters
            .list(10)
            .iter()
            .all(|letter| matches!(letter.reason, Reason::NotRunning { exit: Some(Exit::Panicked(_)) }))
    );
    t.wait_for(|| matches!(office.clerk.status().doing, foundation_server::Doing::Idle(life) if life.generation == 2));
    let retried = letters.retry(|letter| letter.number != 2);
    assert_eq!((retried.delivered, retried.failed), (vec![1, 3], vec![]));
    t.wait_for(|| *office.notes.lock() == [1, 3]);
    assert_eq!(letters.list(10).iter().map(|letter| letter.number).collect::<Vec<_>>(), [2]);
    adds_up(&letters);
}

#[test]
fn a_message_that_has_cost_too_many_lives_is_a_dead_letter_and_is_not_tried_by_itself() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(crate::retries::each_second(5)));
    let _tree = start(&t, office.spec.quarantine_after(2));
    office.clerk.cast_again(Crash).expect("it runs");
    let letter = t.wait_for(|| letters.list(1).pop());
    assert!(matches!(letter.reason, Reason::Quarantined { lives: 2, exit: Exit::Panicked(_) }), "{letter}");
    assert_eq!(letter.next_attempt, None);
    // An operator may: it costs one more life, and comes back.
    t.wait_for(|| letters.retry(|_| true).delivered == [1]);
    let letter = t.wait_for(|| letters.list(1).pop());
    assert!(matches!(letter.reason, Reason::Quarantined { lives: 3, .. }), "{letter}");
    assert_eq!((letter.number, letter.attempts), (2, 1));
    adds_up(&letters);
}

/// What was sent to it, by its own figures.
fn sent(status: &foundation_server::Status) -> u64 {
    status.handled + status.buried + status.refused + status.returned + status.waiting as u64
        - status.again
        - status.redelivered
}

#[test]
fn a_letter_that_is_delivered_again_and_comes_back_is_one_message_of_its_server() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    letters.add(&office.clerk, Note(1), "too early");
    assert_eq!((sent(&office.clerk.status()), office.clerk.status().buried), (1, 1));
    let _tree = start(&t, office.spec.quarantine_after(1));
    office.clerk.cast_again(Crash).expect("it runs");
    for number in 2..5 {
        t.wait_for(|| letters.find(1, |letter| letter.number == number).pop());
        t.wait_for(|| letters.retry(|letter| letter.number == number).delivered == [number]);
    }
    t.wait_for(|| letters.find(1, |letter| letter.number == 5).pop());
    assert_eq!(letters.retry(|letter| letter.number == 1).delivered, [1]);
    t.wait_for(|| *office.notes.lock() == [1]);
    let status = office.clerk.status();
    assert_eq!((sent(&status), status.buried, status.redelivered), (2, 5, 4), "{status:?}");
}

#[test]
fn a_letter_that_was_quarantined_and_comes_back_unbegun_is_not_tried_by_itself() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(crate::retries::each_second(5)));
    let _tree = start(&t, office.spec.pending(Pending::DeadLetter).quarantine_after(1));
    office.clerk.cast_again(Crash).expect("it runs");
    t.wait_for(|| letters.list(1).pop());
    let go = Queue::bounded(1, Full::Refuse);
    t.wait_for(|| office.clerk.cast(Hold(go.clone())).is_ok());
    t.wait_for(|| matches!(office.clerk.status().doing, foundation_server::Doing::Busy { .. }));
    // Before it there is another one that kills.
    office.clerk.cast(Crash).expect("there is room");
    assert_eq!(letters.retry(|_| true).delivered, [1]);
    go.try_send(()).expect("it waits");
    let letter = t.wait_for(|| letters.list(1).pop());
    assert!(matches!(letter.reason, Reason::NotRunning { exit: Some(Exit::Panicked(_)) }), "{letter}");
    assert_eq!((letter.attempts, letter.next_attempt), (1, None));
    adds_up(&letters);
}

#[test]
fn what_comes_while_the_box_is_looked_through_is_not_looked_at() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    letters.add(&office.clerk, Note(0), "so");
    let mut seen = 0;
    let found = letters.find(usize::MAX, |letter| {
        seen += 1;
        if letter.number < 1000 {
            letters.add(&office.clerk, Note(seen), "so");
        }
        true
    });
    assert_eq!((found.len(), seen, letters.counts().waiting), (1, 1, 2));
}

#[test]
fn a_letter_whose_clone_panics_while_it_is_taken_stays_in_the_box() {
    let t = TestUniverse::with_virtual_time();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(crate::retries::each_second(1)));
    let fails = Arc::new(Mutex::new(true));
    let tree = start(&t, office.spec);
    let go = Queue::<()>::bounded(1, Full::Refuse);
    office.clerk.cast(Hold(go)).expect("it runs");
    t.wait_for(|| matches!(office.clerk.status().doing, foundation_server::Doing::Busy { .. }));
    office.clerk.cast_again(Fragile(Arc::clone(&fails))).expect("there is room");
    tree.terminate_child("clerk", t.patience()).expect("it stops");
    let before = t.wait_for(|| letters.list(1).pop());
    assert!(before.next_attempt.is_some(), "{before}");
    let takes = letters.clone();
    assert!(
        t.spawn("takes", move || catch_unwind(AssertUnwindSafe(|| takes.take::<Fragile>(1).is_ok())).is_err()).join()
    );
    assert_eq!(letters.list(1), [before], "it is as it was");
    assert_eq!((letters.counts().taken, letters.counts().failed_attempts), (0, 0));
    t.clock().advance(SECOND);
    assert_eq!(letters.list(1)[0].attempts, 1, "it is due as it was");
    *fails.lock() = false;
    assert!(letters.take::<Fragile>(1).is_ok());
    assert_eq!((letters.counts().taken, letters.counts().waiting), (1, 0));
    adds_up(&letters);
}

/// Can't be cloned for a while.
#[derive(Debug)]
struct Fragile(Arc<Mutex<bool>>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        let fails = *self.0.lock();
        if fails {
            // Without the panic hook, which would print.
            resume_unwind(Box::new("it can't be cloned"));
        }
        Self(Arc::clone(&self.0))
    }
}

impl foundation_server::Handle<Fragile> for crate::Clerk {
    type Reply = ();
    fn handle(&mut self, _: Fragile, _: &mut foundation_server::Turn<Self>) {}
}

#[test]
fn a_call_that_nobody_answers_comes_back_and_is_no_letter() {
    let t = TestUniverse::new();
    let held = held(&t, "clerk", 8, WhenFull::Wait);
    let clerk = held.clerk.clone();
    let until = t.patience();
    let asks =
        t.spawn("asks", move || clerk.call(Note(1), until).map_err(|error| error.into_message().map(|note| note.0)));
    t.wait_for(|| held.clerk.status().waiting == 1);
    held.tree.stop(t.patience()).expect("it stops");
    assert_eq!(asks.join(), Err(Some(1)));
    assert_eq!(DeadLetters::of(&t).counts().added, 0);
}

/// The original dropped its dead letters when its services were not started.
#[test]
fn a_letter_needs_no_service_and_no_thread() {
    let t = TestUniverse::new().unheard();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    let number = letters.add(&office.clerk, Note(7), "the clerk is on holiday");
    assert_eq!(number, 1);
    assert!(t.threads().is_empty());
    assert_eq!(letters.list(1)[0].reason, Reason::Undeliverable { what: "the clerk is on holiday".into() });
    let tried = letters.retry(|_| true);
    assert_eq!(tried.failed, [(1, Reason::NotRunning { exit: None })]);
    let letter = letters.list(1).pop().expect("it stays");
    assert_eq!((letter.attempts, letter.reason), (1, Reason::NotRunning { exit: None }));
    assert!(t.threads().is_empty());
    adds_up(&letters);
}

/// With the original more than 49 letters took longer than the call that retried them.
#[test]
fn many_letters_are_sent_again_in_no_time_and_each_once() {
    let t = TestUniverse::with_virtual_time();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    (0..1000).for_each(|number| _ = letters.add(&office.clerk, Note(number), "too early"));
    let _tree = start(&t, office.spec);
    let now = t.clock().now();
    let retried = letters.retry(|_| true);
    assert_eq!((retried.delivered.len(), retried.failed.len()), (1000, 0));
    assert!(letters.retry(|_| true).delivered.is_empty(), "they were delivered");
    t.wait_for(|| office.notes.lock().len() == 1000);
    assert_eq!(*office.notes.lock(), (0..1000).collect::<Vec<_>>());
    assert_eq!(t.clock().now(), now);
    assert_eq!((letters.counts().delivered, letters.counts().waiting), (1000, 0));
}

#[test]
fn a_letter_to_a_full_mailbox_stays_and_says_so() {
    let t = TestUniverse::new();
    let held = held(&t, "clerk", 2, WhenFull::Wait);
    held.fill();
    let letters = DeadLetters::of(&t);
    letters.add(&held.clerk, Note(1), "so");
    assert_eq!(letters.retry(|_| true).failed, [(1, Reason::Full { capacity: 2 })]);
    assert_eq!(held.clerk.status().refused, 0, "it was refused once, when it became a letter");
    adds_up(&letters);
}

/// Tells which thread drops it.
struct Told(Queue<String>);

impl Drop for Told {
    fn drop(&mut self) {
        _ = self.0.try_send(crate::thread_name());
    }
}

impl foundation_server::Handle<Told> for crate::Clerk {
    type Reply = ();
    fn handle(&mut self, _: Told, _: &mut foundation_server::Turn<Self>) {}
}

#[test]
fn the_oldest_makes_room_is_counted_and_is_dropped_by_the_courier() {
    let t = TestUniverse::new();
    let office = office("clerk");
    let letters = DeadLetters::of(&t);
    assert_eq!(letters.capacity(), 10_000);
    letters.set_capacity(2).expect("nothing was said yet");
    assert_eq!(letters.set_capacity(3), Err(2));
    let dropped = Queue::bounded(8, Full::Refuse);
    let told = || Told(dropped.clone());
    let numbers = [1, 2, 3, 4].map(|_| letters.add(&office.clerk, told(), "so"));
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(letters.list(10).iter().map(|letter| letter.number).collect::<Vec<_>>(), [3, 4]);
    assert_eq!((letters.counts().overflowed, letters.counts().waiting), (2, 2));
    for _ in 0..2 {
        let by = dropped.recv(t.patience()).expect("it is dropped");
        assert!(by.starts_with("courier") || by.starts_with("services/courier"), "{by}");
    }
    adds_up(&letters);
}

#[test]
fn letters_are_found_purged_and_taken_by_their_type() {
    let t = TestUniverse::new();
    let (first, second) = (office("first"), office("second"));
    let letters = DeadLetters::of(&t);
    (0..600).for_each(|number| _ = letters.add(&first.clerk, Note(number), "so"));
    let crash = letters.add(&second.clerk, Crash, "so");
    assert_eq!(letters.find(10, |letter| &*letter.recipient == "second")[0].number, crash);
    assert_eq!(
        letters.find(3, |letter| letter.number > 300).iter().map(|it| it.number).collect::<Vec<_>>(),
        [301, 302, 303]
    );
    assert!(matches!(letters.take::<Note>(crash), Err(TakeError::OtherType(is)) if is.ends_with("Crash")));
    assert_eq!(letters.take::<Note>(5).map(|note| note.0), Ok(4));
    assert_eq!(letters.take::<Note>(5).map(|note| note.0), Err(TakeError::NoSuchLetter(5)));
    assert_eq!(letters.purge(|letter| &*letter.recipient == "first"), 599);
    let counts = letters.counts();
    assert_eq!((counts.added, counts.taken, counts.purged, counts.waiting), (601, 1, 599, 1));
    adds_up(&letters);
}

#[test]
fn letters_outlive_their_universe_as_long_as_somebody_has_a_handle() {
    let foundation = foundation_supervisor::Foundation::builder().start();
    let letters = DeadLetters::of(&foundation);
    let office = office("clerk");
    let probe = Arc::new(());
    struct Keeps(#[expect(dead_code, reason = "it is held")] Arc<()>);
    impl foundation_server::Handle<Keeps> for crate::Clerk {
        type Reply = ();
        fn handle(&mut self, _: Keeps, _: &mut foundation_server::Turn<Self>) {}
    }
    crate::of(office.spec).start(&foundation, foundation.within(foundation_testkit::patience())).expect("it starts");
    letters.add(&office.clerk, Keeps(Arc::clone(&probe)), "so");
    assert!(foundation.stop(foundation_testkit::patience()).is_clean());
    assert_eq!(letters.retry(|_| true).failed.len(), 1, "nobody is there");
    assert_eq!(Arc::strong_count(&probe), 2);
    drop((letters, office.clerk));
    assert_eq!(Arc::strong_count(&probe), 1, "letters keep their universe, which keeps them");
    let fate: Fate<()> = Fate::Buried(1);
    assert_eq!(fate.to_string(), "it is dead letter 1");
}
