//! The same with each item.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foundation_registry::Exit;
use foundation_server::TaskError;
use foundation_supervisor::ChildError;
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::TestUniverse;

use super::tasks;

#[test]
fn results_come_in_the_order_of_the_items() {
    let t = TestUniverse::new();
    let results = tasks(&t, 4).map(0..100, 4, t.patience(), |number, _| number * 2);
    let results: Vec<_> = results.map(|result| result.expect("each returns")).collect();
    assert_eq!(results, (0..100).map(|number| number * 2).collect::<Vec<_>>());
}

#[test]
fn as_they_come_each_item_has_one_result() {
    let t = TestUniverse::new();
    let results = tasks(&t, 4).map(0..100, 4, t.patience(), |number, _| number).as_they_come();
    let mut results: Vec<_> = results.map(|result| result.expect("each returns")).collect();
    results.sort_unstable();
    assert_eq!(results, (0..100).collect::<Vec<_>>());
}

#[test]
fn as_they_come_who_is_done_waits_for_nobody() {
    let t = TestUniverse::new();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let held = gate.clone();
    let mut results = tasks(&t, 2)
        .map([true, false], 2, t.patience(), move |waits, _| {
            if waits {
                _ = held.recv(Deadline::never());
            }
            waits
        })
        .as_they_come();
    assert_eq!(results.next(), Some(Ok(false)));
    gate.close();
    assert_eq!((results.next(), results.next()), (Some(Ok(true)), None));
}

#[test]
fn no_more_run_at_once_than_are_asked_for() {
    let t = TestUniverse::new();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&running), Arc::clone(&most));
    let results = tasks(&t, 8).map(0..200, 3, t.patience(), move |_, _| {
        let now = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
        counts.1.fetch_max(now, Ordering::SeqCst);
        counts.0.fetch_sub(1, Ordering::SeqCst);
    });
    assert_eq!(results.as_they_come().count(), 200);
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?} at once");
}

#[test]
fn a_panic_and_an_item_without_a_task_are_results_like_others() {
    let t = TestUniverse::new();
    let tasks = tasks(&t, 2);
    let gate = super::gate();
    let taken = [super::waits(&t, &tasks, &gate), super::waits(&t, &tasks, &gate)];
    let results: Vec<_> = tasks.map(1..=3, 2, t.patience(), |number, _| number).collect();
    assert!(results.iter().all(|result| *result == Err(TaskError::NotStarted(ChildError::TooMany))), "{results:?}");
    drop(taken);
    t.wait_for(|| tasks.tree().children(t.patience()).expect("it answers").is_empty());
    let results = tasks.map(1..=3, 2, t.patience(), |number, _| {
        assert_ne!(number, 2, "two is too much");
        number
    });
    let results: Vec<_> = results.collect();
    assert!(matches!(&results[1], Err(TaskError::Exited(Exit::Panicked(_)))), "{results:?}");
    assert_eq!((&results[0], &results[2]), (&Ok(1), &Ok(3)));
}

#[test]
fn dropped_it_stops_what_still_runs_and_starts_nothing_more() {
    let t = TestUniverse::new();
    let tasks = tasks(&t, 2);
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let mut results = tasks
        .map(0..100, 2, t.patience(), move |number, life| {
            count.fetch_add(1, Ordering::SeqCst);
            if number > 0 {
                life.wait_until_told();
            }
        })
        .as_they_come();
    assert_eq!(results.next(), Some(Ok(())));
    drop(results);
    t.wait_for(|| tasks.tree().children(t.patience()).expect("it answers").is_empty());
    assert!(begun.load(Ordering::SeqCst) <= 3, "{begun:?} were begun");
}

#[test]
fn what_is_not_done_by_the_deadline_has_timed_out_one_by_one() {
    let t = TestUniverse::new();
    let results = tasks(&t, 2).map(0..2, 2, Deadline::now(), |_, life| life.wait_until_told());
    let results: Vec<_> = results.collect();
    assert!(results.iter().all(Result::is_err) && results.len() == 2, "{results:?}");
}
