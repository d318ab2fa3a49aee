//! Timers: set, cancelled, fired.

use std::sync::Arc;

use foundation_sync::{Mutex, Serial};
use foundation_testkit::{explore, reached};

use crate::keeper::{Collects, join_all, keeper};

#[test]
fn after_cancel_has_returned_a_timer_does_not_fire() {
    explore("after cancel has returned a timer does not fire")
        .reaches(&["fired", "cancelled"])
        .catches(&["timekeeper: fires after the lock"])
        .run(|| {
            let (keeper, bodies) = keeper();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let serial = Serial::new(Collects { seen: Arc::clone(&seen), inside: false }, &keeper);
            let timer = keeper.set(0, &serial, (2, 0));
            let cancelled = keeper.cancel(timer);
            serial.push((2, 1));
            join_all(&bodies);
            match cancelled {
                true => reached!("cancelled"),
                false => reached!("fired"),
            }
            let expected: &[_] = if cancelled { &[(2, 1)] } else { &[(2, 0), (2, 1)] };
            assert_eq!(*seen.lock(), expected, "what fired, fired before");
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
