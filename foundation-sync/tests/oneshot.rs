//! A place for one value, and a queue that is reopened.
#![cfg(not(any(loom, shuttle)))]

use std::{sync::Arc, time::Duration};

use foundation_sync::{
    Clock, Deadline, Full, Looks, OneShot, Queue, RecvError, SECOND, SendError, Stop, TrySendError, VirtualTime, Wake,
    Whereabouts, thread,
};
use foundation_testkit::{join, patience, spawn, wait_for};

#[derive(Default)]
struct Question {
    answer: OneShot<u32>,
}

impl Wake for Question {
    fn wake(&self) {
        self.answer.wake();
    }
}

fn question() -> Arc<Question> {
    Arc::default()
}

/// Waits for the answer so long.
fn recv<'a>(question: &Arc<Question>, until: impl Into<foundation_sync::Until<'a>>) -> Result<u32, RecvError> {
    question.answer.recv(until, || Arc::clone(question))
}

#[test]
fn a_value_is_received_once() {
    let question = question();
    assert!(question.answer.is_open());
    assert_eq!(format!("{:?}", question.answer), "OneShot(empty)");
    assert_eq!(question.answer.put(1), Ok(()));
    assert!(!question.answer.is_open());
    assert_eq!(format!("{:?}", question.answer), "OneShot(full)");
    assert_eq!(question.answer.put(2), Err(2), "another one came first");
    assert_eq!(recv(&question, Deadline::never()), Ok(1));
    assert_eq!(format!("{:?}", question.answer), "OneShot(over)");
    assert_eq!(recv(&question, Deadline::never()), Err(RecvError::Closed));
    assert_eq!(question.answer.put(3), Err(3), "nobody waits any more");
}

#[test]
fn who_gives_up_has_what_was_there_and_nothing_comes_later() {
    let (there, empty) = (question(), question());
    there.answer.put(1).expect("it is empty");
    assert_eq!(there.answer.close(), Some(1));
    assert_eq!(empty.answer.close(), None);
    for question in [&there, &empty] {
        assert_eq!(question.answer.put(2), Err(2));
        assert_eq!(question.answer.close(), None);
        assert!(!question.answer.is_open());
    }
}

#[test]
fn what_is_there_is_received_whatever_the_wait_ends_with() {
    let (question, stop) = (question(), Stop::new());
    _ = stop.tell();
    assert_eq!(recv(&question, &stop), Err(RecvError::Stopped));
    assert_eq!(recv(&question, Deadline::now()), Err(RecvError::TimedOut));
    question.answer.put(1).expect("it is still open");
    assert_eq!(recv(&question, Deadline::now().or_stop(&stop)), Ok(1));
}

#[test]
fn a_waker_is_made_only_for_a_wait_that_a_stop_may_end() {
    let question = question();
    let unasked = || -> Arc<Question> { panic!("nobody may wake it") };
    assert_eq!(question.answer.recv(Deadline::now(), unasked), Err(RecvError::TimedOut));
    question.answer.put(1).expect("it is open");
    assert_eq!(question.answer.recv(&Stop::new(), unasked), Ok(1));
}

/// A thread that sleeps in `recv` until this.
fn asleep(question: &Arc<Question>, until: Deadline, stop: &Stop, expected: Result<u32, RecvError>) -> Ends {
    let (whereabouts, waits, stop) = (Whereabouts::default(), Arc::clone(question), stop.clone());
    let body = move || assert_eq!(recv(&waits, until.or_stop(&stop)), expected);
    let thread = thread::Builder::new("waits").spawn(whereabouts.follow(body)).expect("a thread");
    _ = wait_for(|| whereabouts.waits_at());
    thread
}

type Ends = thread::JoinHandle<()>;

#[test]
fn a_value_wakes_who_sleeps() {
    let question = question();
    let waits = asleep(&question, Clock::system().within(patience()), &Stop::new(), Ok(7));
    question.answer.put(7).expect("it is waited for");
    join(waits);
}

#[test]
fn a_stop_wakes_who_sleeps_and_the_value_may_still_come() {
    let (question, stop) = (question(), Stop::new());
    let waits = asleep(&question, Clock::system().within(patience()), &stop, Err(RecvError::Stopped));
    _ = stop.tell();
    join(waits);
    assert!(question.answer.is_open());
}

#[test]
fn a_deadline_ends_a_wait_by_its_own_clock() {
    let time = VirtualTime::new();
    let (question, until) = (question(), time.clock().within(SECOND));
    let waits = asleep(&question, until, &Stop::new(), Err(RecvError::TimedOut));
    time.advance(SECOND).expect("all wait");
    join(waits);
}

#[test]
fn who_is_closed_while_it_sleeps_is_told_when_it_looks_again() {
    let question = question();
    let waits = asleep(&question, Clock::system().within(patience()), &Stop::new(), Err(RecvError::Closed));
    assert_eq!(question.answer.close(), None);
    question.answer.wake();
    join(waits);
}

#[test]
fn a_look_ends_with_what_it_looks_for_or_soon() {
    let (looks, stop) = (Looks::default(), Stop::new());
    let full = question();
    full.answer.put(1).expect("it is empty");
    // Where there is one core, or looking has not paid, it does not look at all.
    _ = full.answer.look(&looks, Deadline::never());
    assert_eq!(recv(&full, Deadline::never()), Ok(1), "a look takes nothing");
    _ = stop.tell();
    let empty = question();
    (0..1_000).for_each(|_| _ = empty.answer.look(&looks, &stop));
    (0..1_000).for_each(|_| assert!(!empty.answer.look(&Looks::default(), Deadline::never())));
    assert!(empty.answer.is_open());
    assert_eq!(format!("{looks:?}"), "Looks(..)");
}

#[test]
fn a_queue_that_is_reopened_takes_values_again_behind_what_it_had() {
    let queue = Queue::bounded(3, Full::Refuse);
    queue.try_send(1).expect("there is room");
    queue.close();
    assert_eq!(queue.try_send(2), Err(TrySendError::Closed(2)));
    queue.reopen();
    assert!(!queue.is_closed());
    queue.try_send(3).expect("it is open");
    let taken = queue.recv(Deadline::now()).expect("it is there");
    assert_eq!(taken, 1);
    queue.give_back(taken).expect("it was received");
    assert_eq!(queue.drain(), [1, 3]);
    queue.reopen();
    assert!(!queue.is_closed(), "to reopen what is open changes nothing");
}

#[test]
fn who_waits_for_room_when_a_queue_is_closed_is_sent_home_and_may_come_again() {
    let queue = Queue::bounded(1, Full::Wait);
    queue.try_send(1).expect("there is room");
    let (whereabouts, sender) = (Whereabouts::default(), queue.clone());
    let body = move || assert_eq!(sender.send(2, Clock::system().within(patience())), Err(SendError::Closed(2)));
    let sends = thread::Builder::new("sends").spawn(whereabouts.follow(body)).expect("a thread");
    _ = wait_for(|| whereabouts.waits_at());
    queue.close();
    join(sends);
    assert_eq!(queue.drain(), [1]);
    queue.reopen();
    let reader = queue.clone();
    let reads = spawn(move || assert_eq!(reader.recv(Clock::system().within(patience())), Ok(3)));
    queue.send(3, Clock::system().within(Duration::from_secs(60))).expect("it is open");
    join(reads);
}
