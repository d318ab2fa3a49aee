//! What a mailbox promises, one call after another and under load.

use std::collections::VecDeque;

use foundation_sync::{
    Clock, ClosedError, Deadline, Full, Mailbox, Permit, Queue, RecvError, ReserveError, SendError, Sender, Stop,
    TryRecvError, TrySendError, Whereabouts, thread,
};
use foundation_testkit::{deep, patience, wait_for};

fn filled(full: Full) -> (Sender<u8>, Mailbox<u8>) {
    let (sender, mailbox) = Mailbox::bounded(2, full);
    for value in [1, 2] {
        sender.try_send(value).expect("there is room for two");
    }
    (sender, mailbox)
}

#[test]
fn a_full_mailbox_does_as_its_owner_chose() {
    let (sender, _mailbox) = filled(Full::Refuse);
    assert_eq!(sender.send(3, Deadline::never()), Err(SendError::Full(3)));
    let (sender, _mailbox) = filled(Full::Wait);
    assert_eq!(sender.send(3, Deadline::now()), Err(SendError::TimedOut(3)));
    assert_eq!(sender.try_send(3).map_err(TrySendError::into_inner), Err(3));
    let (sender, mut mailbox) = filled(Full::DropOldest);
    assert_eq!(sender.send(3, Deadline::never()), Ok(()));
    assert_eq!((mailbox.drain(), mailbox.dropped(), sender.dropped()), (vec![2, 3], 1, 1));
}

#[test]
fn what_was_not_handed_out_counts_against_the_capacity() {
    let (sender, mut mailbox) = Mailbox::bounded(4, Full::Refuse);
    (0..4).for_each(|value| sender.try_send(value).expect("there is room for four"));
    for value in 0..4 {
        assert_eq!(mailbox.try_recv(), Ok(value));
        assert_eq!((mailbox.len(), sender.len()), (3, 3));
        assert_eq!(sender.try_send(value + 4), Ok(()), "one place is free");
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)), "and only one");
    }
    assert_eq!(mailbox.drain(), [4, 5, 6, 7]);
    assert!(mailbox.is_empty() && sender.is_empty());
}

#[test]
fn both_ends_can_close_and_what_is_there_can_still_be_received() {
    for reader_closes in [false, true] {
        let (sender, mut mailbox) = filled(Full::Wait);
        match reader_closes {
            true => mailbox.close(),
            false => sender.close(),
        }
        assert!(sender.is_closed() && mailbox.is_closed());
        assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
        assert_eq!(sender.send(3, Deadline::never()), Err(SendError::Closed(3)));
        assert_eq!(sender.reserve().map(drop), Err(ReserveError::Closed));
        assert_eq!(mailbox.recv(Deadline::never()), Ok(1));
        assert_eq!(mailbox.try_recv(), Ok(2));
        assert_eq!(mailbox.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(mailbox.recv(Deadline::never()), Err(RecvError::Closed));
    }
}

#[test]
fn a_deadline_ends_a_wait() {
    let (clock, (sender, mut mailbox)) = (Clock::system(), Mailbox::bounded(1, Full::Wait));
    let soon = || clock.within(std::time::Duration::from_millis(1));
    assert_eq!(mailbox.recv(Deadline::now()), Err(RecvError::TimedOut));
    assert_eq!(mailbox.recv(soon()), Err(RecvError::TimedOut));
    sender.try_send(1).expect("it is empty");
    assert_eq!(sender.send(2, soon()), Err(SendError::TimedOut(2)));
    assert_eq!(mailbox.recv(Deadline::now()), Ok(1));
}

#[test]
fn a_reader_that_was_told_to_stop_gets_no_more() {
    let ((sender, mut mailbox), stop) = (filled(Full::Wait), Stop::new());
    assert_eq!(mailbox.recv(&stop), Ok(1));
    stop.tell();
    assert_eq!(mailbox.recv(&stop), Err(RecvError::Stopped), "not even what it holds already");
    assert_eq!(mailbox.drain(), [2]);
    (1..=2).for_each(|value| sender.try_send(value).expect("there is room for two"));
    assert_eq!(sender.send(3, &stop), Err(SendError::Stopped(3)));
}

#[test]
fn a_stop_wakes_the_reader_and_senders_that_sleep() {
    let (stop, ended) = (Stop::new(), Queue::bounded(2, Full::Refuse));
    let (_sender, mut empty) = Mailbox::<u8>::bounded(1, Full::Wait);
    let (full, _mailbox) = filled(Full::Wait);
    let (word, told) = (stop.clone(), ended.clone());
    let reads = move || told.try_send(empty.recv(&word) == Err(RecvError::Stopped)).expect("there is room for two");
    let (word, told) = (stop.clone(), ended.clone());
    let sends = move || told.try_send(full.send(3, &word) == Err(SendError::Stopped(3))).expect("room for two");
    for body in [Box::new(reads) as Box<dyn FnOnce() + Send>, Box::new(sends)] {
        let whereabouts = Whereabouts::default();
        thread::Builder::new("waits").spawn(whereabouts.follow(body)).expect("a thread");
        _ = wait_for(|| whereabouts.waits_at());
    }
    stop.tell();
    for _ in 0..2 {
        assert_eq!(ended.recv(Clock::system().within(patience())), Ok(true));
    }
}

#[test]
fn a_mailbox_outlives_its_senders() {
    let (sender, mut mailbox) = filled(Full::Refuse);
    drop(sender);
    assert_eq!(mailbox.drain(), [1, 2]);
    assert_eq!(mailbox.try_recv(), Err(TryRecvError::Empty), "not closed");
    assert_eq!(mailbox.sender().try_send(3), Ok(()));
    assert_eq!(mailbox.try_recv(), Ok(3));
}

/// A value that looks at its mailbox when it is dropped, which it could not under the mailbox's lock, and tells where.
struct Tells {
    number: u8,
    mailbox: Sender<Tells>,
    dropped: Queue<(u8, thread::ThreadId)>,
}

impl Drop for Tells {
    fn drop(&mut self) {
        _ = self.mailbox.len();
        self.dropped.try_send((self.number, thread::id())).expect("there is room");
    }
}

#[test]
fn what_is_left_is_dropped_with_the_mailbox_on_its_thread_and_under_no_lock() {
    let dropped = Queue::bounded(8, Full::Refuse);
    let (sender, mut mailbox) = Mailbox::bounded(8, Full::Wait);
    let value = |number| Tells { number, mailbox: sender.clone(), dropped: dropped.clone() };
    (0..3).for_each(|number| sender.try_send(value(number)).expect("there is room"));
    let first = mailbox.try_recv().expect("three were sent");
    sender.try_send(value(3)).expect("there is room");
    drop(mailbox);
    assert_eq!(dropped.drain(), [1, 2, 3].map(|number| (number, thread::id())));
    let Err(SendError::Closed(back)) = sender.send(first, Deadline::never()) else { panic!("the reader is gone") };
    assert_eq!((back.number, dropped.len()), (0, 0));
}

#[test]
fn the_oldest_that_makes_room_is_the_oldest_of_all_and_is_dropped_under_no_lock() {
    let dropped = Queue::bounded(8, Full::Refuse);
    let (sender, mut mailbox) = Mailbox::bounded(3, Full::DropOldest);
    let value = |number| Tells { number, mailbox: sender.clone(), dropped: dropped.clone() };
    (0..3).for_each(|number| sender.try_send(value(number)).expect("there is room"));
    let first = mailbox.try_recv().expect("three were sent");
    (3..5).for_each(|number| sender.try_send(value(number)).expect("the oldest makes room"));
    assert_eq!(dropped.drain(), [(1, thread::id())]);
    assert_eq!((first.number, mailbox.dropped()), (0, 1));
    assert_eq!(mailbox.drain().iter().map(|value| value.number).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_kept_place_counts_until_it_is_filled_or_given_up() {
    let (sender, mut mailbox) = Mailbox::bounded(2, Full::DropOldest);
    let (first, second) = (sender.reserve().expect("free"), sender.reserve().expect("free"));
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)), "all places are kept: there is no oldest");
    assert_eq!(sender.reserve().map(drop), Err(ReserveError::Full));
    drop(first);
    assert_eq!((sender.try_send(1), second.send(2)), (Ok(()), Ok(())));
    assert_eq!(mailbox.drain(), [1, 2]);
    let late = sender.reserve().expect("free");
    drop(mailbox);
    assert_eq!(late.send(3), Err(ClosedError(3)));
}

#[test]
fn a_drain_wakes_a_sender_that_waits_for_room() {
    let (sender, mut mailbox) = filled(Full::WaitForHalf);
    let whereabouts = Whereabouts::default();
    let body = whereabouts.follow(move || sender.send(3, Deadline::never()).expect("it is open"));
    let sends = thread::Builder::new("sends").spawn(body);
    _ = wait_for(|| whereabouts.waits_at());
    assert_eq!(mailbox.drain(), [1, 2]);
    sends.expect("a thread").join().expect("it does not panic");
}

#[test]
fn a_capacity_of_zero_counts_as_one() {
    let (sender, mailbox) = Mailbox::bounded(0, Full::Refuse);
    assert_eq!((mailbox.capacity(), sender.capacity()), (1, 1));
    assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Err(TrySendError::Full(2))));
}

#[test]
fn its_ends_say_how_full_it_is() {
    let (sender, mut mailbox) = filled(Full::Wait);
    _ = mailbox.try_recv();
    sender.close();
    assert_eq!(format!("{sender:?} {mailbox:?}"), "Sender(1 of 2, closed) Mailbox(1 of 2, closed)");
}

/// Any sequence of calls against a plain list.
#[test]
fn it_does_as_a_plain_list_would() {
    let mut random = 7_u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for round in 0..600 {
        let full = [Full::Wait, Full::WaitForHalf, Full::Refuse, Full::DropOldest][round % 4];
        let capacity = 1 + next(6) as usize;
        let (sender, mut mailbox) = Mailbox::bounded(capacity, full);
        let (mut list, mut permits, mut dropped) = (VecDeque::new(), Vec::<Permit<u32>>::new(), 0);
        for step in 0..60 {
            let fits = list.len() + permits.len() < capacity;
            match next(9) {
                0..=3 => {
                    let makes_room = full == Full::DropOldest && !list.is_empty();
                    assert_eq!(sender.try_send(step).is_ok(), fits || makes_room);
                    if !fits && makes_room {
                        dropped += 1;
                        list.pop_front();
                    }
                    if fits || makes_room {
                        list.push_back(step);
                    }
                }
                4..=5 => assert_eq!(mailbox.try_recv().ok(), list.pop_front()),
                6 => {
                    let permit = sender.reserve();
                    assert_eq!(permit.is_ok(), fits);
                    permits.extend(permit);
                }
                7 => match permits.pop() {
                    Some(permit) if next(2) == 0 => {
                        permit.send(step).expect("it is open");
                        list.push_back(step);
                    }
                    _ => {}
                },
                _ if next(4) == 0 => assert_eq!(mailbox.drain(), Vec::from(std::mem::take(&mut list))),
                _ => {}
            }
            assert_eq!((mailbox.len(), mailbox.dropped()), (list.len(), dropped));
        }
    }
}

/// Little room and many senders, some of which have a deadline: all that was sent arrives, each sender's in its order.
#[test]
fn nothing_is_lost_and_each_senders_values_come_in_order() {
    const SENDERS: usize = 4;
    let values = if deep() { 50_000 } else { 1_000 };
    for (capacity, full) in [(1, Full::Wait), (3, Full::Wait), (64, Full::Wait), (8, Full::WaitForHalf)] {
        let (sender, mut mailbox) = Mailbox::bounded(capacity, full);
        let clock = Clock::system();
        let senders: Vec<_> = (0..SENDERS)
            .map(|which| {
                let (sender, clock) = (sender.clone(), clock.clone());
                let body = move || {
                    for number in 0..values {
                        let mut value = (which, number);
                        while let Err(error) = sender.send(value, clock.within(std::time::Duration::from_micros(50))) {
                            assert!(matches!(error, SendError::TimedOut(_)), "{error}");
                            value = error.into_inner();
                        }
                    }
                };
                thread::Builder::new("sends").spawn(body).expect("a thread")
            })
            .collect();
        let mut expected = [0; SENDERS];
        for _ in 0..SENDERS * values {
            let (which, number) = mailbox.recv(clock.within(patience())).expect("they all send");
            assert_eq!(number, expected[which]);
            expected[which] += 1;
            assert!(mailbox.len() <= capacity);
        }
        assert_eq!(mailbox.try_recv(), Err(TryRecvError::Empty));
        senders.into_iter().for_each(|sender| sender.join().expect("it does not panic"));
    }
}
