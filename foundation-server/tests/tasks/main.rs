//! Tasks: one outcome each, and bounded maps of them.
#![cfg(not(any(loom, shuttle)))]

mod map;

use foundation_context::{self as context, fields};
use foundation_registry::Exit;
use foundation_server::{Handle, Server, Task, TaskError, Tasks, Turn, server};
use foundation_supervisor::{ChildError, Strategy, Supervisor};
use foundation_sync::{Deadline, Full, MINUTE, Queue, Stop};
use foundation_testkit::TestUniverse;

/// Room for so many.
fn tasks(t: &TestUniverse, most: usize) -> Tasks {
    Tasks::start(t, "tasks", most, t.patience()).expect("nobody has the name")
}

/// A task that waits for the gate, or its stop, and says that it has begun.
fn waits(t: &TestUniverse, tasks: &Tasks, gate: &Queue<u32>) -> Task<Option<u32>> {
    let (gate, begun) = (gate.clone(), Queue::bounded(1, Full::Refuse));
    let told = begun.clone();
    let task = tasks.spawn("waits", t.patience(), move |life| {
        told.try_send(()).expect("it begins once");
        gate.recv(life.stop()).ok()
    });
    begun.recv(t.patience()).expect("it begins");
    task.expect("there is room")
}

fn gate() -> Queue<u32> {
    Queue::bounded(1, Full::Refuse)
}

#[test]
fn a_task_returns_its_value_once() {
    let t = TestUniverse::new();
    let task = tasks(&t, 1).spawn("sum", t.patience(), |_| 1 + 2).expect("there is room");
    assert_eq!(task.wait(t.patience()), Ok(3));
    assert_eq!(task.wait(t.patience()), Err(TaskError::Taken));
    assert!(task.is_done());
}

#[test]
fn who_has_the_value_finds_room_and_the_tasks_names_free() {
    let t = TestUniverse::new();
    let tasks = tasks(&t, 1);
    for number in 0..50 {
        let task = tasks.spawn("one", t.patience(), move |life| {
            life.register("name", number)?.keep();
            Ok::<_, foundation_registry::RegisterError>(number)
        });
        let task = task.unwrap_or_else(|error| panic!("there is room for one, and number {number} is: {error}"));
        assert_eq!(task.wait(t.patience()).expect("it returns").ok(), Some(number), "the name is free");
        assert_eq!(t.whereis("name"), None);
    }
}

#[test]
fn a_panic_is_a_value() {
    let t = TestUniverse::new();
    let task = tasks(&t, 1).spawn("panics", t.patience(), |_| -> u32 { panic!("so it ends") }).expect("there is room");
    let Err(TaskError::Exited(Exit::Panicked(panic))) = task.wait(t.patience()) else {
        panic!("it says how it ended");
    };
    assert_eq!(&*panic.message, "so it ends");
}

#[test]
fn a_wait_that_is_over_takes_nothing_away() {
    let t = TestUniverse::new();
    let (tasks, gate) = (tasks(&t, 1), gate());
    let task = waits(&t, &tasks, &gate);
    assert_eq!(task.wait(Deadline::now()), Err(TaskError::TimedOut { waited: std::time::Duration::ZERO }));
    let stop = Stop::new();
    stop.tell();
    assert_eq!(task.wait(&stop), Err(TaskError::Stopped));
    assert!(!task.is_done());
    gate.try_send(7).expect("there is room");
    assert_eq!(task.wait(t.patience()), Ok(Some(7)));
}

#[test]
fn a_wait_that_is_over_takes_the_news_from_no_other_one() {
    let t = TestUniverse::with_virtual_time();
    let (tasks, gate) = (tasks(&t, 1), gate());
    let task = std::sync::Arc::new(waits(&t, &tasks, &gate));
    let (one, other, soon, late) = (std::sync::Arc::clone(&task), task, t.within(MINUTE), t.patience());
    let one = t.spawn("one", move || one.wait(soon));
    let other = t.spawn("other", move || other.wait(late));
    t.clock().advance(MINUTE);
    assert!(matches!(one.join(), Err(TaskError::TimedOut { .. })));
    gate.try_send(7).expect("there is room");
    assert_eq!(other.join(), Ok(Some(7)));
}

#[test]
fn a_task_that_is_dropped_is_told_to_stop_and_a_detached_one_goes_on() {
    let t = TestUniverse::new();
    let (tasks, gate) = (tasks(&t, 2), gate());
    let (dropped, detached) = (waits(&t, &tasks, &gate), waits(&t, &tasks, &gate));
    detached.detach();
    drop(dropped);
    let running = || tasks.tree().children(t.patience()).expect("it answers").len();
    t.wait_for(|| running() == 1);
    gate.try_send(7).expect("there is room");
    t.wait_for(|| running() == 0);
    assert!(gate.is_empty(), "it went on, and took it");
}

#[test]
fn one_more_than_there_is_room_for_is_refused_and_does_not_run() {
    let t = TestUniverse::new();
    let (tasks, gate) = (tasks(&t, 1), gate());
    let task = waits(&t, &tasks, &gate);
    let refused = tasks.spawn("more", t.patience(), |_| unreachable!("there is no room"));
    assert_eq!(refused.map(drop).expect_err("there is no room"), ChildError::TooMany);
    task.tell_to_stop();
    assert_eq!(task.wait(t.patience()), Ok(None));
}

#[test]
fn a_task_works_in_the_context_in_which_it_was_spawned_and_is_somebody_else() {
    let t = TestUniverse::new();
    let tasks = tasks(&t, 1);
    let task = context::with(fields! { request_id: "test-123" }, || {
        tasks.spawn("reads", t.patience(), |life| {
            (
                context::current().get("request_id").map(ToString::to_string),
                context::incarnation() == Some(life.incarnation()),
            )
        })
    });
    let (seen, itself) = task.expect("there is room").wait(t.patience()).expect("it returns");
    assert_eq!((seen.as_deref(), itself), (Some("test-123"), true));
}

#[test]
fn the_end_of_its_tree_is_a_tasks_outcome() {
    let t = TestUniverse::with_virtual_time();
    let tasks = tasks(&t, 1);
    let hold = Queue::<()>::bounded(1, Full::Wait);
    let held = hold.clone();
    let task =
        tasks.spawn("hangs", t.patience(), move |_| held.recv(Deadline::never()).is_ok()).expect("there is room");
    tasks.tree().tell_to_stop(foundation_registry::Cause::Requested);
    t.wait_for(|| tasks.tree().children(t.patience()).is_ok_and(|children| !children.is_empty()));
    t.clock().advance(MINUTE);
    assert!(matches!(task.wait(t.patience()), Err(TaskError::Exited(Exit::Abandoned { .. }))));
    hold.close();
    t.wait_for(|| !t.threads().iter().any(|thread| thread.name.contains("hangs")));
}

struct Asks(Tasks);

/// Waits for a task that asks this server.
struct WaitForOne;
struct Ping;

impl Server for Asks {}

impl Handle<Ping> for Asks {
    type Reply = ();
    fn handle(&mut self, _: Ping, _: &mut Turn<Self>) {}
}

impl Handle<WaitForOne> for Asks {
    type Reply = Result<String, TaskError>;

    fn handle(&mut self, _: WaitForOne, turn: &mut Turn<Self>) -> Self::Reply {
        let (me, until) = (turn.me(), turn.system().within(MINUTE));
        let task = self.0.spawn("asks-back", &until, move |life| {
            let answer = me.call(Ping, life.system().within(MINUTE));
            answer.map_err(|error| error.to_string()).err().unwrap_or_default()
        });
        task.map_err(TaskError::NotStarted)?.wait(until)
    }
}

#[test]
fn a_task_that_asks_the_server_that_waits_for_it_closes_a_ring() {
    let t = TestUniverse::with_virtual_time();
    let tasks = tasks(&t, 1);
    let (spec, asks) = server("asks", move || Asks(tasks.clone()));
    let _tree = t.start(Supervisor::new("t", Strategy::OneForOne).child(spec));
    let outcome = asks.call(WaitForOne, t.within(MINUTE)).expect("it answers");
    let says = outcome.unwrap_or_else(|error| error.to_string());
    let (one, other) = ("`asks` -> `asks-back` -> the caller", "`asks-back` -> `asks` -> the caller");
    assert!(says.contains(one) || says.contains(other), "whoever comes last finds it: {says}");
}
