//! What crates above build on: a universe's parts, values that are dropped for them, values kept with a spec, receives of
//! a life's own.
#![cfg(not(any(loom, shuttle)))]

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use foundation_registry::{Cause, Exit, OwnerRecvError};
use foundation_supervisor::{
    Backoff, ChildError, ChildSpec, Failure, Life, Restart, Strategy, Supervisor, System, Tree,
};
use foundation_sync::{
    Deadline, Full, MINUTE, Mutex, Queue, RecvError, SECOND,
    atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};
use foundation_testkit::{TestUniverse, join, patience, spawn, wait_for};

fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}

fn one_for_one() -> Supervisor {
    Supervisor::new("t", Strategy::OneForOne).intensity(100, MINUTE)
}

/// A part of a universe.
#[derive(Default)]
struct Part {
    number: AtomicUsize,
}

#[derive(Default)]
struct Other;

#[test]
fn a_universe_has_one_part_of_each_type() {
    let (t, u) = (TestUniverse::new(), TestUniverse::new());
    t.part::<Part>().number.store(7, Relaxed);
    assert_eq!(t.part::<Part>().number.load(Relaxed), 7);
    assert_eq!(u.part::<Part>().number.load(Relaxed), 0, "another universe has its own");
    assert!(Arc::ptr_eq(&t.part::<Other>(), &t.part::<Other>()));
}

#[test]
fn two_threads_that_ask_for_a_part_at_once_have_the_same_one() {
    for _ in 0..200 {
        let t = System::clone(&TestUniverse::new());
        let (other, found) = (t.clone(), Arc::new(Mutex::new(None)));
        let finds = Arc::clone(&found);
        let asks = spawn(move || *finds.lock() = Some(other.part::<Part>()));
        let part = t.part::<Part>();
        join(asks);
        let found = found.lock().take();
        assert!(found.is_some_and(|found| Arc::ptr_eq(&found, &part)));
    }
}

#[test]
fn a_part_goes_with_its_universe() {
    let t = TestUniverse::new();
    let part: Weak<Part> = Arc::downgrade(&t.part::<Part>());
    assert!(part.upgrade().is_some());
    drop(t);
    wait_for(|| part.upgrade().is_none());
}

/// Tells where it was dropped, and whether its supervisor could be asked something there.
struct Last {
    dropped: Queue<(thread::ThreadId, Option<ChildError>)>,
    tree: Arc<Mutex<Option<Tree>>>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let tree = self.tree.lock().clone();
        let asked = tree.and_then(|tree| tree.children(foundation_sync::Clock::system().within(SECOND)).err());
        _ = self.dropped.try_send((thread::id(), asked));
    }
}

type Dropped = Queue<(thread::ThreadId, Option<ChildError>)>;

fn last(tree: &Arc<Mutex<Option<Tree>>>) -> (Last, Dropped) {
    let dropped = Queue::bounded(4, Full::Refuse);
    (Last { dropped: dropped.clone(), tree: Arc::clone(tree) }, dropped)
}

/// It is dropped once, by none of the test's threads, where one can wait for its supervisor.
#[track_caller]
fn is_dropped(t: &TestUniverse, dropped: &Dropped) {
    let (on, asked) = dropped.recv(t.patience()).expect("it is dropped");
    assert_ne!(on, thread::id());
    assert!(matches!(asked, None | Some(ChildError::Over)), "{asked:?}");
    assert!(dropped.is_empty(), "once");
}

#[test]
fn a_value_that_is_handed_in_is_dropped_by_the_courier() {
    let t = TestUniverse::new();
    let (value, dropped) = last(&Arc::default());
    t.discard(value);
    is_dropped(&t, &dropped);
    let (system, (value, dropped)) = (System::clone(&t), last(&Arc::default()));
    drop(t);
    system.discard(value);
    assert_eq!(dropped.try_recv().map(|(on, _)| on), Ok(thread::id()), "after the end nobody else is there");
}

/// A child with a value, in a tree that the value knows: of the tree's own spec, or put in later.
fn kept(t: &TestUniverse, spec: ChildSpec, later: bool) -> (Tree, Dropped) {
    let known = Arc::default();
    let (value, dropped) = last(&known);
    let spec = spec.keep(value);
    let tree = if later {
        let tree = t.start(one_for_one());
        tree.start_child(spec, t.patience()).expect("it starts");
        tree
    } else {
        t.start(one_for_one().child(spec))
    };
    *known.lock() = Some(tree.clone());
    (tree, dropped)
}

#[test]
fn what_is_kept_with_a_spec_is_dropped_when_the_tree_has_ended() {
    let t = TestUniverse::new();
    let (tree, dropped) = kept(&t, ChildSpec::worker("w", idle), false);
    assert!(dropped.is_empty());
    tree.stop(t.patience()).expect("it stops");
    is_dropped(&t, &dropped);
}

#[test]
fn what_is_kept_with_a_spec_is_dropped_when_the_child_is_deleted_and_not_when_it_is_terminated() {
    let t = TestUniverse::new();
    let (tree, dropped) = kept(&t, ChildSpec::worker("w", idle), true);
    tree.terminate_child("w", t.patience()).expect("it stops");
    tree.restart_child("w", t.patience()).expect("it starts");
    tree.terminate_child("w", t.patience()).expect("it stops");
    assert!(dropped.is_empty(), "it can be restarted");
    tree.delete_child("w", t.patience()).expect("it has ended");
    is_dropped(&t, &dropped);
}

#[test]
fn what_is_kept_with_a_spec_is_dropped_when_a_temporary_child_has_ended() {
    let t = TestUniverse::new();
    let orders = Queue::<()>::bounded(1, Full::Refuse);
    let taken = orders.clone();
    let body = move |life: &Life| life.next(&taken).map(drop).map_err(Failure::from);
    let (_tree, dropped) = kept(&t, ChildSpec::worker("w", body).restart(Restart::Temporary), true);
    assert!(dropped.is_empty());
    orders.try_send(()).expect("there is room");
    is_dropped(&t, &dropped);
}

/// The tree's spec is a copy.
#[test]
fn what_is_kept_with_a_spec_stays_with_a_tree_whose_own_spec_has_it() {
    let t = TestUniverse::new();
    let (tree, dropped) = kept(&t, ChildSpec::worker("w", idle), false);
    tree.terminate_child("w", t.patience()).expect("it stops");
    tree.delete_child("w", t.patience()).expect("it has ended");
    assert!(dropped.is_empty());
    tree.stop(t.patience()).expect("it stops");
    is_dropped(&t, &dropped);
}

#[test]
fn what_is_kept_with_a_spec_stays_while_a_restart_is_to_come() {
    let t = TestUniverse::with_virtual_time();
    let lives = Queue::bounded(4, Full::Refuse);
    let begun = lives.clone();
    let body = move |life: &Life| {
        begun.try_send(life.incarnation().generation).map_err(|_| Failure::new("full"))?;
        if life.incarnation().generation == 1 { Err(Failure::new("once")) } else { idle(life) }
    };
    let backoff = Backoff::constant(MINUTE).jitter(0);
    let (tree, dropped) = kept(&t, ChildSpec::worker("w", body).backoff(backoff), false);
    t.clock().advance(SECOND);
    assert!((lives.len(), dropped.len()) == (1, 0), "it backs off");
    t.clock().advance(MINUTE);
    assert!((lives.len(), dropped.len()) == (2, 0), "it lives");
    tree.stop(t.patience()).expect("it stops");
    is_dropped(&t, &dropped);
}

#[test]
fn what_is_kept_with_a_spec_is_dropped_when_the_start_failed() {
    let t = TestUniverse::new();
    let (value, dropped) = last(&Arc::default());
    let fails = ChildSpec::worker("w", |_| Err(Failure::new("no"))).ready_within(patience()).keep(value);
    one_for_one().child(fails).start(&t, t.within(patience())).expect_err("it is not ready");
    is_dropped(&t, &dropped);
    let tree = t.start(one_for_one());
    let (value, dropped) = last(&Arc::new(Mutex::new(Some(tree.clone()))));
    let fails = ChildSpec::worker("w", |_| Err(Failure::new("no"))).ready_within(patience()).keep(value);
    tree.start_child(fails, t.patience()).expect_err("it is not ready");
    is_dropped(&t, &dropped);
}

#[test]
fn what_is_kept_with_a_spec_stays_as_long_as_there_is_a_copy_however_many_values_there_are() {
    let t = TestUniverse::new();
    let ((first, first_dropped), (second, second_dropped)) = (last(&Arc::default()), last(&Arc::default()));
    let spec = ChildSpec::worker("w", idle).keep(first).keep(second);
    let tree = t.start(one_for_one().child(spec.clone()));
    tree.stop(t.patience()).expect("it stops");
    assert_eq!((first_dropped.len(), second_dropped.len()), (0, 0), "there is a copy");
    drop(spec);
    first_dropped.recv(t.patience()).expect("it is dropped with the last one");
    second_dropped.recv(t.patience()).expect("and so is it");
}

#[test]
fn a_life_receives_for_so_long_and_is_idle_meanwhile() {
    let t = TestUniverse::with_virtual_time();
    let (jobs, done) = (Queue::<u8>::bounded(4, Full::Refuse), Queue::bounded(4, Full::Refuse));
    let (taken, received) = (jobs.clone(), done.clone());
    let body = move |life: &Life| {
        for _ in 0..2 {
            let job = life.recv(&taken, life.system().within(Duration::from_secs(10)));
            received.try_send(job).map_err(|_| Failure::new("full"))?;
        }
        let told = life.recv(&taken, life.stop());
        received.try_send(told).map_err(|_| Failure::new("full"))
    };
    let tree = t.start(one_for_one().child(ChildSpec::worker("w", body).heartbeat_within(SECOND)));
    t.clock().advance(Duration::from_secs(10));
    assert_eq!(done.try_recv(), Ok(Err(OwnerRecvError::Recv(RecvError::TimedOut))));
    jobs.try_send(7).expect("there is room");
    assert_eq!(done.recv(t.patience()), Ok(Ok(7)));
    tree.stop(t.patience()).expect("it stops");
    assert_eq!(done.recv(t.patience()), Ok(Err(OwnerRecvError::Recv(RecvError::Stopped))));
    assert_eq!((t.restarts(), t.abandoned()), (0, 0));
}

#[test]
fn a_life_that_was_given_up_receives_nothing_and_its_cause_is_known() {
    let t = TestUniverse::with_virtual_time();
    let (gate, jobs) = (Queue::<()>::bounded(1, Full::Refuse), Queue::<u8>::bounded(4, Full::Refuse));
    let (told, done) = (Arc::new(Mutex::new(None)), Queue::bounded(4, Full::Refuse));
    let (waits, taken, tells, received) = (gate.clone(), jobs.clone(), Arc::clone(&told), done.clone());
    let body = move |life: &Life| {
        *tells.lock() = Some((life.what_told(), life.restart()));
        life.ready();
        _ = waits.recv(Deadline::never());
        received.try_send(life.recv(&taken, Deadline::never())).map_err(|_| Failure::new("full"))
    };
    let spec = ChildSpec::worker("w", body).ready_within(patience()).restart(Restart::Transient);
    let tree = t.start(one_for_one().child(spec.stop_within(SECOND)));
    let (told, restart) = told.lock().take().expect("it has begun");
    assert_eq!((told.cause(), restart), (None, Restart::Transient));
    let (asks, until) = (tree.clone(), t.patience());
    let ends = t.spawn("ends", move || asks.terminate_child("w", until));
    t.clock().advance(SECOND);
    ends.join().expect("it is left behind");
    assert_eq!(told.cause(), Some(Cause::Terminated));
    jobs.try_send(7).expect("there is room");
    gate.close();
    let late = done.recv(t.patience()).expect("it goes on");
    assert!(matches!(late, Err(OwnerRecvError::Fenced(_))), "{late:?}");
    assert_eq!(jobs.len(), 1, "it is its successor's");
    assert_eq!(t.owners().live().iter().filter(|owner| &**owner.name() == "t/w").count(), 0);
    let exit = Exit::Abandoned { waited: SECOND };
    assert!(
        tree.children(t.patience())
            .expect("it answers")
            .iter()
            .any(|child| t.owners().exit_of(child.incarnation) == Some(exit.clone()))
    );
}

fn keeps_time(t: &TestUniverse) -> bool {
    t.threads().iter().any(|thread| thread.to_string().contains("timekeeper"))
}

#[test]
fn a_child_that_has_all_the_time_to_start_is_waited_for_and_no_deadline_is_kept() {
    let t = TestUniverse::with_virtual_time();
    for (patience, kept) in [(MINUTE, true), (Duration::MAX, false)] {
        let (gate, there) = (Queue::<()>::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
        let (waits, tells) = (gate.clone(), there.clone());
        let body = move |life: &Life| {
            tells.try_send(()).map_err(|_| Failure::new("full"))?;
            _ = waits.recv(Deadline::never());
            life.ready();
            idle(life)
        };
        let spec = ChildSpec::worker("w", body).ready_within(patience);
        let (system, until) = (System::clone(&t), t.patience());
        let starts = t.spawn("starts", move || one_for_one().child(spec).start(&system, until));
        there.recv(t.patience()).expect("it begins");
        // It may have begun before its deadline is set.
        t.wait_for(|| keeps_time(&t) == kept);
        gate.close();
        let tree = starts.join().expect("it is started");
        tree.stop(t.patience()).expect("it stops");
        t.wait_for(|| !keeps_time(&t));
    }
}
