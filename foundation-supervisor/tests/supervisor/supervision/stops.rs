//! How trees and their children end.

use std::{sync::Arc, time::Duration};

use foundation_context::{Value, fields};
use foundation_registry::{Address, Cause, Exit};
use foundation_supervisor::{AutoShutdown, ChildSpec, Failure, Life, Restart};
use foundation_sync::{Full, MINUTE, Mutex, Queue, Wake};
use foundation_testkit::{TestUniverse, patience};

use super::{Body, Log, end, idle, one_for_one, soon};

#[test]
fn children_stop_in_reverse_order_and_their_names_are_free_when_the_stop_returns() {
    let t = TestUniverse::new();
    let order = Log::default();
    let mut tree = one_for_one("t");
    for name in ["a", "b", "c"] {
        let log = Arc::clone(&order);
        let body = move |life: &Life| {
            life.register(name, ())?.keep();
            life.ready();
            let ended = idle(life);
            log.lock().push(format!("{name} {}", life.cause().map(|cause| cause.to_string()).unwrap_or_default()));
            ended
        };
        tree = tree.child(ChildSpec::worker(name, body).ready_within(patience()));
    }
    let tree = t.start(tree);
    assert_eq!(["a", "b", "c"].map(|name| t.whereis(name).is_some()), [true; 3]);
    assert_eq!(tree.stop(soon(&t)), Ok(Exit::Shutdown(Cause::Requested)));
    assert_eq!(["a", "b", "c"].map(|name| t.whereis(name).is_some()), [false; 3]);
    assert_eq!(*order.lock(), ["c requested", "b requested", "a requested"]);
    assert_eq!(tree.stop(soon(&t)), Ok(Exit::Shutdown(Cause::Requested)), "a second stop says the same");
}

#[test]
fn who_ignores_its_stop_is_abandoned_fenced_and_reported() {
    let t = TestUniverse::new();
    let (gate, fenced) = (Queue::<()>::bounded(1, Full::Wait), Queue::bounded(1, Full::Refuse));
    let (held, seen) = (gate.clone(), fenced.clone());
    let body = move |life: &Life| {
        life.register("deaf", ())?.keep();
        life.ready();
        // Deaf: it waits for the gate alone, whatever it is told.
        _ = held.recv(life.system().within(patience()));
        let nothing = Queue::<()>::bounded(1, Full::Wait);
        let refused = life.next(&nothing).is_err() && life.register("again", ()).is_err();
        seen.try_send(refused).map_err(|_| Failure::new("full"))?;
        Err(Failure::new("a late end is no second report"))
    };
    let spec = ChildSpec::worker("w", body).ready_within(patience()).stop_within(Duration::from_millis(1));
    let crashes = t.capture_telemetry(foundation_supervisor::CRASHED);
    let tree = t.start(one_for_one("t").child(spec));
    let first = t.whereis("deaf").expect("it is ready");
    assert_eq!(tree.terminate_child("w", soon(&t)), Ok(()));
    assert!(matches!(t.owners().exit_of(first), Some(Exit::Abandoned { .. })));
    assert!(t.whereis("deaf").is_none());
    assert_eq!(t.abandoned(), 1);
    assert!(t.threads().iter().any(|thread| &*thread.name == "t/w#1"), "it still runs, and is accounted for");
    let telemetry = t.telemetry().clone();
    t.assert_telemetry_event(&["foundation", "supervisor", "late_exit"], fields! { worker: "t/w".to_owned() }, || {
        gate.close();
        telemetry.list()
    });
    assert_eq!(fenced.try_recv(), Ok(true), "what it received and registered was refused");
    // The courier may still be on its way.
    let reported = t.wait_for(|| Some(crashes.take()).filter(|reported| !reported.is_empty()));
    let kinds: Vec<_> = reported.iter().map(|event| event.metadata.get("kind").cloned()).collect();
    assert_eq!(kinds, [Some(Value::from("abandoned"))]);
}

#[test]
fn the_last_significant_child_ends_its_tree() {
    let t = TestUniverse::new();
    let finishes: Body = |_| Ok(());
    let tree = one_for_one("t")
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(ChildSpec::worker("forever", idle))
        .child(ChildSpec::worker("a", finishes).restart(Restart::Transient).significant())
        .child(ChildSpec::worker("b", finishes).restart(Restart::Transient).significant());
    let tree = t.start(tree);
    assert_eq!(end(&t, &tree), Exit::Shutdown(Cause::AutoShutdown));
}

#[test]
fn a_body_may_hold_a_handle_to_its_own_tree() {
    let probe = Arc::new(());
    let t = TestUniverse::new();
    let tree = t.start(one_for_one("t"));
    let (held, own) = (Arc::clone(&probe), tree.clone());
    let body = move |life: &Life| {
        let _held = (&held, &own);
        idle(life)
    };
    tree.start_child(ChildSpec::worker("w", body), soon(&t)).expect("it can be started");
    assert!(tree.stop(soon(&t)).is_ok());
    drop(tree);
    t.wait_for(|| Arc::strong_count(&probe) == 1);
}

#[test]
fn a_late_exit_of_a_temporary_child_is_told() {
    let t = TestUniverse::new();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let held = gate.clone();
    let body = move |life: &Life| {
        _ = held.recv(life.system().within(patience()));
        Ok(())
    };
    let spec = ChildSpec::worker("w", body).restart(Restart::Temporary).stop_within(Duration::ZERO);
    let tree = t.start(one_for_one("t").child(spec));
    assert_eq!(tree.terminate_child("w", soon(&t)), Ok(()));
    t.assert_telemetry_event(&["foundation", "supervisor", "late_exit"], fields! { worker: "t/w".to_owned() }, || {
        gate.close();
    });
}

#[test]
fn a_tree_remembers_its_end_however_long_ago_it_was() {
    let t = TestUniverse::new();
    let tree = t.start(one_for_one("t"));
    assert!(tree.stop(soon(&t)).is_ok());
    for _ in 0..1_100 {
        assert!(t.start(one_for_one("other")).stop(soon(&t)).is_ok());
    }
    assert_eq!(tree.wait(soon(&t)), Ok(Exit::Shutdown(Cause::Requested)));
}

#[test]
fn what_a_body_holds_is_dropped_where_a_panic_of_it_stays() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let t = TestUniverse::new();
    let bomb = Bomb;
    let body = move |life: &Life| {
        let _held = &bomb;
        idle(life)
    };
    let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", body)));
    assert!(tree.stop(soon(&t)).is_ok());
    drop(tree);
    t.start_child("the universe goes on");
}

struct Gate(Mutex<()>);

impl Wake for Gate {
    fn wake(&self) {
        // As in the example at `Wake`.
        drop(self.0.lock());
    }
}

#[test]
fn a_worker_whose_watcher_hangs_ends_all_the_same() {
    let t = TestUniverse::new();
    let gate = Arc::new(Gate(Mutex::new(())));
    let watched = Arc::clone(&gate);
    let body = move |life: &Life| {
        std::mem::forget(life.stop().watch(Arc::clone(&watched) as Arc<dyn Wake>));
        Ok(())
    };
    let shut = gate.0.lock();
    let spec = ChildSpec::worker("w", body).restart(Restart::Temporary).significant();
    let tree = t.start(one_for_one("s").auto_shutdown(AutoShutdown::AnySignificant).child(spec));
    let ended = tree.wait(soon(&t));
    drop(shut);
    assert_eq!(ended, Ok(Exit::Shutdown(Cause::AutoShutdown)));
}

struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("the drop of a user's value");
        }
    }
}

/// A tree is an owner, too, whom everybody finds by its incarnation.
#[test]
fn what_a_tree_holds_when_it_ends_is_dropped_by_the_courier_and_breaks_no_other() {
    let t = TestUniverse::new();
    let inner = ChildSpec::supervisor(one_for_one("inner").child(ChildSpec::worker("w", idle)));
    let (tree, other) = (t.start(one_for_one("mine").child(inner)), t.start(one_for_one("other")));
    let live = t.owners().live();
    let supervisors = live.iter().filter(|owner| owner.name().starts_with("mine") && !owner.name().ends_with("/w"));
    let held: Vec<_> = supervisors.map(|owner| (owner, owner.name().to_string())).collect();
    assert_eq!(held.len(), 2, "{held:?}");
    for (owner, name) in held {
        t.registry().register(&name, owner, Address::new(Panics), fields! {}).expect("it is free").keep();
    }
    assert_eq!(tree.stop(soon(&t)), Ok(Exit::Shutdown(Cause::Requested)));
    t.wait_for(|| t.lost() == 2);
    assert!(t.registry().is_empty() && t.owners().exit_of(other.incarnation()).is_none(), "the other goes on");
}

#[test]
fn a_timer_of_who_has_ended_or_is_ready_is_taken_back() {
    let t = TestUniverse::new();
    let ready = |life: &Life| {
        life.ready();
        idle(life)
    };
    let spec = ChildSpec::worker("w", ready).ready_within(patience()).stop_within(MINUTE);
    let tree = t.start(one_for_one("t").child(spec).child(ChildSpec::worker("watched", idle).heartbeat_within(MINUTE)));
    assert_eq!(t.vitals().timers, 1, "who is ready is not waited for; the other one is looked after");
    assert!(tree.stop(soon(&t)).is_ok());
    assert_eq!(t.vitals().timers, 0, "nobody is looked after, or waited for, who has ended");
}
