//! A queue: stops, closes, kept places.

use std::sync::Arc;

use foundation_sync::{Deadline, Full, Mutex, Queue, RecvError, Stop};
use foundation_testkit::{explore, join, reached, spawn};

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
