//! A flush against emissions, the courier, and those who detach.

use std::sync::Arc;

use foundation_context::fields;
use foundation_sync::{Clock, Errand, Errands, Mutex, SECOND};
use foundation_telemetry::{EventName, FlushError, Telemetry, event_name};
use foundation_testkit::{explore, join, reached, spawn};

const SOLD: EventName = event_name!("shop", "item", "sold");

struct Scene {
    telemetry: Telemetry,
    errands: Arc<Mutex<Vec<Errand>>>,
    seen: Arc<Mutex<u32>>,
}

impl Scene {
    fn new() -> Self {
        let errands = Arc::new(Mutex::new(Vec::<Errand>::new()));
        let taken = Arc::clone(&errands);
        let courier = Errands::new(move |errand| {
            taken.lock().push(errand);
            Ok(())
        });
        let telemetry = Telemetry::builder().errands(&courier).build();
        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        telemetry.attach_queued("a", SOLD, 4, move |_| *count.lock() += 1).expect("the id is free");
        Self { telemetry, errands, seen }
    }
}

/// One courier does its errand, another has ended with it: whoever takes it first.
#[test]
fn a_flush_ends_when_what_was_queued_is_delivered_or_lost() {
    explore("a flush ends when what was queued is delivered or lost")
        .reaches(&["delivered", "lost meanwhile", "lost before"])
        .catches(&["queued: settled before it is delivered", "queued: a loss is not told"])
        .run(|| {
            let scene = Scene::new();
            scene.telemetry.emit(SOLD, || (fields! {}, fields! {}));
            let (runs, drops) = (Arc::clone(&scene.errands), Arc::clone(&scene.errands));
            let take = |errands: &Mutex<Vec<Errand>>| errands.lock().pop();
            let courier = spawn(move || {
                if let Some(errand) = take(&runs) {
                    errand();
                }
            });
            let ended = spawn(move || drop(take(&drops)));
            let flushed = scene.telemetry.flush(Clock::system().within(SECOND));
            let (seen, lost) = (*scene.seen.lock(), scene.telemetry.overflowed());
            match flushed {
                Ok(()) if seen == 1 => reached!("delivered"),
                Ok(()) => reached!("lost before"),
                Err(FlushError::Undelivered { left, lost: 1 }) if left.is_empty() => reached!("lost meanwhile"),
                Err(other) => panic!("{other}"),
            }
            assert_eq!(u64::from(seen) + lost, 1, "delivered or lost by now");
            join(courier);
            join(ended);
        });
}

#[test]
fn a_flush_does_not_wait_for_a_handler_that_is_detached_meanwhile() {
    explore("a flush does not wait for a handler that is detached meanwhile")
        .reaches(&["detached before", "detached meanwhile"])
        .run(|| {
            let scene = Scene::new();
            scene.telemetry.emit(SOLD, || (fields! {}, fields! {}));
            let other = scene.telemetry.clone();
            let detaches = spawn(move || other.detach("a").expect("it is attached"));
            match scene.telemetry.list().len() {
                0 => reached!("detached before"),
                _ => reached!("detached meanwhile"),
            }
            scene.telemetry.flush(Clock::system().within(SECOND)).expect("nobody wants it");
            join(detaches);
            let figures = scene.telemetry.figures();
            assert_eq!((figures.undelivered, figures.overflowed, *scene.seen.lock()), (1, 0, 0));
        });
}
