//! What monitors promise: one Down each, an end of their own, and a table that knows them all.

use std::{panic::Location, sync::Arc, time::Duration};

use foundation_context::{Incarnation, fields};
use foundation_registry::{
    Cause, Exit, MONITOR_CREATED, MONITOR_LEAKED, MONITOR_WITHDRAWN, Monitor, MonitorOptions, MonitorStats, OwnerGuard,
    Owners, TOMBSTONES,
};
use foundation_sync::{
    Deadline, Full, MINUTE, Queue, RecvError, ReserveError, SECOND, SECONDS_5, TryRecvError, thread,
};
use foundation_testkit::TestUniverse;

fn who(id: u64, generation: u64) -> Incarnation {
    Incarnation { id, generation }
}

fn begin<const N: usize>(owners: &Owners) -> [OwnerGuard; N] {
    std::array::from_fn(|at| owners.begin(who(at as u64 + 1, 1), format!("w{}", at + 1)))
}

fn tagged(tag: &str) -> MonitorOptions {
    MonitorOptions::new().tag(tag)
}

/// How many are active, delivered, withdrawn and dropped with their caller.
#[track_caller]
fn check(owners: &Owners, expected: [u64; 4]) -> MonitorStats {
    let stats = owners.monitor_stats();
    assert_eq!([stats.active, stats.delivered, stats.withdrawn, stats.dropped], expected, "{stats:?}");
    assert_eq!(stats.created, expected.iter().sum::<u64>(), "each has one end: {stats:?}");
    assert_eq!(owners.monitors().len() as u64, stats.active);
    stats
}

#[track_caller]
fn news(monitor: &Monitor) -> Exit {
    let down = monitor.try_recv().expect("the news is there");
    assert_eq!(monitor.try_recv(), Err(TryRecvError::Closed), "exactly one, and none comes any more");
    assert_eq!(monitor.recv(Deadline::never()), Err(RecvError::Closed), "nobody waits for what never comes");
    down.exit
}

#[test]
fn a_monitor_gets_exactly_one_down_early_or_late() {
    let owners = Owners::default();
    let [owner] = begin(&owners);
    let early = [owners.monitor(who(1, 1)), owner.monitor()];
    for monitor in &early {
        assert_eq!(monitor.recv(Deadline::now()), Err(RecvError::TimedOut));
    }
    drop(owner.end(Exit::Shutdown(Cause::Requested)));
    let late = [owners.monitor(who(1, 1)), owner.monitor()];
    for monitor in early.iter().chain(&late) {
        assert_eq!(news(monitor), Exit::Shutdown(Cause::Requested));
    }
    check(&owners, [0, 4, 0, 0]);
    drop((early, late));
    check(&owners, [0, 4, 0, 0]);
}

#[test]
fn who_never_was_or_was_forgotten_is_unknown_at_once_and_an_owner_knows_its_own_end() {
    let owners = Owners::default();
    let [first, second] = begin(&owners);
    drop(first.end(Exit::Failed("x".into())));
    drop(second.end(Exit::Normal));
    for id in 0..TOMBSTONES as u64 - 1 {
        drop(owners.begin(who(100 + id, 1), "w").end(Exit::Normal));
    }
    let table = [
        (who(9, 9), Exit::NoSuchIncarnation),
        (who(1, 2), Exit::NoSuchIncarnation),
        (who(1, 1), Exit::NoSuchIncarnation),
        (who(2, 1), Exit::Normal),
    ];
    for (incarnation, exit) in table {
        assert_eq!(news(&owners.monitor(incarnation)), exit, "{incarnation}");
        assert_eq!(owners.exit_of(incarnation), Some(exit), "{incarnation}");
    }
    assert_eq!(news(&first.monitor()), Exit::Failed("x".into()));
    assert_eq!((owners.forgotten(), owners.monitor_stats().unknown), (1, 3));
    check(&owners, [0, 5, 0, 0]);
}

/// The original never told who asked.
#[test]
fn who_asks_is_told_also_in_a_queue_that_keeps_a_place() {
    let owners = Owners::default();
    let [owner, other] = begin(&owners);
    let queue = Queue::bounded(1, Full::Refuse);
    owners.monitor_into(who(1, 1), &queue).expect("there is room");
    assert_eq!(owners.monitor_into(who(1, 1), &queue), Err(ReserveError::Full));
    check(&owners, [1, 0, 0, 0]);
    drop(owner.end(Exit::Normal));
    assert_eq!(queue.try_recv().map(|down| (down.incarnation, down.exit)), Ok((who(1, 1), Exit::Normal)));
    owners.monitor_into(who(2, 1), &queue).expect("there is room");
    queue.close();
    drop(other.end(Exit::Normal));
    assert_eq!(check(&owners, [0, 2, 0, 0]).unwanted, 1, "a closed queue wants no news");
}

#[test]
fn a_monitor_that_is_dropped_is_withdrawn_and_leaves_nothing_behind() {
    let owners = Owners::default();
    let [owner, caller] = begin(&owners);
    let tag: Arc<str> = "tag".into();
    let options = || MonitorOptions::new().tag(Arc::clone(&tag)).caller(&caller);
    let (dropped, kept) = (owner.monitor_with(options()), owner.monitor_with(options()));
    drop(dropped);
    assert_eq!(Arc::strong_count(&tag), 2, "the other one's");
    check(&owners, [1, 0, 1, 0]);
    drop(owner.end(Exit::Normal));
    assert_eq!(news(&kept), Exit::Normal, "two monitors are independent");
    drop(kept);
    assert_eq!(Arc::strong_count(&tag), 1);
    check(&owners, [0, 1, 1, 0]);
}

#[test]
fn one_may_monitor_oneself_and_it_does_nothing_while_one_lives() {
    let owners = Owners::default();
    let [owner] = begin(&owners);
    let plain = owner.monitor();
    let for_itself = owner.monitor_with(MonitorOptions::new().caller(&owner));
    assert_eq!(plain.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(for_itself.try_recv(), Err(TryRecvError::Empty));
    drop(owner.end(Exit::Normal));
    assert_eq!([news(&plain), news(&for_itself)], [Exit::Normal, Exit::Normal]);
    check(&owners, [0, 2, 0, 0]);
}

/// Universes count alike.
#[test]
fn a_caller_of_another_universe_with_the_same_number_is_somebody_else() {
    let (owners, others) = (Owners::default(), Owners::default());
    let ([target], [caller]) = (begin(&owners), begin(&others));
    let monitor = target.monitor_with(MonitorOptions::new().caller(&caller));
    drop(caller.end(Exit::Normal));
    assert_eq!(monitor.try_recv(), Err(TryRecvError::Closed));
    check(&owners, [0, 0, 0, 1]);
}

#[test]
fn a_monitor_goes_one_way() {
    let owners = Owners::default();
    let [target, caller] = begin(&owners);
    let monitor = target.monitor_with(MonitorOptions::new().caller(&caller));
    drop(target.end(Exit::Failed("x".into())));
    assert!(!caller.fenced(), "who asks does not die of the news");
    assert_eq!(news(&monitor), Exit::Failed("x".into()));
    let [target, caller] = [who(3, 1), who(4, 1)].map(|incarnation| owners.begin(incarnation, "w"));
    let monitor = target.monitor_with(MonitorOptions::new().caller(&caller));
    drop(caller.end(Exit::Failed("y".into())));
    assert!(!target.fenced(), "nor does who is asked for");
    assert_eq!(monitor.try_recv(), Err(TryRecvError::Closed));
}

/// The original said so three times for three monitors: of 3, of 0 and of 0.
#[test]
fn a_callers_end_drops_its_monitors_each_once() {
    let owners = Owners::default();
    let [target, other, caller] = begin(&owners);
    let options = || MonitorOptions::new().caller(&caller);
    let queue = Queue::bounded(1, Full::Refuse);
    let held = [target.monitor_with(options()), target.monitor_with(options()), other.monitor_with(options())];
    owners.monitor_into_with(other.incarnation(), &queue, options()).expect("there is room");
    let anothers = target.monitor();
    check(&owners, [5, 0, 0, 0]);
    drop(caller.end(Exit::Normal));
    check(&owners, [1, 0, 0, 4]);
    for monitor in &held {
        assert_eq!(monitor.recv(Deadline::never()), Err(RecvError::Closed));
    }
    assert!(queue.reserve().is_ok(), "the place is free");
    drop(held);
    drop((target.end(Exit::Normal), other.end(Exit::Normal)));
    assert!(queue.is_empty() && news(&anothers) == Exit::Normal);
    check(&owners, [0, 1, 0, 4]);
    let last = owners.begin(who(9, 1), "w");
    let late = last.monitor_with(options());
    assert_eq!(late.try_recv(), Err(TryRecvError::Closed), "an ended caller waits for nobody");
    check(&owners, [0, 1, 0, 5]);
}

/// In the original one entry was left for each: 101 after 100.
#[test]
fn dead_callers_leave_nothing_behind() {
    let owners = Owners::default();
    let [target] = begin(&owners);
    let tag: Arc<str> = "tag".into();
    for id in 0..100 {
        let caller = owners.begin(who(100 + id, 1), "caller");
        let options = MonitorOptions::new().tag(Arc::clone(&tag)).caller(&caller);
        let monitor = target.monitor_with(options);
        drop(caller.end(Exit::Normal));
        drop(monitor);
    }
    assert_eq!(Arc::strong_count(&tag), 1);
    check(&owners, [0, 0, 0, 100]);
}

/// The original's was the place where its server made the monitor.
#[test]
fn a_list_says_who_waits_for_whom_since_when_and_where_it_was_made() {
    let t = TestUniverse::with_virtual_time();
    let owners = t.owners();
    let [target, caller] = [who(71, 1), who(72, 1)].map(|incarnation| owners.begin(incarnation, "w"));
    let first = target.monitor_with(tagged("pool").caller(&caller));
    t.clock().advance(SECOND);
    let second = owners.monitor(who(71, 1));
    let line = line!() - 1;
    t.clock().advance(SECOND);
    let notes = owners.monitors();
    let [oldest, youngest] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!((oldest.target, oldest.target_lives, oldest.age), (who(71, 1), true, 2 * SECOND));
    assert_eq!((oldest.tag.as_deref(), oldest.caller), (Some("pool"), Some(who(72, 1))));
    assert_eq!((youngest.location.file(), youngest.location.line()), (file!(), line));
    assert_eq!((youngest.tag.as_deref(), youngest.caller, youngest.age), (None, None, SECOND));
    let at = oldest.location;
    assert_eq!(oldest.to_string(), format!("a monitor of w (71#1), `pool`, made at {at} for 72#1 2s ago"));
    drop((first, second));
    drop((target.end(Exit::Normal), caller.end(Exit::Normal)));
}

#[test]
fn every_way_to_make_a_monitor_says_where_it_was_made() {
    let owners = Owners::default();
    let [owner] = begin(&owners);
    let queue = Queue::bounded(2, Full::Refuse);
    #[track_caller]
    fn here<T>(made: T) -> (T, &'static Location<'static>) {
        (made, Location::caller())
    }
    let mut lines = Vec::new();
    let mut handles = Vec::new();
    for way in 0..4 {
        let (monitor, line) = match way {
            0 => here(owners.monitor(who(1, 1))),
            1 => here(owners.monitor_with(who(1, 1), tagged("x"))),
            2 => here(owner.monitor()),
            _ => here(owner.monitor_with(tagged("x"))),
        };
        handles.push(monitor);
        lines.push(line.line());
    }
    lines.push(here(owners.monitor_into(who(1, 1), &queue)).1.line());
    lines.push(here(owners.monitor_into_with(who(1, 1), &queue, tagged("x"))).1.line());
    let said: Vec<_> = owners.monitors().iter().map(|note| note.location.line()).collect();
    assert_eq!(said, lines);
    drop(owner.end(Exit::Normal));
}

/// The original counted the same leak again at each look.
#[test]
fn a_leak_is_told_at_each_look_and_counted_once() {
    let t = TestUniverse::with_virtual_time();
    let owners = t.owners();
    let incarnations = [71, 72, 73, 74].map(|id| who(id, 1));
    let [target, other, caller, dead] = incarnations.map(|incarnation| owners.begin(incarnation, "w"));
    let old = target.monitor_with(tagged("old").caller(&caller));
    let of_nobody = target.monitor();
    let told = other.monitor_with(tagged("told"));
    let orphan = target.monitor_with(MonitorOptions::new().caller(&dead));
    t.clock().advance(MINUTE);
    let young = target.monitor_with(tagged("young"));
    drop((other.end(Exit::Normal), dead.end(Exit::Normal)));
    let found = |older_than: Duration| {
        let tags: Vec<_> = owners.leaks(older_than).into_iter().map(|note| note.tag).collect();
        tags
    };
    assert_eq!(found(MINUTE), [], "they are that old, not older");
    let event = t.assert_telemetry_where(
        MONITOR_LEAKED,
        |_| true,
        || {
            assert_eq!(found(SECONDS_5), [Some("old".into()), None]);
        },
    );
    assert!(event.measurements.contains(&fields! { count: 2_u64, age: MINUTE.as_nanos() as u64 }), "{event:?}");
    assert!(event.metadata.contains(&fields! { tag: "old".to_owned(), caller: who(73, 1) }), "{event:?}");
    assert_eq!(owners.monitor_stats().leaked, 2);
    t.refute_telemetry_event(&["foundation", "monitor", "leaked"], fields! {}, || {
        assert_eq!(found(SECONDS_5).len(), 2, "they are told again");
    });
    assert_eq!(owners.monitor_stats().leaked, 2, "and not counted again");
    t.clock().advance(MINUTE);
    assert_eq!((found(SECONDS_5).len(), owners.monitor_stats().leaked), (3, 3));
    drop((old, of_nobody, told, orphan, young));
    assert_eq!((found(Duration::ZERO), owners.monitor_stats().leaked), (vec![], 3));
    drop((target.end(Exit::Normal), caller.end(Exit::Normal)));
}

#[test]
fn making_and_dropping_a_monitor_are_events_and_an_end_is_none() {
    let t = TestUniverse::with_virtual_time();
    let owners = t.owners();
    let [target, caller] = [who(71, 1), who(72, 1)].map(|incarnation| owners.begin(incarnation, "w"));
    let all = t.capture_telemetry([MONITOR_CREATED, MONITOR_WITHDRAWN, MONITOR_LEAKED]);
    let make = || target.monitor_with(tagged("pool").caller(&caller));
    let monitor = make();
    t.clock().advance(SECOND);
    drop(monitor);
    let [created, withdrawn] = &all.take()[..] else { panic!("two events") };
    let about = fields! { target: who(71, 1), tag: "pool".to_owned(), caller: who(72, 1) };
    assert!(created.name == MONITOR_CREATED && created.metadata.contains(&about), "{created:?}");
    assert!(withdrawn.name == MONITOR_WITHDRAWN && withdrawn.metadata.contains(&about), "{withdrawn:?}");
    assert_eq!(withdrawn.measurements, fields! { age: SECOND.as_nanos() as u64 });
    assert!(withdrawn.metadata.get("location").and_then(|at| at.as_str()).is_some_and(|at| at.contains(file!())));
    let (delivered, dropped) = (owners.monitor(who(71, 1)), make());
    assert_eq!(all.take().len(), 2, "made");
    drop((caller.end(Exit::Normal), target.end(Exit::Normal)));
    drop((delivered, dropped));
    assert_eq!(all.take().len(), 0, "what an end does is counted, not told");
    drop(owners.monitor(who(71, 1)));
    assert_eq!(all.take().len(), 1, "a late one was made, and not withdrawn");
    check(owners, [0, 2, 1, 1]);
}

/// Were a monitor's cost to grow with their number, this would take hours.
#[test]
fn a_hundred_thousand_monitors_of_one_target_cost_as_much_each_as_one() {
    let owners = Owners::default();
    let [target, caller] = begin(&owners);
    let half = 50_000;
    let queue = Queue::bounded(half, Full::Refuse);
    let made = || target.monitor_with(MonitorOptions::new().caller(&caller));
    let mut handles: Vec<_> = std::iter::repeat_with(made).take(half).collect();
    for _ in 0..half {
        owners.monitor_into(who(1, 1), &queue).expect("there is room");
    }
    assert_eq!(owners.monitors().len(), 2 * half);
    // The oldest first, the worst order for a list that is searched from its end.
    handles.drain(..half / 2).for_each(drop);
    let half = half as u64;
    check(&owners, [half + half / 2, 0, half / 2, 0]);
    drop(caller.end(Exit::Normal));
    check(&owners, [half, 0, half / 2, half / 2]);
    drop(target.end(Exit::Normal));
    check(&owners, [0, half, half / 2, half / 2]);
    assert_eq!(queue.len() as u64, half);
}

#[test]
fn the_counts_agree_while_many_threads_make_drop_and_end() {
    let owners = Owners::default();
    let [target] = begin(&owners);
    let works = (0..4).map(|id| {
        let (owners, target) = (owners.clone(), target.clone());
        let body = move || {
            for round in 0..200 {
                let caller = owners.begin(who(100 + id, round), "caller");
                let options = || MonitorOptions::new().caller(&caller);
                let (withdrawn, _with_caller) = (target.monitor_with(options()), target.monitor_with(options()));
                let delivered = caller.monitor();
                drop(withdrawn);
                let stats = owners.monitor_stats();
                assert_eq!(stats.created, stats.active + stats.delivered + stats.withdrawn + stats.dropped);
                drop(caller.end(Exit::Normal));
                assert_eq!(news(&delivered), Exit::Normal);
            }
        };
        thread::Builder::new("works").spawn(body).expect("a thread starts")
    });
    works.collect::<Vec<_>>().into_iter().for_each(|work| work.join().expect("it does not panic"));
    check(&owners, [0, 800, 800, 800]);
}

#[test]
fn many_who_look_for_leaks_at_once_count_each_once() {
    let owners = Owners::default();
    let [target] = begin(&owners);
    let monitors: Vec<_> = std::iter::repeat_with(|| target.monitor()).take(500).collect();
    let looks = (0..4).map(|_| {
        let owners = owners.clone();
        let body = move || assert_eq!(owners.leaks(Duration::ZERO).len(), 500);
        thread::Builder::new("looks").spawn(body).expect("a thread starts")
    });
    looks.collect::<Vec<_>>().into_iter().for_each(|look| look.join().expect("it does not panic"));
    assert_eq!(owners.monitor_stats().leaked, 500);
    drop(monitors);
    check(&owners, [0, 0, 500, 0]);
    drop(target.end(Exit::Normal));
}
