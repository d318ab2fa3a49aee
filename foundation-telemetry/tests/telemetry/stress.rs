//! Many emitters, while handlers come and go.

use std::sync::Arc;

use foundation_context::fields;
use foundation_sync::{
    Clock, SECONDS_5,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};
use foundation_telemetry::{Event, EventName, Selector, event_name};
use foundation_testkit::{TestUniverse, deep};

const THREADS: u64 = 8;
const HANDLERS: usize = 64;

const NAMES: [EventName; 4] = [
    event_name!("shop", "item", "bought"),
    event_name!("shop", "item", "sold"),
    event_name!("shop", "opened"),
    event_name!("yard", "swept"),
];

/// What a handler counted, and how often its closure was dropped.
#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    drops: AtomicU64,
}

struct Calls(Arc<Tally>);

impl Drop for Calls {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Relaxed);
    }
}

fn tallying() -> (Arc<Tally>, impl Fn(&Event) + Send + Sync + 'static) {
    let tally = Arc::new(Tally::default());
    let calls = Calls(Arc::clone(&tally));
    (tally, move |_: &Event| _ = calls.0.calls.fetch_add(1, Relaxed))
}

/// A million events, or a part of them: those who stay hear each of theirs, who comes and goes hears some, and each closure
/// is dropped once.
#[test]
fn totals_are_exact_while_handlers_come_and_go() {
    let each = if deep() { 125_000 } else { 10_000_u64 };
    let t = TestUniverse::new();
    let telemetry = t.telemetry();
    let (all, every) = tallying();
    telemetry.attach("all", Selector::all(), every).expect("the id is free");
    let (shop, shops) = tallying();
    telemetry.attach("shop", Selector::under(&["shop"]), shops).expect("the id is free");
    let (queued, queues) = tallying();
    telemetry.attach_queued("queued", NAMES[1], 64, queues).expect("the id is free");
    let done = Arc::new(AtomicBool::new(false));
    let (ends, comes) = (Arc::clone(&done), telemetry.clone());
    let rounds = move || {
        let (mut tallies, mut round) = (Vec::new(), 0_usize);
        while !ends.load(Relaxed) || round < 2 {
            for number in 0..HANDLERS {
                let (tally, handler) = tallying();
                let id = format!("passing {number}");
                let name = NAMES[number % NAMES.len()];
                match number % 3 {
                    0 => comes.attach(&id, name, handler),
                    1 => comes.attach(&id, Selector::under(&["shop"]), handler),
                    _ => comes.attach_queued(&id, name, 8, handler),
                }
                .expect("the id is free");
                tallies.push(tally);
            }
            for number in 0..HANDLERS {
                let id = format!("passing {number}");
                comes.detach_wait(&id, Clock::system().within(SECONDS_5)).expect("it ends in time");
            }
            // A round's closures are gone when it is over; their tallies need not be kept.
            assert!(tallies.drain(..).all(|tally| tally.drops.load(Relaxed) == 1), "dropped once, and by now");
            round += 1;
        }
    };
    let passing = thread::Builder::new("passing").spawn(rounds).expect("a thread");
    let emitters: Vec<_> = (0..THREADS)
        .map(|thread| {
            let emitters = NAMES.map(|name| telemetry.emitter(name));
            let body = move || {
                for number in 0..each {
                    let emitter = &emitters[((thread + number) % 4) as usize];
                    emitter.emit(|| (fields! { number: number }, fields! {}));
                }
            };
            thread::Builder::new("emitter").spawn(body).expect("a thread")
        })
        .collect();
    emitters.into_iter().for_each(|emitter| emitter.join().expect("it does not panic"));
    done.store(true, Relaxed);
    passing.join().expect("it does not panic");
    telemetry.flush(t.patience()).expect("it is delivered in time");
    let total = THREADS * each;
    let listed = telemetry.list().into_iter().find(|it| &*it.id == "queued").expect("it is attached");
    assert_eq!(all.calls.load(Relaxed) - own_events(&t), total);
    assert_eq!(shop.calls.load(Relaxed), total / 4 * 3);
    assert_eq!(queued.calls.load(Relaxed) + listed.overflowed, total / 4);
    assert_eq!(listed.calls, queued.calls.load(Relaxed));
    for id in ["all", "shop", "queued"] {
        telemetry.detach_wait(id, t.patience()).expect("it ends in time");
    }
    assert!([all, shop, queued].iter().all(|tally| tally.drops.load(Relaxed) == 1));
    assert_eq!((telemetry.failures(), telemetry.figures().drop_panics), (0, 0));
}

/// The universe's own events, which a handler of all events hears, too.
fn own_events(t: &TestUniverse) -> u64 {
    t.telemetry().list().iter().filter(|it| &*it.id == "what events declare").map(|it| it.calls).sum()
}
