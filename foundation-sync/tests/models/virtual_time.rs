//! Virtual time: who wakes whom, and when time goes on.

use std::{sync::Arc, time::Duration};

use foundation_sync::{Clock, Condvar, Deadline, Full, MINUTE, Mutex, Queue, RecvError, VirtualTime, thread};
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

#[test]
fn of_two_sleepers_one_gets_what_is_put_when_the_other_is_due() {
    explore("of two sleepers one gets what is put when the other is due")
        .reaches(&["the one that was due took it", "the other one did", "notified and due"])
        .run(|| {
            let time = VirtualTime::new();
            let table = Arc::new((Mutex::new(0), Condvar::new()));
            let take = |table: &(Mutex<u32>, Condvar), until: &Deadline| {
                let mut tokens = table.0.lock();
                while *tokens == 0 && !until.passed() {
                    tokens = table.1.wait(tokens, until);
                }
                let took = *tokens > 0;
                *tokens -= u32::from(took);
                took
            };
            let put = |table: &(Mutex<u32>, Condvar)| {
                *table.0.lock() += 1;
                table.1.notify_one();
            };
            let [due, other] = [time.clock().within(TICK), Deadline::never()].map(|until| {
                let (table, took) = (Arc::clone(&table), Arc::new(Mutex::new(false)));
                let notes = Arc::clone(&took);
                let thread = beside(&time.clock(), move || *notes.lock() = take(&table, &until));
                (thread, took)
            });
            let puts = Arc::clone(&table);
            let puts = spawn(move || put(&puts));
            time.advance(TICK).expect("they wait, or have ended");
            join(puts);
            join(due.0);
            if *due.1.lock() {
                reached!("the one that was due took it");
                put(&table);
            } else {
                reached!("the other one did");
            }
            join(other.0);
            assert_eq!((*other.1.lock(), *table.0.lock()), (true, 0));
        });
}

#[test]
fn a_time_that_is_let_go_a_moment_after_its_beginning_is_let_go() {
    explore("a time that is let go a moment after its beginning is let go").reaches(&["it slept", "it did not"]).run(
        || {
            let time = VirtualTime::new();
            let letters = Queue::bounded(1, Full::Wait);
            time.advance(TICK).expect("nobody runs");
            let (mailbox, until) = (letters.clone(), time.clock().within(MINUTE));
            let reader = beside(&time.clock(), move || assert_eq!(mailbox.recv(until), Ok(1)));
            match (0..6).any(|_| time.running().is_empty()) {
                true => reached!("it slept"),
                false => reached!("it did not"),
            }
            time.flow();
            letters.try_send(1).expect("it is empty");
            join(reader);
        },
    );
}
