//! What a timekeeper promises by virtual time, on real threads.

use std::{any::Any, sync::Arc, time::Duration};

use foundation_sync::{
    AdvanceError, Agenda, Clock, Full, MINUTE, Mutex, Nanos, Queue, SECOND, Serial, Timekeeper, Turn, VirtualTime,
    atomic::{AtomicU32, Ordering::SeqCst},
    thread,
};
use foundation_testkit::{deep, patience, wait_for};

fn time() -> (VirtualTime, Clock) {
    let time = VirtualTime::new().patience(patience());
    (time.clone(), time.clock())
}

/// Notes what it hears, and when.
struct Notes {
    clock: Clock,
    heard: Arc<Mutex<Vec<(Nanos, u64)>>>,
    /// What is set by an event, and how much later.
    sets: fn(u64) -> Option<(Duration, u64)>,
    keeper: Timekeeper,
}

impl Turn for Notes {
    type Event = u64;

    fn turn(&mut self, me: &Serial<Self>, event: u64, _: &mut Agenda) {
        let now = self.clock.now();
        self.heard.lock().push((now, event));
        if let Some((after, next)) = (self.sets)(event) {
            self.keeper.set(now + u64::try_from(after.as_nanos()).expect("short"), me, next);
        }
    }

    fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
        std::panic::resume_unwind(panic);
    }
}

struct Timers {
    time: VirtualTime,
    keeper: Timekeeper,
    serial: Serial<Notes>,
    heard: Arc<Mutex<Vec<(Nanos, u64)>>>,
    threads: Arc<AtomicU32>,
}

fn timers(time: VirtualTime, sets: fn(u64) -> Option<(Duration, u64)>) -> Timers {
    let (clock, threads) = (time.clock(), Arc::new(AtomicU32::new(0)));
    let (enrols, counts) = (clock.clone(), Arc::clone(&threads));
    let keeper = Timekeeper::new(clock.clone(), move |body| {
        counts.fetch_add(1, SeqCst);
        thread::Builder::new("timekeeper").spawn(enrols.enrol("timekeeper", body)).map(drop)
    });
    let heard = Arc::default();
    let notes = Notes { clock, heard: Arc::clone(&heard), sets, keeper: keeper.clone() };
    Timers { time, serial: Serial::new(notes, &keeper), keeper, heard, threads }
}

#[test]
fn timers_fire_in_the_order_of_their_times_and_ties_in_the_order_of_setting() {
    let t = timers(time().0, |_| None);
    for (at, event) in [(30, 5), (10, 1), (20, 3), (10, 2), (20, 4), (31, 6)] {
        t.keeper.set(at, &t.serial, event);
    }
    t.time.advance(Duration::from_nanos(30)).expect("they are heard");
    assert_eq!(*t.heard.lock(), [(10, 1), (10, 2), (20, 3), (20, 4), (30, 5)]);
    assert_eq!((t.keeper.pending(), t.threads.load(SeqCst)), (1, 1), "one thread for all");
}

#[test]
fn an_advance_returns_when_all_is_done_that_was_set_within_its_span() {
    let t = timers(time().0, |event| (event < 100).then_some((SECOND, event + 1)));
    t.keeper.set(0, &t.serial, 0);
    t.time.advance(10 * SECOND).expect("they are heard");
    let heard: Vec<_> = (0..=10).map(|n| (n * 1_000_000_000, n)).collect();
    assert_eq!(*t.heard.lock(), heard);
}

#[test]
fn a_timer_of_the_past_is_due_at_once() {
    let t = timers(time().0, |_| None);
    t.time.advance(MINUTE).expect("nothing to do");
    t.keeper.set(1, &t.serial, 7);
    t.time.advance(Duration::ZERO).expect("it is heard");
    assert_eq!(*t.heard.lock(), [(60_000_000_000, 7)]);
}

#[test]
fn after_cancel_has_returned_a_timer_does_not_fire() {
    let t = timers(time().0, |_| None);
    let [first, second] = [1, 2].map(|event| t.keeper.set(event, &t.serial, event));
    t.time.advance(Duration::from_nanos(1)).expect("the first is heard");
    assert!(!t.keeper.cancel(first), "it has fired");
    assert!(t.keeper.cancel(second));
    assert!(!t.keeper.cancel(second), "it is cancelled once");
    t.time.advance(MINUTE).expect("nothing to do");
    assert_eq!(*t.heard.lock(), [(1, 1)]);
}

#[test]
fn a_million_timers_are_fine() {
    let t = timers(time().0, |_| None);
    let number = if deep() { 10_000_000 } else { 1_000_000_u64 };
    // Far from their order: 7,919 has no factor in common with them.
    let set = (0..number).map(|n| t.keeper.set(1 + n * 7_919 % number, &t.serial, n)).collect::<Vec<_>>();
    assert_eq!(t.keeper.pending(), number as usize);
    set.iter().step_by(2).for_each(|timer| assert!(t.keeper.cancel(*timer)));
    let time = t.time.clone().patience(20 * patience());
    time.advance(Duration::from_nanos(number)).expect("they are heard");
    let heard = t.heard.lock();
    assert_eq!(heard.len(), number as usize / 2);
    assert!(heard.is_sorted_by_key(|(at, _)| *at));
    assert!(heard.iter().all(|(at, n)| n % 2 == 1 && *at == 1 + n * 7_919 % number));
    assert_eq!(t.threads.load(SeqCst), 1);
}

#[test]
fn a_cancelled_timer_is_no_place_for_time_to_jump_to() {
    let time = VirtualTime::auto().patience(patience());
    let _entered = time.enter("the test");
    let (clock, ended) = (time.clock(), Queue::bounded(1, Full::Refuse));
    let (enrols, ends) = (clock.clone(), ended.clone());
    let keeper = Timekeeper::new(clock.clone(), move |body| {
        let ends = ends.clone();
        let body = enrols.enrol("timekeeper", move || {
            body();
            ends.try_send(()).expect("it is one");
        });
        thread::Builder::new("timekeeper").spawn(body).map(drop)
    });
    let heard = Arc::default();
    let notes = Notes { clock: clock.clone(), heard: Arc::clone(&heard), sets: |_| None, keeper: keeper.clone() };
    let timer = keeper.set(1_000, &Serial::new(notes, &keeper), 1);
    // It sleeps. To wait for that would let time go on.
    while time.running() != ["the test".into()] {
        thread::yield_now();
    }
    assert!(keeper.cancel(timer));
    ended.recv(Clock::system().within(patience())).expect("there is nothing to wait for");
    assert_eq!((clock.now(), heard.lock().len()), (0, 0));
}

#[test]
fn an_advance_from_within_a_timer_is_refused() {
    struct Advances(VirtualTime, Queue<AdvanceError>);
    impl Turn for Advances {
        type Event = ();

        fn turn(&mut self, _: &Serial<Self>, (): (), _: &mut Agenda) {
            let error = self.0.advance(SECOND).expect_err("it would wait for itself");
            self.1.try_send(error).expect("there is room");
        }

        fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
            std::panic::resume_unwind(panic);
        }
    }
    let (time, clock) = time();
    let errors = Queue::bounded(1, Full::Refuse);
    let keeper = Timekeeper::new(clock.clone(), {
        let clock = clock.clone();
        move |body| thread::Builder::new("timekeeper").spawn(clock.enrol("timekeeper", body)).map(drop)
    });
    let serial = Serial::new(Advances(time.clone(), errors.clone()), &keeper);
    keeper.set(5, &serial, ());
    time.advance(SECOND).expect("it is heard");
    assert_eq!(errors.try_recv(), Ok(AdvanceError::FromWithin));
    assert_eq!(clock.now(), 1_000_000_000);
}

/// Waits in its first turn until a gate is open, and notes all.
struct Gated {
    open: Arc<Mutex<bool>>,
    heard: Arc<Mutex<Vec<u64>>>,
}

impl Turn for Gated {
    type Event = u64;

    fn turn(&mut self, _: &Serial<Self>, event: u64, _: &mut Agenda) {
        while event == 1 && !*self.open.lock() {
            thread::yield_now();
        }
        self.heard.lock().push(event);
    }

    fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn what_a_stranger_turns_is_waited_for_as_well() {
    let (time, clock) = time();
    let keeper = Timekeeper::new(clock, |body| thread::Builder::new("timekeeper").spawn(body).map(drop));
    let (open, heard) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(Vec::new())));
    let serial = Serial::new(Gated { open: Arc::clone(&open), heard: Arc::clone(&heard) }, &keeper);
    let pushes = serial.clone();
    let stranger = thread::Builder::new("stranger").spawn(move || pushes.push(1)).expect("a thread");
    wait_for(|| !time.running().is_empty());
    keeper.set(5, &serial, 2);
    let opens = thread::Builder::new("opens").spawn(move || {
        // Time enough for the advance to come by.
        (0..1_000).for_each(|_| thread::yield_now());
        *open.lock() = true;
    });
    time.advance(Duration::from_nanos(5)).expect("it is turned");
    assert_eq!(*heard.lock(), [1, 2]);
    for thread in [Ok(stranger), opens] {
        thread.expect("a thread").join().expect("it did not panic");
    }
}

#[test]
fn whoever_turns_may_not_advance() {
    struct Advances(VirtualTime, Queue<AdvanceError>);
    impl Turn for Advances {
        type Event = ();

        fn turn(&mut self, _: &Serial<Self>, (): (), _: &mut Agenda) {
            self.1.try_send(self.0.advance(SECOND).expect_err("refused")).expect("there is room");
        }

        fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
            std::panic::resume_unwind(panic);
        }
    }
    let (time, clock) = time();
    let _entered = time.enter("the test");
    let (keeper, errors) = (Timekeeper::new(clock, |_| Ok(())), Queue::bounded(1, Full::Refuse));
    Serial::new(Advances(time.clone(), errors.clone()), &keeper).push(());
    assert_eq!(errors.try_recv(), Ok(AdvanceError::FromWithin));
    time.advance(SECOND).expect("afterwards it may");
}
