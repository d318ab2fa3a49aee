//! Servers of whom no life is to come, unless somebody asks for one.

use foundation_registry::Exit;
use foundation_server::{CallError, CastError, Doing, Handle, Server, ServerRef, Turn, server};
use foundation_supervisor::{Backoff, ChildSpec, Failure, Strategy, Supervisor};
use foundation_sync::{
    Full, MINUTE, Queue, SECOND,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use foundation_testkit::{Beside, TestUniverse};

use crate::common::{Add, Clerk, Gate, ask, back, boom, clerk, one_for_one, run, start, waits};

/// So that whoever calls waits while nobody serves.
fn slow(spec: impl Into<ChildSpec>) -> ChildSpec {
    spec.into().backoff(Backoff::constant(60 * MINUTE).jitter(0))
}

/// It dies, and somebody asks it while it backs off.
#[track_caller]
fn asks_in_vain(t: &TestUniverse, clerk: &ServerRef<Clerk>) -> Beside<Result<u64, CallError<Add>>> {
    clerk.call(run(|_, _| boom()), t.patience()).expect_err("it dies of it");
    let (asks, until) = (clerk.clone(), t.patience());
    let caller = t.spawn("caller", move || asks.call(Add(7), until));
    waits(t, clerk, 1);
    assert!(matches!(clerk.status().doing, Doing::Vacant { .. }), "{:?}", clerk.status());
    caller
}

/// Nobody waits for it, and nobody does any more.
#[track_caller]
fn check_rests(t: &TestUniverse, clerk: &ServerRef<Clerk>, caller: Beside<Result<u64, CallError<Add>>>) {
    assert!(matches!(clerk.status().doing, Doing::Ended { .. }), "{:?}", clerk.status());
    let refused = clerk.call(Add(1), t.patience()).expect_err("no life is to come");
    assert!(matches!(refused, CallError::NotRunning { exit: Some(Exit::Panicked(_)), .. }), "{refused:?}");
    let told = caller.join();
    assert!(matches!(told, Err(CallError::Exited { exit: Exit::Panicked(_), .. })), "{told:?}");
    assert_eq!(back(told), Some(7));
}

#[test]
fn a_server_that_is_terminated_while_it_backs_off_tells_who_waits_and_serves_again_when_it_is_restarted() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let tree = start(&t, slow(spec));
    let caller = asks_in_vain(&t, &clerk);
    clerk.cast(Add(3)).expect("it waits");
    tree.terminate_child("clerk", t.patience()).expect("it backs off");
    check_rests(&t, &clerk, caller);
    t.wait_for(|| clerk.status().buried == 1);
    tree.restart_child("clerk", t.patience()).expect("it has ended");
    assert_eq!(ask(&t, &clerk, Add(1)), 1, "what came back is not done, and what comes now is");
    assert_eq!(t.restarts(), 1);
}

#[test]
fn a_sender_that_waits_for_room_is_told_when_its_server_is_terminated_while_it_backs_off() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let tree = start(&t, slow(spec.mailbox(1, foundation_server::WhenFull::Wait)));
    let caller = asks_in_vain(&t, &clerk);
    let (asks, until) = (clerk.clone(), t.patience());
    let sender = t.spawn("sender", move || asks.call(Add(8), until));
    tree.terminate_child("clerk", t.patience()).expect("it backs off");
    assert_eq!(back(sender.join()), Some(8));
    check_rests(&t, &clerk, caller);
}

#[test]
fn a_server_whose_tree_is_stopped_while_it_backs_off_tells_who_waits() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let tree = start(&t, slow(spec));
    let caller = asks_in_vain(&t, &clerk);
    tree.stop(t.patience()).expect("it stops");
    check_rests(&t, &clerk, caller);
}

#[test]
fn a_server_whose_supervisor_is_terminated_while_it_backs_off_tells_who_waits_and_serves_again_with_it() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let gate = Gate::new();
    let stays = gate.clone();
    let other = ChildSpec::worker("other", move |life| {
        life.wait_until_told();
        stays.stay();
        Ok(())
    });
    let below = Supervisor::new("below", Strategy::OneForOne).intensity(9, MINUTE);
    let below = ChildSpec::supervisor(below.child(other.stop_whenever()).child(slow(spec)));
    let tree = t.start(one_for_one().child(below));
    let caller = asks_in_vain(&t, &clerk);
    let (top, until) = (tree.clone(), t.patience());
    let ends = t.spawn("ends", move || top.terminate_child("below", until));
    // It need not wait for its sibling, which has not stopped.
    gate.somebody(&t);
    check_rests(&t, &clerk, caller);
    gate.open();
    ends.join().expect("it ends");
    tree.restart_child("below", t.patience()).expect("it has ended");
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
}

#[test]
fn a_server_whose_supervisor_is_terminated_while_that_backs_off_tells_who_waits() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let below = Supervisor::new("below", Strategy::OneForOne).intensity(0, MINUTE).child(spec);
    let tree = t.start(one_for_one().child(slow(ChildSpec::supervisor(below))));
    let caller = asks_in_vain(&t, &clerk);
    tree.terminate_child("below", t.patience()).expect("it ends");
    check_rests(&t, &clerk, caller);
    tree.restart_child("below", t.patience()).expect("it has ended");
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
}

/// Its drop, which is the courier's, lasts until the gate is open.
struct Hangs(Gate);

impl Drop for Hangs {
    fn drop(&mut self) {
        self.0.stay();
    }
}

/// The courier has its hands full until this gate is open.
fn hold_the_courier_up(t: &TestUniverse) -> Gate {
    let gate = Gate::new();
    t.discard(Hangs(gate.clone()));
    gate.somebody(t);
    gate
}

/// The courier, which drops the spec, may have much to do.
#[test]
fn who_waits_for_a_server_that_will_not_come_is_told_also_while_a_users_code_hangs() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let tree = start(&t, slow(spec));
    let gate = hold_the_courier_up(&t);
    let caller = asks_in_vain(&t, &clerk);
    tree.stop(t.patience()).expect("it stops");
    check_rests(&t, &clerk, caller);
    gate.open();
}

/// No other life of their supervisor would have them.
#[test]
fn who_waits_for_a_server_that_was_started_later_is_told_when_its_supervisor_ends_also_while_a_users_code_hangs() {
    for above in [one_for_one(), Supervisor::dynamic("t", 8).intensity(1_000, MINUTE)] {
        let t = TestUniverse::with_virtual_time();
        let (spec, clerk, _) = clerk();
        let tree = t.start(above);
        tree.start_child(slow(spec), t.patience()).expect("it starts");
        let gate = hold_the_courier_up(&t);
        let caller = asks_in_vain(&t, &clerk);
        tree.stop(t.patience()).expect("it stops");
        check_rests(&t, &clerk, caller);
        gate.open();
    }
}

/// And so may it when a life is given up, whose letters it is to write.
#[test]
fn who_waits_for_a_server_that_hangs_is_told_also_while_another_users_code_hangs() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let spec = spec.pending(foundation_server::Pending::DeadLetter).child().heartbeat_within(SECOND);
    let _tree = start(&t, spec.stop_within(std::time::Duration::ZERO));
    let (gate, hangs) = (hold_the_courier_up(&t), Gate::new());
    let (asks, job, until) = (clerk.clone(), hangs.pass(), t.within(60 * MINUTE));
    let begun = t.spawn("begun", move || asks.call(job, until).map(drop).map_err(|error| error.begun()));
    hangs.somebody(&t);
    let (asks, until) = (clerk.clone(), t.within(60 * MINUTE));
    let waiting = t.spawn("waiting", move || asks.call(Add(7), until));
    waits(&t, &clerk, 1);
    clerk.cast(Add(3)).expect("there is room");
    t.clock().advance(2 * SECOND);
    assert_eq!(begun.join(), Err(true));
    assert_eq!(back(waiting.join()), Some(7));
    assert_eq!(ask(&t, &clerk, Add(1)), 1, "the next life serves");
    assert_eq!(clerk.status().buried, 0, "the letter waits for the courier");
    gate.open();
    t.wait_for(|| clerk.status().buried == 1);
    hangs.open();
}

#[test]
fn who_waits_for_a_server_that_comes_along_with_a_sibling_is_served() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let die = Queue::<()>::bounded(1, Full::Refuse);
    let dies = die.clone();
    let sibling = ChildSpec::worker("sibling", move |life| match life.next(&dies)? {
        Some(()) => Err(Failure::new("told to")),
        None => Ok(()),
    });
    let all = Supervisor::new("t", Strategy::OneForAll).intensity(9, MINUTE).child(slow(sibling)).child(slow(spec));
    let tree = t.start(all);
    let caller = asks_in_vain(&t, &clerk);
    die.try_send(()).expect("it waits");
    t.wait_for(|| t.restarts() == 2);
    tree.terminate_child("clerk", t.patience()).expect("it backs off");
    assert_eq!(clerk.status().waiting, 1, "its sibling's restart takes it along");
    tree.skip_backoff("sibling", t.patience()).expect("it backs off");
    assert_eq!(caller.join(), Ok(7));
}

/// Has nothing to do from its second life on.
struct Needless(std::sync::Arc<AtomicU64>);

impl Server for Needless {
    fn init(&mut self, turn: &mut Turn<'_, Self>) -> Result<(), Failure> {
        match self.0.fetch_add(1, Relaxed) {
            0 => Ok(()),
            _ => turn.ignore(),
        }
    }
}

impl Handle<Add> for Needless {
    type Reply = ();
    fn handle(&mut self, _: Add, _: &mut Turn<'_, Self>) {
        boom()
    }
}

#[test]
fn a_server_that_finds_nothing_to_do_when_it_is_restarted_has_ended_and_takes_nothing() {
    let t = TestUniverse::new();
    let lives = std::sync::Arc::default();
    let (spec, needless) = server("needless", move || Needless(std::sync::Arc::clone(&lives)));
    let _tree = start(&t, spec);
    needless.call(Add(1), t.patience()).expect_err("it dies of it");
    t.wait_for(|| needless.cast(Add(1)).err().map(CastError::into_message));
    assert_eq!(t.restarts(), 1);
}
