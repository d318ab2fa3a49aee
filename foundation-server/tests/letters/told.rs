//! What is told of letters: the sink, and events.

use std::panic::resume_unwind;

use foundation_context::Value;
use foundation_server::{
    DEAD_LETTER_ADDED, DEAD_LETTER_DELIVERED, DEAD_LETTER_OVERFLOWED, DEAD_LETTER_PURGED, DeadLetters,
};
use foundation_supervisor::{Foundation, System};
use foundation_sync::{Deadline, Full, Queue, SECOND, VirtualTime};
use foundation_telemetry::Event;
use foundation_testkit::{TestUniverse, join, patience, spawn, wait_for};

use crate::{Note, office, start};

#[test]
fn the_sink_gets_each_letter_in_order_from_the_courier_and_its_panics_are_counted() {
    let t = TestUniverse::new();
    let letters = DeadLetters::of(&t);
    let office = office("clerk");
    letters.add(&office.clerk, Note(0), "before there is a sink");
    let seen = Queue::bounded(64, Full::Refuse);
    let sees = seen.clone();
    letters.set_sink(move |letter| {
        sees.try_send((letter.number, crate::thread_name())).expect("there is room");
        if letter.number % 4 == 0 {
            // Without the panic hook, which would print.
            resume_unwind(Box::new("the sink"));
        }
    });
    (1..20).for_each(|number| _ = letters.add(&office.clerk, Note(number), "so"));
    for number in 2..=20 {
        let (seen, by) = seen.recv(t.patience()).expect("each comes");
        assert_eq!(seen, number);
        assert!(by.contains("courier"), "{by}");
    }
    t.wait_for(|| letters.counts().sink_panics == 5);
    assert_eq!((letters.counts().unsunk, letters.counts().waiting), (0, 20));
}

fn count(event: &Event) -> u64 {
    event.measurements.get("count").and_then(Value::as_u64).expect("it has a count")
}

#[test]
fn events_come_once_per_window_and_their_counts_add_up() {
    let t = TestUniverse::with_virtual_time().unheard();
    let letters = DeadLetters::of(&t);
    letters.set_capacity(70).expect("nothing was said");
    let names = [DEAD_LETTER_ADDED, DEAD_LETTER_DELIVERED, DEAD_LETTER_OVERFLOWED, DEAD_LETTER_PURGED];
    let office = office("clerk");
    letters.add(&office.clerk, Note(0), "before anybody listens");
    let told = t.capture_telemetry(names);
    letters.add(&office.clerk, Note(1), "so");
    t.clock().advance(SECOND / 4);
    (2..=100).for_each(|number| _ = letters.add(&office.clerk, Note(number), "so"));
    t.clock().advance(SECOND / 4);
    let of = |name| told.events().into_iter().filter(|event| event.name == name).collect::<Vec<_>>();
    assert_eq!(of(DEAD_LETTER_ADDED).len(), 1, "its window has not ended");
    t.clock().advance(SECOND / 2);
    let added = of(DEAD_LETTER_ADDED);
    assert_eq!(added.iter().map(count).collect::<Vec<_>>(), [1, 99]);
    let last = &added.last().expect("one came").metadata;
    assert_eq!(last.get("recipient").and_then(Value::as_str), Some("clerk"));
    assert_eq!(last.get("reason").and_then(Value::as_str), Some("so"));
    // The first of them may have been told while others came: their window ends later.
    t.clock().advance(SECOND);
    assert_eq!(of(DEAD_LETTER_OVERFLOWED).iter().map(count).sum::<u64>(), 31);
    let _tree = start(&t, office.spec);
    assert_eq!(letters.retry(|letter| letter.number <= 80).delivered.len(), 49);
    assert_eq!(letters.purge(|_| true), 21);
    t.clock().advance(SECOND);
    assert_eq!(of(DEAD_LETTER_DELIVERED).iter().map(count).sum::<u64>(), 49);
    assert_eq!(of(DEAD_LETTER_PURGED).iter().map(count).sum::<u64>(), 21);
    let before = told.events().len();
    t.clock().advance(10 * SECOND);
    assert_eq!(told.events().len(), before, "there is nothing more to tell");
}

/// The courier is at something until this hears of it, and as much waits for it as there is room for.
fn without_room(system: &System) -> Queue<()> {
    let (holds, go) = (Queue::bounded(1, Full::Refuse), Queue::<()>::bounded(1, Full::Refuse));
    let (its, held) = (go.clone(), holds.clone());
    system.put_off(Box::new(move || {
        held.try_send(()).expect("there is room");
        _ = its.recv(Deadline::never());
    }));
    holds.recv(system.within(patience())).expect("the courier is held up");
    while system.try_put_off(Box::new(|| {})).is_ok() {}
    go
}

#[test]
fn what_the_courier_has_no_room_for_is_told_later() {
    let t = TestUniverse::with_virtual_time();
    let (letters, office) = (DeadLetters::of(&t), office("clerk"));
    let seen = Queue::bounded(8, Full::Refuse);
    let sees = seen.clone();
    letters.set_sink(move |letter| sees.try_send(letter.number).expect("there is room"));
    let go = without_room(&t);
    letters.add(&office.clerk, Note(1), "so");
    go.try_send(()).expect("it waits");
    t.clock().advance(SECOND);
    assert_eq!(seen.recv(t.patience()), Ok(1));
    assert_eq!((letters.counts().unsunk, t.lost()), (0, 0));
}

#[test]
fn letters_that_come_after_the_couriers_end_are_counted_as_missed_by_the_sink() {
    let foundation = Foundation::builder().start();
    let (letters, office) = (DeadLetters::of(&foundation), office("clerk"));
    letters.set_sink(|_| {});
    letters.add(&office.clerk, Note(1), "so");
    assert!(foundation.stop(patience()).is_clean());
    assert_eq!(letters.counts().unsunk, 0);
    (2..5).for_each(|number| _ = letters.add(&office.clerk, Note(number), "after the end"));
    assert_eq!(letters.counts().unsunk, 3);
}

#[test]
fn letters_for_which_the_courier_had_no_room_to_the_end_are_counted_as_missed_by_the_sink() {
    let foundation = Foundation::builder().start();
    let (system, office) = (foundation.system().clone(), office("clerk"));
    let letters = DeadLetters::of(&system);
    letters.set_sink(|_| {});
    let go = without_room(&system);
    (0..3).for_each(|number| _ = letters.add(&office.clerk, Note(number), "so"));
    assert_eq!((letters.counts().unsunk, letters.counts().for_sink), (0, 3));
    let stops = spawn(move || assert!(foundation.stop(patience()).is_clean()));
    // The postman was needed for another attempt; now there is nobody who asks the courier again.
    wait_for(|| !system.threads().iter().any(|thread| thread.name.contains("postman")));
    go.try_send(()).expect("it waits");
    join(stops);
    assert_eq!((letters.counts().unsunk, letters.counts().for_sink), (3, 0));
}

#[test]
fn the_postman_asks_the_courier_once_more_when_everything_ends() {
    let time = VirtualTime::new().patience(patience());
    let _here = time.enter("the test");
    let foundation = Foundation::builder().clock(&time.clock()).start();
    let (system, office) = (foundation.system().clone(), office("clerk"));
    let letters = DeadLetters::of(&system);
    let seen = Queue::bounded(8, Full::Refuse);
    let sees = seen.clone();
    letters.set_sink(move |letter| sees.try_send(letter.number).expect("there is room"));
    let go = without_room(&system);
    letters.add(&office.clerk, Note(1), "so");
    wait_for(|| system.threads().iter().any(|thread| thread.name.contains("postman")));
    go.try_send(()).expect("it waits");
    // There is room, and it is long until it would be asked again.
    wait_for(|| system.try_put_off(Box::new(|| {})).is_ok());
    assert!(foundation.stop(patience()).is_clean());
    assert_eq!((seen.try_recv(), letters.counts().unsunk), (Ok(1), 0));
}

#[test]
fn what_waits_for_the_sink_and_what_is_with_it_is_counted() {
    let foundation = Foundation::builder().start();
    let (letters, office) = (DeadLetters::of(&foundation), office("clerk"));
    let (begins, go) = (Queue::bounded(8, Full::Refuse), Queue::<()>::bounded(1, Full::Refuse));
    let (held, its) = (begins.clone(), go.clone());
    letters.set_sink(move |letter| {
        held.try_send(letter.number).expect("there is room");
        _ = its.recv(Deadline::never());
    });
    (0..3).for_each(|number| _ = letters.add(&office.clerk, Note(number), "so"));
    begins.recv(Deadline::never()).expect("the sink is held up");
    let of = |letters: &DeadLetters| (letters.counts().for_sink, letters.counts().unsunk, letters.counts().sink_panics);
    assert_eq!(of(&letters), (3, 0, 0));
    go.close();
    assert!(foundation.stop(patience()).is_clean());
    assert_eq!((begins.len(), of(&letters)), (2, (0, 0, 0)));
}

#[test]
fn a_sink_with_much_to_do_lets_the_courier_do_other_things() {
    let t = TestUniverse::new();
    let (letters, office) = (DeadLetters::of(&t), office("clerk"));
    let (begins, go) = (Queue::bounded(1, Full::Refuse), Queue::<()>::bounded(1, Full::Refuse));
    let seen = std::sync::Arc::new(foundation_sync::Mutex::new(0));
    let (held, its, counts) = (begins.clone(), go.clone(), std::sync::Arc::clone(&seen));
    letters.set_sink(move |letter| {
        if letter.number == 1 {
            held.try_send(()).expect("there is room");
            _ = its.recv(foundation_sync::Deadline::never());
        }
        *counts.lock() += 1;
    });
    letters.add(&office.clerk, Note(1), "so");
    begins.recv(t.patience()).expect("the sink is held up");
    (2..=1000).for_each(|number| _ = letters.add(&office.clerk, Note(number), "so"));
    let (between, counts) = (Queue::bounded(1, Full::Refuse), std::sync::Arc::clone(&seen));
    let tells = between.clone();
    t.put_off(Box::new(move || tells.try_send(*counts.lock()).expect("there is room")));
    go.try_send(()).expect("it waits");
    assert_eq!(between.recv(t.patience()), Ok(64));
    t.wait_for(|| *seen.lock() == 1000);
}
