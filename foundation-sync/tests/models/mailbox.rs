//! A mailbox: many senders and one reader that holds its batch.

use std::sync::Arc;

use foundation_sync::{
    Deadline, Full, Mailbox, Mutex, RecvError, SendError, Stop,
    atomic::{AtomicUsize, Ordering},
};
use foundation_testkit::{explore, join, reached, spawn};

#[test]
fn what_is_sent_is_received_in_order() {
    explore("what is sent is received in order")
        .reaches(&["a reader slept", "a batch", "one is on its way"])
        .catches(&["queue: a send calls nobody"])
        .run(|| {
            let (sender, mut mailbox) = Mailbox::bounded(3, Full::Wait);
            let sends = spawn(move || {
                (1..=3).for_each(|value| sender.send(value, Deadline::never()).expect("it is open"));
            });
            for value in 1..=3 {
                if value < 3 && mailbox.len() == 4 - value {
                    reached!("a batch");
                }
                assert_eq!(mailbox.recv(Deadline::never()), Ok(value));
            }
            join(sends);
            assert!(mailbox.is_empty());
        });
}

#[test]
fn who_takes_from_a_batch_calls_the_sender_that_sleeps_because_of_it() {
    explore("who takes from a batch calls the sender that sleeps because of it")
        .reaches(&["a sender sleeps behind a batch", "room while going to sleep"])
        .catches(&["mailbox: a sender sleeps and does not tell the batch"])
        .run(|| {
            let (sender, mut mailbox) = Mailbox::bounded(2, Full::Wait);
            (1..=2).for_each(|value| sender.try_send(value).expect("there is room for two"));
            assert_eq!(mailbox.try_recv(), Ok(1), "the other one is in the batch now");
            let kept = Arc::new(Mutex::new(None));
            let keeps = Arc::clone(&kept);
            let receives = spawn(move || {
                assert_eq!(mailbox.recv(Deadline::never()), Ok(2));
                *keeps.lock() = Some(mailbox);
            });
            // Nobody receives any more, and there is room for two.
            (3..=4).for_each(|value| sender.send(value, Deadline::never()).expect("it is open"));
            join(receives);
            let mailbox = kept.lock().take();
            assert_eq!(mailbox.expect("it was kept").drain(), [3, 4]);
        });
}

#[test]
fn two_senders_share_one_place() {
    explore("two senders share one place")
        .reaches(&["a sender waited for room", "a reader slept"])
        .catches(&["queue: who was called stays called"])
        .run(|| {
            let (sender, mut mailbox) = Mailbox::bounded(1, Full::Wait);
            let senders = [1, 2].map(|value| {
                let sender = sender.clone();
                spawn(move || sender.send(value, Deadline::never()).expect("it is open"))
            });
            let sum: i32 = (0..2).map(|_| mailbox.recv(Deadline::never()).expect("two are sent")).sum();
            assert_eq!(sum, 3);
            senders.into_iter().for_each(join);
        });
}

#[test]
fn a_close_loses_nothing_that_was_sent() {
    explore("a close loses nothing that was sent")
        .reaches(&["sent", "refused"])
        .catches(&["queue: close tells nobody"])
        .run(|| {
            let (sender, mut mailbox) = Mailbox::bounded(1, Full::Wait);
            let (closer, sent) = (sender.clone(), Arc::new(Mutex::new(0)));
            let sends = {
                let sent = Arc::clone(&sent);
                spawn(move || {
                    for value in 1..=2 {
                        match sender.send(value, Deadline::never()) {
                            Ok(()) => {
                                reached!("sent");
                                *sent.lock() += value;
                            }
                            Err(error) => {
                                assert_eq!(error, SendError::Closed(value));
                                reached!("refused");
                            }
                        }
                    }
                })
            };
            let closes = spawn(move || closer.close());
            let mut received = 0;
            loop {
                match mailbox.recv(Deadline::never()) {
                    Ok(value) => received += value,
                    Err(end) => {
                        assert_eq!(end, RecvError::Closed);
                        break;
                    }
                }
            }
            join(sends);
            join(closes);
            assert_eq!(received, *sent.lock());
        });
}

/// Counts its drops, in a model's own atomic: a drop under a lock would be a lock in a lock.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_reader_that_goes_sends_the_waiting_home() {
    explore("a reader that goes sends the waiting home")
        .reaches(&["came back", "was left"])
        .catches(&["mailbox: the reader goes and does not close"])
        .run(|| {
            let (sender, mailbox) = Mailbox::bounded(1, Full::Wait);
            let drops = Arc::new(AtomicUsize::new(0));
            let (first, second) = (Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops)));
            let sends = spawn(move || {
                if sender.send(first, Deadline::never()).is_ok() {
                    reached!("was left");
                }
                if let Err(SendError::Closed(second)) = sender.send(second, Deadline::never()) {
                    reached!("came back");
                    drop(second);
                }
            });
            drop(mailbox);
            join(sends);
            assert_eq!(drops.load(Ordering::Relaxed), 2);
        });
}

#[test]
fn a_drain_makes_room_for_a_sender_that_waits() {
    explore("a drain makes room for a sender that waits")
        .reaches(&["a sender waited for room", "drained first"])
        .catches(&["mailbox: a drain calls nobody"])
        .run(|| {
            let (sender, mut mailbox) = Mailbox::bounded(1, Full::Wait);
            sender.try_send(1).expect("it is empty");
            let drained = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&drained);
            let sends = spawn(move || {
                if seen.load(Ordering::Relaxed) == 1 {
                    reached!("drained first");
                }
                sender.send(2, Deadline::never()).expect("it is open");
            });
            assert_eq!(mailbox.drain(), [1]);
            drained.store(1, Ordering::Relaxed);
            join(sends);
            assert_eq!(mailbox.drain(), [2]);
        });
}

#[test]
fn a_stop_always_wakes_the_reader() {
    explore("a stop always wakes the reader of a mailbox")
        .reaches(&["a value", "stopped"])
        .catches(&["queue: stop notifies without the lock"])
        .run(|| {
            let ((sender, mut mailbox), stop) = (Mailbox::bounded(1, Full::Wait), Stop::new());
            let word = stop.clone();
            let other = spawn(move || {
                sender.try_send(1).expect("there is room");
                word.tell();
            });
            match mailbox.recv(&stop) {
                Ok(value) => {
                    assert_eq!(value, 1);
                    reached!("a value");
                    assert_eq!(mailbox.recv(&stop), Err(RecvError::Stopped));
                }
                Err(error) => {
                    assert_eq!(error, RecvError::Stopped);
                    reached!("stopped");
                    assert_eq!(mailbox.len(), 1, "what was sent is still there");
                }
            }
            join(other);
        });
}
