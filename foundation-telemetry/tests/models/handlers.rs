//! Emissions against those who attach, detach and fail.

use std::{panic::resume_unwind, sync::Arc};

use foundation_context::{Value, fields};
use foundation_sync::{Clock, Mutex, SECOND};
use foundation_telemetry::{Event, EventName, Selector, Telemetry, event_name};
use foundation_testkit::{explore, join, reached, spawn};

const SOLD: EventName = event_name!("shop", "item", "sold");

/// What became of a handler.
#[derive(Default)]
struct Fate {
    calls: u32,
    /// Of an emission that began when it was detached.
    late: u32,
    inside: u32,
    drops: u32,
    /// How many there had been when it was detached, and waited for.
    calls_before: u32,
}

/// In a handler's closure.
struct Probe(Arc<Mutex<Fate>>);

impl Drop for Probe {
    fn drop(&mut self) {
        let mut fate = self.0.lock();
        assert_eq!(fate.inside, 0, "nobody is in a closure that is dropped");
        fate.drops += 1;
    }
}

impl Probe {
    fn call(&self, event: &Event) {
        {
            let mut fate = self.0.lock();
            fate.calls += 1;
            fate.late += u32::from(event.metadata.get("late") == Some(&Value::Bool(true)));
            fate.inside += 1;
        }
        self.0.lock().inside -= 1;
    }
}

fn emit(telemetry: &Telemetry, late: bool) {
    telemetry.emit(SOLD, || (fields! {}, fields! { late: late }));
}

#[test]
fn a_closure_is_dropped_once_and_no_emission_after_detach_calls_it() {
    explore("a closure is dropped once and no emission after detach calls it")
        .reaches(&["it was called", "it was not called", "detached while an emission is in it", "it failed first"])
        .catches(&["handlers: the old list stays"])
        .run(|| {
            let (telemetry, fate) = (Telemetry::new(), Arc::<Mutex<Fate>>::default());
            let probe = Probe(Arc::clone(&fate));
            let handler = move |event: &Event| {
                probe.call(event);
                resume_unwind(Box::new("it fails"));
            };
            telemetry.attach("a", SOLD, handler).expect("the id is free");
            let other = telemetry.clone();
            let emits = spawn(move || emit(&other, false));
            // Some steps, so that an emission may be over: shuttle tosses a coin for each.
            (0..6).for_each(|_| _ = telemetry.failures());
            // It is attached, or has failed and is kept; in between both are so for the lock.
            telemetry.detach("a").expect("it is one or the other");
            // Where it has not failed by now it does not: it is not attached any more.
            if telemetry.failures() > 0 {
                reached!("it failed first");
            }
            let dropped = fate.lock().drops;
            if dropped == 0 {
                reached!("detached while an emission is in it");
            }
            emit(&telemetry, true);
            join(emits);
            // It may have failed after it was detached, and then it is gone.
            assert!(telemetry.failed().is_empty() && telemetry.list().is_empty());
            drop(telemetry);
            let fate = fate.lock();
            match fate.calls {
                0 => reached!("it was not called"),
                _ => reached!("it was called"),
            }
            assert_eq!((fate.drops, fate.late), (1, 0), "dropped once, and not called by a late emission");
        });
}

#[test]
fn who_fails_late_does_not_take_a_new_handler_out() {
    explore("who fails late does not take a new handler out")
        .reaches(&["handlers: somebody else took it out"])
        .catches(&["handlers: who fails twice is taken out twice"])
        .run(|| {
            let telemetry = Telemetry::new();
            telemetry.attach("a", SOLD, |_| resume_unwind(Box::new("it fails"))).expect("the id is free");
            let other = telemetry.clone();
            let emits = spawn(move || emit(&other, false));
            emit(&telemetry, false);
            telemetry.attach("a", SOLD, |_| {}).expect("it has failed, here or there");
            join(emits);
            assert_eq!((telemetry.list().len(), telemetry.failures()), (1, 1), "the new one stays");
        });
}

#[test]
fn who_detaches_and_waits_finds_nobody_in_the_handler() {
    explore("who detaches and waits finds nobody in the handler")
        .reaches(&["handlers: an emission is still in it", "it was not called"])
        .catches(&["handlers: the end is told before the closure is dropped"])
        .run(|| {
            let (telemetry, fate) = (Telemetry::new(), Arc::<Mutex<Fate>>::default());
            let probe = Probe(Arc::clone(&fate));
            telemetry.attach("a", SOLD, move |event| probe.call(event)).expect("the id is free");
            let (other, seen) = (telemetry.clone(), Arc::clone(&fate));
            let detaches = spawn(move || {
                other.detach_wait("a", Clock::system().within(SECOND)).expect("it ends");
                let mut fate = seen.lock();
                assert_eq!((fate.drops, fate.inside), (1, 0), "its closure is gone");
                fate.calls_before = fate.calls;
            });
            emit(&telemetry, false);
            join(detaches);
            let fate = fate.lock();
            if fate.calls == 0 {
                reached!("it was not called");
            }
            assert_eq!(fate.calls, fate.calls_before, "nobody calls it any more");
        });
}

#[test]
fn a_prefix_is_heard_by_a_name_that_is_used_for_the_first_time_meanwhile() {
    explore("a prefix is heard by a name that is used for the first time meanwhile")
        .reaches(&["heard", "too early"])
        .catches(&["handlers: a new name has no handlers of prefixes"])
        .run(|| {
            let (telemetry, heard) = (Telemetry::new(), Arc::new(Mutex::new(0)));
            let other = telemetry.clone();
            let emits = spawn(move || other.emit(SOLD, || (fields! {}, fields! {})));
            let counts = Arc::clone(&heard);
            telemetry.attach("a", Selector::under(&["shop"]), move |_| *counts.lock() += 1).expect("the id is free");
            join(emits);
            match *heard.lock() {
                0 => reached!("too early"),
                _ => reached!("heard"),
            }
            let before = *heard.lock();
            telemetry.emit(SOLD, || (fields! {}, fields! {}));
            assert_eq!(*heard.lock(), before + 1, "an emitter hears of it, whoever was first");
        });
}

#[test]
fn each_call_of_a_handler_is_counted_once_whoever_emits() {
    explore("each call of a handler is counted once, whoever emits")
        .reaches(&["tally: the cell is somebody else's"])
        .catches(&["tally: who finds the cell taken adds to it all the same"])
        .run(|| {
            let telemetry = Telemetry::new();
            telemetry.attach("a", SOLD, |_| {}).expect("the id is free");
            let other = telemetry.clone();
            let emits = spawn(move || emit(&other, false));
            emit(&telemetry, false);
            join(emits);
            assert_eq!(telemetry.list()[0].calls, 2, "each is counted");
        });
}
