//! Timers: set, cancelled, fired.

use std::sync::Arc;

use foundation_sync::{Clock, Mutex, Serial, Timekeeper, thread};
use foundation_testkit::{explore, join, reached};

use crate::keeper::{Collects, join_all, keeper};

#[test]
fn a_timer_that_was_cancelled_in_time_does_not_fire() {
    explore("a timer that was cancelled in time does not fire").reaches(&["fired", "cancelled"]).run(|| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let body = Arc::new(Mutex::new(None));
        let handle = Arc::clone(&body);
        let keeper = Timekeeper::new(Clock::system(), move |body| {
            *handle.lock() = Some(thread::Builder::new("timekeeper").spawn(body)?);
            Ok(())
        });
        let serial = Serial::new(Collects { seen: Arc::clone(&seen), inside: false }, &keeper);
        let timer = keeper.set(0, &serial, (2, 0));
        let cancelled = keeper.cancel(timer);
        if let Some(handle) = body.lock().take() {
            join(handle);
        }
        let fired = !seen.lock().is_empty();
        assert_ne!(cancelled, fired, "one or the other");
        if fired {
            reached!("fired");
        } else {
            reached!("cancelled");
        }
    });
}

#[test]
fn a_timer_that_is_set_while_the_thread_ends_is_heard() {
    explore("a timer that is set while the thread ends is heard")
        .reaches(&["one thread for both", "a thread for each"])
        .catches(&["timekeeper: ends without the lock"])
        .run(|| {
            let (keeper, bodies) = keeper();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let serial = Serial::new(Collects { seen: Arc::clone(&seen), inside: false }, &keeper);
            keeper.set(0, &serial, (2, 0));
            keeper.set(0, &serial, (2, 1));
            match bodies.lock().len() {
                1 => reached!("one thread for both"),
                _ => reached!("a thread for each"),
            }
            join_all(&bodies);
            assert_eq!(*seen.lock(), [(2, 0), (2, 1)]);
        });
}
