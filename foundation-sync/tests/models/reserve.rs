//! A place that is waited for: given once, and never lost.

use std::{sync::Arc, time::Duration};

use foundation_sync::{Deadline, Full, Mutex, Queue, ReserveError, SendError, Stop, VirtualTime};
use foundation_testkit::{explore, join, reached, spawn};

const TICK: Duration = Duration::from_nanos(1);

/// A queue of one place, taken.
fn full() -> Queue<u32> {
    let queue = Queue::bounded(1, Full::Wait);
    queue.try_send(0).expect("it is empty");
    queue
}

/// Nobody is at it any more, and all its places are there: no more, no fewer.
#[track_caller]
fn is_whole(queue: &Queue<u32>) {
    _ = queue.drain();
    queue.reopen();
    let places: Vec<_> = (0..queue.capacity()).map(|_| queue.reserve().expect("no place was lost")).collect();
    assert_eq!(queue.reserve().map(drop), Err(ReserveError::Full), "no place is there twice");
    drop(places);
}

/// Two threads: a reader, and who waits. The reader takes from its batch, without the senders' lock. Race
/// "room while going to sleep".
#[test]
fn a_place_that_is_waited_for_is_there_when_a_value_was_received() {
    explore("a place that is waited for is there when a value was received")
        .reaches(&["a sender sleeps behind a batch", "room while going to sleep"])
        .catches(&["mailbox: a sender sleeps and does not tell the batch"])
        .run(|| {
            let queue = Queue::bounded(2, Full::Wait);
            (0..2).for_each(|value| queue.try_send(value).expect("there is room for two"));
            assert_eq!(queue.try_recv(), Ok(0));
            queue.try_send(2).expect("there is room for one more");
            let reader = queue.clone();
            let receives = spawn(move || assert_eq!(reader.recv(Deadline::never()), Ok(1)));
            let place = queue.reserve_until(Deadline::never()).expect("it is open");
            place.send(3).expect("the place was kept");
            join(receives);
            assert_eq!(queue.drain(), [2, 3]);
            is_whole(&queue);
        });
}

#[test]
fn two_that_wait_for_one_place_have_it_one_after_the_other() {
    explore("two that wait for one place have it one after the other")
        .reaches(&["a sender waited for room", "two senders waited for room"])
        .catches(&["queue: who is called for a place takes it unseen", "queue: who was called stays called"])
        .run(|| {
            let queue = full();
            let both = [1, 2].map(|value| {
                let queue = queue.clone();
                spawn(move || {
                    let place = queue.reserve_until(Deadline::never()).expect("it is open");
                    assert!(queue.is_empty(), "the place is nobody else's");
                    place.send(value).expect("the place was kept");
                })
            });
            assert_eq!(queue.recv(Deadline::never()), Ok(0));
            let sum: u32 = (0..2).map(|_| queue.recv(Deadline::never()).expect("each sends")).sum();
            both.into_iter().for_each(join);
            assert_eq!(sum, 3);
            is_whole(&queue);
        });
}

#[test]
fn a_queue_that_is_closed_gives_no_place_and_who_has_one_has_the_value_back() {
    explore("a queue that is closed gives no place and who has one has the value back")
        .reaches(&["sent", "came back", "refused"])
        .catches(&["queue: close tells nobody"])
        .run(|| {
            let (queue, sent) = (full(), Arc::new(Mutex::new(vec![])));
            let both = [1, 2].map(|value| {
                let (queue, sent) = (queue.clone(), Arc::clone(&sent));
                spawn(move || match queue.reserve_until(Deadline::never()) {
                    Ok(place) => match place.send(value) {
                        Ok(()) => {
                            reached!("sent");
                            sent.lock().push(value);
                        }
                        Err(error) => {
                            reached!("came back");
                            assert_eq!(error.into_inner(), value);
                        }
                    },
                    Err(error) => {
                        reached!("refused");
                        assert_eq!(error, SendError::Closed(()));
                    }
                })
            });
            // One may have the place, and nobody makes room for the other.
            assert_eq!(queue.try_recv(), Ok(0));
            queue.close();
            both.into_iter().for_each(join);
            let sent = sent.lock().clone();
            assert_eq!(queue.drain(), sent);
            assert!(sent.len() <= 1, "there was room for one: {sent:?}");
            is_whole(&queue);
        });
}

/// Whether it was called for the place or its time was over first: the place is the other's in the end.
#[test]
fn who_is_too_late_for_a_place_or_gives_it_up_leaves_it_to_the_next() {
    explore("who is too late for a place or gives it up leaves it to the next")
        .reaches(&["kept", "too late", "notified and due", "two senders waited for room"])
        .catches(&["queue: who was called stays called", "queue: a dropped permit calls nobody"])
        .run(|| {
            let (time, queue) = (VirtualTime::new(), full());
            let (hasty, stays, until) = (queue.clone(), queue.clone(), time.clock().within(TICK));
            let reserves = spawn(time.clock().enrol("reserves", move || match hasty.reserve_until(until) {
                Ok(place) => {
                    reached!("kept");
                    drop(place);
                }
                Err(error) => {
                    assert_eq!(error, SendError::TimedOut(()));
                    reached!("too late");
                }
            }));
            let other = spawn(move || {
                let place = stays.reserve_until(Deadline::never()).expect("it is open");
                place.send(1).expect("the place was kept");
            });
            let advances = spawn(move || time.advance(TICK).expect("it waits, or has ended"));
            assert_eq!(queue.recv(Deadline::never()), Ok(0));
            [reserves, advances, other].into_iter().for_each(join);
            assert_eq!(queue.drain(), [1]);
            is_whole(&queue);
        });
}

#[test]
fn a_stop_always_wakes_who_waits_for_a_place() {
    explore("a stop always wakes who waits for a place")
        .reaches(&["told before", "told later"])
        .catches(&["queue: stop notifies without the lock"])
        .run(|| {
            let (queue, stop) = (full(), Stop::new());
            let word = stop.clone();
            let tells = spawn(move || _ = word.tell());
            match stop.told() {
                true => reached!("told before"),
                false => reached!("told later"),
            }
            assert_eq!(queue.reserve_until(&stop).map(drop), Err(SendError::Stopped(())));
            join(tells);
            is_whole(&queue);
        });
}
