//! What a timekeeper and a serial promise on real threads.

use std::{any::Any, sync::Arc, time::Duration};

use foundation_sync::{Agenda, Clock, Full, Mutex, Queue, Serial, Timekeeper, Turn, thread};
use foundation_testkit::patience;

/// Tells what it hears, and panics when told to.
struct Tells {
    heard: Queue<u32>,
    echo: u32,
}

impl Turn for Tells {
    type Event = u32;

    fn turn(&mut self, me: &Serial<Self>, event: u32, agenda: &mut Agenda) {
        assert_ne!(event, u32::MAX, "told to panic");
        self.heard.try_send(event).expect("the tests send less");
        if event < self.echo {
            me.push_later(event + 1, agenda);
        }
    }

    fn broken(&mut self, _: &Serial<Self>, _: Box<dyn Any + Send>, _: &mut Agenda) {
        self.heard.try_send(0).expect("the tests send less");
    }
}

struct Bench {
    clock: Clock,
    keeper: Timekeeper,
    serial: Serial<Tells>,
    heard: Queue<u32>,
    threads: Arc<Mutex<Vec<thread::JoinHandle<()>>>>,
}

fn bench(echo: u32) -> Bench {
    let (clock, heard) = (Clock::system(), Queue::bounded(10_000, Full::Refuse));
    let threads = Arc::new(Mutex::new(Vec::new()));
    let started = Arc::clone(&threads);
    let keeper = Timekeeper::new(clock.clone(), move |body| {
        started.lock().push(thread::Builder::new("timekeeper").spawn(body)?);
        Ok(())
    });
    let serial = Serial::new(Tells { heard: heard.clone(), echo }, &keeper);
    Bench { clock, keeper, serial, heard, threads }
}

impl Bench {
    fn hear(&self, count: usize) -> Vec<u32> {
        let until = self.clock.within(patience());
        (0..count).map(|_| self.heard.recv(&until).expect("it is heard within the test's patience")).collect()
    }
}

#[test]
fn timers_fire_in_the_order_of_their_times_and_ties_in_the_order_of_setting() {
    let bench = bench(0);
    let soon = bench.clock.now() + 400_000_000;
    for (after, event) in [(3, 5), (1, 1), (2, 3), (1, 2), (2, 4)] {
        bench.keeper.set(soon + after * 1_000_000, &bench.serial, event);
    }
    assert_eq!(bench.keeper.pending(), 5);
    assert_eq!(bench.hear(5), [1, 2, 3, 4, 5]);
    assert_eq!(bench.keeper.pending(), 0);
}

#[test]
fn a_timer_of_the_past_fires_at_once() {
    let bench = bench(0);
    bench.keeper.set(0, &bench.serial, 7);
    assert_eq!(bench.hear(1), [7]);
}

#[test]
fn a_cancelled_timer_does_not_fire_and_a_later_one_does() {
    let bench = bench(0);
    let now = bench.clock.now();
    let cancelled = bench.keeper.set(now + 400_000_000, &bench.serial, 1);
    bench.keeper.set(now + 410_000_000, &bench.serial, 2);
    assert!(bench.keeper.cancel(cancelled));
    assert!(!bench.keeper.cancel(cancelled), "it is cancelled once");
    assert_eq!(bench.hear(1), [2]);
}

#[test]
fn there_is_no_thread_before_the_first_timer_and_none_after_the_last() {
    let bench = bench(0);
    bench.serial.push(1);
    assert!(bench.threads.lock().is_empty());
    bench.keeper.set(0, &bench.serial, 2);
    assert_eq!(bench.hear(2), [1, 2]);
    let first = bench.threads.lock().pop().expect("a timer needs one");
    first.join().expect("it ends by itself");
    bench.keeper.set(0, &bench.serial, 3);
    assert_eq!(bench.hear(1), [3]);
    let second = bench.threads.lock().pop().expect("the next timer needs another");
    second.join().expect("it ends by itself");
}

#[test]
fn closing_forgets_the_timers_and_ends_the_thread() {
    let bench = bench(0);
    bench.keeper.set(bench.clock.now() + 3_600_000_000_000, &bench.serial, 1);
    bench.keeper.close();
    let body = bench.threads.lock().pop().expect("the timer needs one");
    body.join().expect("it ends when closed");
    assert_eq!(bench.keeper.pending(), 0);
}

#[test]
fn a_long_turn_goes_to_the_timekeeper_and_nothing_is_lost() {
    let bench = bench(1_000);
    bench.serial.push(1);
    assert_eq!(bench.hear(1_000), (1..=1_000).collect::<Vec<_>>());
    assert_eq!(bench.threads.lock().len(), 1, "the rest was handed over");
}

#[test]
fn without_a_timekeeper_to_take_over_the_turn_goes_on() {
    let heard = Queue::bounded(10_000, Full::Refuse);
    let nobody = Timekeeper::new(Clock::system(), |_| Err(std::io::ErrorKind::OutOfMemory.into()));
    let serial = Serial::new(Tells { heard: heard.clone(), echo: 1_000 }, &nobody);
    serial.push(1);
    assert_eq!(heard.len(), 1_000);
}

#[test]
fn a_timer_for_which_there_was_no_thread_is_kept_for_the_next_try() {
    let refusals = Arc::new(Mutex::new(1));
    let (clock, heard) = (Clock::system(), Queue::bounded(10, Full::Refuse));
    let left = Arc::clone(&refusals);
    let keeper = Timekeeper::new(clock.clone(), move |body| {
        let refused = std::mem::take(&mut *left.lock()) > 0;
        match refused {
            true => Err(std::io::ErrorKind::OutOfMemory.into()),
            false => thread::Builder::new("timekeeper").spawn(body).map(drop),
        }
    });
    let serial = Serial::new(Tells { heard: heard.clone(), echo: 0 }, &keeper);
    keeper.set(0, &serial, 1);
    assert_eq!(keeper.pending(), 1);
    keeper.set(clock.now() + 1, &serial, 2);
    let until = clock.within(patience());
    assert_eq!([heard.recv(&until), heard.recv(&until)], [Ok(1), Ok(2)]);
}

#[test]
fn a_panic_in_a_turn_is_contained_and_told() {
    let bench = bench(0);
    bench.serial.push(u32::MAX);
    bench.serial.push(5);
    assert_eq!(bench.hear(2), [0, 5]);
}

/// Panics at each event, and once more when it is told so, with a payload that panics when it is dropped.
struct Hopeless(Queue<u32>);

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::resume_unwind(Box::new("dropped"));
        }
    }
}

impl Turn for Hopeless {
    type Event = u32;

    fn turn(&mut self, _: &Serial<Self>, event: u32, _: &mut Agenda) {
        self.0.try_send(event).expect("the tests send less");
        std::panic::resume_unwind(Box::new(Bomb));
    }

    fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
        std::mem::forget(panic);
        std::panic::resume_unwind(Box::new(Bomb));
    }
}

#[test]
fn what_is_left_of_the_news_is_handled_whatever_panics() {
    let heard = Queue::bounded(10, Full::Refuse);
    let nobody = Timekeeper::new(Clock::system(), |_| Err(std::io::ErrorKind::OutOfMemory.into()));
    let serial = Serial::new(Hopeless(heard.clone()), &nobody);
    (1..=3).for_each(|event| serial.push(event));
    assert_eq!(heard.drain(), [1, 2, 3]);
}

/// Sets a timer of the past in each turn, until it is told to end.
struct Restless {
    keeper: Timekeeper,
    end: Arc<Mutex<bool>>,
}

impl Turn for Restless {
    type Event = ();

    fn turn(&mut self, me: &Serial<Self>, (): (), _: &mut Agenda) {
        if !*self.end.lock() {
            self.keeper.set(0, me, ());
        }
    }

    fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_turn_that_was_handed_over_has_its_turn_however_many_timers_are_due() {
    let bench = bench(1_000);
    let end = Arc::new(Mutex::new(false));
    let restless = Serial::new(Restless { keeper: bench.keeper.clone(), end: Arc::clone(&end) }, &bench.keeper);
    restless.push(());
    bench.serial.push(1);
    assert_eq!(bench.hear(1_000).len(), 1_000);
    *end.lock() = true;
}

#[test]
fn hands_that_drop_with_a_timer_do_so_under_no_lock() {
    /// Asks the timekeeper when it is dropped.
    struct Asks(Timekeeper, Queue<usize>);
    impl Turn for Asks {
        type Event = ();

        fn turn(&mut self, _: &Serial<Self>, (): (), _: &mut Agenda) {}

        fn broken(&mut self, _: &Serial<Self>, _: Box<dyn Any + Send>, _: &mut Agenda) {}
    }
    impl Drop for Asks {
        fn drop(&mut self) {
            self.1.try_send(self.0.pending()).expect("there is room");
        }
    }
    let (bench, asked) = (bench(0), Queue::bounded(1, Full::Refuse));
    let serial = Serial::new(Asks(bench.keeper.clone(), asked.clone()), &bench.keeper);
    bench.keeper.set(0, &serial, ());
    drop(serial);
    assert_eq!(asked.recv(bench.clock.within(patience())), Ok(0));
}

#[test]
fn deadlines_know_what_is_left() {
    let clock = Clock::system();
    assert!(!clock.within(patience()).passed());
    assert!(clock.within(Duration::ZERO).passed());
    assert_eq!(clock.within(Duration::MAX).left(), None, "584 years are for ever");
    assert_eq!(foundation_sync::Deadline::never().left(), None);
    assert_eq!(foundation_sync::Deadline::now().left(), Some(Duration::ZERO));
}
