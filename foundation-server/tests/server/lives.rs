//! How lives begin and end.

use std::sync::Arc;

use foundation_registry::Exit;
use foundation_server::{Doing, Handle, Server, ServerRef, ServerSpec, Turn, server};
use foundation_supervisor::{ChildSpec, Failure, Restart, StartError, Supervisor};
use foundation_sync::{
    MINUTE, SECOND,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use foundation_testkit::{TestUniverse, patience};

use crate::common::{Add, Gate, Log, Note, ask, boom, clerk, fails, one_for_one, run, served, start, waits};

/// A server whose first lives fail to begin.
pub(crate) struct Fragile {
    lives: Arc<AtomicU64>,
    fail: u64,
}

impl Server for Fragile {
    fn init(&mut self, _: &mut Turn<'_, Self>) -> Result<(), Failure> {
        match self.lives.fetch_add(1, Relaxed) < self.fail {
            true => Err(Failure::new("not yet")),
            false => Ok(()),
        }
    }
}

/// Which life it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Life;

impl Handle<Life> for Fragile {
    type Reply = u64;

    fn handle(&mut self, _: Life, _: &mut Turn<'_, Self>) -> u64 {
        self.lives.load(Relaxed)
    }
}

pub(crate) fn fails_to_begin(name: &'static str, times: u64) -> (ServerSpec<Fragile>, ServerRef<Fragile>) {
    let lives = Arc::new(AtomicU64::new(0));
    server(name, move || Fragile { lives: Arc::clone(&lives), fail: times })
}

#[test]
fn a_server_whose_init_fails_is_a_start_that_failed() {
    let t = TestUniverse::new();
    let (spec, fragile) = fails_to_begin("fragile", 1);
    let refused = one_for_one().child(spec).start(&t, t.within(patience())).expect_err("its init fails");
    assert!(
        matches!(&refused, StartError::ChildFailed { exit: Exit::Shutdown(_) | Exit::Failed(_), .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("not yet"), "{refused}");
    t.wait_for(|| matches!(fragile.status().doing, Doing::Ended { .. }));
}

/// A server that begins at a gate.
struct Slow {
    gate: Gate,
    log: Log,
}

impl Server for Slow {
    fn init(&mut self, _: &mut Turn<'_, Self>) -> Result<(), Failure> {
        self.gate.stay();
        self.log.add("ready");
        Ok(())
    }
}

impl Handle<Note> for Slow {
    type Reply = ();

    fn handle(&mut self, Note(line): Note, _: &mut Turn<'_, Self>) {
        self.log.add(line);
    }
}

#[test]
fn a_server_is_started_when_its_init_is_over_and_its_messages_wait_until_then() {
    let t = TestUniverse::new();
    let (gate, log) = (Gate::new(), Log::default());
    let (its_gate, its_log) = (gate.clone(), log.clone());
    let (spec, slow) = server("slow", move || Slow { gate: its_gate.clone(), log: its_log.clone() });
    let (system, started) = ((*t).clone(), log.clone());
    let starts = t.spawn("starts", move || {
        let tree = one_for_one().child(spec).start(&system, system.within(patience()));
        started.add("started");
        tree
    });
    gate.somebody(&t);
    slow.cast(Note("message")).expect("it waits");
    assert_eq!((log.text(), slow.status().waiting, slow.status().handled), (String::new(), 1, 0));
    gate.open();
    let tree = starts.join().expect("it is started");
    slow.call(Note("last"), t.patience()).expect("it serves");
    let lines = log.text();
    assert!(lines.starts_with("ready, ") && lines.contains("started") && lines.contains("message"), "{lines}");
    drop(tree);
}

/// A life that is given up before it begins is not the one that serves, whatever it does later.
#[test]
fn a_restart_that_fails_again_and_again_keeps_what_waits_until_one_succeeds() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let tree = start(&t, spec);
    let gate = Gate::new();
    clerk.cast(gate.then(|_, _| boom())).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Add(4)).expect("it waits");
    gate.open();
    assert_eq!(ask(&t, &clerk, Add(0)), 4);
    drop(tree);
    // A first start that worked, then two that fail.
    let lives = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lives);
    let (spec, fragile) = server("fragile", move || {
        let life = counted.load(Relaxed);
        Fragile { lives: Arc::clone(&counted), fail: if life == 0 { 0 } else { 3 } }
    });
    t.start(Supervisor::new("u", foundation_supervisor::Strategy::OneForOne).intensity(100, MINUTE).child(spec));
    assert_eq!(fragile.call(Life, t.patience()), Ok(1));
    fragile.call(Die, t.patience()).expect_err("it dies of it");
    assert_eq!(fragile.call(Life, t.patience()), Ok(4), "the call has waited over two starts that failed");
}

struct Die;

impl Handle<Die> for Fragile {
    type Reply = ();

    fn handle(&mut self, _: Die, _: &mut Turn<'_, Self>) {
        boom()
    }
}

#[test]
fn terminate_is_called_when_a_life_ends_in_order_and_only_then() {
    let t = TestUniverse::new();
    let (clerk, log, tree) = served(&t);
    clerk.call(run(|_, turn| turn.end(Ok(()))), t.patience()).expect("it answers first");
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
    assert_eq!(log.text(), "terminate", "it has ended itself");
    clerk.call(run(|_, turn| turn.end(fails())), t.patience()).expect("it answers first");
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
    assert_eq!(log.text(), "terminate, terminate", "an end with a failure is one in order, too");
    clerk.call(run(|_, _| boom()), t.patience()).expect_err("it dies of it");
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
    assert_eq!(log.text(), "terminate, terminate", "after a panic its state is only dropped");
    tree.stop(t.patience()).expect("it stops");
    assert_eq!(log.text(), "terminate, terminate, terminate", "it was told to stop");
    assert_eq!(t.restarts(), 3);
}

#[test]
fn of_two_ends_the_first_one_stands() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let _tree = start(&t, spec.child().restart(Restart::Temporary));
    ask(
        &t,
        &clerk,
        run(|_, turn| {
            turn.end(fails());
            turn.end(Ok(()));
        }),
    );
    let exit = t.wait_for(|| match clerk.status().doing {
        Doing::Ended { exit, .. } => Some(exit),
        _ => None,
    });
    assert_eq!(exit, Exit::Failed("told to fail".into()));
}

#[test]
fn a_server_that_is_told_to_stop_does_no_more_messages() {
    let t = TestUniverse::new();
    let (clerk, log, tree) = served(&t);
    let gate = Gate::new();
    clerk.cast(gate.then(|_, turn| turn.wait_until_told())).expect("it serves");
    gate.somebody(&t);
    for line in ["a", "b", "c"] {
        clerk.cast(Note(line)).expect("there is room");
    }
    gate.open();
    tree.stop(t.patience()).expect("it stops");
    t.wait_for(|| matches!(clerk.status().doing, Doing::Ended { .. }));
    let status = clerk.status();
    assert_eq!((log.text().as_str(), status.handled, status.waiting), ("terminate", 1, 0));
    t.wait_for(|| clerk.status().buried == 3);
}

#[test]
fn a_spec_that_stands_in_two_trees_serves_in_one() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let spec: ChildSpec = spec.child();
    let tree = start(&t, spec.clone());
    let twice = Supervisor::new("u", foundation_supervisor::Strategy::OneForOne).child(spec.clone());
    let refused = twice.start(&t, t.within(patience())).expect_err("it is served");
    let text = refused.to_string();
    assert!(text.contains("`clerk` is served by") && text.contains("make another one"), "{text}");
    assert_eq!(ask(&t, &clerk, Add(1)), 1, "the first one goes on");
    tree.stop(t.patience()).expect("it stops");
    start(&TestUniverse::new(), spec);
}

#[test]
fn an_idle_server_is_not_taken_for_one_that_hangs() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, _) = clerk();
    let _tree = start(&t, spec.child().heartbeat_within(SECOND));
    assert_eq!(ask(&t, &clerk, Add(1)), 1);
    t.clock().advance(60 * MINUTE);
    assert_eq!(ask(&t, &clerk, Add(1)), 2, "the same life serves");
    assert_eq!((t.restarts(), t.abandoned()), (0, 0));
}

#[test]
fn a_server_of_a_tree_that_is_stopped_ends_its_callers_wait() {
    let t = TestUniverse::new();
    let (clerk, _, tree) = served(&t);
    let gate = Gate::new();
    clerk.cast(gate.then(|_, turn| turn.wait_until_told())).expect("it serves");
    gate.somebody(&t);
    let (asks, until) = (clerk.clone(), t.patience());
    let caller = t.spawn("caller", move || asks.call(Add(7), until));
    waits(&t, &clerk, 1);
    gate.open();
    tree.stop(t.patience()).expect("it stops");
    assert_eq!(crate::common::back(caller.join()), Some(7));
}
