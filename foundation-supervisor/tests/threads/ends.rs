//! A thread's end: its thread-locals, and who waits for them.

use std::{cell::RefCell, sync::Arc};

use foundation_registry::{Cause, Exit};
use foundation_supervisor::{ChildSpec, Doing, Failure, Foundation, Life, Restart, System};
use foundation_sync::{
    Clock, Full, MINUTE, Queue, VirtualTime,
    atomic::{AtomicBool, Ordering},
    thread::{self, ThreadId},
};
use foundation_testkit::{TestUniverse, patience, wait_for};

use super::{Shared, idle, one_for_one, soon};

/// Its destructor says that it has begun, and waits until the gate is closed.
struct Gated {
    begun: Queue<()>,
    gate: Queue<()>,
    /// Left in another slot by the destructor, to be destroyed after it.
    next: Option<Queue<()>>,
}

impl Drop for Gated {
    fn drop(&mut self) {
        let begun = self.begun.clone();
        if let Some(gate) = self.next.take() {
            SECOND.set(Some(Gated { begun: begun.clone(), gate, next: None }));
        }
        begun.try_send(()).expect("there is room");
        _ = self.gate.recv(Clock::system().within(patience()));
    }
}

thread_local! {
    static FIRST: RefCell<Option<Gated>> = const { RefCell::new(None) };
    static SECOND: RefCell<Option<Gated>> = const { RefCell::new(None) };
}

fn gate() -> Queue<()> {
    Queue::bounded(1, Full::Wait)
}

/// A worker that leaves something behind in a thread-local.
fn leaves(gate: &Queue<()>) -> impl Fn(&Life) -> Result<(), Failure> + Clone + use<> {
    let (begun, gate) = (Queue::bounded(9, Full::Refuse), gate.clone());
    move |life| {
        FIRST.set(Some(Gated { begun: begun.clone(), gate: gate.clone(), next: None }));
        idle(life)
    }
}

fn doing(system: &System, name: &str) -> Option<Doing> {
    system.threads().iter().find(|thread| *thread.name == *name).map(|thread| thread.doing)
}

#[test]
fn a_thread_is_in_the_census_until_its_thread_locals_have_been_destroyed() {
    let t = TestUniverse::new();
    let (begun, first, second) = (Queue::bounded(2, Full::Refuse), gate(), gate());
    let (begins, gates) = (begun.clone(), (first.clone(), second.clone()));
    let body = move |life: &Life| {
        FIRST.set(Some(Gated { begun: begins.clone(), gate: gates.0.clone(), next: Some(gates.1.clone()) }));
        idle(life)
    };
    let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", body)));
    t.wait_for(|| matches!(doing(&t, "t/w#1"), Some(Doing::WaitsAt(_))));
    // A tree has stopped when its children have finished: names free, not joined.
    assert_eq!(tree.stop(soon(&t)), Ok(Exit::Shutdown(Cause::Requested)));
    assert_eq!(begun.recv(soon(&t)), Ok(()));
    assert_eq!(doing(&t, "t/w#1"), Some(Doing::Ends));
    let note = t.threads().iter().map(ToString::to_string).find(|note| note.contains("t/w#1"));
    assert_eq!(note.as_deref(), Some("t/w#1 (has ended, but for the destructor of a thread-local)"));
    first.close();
    // The other one was made by the destructor of the first, and is waited for, too.
    assert_eq!(begun.recv(soon(&t)), Ok(()));
    assert_eq!(doing(&t, "t/w#1"), Some(Doing::Ends));
    second.close();
    t.wait_for(|| doing(&t, "t/w#1").is_none());
}

#[test]
fn names_are_free_while_the_thread_locals_of_who_had_them_are_still_being_destroyed() {
    let t = TestUniverse::new();
    let shut = gate();
    let leaves = leaves(&shut);
    let body = move |life: &Life| {
        let _name = life.register("name", ());
        leaves(life)
    };
    let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", body.clone())));
    t.wait_for(|| t.whereis("name"));
    assert!(tree.stop(soon(&t)).is_ok());
    assert_eq!(t.whereis("name"), None);
    let again = t.start(one_for_one("t").child(ChildSpec::worker("w", body)));
    t.wait_for(|| t.whereis("name"));
    assert_eq!(t.threads().iter().filter(|thread| &*thread.name == "t/w#1").count(), 2);
    assert!(again.stop(soon(&t)).is_ok());
    shut.close();
    t.wait_for(|| t.threads().iter().all(|thread| &*thread.name != "t/w#1"));
}

#[test]
fn thread_locals_that_outlast_the_stop_of_the_universe_are_abandoned_and_named() {
    let time = VirtualTime::new().patience(patience());
    let foundation = Foundation::builder().clock(&time.clock()).start();
    let (system, shut) = (foundation.system().clone(), gate());
    let spec = ChildSpec::worker("w", leaves(&shut));
    let real = Clock::system().within(patience());
    let tree = one_for_one("t").child(spec).start(&foundation, real.clone()).expect("it starts");
    assert!(tree.stop(&real).is_ok());
    assert_eq!(system.abandoned(), 0);
    let reports = Queue::bounded(1, Full::Refuse);
    let told = reports.clone();
    let stops = thread::Builder::new("stops").spawn(move || {
        told.try_send(foundation.stop(MINUTE)).expect("there is room");
    });
    // The deadline passes when all the others have gone.
    wait_for(|| matches!(&*system.threads(), [one] if one.doing == Doing::Ends));
    time.advance(MINUTE).expect("who is left waits");
    let report = reports.recv(&real).expect("it returns");
    assert_eq!((report.is_clean(), report.running.len(), system.abandoned()), (false, 1, 1), "{report}");
    assert!(report.to_string().contains("t/w#1 (has ended, but for the destructor of a thread-local)"), "{report}");
    shut.close();
    wait_for(|| system.threads().is_empty());
    stops.expect("a thread").join().expect("it did not panic");
}

/// It was abandoned, its body ended after all, and its thread-locals outlast the stop of the universe.
#[test]
fn a_life_that_is_given_up_twice_is_one_that_was_abandoned_and_one_that_ends_runs_no_more() {
    let time = VirtualTime::new().patience(patience());
    let foundation = Foundation::builder().clock(&time.clock()).start();
    let (system, shut, ear) = (foundation.system().clone(), gate(), gate());
    let (begun, hangs, hears) = (Queue::bounded(9, Full::Refuse), shut.clone(), ear.clone());
    let deaf = move |_: &Life| {
        FIRST.set(Some(Gated { begun: begun.clone(), gate: hangs.clone(), next: None }));
        _ = hears.recv(Clock::system().within(patience()));
        Ok(())
    };
    let real = Clock::system().within(patience());
    let tree = one_for_one("t")
        .child(ChildSpec::worker("deaf", deaf).stop_within(foundation_sync::SECOND))
        .child(ChildSpec::worker("fine", leaves(&shut)));
    let tree = tree.start(&foundation, real.clone()).expect("it starts");
    tree.tell_to_stop(Cause::Requested);
    wait_for(|| system.vitals().timers == 1);
    time.advance(foundation_sync::SECOND).expect("who is left waits");
    assert!(tree.wait(&real).is_ok());
    assert_eq!((system.abandoned(), system.vitals().abandoned_running), (1, 1));
    ear.close();
    wait_for(|| doing(&system, "t/deaf#1") == Some(Doing::Ends) && system.vitals().abandoned_running == 0);
    let reports = Queue::bounded(1, Full::Refuse);
    let told = reports.clone();
    let stops = thread::Builder::new("stops").spawn(move || {
        told.try_send(foundation.stop(MINUTE)).expect("there is room");
    });
    wait_for(|| matches!(&*system.threads(), [one, other] if one.doing == Doing::Ends && other.doing == Doing::Ends));
    time.advance(MINUTE).expect("who is left waits");
    let report = reports.recv(&real).expect("it returns");
    assert_eq!(report.running.len(), 2, "{report}");
    assert_eq!((system.abandoned(), system.vitals().abandoned_running), (2, 1), "each once");
    shut.close();
    wait_for(|| system.threads().is_empty());
    assert_eq!((system.abandoned(), system.vitals().abandoned_running), (2, 0));
    stops.expect("a thread").join().expect("it did not panic");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_thread_that_can_not_be_created_is_a_failed_start_and_leaves_nothing_behind() {
    let t = TestUniverse::new();
    // More than there are addresses for.
    let spec = ChildSpec::worker("w", idle).stack(1 << 50);
    let failed = one_for_one("t").child(spec).start(&t, soon(&t)).expect_err("there is no room for its stack");
    assert!(
        failed.to_string().starts_with("tree `t` could not be started: `t/w` failed: it can't begin: "),
        "{failed}"
    );
    assert_eq!(doing(&t, "t/w#1"), None);
    assert!(t.owners().live().iter().all(|owner| &**owner.name() != "t/w"));
}

#[test]
fn a_stop_waits_for_the_destructors_of_thread_locals_within_its_patience() {
    let foundation = Foundation::builder().start();
    let (dropped, shut) = (Shared::<Vec<ThreadId>>::default(), gate());
    shut.close();
    let (seen, leaves) = (Arc::clone(&dropped), leaves(&shut));
    let body = move |life: &Life| {
        NOTES.set(Some(Notes(Arc::clone(&seen))));
        leaves(life)
    };
    let mut tree = one_for_one("t");
    for name in ["a", "b", "c", "d"] {
        tree = tree.child(ChildSpec::worker(name, body.clone()));
    }
    tree.start(&foundation, soon(&foundation)).expect("it starts");
    let report = foundation.stop(patience());
    assert!(report.is_clean(), "{report}");
    assert_eq!(dropped.lock().len(), 4, "all of them, by the time that it has returned");
}

/// Notes on which thread it is dropped.
struct Notes(Shared<Vec<ThreadId>>);

impl Drop for Notes {
    fn drop(&mut self) {
        self.0.lock().push(foundation_sync::thread::id());
    }
}

thread_local! {
    static NOTES: RefCell<Option<Notes>> = const { RefCell::new(None) };
}

#[test]
fn a_worker_whose_thread_locals_hang_keeps_no_other_thread_from_ending_and_no_replacement_from_starting() {
    let t = TestUniverse::new();
    let shut = gate();
    let hangs = leaves(&shut);
    let body = move |life: &Life| match life.incarnation().generation {
        1 => {
            hangs(life)?;
            Err(Failure::new("told to stop, for the sake of its thread-locals"))
        }
        _ => idle(life),
    };
    let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", body)));
    assert_eq!(tree.terminate_child("w", soon(&t)), Ok(()));
    tree.restart_child("w", soon(&t)).expect("it has ended");
    t.wait_for(|| doing(&t, "t/w#2").is_some() && doing(&t, "t/w#1") == Some(Doing::Ends));
    let other = t.start(one_for_one("other").child(ChildSpec::worker("w", idle).restart(Restart::Temporary)));
    assert!(other.stop(soon(&t)).is_ok());
    t.wait_for(|| doing(&t, "other/w#1").is_none());
    assert_eq!(doing(&t, "t/w#1"), Some(Doing::Ends));
    shut.close();
}

/// A destructor that is busy until it is told.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        while !self.0.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }
}

thread_local! {
    static BUSY: RefCell<Option<Busy>> = const { RefCell::new(None) };
}

#[test]
fn time_that_jumps_jumps_over_no_destructor_of_a_thread_local() {
    let time = VirtualTime::auto();
    let foundation = Foundation::builder().clock(&time.clock()).start();
    let told = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&told);
    let body = move |life: &Life| {
        BUSY.set(Some(Busy(Arc::clone(&seen))));
        idle(life)
    };
    let (entered, until) = (time.enter("the test"), soon(&foundation));
    one_for_one("t").child(ChildSpec::worker("w", body)).start(&foundation, until).expect("it starts");
    // It tells when the stop waits for that one only, or time has passed over it.
    let tells = thread::Builder::new("tells").spawn(move || {
        wait_for(|| matches!(&*time.running(), [one] if **one == *"t/w#1") || time.clock().now() > 0);
        told.store(true, Ordering::SeqCst);
    });
    let report = foundation.stop(MINUTE);
    assert!(report.is_clean(), "{report}");
    tells.expect("a thread").join().expect("it did not panic");
    drop(entered);
}
