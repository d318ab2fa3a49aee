//! Virtual time: who wakes whom, and when time goes on.

use std::{sync::Arc, time::Duration};

use foundation_sync::{Clock, Deadline, Full, Mutex, Queue, RecvError, VirtualTime, thread};
use foundation_testkit::{explore, join, reached, spawn};

const TICK: Duration = Duration::from_nanos(1);

fn beside(clock: &Clock, body: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    spawn(clock.enrol("beside", body))
}

#[test]
fn what_was_sent_before_an_advance_is_handled_when_it_returns() {
    explore("what was sent before an advance is handled when it returns")
        .reaches(&["a sleeper is woken", "it was awake"])
        .catches(&["virtual time: a wake-up under way is taken for rest"])
        .run(|| {
            let time = VirtualTime::new();
            let (letters, handled) = (Queue::bounded(1, Full::Wait), Arc::new(Mutex::new(false)));
            let (mailbox, done) = (letters.clone(), Arc::clone(&handled));
            let reader = beside(&time.clock(), move || {
                while mailbox.recv(Deadline::never()).is_ok() {
                    *done.lock() = true;
                }
            });
            match time.running().is_empty() {
                true => reached!("a sleeper is woken"),
                false => reached!("it was awake"),
            }
            letters.try_send(()).expect("it is empty");
            time.advance(Duration::ZERO).expect("it is handled");
            assert!(*handled.lock());
            letters.close();
            join(reader);
        });
}

#[test]
fn a_value_that_comes_when_the_deadline_does_is_not_lost() {
    explore("a value that comes when the deadline does is not lost")
        .reaches(&["a value", "too late", "notified and due"])
        .run(|| {
            let time = VirtualTime::new();
            let letters = Queue::bounded(1, Full::Wait);
            let (mailbox, until) = (letters.clone(), time.clock().within(TICK));
            let reader = beside(&time.clock(), move || match mailbox.recv(until) {
                Ok(value) => {
                    assert_eq!(value, 7);
                    reached!("a value");
                }
                Err(error) => {
                    assert_eq!(error, RecvError::TimedOut);
                    reached!("too late");
                    // It comes in spite of that, to whoever reads next.
                    assert_eq!(mailbox.recv(Deadline::never()), Ok(7));
                }
            });
            let sender = spawn(move || letters.try_send(7).expect("it is empty"));
            time.advance(TICK).expect("it waits, or has ended");
            assert_eq!(time.clock().now(), 1);
            join(sender);
            join(reader);
        });
}

#[test]
fn time_jumps_when_the_last_one_waits_whoever_that_is() {
    explore("time jumps when the last one waits, whoever that is")
        .reaches(&["the first was last", "the second was last"])
        .catches(&["virtual time: goes on while somebody runs"])
        .run(|| {
            let time = VirtualTime::auto();
            let order = Arc::new(Mutex::new(Vec::new()));
            let [first, second] = [1, 2].map(|at| {
                let (clock, order) = (time.clock(), Arc::clone(&order));
                time.clock().enrol("sleeper", move || {
                    order.lock().push(0);
                    let nothing = Queue::<u8>::bounded(1, Full::Wait);
                    assert_eq!(nothing.recv(clock.at(at)), Err(RecvError::TimedOut));
                    order.lock().push(clock.now());
                    at
                })
            });
            let order_of = Arc::clone(&order);
            let second = spawn(move || {
                if *order_of.lock() == [0] {
                    reached!("the second was last");
                }
                second();
            });
            if *order.lock() == [0] {
                reached!("the first was last");
            }
            // It is of that time for as long as it runs that body.
            first();
            join(second);
            assert_eq!(*order.lock(), [0, 0, 1, 2], "both began before time went on, and ended in their order");
        });
}
