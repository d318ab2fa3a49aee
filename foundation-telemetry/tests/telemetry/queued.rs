//! Handlers that run away from whoever emits.

use std::{panic::resume_unwind, sync::Arc};

use foundation_context::{Value, fields, with};
use foundation_sync::{Errand, Errands, Mutex, thread};
use foundation_telemetry::{Event, EventName, HANDLER_FAILURE, Telemetry, event_name};
use foundation_testkit::TestUniverse;

use crate::Bomb;

const SOLD: EventName = event_name!("shop", "item", "sold");

/// A courier that does as the test says.
#[derive(Clone, Default)]
struct Courier(Arc<Mutex<Vec<Errand>>>);

impl Courier {
    fn telemetry(&self) -> Telemetry {
        let taken = self.clone();
        let errands = Errands::new(move |errand| {
            taken.0.lock().push(errand);
            Ok(())
        });
        Telemetry::builder().errands(&errands).build()
    }

    fn waiting(&self) -> usize {
        self.0.lock().len()
    }

    /// Runs what waits now.
    fn work(&self) {
        let errands = std::mem::take(&mut *self.0.lock());
        errands.into_iter().for_each(|errand| errand());
    }
}

type Seen = Arc<Mutex<Vec<u64>>>;

fn noting() -> (Seen, impl Fn(&Event) + Send + Sync + 'static) {
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    (seen, move |event: &Event| {
        let number = event.measurements.get("number").and_then(Value::as_u64);
        notes.lock().extend(number);
    })
}

fn sell(telemetry: &Telemetry, numbers: std::ops::Range<u64>) {
    for number in numbers {
        telemetry.emit(SOLD, || (fields! { number: number }, fields! {}));
    }
}

#[test]
fn one_errand_delivers_all_that_waits_in_order() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let (seen, handler) = noting();
    telemetry.attach_queued("a", SOLD, 8, handler).expect("the id is free");
    sell(&telemetry, 0..5);
    assert_eq!((courier.waiting(), telemetry.list()[0].queued, seen.lock().len()), (1, 5, 0));
    courier.work();
    assert_eq!((seen.lock().clone(), courier.waiting()), ((0..5).collect(), 0));
    sell(&telemetry, 5..6);
    courier.work();
    assert_eq!(seen.lock().len(), 6);
}

#[test]
fn events_that_find_no_room_are_counted() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let (seen, handler) = noting();
    telemetry.attach_queued("a", SOLD, 2, handler).expect("the id is free");
    sell(&telemetry, 0..5);
    assert_eq!((telemetry.overflowed(), telemetry.list()[0].overflowed), (3, 3));
    courier.work();
    courier.work();
    assert_eq!(*seen.lock(), [0, 1]);
    telemetry.detach("a").expect("it is attached");
    assert_eq!(telemetry.overflowed(), 3, "the sum outlives the handler");
}

#[test]
fn a_handler_that_brings_its_own_events_makes_way_for_others() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let inner = telemetry.clone();
    telemetry.attach_queued("again", SOLD, 2, move |_| sell(&inner, 0..1)).expect("the id is free");
    sell(&telemetry, 0..1);
    courier.work();
    assert_eq!((courier.waiting(), telemetry.list()[0].queued), (1, 1), "it ran for a while, and then sent an errand");
    telemetry.detach("again").expect("it is attached");
    courier.work();
    assert_eq!(courier.waiting(), 0);
}

/// A courier that takes errands, or refuses them.
fn moody(courier: &Courier) -> (Telemetry, Arc<Mutex<bool>>) {
    let refuses = Arc::new(Mutex::new(true));
    let (taken, says) = (courier.clone(), Arc::clone(&refuses));
    let errands = Errands::new(move |errand| {
        if *says.lock() {
            return Err(errand);
        }
        taken.0.lock().push(errand);
        Ok(())
    });
    (Telemetry::builder().errands(&errands).build(), refuses)
}

#[test]
fn events_that_wait_when_an_errand_is_refused_or_lost_are_counted_and_the_next_one_tries_again() {
    let courier = Courier::default();
    let (telemetry, refuses) = moody(&courier);
    let (seen, handler) = noting();
    telemetry.attach_queued("a", SOLD, 8, handler).expect("the id is free");
    let figures = || (telemetry.list()[0].queued, telemetry.list()[0].overflowed, telemetry.overflowed());
    sell(&telemetry, 0..2);
    assert_eq!((courier.waiting(), figures()), (0, (0, 2, 2)), "refused");
    *refuses.lock() = false;
    sell(&telemetry, 2..5);
    let lost = std::mem::take(&mut *courier.0.lock());
    assert_eq!((lost.len(), figures()), (1, (3, 2, 2)));
    drop(lost);
    assert_eq!(figures(), (0, 5, 5), "dropped unrun");
    sell(&telemetry, 5..6);
    courier.work();
    assert_eq!((seen.lock().clone(), figures()), (vec![5], (0, 5, 5)));
}

/// The handler has brought more than one errand may deliver, and the courier refuses the next errand.
#[test]
fn events_that_are_left_when_an_errand_can_t_be_followed_by_another_are_counted() {
    let courier = Courier::default();
    let (telemetry, refuses) = moody(&courier);
    *refuses.lock() = false;
    let inner = telemetry.clone();
    telemetry.attach_queued("again", SOLD, 2, move |_| sell(&inner, 0..1)).expect("the id is free");
    sell(&telemetry, 0..1);
    *refuses.lock() = true;
    courier.work();
    assert_eq!((courier.waiting(), telemetry.list()[0].queued, telemetry.overflowed()), (0, 0, 1));
    telemetry.detach("again").expect("it is attached");
}

#[test]
fn what_waits_for_a_detached_handler_is_not_counted_when_its_errand_is_lost() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let (_, handler) = noting();
    telemetry.attach_queued("a", SOLD, 8, handler).expect("the id is free");
    sell(&telemetry, 0..3);
    telemetry.detach("a").expect("it is attached");
    courier.0.lock().clear();
    assert_eq!(telemetry.overflowed(), 0);
}

#[test]
fn a_queued_handler_that_panics_is_detached_and_what_waits_for_it_is_not_delivered() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let failures = Seen::default();
    let noted = Arc::clone(&failures);
    telemetry.attach("f", HANDLER_FAILURE, move |_| noted.lock().push(1)).expect("the id is free");
    telemetry.attach_queued("bad", SOLD, 8, |_| resume_unwind(Box::new(()))).expect("the id is free");
    sell(&telemetry, 0..3);
    courier.work();
    assert_eq!((failures.lock().len(), telemetry.failures(), telemetry.overflowed()), (1, 1, 0));
    assert_eq!((telemetry.list().len(), courier.waiting()), (1, 0));
}

#[test]
fn what_a_panic_leaves_behind_may_panic_for_ever_and_the_other_handlers_go_on() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let (seen, handler) = noting();
    telemetry.attach_queued("bad", SOLD, 8, |_| resume_unwind(Box::new(Bomb))).expect("the id is free");
    telemetry.attach_queued("good", SOLD, 8, handler).expect("the id is free");
    sell(&telemetry, 0..3);
    courier.work();
    assert_eq!((telemetry.failures(), telemetry.list().len(), &*seen.lock()), (1, 1, &vec![0, 1, 2]));
}

#[test]
fn what_waits_when_a_handler_is_detached_is_not_delivered() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let (seen, handler) = noting();
    telemetry.attach_queued("a", SOLD, 8, handler).expect("the id is free");
    sell(&telemetry, 0..3);
    telemetry.detach("a").expect("it is attached");
    courier.work();
    sell(&telemetry, 3..4);
    assert_eq!((seen.lock().len(), telemetry.overflowed(), courier.waiting()), (0, 0, 0));
}

#[test]
fn without_a_universe_a_queued_handler_runs_before_emit_returns() {
    let telemetry = Telemetry::new();
    let (seen, handler) = noting();
    telemetry.attach_queued("a", SOLD, 1, handler).expect("the id is free");
    sell(&telemetry, 0..3);
    assert_eq!(*seen.lock(), [0, 1, 2]);
}

/// Each event brings the next one: that takes time, and no more stack than one.
#[test]
fn without_a_universe_a_handler_may_bring_its_own_events_without_end() {
    const ROUNDS: u64 = 200_000;
    let telemetry = Telemetry::new();
    let (inner, count) = (telemetry.clone(), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&count);
    let handler = move |_: &Event| {
        let number = {
            let mut count = counted.lock();
            *count += 1;
            *count
        };
        if number < ROUNDS {
            sell(&inner, number..number + 1);
        }
    };
    telemetry.attach_queued("again", SOLD, 1, handler).expect("the id is free");
    sell(&telemetry, 0..1);
    assert_eq!((*count.lock(), telemetry.overflowed()), (ROUNDS, 0));
    telemetry.detach("again").expect("it is attached");
}

/// What others bring meanwhile is delivered by one of them, on its stack: here the handler waits for it.
#[test]
fn without_a_universe_many_emitters_need_no_more_stack_than_one() {
    const EMITTERS: usize = 6;
    const ROUNDS: u64 = 20_000;
    let telemetry = Telemetry::new();
    let (seen, handler) = noting();
    let (inner, done) = (telemetry.clone(), Arc::new(Mutex::new(0)));
    let ended = Arc::clone(&done);
    let handler = move |event: &Event| {
        handler(event);
        while inner.list().iter().any(|it| it.queued == 0) && *ended.lock() + 1 < EMITTERS {
            thread::yield_now();
        }
    };
    telemetry.attach_queued("a", SOLD, 1, handler).expect("the id is free");
    let emitters: Vec<_> = (0..EMITTERS)
        .map(|_| {
            let (telemetry, done) = (telemetry.clone(), Arc::clone(&done));
            let body = move || {
                sell(&telemetry, 0..ROUNDS);
                *done.lock() += 1;
            };
            thread::Builder::new("emitter").stack(256 * 1024).spawn(body).expect("a thread")
        })
        .collect();
    for emitter in emitters {
        emitter.join().expect("it does not panic");
    }
    assert_eq!(seen.lock().len() as u64 + telemetry.overflowed(), EMITTERS as u64 * ROUNDS, "delivered or counted");
    assert_eq!(telemetry.list()[0].queued, 0);
    telemetry.detach("a").expect("it is attached");
}

#[test]
fn in_a_universe_the_courier_runs_it_with_the_events_context() {
    let t = TestUniverse::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let handler = move |event: &Event| notes.lock().push((thread::id(), event.context().fields().to_string()));
    t.telemetry().attach_queued("a", SOLD, 8, handler).expect("the id is free");
    with(fields! { request: 7 }, || sell(t.telemetry(), 0..3));
    t.wait_for(|| seen.lock().len() == 3);
    let seen = std::mem::take(&mut *seen.lock());
    assert!(seen.iter().all(|(thread, context)| *thread != thread::id() && context == "request: 7"), "{seen:?}");
    t.telemetry().detach("a").expect("it is attached");
}
