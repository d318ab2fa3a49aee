//! A serial: no news lost, no turn lost.

use std::{any::Any, sync::Arc};

use foundation_sync::{Agenda, Mutex, Serial, Turn};
use foundation_testkit::{explore, join, spawn};

use crate::keeper::{Collects, join_all, keeper, nobody};

#[test]
fn a_serial_loses_no_news_and_keeps_the_order_of_each_source() {
    explore("a serial loses no news and keeps the order of each source")
        .reaches(&["news for somebody who turns"])
        .catches(&["serial: last look"])
        .run(|| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let serial = Serial::new(Collects { seen: Arc::clone(&seen), inside: false }, &nobody());
            let bringers = [1, 2].map(|source| {
                let serial = serial.clone();
                spawn(move || (0..2).for_each(|number| serial.push((source, number))))
            });
            bringers.into_iter().for_each(join);
            let seen = seen.lock();
            assert_eq!(seen.len(), 5, "{seen:?}");
            for source in [1, 2] {
                let numbers: Vec<_> =
                    seen.iter().filter(|(from, _)| *from == source).map(|(_, number)| *number).collect();
                assert_eq!(numbers, [0, 1]);
            }
        });
}

/// Turns on and on, for so many events.
struct Counts {
    left: usize,
    done: Arc<Mutex<usize>>,
}

impl Turn for Counts {
    type Event = ();

    fn turn(&mut self, me: &Serial<Self>, (): (), agenda: &mut Agenda) {
        *self.done.lock() += 1;
        if self.left > 0 {
            self.left -= 1;
            me.push_later((), agenda);
        }
    }

    fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn two_hand_overs_to_a_thread_that_cannot_be_started_lose_no_news() {
    explore("two hand-overs to a thread that can't be started lose no news")
        .reaches(&["no taker"])
        .catches(&["timekeeper: one duty is taken back"])
        .run(|| {
            let (keeper, done) = (nobody(), Arc::new(Mutex::new(0)));
            let serials = [(); 2].map(|()| Serial::new(Counts { left: 12, done: Arc::clone(&done) }, &keeper));
            let bringers = serials.map(|serial| spawn(move || serial.push(())));
            bringers.into_iter().for_each(join);
            assert_eq!(*done.lock(), 26);
        });
}

#[test]
fn a_turn_that_is_handed_over_goes_on_elsewhere() {
    explore("a turn that is handed over goes on elsewhere").reaches(&["news for somebody who turns"]).run(|| {
        let (keeper, bodies) = keeper();
        let done = Arc::new(Mutex::new(0));
        let serial = Serial::new(Counts { left: 12, done: Arc::clone(&done) }, &keeper);
        serial.push(());
        serial.push(());
        join_all(&bodies);
        assert_eq!(*done.lock(), 14);
    });
}
