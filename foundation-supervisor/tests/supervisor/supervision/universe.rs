//! What a universe promises as a whole: its registry, its rest, its end.

use std::{sync::Arc, time::Duration};

use foundation_context::{Incarnation, fields};
use foundation_registry::{Address, Cause, Exit, RegisterError, Registration};
use foundation_supervisor::{ChildSpec, Failure, Foundation, Life, StartError, Strategy, Supervisor};
use foundation_sync::{Full, Queue, SECOND, thread};
use foundation_testkit::{TestUniverse, patience};

use super::{idle, one_for_one, soon};

#[test]
fn a_universes_registry_has_the_room_and_the_indexes_that_its_builder_was_told() {
    let t = TestUniverse::of(Foundation::builder().registry_capacity(2).index("shard"));
    let owner = t.owners().begin(Incarnation { id: 99, generation: 1 }, "outsider");
    let register =
        |name| t.registry().register(name, &owner, Address::new(()), fields! { shard: 3 }).map(Registration::keep);
    assert_eq!([register("a"), register("b")], [Ok(()), Ok(())]);
    assert!(matches!(register("c"), Err(RegisterError::Full { capacity: 2, .. })));
    assert_eq!(t.registry().sizes().indexed, 2);
    drop(owner.end(Exit::Normal));
}

#[test]
fn a_thousand_idle_trees_have_no_thread() {
    let t = TestUniverse::new();
    for number in 0..1_000 {
        t.start(Supervisor::new(format!("t{number}"), Strategy::OneForOne));
    }
    assert_eq!(t.threads(), []);
}

#[test]
fn two_universes_never_see_each_other() {
    let (one, other) = (TestUniverse::new(), TestUniverse::new());
    let child = one.start_child("worker");
    assert!(other.whereis("worker").is_none());
    let same = other.start_child("worker");
    child.crash();
    one.wait_for_restart(&child);
    assert_eq!((one.restarts(), other.restarts()), (1, 0));
    assert_eq!(other.whereis("worker"), Some(same.incarnation()));
}

#[test]
fn a_stopped_universe_keeps_nothing() {
    let probe = Arc::new(());
    let foundation = Foundation::builder().start();
    let (held, telemetry) = (Arc::clone(&probe), foundation.telemetry().clone());
    let body = move |life: &Life| {
        let _held = &held;
        if life.incarnation().generation == 1 { panic!("boom") } else { idle(life) }
    };
    telemetry.attach("quiet", foundation_supervisor::CRASHED, |_| {}).expect("the id is free");
    let inner = one_for_one("inner").child(ChildSpec::worker("w", body));
    let outer = one_for_one("outer").child(ChildSpec::supervisor(inner));
    let tree = outer.start(&foundation, soon(&foundation)).expect("it starts");
    let report = foundation.stop(patience());
    assert!(report.is_clean(), "{report}");
    drop(tree);
    assert_eq!(Arc::strong_count(&probe), 1, "something of the universe is still there");
}

#[test]
fn a_universe_that_is_dropped_stops_by_itself() {
    let foundation = Foundation::builder().start();
    let system = foundation.system().clone();
    let tree = one_for_one("t").child(ChildSpec::worker("w", idle)).start(&foundation, soon(&foundation));
    let tree = tree.expect("it starts");
    drop(foundation);
    assert_eq!(tree.wait(soon(&system)), Ok(Exit::Shutdown(Cause::Requested)));
    foundation_testkit::wait_for(|| system.threads().is_empty());
    assert_eq!(one_for_one("late").start(&system, soon(&system)).expect_err("it has stopped"), StartError::Stopped);
}

#[test]
fn many_threads_may_bring_news_at_once() {
    let t = TestUniverse::new();
    let tree = t.start(one_for_one("t").intensity(1_000_000, SECOND));
    let until = soon(&t);
    let callers: Vec<_> = (0..8)
        .map(|number| {
            let (tree, until) = (tree.clone(), until.clone());
            let body = move || {
                let name = format!("w{number}");
                for round in 0..20 {
                    let spec = ChildSpec::worker(name.clone(), idle);
                    match round {
                        0 => _ = tree.start_child(spec, &until).expect("its name is free"),
                        _ => _ = tree.restart_child(&name, &until).expect("it has ended"),
                    }
                    assert_eq!(tree.terminate_child(&name, &until), Ok(()));
                }
            };
            thread::Builder::new("caller").spawn(body).expect("a thread")
        })
        .collect();
    for caller in callers {
        caller.join().expect("every call is answered as it should be");
    }
    assert_eq!(tree.children(&until).expect("it runs").len(), 8);
}

#[test]
fn a_universe_that_is_dropped_keeps_nothing() {
    let probe = Arc::new(());
    let held = Arc::clone(&probe);
    let foundation = Foundation::builder().start();
    let body = move |life: &Life| {
        let _held = &held;
        idle(life)
    };
    let tree = one_for_one("t").child(ChildSpec::worker("w", body)).start(&foundation, soon(&foundation));
    drop((tree, foundation));
    foundation_testkit::wait_for(|| Arc::strong_count(&probe) == 1);
}

#[test]
fn a_stop_that_times_out_goes_on_and_loses_no_report() {
    let foundation = Foundation::builder().start();
    let system = foundation.system().clone();
    let (gate, crashed) = (Queue::<()>::bounded(1, Full::Wait), Queue::bounded(9, Full::Refuse));
    let (held, seen) = (gate.clone(), crashed.clone());
    let note = move |_: &foundation_telemetry::Event| _ = seen.try_send(());
    system.telemetry().attach("crashes", foundation_supervisor::CRASHED, note).expect("the id is free");
    let body = move |life: &Life| {
        _ = held.recv(life.system().within(patience()));
        Err(Failure::new("at last"))
    };
    let spec = ChildSpec::worker("w", body).stop_whenever();
    let tree = one_for_one("t").child(spec).start(&foundation, soon(&system)).expect("it starts");
    let report = foundation.stop(Duration::from_millis(1));
    assert!(!report.is_clean() && report.to_string().contains("t/w#1"), "{report}");
    gate.close();
    assert_eq!(tree.wait(soon(&system)), Ok(Exit::Shutdown(Cause::Requested)));
    assert_eq!(crashed.recv(soon(&system)), Ok(()));
    foundation_testkit::wait_for(|| system.threads().is_empty());
    assert_eq!((system.restarts(), system.lost()), (0, 0));
}

#[test]
fn numbers_that_were_taken_by_hand_are_left_out() {
    let t = TestUniverse::new();
    let next = t.owners().live().iter().map(|owner| owner.incarnation().id).max().unwrap_or(0) + 1;
    let by_hand = |id| t.owners().begin(Incarnation { id, generation: 1 }, "by hand");
    let taken: Vec<_> = (next..next + 5).map(by_hand).collect();
    let tree = t.start(one_for_one("s").child(ChildSpec::worker("w", idle)));
    assert!(tree.incarnation().id >= next + 5);
    taken.into_iter().for_each(|owner| drop(owner.end(Exit::Normal)));
}
