//! Ends: who hears of them and what is over by then, monitors, and what the fenced still get.

use std::sync::Arc;

use foundation_context::Fields;
use foundation_registry::{Exit, Fenced, MonitorOptions, OwnerGuard, OwnerRecvError, Owners, TOMBSTONES};
use foundation_sync::{
    Deadline, Full, Mutex, Queue, RecvError, Stop,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{FIRST, SECOND, registry, who};

/// Each monitor has ended, in so many ways.
#[track_caller]
fn check_over(owners: &Owners, delivered: u64, withdrawn: u64, dropped: u64) {
    let stats = owners.monitor_stats();
    assert_eq!(
        (stats.delivered, stats.withdrawn, stats.dropped, stats.active),
        (delivered, withdrawn, dropped, 0),
        "{stats:?}"
    );
    assert_eq!(stats.created, delivered + withdrawn + dropped);
    assert!(owners.monitors().is_empty(), "it waits for ever: {:?}", owners.monitors());
}

#[test]
fn whoever_has_seen_the_down_finds_the_name_free() {
    explore("whoever has seen the Down finds the name free")
        .reaches(&["the Down was waited for"])
        .catches(&["registry: names leave after Down"])
        .run(|| {
            let (owners, registry) = registry();
            let first = owners.begin(FIRST, "first");
            registry.register("name", &first, 1, Fields::new()).expect("it is free").keep();
            let monitor = owners.monitor(FIRST);
            if monitor.try_recv().is_err() {
                reached!("the Down was waited for");
            }
            let ends = spawn(move || drop(first.end(Exit::Normal)));
            let down = monitor.recv(Deadline::never()).expect("there is exactly one");
            assert_eq!((down.incarnation, down.exit), (FIRST, Exit::Normal));
            assert!(registry.lookup("name").is_none());
            assert!(registry.is_empty(), "the name outlived the Down");
            let second = owners.begin(SECOND, "second");
            registry.register("name", &second, 2, Fields::new()).expect("it is free").keep();
            join(ends);
            assert_eq!(
                registry.lookup("name").map(|entry| entry.incarnation()),
                Some(SECOND),
                "a successor's entry stays"
            );
            drop(second.end(Exit::Normal));
        });
}

#[test]
fn a_monitor_gets_the_true_reason_however_late_it_comes() {
    explore("a monitor gets the true reason however late it comes")
        .reaches(&["at once", "registry: a monitor met a record that had ended", "later"])
        .catches(&["registry: the tombstone comes last"])
        .run(|| {
            let (owners, _) = registry();
            let owner = owners.begin(FIRST, "first");
            let ends = spawn(move || drop(owner.end(Exit::Failed("x".into()))));
            let kept = owners.monitor(FIRST);
            match kept.try_recv() {
                Ok(down) => {
                    reached!("at once");
                    assert_eq!(down.exit, Exit::Failed("x".into()));
                }
                Err(_) => {
                    reached!("later");
                    assert_eq!(kept.recv(Deadline::never()).map(|down| down.exit), Ok(Exit::Failed("x".into())));
                }
            }
            join(ends);
            assert!(kept.try_recv().is_err(), "exactly one");
            check_over(&owners, 1, 0, 0);
        });
}

#[test]
fn of_two_ends_one_stands() {
    let scenario = explore("of two ends one stands");
    scenario.reaches(&["registry: two ends of one life"]).catches(&["registry: two ends pass"]).run(|| {
        let (owners, _) = registry();
        let owner = Arc::new(owners.begin(FIRST, "first"));
        let other = Arc::clone(&owner);
        let first = Arc::new(Mutex::new(false));
        let won = Arc::clone(&first);
        let ends = spawn(move || *won.lock() = other.end(Exit::Normal).is_some());
        let mine = owner.end(Exit::Failed("x".into())).is_some();
        join(ends);
        assert_ne!(mine, *first.lock(), "one of the two");
        let stands = if mine { Exit::Failed("x".into()) } else { Exit::Normal };
        assert_eq!(owners.exit_of(FIRST), Some(stands));
    });
}

/// What an incarnation did before its end happens before whatever tells of that end.
#[test]
fn whoever_knows_of_an_end_sees_what_was_done_before_it() {
    explore("whoever knows of an end sees what was done before it")
        .reaches(&["it is fenced", "its exit is known", "neither"])
        .catches(&["registry: the fence is relaxed", "registry: the exit is set first"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let done = Arc::new(AtomicUsize::new(0));
            let (owner, ending, does) = (owner.clone(), owner, Arc::clone(&done));
            let ends = spawn(move || {
                does.store(1, Relaxed);
                drop(ending.end(Exit::Normal));
            });
            // So many looks that random schedules, too, meet the end among them.
            for _ in 0..4 {
                if owners.exit_of(FIRST).is_some() {
                    reached!("its exit is known");
                    assert_eq!(done.load(Relaxed), 1, "ended before it was done");
                    assert!(registry.is_empty(), "the name outlived the exit");
                } else if owner.fenced() {
                    reached!("it is fenced");
                    assert!(
                        owners.live().is_empty() && owners.get(FIRST).is_none(),
                        "the fenced are not among the living"
                    );
                    assert_eq!(done.load(Relaxed), 1, "fenced before it was done");
                } else {
                    reached!("neither");
                }
            }
            join(ends);
        });
}

#[test]
fn whoever_has_the_down_sees_what_was_done_before_it() {
    explore("whoever has the Down sees what was done before it")
        .reaches(&["there at once", "waited for", "late"])
        .catches(&["registry: the exit is set first"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let (done, monitor) = (Arc::new(AtomicUsize::new(0)), owners.monitor(FIRST));
            let (owner, ending, does) = (owner.clone(), owner, Arc::clone(&done));
            let ends = spawn(move || {
                does.store(1, Relaxed);
                drop(ending.end(Exit::Normal));
            });
            let check = |why: &str| {
                assert_eq!(done.load(Relaxed), 1, "{why} before it was done");
                assert!(registry.is_empty(), "{why} before its name was free");
            };
            // So many looks that random schedules, too, meet the end among them.
            let there = (0..2).any(|_| {
                if owner.monitor().try_recv().is_ok() {
                    reached!("late");
                    check("the late Down");
                }
                monitor.try_recv().is_ok()
            });
            if there {
                reached!("there at once");
                check("Down");
            } else {
                let waited = monitor.recv(Deadline::never()).expect("there is exactly one");
                reached!("waited for");
                assert_eq!(waited.exit, Exit::Normal);
                check("the Down that was waited for");
            }
            join(ends);
        });
}

/// Race "fence against receive".
#[test]
fn a_value_is_received_before_the_fence_or_is_the_successors() {
    explore("a value is received before the fence or is the successor's")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to all of them.
            true => &["refused", "registry: fence met a receive", "registry: receive met the fence"],
            false => &["received", "refused", "registry: fence met a receive", "registry: receive met the fence"],
        })
        .catches(&["registry: the fence waits for no receive"])
        .run(|| {
            let owners = Owners::default();
            let (first, queue) = (owners.begin(FIRST, "first"), Queue::bounded(1, Full::Wait));
            queue.try_send(7).expect("there is room");
            // The stop is there: that it is made meanwhile is another story.
            assert!(!first.stop().told());
            let (receiving, same) = (first.clone(), queue.clone());
            let got = Arc::new(Mutex::new(None));
            let gets = Arc::clone(&got);
            let receives = spawn(move || {
                let received = receiving.recv(&same, Deadline::never());
                *gets.lock() = Some(received);
            });
            drop(first.end(Exit::Normal));
            let left = queue.len();
            join(receives);
            let received = got.lock().take().expect("it was tried");
            let second = owners.begin(SECOND, "second");
            match received {
                Ok(7) => {
                    reached!("received");
                    assert_eq!(left, 0, "it was taken after the fence had returned");
                    assert!(queue.is_empty());
                }
                Err(OwnerRecvError::Fenced(Fenced(FIRST))) => {
                    reached!("refused");
                    assert_eq!(left, 1, "it was lost");
                    assert_eq!(second.recv(&queue, Deadline::now()), Ok(7));
                }
                other => panic!("{other:?}"),
            }
            drop(second.end(Exit::Normal));
        });
}

/// Race "out before the wait". Both are threads of the story's own, which costs the race no interruption.
#[test]
fn a_fence_returns_when_the_last_receive_is_out() {
    explore("a fence returns when the last receive is out")
        .reaches(&["registry: fence met a receive"])
        .catches(&["registry: a receive goes out without the lock"])
        .run(|| {
            let owner = Owners::default().begin(FIRST, "first");
            assert!(!owner.stop().told());
            let (receiving, queue) = (owner.clone(), Queue::bounded(1, Full::Wait));
            queue.try_send(7).expect("there is room");
            let receives = spawn(move || _ = receiving.recv(&queue, Deadline::never()));
            let ends = spawn(move || drop(owner.end(Exit::Normal)));
            [receives, ends].into_iter().for_each(join);
        });
}

/// Race "fence against receive", with a receive that sleeps.
#[test]
fn a_fence_wakes_who_receives() {
    explore("a fence wakes who receives")
        .reaches(&["registry: fence met a receive"])
        .catches(&["registry: the fence wakes no receive"])
        .run(|| {
            let owners = Owners::default();
            let (owner, queue) = (owners.begin(FIRST, "first"), Queue::bounded(1, Full::Wait));
            let (receiving, same) = (owner.clone(), queue.clone());
            let receives = spawn(move || {
                let fenced = OwnerRecvError::Fenced(Fenced(FIRST));
                assert_eq!(receiving.recv(&same, Deadline::never()), Err(fenced));
            });
            drop(owner.end(Exit::Normal));
            queue.try_send(7).expect("there is room");
            join(receives);
            assert_eq!(queue.try_recv(), Ok(7), "what was sent after the fence is its successor's");
        });
}

#[test]
fn what_is_sent_while_a_fence_goes_up_is_received_or_stays() {
    explore("what is sent while a fence goes up is received or stays").reaches(&["stays"]).run(|| {
        let owners = Owners::default();
        let (owner, queue) = (owners.begin(FIRST, "first"), Queue::bounded(1, Full::Wait));
        let (receiving, same, sending) = (owner.clone(), queue.clone(), queue.clone());
        let receives = spawn(move || match receiving.recv(&same, Deadline::never()) {
            Ok(7) => {
                reached!("received");
                assert!(same.is_empty());
            }
            Err(OwnerRecvError::Fenced(Fenced(FIRST))) => reached!("stays"),
            other => panic!("{other:?}"),
        });
        let sends = spawn(move || sending.try_send(7).expect("there is room"));
        drop(owner.end(Exit::Normal));
        let left = queue.len();
        [receives, sends].into_iter().for_each(join);
        assert!(queue.len() >= left, "a value was taken after the fence had returned");
    });
}

/// Race "stop made meanwhile".
#[test]
fn a_stop_that_is_first_asked_for_while_the_life_ends_is_told() {
    explore("a stop that is first asked for while the life ends is told")
        .reaches(&["registry: a stop was made meanwhile", "made before"])
        .catches(&["registry: a stop that is made late is not told"])
        .run(|| {
            let owner = Owners::default().begin(FIRST, "first");
            let (owner, ending) = (owner.clone(), owner);
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            if !owner.stop().told() {
                reached!("made before");
            }
            join(ends);
            assert!(owner.stop().told());
        });
}

/// A receive that sleeps and has a stop of its caller's beside the life's own; `ends` is to end it, so.
fn a_receive_of_two_stops(ends: impl FnOnce(&OwnerGuard, &Stop), so: OwnerRecvError) {
    let (owner, stop) = (Owners::default().begin(FIRST, "first"), Stop::new());
    let (receiving, until) = (owner.clone(), stop.clone());
    let receives = spawn(move || {
        let received = receiving.recv(&Queue::<u8>::bounded(1, Full::Wait), &until);
        assert_eq!(received, Err(so));
    });
    ends(&owner, &stop);
    join(receives);
    drop(owner.end(Exit::Normal));
}

#[test]
fn a_receive_ends_by_the_callers_stop() {
    let scenario = explore("a receive ends by the caller's stop");
    scenario.catches(&["registry: a receive heeds its own life alone"]).run(|| {
        a_receive_of_two_stops(|_, stop| _ = stop.tell(), OwnerRecvError::Recv(RecvError::Stopped));
    });
}

#[test]
fn a_receive_ends_by_its_lifes_word_to_stop() {
    let scenario = explore("a receive ends by its life's word to stop");
    scenario.catches(&["registry: the word to stop reaches no receive"]).run(|| {
        let owner = Owners::default().begin(FIRST, "first");
        let receiving = owner.clone();
        let receives = spawn(move || {
            let received = receiving.recv(&Queue::<u8>::bounded(1, Full::Wait), Deadline::never());
            assert_eq!(received, Err(OwnerRecvError::Recv(RecvError::Stopped)));
        });
        assert!(owner.stop().tell());
        join(receives);
    });
}

#[test]
fn a_receive_with_a_callers_stop_ends_by_the_fence() {
    let scenario = explore("a receive with a caller's stop ends by the fence");
    scenario.catches(&["registry: a receive heeds its caller alone"]).run(|| {
        a_receive_of_two_stops(|owner, _| drop(owner.end(Exit::Normal)), OwnerRecvError::Fenced(Fenced(FIRST)));
    });
}

#[test]
fn of_two_monitors_one_is_dropped_while_the_end_goes_on() {
    explore("of two monitors one is dropped while the end goes on")
        .reaches(&["delivered first", "withdrawn in time"])
        .catches(&["registry: a withdrawn monitor is struck off without a look"])
        .run(|| {
            let owners = Owners::default();
            let owner = owners.begin(FIRST, "first");
            let (kept, dropped) = (owner.monitor(), owner.monitor());
            let ends = spawn(move || drop(owner.end(Exit::Failed("x".into()))));
            // So many looks that random schedules, too, meet the end among them.
            _ = (0..6).any(|_| dropped.try_recv().is_ok());
            drop(dropped);
            assert_eq!(kept.recv(Deadline::never()).map(|down| down.exit), Ok(Exit::Failed("x".into())));
            join(ends);
            match owners.monitor_stats().withdrawn {
                0 => {
                    reached!("delivered first");
                    check_over(&owners, 2, 0, 0);
                }
                _ => {
                    reached!("withdrawn in time");
                    check_over(&owners, 1, 1, 0);
                }
            }
        });
}

/// Race "caller against target".
#[test]
fn of_a_callers_end_and_a_targets_one_ends_the_monitor() {
    explore("of a caller's end and a target's one ends the monitor")
        .reaches(&["delivered", "dropped with its caller"])
        .catches(&["registry: a caller's end counts what was delivered"])
        .run(|| {
            let owners = Owners::default();
            let (caller, target) = (owners.begin(FIRST, "caller"), owners.begin(who(2), "target"));
            let monitor = target.monitor_with(MonitorOptions::new().caller(&caller));
            let ends = spawn(move || drop(caller.end(Exit::Normal)));
            drop(target.end(Exit::Normal));
            match monitor.recv(Deadline::never()) {
                Ok(_) => {
                    reached!("delivered");
                    join(ends);
                    check_over(&owners, 1, 0, 0);
                }
                Err(RecvError::Closed) => {
                    reached!("dropped with its caller");
                    join(ends);
                    check_over(&owners, 0, 0, 1);
                }
                Err(other) => panic!("{other}"),
            }
        });
}

/// Race "caller's end while it is made". That it ends between the two lists is too rare for random schedules to be held to
/// it; the planted bug is caught by it.
#[test]
fn a_monitor_that_is_made_while_its_caller_ends_leaves_nothing_behind() {
    explore("a monitor that is made while its caller ends leaves nothing behind")
        .reaches(&["in time", "too late"])
        .catches(&["registry: a monitor is kept for nobody"])
        .run(|| {
            let owners = Owners::default();
            let (caller, target) = (owners.begin(FIRST, "caller"), owners.begin(who(2), "target"));
            let (caller, ending, tag) = (caller.clone(), caller, Arc::<str>::from("tag"));
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            let monitor = target.monitor_with(MonitorOptions::new().tag(Arc::clone(&tag)).caller(&caller));
            if owners.monitor_stats().active > 0 {
                reached!("in time");
            } else {
                reached!("too late");
            }
            join(ends);
            assert_eq!(monitor.recv(Deadline::never()), Err(RecvError::Closed));
            drop(monitor);
            check_over(&owners, 0, 0, 1);
            assert_eq!(Arc::strong_count(&tag), 1, "it is still on a list");
            drop(target.end(Exit::Normal));
        });
}

#[test]
fn a_late_monitor_gets_the_true_reason_while_it_is_remembered() {
    explore("a late monitor gets the true reason while it is remembered")
        .reaches(&["remembered", "forgotten"])
        .catches(&["registry: the youngest end makes room"])
        .run(|| {
            let owners = Owners::default();
            let owner = owners.begin(FIRST, "first");
            drop(owner.end(Exit::Failed("x".into())));
            let others = owners.clone();
            let last = who(1 + TOMBSTONES as u64);
            let ends = spawn(move || {
                (2..).take(TOMBSTONES).for_each(|id| drop(others.begin(who(id), "other").end(Exit::Normal)));
            });
            // So many looks that random schedules, too, see both.
            for _ in 0..8 {
                match owners.monitor(FIRST).try_recv().map(|down| down.exit) {
                    Ok(Exit::Failed(_)) => reached!("remembered"),
                    Ok(Exit::NoSuchIncarnation) => reached!("forgotten"),
                    other => panic!("{other:?}"),
                }
            }
            let own = owner.monitor().try_recv().map(|down| down.exit);
            assert_eq!(own, Ok(Exit::Failed("x".into())), "an owner remembers its own end");
            join(ends);
            assert_eq!(owners.exit_of(last), Some(Exit::Normal), "the youngest is remembered");
            assert_eq!((owners.forgotten(), owners.exit_of(FIRST)), (1, Some(Exit::NoSuchIncarnation)));
        });
}
