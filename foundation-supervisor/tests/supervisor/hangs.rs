//! Workers that hang: found by their heartbeat, left behind, and never in anybody's way.

use std::time::Duration;

use foundation_context::Value;
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{
    CRASHED, ChildSpec, Failure, LATE_EXIT, Life, OnAbandon, Phase, Role, StartError, Strategy, Supervisor, System,
};
use foundation_sync::{Deadline, Full, MINUTE, Mutex, Queue, SECOND};
use foundation_testkit::TestUniverse;

fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}

/// In its first life it hangs until the gate is closed, having said that it does; later ones are idle.
fn hangs_once(gate: &Queue<()>, hung: &Queue<()>) -> impl Fn(&Life) -> Result<(), Failure> + use<> {
    let (gate, hung) = (gate.clone(), hung.clone());
    move |life| {
        if life.incarnation().generation > 1 {
            return idle(life);
        }
        life.checkpoint();
        hung.try_send(()).map_err(|_| Failure::new("it hangs once"))?;
        _ = gate.recv(Deadline::never());
        Ok(())
    }
}

struct Gates {
    gate: Queue<()>,
    hung: Queue<()>,
}

impl Gates {
    fn new() -> Self {
        Self { gate: Queue::bounded(1, Full::Wait), hung: Queue::bounded(1, Full::Refuse) }
    }

    fn worker(&self, name: &str) -> ChildSpec {
        ChildSpec::worker(name, hangs_once(&self.gate, &self.hung)).heartbeat_within(SECOND)
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        self.gate.close();
    }
}

#[test]
fn who_hangs_is_replaced_and_the_report_says_where_it_was_last_seen_and_how_long_ago() {
    let t = TestUniverse::with_virtual_time();
    let gates = Gates::new();
    let (crashes, late) = (t.capture_telemetry(CRASHED), t.capture_telemetry(LATE_EXIT));
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne).child(gates.worker("w")));
    gates.hung.recv(t.patience()).expect("it hangs");
    // Looked at for the first time it has passed one; the second time none more.
    t.clock().advance(SECOND);
    assert_eq!(t.restarts(), 0);
    t.clock().advance(SECOND);
    t.wait_for(|| t.restarts() == 1);
    let report = t.wait_for(|| crashes.take().into_iter().next());
    assert_eq!(report.metadata.get("kind").map(Value::to_string).as_deref(), Some("abandoned"));
    assert_eq!(report.metadata.get("exit").map(Value::to_string).as_deref(), Some("abandoned after 1s, still running"));
    let group = t.wait_for(|| t.crashes().groups.first().cloned());
    let place = group.last.to_string();
    assert!(place.contains("tests/supervisor/hangs.rs"), "{place}");
    t.wait_for(|| tree.children(t.patience()).expect("it answers")[0].phase == Phase::Running);
    assert_eq!(late.events().len(), 0);
    let left = || match tree.snapshot(t.patience()).map(|snapshot| snapshot.root.role) {
        Ok(Role::Supervisor(note)) => note.abandoned,
        other => panic!("it answers: {other:?}"),
    };
    assert_eq!(left().iter().map(|life| &*life.path).collect::<Vec<_>>(), ["t/w"]);
    gates.gate.close();
    t.wait_for(|| late.events().len() == 1);
    t.wait_for(|| left().is_empty());
}

#[test]
fn who_is_idle_or_passes_checkpoints_does_not_hang() {
    let t = TestUniverse::with_virtual_time();
    let (orders, passed) = (Queue::bounded(1, Full::Wait), Queue::bounded(1, Full::Wait));
    let (taken, said) = (orders.clone(), passed.clone());
    let works = move |life: &Life| {
        while life.next(&taken)?.is_some() {
            life.checkpoint();
            life.send(&said, ()).map_err(|_| Failure::new("nobody listens"))?;
        }
        Ok(())
    };
    let worker = |name: &'static str| ChildSpec::worker(name, idle).heartbeat_within(SECOND);
    let works = ChildSpec::worker("works", works).heartbeat_within(SECOND);
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne).child(worker("idle")).child(works));
    for _ in 0..5 {
        orders.send((), t.patience()).expect("there is room");
        passed.recv(t.patience()).expect("it works");
        t.clock().advance(SECOND);
    }
    t.clock().advance(MINUTE);
    assert!(tree.children(t.patience()).expect("it answers").iter().all(|child| child.incarnation.generation == 1));
    assert_eq!((t.restarts(), t.abandoned()), (0, 0));
}

#[test]
fn a_group_gives_up_over_a_child_that_hangs_and_a_start_that_this_ends_says_so() {
    let t = TestUniverse::with_virtual_time();
    let gates = Gates::new();
    // The second child is never ready: the tree is being started when the first one is found hung.
    let slow = ChildSpec::worker("slow", idle).ready_within(MINUTE);
    let tree = Supervisor::new("t", Strategy::OneForAll).child(gates.worker("w")).child(slow);
    let system = System::clone(&t);
    let starting = t.spawn("starts it", move || tree.start(&system, system.within(2 * MINUTE)));
    gates.hung.recv(t.patience()).expect("it hangs");
    t.wait_for(|| t.threads().iter().any(|thread| &*thread.name == "t/slow#1"));
    t.clock().advance(SECOND);
    t.clock().advance(SECOND);
    let started = starting.join();
    let exit = Exit::Shutdown(Cause::Abandoned);
    assert_eq!(started.map(drop), Err(StartError::ChildFailed { tree: "t".into(), exit }));
}

/// One may be left behind: the second life is one too many, and then the first one of the replacement.
#[test]
fn a_supervisor_that_is_replaced_may_leave_no_more_lives_behind_than_if_it_had_gone_on() {
    let t = TestUniverse::with_virtual_time();
    let (gate, begun) = (Queue::<()>::bounded(1, Full::Wait), Queue::bounded(8, Full::Refuse));
    let (until, held, begins) = (t.patience(), gate.clone(), begun.clone());
    let hangs = move |_: &Life| {
        begins.try_send(()).map_err(|_| Failure::new("too many lives"))?;
        _ = held.recv(&until);
        Ok(())
    };
    let inner = Supervisor::new("inner", Strategy::OneForOne)
        .intensity(100, MINUTE)
        .abandoned_at_most(1)
        .child(ChildSpec::worker("w", hangs).heartbeat_within(SECOND));
    let outer = || Supervisor::new("outer", Strategy::OneForOne).intensity(1, MINUTE);
    let tree = t.start(outer().child(ChildSpec::supervisor(inner.clone())));
    for lives in 1..=3 {
        begun.recv(t.patience()).expect("a life begins");
        t.wait_for(|| t.vitals().timers == 1);
        t.clock().advance(SECOND);
        t.wait_for(|| t.abandoned() == lives);
    }
    assert_eq!(tree.wait(t.patience()), Ok(Exit::Shutdown(Cause::Intensity)));
    assert_eq!((t.abandoned(), begun.len()), (3, 0));
    // Whoever starts another of its kind starts with nothing.
    let again = t.start(outer().child(ChildSpec::supervisor(inner)));
    begun.recv(t.patience()).expect("a life begins");
    t.wait_for(|| t.vitals().timers == 1);
    t.clock().advance(SECOND);
    begun.recv(t.patience()).expect("it is replaced by the same supervisor");
    let snapshot = again.snapshot(t.patience()).expect("it answers");
    assert_eq!(snapshot.find("outer/inner").map(|inner| inner.incarnation.generation), Some(1), "{snapshot}");
    gate.close();
}

#[test]
fn a_life_that_has_ended_after_all_does_not_count_for_the_replacement_of_the_supervisor_that_left_it() {
    let t = TestUniverse::with_virtual_time();
    let gates = [(); 2].map(|()| Queue::<()>::bounded(1, Full::Wait));
    let (begun, lives) = (Queue::bounded(8, Full::Refuse), Mutex::new(0));
    let (until, held, begins) = (t.patience(), gates.clone(), begun.clone());
    let hangs = move |_: &Life| {
        let life = {
            let mut lives = lives.lock();
            *lives += 1;
            *lives
        };
        begins.try_send(()).map_err(|_| Failure::new("too many lives"))?;
        _ = held[usize::from(life > 2)].recv(&until);
        Ok(())
    };
    let inner = Supervisor::new("inner", Strategy::OneForOne)
        .abandoned_at_most(1)
        .child(ChildSpec::worker("w", hangs).heartbeat_within(SECOND));
    let tree = t.start(Supervisor::new("outer", Strategy::OneForOne).child(ChildSpec::supervisor(inner)));
    for lives in 1..=3 {
        begun.recv(t.patience()).expect("a life begins");
        t.wait_for(|| t.vitals().timers == 1);
        if lives == 3 {
            // The first supervisor's two.
            gates[0].close();
            t.wait_for(|| t.vitals().abandoned_running == 0);
        }
        t.clock().advance(SECOND);
        t.wait_for(|| t.abandoned() == lives);
    }
    begun.recv(t.patience()).expect("the third is replaced");
    let snapshot = tree.snapshot(t.patience()).expect("it answers");
    let generation = |path| snapshot.find(path).map(|child| child.incarnation.generation);
    assert_eq!((generation("outer/inner"), generation("outer/inner/w")), (Some(2), Some(2)), "{snapshot}");
    gates[1].close();
}

#[test]
fn a_halt_while_a_failed_start_is_undone_is_the_end_and_not_the_failure() {
    let t = TestUniverse::with_virtual_time();
    let gates = Gates::new();
    let (fails, still) = (Queue::<()>::bounded(1, Full::Wait), Queue::<()>::bounded(1, Full::Wait));
    let (told, stays) = (fails.clone(), still.clone());
    let (until, patience) = (t.patience(), t.patience());
    let failing = move |_: &Life| {
        _ = told.recv(&until);
        Err(Failure::new("no disk"))
    };
    let staying = move |_: &Life| {
        _ = stays.recv(&patience);
        Ok(())
    };
    let tree = Supervisor::new("t", Strategy::OneForOne)
        .child(gates.worker("hangs").on_abandon(OnAbandon::Halt))
        .child(ChildSpec::worker("stays", staying).stop_whenever())
        .child(ChildSpec::worker("fails", failing).ready_within(10 * MINUTE));
    let system = System::clone(&t);
    let starting = t.spawn("starts it", move || tree.start(&system, system.within(20 * MINUTE)));
    gates.hung.recv(t.patience()).expect("it hangs");
    // Looked at for the first time while it is being started.
    t.wait_for(|| t.threads().iter().any(|thread| &*thread.name == "t/fails#1"));
    t.clock().advance(SECOND);
    fails.close();
    t.wait_for(|| t.owners().live().iter().all(|owner| &**owner.name() != "t/fails"));
    t.clock().advance(SECOND);
    t.wait_for(|| t.abandoned() == 1);
    still.close();
    let started = starting.join();
    let exit = Exit::Shutdown(Cause::Halted);
    assert_eq!(started.map(drop), Err(StartError::ChildFailed { tree: "t".into(), exit }));
    // The universe ends with it: those above hear of it next.
    t.wait_for(|| match Supervisor::new("late", Strategy::OneForOne).start(&t, t.within(Duration::ZERO)) {
        Err(StartError::Stopped) => Ok(()),
        other => Err(other.map(drop)),
    });
    gates.gate.close();
}

#[test]
fn a_child_that_nothing_can_be_done_without_halts_the_universe() {
    let t = TestUniverse::with_virtual_time();
    let gates = Gates::new();
    let below = Supervisor::new("below", Strategy::OneForOne).child(gates.worker("w").on_abandon(OnAbandon::Halt));
    let tree = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::supervisor(below));
    let tree = t.start(tree);
    let other = t.start(Supervisor::new("other", Strategy::OneForOne).child(ChildSpec::worker("w", idle)));
    gates.hung.recv(t.patience()).expect("it hangs");
    t.clock().advance(SECOND);
    t.clock().advance(SECOND);
    assert_eq!(tree.wait(t.patience()), Ok(Exit::Shutdown(Cause::Halted)));
    assert_eq!(other.wait(t.patience()), Ok(Exit::Shutdown(Cause::Halted)));
    assert_eq!(t.restarts(), 0);
    let refused = Supervisor::new("late", Strategy::OneForOne).start(&t, t.within(Duration::ZERO));
    assert_eq!(refused.map(drop), Err(StartError::Stopped));
    gates.gate.close();
}
