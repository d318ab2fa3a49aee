//! Who is replaced, by whom, and when that is given up.

use std::sync::Arc;

use foundation_context::{Incarnation, current, fields, with};
use foundation_registry::Exit;
use foundation_supervisor::{ChildSpec, Failure, Life, Phase};
use foundation_sync::{Mutex, SECOND};
use foundation_testkit::TestUniverse;

use super::{Body, Log, idle, one_for_one, soon};

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
fn a_crash_storm_loses_no_restart() {
    let t = TestUniverse::new();
    let crashes = if foundation_testkit::deep() { 20_000 } else { 1_000 };
    let capture = t.capture_telemetry(foundation_supervisor::RESTARTED);
    let body = move |life: &Life| {
        if life.incarnation().generation <= crashes { Err(Failure::new("again")) } else { idle(life) }
    };
    let crashed = Arc::new(Mutex::new(0_u64));
    let seen = Arc::clone(&crashed);
    let names = [foundation_supervisor::CRASHED];
    t.telemetry().attach("count", names, move |_| *seen.lock() += 1).expect("the id is free");
    let tree = t.start(one_for_one("t").intensity(usize::MAX, SECOND).child(ChildSpec::worker("w", body)));
    t.wait_for(|| t.restarts() == crashes);
    t.wait_for(|| *crashed.lock() + t.lost() >= crashes);
    drop(capture);
    t.telemetry().detach("count").expect("it is attached");
    let children = tree.children(soon(&t)).expect("it runs");
    assert_eq!(children[0].incarnation.generation, crashes + 1);
}

#[test]
fn a_tree_that_gives_up_says_so() {
    let t = TestUniverse::new();
    let body: Body = |_| Err(Failure::new("again"));
    t.assert_telemetry_event(&["foundation", "supervisor", "gave_up"], fields! { tree: "t".to_owned() }, || {
        t.start(one_for_one("t").intensity(1, SECOND).child(ChildSpec::worker("w", body)));
    });
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
    let snapshot = t.snapshot(soon(&t)).expect("it answers");
    let last = snapshot.find("tree of worker/worker").and_then(|child| child.last_exit.as_ref()).expect("it is noted");
    assert_eq!(last.generation, generation + 1);
    let says = last.exit.to_string();
    assert!(says.starts_with("failed: it can't begin: ") && says.ends_with("begun by somebody else"), "{says}");
    drop(by_hand.end(Exit::Normal));
}
