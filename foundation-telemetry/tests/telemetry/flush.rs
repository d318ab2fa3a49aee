//! What queued handlers owe: a flush, a word about what is lost, delivery at the end.

use std::{sync::Arc, time::Duration};

use foundation_context::{Value, fields};
use foundation_supervisor::Foundation;
use foundation_sync::{
    Clock, Deadline, Errand, Errands, Full, MINUTE, Mutex, Queue, SECOND, SECONDS_5, VirtualTime,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use foundation_telemetry::{Batching, Event, EventName, FlushError, OVERFLOW, Sampling, Telemetry, event_name};
use foundation_testkit::{TestUniverse, join, spawn, wait_for};

const SOLD: EventName = event_name!("shop", "item", "sold");

type Count = Arc<AtomicU64>;

fn counting() -> (Count, impl Fn(&Event) + Send + Sync + 'static) {
    let count = Count::default();
    let counts = Arc::clone(&count);
    (count, move |_: &Event| _ = counts.fetch_add(1, Relaxed))
}

fn sell(telemetry: &Telemetry, times: usize) {
    (0..times).for_each(|_| telemetry.emit(SOLD, || (fields! {}, fields! {})));
}

fn patience() -> foundation_sync::Deadline {
    Clock::system().within(SECONDS_5)
}

/// A handler that says that it is entered, and stays inside until its gate is opened.
fn gated(telemetry: &Telemetry, capacity: usize) -> (Queue<()>, Queue<()>, Count) {
    let (entered, gate) = (Queue::bounded(1, Full::Refuse), Queue::<()>::bounded(1, Full::Refuse));
    let (says, waits) = (entered.clone(), gate.clone());
    let (count, counts) = counting();
    let handler = move |event: &Event| {
        _ = says.try_send(());
        _ = waits.recv(Clock::system().within(SECONDS_5));
        counts(event);
    };
    telemetry.attach_queued("gated", SOLD, capacity, handler).expect("the id is free");
    (entered, gate, count)
}

#[test]
fn a_flush_returns_when_what_was_queued_before_has_been_delivered() {
    let t = TestUniverse::new();
    let (count, handler) = counting();
    t.telemetry().attach_queued("a", SOLD, 1_000, handler).expect("the id is free");
    for round in 1..=20 {
        sell(t.telemetry(), 50);
        t.telemetry().flush(t.patience()).expect("it is delivered in time");
        assert_eq!(count.load(Relaxed), round * 50);
    }
    t.telemetry().detach("a").expect("it is attached");
}

#[test]
fn a_flush_does_not_wait_for_what_came_later_and_says_what_was_not_delivered() {
    let t = TestUniverse::new();
    let (entered, gate, count) = gated(t.telemetry(), 8);
    sell(t.telemetry(), 3);
    entered.recv(t.patience()).expect("the courier is in it");
    let missed = t.telemetry().flush(Clock::system().at(0)).expect_err("nothing is delivered yet");
    assert_eq!(missed, FlushError::Undelivered { left: vec![("gated".into(), 3)], lost: 0 });
    assert_eq!(missed.to_string(), "not delivered: 3 for `gated`; lost: 0");
    let telemetry = t.telemetry().clone();
    let flushes = spawn(move || {
        telemetry.flush(patience()).expect("it is delivered in time");
        assert!(count.load(Relaxed) >= 3);
    });
    gate.close();
    join(flushes);
    t.telemetry().detach("gated").expect("it is attached");
}

#[test]
fn a_queued_handler_that_flushes_is_told_at_once_that_it_can_t() {
    let t = TestUniverse::new();
    let (said, telemetry) = (Queue::bounded(1, Full::Refuse), t.telemetry().clone());
    let says = said.clone();
    let handler = move |_: &Event| _ = says.try_send(telemetry.flush(patience()));
    t.telemetry().attach_queued("a", SOLD, 1, handler).expect("the id is free");
    sell(t.telemetry(), 1);
    assert_eq!(said.recv(t.patience()), Ok(Err(FlushError::Inside)));
    t.telemetry().detach("a").expect("it is attached");
}

/// What is lost while it waits it says; what was lost before has been counted. The models have both.
#[test]
fn a_flush_ends_when_what_it_waits_for_is_lost() {
    let taken = Arc::new(Mutex::new(Vec::<Errand>::new()));
    let takes = Arc::clone(&taken);
    let errands = Errands::new(move |errand| {
        takes.lock().push(errand);
        Ok(())
    });
    let telemetry = Telemetry::builder().errands(&errands).build();
    let (count, handler) = counting();
    telemetry.attach_queued("a", SOLD, 8, handler).expect("the id is free");
    sell(&telemetry, 2);
    let other = telemetry.clone();
    let flushes = spawn(move || match other.flush(patience()) {
        Ok(()) => {}
        Err(missed) => assert_eq!(missed, FlushError::Undelivered { left: vec![], lost: 2 }),
    });
    let errand = taken.lock().remove(0);
    drop(errand);
    join(flushes);
    assert_eq!((count.load(Relaxed), telemetry.overflowed()), (0, 2));
}

#[test]
fn what_waited_for_a_handler_that_was_detached_is_counted_and_not_waited_for() {
    let t = TestUniverse::new();
    let (entered, gate, _) = gated(t.telemetry(), 8);
    sell(t.telemetry(), 3);
    entered.recv(t.patience()).expect("the courier is in it");
    t.telemetry().detach("gated").expect("it is attached");
    t.telemetry().flush(t.patience()).expect("nobody is waited for");
    gate.close();
    assert_eq!((t.telemetry().figures().undelivered, t.telemetry().overflowed()), (2, 0));
}

#[test]
fn that_events_were_lost_is_said_once_for_each_window() {
    let t = TestUniverse::with_virtual_time();
    let capture = t.capture_telemetry(OVERFLOW);
    let (entered, gate, _) = gated(t.telemetry(), 1);
    sell(t.telemetry(), 1);
    entered.recv(t.patience()).expect("the courier is in it");
    sell(t.telemetry(), 4);
    t.clock().advance(SECOND / 2);
    sell(t.telemetry(), 2);
    gate.close();
    t.telemetry().flush(t.patience()).expect("it is delivered in time");
    assert_eq!(capture.events().len(), 0, "the window is not over");
    t.clock().advance(SECOND);
    let told = t.wait_for(|| capture.events().pop());
    assert_eq!(
        (told.measurements, told.metadata),
        (fields! { count: 5_u64 }, fields! { handler_id: "gated".to_owned() })
    );
    t.clock().advance(Duration::from_secs(10));
    assert_eq!((capture.events().len(), t.telemetry().overflowed()), (1, 5));
    t.telemetry().detach("gated").expect("it is attached");
}

/// A handler that does not keep up with the word that it does not keep up is not told that without end.
#[test]
fn that_the_word_of_a_loss_was_lost_is_counted_and_not_said() {
    let time = VirtualTime::new();
    let taken = Arc::new(Mutex::new(Vec::<Errand>::new()));
    let takes = Arc::clone(&taken);
    let errands = Errands::new(move |errand| {
        takes.lock().push(errand);
        Ok(())
    });
    let telemetry = Telemetry::builder().errands(&errands).clock(&time.clock()).build();
    telemetry.attach_queued("a", [SOLD, OVERFLOW], 1, |_| {}).expect("the id is free");
    sell(&telemetry, 3);
    _ = telemetry.flush(Clock::system().at(0));
    _ = telemetry.flush(Clock::system().at(0));
    assert_eq!(telemetry.overflowed(), 3, "two events and the word");
    taken.lock().clear();
}

#[test]
fn where_nobody_keeps_time_a_loss_is_said_by_the_next_one_after_the_window_or_by_a_flush() {
    let time = VirtualTime::new();
    let refuses = Errands::new(Err);
    let telemetry = Telemetry::builder().errands(&refuses).clock(&time.clock()).build();
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let note = move |event: &Event| notes.lock().extend(event.measurements.get("count").and_then(Value::as_u64));
    telemetry.attach("told", OVERFLOW, note).expect("the id is free");
    telemetry.attach_queued("a", SOLD, 1, |_| {}).expect("the id is free");
    sell(&telemetry, 3);
    assert!(told.lock().is_empty());
    time.advance(SECOND).expect("nobody waits");
    sell(&telemetry, 1);
    assert_eq!(*told.lock(), [4]);
    sell(&telemetry, 2);
    _ = telemetry.flush(Clock::system().at(0));
    assert_eq!(*told.lock(), [4, 2]);
}

#[test]
fn what_waits_when_a_universe_stops_is_delivered() {
    let foundation = Foundation::builder().start();
    let (entered, gate, count) = gated(foundation.telemetry(), 1_000);
    sell(foundation.telemetry(), 500);
    entered.recv(patience()).expect("the courier is in it");
    let telemetry = foundation.telemetry().clone();
    let stops = spawn(move || assert!(foundation.stop(SECONDS_5).is_clean()));
    gate.close();
    join(stops);
    assert_eq!((count.load(Relaxed), telemetry.overflowed()), (500, 0));
    sell(&telemetry, 2);
    assert_eq!((count.load(Relaxed), telemetry.overflowed()), (500, 2), "nobody delivers it, and that is counted");
    telemetry.detach("gated").expect("it is attached");
}

#[test]
fn what_can_t_be_delivered_before_a_universes_stop_has_to_end_is_counted() {
    let foundation = Foundation::builder().start();
    let (entered, gate, count) = gated(foundation.telemetry(), 1_000);
    sell(foundation.telemetry(), 100);
    entered.recv(patience()).expect("the courier is in it");
    let telemetry = foundation.telemetry().clone();
    let report = foundation.stop(Duration::from_millis(1));
    assert!(!report.is_clean());
    gate.close();
    wait_for(|| count.load(Relaxed) + telemetry.overflowed() == 100);
    telemetry.detach("gated").expect("it is attached");
}

#[test]
fn what_is_kept_for_later_is_seen_to_when_a_universe_stops_and_queued_handlers_hear_of_it() {
    let foundation = Foundation::builder().start();
    let telemetry = foundation.telemetry().clone();
    let (count, handler) = counting();
    telemetry.attach_queued("hears", SOLD, 100, handler).expect("the id is free");
    let batched = Count::default();
    let takes = Arc::clone(&batched);
    let deliver = move |items: Vec<u64>| _ = takes.fetch_add(items.into_iter().sum(), Relaxed);
    let batch = telemetry.batch("orders", Batching::of(100), deliver);
    telemetry.sample(SOLD, Sampling::Reservoir { keep: 2, window: MINUTE }).expect("there is room");
    sell(&telemetry, 5);
    (1..=3).for_each(|item| batch.add(item).expect("there is room"));
    // So that there is a courier.
    telemetry.unsample(SOLD);
    telemetry.sample(SOLD, Sampling::Reservoir { keep: 2, window: MINUTE }).expect("there is room");
    wait_for(|| count.load(Relaxed) == 2);
    sell(&telemetry, 5);
    assert!(foundation.stop(SECONDS_5).is_clean());
    assert_eq!((batched.load(Relaxed), count.load(Relaxed), telemetry.overflowed()), (6, 4, 0));
    assert_eq!(telemetry.batches()[0].waiting, 0);
    telemetry.detach("hears").expect("it is attached");
}

#[test]
fn a_flush_delivers_batches_before_the_events_that_they_bring_about() {
    let t = TestUniverse::new();
    let (count, handler) = counting();
    t.telemetry().attach_queued("hears", SOLD, 100, handler).expect("the id is free");
    let telemetry = t.telemetry().clone();
    let batch = t.telemetry().batch("orders", Batching::of(100), move |items: Vec<u8>| sell(&telemetry, items.len()));
    (1..=3).for_each(|item| batch.add(item).expect("there is room"));
    t.telemetry().flush(t.patience()).expect("it is delivered in time");
    assert_eq!(count.load(Relaxed), 3);
    drop(batch);
    t.telemetry().detach("hears").expect("it is attached");
}

#[test]
fn who_runs_on_the_courier_is_told_at_once_that_a_flush_would_wait_for_it() {
    let t = TestUniverse::new();
    let said = Arc::new(Mutex::new(None));
    let (telemetry, notes) = (t.telemetry().clone(), Arc::clone(&said));
    // The supervisor's events are the courier's.
    let flushes = move |_: &Event| *notes.lock() = Some(telemetry.flush(Deadline::never()));
    t.telemetry().attach("flushes", foundation_supervisor::CRASHED, flushes).expect("the id is free");
    t.start_child("dies").crash();
    let said = t.wait_for(|| said.lock().clone().map(Some));
    assert_eq!(said, Some(Err(FlushError::Inside)));
    t.telemetry().detach("flushes").expect("it is attached");
}

#[test]
fn what_was_lost_before_a_universe_stops_is_said() {
    let foundation = Foundation::builder().start();
    let (entered, gate, count) = gated(foundation.telemetry(), 1);
    let lost = Count::default();
    let counts = Arc::clone(&lost);
    let adds = move |event: &Event| {
        let count = event.measurements.get("count").and_then(Value::as_u64).expect("it has one");
        counts.fetch_add(count, Relaxed);
    };
    foundation.telemetry().attach("told", OVERFLOW, adds).expect("the id is free");
    sell(foundation.telemetry(), 1);
    entered.recv(patience()).expect("the courier is in it");
    sell(foundation.telemetry(), 10);
    gate.close();
    assert!(foundation.stop(SECONDS_5).is_clean());
    assert_eq!((count.load(Relaxed), lost.load(Relaxed)), (2, 9));
}
