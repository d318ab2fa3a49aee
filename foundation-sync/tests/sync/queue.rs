//! What a queue promises, one call after another.

use std::{collections::VecDeque, time::Duration};

use foundation_sync::{
    Clock, ClosedError, Deadline, Full, GiveBackError, Queue, RecvError, ReserveError, SECOND, SendError, Stop,
    TryRecvError, TrySendError, VirtualTime, Whereabouts, thread,
};
use foundation_testkit::{patience, wait_for};

const HOURS: Duration = Duration::from_secs(36_000);

/// A thread that has come to its wait.
fn asleep(body: impl FnOnce() + Send + 'static) {
    let whereabouts = Whereabouts::default();
    thread::Builder::new("waits").spawn(whereabouts.follow(body)).expect("a thread");
    _ = wait_for(|| whereabouts.waits_at());
}

fn filled(full: Full) -> Queue<u8> {
    let queue = Queue::bounded(2, full);
    for value in [1, 2] {
        queue.try_send(value).expect("there is room for two");
    }
    queue
}

#[test]
fn a_full_queue_does_as_its_owner_chose() {
    assert_eq!(filled(Full::Refuse).send(3, Deadline::never()), Err(SendError::Full(3)));
    assert_eq!(filled(Full::Wait).send(3, Deadline::now()), Err(SendError::TimedOut(3)));
    assert_eq!(filled(Full::Wait).try_send(3), Err(TrySendError::Full(3)));
    let queue = filled(Full::DropOldest);
    assert_eq!(queue.send(3, Deadline::never()), Ok(()));
    assert_eq!((queue.drain(), queue.dropped()), (vec![2, 3], 1));
}

#[test]
fn of_several_values_those_come_back_that_find_no_room() {
    for full in [Full::Wait, Full::WaitForHalf, Full::Refuse] {
        let queue = Queue::bounded(3, full);
        queue.try_send(1).expect("it is empty");
        assert_eq!(queue.try_send_all(vec![2, 3, 4, 5]), [4, 5]);
        assert_eq!(queue.try_send_all(vec![4]), [4]);
        assert_eq!((queue.drain(), queue.high_water()), (vec![1, 2, 3], 3));
        assert!(queue.try_send_all(vec![]).is_empty());
    }
    let latest = filled(Full::DropOldest);
    assert!(latest.try_send_all(vec![3, 4, 5]).is_empty());
    assert_eq!((latest.drain(), latest.dropped()), (vec![4, 5], 3));
    latest.close();
    assert_eq!(latest.try_send_all(vec![6, 7]), [6, 7]);
}

#[test]
fn a_refused_value_comes_back() {
    let queue = filled(Full::Refuse);
    assert_eq!(queue.try_send(3).map_err(TrySendError::into_inner), Err(3));
    queue.close();
    assert_eq!(queue.send(4, Deadline::never()).map_err(SendError::into_inner), Err(4));
}

#[test]
fn a_closed_queue_gives_out_what_it_has_and_then_says_so() {
    let queue = filled(Full::Wait);
    assert!(!queue.is_closed());
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.try_send(3), Err(TrySendError::Closed(3)));
    assert_eq!(queue.recv(Deadline::never()), Ok(1));
    assert_eq!(queue.try_recv(), Ok(2));
    assert_eq!(queue.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(queue.recv(Deadline::never()), Err(RecvError::Closed));
    assert_eq!(queue.reserve().map(drop), Err(ReserveError::Closed));
    assert_eq!(queue.give_back(1), Err(GiveBackError::Closed(1)));
}

#[test]
fn a_deadline_that_has_passed_looks_and_does_not_wait() {
    let queue = Queue::<u8>::bounded(1, Full::Wait);
    assert_eq!(queue.recv(Deadline::now()), Err(RecvError::TimedOut));
    assert_eq!(queue.recv(Clock::system().within(Duration::ZERO)), Err(RecvError::TimedOut));
    queue.try_send(1).expect("it is empty");
    assert_eq!(queue.recv(Deadline::now()), Ok(1));
}

#[test]
fn a_deadline_ends_a_wait() {
    let (clock, queue) = (Clock::system(), Queue::<u8>::bounded(1, Full::Wait));
    let until = clock.within(Duration::from_millis(1));
    assert_eq!(queue.recv(&until), Err(RecvError::TimedOut));
    assert!(until.passed());
    queue.try_send(1).expect("it is empty");
    assert_eq!(queue.send(2, clock.within(Duration::from_millis(1))), Err(SendError::TimedOut(2)));
}

#[test]
fn a_reader_that_was_told_to_stop_gets_no_more() {
    let (queue, stop) = (filled(Full::Wait), Stop::new());
    assert!(stop.tell());
    assert!(!stop.tell(), "it is said once");
    assert_eq!(queue.recv(&stop), Err(RecvError::Stopped));
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.send(3, &stop), Err(SendError::Stopped(3)));
}

#[test]
fn a_stop_or_a_close_wakes_readers_and_senders_that_sleep() {
    for closes in [false, true] {
        let stop = Stop::new();
        let (empty, full) = (Queue::<u8>::bounded(1, Full::Wait), filled(Full::WaitForHalf));
        let ended = Queue::bounded(2, Full::Refuse);
        for sends in [false, true] {
            let (empty, full, word, told) = (empty.clone(), full.clone(), stop.clone(), ended.clone());
            asleep(move || {
                let as_told = match sends {
                    true => {
                        full.send(3, &word) == Err(if closes { SendError::Closed(3) } else { SendError::Stopped(3) })
                    }
                    false => empty.recv(&word) == Err(if closes { RecvError::Closed } else { RecvError::Stopped }),
                };
                told.try_send(as_told).expect("there is room for two");
            });
        }
        if closes {
            empty.close();
            full.close();
        } else {
            stop.tell();
        }
        for _ in 0..2 {
            assert_eq!(ended.recv(Clock::system().within(patience())), Ok(true));
        }
    }
}

#[test]
fn a_queue_remembers_how_many_values_there_were_at_most() {
    for full in [Full::Refuse, Full::DropOldest] {
        let queue = Queue::bounded(4, full);
        assert_eq!(queue.high_water(), 0);
        for value in 0..3 {
            queue.try_send(value).expect("there is room");
        }
        // What is taken out of a batch is there no more.
        assert_eq!([queue.try_recv(), queue.try_recv()], [Ok(0), Ok(1)]);
        queue.try_send(3).expect("there is room");
        assert_eq!((queue.len(), queue.high_water()), (2, 3), "{full:?}");
        for value in 4..6 {
            queue.reserve().expect("there is room").send(value).expect("it is open");
        }
        assert_eq!((queue.drain().len(), queue.high_water()), (4, 4), "{full:?}");
    }
}

#[test]
fn a_kept_place_counts_until_it_is_filled_or_given_up() {
    let queue = Queue::bounded(2, Full::DropOldest);
    let (first, second) = (queue.reserve().expect("free"), queue.reserve().expect("free"));
    assert_eq!(queue.try_send(9), Err(TrySendError::Full(9)), "all places are kept: there is no oldest");
    assert_eq!(queue.reserve().map(drop), Err(ReserveError::Full));
    drop(first);
    assert_eq!(queue.try_send(1), Ok(()));
    assert_eq!(second.send(2), Ok(()));
    assert_eq!(queue.drain(), [1, 2]);
    let late = queue.reserve().expect("free");
    queue.close();
    assert_eq!(late.send(3), Err(ClosedError(3)));
}

#[test]
fn a_place_is_waited_for_as_a_sender_would_wait() {
    let queue = filled(Full::Wait);
    let until = Clock::system().within(patience());
    let (waiter, until_then) = (queue.clone(), until.clone());
    asleep(move || {
        let place = waiter.reserve_until(&until_then).expect("there is room in the end");
        place.send(3).expect("it is open");
    });
    assert_eq!(queue.recv(&until), Ok(1));
    assert_eq!((queue.recv(&until), queue.recv(&until)), (Ok(2), Ok(3)), "the place was kept behind what was there");
    let (full, stop) = (filled(Full::Wait), Stop::new());
    assert_eq!(full.reserve_until(Deadline::now()).map(drop), Err(SendError::TimedOut(())));
    stop.tell();
    assert_eq!(full.reserve_until(&stop).map(drop), Err(SendError::Stopped(())));
    full.close();
    assert_eq!(full.reserve_until(&until).map(drop), Err(SendError::Closed(())));
    for full in [Full::Refuse, Full::DropOldest] {
        assert_eq!(filled(full).reserve_until(&until).map(drop), Err(SendError::Full(())), "{full:?}");
    }
}

#[test]
fn what_was_received_can_be_given_back_to_the_front_however_full_the_queue_is() {
    let queue = filled(Full::Refuse);
    assert_eq!(queue.give_back(0), Err(GiveBackError::NotReceived(0)));
    let taken = queue.try_recv().expect("it is full");
    queue.try_send(3).expect("a place is free again");
    assert_eq!(queue.give_back(taken), Ok(()));
    assert_eq!(queue.try_send(4), Err(TrySendError::Full(4)));
    assert_eq!(queue.drain(), [1, 2, 3]);
}

#[test]
fn no_more_can_be_given_back_than_there_are_places() {
    let queue = Queue::bounded(2, Full::Refuse);
    for value in 0..1_000 {
        queue.try_send(value).expect("there is room");
        assert_eq!(queue.try_recv(), Ok(value));
    }
    (0..2).for_each(|value| queue.give_back(value).expect("many were received"));
    assert_eq!(queue.give_back(2), Err(GiveBackError::NotReceived(2)));
    let drained = queue.drain();
    drained.into_iter().rev().for_each(|value| queue.give_back(value).expect("it was taken out"));
    assert_eq!(queue.drain(), [1, 0]);
}

#[test]
fn all_that_is_there_is_taken_at_once() {
    let (clock, queue) = (Clock::system(), filled(Full::Wait));
    assert_eq!(queue.recv_all(&clock, Duration::ZERO, Deadline::never()), Ok(vec![1, 2]));
    assert_eq!(queue.recv_all(&clock, SECOND, Deadline::now()), Err(RecvError::TimedOut));
    queue.close();
    assert_eq!(queue.recv_all(&clock, SECOND, Deadline::never()), Err(RecvError::Closed));
}

#[test]
fn a_half_full_queue_ends_the_lingering() {
    let queue = filled(Full::Wait);
    assert_eq!(queue.recv_all(&Clock::system(), HOURS, Deadline::never()), Ok(vec![1, 2]));
}

#[test]
fn a_stop_a_close_and_a_half_full_queue_wake_who_lingers() {
    for (word, expected) in [("stop", Err(RecvError::Stopped)), ("close", Ok(vec![1])), ("half full", Ok(vec![1, 2]))] {
        let (queue, stop, ended) = (Queue::bounded(4, Full::Wait), Stop::new(), Queue::bounded(1, Full::Refuse));
        queue.try_send(1).expect("it is empty");
        let (lingers, until, told) = (queue.clone(), stop.clone(), ended.clone());
        asleep(move || told.try_send(lingers.recv_all(&Clock::system(), HOURS, &until)).expect("it is empty"));
        match word {
            "stop" => _ = stop.tell(),
            "close" => queue.close(),
            _ => queue.try_send(2).expect("there is room"),
        }
        assert_eq!(ended.recv(Clock::system().within(patience())), Ok(expected), "{word}");
    }
}

#[test]
fn who_lingers_takes_what_comes_meanwhile_and_no_longer_than_was_said() {
    let (time, queue, taken) = (VirtualTime::new(), Queue::bounded(100, Full::Wait), Queue::bounded(1, Full::Wait));
    let (lingers, tells, clock) = (queue.clone(), taken.clone(), time.clock());
    let body = move || {
        tells.try_send(lingers.recv_all(&clock, SECOND, Deadline::never())).expect("it is empty");
    };
    let reader = thread::Builder::new("lingers").spawn(time.clock().enrol("lingers", body)).expect("a thread");
    queue.try_send(1).expect("there is room");
    time.advance(SECOND / 2).expect("it lingers");
    queue.try_send(2).expect("there is room");
    time.advance(SECOND / 2 - Duration::from_nanos(1)).expect("it lingers");
    assert!(taken.is_empty(), "the second is not over");
    time.advance(Duration::from_nanos(1)).expect("it has ended");
    assert_eq!(taken.try_recv(), Ok(Ok(vec![1, 2])));
    reader.join().expect("it does not panic");
}

#[test]
fn lingering_ends_with_the_callers_own_deadline_whatever_clock_that_goes_by() {
    let (real, stands) = (Clock::system(), VirtualTime::new().clock());
    for (lingers, ends) in [(&real, &real), (&stands, &real)] {
        let queue = Queue::bounded(100, Full::Wait);
        queue.try_send(1).expect("it is empty");
        assert_eq!(queue.recv_all(lingers, HOURS, ends.within(Duration::from_millis(3))), Ok(vec![1]));
    }
    let queue = Queue::bounded(100, Full::Wait);
    queue.try_send(1).expect("it is empty");
    assert_eq!(queue.recv_all(&real, Duration::from_millis(3), stands.within(HOURS)), Ok(vec![1]));
}

#[test]
fn senders_that_wait_for_half_are_woken_when_half_is_free_and_all_of_them() {
    let (time, queue) = (VirtualTime::new(), Queue::bounded(4, Full::WaitForHalf));
    (0..4).for_each(|value| queue.try_send(value).expect("there is room"));
    let senders = [4, 5].map(|value| {
        let sender = queue.clone();
        let body = time.clock().enrol("sends", move || sender.send(value, Deadline::never()).expect("it is open"));
        thread::Builder::new("sends").spawn(body).expect("a thread")
    });
    time.advance(Duration::ZERO).expect("both wait");
    for (taken, left) in [(0, 3), (1, 2), (2, 3)] {
        assert_eq!(queue.recv(Deadline::now()), Ok(taken));
        time.advance(Duration::ZERO).expect("they wait, or have ended");
        assert_eq!(queue.len(), left, "after {taken} was taken");
    }
    senders.into_iter().for_each(|sender| sender.join().expect("it does not panic"));
}

#[test]
fn a_kept_place_that_is_given_up_goes_to_a_sender_that_sleeps() {
    let queue = Queue::bounded(1, Full::Wait);
    let (permit, sender, ended) = (queue.reserve().expect("it is empty"), queue.clone(), Queue::bounded(1, Full::Wait));
    let told = ended.clone();
    asleep(move || told.try_send(sender.send(1, Deadline::never())).expect("it is empty"));
    drop(permit);
    assert_eq!(ended.recv(Clock::system().within(patience())), Ok(Ok(())));
}

#[test]
fn a_capacity_of_zero_counts_as_one() {
    let queue = Queue::bounded(0, Full::Refuse);
    assert_eq!((queue.capacity(), queue.try_send(1), queue.try_send(2)), (1, Ok(()), Err(TrySendError::Full(2))));
}

/// A value that looks at its queue when it is dropped, which it could not under the queue's lock.
struct Tells(u8, Queue<Tells>, Queue<u8>);

impl Drop for Tells {
    fn drop(&mut self) {
        _ = self.1.len();
        self.2.try_send(self.0).expect("there is room");
    }
}

#[test]
fn the_oldest_that_makes_room_is_the_oldest_of_all_and_is_dropped_under_no_lock() {
    let (queue, dropped) = (Queue::bounded(3, Full::DropOldest), Queue::bounded(8, Full::Refuse));
    let value = |number| Tells(number, queue.clone(), dropped.clone());
    (0..3).for_each(|number| queue.try_send(value(number)).expect("there is room"));
    let first = queue.try_recv().expect("three were sent");
    queue.try_send(value(3)).expect("there is room");
    queue.give_back(first).expect("it was received");
    queue.try_send(value(4)).expect("the oldest makes room");
    assert_eq!(dropped.drain(), [0], "what was given back is the oldest");
    queue.try_send(value(5)).expect("the oldest makes room");
    assert_eq!((dropped.drain(), queue.dropped()), (vec![1], 2));
    drop(queue.drain());
    assert_eq!(dropped.drain(), [2, 3, 4, 5]);
}

#[test]
fn what_is_taken_and_not_received_counts_against_the_capacity() {
    let queue = Queue::bounded(4, Full::Refuse);
    (0..4).for_each(|value| queue.try_send(value).expect("there is room for four"));
    for value in 0..4 {
        assert_eq!((queue.try_recv(), queue.len()), (Ok(value), 3));
        assert_eq!((queue.try_send(value + 4), queue.try_send(9)), (Ok(()), Err(TrySendError::Full(9))));
    }
    assert_eq!(queue.recv_all(&Clock::system(), Duration::ZERO, Deadline::never()), Ok(vec![4, 5, 6, 7]));
}

/// Little room, many senders and many readers, of which some are told to stop: each value arrives once, each reader sees
/// each sender's in order.
#[test]
fn nothing_is_lost_between_many_senders_and_readers_that_come_and_go() {
    const SENDERS: usize = 3;
    const VALUES: usize = 5_000;
    for (capacity, full) in [(1, Full::Wait), (5, Full::Wait), (64, Full::Wait), (8, Full::WaitForHalf)] {
        let (queue, counted) = (Queue::bounded(capacity, full), Queue::bounded(16, Full::Wait));
        let spawn = |body: Box<dyn FnOnce() + Send>| thread::Builder::new("takes part").spawn(body).expect("a thread");
        let mut threads: Vec<_> = (0..SENDERS)
            .map(|which| {
                let queue = queue.clone();
                spawn(Box::new(move || {
                    (0..VALUES).for_each(|n| queue.send((which, n), Deadline::never()).expect("it is open"));
                }))
            })
            .collect();
        let stops: Vec<_> = (0..4).map(|_| Stop::new()).collect();
        threads.extend(stops.iter().map(|stop| {
            let (queue, counted, stop) = (queue.clone(), counted.clone(), stop.clone());
            spawn(Box::new(move || {
                let (mut last, mut count) = ([None; SENDERS], 0);
                while let Ok((which, number)) = queue.recv(&stop) {
                    assert!(last[which] < Some(number));
                    last[which] = Some(number);
                    count += 1;
                }
                counted.send(count, Deadline::never()).expect("it is open");
            }))
        }));
        // Three of the four stop on the way.
        let mut sum = 0;
        for stop in &stops[..3] {
            stop.tell();
            sum += counted.recv(Clock::system().within(patience())).expect("it was told to stop");
        }
        threads.drain(..SENDERS).for_each(|sender| sender.join().expect("it does not panic"));
        queue.close();
        sum += counted.recv(Clock::system().within(patience())).expect("it is closed");
        assert_eq!((sum, queue.len()), (SENDERS * VALUES, 0));
        threads.into_iter().for_each(|reader| reader.join().expect("it does not panic"));
    }
}

/// Any sequence of calls against a plain list.
#[test]
fn it_does_as_a_plain_list_would() {
    let mut random = 1_u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..200 {
        let capacity = 1 + next(4) as usize;
        let (queue, mut list, mut out) = (Queue::bounded(capacity, Full::Refuse), VecDeque::new(), 0_usize);
        for step in 0..50 {
            match next(4) {
                0 | 1 => {
                    let fits = list.len() < capacity;
                    assert_eq!(queue.try_send(step).is_ok(), fits);
                    if fits {
                        list.push_back(step);
                    }
                }
                2 => {
                    let expected = list.pop_front();
                    out = capacity.min(out + usize::from(expected.is_some()));
                    assert_eq!(queue.try_recv().ok(), expected);
                }
                _ => {
                    assert_eq!(queue.give_back(step).is_ok(), out > 0);
                    if out > 0 {
                        out -= 1;
                        list.push_front(step);
                    }
                }
            }
            assert_eq!(queue.len(), list.len());
        }
    }
}

/// The word wakes everyone, also when one of those that it wakes panics, with something that panics when dropped, or is
/// such a thing.
#[test]
fn one_that_panics_when_woken_keeps_the_word_from_nobody() {
    struct Panics;
    impl foundation_sync::Wake for Panics {
        fn wake(&self) {
            std::panic::resume_unwind(Box::new(Bomb));
        }
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("dropped"));
        }
    }
    struct Explodes(Bomb);
    impl foundation_sync::Wake for Explodes {
        fn wake(&self) {}
    }
    struct Tells(Queue<()>);
    impl foundation_sync::Wake for Tells {
        fn wake(&self) {
            self.0.close();
        }
    }
    let (stop, heard) = (Stop::new(), Queue::bounded(1, Full::Wait));
    let _panics = stop.watch(std::sync::Arc::new(Panics)).expect("not told yet");
    let _explodes = stop.watch(std::sync::Arc::new(Explodes(Bomb))).expect("not told yet");
    let _tells = stop.watch(std::sync::Arc::new(Tells(heard.clone()))).expect("not told yet");
    assert!(stop.tell());
    assert_eq!(heard.recv(Deadline::now()), Err(RecvError::Closed));
}
