//! What virtual time promises to whoever waits, on real threads.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use foundation_sync::{
    Activity, AdvanceError, Clock, Condvar, Deadline, Full, MINUTE, Mutex, Queue, RecvError, SECOND, SendError, Stop,
    VirtualTime,
    atomic::{AtomicU32, Ordering::SeqCst},
    thread,
};
use foundation_testkit::{patience, wait_for};

fn time() -> (VirtualTime, Clock) {
    let time = VirtualTime::new().patience(patience());
    (time.clone(), time.clock())
}

/// A thread of this clock's time.
fn spawn(clock: &Clock, name: &str, body: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new(name).spawn(clock.enrol(name, body)).expect("a thread")
}

#[test]
fn every_wait_of_the_library_goes_by_virtual_time() {
    let (time, clock) = time();
    type Wait = (&'static str, fn(&Clock));
    let waits: [Wait; 5] = [
        ("recv", |clock| {
            let queue = Queue::<u8>::bounded(1, Full::Wait);
            assert_eq!(queue.recv(clock.within(SECOND)), Err(RecvError::TimedOut));
        }),
        ("recv or stop", |clock| {
            let queue = Queue::<u8>::bounded(1, Full::Wait);
            assert_eq!(queue.recv(clock.within(SECOND).or_stop(&Stop::new())), Err(RecvError::TimedOut));
        }),
        ("send", |clock| {
            let queue = Queue::bounded(1, Full::Wait);
            queue.try_send(1).expect("it is empty");
            assert_eq!(queue.send(2, clock.within(SECOND)), Err(SendError::TimedOut(2)));
        }),
        ("condvar", |clock| {
            let (until, state, changed) = (clock.within(SECOND), Mutex::new(()), Condvar::new());
            let mut guard = state.lock();
            while !until.passed() {
                guard = changed.wait(guard, &until);
            }
        }),
        ("activity", |clock| {
            let nothing = Activity::default();
            assert!(nothing.wait_for(&clock.within(SECOND), || None::<()>).is_none());
        }),
    ];
    let done = Arc::new(AtomicU32::new(0));
    let threads = waits.map(|(name, wait)| {
        let (done, own) = (Arc::clone(&done), clock.clone());
        spawn(&clock, name, move || {
            wait(&own);
            assert_eq!(own.now(), 1_000_000_000);
            done.fetch_add(1, SeqCst);
        })
    });
    time.advance(SECOND - Duration::from_nanos(1)).expect("all wait");
    assert_eq!(done.load(SeqCst), 0);
    time.advance(Duration::from_nanos(1)).expect("all are done");
    assert_eq!(done.load(SeqCst), 5);
    threads.into_iter().for_each(|thread| thread.join().expect("it did not panic"));
}

#[test]
fn a_deadline_of_the_past_is_not_waited_for() {
    let (time, clock) = time();
    time.advance(SECOND).expect("nothing to do");
    let queue = Queue::<u8>::bounded(1, Full::Wait);
    for until in [clock.at(0), clock.at(clock.now()), clock.within(Duration::ZERO)] {
        assert!(until.passed());
        assert_eq!(queue.recv(until), Err(RecvError::TimedOut));
    }
}

#[test]
fn what_was_notified_before_an_advance_is_done_when_it_returns() {
    // More readers than cores, so that some have been woken and do not run yet.
    const READERS: u32 = 8;
    let (time, clock) = time();
    let read = Arc::new(AtomicU32::new(0));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let letters = Queue::bounded(1, Full::Wait);
            let (mailbox, counts) = (letters.clone(), Arc::clone(&read));
            let reader = spawn(&clock, "reader", move || {
                while mailbox.recv(Deadline::never()).is_ok() {
                    thread::yield_now();
                    counts.fetch_add(1, SeqCst);
                }
            });
            (letters, reader)
        })
        .collect();
    for round in 1..=200 {
        readers.iter().for_each(|(letters, _)| letters.try_send(()).expect("the one before was read"));
        time.advance(Duration::ZERO).expect("all are read");
        assert_eq!(read.load(SeqCst), READERS * round);
    }
    for (letters, reader) in readers {
        letters.close();
        reader.join().expect("it did not panic");
    }
}

#[test]
fn a_notification_reaches_one_of_those_who_wait_by_either_time() {
    let (_, clock) = time();
    let letters = Queue::bounded(8, Full::Wait);
    let read = Arc::new(AtomicU32::new(0));
    let readers = [clock, Clock::system()].map(|clock| {
        let (letters, read) = (letters.clone(), Arc::clone(&read));
        spawn(&clock.clone(), "reader", move || {
            while letters.recv(clock.within(100 * patience())).is_ok() {
                read.fetch_add(1, SeqCst);
            }
        })
    });
    for _ in 0..1_000 {
        letters.send((), Clock::system().within(patience())).expect("somebody reads");
    }
    wait_for(|| read.load(SeqCst) == 1_000);
    letters.close();
    readers.into_iter().for_each(|reader| reader.join().expect("it did not panic"));
}

#[test]
fn time_that_jumps_stands_while_somebody_runs() {
    let time = VirtualTime::auto().patience(patience());
    let clock = time.clock();
    let entered = time.enter("the test");
    let nothing = Queue::<u8>::bounded(1, Full::Wait);
    let (own, sleeps) = (clock.clone(), nothing.clone());
    let sleeper = spawn(&clock, "sleeper", move || {
        for n in 1..=1_000 {
            assert_eq!(sleeps.recv(own.within(SECOND)), Err(RecvError::TimedOut));
            assert_eq!(own.now(), n * 1_000_000_000);
        }
    });
    assert_eq!(clock.now(), 0, "the test runs");
    assert_eq!(nothing.recv(clock.within(100 * SECOND)), Err(RecvError::TimedOut));
    assert_eq!(clock.now(), 100_000_000_000);
    time.advance(50 * SECOND).expect("it sleeps in between");
    assert_eq!(clock.now(), 150_000_000_000);
    // The test leaves, and time goes on without it.
    drop(entered);
    sleeper.join().expect("it did not panic");
    assert_eq!(clock.now(), 1_000_000_000_000);
}

#[test]
fn an_advance_gives_up_in_real_time_and_names_who_did_not_wait() {
    let time = VirtualTime::new().patience(Duration::from_millis(20));
    let (clock, gate) = (time.clock(), Arc::new(Mutex::new(false)));
    let opened = Arc::clone(&gate);
    let until = clock.within(SECOND);
    let busy = spawn(&clock, "busy", move || {
        let nothing = Queue::<u8>::bounded(1, Full::Wait);
        assert_eq!(nothing.recv(until), Err(RecvError::TimedOut));
        while !*opened.lock() {
            thread::yield_now();
        }
    });
    wait_for(|| time.running().is_empty());
    let error = time.advance(MINUTE).expect_err("it runs on");
    let expected =
        AdvanceError::StillRunning { who: vec!["busy".into()], waited: Duration::from_millis(20), at: 1_000_000_000 };
    assert_eq!(error, expected);
    assert_eq!(clock.now(), 1_000_000_000, "time stays where it got");
    *gate.lock() = true;
    busy.join().expect("it did not panic");
    time.advance(MINUTE).expect("nobody runs");
    assert_eq!(clock.now(), 61_000_000_000);
}

#[test]
fn time_that_is_let_go_is_the_systems() {
    let (time, clock) = time();
    time.advance(MINUTE).expect("nothing to do");
    let nothing = Queue::<u8>::bounded(1, Full::Wait);
    let until = clock.within(Duration::from_millis(1));
    let sleeper = spawn(&clock, "sleeper", move || assert_eq!(nothing.recv(until), Err(RecvError::TimedOut)));
    time.flow();
    sleeper.join().expect("its deadline passes by itself");
    let now = clock.now();
    assert!(now >= 60_001_000_000, "{now}");
    time.flow();
    assert!(clock.now() >= now, "it is let go once");
    assert_eq!(time.advance(SECOND), Err(AdvanceError::Flows));
}

#[test]
fn the_calendar_goes_with_virtual_time() {
    let (time, clock) = time();
    let year_2000 = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    assert_eq!(clock.date(), year_2000);
    time.advance(MINUTE).expect("nothing to do");
    assert_eq!(clock.date(), year_2000 + MINUTE);
}

#[test]
fn a_body_that_never_runs_is_not_waited_for() {
    let (time, clock) = time();
    let body = clock.enrol("never", || {});
    assert_eq!(time.running(), ["never".into()]);
    drop(body);
    assert!(time.running().is_empty());
    let panics = spawn(&clock, "panics", || std::panic::resume_unwind(Box::new(())));
    panics.join().expect_err("it did");
    time.advance(SECOND).expect("it has gone");
}

#[test]
fn a_thread_may_be_of_two_times_and_waits_in_both() {
    let [a, b] = [(); 2].map(|()| VirtualTime::auto().patience(patience()));
    let [_in_a, _in_b] = [a.enter("the test"), b.enter("the test")];
    let nothing = Queue::<u8>::bounded(1, Full::Wait);
    for time in [&a, &b] {
        assert_eq!(nothing.recv(time.clock().within(SECOND)), Err(RecvError::TimedOut));
        time.advance(SECOND).expect("nobody runs");
        assert_eq!(time.clock().now(), 2_000_000_000);
    }
    // What waits by the one goes on while the test waits by the other.
    let (own, sleeps, done) = (b.clock(), nothing, Queue::bounded(1, Full::Refuse));
    let says = done.clone();
    let sleeper = spawn(&b.clock(), "sleeper", move || {
        assert_eq!(sleeps.recv(own.within(SECOND)), Err(RecvError::TimedOut));
        says.try_send(()).expect("there is room");
    });
    done.recv(Clock::system().within(patience())).expect("it is done");
    sleeper.join().expect("it did not panic");
}

#[test]
fn who_left_a_time_can_enter_it_again_in_whatever_order_it_left() {
    let [(a, _), (b, _)] = [time(), time()];
    let (in_a, in_b) = (a.enter("one"), b.enter("one"));
    drop(in_a);
    drop(in_b);
    let again = a.enter("again");
    assert_eq!((a.running(), b.running()), (vec!["again".into()], vec![]));
    // Left on another thread.
    let other = thread::Builder::new("other").spawn(move || drop(again)).expect("a thread");
    other.join().expect("it did not panic");
    let _once_more = a.enter("once more");
    assert_eq!(a.running(), ["once more".into()]);
    let nested = a.enter("nested");
    assert_eq!(a.running(), ["once more".into()], "a thread is one, however often it enters");
    drop(nested);
    assert_eq!(a.running(), ["once more".into()]);
}

#[test]
fn time_that_jumps_goes_on_after_a_stranger_has_advanced_it() {
    let time = VirtualTime::auto().patience(patience());
    let (clock, nothing) = (time.clock(), Queue::<u8>::bounded(1, Full::Wait));
    let entered = time.enter("the test");
    let own = clock.clone();
    let sleeper = spawn(&clock, "sleeper", move || (0..10).for_each(|_| _ = nothing.recv(own.within(SECOND))));
    let strangers = time.clone();
    let advances =
        thread::Builder::new("stranger").spawn(move || strangers.advance(SECOND * 11 / 2).expect("it waits"));
    wait_for(|| clock.now() >= 5_000_000_000);
    drop(entered);
    advances.expect("a thread").join().expect("it did not panic");
    sleeper.join().expect("it did not panic");
}

#[test]
fn a_stranger_does_not_wait_for_ever_by_a_time_that_stands() {
    let time = VirtualTime::new().patience(Duration::from_millis(20));
    let queue = Queue::<u8>::bounded(1, Full::Wait);
    let wait = std::panic::AssertUnwindSafe(|| queue.recv(time.clock().within(SECOND)));
    let panic = std::panic::catch_unwind(wait).expect_err("nobody advances it");
    let text = panic.downcast::<String>().expect("a text");
    assert!(text.contains("20ms of real time at foundation-sync/tests/sync/virtual_time.rs"), "{text}");
    queue.try_send(1).expect("it is empty");
    assert_eq!(queue.try_recv(), Ok(1), "the queue is as it was");
}

#[test]
fn whose_real_deadline_is_over_runs_again() {
    let (time, clock) = time();
    let (open, over) = (Arc::new(Mutex::new(false)), Queue::bounded(1, Full::Refuse));
    let (opened, says) = (Arc::clone(&open), over.clone());
    let waits = spawn(&clock, "waits", move || {
        let nothing = Queue::<u8>::bounded(1, Full::Wait);
        assert_eq!(nothing.recv(Clock::system().within(Duration::from_millis(1))), Err(RecvError::TimedOut));
        says.try_send(()).expect("there is room");
        while !*opened.lock() {
            thread::yield_now();
        }
    });
    over.recv(Clock::system().within(patience())).expect("it has waited");
    assert_eq!(time.running(), ["waits".into()]);
    *open.lock() = true;
    waits.join().expect("it did not panic");
}

#[test]
fn patience_begins_anew_whenever_time_moves() {
    let time = VirtualTime::new().patience(patience() / 25);
    let clock = time.clock();
    let (own, enough) = (clock.clone(), Clock::system().within(patience() / 10));
    let ticker = spawn(&clock, "ticker", move || {
        let nothing = Queue::<u8>::bounded(1, Full::Wait);
        while !enough.passed() {
            assert_eq!(nothing.recv(own.within(Duration::from_nanos(1))), Err(RecvError::TimedOut));
        }
    });
    time.advance(MINUTE).expect("it moves on and on, for longer than patience");
    ticker.join().expect("it did not panic");
}

#[test]
fn an_advance_ends_when_time_is_let_go() {
    let (time, clock) = time();
    let open = Arc::new(Mutex::new(false));
    let gate = Arc::clone(&open);
    let busy = spawn(&clock, "busy", move || {
        while !*gate.lock() {
            thread::yield_now();
        }
    });
    let other = time.clone();
    let begins = Queue::bounded(1, Full::Refuse);
    let says = begins.clone();
    let advances = thread::Builder::new("advances").spawn(move || {
        says.try_send(()).expect("there is room");
        assert_eq!(other.advance(MINUTE), Err(AdvanceError::Flows));
    });
    begins.recv(Clock::system().within(patience())).expect("it begins");
    time.flow();
    advances.expect("a thread").join().expect("it did not panic");
    *open.lock() = true;
    busy.join().expect("it did not panic");
}
