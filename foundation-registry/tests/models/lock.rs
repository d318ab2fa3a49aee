//! Keys that are handed over, and starts that many ask for.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_context::Incarnation;
use foundation_registry::{Exit, KeyLocks, LockError, Owner, OwnerGuard, Owners, StartError, Starts};
use foundation_sync::{
    Clock, Deadline, Full, Mutex, Queue, Stop, VirtualTime,
    atomic::{AtomicBool, Ordering::SeqCst},
};
use foundation_testkit::{explore, join, reached, spawn};

fn locks() -> (KeyLocks, [OwnerGuard; 3]) {
    let owners = Owners::default();
    let lives = [1, 2, 3].map(|id| owners.begin(Incarnation { id, generation: 1 }, "w"));
    (KeyLocks::new(&Clock::system()), lives)
}

fn free_for(locks: &KeyLocks, owner: &Owner) {
    assert_eq!(locks.locks(), [], "nothing is left behind");
    drop(locks.try_lock("key", owner).expect("it is free"));
}

/// In a model no lock is taken while a thread unwinds (they are one thread of the machine, which panics or does not): so
/// this holder catches its panic before it drops the guard. That unwinding drops it is tested for real.
#[test]
fn a_holder_that_panics_gives_the_key_to_the_next_in_line() {
    explore("a holder that panics gives the key to the next in line")
        .reaches(&["one waits", "none has come yet"])
        .catches(&["lock: nobody is called"])
        .run(|| {
            let (locks, [first, second, third]) = locks();
            let inside = Arc::new(AtomicBool::new(true));
            let guard = locks.try_lock("key", &first).expect("it is free");
            let (same, asks, alone) = (locks.clone(), second.clone(), Arc::clone(&inside));
            let waits = spawn(move || {
                let guard = same.lock("key", &asks, Deadline::never()).expect("it is passed on");
                assert!(!alone.load(SeqCst), "one at a time");
                assert!(guard.is_held());
            });
            match locks.locks().iter().all(|note| note.waiting.is_empty()) {
                true => reached!("none has come yet"),
                false => reached!("one waits"),
            }
            let panics = catch_unwind(|| resume_unwind(Box::new("why")));
            inside.store(false, SeqCst);
            drop((guard, panics));
            join(waits);
            free_for(&locks, &third);
        });
}

/// Race "given while giving up", by a stop.
#[test]
fn a_key_that_is_given_to_one_who_is_told_to_stop_is_not_lost() {
    explore("a key that is given to one who is told to stop is not lost")
        .reaches(&["locked", "told to stop", "lock: given while giving up"])
        .catches(&["lock: who gives up takes the key along"])
        .run(|| {
            let (locks, [first, second, third]) = locks();
            let guard = locks.try_lock("key", &first).expect("it is free");
            let stop = Stop::new();
            let (same, asks, told, tells) = (locks.clone(), second.clone(), stop.clone(), stop);
            let waits = spawn(move || match same.lock("key", &asks, &told) {
                Ok(_guard) => reached!("locked"),
                Err(error) => {
                    reached!("told to stop");
                    assert!(matches!(error, LockError::Stopped { .. }), "{error}");
                }
            });
            let tells = spawn(move || _ = tells.tell());
            drop(guard);
            join(waits);
            join(tells);
            free_for(&locks, &third);
        });
}

/// Race "given while giving up", by a deadline.
#[test]
fn a_key_that_is_given_when_the_deadline_comes_is_had_or_refused_and_not_lost() {
    explore("a key that is given when the deadline comes is had or refused and not lost")
        .reaches(&["locked", "too late", "lock: given at the deadline"])
        .catches(&["lock: who gives up takes the key along"])
        .run(|| {
            let (locks, [first, second, third]) = locks();
            let guard = locks.try_lock("key", &first).expect("it is free");
            let time = VirtualTime::new();
            let (same, asks, until) = (locks.clone(), second.clone(), time.clock().within(Duration::from_nanos(1)));
            let waits = spawn(time.clock().enrol("waits", move || match same.lock("key", &asks, until) {
                Ok(_guard) => reached!("locked"),
                Err(LockError::TimedOut(note)) => {
                    reached!("too late");
                    assert_eq!((note.owner, note.waiting.len()), (first.incarnation(), 0));
                }
                Err(error) => panic!("{error}"),
            }));
            let (nothing, at) = (Queue::<()>::bounded(1, Full::Refuse), time.clock().within(Duration::from_nanos(1)));
            let drops = spawn(time.clock().enrol("drops", move || {
                assert!(nothing.recv(at).is_err());
                drop(guard);
            }));
            time.advance(Duration::from_nanos(1)).expect("they wait");
            join(waits);
            join(drops);
            free_for(&locks, &third);
        });
}

/// Race "asked while ending".
#[test]
fn one_that_dies_in_the_line_hears_of_it_while_the_key_is_still_held() {
    explore("one that dies in the line hears of it while the key is still held")
        .reaches(&["lock: died in the line", "registry: register met death"])
        .catches(&["lock: the dead stay in the line", "registry: the dead register"])
        .run(|| {
            let (locks, [first, second, third]) = locks();
            let guard = locks.try_lock("key", &first).expect("it is free");
            let (same, second, ending) = (locks.clone(), second.clone(), second);
            let waits = spawn(move || {
                let refused = same.lock("key", &second, Deadline::never()).expect_err("it dies");
                assert_eq!(refused, LockError::Fenced { key: "key".into(), owner: second.incarnation() });
            });
            drop(ending.end(Exit::Normal));
            join(waits);
            assert_eq!(locks.locks().into_iter().map(|note| note.waiting.len()).collect::<Vec<_>>(), [0]);
            assert!(guard.is_held());
            drop(guard);
            free_for(&locks, &third);
        });
}

/// Race "given to the dead".
#[test]
fn a_key_that_is_given_to_one_who_dies_goes_to_the_next() {
    explore("a key that is given to one who dies goes to the next")
        .reaches(&["given, and dead", "given, and alive", "died before"])
        .catches(&["registry: names stay", "lock: the dead stay in the line"])
        .run(|| {
            let (locks, [first, second, third]) = locks();
            let guard = locks.try_lock("key", &first).expect("it is free");
            let (same, second, ending) = (locks.clone(), second.clone(), second);
            let waits = spawn(move || match same.lock("key", &second, Deadline::never()) {
                Err(_) => reached!("died before"),
                Ok(guard) => {
                    match guard.is_held() {
                        true => reached!("given, and alive"),
                        false => reached!("given, and dead"),
                    }
                    // It hangs: its end alone can give the key back.
                    std::mem::forget(guard);
                }
            });
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            drop(guard);
            drop(locks.lock("key", &third, Deadline::never()).expect("it comes"));
            join(waits);
            join(ends);
            free_for(&locks, &third);
        });
}

/// Race "late drop".
#[test]
fn the_late_drop_of_a_dead_holders_guard_leaves_the_successors_key_alone() {
    explore("the late drop of a dead holder's guard leaves the successor's key alone")
        .reaches(&["dropped late", "dropped in time", "lock: not the holder leaves"])
        .catches(&["lock: a late drop takes the successor's key"])
        .run(|| {
            let (locks, [first, second, third]) = locks();
            let guard = locks.try_lock("key", &first).expect("it is free");
            let (same, asks) = (locks.clone(), second.clone());
            let follows = spawn(move || {
                let guard = same.lock("key", &asks, Deadline::never()).expect("it is passed on");
                for _ in 0..2 {
                    let holders: Vec<_> = same.locks().iter().map(|note| note.owner).collect();
                    assert_eq!(holders, [asks.incarnation()], "it is still the successor's");
                }
                drop(guard);
            });
            let ends = spawn(move || drop(first.end(Exit::Abandoned { waited: Duration::ZERO })));
            match guard.is_held() {
                true => reached!("dropped in time"),
                false => reached!("dropped late"),
            }
            drop(guard);
            join(follows);
            join(ends);
            free_for(&locks, &third);
        });
}

#[test]
fn whoever_has_seen_the_down_finds_the_key_free() {
    explore("whoever has seen the Down finds the key free")
        .reaches(&["the Down was waited for"])
        .catches(&["registry: names leave after Down", "registry: names stay"])
        .run(|| {
            let (locks, [first, second, _]) = locks();
            let guard = locks.try_lock("key", &first).expect("it is free");
            let monitor = first.monitor();
            if monitor.try_recv().is_err() {
                reached!("the Down was waited for");
            }
            let ends = spawn(move || drop(first.end(Exit::Normal)));
            assert!(monitor.recv(Deadline::never()).is_ok());
            assert!(!guard.is_held());
            free_for(&locks, &second);
            join(ends);
        });
}

#[test]
fn who_asks_first_gets_the_key_first_and_alone() {
    explore("who asks first gets the key first and alone")
        .reaches(&["both in line", "the second one first"])
        .catches(&["lock: the last comes first"])
        .run(|| {
            let (locks, [first, second, third]) = locks();
            let (inside, order) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
            let guard = locks.try_lock("key", &first).expect("it is free");
            let [one, other] = [second.clone(), third.clone()].map(|owner| {
                let (locks, inside, order) = (locks.clone(), Arc::clone(&inside), Arc::clone(&order));
                spawn(move || {
                    let guard = locks.lock("key", &owner, Deadline::never()).expect("it is passed on");
                    assert!(!inside.swap(true, SeqCst), "one at a time");
                    order.lock().push(owner.incarnation());
                    inside.store(false, SeqCst);
                    drop(guard);
                })
            });
            let line: Vec<_> = locks.locks().into_iter().flat_map(|note| note.waiting).collect();
            drop(guard);
            join(one);
            join(other);
            let order = order.lock();
            assert!(order.starts_with(&line), "{line:?} asked, {order:?} had it");
            if line.len() == 2 {
                reached!("both in line");
            }
            if order[0] != second.incarnation() {
                reached!("the second one first");
            }
        });
}

/// What a start brings about, and how often one was made.
#[derive(Default)]
struct Place {
    entry: Mutex<Option<u32>>,
    starts: Mutex<u32>,
}

impl Place {
    fn look(&self) -> Option<u32> {
        *self.entry.lock()
    }

    fn start(&self) -> Result<(), String> {
        *self.starts.lock() += 1;
        *self.entry.lock() = Some(7);
        Ok(())
    }
}

fn starts() -> (Starts, Arc<Place>) {
    (Starts::new(&Clock::system()), Arc::default())
}

#[test]
fn three_ask_and_one_starts() {
    explore("three ask and one starts")
        .reaches(&["start: waited for another's", "start: started between look and turn"])
        .catches(&["start: everybody starts", "start: the first one looks once"])
        .run(|| {
            let (starts, place) = starts();
            let ask = |starts: &Starts, place: &Place| {
                assert_eq!(starts.once("name", Deadline::never(), || place.look(), || place.start()), Ok(7));
            };
            let others = [1, 2].map(|_| {
                let (starts, place) = (starts.clone(), Arc::clone(&place));
                spawn(move || ask(&starts, &place))
            });
            ask(&starts, &place);
            others.into_iter().for_each(join);
            assert_eq!((*place.starts.lock(), starts.under_way()), (1, vec![]));
        });
}

/// Race "asked between the end and the word".
#[test]
fn whoever_has_heard_of_a_failure_can_start_anew() {
    explore("whoever has heard of a failure can start anew")
        .reaches(&["heard of the failure", "started itself", "found it"])
        .catches(&["start: the word comes first"])
        .run(|| {
            let (starts, place) = starts();
            let (same, there) = (starts.clone(), Arc::clone(&place));
            let asks = spawn(move || {
                let ask = || same.once("name", Deadline::never(), || there.look(), || there.start());
                match ask() {
                    Ok(entry) => {
                        reached!("started itself");
                        assert_eq!(entry, 7);
                    }
                    Err(error) => {
                        reached!("heard of the failure");
                        assert_eq!(error, StartError::Failed { name: "name".into(), error: "why".into() });
                        assert_eq!(ask(), Ok(7));
                    }
                }
            });
            match starts.once("name", Deadline::never(), || place.look(), || Err("why")) {
                Ok(_) => reached!("found it"),
                Err(error) => assert_eq!(error, StartError::Failed { name: "name".into(), error: "why".into() }),
            }
            join(asks);
            assert_eq!((*place.starts.lock(), starts.under_way()), (1, vec![]));
        });
}

#[test]
fn a_start_that_panics_is_told_to_those_who_wait() {
    explore("a start that panics is told to those who wait")
        .reaches(&["told", "started itself", "it panicked", "it found it"])
        .catches(&["start: a panic is told to nobody"])
        .run(|| {
            let (starts, place) = starts();
            let (same, there) = (starts.clone(), Arc::clone(&place));
            let asks = spawn(move || match same.once("name", Deadline::never(), || there.look(), || there.start()) {
                Ok(_) => reached!("started itself"),
                Err(error) => {
                    reached!("told");
                    assert_eq!(error, StartError::Panicked { name: "name".into(), message: "why".into() });
                }
            });
            let start = || -> Result<(), String> { resume_unwind(Box::new("why")) };
            let once = || starts.once("name", Deadline::never(), || place.look(), start);
            match catch_unwind(AssertUnwindSafe(once)) {
                Ok(found) => {
                    reached!("it found it");
                    assert_eq!(found, Ok(7));
                }
                Err(_) => reached!("it panicked"),
            }
            join(asks);
            assert_eq!(starts.under_way(), []);
        });
}

#[test]
fn a_stop_reaches_who_waits_for_a_start_that_takes_long() {
    explore("a stop reaches who waits for a start that takes long")
        .reaches(&["gave up", "started itself"])
        .catches(&["start: a stop notifies without the lock"])
        .run(|| {
            let (starts, place) = starts();
            let (stop, returned) = (Stop::new(), Queue::bounded(1, Full::Refuse));
            let (same, there, told, returns) = (starts.clone(), Arc::clone(&place), stop.clone(), returned.clone());
            let asks = spawn(move || {
                match same.once("name", &told, || there.look(), || there.start()) {
                    Ok(_) => reached!("started itself"),
                    Err(error) => {
                        reached!("gave up");
                        assert_eq!(error, StartError::Stopped("name".into()));
                    }
                }
                returns.try_send(()).expect("it is empty");
            });
            let tells = spawn(move || _ = stop.tell());
            let start = || {
                // It takes until the other one has given up.
                returned.recv(Deadline::never()).map_err(|error| error.to_string())?;
                place.start()
            };
            assert_eq!(starts.once("name", Deadline::never(), || place.look(), start), Ok(7));
            join(asks);
            join(tells);
            assert_eq!((*place.starts.lock(), starts.under_way()), (1, vec![]));
        });
}

/// Race "over while giving up".
#[test]
fn who_is_told_to_stop_when_the_start_is_over_gets_nothing_and_leaves_nothing() {
    explore("who is told to stop when the start is over gets nothing and leaves nothing")
        .reaches(&["gave up", "had it", "start: over while giving up"])
        .catches(&["start: everybody starts"])
        .run(|| {
            let (starts, place) = starts();
            let stop = Stop::new();
            let (same, there, told) = (starts.clone(), Arc::clone(&place), stop.clone());
            let asks = spawn(move || match same.once("name", &told, || there.look(), || there.start()) {
                Ok(_) => reached!("had it"),
                Err(error) => {
                    reached!("gave up");
                    assert_eq!(error, StartError::Stopped("name".into()));
                }
            });
            let tells = spawn(move || _ = stop.tell());
            assert_eq!(starts.once("name", Deadline::never(), || place.look(), || place.start()), Ok(7));
            join(asks);
            join(tells);
            assert_eq!((*place.starts.lock(), starts.under_way()), (1, vec![]));
        });
}
