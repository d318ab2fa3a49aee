//! A snapshot waits for nobody who is stuck.

use foundation_registry::Cause;
use foundation_supervisor::{
    AutoShutdown, ChildError, ChildSpec, Failure, Foundation, Life, Phase, Restart, Role, Snapshot, Strategy,
    Supervisor, System, WorkerNote,
};
use foundation_sync::{Deadline, Full, Queue, SECONDS_5};
use foundation_testkit::{TestUniverse, patience};

use super::idle;

fn worker<'a>(snapshot: &'a Snapshot, path: &str) -> &'a WorkerNote {
    match snapshot.find(path).map(|child| &child.role) {
        Some(Role::Worker(worker)) => worker,
        other => panic!("`{path}` is no worker: {other:?} in\n{snapshot}"),
    }
}

#[test]
fn a_child_that_is_stuck_is_shown_as_it_is_and_holds_nothing_up() {
    let t = TestUniverse::new();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let (closed, entered) = (gate.clone(), Queue::bounded(1, Full::Refuse));
    let enters = entered.clone();
    let stuck = move |life: &Life| {
        life.checkpoint();
        enters.try_send(()).expect("it is started once");
        _ = closed.recv(Deadline::never());
        Ok(())
    };
    // The supervisor itself is in the middle of a stop that lasts.
    let inner = Supervisor::new("inner", Strategy::OneForOne).child(ChildSpec::worker("stuck", stuck).stop_whenever());
    let outer = Supervisor::new("outer", Strategy::OneForOne)
        .child(ChildSpec::supervisor(inner))
        .child(ChildSpec::worker("fine", idle));
    let tree = t.start(outer);
    entered.recv(t.patience()).expect("it begins");
    tree.tell_to_stop(Cause::Requested);
    t.wait_for(|| tree.children(t.patience()).is_ok_and(|all| all[1].phase == Phase::Stopped));
    let passed = Deadline::now();
    let snapshot = tree.snapshot(&passed).expect("it answers on the thread that asks");
    let phases: Vec<_> = snapshot.children().map(|child| (&*child.path, child.phase)).collect();
    let expected = [
        ("outer", Phase::Stopping),
        ("outer/inner", Phase::Stopping),
        ("outer/inner/stuck", Phase::Stopping),
        ("outer/fine", Phase::Stopped),
    ];
    assert_eq!(phases, expected, "\n{snapshot}");
    let stuck = worker(&snapshot, "outer/inner/stuck");
    assert!(stuck.checkpoint.is_some_and(|place| place.file().ends_with("stuck.rs")), "{snapshot}");
    assert!(stuck.thread.as_ref().is_some_and(|thread| &*thread.name == "outer/inner/stuck#1"), "{snapshot}");
    if cfg!(target_os = "linux") {
        assert!(stuck.thread.as_ref().is_some_and(|thread| thread.os_id.is_some()), "{snapshot}");
    }
    assert!(t.snapshot(&passed).is_ok_and(|all| all.find("outer/inner/stuck").is_some()));
    gate.close();
    tree.wait(t.patience()).expect("it ends");
}

#[test]
fn a_snapshot_can_be_taken_from_within_the_tree() {
    let t = TestUniverse::new();
    let seen = Queue::bounded(1, Full::Refuse);
    let notes = seen.clone();
    let body = move |life: &Life| {
        let snapshot = life.tree().snapshot(life.stop())?;
        notes.try_send(snapshot).map_err(|_| Failure::new("no room"))?;
        idle(life)
    };
    t.start(Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", body)));
    let snapshot = seen.recv(t.patience()).expect("it is taken");
    assert!(snapshot.find("t/w").is_some(), "{snapshot}");
}

#[test]
fn a_tree_of_a_thousand_children_is_shown_whole() {
    let t = TestUniverse::new();
    // They have ended, so the test needs no thousand threads.
    let done: fn(&Life) -> Result<(), Failure> = |_| Ok(());
    let children = (0..1000).map(|n| ChildSpec::worker(format!("w{n}"), done).restart(Restart::Transient));
    let tree = t.start(children.fold(Supervisor::new("t", Strategy::OneForOne), Supervisor::child));
    t.wait_for(|| tree.children(t.patience()).is_ok_and(|all| all.iter().all(|child| child.phase == Phase::Stopped)));
    let snapshot = tree.snapshot(t.patience()).expect("it answers");
    let text = snapshot.to_string();
    assert_eq!((snapshot.children().count(), text.lines().count()), (1001, 1001));
    let last = text.lines().last().expect("there are lines");
    assert!(last.starts_with("└── w999  worker       stopped  #1  -") && last.ends_with("ago: normal"), "{last}");
}

#[test]
fn the_universe_that_has_ended_has_no_snapshot_and_has_vitals() {
    let foundation = Foundation::builder().start();
    let system = foundation.system().clone();
    let nested = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", idle));
    nested.start(&system, system.within(patience())).expect("it starts");
    assert!(foundation.stop(patience()).is_clean());
    assert_eq!(system.snapshot(system.within(SECONDS_5)), Err(ChildError::Over));
    let vitals = system.vitals();
    assert_eq!((vitals.owners, vitals.threads.len(), vitals.restarts), (0, 0, 0));
}

/// One that gives up, one whose last significant child has ended, and one whose start failed: each waits for a child that
/// does not listen.
#[test]
fn a_supervisor_that_stops_by_itself_is_shown_to_stop() {
    let t = TestUniverse::new();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let (until, held) = (t.patience(), gate.clone());
    let deaf = move |_: &Life| {
        _ = held.recv(&until);
        Ok(())
    };
    let one = |name| {
        let deaf = ChildSpec::worker("deaf", deaf.clone()).stop_whenever();
        Supervisor::new(name, Strategy::OneForOne).intensity(0, SECONDS_5).child(deaf)
    };
    let fails: fn(&Life) -> Result<(), Failure> = |_| Err(Failure::new("no disk"));
    let done: fn(&Life) -> Result<(), Failure> = |_| Ok(());
    let gives_up = one("gives up").child(ChildSpec::worker("fails", fails));
    let last = ChildSpec::worker("done", done).restart(Restart::Temporary).significant();
    let is_done = one("is done").auto_shutdown(AutoShutdown::AnySignificant).child(last);
    let outer = Supervisor::new("outer", Strategy::OneForOne).child(ChildSpec::supervisor(gives_up));
    t.start(outer.intensity(0, SECONDS_5));
    t.start(is_done);
    let system = System::clone(&t);
    let failing = one("failing").child(ChildSpec::worker("fails", fails).ready_within(patience()));
    let starts = t.spawn("starts", move || failing.start(&system, system.within(patience())).map(drop));
    let shown = |path: &str| {
        let snapshot = t.snapshot(t.patience()).expect("it answers");
        snapshot.find(path).map(|child| child.phase)
    };
    for path in ["outer/gives up", "is done", "failing"] {
        t.wait_for(|| shown(path) == Some(Phase::Stopping));
        assert_eq!(shown(&format!("{path}/deaf")), Some(Phase::Stopping), "{path}");
    }
    gate.close();
    assert!(starts.join().is_err());
}
