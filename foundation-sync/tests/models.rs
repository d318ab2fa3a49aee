//! The protocols of the door, on all three faces.

use std::{any::Any, sync::Arc};

use foundation_sync::{
    Activity, Agenda, Clock, Deadline, Full, Mutex, Queue, RecvError, Serial, Snapshot, Stop, Switch, Timekeeper, Turn,
    thread,
};
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

/// Collects what it is told, in order, and sees to it that it is never entered twice.
struct Collects {
    seen: Arc<Mutex<Vec<(usize, usize)>>>,
    inside: bool,
}

impl Turn for Collects {
    type Event = (usize, usize);

    fn turn(&mut self, me: &Serial<Self>, event: (usize, usize), agenda: &mut Agenda) {
        assert!(!std::mem::replace(&mut self.inside, true), "entered twice");
        self.seen.lock().push(event);
        if event == (1, 0) {
            me.push_later((3, 0), agenda);
        }
        self.inside = false;
    }

    fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
        std::panic::resume_unwind(panic);
    }
}

fn nobody() -> Timekeeper {
    Timekeeper::new(Clock::system(), |_| Err(std::io::ErrorKind::Unsupported.into()))
}

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
fn who_waits_for_a_fact_hears_of_it() {
    let scenario = explore("who waits for a fact hears of it");
    scenario.reaches(&["waited", "found at once"]).catches(&["activity: nobody is told"]).run(|| {
        let (activity, fact) = (Activity::default(), Arc::new(Mutex::new(false)));
        let (moved, made) = (activity.clone(), Arc::clone(&fact));
        let other = spawn(move || {
            *made.lock() = true;
            moved.bump();
        });
        let mut looks = 0;
        let found = activity.wait_for(&Deadline::never(), || {
            looks += 1;
            fact.lock().then_some(())
        });
        assert!(found.is_some());
        if looks > 1 {
            reached!("waited");
        } else {
            reached!("found at once");
        }
        join(other);
    });
}

/// A timekeeper whose threads are kept, to be joined.
type Bodies = Arc<Mutex<Vec<thread::JoinHandle<()>>>>;

fn keeper() -> (Timekeeper, Bodies) {
    let bodies = Bodies::default();
    let started = Arc::clone(&bodies);
    let keeper = Timekeeper::new(Clock::system(), move |body| {
        let body = thread::Builder::new("timekeeper").spawn(body)?;
        started.lock().push(body);
        Ok(())
    });
    (keeper, bodies)
}

fn join_all(bodies: &Bodies) {
    loop {
        let body = bodies.lock().pop();
        match body {
            Some(body) => join(body),
            None => return,
        }
    }
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

#[test]
fn the_latest_decision_stands_however_late_the_others_arrive() {
    explore("the latest decision stands however late the others arrive")
        .reaches(&["switch: a push came late", "in order"])
        .catches(&["switch: a late push wins"])
        .run(|| {
            let switch = Switch::off();
            let (first, other) = (switch.epoch().flipped(), switch.clone());
            let late = spawn(move || {
                if other.push(first) {
                    reached!("in order");
                }
            });
            switch.push(first.flipped());
            join(late);
            assert_eq!(switch.epoch(), first.flipped());
        });
}

#[test]
fn whoever_finds_no_old_guard_after_a_flip_never_meets_one() {
    explore("whoever finds no old guard after a flip never meets one")
        .reaches(&["old", "new", "none was open"])
        .catches(&["switch: a guard looks once"])
        .run(|| {
            let switch = Switch::off();
            let other = switch.clone();
            let opened = Arc::new(Mutex::new(None));
            let place = Arc::clone(&opened);
            let opens = spawn(move || {
                let guard = other.enter();
                match guard.was_on() {
                    true => reached!("new"),
                    false => reached!("old"),
                }
                *place.lock() = Some(guard);
            });
            switch.push(switch.epoch().turned(true));
            let none = switch.off_guards() == 0;
            join(opens);
            let was_on = opened.lock().as_ref().is_some_and(|guard| guard.was_on());
            if none {
                reached!("none was open");
                assert!(was_on, "an old guard was opened when none was left");
            }
            assert_eq!(switch.off_guards(), usize::from(!was_on), "it is counted until it is dropped");
            let closed = opened.lock().take();
            drop(closed);
            assert_eq!(switch.off_guards(), 0);
        });
}

#[test]
fn no_update_of_a_snapshot_is_lost() {
    explore("no update of a snapshot is lost").reaches(&["snapshot: somebody else was faster"]).run(|| {
        let cell = Arc::new(Snapshot::new(0));
        let same = Arc::clone(&cell);
        let add = |cell: &Snapshot<i32>| _ = cell.update(|now| Ok::<_, ()>(now + 1));
        let other = spawn(move || add(&same));
        add(&cell);
        join(other);
        assert_eq!(*cell.load(), 2);
    });
}
