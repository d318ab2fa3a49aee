//! What a supervised worker, a tree and a universe promise, on real threads.
#![cfg(not(any(loom, shuttle)))]

use std::{fmt, sync::Arc, time::Duration};

use foundation_context::{Incarnation, Value, current, fields, with};
use foundation_registry::{Address, Cause, Exit, RegisterError, Registration};
use foundation_supervisor::{
    AutoShutdown, ChildError, ChildSpec, Failure, Foundation, Life, Phase, Restart, SpecError, StartError, Strategy,
    Supervisor, System, Tree,
};
use foundation_sync::{Deadline, Full, MINUTE, Mutex, Queue, SECOND, Wake, thread};
use foundation_testkit::{TestUniverse, patience};

type Body = fn(&Life) -> Result<(), Failure>;
type Log = Arc<Mutex<Vec<String>>>;

/// Waits until it is told to stop.
fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}

fn one_for_one(name: &'static str) -> Supervisor {
    Supervisor::new(name, Strategy::OneForOne)
}

fn soon(system: &System) -> Deadline {
    system.within(patience())
}

fn end(t: &TestUniverse, tree: &Tree) -> Exit {
    tree.wait(soon(t)).expect("it ends within the test's patience")
}

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
fn a_worker_that_panics_is_replaced_and_its_name_moves_on() {
    let t = TestUniverse::new();
    let first = t.start_child("worker");
    first.crash();
    let second = t.wait_for_restart(&first);
    assert_eq!(second.incarnation().id, first.incarnation().id);
    assert_eq!(second.incarnation().generation, first.incarnation().generation + 1);
    assert_eq!(t.owners().exit_of(first.incarnation()).map(|exit| exit.kind()), Some("panicked"));
    second.fail();
    let third = t.wait_for_restart(&second);
    assert_eq!(t.owners().exit_of(second.incarnation()), Some(Exit::Failed("told to fail".into())));
    third.finish();
    t.wait_for_restart(&third);
    assert_eq!(t.restarts(), 3, "a permanent worker is replaced however it ends");
}

#[test]
fn a_crash_report_says_who_what_where_and_in_which_context() {
    let t = TestUniverse::new();
    let capture = t.capture_telemetry(&[foundation_supervisor::CRASHED]);
    let body: Body = |_| with(fields! { request: 7 }, || panic!("boom"));
    let spec = ChildSpec::worker("w", body).restart(Restart::Temporary).context(fields! { shard: 3 });
    t.start(one_for_one("t").child(spec));
    let event = t.wait_for(|| capture.take().pop());
    let said = |name: &str| event.metadata.get(name).map(ToString::to_string).unwrap_or_default();
    assert_eq!((said("worker"), said("kind")), ("t/w".to_owned(), "panicked".to_owned()));
    assert!(said("exit").starts_with("panicked at") && said("exit").ends_with(": boom"), "{}", said("exit"));
    assert!(said("exit").contains("supervision.rs"));
    assert_eq!((said("request"), said("shard")), ("7".to_owned(), "3".to_owned()), "the context of the panic");
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

impl std::error::Error for Broken {}

struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

#[test]
fn no_panic_escapes_wherever_it_happens() {
    let table: [(&str, Body, &str); 4] = [
        ("in the body", |_| panic!("plain"), "panicked"),
        ("in the drop of a panic's payload", |_| std::panic::panic_any(Explosive), "panicked"),
        ("in the text of an error", |_| Err(Broken.into()), "failed"),
        (
            "in the drop of a local",
            |_| {
                let _local = Explosive;
                Ok(())
            },
            "panicked",
        ),
    ];
    for (place, body, kind) in table {
        let t = TestUniverse::new();
        let capture = t.capture_telemetry(&[foundation_supervisor::CRASHED]);
        let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", body).restart(Restart::Temporary)));
        let event = t.wait_for(|| capture.take().pop());
        assert_eq!(event.metadata.get("kind").and_then(Value::as_str), Some(kind), "{place}");
        assert!(tree.stop(soon(&t)).is_ok(), "{place}: the tree lives on");
    }
}

#[test]
fn an_error_is_reported_with_what_it_comes_from() {
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no port")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let t = TestUniverse::new();
    let body: Body = |_| Err("x".parse::<u16>().map_err(Outer).expect_err("x is no number").into());
    let tree = t.start(one_for_one("t").intensity(0, SECOND).child(ChildSpec::worker("w", body)));
    assert_eq!(end(&t, &tree), Exit::Shutdown(Cause::Intensity));
    let event = foundation_context::Incarnation { id: tree.incarnation().id + 1, generation: 1 };
    assert_eq!(t.owners().exit_of(event), Some(Exit::Failed("no port: invalid digit found in string".into())));
}

#[test]
fn a_restart_starts_from_its_spec_not_from_the_thread_that_made_it() {
    let t = TestUniverse::new();
    let seen = Log::default();
    let log = Arc::clone(&seen);
    let body = move |life: &Life| {
        log.lock().push(current().fields().to_string());
        if life.incarnation().generation == 1 {
            with(fields! { request: 7 }, || panic!("boom"));
        }
        idle(life)
    };
    let spec = ChildSpec::worker("w", body).context(fields! { shard: 3 });
    with(fields! { starter: 1 }, || t.start(one_for_one("t").child(spec)));
    t.wait_for(|| seen.lock().len() == 2);
    assert_eq!(*seen.lock(), ["shard: 3", "shard: 3"]);
}

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
fn a_start_that_fails_leaves_nothing_behind() {
    let t = TestUniverse::new();
    let good = |life: &Life| {
        life.register("good", ())?.keep();
        life.ready();
        idle(life)
    };
    let bad: Body = |life| {
        life.register("bad", ())?.keep();
        Err(Failure::new("no disk"))
    };
    for _ in 0..20 {
        let tree = one_for_one("t")
            .child(ChildSpec::worker("good", good).ready_within(patience()))
            .child(ChildSpec::worker("bad", bad).ready_within(patience()));
        let error = tree.start(&t, soon(&t)).expect_err("it can't be started");
        assert_eq!(error.to_string(), "tree `t` could not be started: `t/bad` failed: no disk");
        assert!(t.registry().is_empty(), "a name outlived the failed start");
    }
}

#[test]
fn who_is_not_ready_in_time_is_a_failed_start() {
    let t = TestUniverse::with_auto_time();
    let spec = ChildSpec::worker("slow", idle).ready_within(MINUTE);
    let error =
        one_for_one("t").child(spec).start(&t, t.within(2 * MINUTE)).expect_err("it never says that it is ready");
    assert_eq!(error.to_string(), "tree `t` could not be started: `t/slow` shutdown (not ready in time)");
}

#[test]
fn a_start_that_takes_too_long_is_told_to_stop() {
    let t = TestUniverse::with_auto_time();
    let spec = ChildSpec::worker("slow", idle).ready_within(2 * MINUTE);
    let until = t.within(MINUTE);
    assert_eq!(one_for_one("t").child(spec).start(&t, until).expect_err("never ready"), StartError::TimedOut);
    t.wait_for(|| t.owners().live().iter().all(|owner| **owner.name() != *"t" && !owner.name().starts_with("t/")));
}

#[test]
fn names_that_would_clash_are_refused_before_anything_starts() {
    let t = TestUniverse::new();
    let twice = one_for_one("t").child(ChildSpec::worker("w", idle)).child(ChildSpec::worker("w", idle));
    assert_eq!(
        twice.start(&t, soon(&t)).expect_err("two are named w"),
        StartError::BadSpec(SpecError::DoubledName("w".into()))
    );
    let tree = t.start(one_for_one("t"));
    assert_eq!(one_for_one("t").start(&t, soon(&t)).expect_err("it runs"), StartError::AlreadyPresent("t".into()));
    assert!(tree.stop(soon(&t)).is_ok());
    t.start(one_for_one("t"));
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
    let crashes = t.capture_telemetry(&[foundation_supervisor::CRASHED]);
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
    let kinds: Vec<_> = crashes.take().iter().map(|event| event.metadata.get("kind").cloned()).collect();
    assert_eq!(kinds, [Some(Value::from("abandoned"))]);
}

#[test]
fn too_many_crashes_end_the_tree_and_the_outer_one_restarts_it() {
    let t = TestUniverse::new();
    let lives = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&lives);
    let body = move |life: &Life| {
        let crash = {
            let mut lives = counted.lock();
            *lives += 1;
            *lives <= 3
        };
        if crash { panic!("boom") } else { idle(life) }
    };
    let inner = one_for_one("inner").intensity(1, SECOND * 60).child(ChildSpec::worker("w", body));
    let tree = t.start(one_for_one("outer").child(ChildSpec::supervisor(inner)));
    t.wait_for(|| *lives.lock() == 4);
    let children = tree.children(soon(&t)).expect("it runs");
    assert_eq!(
        (&*children[0].name, children[0].incarnation.generation, children[0].phase),
        ("inner", 2, Phase::Running)
    );
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
fn children_are_managed_as_in_otp() {
    let t = TestUniverse::new();
    let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", idle)));
    let until = soon(&t);
    let phase = || tree.children(&until).expect("it runs")[0].phase;
    assert_eq!(tree.restart_child("w", &until), Err(ChildError::AlreadyRunning("w".into())));
    assert_eq!(tree.terminate_child("x", &until), Err(ChildError::NotFound("x".into())));
    assert_eq!(tree.terminate_child("w", &until), Ok(()));
    assert_eq!(phase(), Phase::Stopped);
    assert_eq!(tree.terminate_child("w", &until), Ok(()), "fine if it has ended");
    let again = ChildSpec::worker("w", idle);
    assert_eq!(tree.start_child(again, &until), Err(ChildError::AlreadyPresent("w".into())));
    tree.restart_child("w", &until).expect("it has ended");
    assert_eq!(phase(), Phase::Running);
    let fails: Body = |_| Err(Failure::new("no disk"));
    let failing = ChildSpec::worker("x", fails).ready_within(patience());
    let error = tree.start_child(failing, &until).expect_err("it fails before it is ready");
    assert_eq!(error.to_string(), "`x` could not be started: failed: no disk");
    tree.start_child(ChildSpec::worker("x", idle), &until).expect("the failed one's spec is gone");
    assert!(tree.stop(&until).is_ok());
    let children = tree.children(&until).expect("a tree that has ended says how it left its children");
    assert!(children.iter().all(|child| child.phase == Phase::Stopped));
    assert_eq!(tree.start_child(ChildSpec::worker("y", idle), &until), Err(ChildError::Over));
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
    telemetry.attach("quiet", &[foundation_supervisor::CRASHED], |_| {}).expect("the id is free");
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
fn a_thread_has_its_workers_name_and_its_spec_s_stack() {
    let t = TestUniverse::new();
    let names = Log::default();
    let log = Arc::clone(&names);
    let body = move |life: &Life| {
        // Deep enough for a small stack, too deep for none.
        let deep = std::hint::black_box([1_u8; 16 * 1024]);
        log.lock().push(format!("{} {}", std::thread::current().name().unwrap_or_default(), deep.len()));
        idle(life)
    };
    t.start(one_for_one("t").child(ChildSpec::worker("w", body).stack(1)));
    t.wait_for(|| !names.lock().is_empty());
    assert_eq!(*names.lock(), ["t/w#1 16384"]);
    assert!(t.threads().iter().any(|thread| &*thread.name == "t/w#1"));
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
fn a_crash_storm_loses_no_restart() {
    let t = TestUniverse::new();
    let crashes = if foundation_testkit::deep() { 20_000 } else { 1_000 };
    let capture = t.capture_telemetry(&[foundation_supervisor::RESTARTED]);
    let body = move |life: &Life| {
        if life.incarnation().generation <= crashes { Err(Failure::new("again")) } else { idle(life) }
    };
    let crashed = Arc::new(Mutex::new(0_u64));
    let seen = Arc::clone(&crashed);
    let names = [foundation_supervisor::CRASHED];
    t.telemetry().attach("count", &names, move |_| *seen.lock() += 1).expect("the id is free");
    let tree = t.start(one_for_one("t").intensity(usize::MAX, SECOND).child(ChildSpec::worker("w", body)));
    t.wait_for(|| t.restarts() == crashes);
    t.wait_for(|| *crashed.lock() + t.lost() >= crashes);
    drop(capture);
    t.telemetry().detach("count").expect("it is attached");
    let children = tree.children(soon(&t)).expect("it runs");
    assert_eq!(children[0].incarnation.generation, crashes + 1);
}

#[test]
fn a_tree_can_be_started_again_the_moment_its_stop_returns() {
    let t = TestUniverse::new();
    for _ in 0..500 {
        let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", idle)));
        assert_eq!(tree.stop(soon(&t)), Ok(Exit::Shutdown(Cause::Requested)));
    }
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
fn a_stop_that_times_out_goes_on_and_loses_no_report() {
    let foundation = Foundation::builder().start();
    let system = foundation.system().clone();
    let (gate, crashed) = (Queue::<()>::bounded(1, Full::Wait), Queue::bounded(9, Full::Refuse));
    let (held, seen) = (gate.clone(), crashed.clone());
    let note = move |_: &foundation_telemetry::Event| _ = seen.try_send(());
    system.telemetry().attach("crashes", &[foundation_supervisor::CRASHED], note).expect("the id is free");
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
fn a_crash_is_reported_where_it_happened_whatever_was_caught_before() {
    let t = TestUniverse::new();
    let capture = t.capture_telemetry(&[foundation_supervisor::CRASHED]);
    let body: Body = |_| {
        let caught = std::panic::catch_unwind(|| with(fields! { wrong: 1 }, || panic!("caught by the body itself")));
        assert!(caught.is_err());
        with(fields! { right: 1 }, || panic!("boom"))
    };
    let own: Body = |_| {
        let caught = std::panic::catch_unwind(|| with(fields! { wrong: 1 }, || panic!("caught by the body itself")));
        assert!(caught.is_err());
        std::panic::resume_unwind(Box::new("boom"))
    };
    for (number, (body, right)) in [(body, true), (own, false)].into_iter().enumerate() {
        let spec = ChildSpec::worker("w", body).restart(Restart::Temporary);
        t.start(Supervisor::new(format!("t{number}"), Strategy::OneForOne).child(spec));
        let event = t.wait_for(|| capture.take().pop());
        let exit = event.metadata.get("exit").map(ToString::to_string).unwrap_or_default();
        assert!(exit.ends_with(": boom") && exit.contains("panicked at") == right, "{exit}");
        assert_eq!((event.metadata.get("wrong").is_some(), event.metadata.get("right").is_some()), (false, right));
    }
}

#[test]
fn a_slow_start_keeps_nobody_waiting_but_its_caller_and_never_runs_later() {
    let t = TestUniverse::new();
    let slow = ChildSpec::worker("slow", idle).ready_within(Duration::from_secs(3_600));
    let system = (*t).clone();
    let until = t.within(SECOND);
    let starts = thread::Builder::new("starts")
        .spawn(move || {
            let refused = one_for_one("slow").child(slow).start(&system, until).expect_err("it is never ready");
            assert_eq!(refused, StartError::TimedOut);
        })
        .expect("a thread");
    t.wait_for(|| t.owners().live().iter().any(|owner| **owner.name() == *"slow/slow"));
    let quick = t.start(one_for_one("quick").child(ChildSpec::worker("q", idle)));
    assert!(quick.stop(soon(&t)).is_ok());
    starts.join().expect("it is refused");
    t.wait_for(|| t.owners().live().iter().all(|owner| !owner.name().starts_with("slow")));
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
fn a_tree_that_gives_up_says_so() {
    let t = TestUniverse::new();
    let body: Body = |_| Err(Failure::new("again"));
    t.assert_telemetry_event(&["foundation", "supervisor", "gave_up"], fields! { tree: "t".to_owned() }, || {
        t.start(one_for_one("t").intensity(1, SECOND).child(ChildSpec::worker("w", body)));
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

/// A replacement has the number of who was there before.
#[test]
fn a_replacement_whose_number_was_taken_by_hand_is_a_failure_that_says_so() {
    let t = TestUniverse::new();
    let first = t.start_child("worker");
    let Incarnation { id, generation } = first.incarnation();
    let by_hand = t.owners().begin(Incarnation { id, generation: generation + 1 }, "by hand");
    first.crash();
    t.wait_for(|| t.owners().get(Incarnation { id, generation: generation + 2 }));
    assert!(!by_hand.fenced(), "it is replaced by the next one after that");
    drop(by_hand.end(Exit::Normal));
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
