//! A queue: stops, closes, kept places.

use std::{sync::Arc, time::Duration};

use foundation_sync::{Deadline, Full, Mutex, Queue, RecvError, SendError, Stop, VirtualTime};
use foundation_testkit::{explore, join, reached, spawn};

const TICK: Duration = Duration::from_nanos(1);

#[test]
fn a_stop_always_wakes_a_reader() {
    explore("a stop always wakes a reader")
        .reaches(&["a value", "stopped"])
        .catches(&["queue: stop notifies without the lock"])
        .run(|| {
            let (queue, stop) = (Queue::bounded(1, Full::Wait), Stop::new());
            let (sender, word) = (queue.clone(), stop.clone());
            let other = spawn(move || {
                sender.try_send(1).expect("there is room");
                word.tell();
            });
            match queue.recv(&stop) {
                Ok(value) => {
                    assert_eq!(value, 1);
                    reached!("a value");
                    assert_eq!(queue.recv(&stop), Err(RecvError::Stopped));
                }
                Err(error) => {
                    assert_eq!(error, RecvError::Stopped);
                    reached!("stopped");
                    assert_eq!(queue.len(), 1, "what was sent is still there");
                }
            }
            join(other);
        });
}

#[test]
fn closing_wakes_everyone() {
    explore("closing wakes everyone").reaches(&["sent", "refused"]).catches(&["queue: close tells nobody"]).run(|| {
        let queue = Queue::bounded(1, Full::Wait);
        queue.try_send(0).expect("it is empty");
        let (sender, closer) = (queue.clone(), queue.clone());
        let sends = spawn(move || match sender.send(1, Deadline::never()) {
            Ok(()) => reached!("sent"),
            Err(_) => reached!("refused"),
        });
        let closes = spawn(move || closer.close());
        assert_eq!(queue.recv(Deadline::never()), Ok(0), "what was there can still be received");
        while queue.recv(Deadline::never()) != Err(RecvError::Closed) {}
        join(sends);
        join(closes);
    });
}

#[test]
fn two_readers_share_what_a_sender_with_little_room_brings() {
    explore("two readers share what a sender with little room brings")
        .reaches(&["a reader slept", "a sender waited for room"])
        .run(|| {
            let queue = Queue::bounded(1, Full::Wait);
            let (first, second) = (queue.clone(), queue.clone());
            let sum = Arc::new(Mutex::new(0));
            let readers = [first, second].map(|reader| {
                let sum = Arc::clone(&sum);
                spawn(move || {
                    while let Ok(value) = reader.recv(Deadline::never()) {
                        *sum.lock() += value;
                    }
                })
            });
            for value in [1, 2] {
                queue.send(value, Deadline::never()).expect("it is open");
            }
            queue.close();
            readers.into_iter().for_each(join);
            assert_eq!(*sum.lock(), 3);
        });
}

#[test]
fn a_kept_place_is_there_however_full_the_queue_is() {
    explore("a kept place is there however full the queue is").reaches(&["full", "filled first"]).run(|| {
        let queue = Queue::bounded(2, Full::Refuse);
        let permit = queue.reserve().expect("it is empty");
        let other = queue.clone();
        let fills = spawn(move || {
            other.try_send(1).expect("one place is left");
            if other.try_send(2).is_err() {
                reached!("full");
            }
        });
        permit.send(0).expect("the place was kept");
        if queue.len() == 2 {
            reached!("filled first");
        }
        join(fills);
        assert!(queue.drain().contains(&0));
    });
}

#[test]
fn what_is_given_back_goes_to_a_reader_that_sleeps() {
    explore("what is given back goes to a reader that sleeps")
        .reaches(&["a reader slept", "a sender waited for room"])
        .catches(&["queue: what is given back calls nobody"])
        .run(|| {
            let queue = Queue::bounded(1, Full::Wait);
            queue.try_send(1).expect("it is empty");
            let (sender, reader) = (queue.clone(), queue.clone());
            let taken = queue.try_recv().expect("it is full");
            let receives = spawn(move || _ = reader.recv(Deadline::never()).expect("it is open"));
            let sends = spawn(move || sender.send(2, Deadline::never()).expect("it is open"));
            queue.give_back(taken).expect("it was received");
            join(receives);
            // It took one of the two, and there is room for one.
            join(sends);
            assert_eq!(queue.len(), 1);
        });
}

#[test]
fn a_burst_calls_one_reader_after_the_other() {
    explore("a burst calls one reader after the other")
        .reaches(&["a reader slept", "one is on its way"])
        .catches(&["queue: who was called stays called", "queue: a send calls nobody"])
        .run(|| {
            let queue = Queue::bounded(2, Full::Wait);
            let readers = [queue.clone(), queue.clone()]
                .map(|reader| spawn(move || _ = reader.recv(Deadline::never()).expect("there is one for each")));
            (1..=2).for_each(|value| queue.try_send(value).expect("there is room for two"));
            readers.into_iter().for_each(join);
            assert!(queue.is_empty());
        });
}

#[test]
fn what_is_sent_at_once_calls_one_reader_after_the_other() {
    explore("what is sent at once calls one reader after the other")
        .reaches(&["a reader slept"])
        .catches(&["queue: who was called stays called", "queue: a send calls nobody"])
        .run(|| {
            let queue = Queue::bounded(2, Full::Wait);
            let readers = [queue.clone(), queue.clone()]
                .map(|reader| spawn(move || _ = reader.recv(Deadline::never()).expect("there is one for each")));
            assert!(queue.try_send_all(vec![1, 2]).is_empty());
            readers.into_iter().for_each(join);
            assert!(queue.is_empty());
        });
}

#[test]
fn a_stop_always_wakes_who_waits_for_nothing_else() {
    explore("a stop always wakes who waits for nothing else")
        .reaches(&["it was waited for"])
        .catches(&["stop: a wait is notified without the lock"])
        .run(|| {
            let stop = Stop::new();
            let word = stop.clone();
            let other = spawn(move || _ = word.tell());
            if !stop.told() {
                reached!("it was waited for");
            }
            assert!(stop.wait(&Deadline::never()));
            join(other);
        });
}

/// What is sent while one of two readers is told to stop goes to the other one, though the stopped one was called for it.
#[test]
fn a_stopped_reader_keeps_no_value_from_the_other() {
    explore("a stopped reader keeps no value from the other")
        .reaches(&["stopped when called", "stopped", "a value before the stop"])
        .catches(&["queue: a stopped reader takes the call along"])
        .run(|| {
            let (queue, stop) = (Queue::bounded(2, Full::Wait), Stop::new());
            let (stays, sender, word) = (queue.clone(), queue.clone(), stop.clone());
            let sends = spawn(move || {
                // A random schedule comes too early for readers that sleep.
                let steps = Mutex::new(());
                (0..10).for_each(|_| drop(steps.lock()));
                sender.try_send(0).expect("it is empty");
                word.tell();
            });
            let other = spawn(move || {
                (0..2).for_each(|_| _ = stays.recv(Deadline::never()).expect("two are for this one"));
            });
            let more = match queue.recv(&stop) {
                Ok(_) => {
                    reached!("a value before the stop");
                    2
                }
                Err(error) => {
                    assert_eq!(error, RecvError::Stopped);
                    reached!("stopped");
                    1
                }
            };
            (0..more).for_each(|value| queue.send(value, Deadline::never()).expect("it is open"));
            join(other);
            join(sends);
            assert!(queue.is_empty());
        });
}

/// A stop does not know who waits for which: it wakes all, so it wakes the right one.
#[test]
fn a_stop_finds_its_reader_among_others_that_sleep() {
    explore("a stop finds its reader among others that sleep")
        .reaches(&["a reader slept"])
        .catches(&["queue: a stop calls one of those that sleep"])
        .run(|| {
            let (queue, stop) = (Queue::bounded(1, Full::Wait), Stop::new());
            let (stays, word) = (queue.clone(), stop.clone());
            let other = spawn(move || _ = stays.recv(Deadline::never()).expect("one is sent"));
            let tells = spawn(move || _ = word.tell());
            assert_eq!(queue.recv(&stop), Err(RecvError::Stopped));
            queue.try_send(0).expect("it is empty");
            join(other);
            join(tells);
        });
}

#[test]
fn half_of_the_places_are_for_all_senders_that_wait() {
    explore("half of the places are for all senders that wait")
        .reaches(&["a sender waited for room", "two senders waited for room"])
        .catches(&["queue: half free calls one sender"])
        .run(|| {
            let (time, queue) = (VirtualTime::new(), Queue::bounded(2, Full::WaitForHalf));
            (0..2).for_each(|value| queue.try_send(value).expect("there is room for two"));
            let senders = [2, 3].map(|value| {
                let sender = queue.clone();
                spawn(time.clock().enrol("sends", move || sender.send(value, Deadline::never()).expect("it is open")))
            });
            // Both sleep: one that comes later need not wait for half.
            time.advance(Duration::ZERO).expect("they wait");
            assert_eq!(queue.recv(Deadline::never()), Ok(0));
            assert_eq!(queue.recv(Deadline::never()), Ok(1));
            // Nobody receives any more, and there is room for both.
            senders.into_iter().for_each(join);
            assert_eq!(queue.len(), 2);
        });
}

#[test]
fn a_kept_place_that_is_given_up_goes_to_a_sender_that_waits() {
    explore("a kept place that is given up goes to a sender that waits")
        .reaches(&["a sender waited for room", "it came later"])
        .catches(&["queue: a dropped permit calls nobody"])
        .run(|| {
            let queue = Queue::bounded(1, Full::Wait);
            let permit = queue.reserve().expect("it is empty");
            let sender = queue.clone();
            let sends = spawn(move || {
                if sender.try_send(1).is_ok() {
                    return reached!("it came later");
                }
                sender.send(1, Deadline::never()).expect("it is open");
            });
            drop(permit);
            join(sends);
            assert_eq!(queue.try_recv(), Ok(1));
        });
}

#[test]
fn what_makes_room_is_counted_and_the_rest_arrives() {
    explore("what makes room is counted and the rest arrives")
        .reaches(&["one made room", "all arrived"])
        .catches(&["queue: what makes room is not counted"])
        .run(|| {
            let queue = Queue::bounded(1, Full::DropOldest);
            let senders = [1, 2].map(|value| {
                let sender = queue.clone();
                spawn(move || sender.send(value, Deadline::never()).expect("the oldest makes room"))
            });
            let received = usize::from(queue.recv(Deadline::never()).is_ok());
            senders.into_iter().for_each(join);
            match queue.dropped() {
                0 => reached!("all arrived"),
                _ => reached!("one made room"),
            }
            assert_eq!(received + queue.drain().len() + queue.dropped() as usize, 2);
        });
}

/// Whether it was called for the value or its time was over first: the value goes to one of them, and the next to the other.
#[test]
fn a_reader_whose_time_is_over_takes_no_call_along() {
    explore("a reader whose time is over takes no call along")
        .reaches(&["a value", "too late", "notified and due"])
        .catches(&["queue: who was called stays called"])
        .run(|| {
            let (time, queue) = (VirtualTime::new(), Queue::bounded(2, Full::Wait));
            let (sender, stays, until) = (queue.clone(), queue.clone(), time.clock().within(TICK));
            let other = spawn(move || _ = stays.recv(Deadline::never()).expect("one is for this one"));
            let reads = time.clock().enrol("reads", move || queue.recv(until));
            let advances = spawn(move || {
                time.advance(TICK).expect("it waits, or has ended");
            });
            let sends = sender.clone();
            let reader = spawn(move || match reads() {
                Ok(_) => {
                    reached!("a value");
                    sends.try_send(2).expect("there is room for two");
                }
                Err(error) => {
                    assert_eq!(error, RecvError::TimedOut);
                    reached!("too late");
                }
            });
            sender.try_send(1).expect("it is empty");
            join(reader);
            join(advances);
            join(other);
            assert!(sender.is_empty());
        });
}

#[test]
fn room_that_comes_when_the_senders_deadline_does_is_used_or_left() {
    explore("room that comes when the sender's deadline does is used or left")
        .reaches(&["sent", "too late", "notified and due"])
        .run(|| {
            let (time, queue) = (VirtualTime::new(), Queue::bounded(1, Full::Wait));
            queue.try_send(1).expect("it is empty");
            let (sender, reader, until) = (queue.clone(), queue.clone(), time.clock().within(TICK));
            let sent = Arc::new(Mutex::new(false));
            let told = Arc::clone(&sent);
            let sends = spawn(time.clock().enrol("sends", move || match sender.send(2, until) {
                Ok(()) => {
                    reached!("sent");
                    *told.lock() = true;
                }
                Err(error) => {
                    assert_eq!(error, SendError::TimedOut(2));
                    reached!("too late");
                }
            }));
            let receives = spawn(move || assert_eq!(reader.recv(Deadline::never()), Ok(1)));
            time.advance(TICK).expect("it waits, or has ended");
            join(sends);
            join(receives);
            let sent = *sent.lock();
            assert_eq!(queue.drain(), if sent { vec![2] } else { vec![] });
        });
}

/// What is closed and reopened takes values again, and what got in before is there.
#[test]
fn a_queue_that_is_reopened_takes_values_again() {
    explore("a queue that is reopened takes values again").reaches(&["got in", "was refused"]).run(|| {
        let queue = Queue::bounded(2, Full::Wait);
        let (sender, refused) = (queue.clone(), Arc::new(Mutex::new(false)));
        let told = Arc::clone(&refused);
        let sends = spawn(move || *told.lock() = sender.try_send(1).is_err());
        queue.close();
        let there = queue.drain();
        queue.reopen();
        queue.try_send(2).expect("it is open, and has room");
        join(sends);
        let later = queue.drain();
        if *refused.lock() {
            reached!("was refused");
            assert_eq!((there, later), (vec![], vec![2]));
        } else {
            reached!("got in");
            assert_eq!(there.len() + later.len(), 2, "{there:?}, {later:?}");
        }
    });
}
