//! A task has one outcome, and a handle that is dropped tells it to stop.

use std::{sync::Arc, time::Duration};

use foundation_registry::{Cause, Exit};
use foundation_server::{TaskError, Tasks};
use foundation_supervisor::{ChildError, Foundation};
use foundation_sync::{Deadline, Full, Queue, SECONDS_5, Stop, VirtualTime};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{stop, universe};

/// Room for one.
fn one(foundation: &Foundation) -> Tasks {
    Tasks::start(foundation, "tasks", 1, Deadline::never()).expect("nobody has the name")
}

/// Says that it was dropped: what has it is over, or never was.
struct Last(Queue<()>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.try_send(()).expect("it is dropped once");
    }
}

fn last() -> (Last, Queue<()>) {
    let over = Queue::bounded(1, Full::Refuse);
    (Last(over.clone()), over)
}

/// Two threads: the task, and who has started it. Race "dropped while it begins".
#[test]
fn a_task_whose_handle_is_dropped_while_it_begins_is_told_or_does_not_begin() {
    explore("a task whose handle is dropped while it begins is told or does not begin")
        .reaches(&["task: told before it began", "told later"])
        .catches(&["task: the word is looked for before it is watched", "task: dropped, it is told nothing"])
        .run(|| {
            let foundation = universe();
            let (tasks, (last, over)) = (one(&foundation), last());
            let task = tasks.spawn("waits", Deadline::never(), move |life| {
                let _last = last;
                life.wait_until_told();
                reached!("told later");
            });
            drop(task.expect("there is room"));
            assert_eq!(over.recv(Deadline::never()), Ok(()), "it is over, or never began");
            stop(foundation);
        });
}

/// Two threads: the task, and who has started it. The handle may be dropped before the value comes, between that and the
/// end, and after it: the value is dropped once, where users' code may run.
#[test]
fn a_value_for_which_nobody_waits_is_dropped() {
    explore("a value for which nobody waits is dropped").reaches(&["dropped when done", "dropped before"]).run(|| {
        let foundation = universe();
        let (tasks, (last, over)) = (one(&foundation), last());
        let task = tasks.spawn("returns", Deadline::never(), move |_| last).expect("there is room");
        if task.is_done() {
            reached!("dropped when done");
        } else {
            reached!("dropped before");
        }
        drop(task);
        stop(foundation);
        assert_eq!(over.len(), 1, "its value is gone, and so is what a task would have made one of");
    });
}

/// Three threads: the task, who starts it, and who tells that one to stop.
#[test]
fn a_task_whose_start_is_given_up_is_told_or_does_not_begin() {
    explore("a task whose start is given up is told or does not begin")
        .reaches(&["started", "given up", "task: told before it began", "told later"])
        .catches(&["task: the word is looked for before it is watched"])
        .run(|| {
            let foundation = universe();
            let (tasks, (last, over), word) = (one(&foundation), last(), Stop::new());
            let tells = word.clone();
            let tells = spawn(move || _ = tells.tell());
            let started = tasks.spawn("waits", &word, move |life| {
                let _last = last;
                life.wait_until_told();
                reached!("told later");
            });
            match started {
                Ok(task) => {
                    reached!("started");
                    drop(task);
                }
                Err(ChildError::Stopped) => reached!("given up"),
                Err(other) => panic!("{other}"),
            }
            assert_eq!(over.recv(Deadline::never()), Ok(()), "it is over, or never began");
            join(tells);
            stop(foundation);
        });
}

/// Three threads: the task, who waits for it so long, and who moves the time.
#[test]
fn a_task_that_ends_when_the_deadline_comes_is_waited_for_in_time_or_again() {
    explore("a task that ends when the deadline comes is waited for in time or again")
        .reaches(&["in time", "too late"])
        .catches(&["task: a wait that is over takes the outcome along"])
        .run(|| {
            let (foundation, time) = (universe(), VirtualTime::new());
            let task = one(&foundation).spawn("returns", Deadline::never(), |_| 7).expect("there is room");
            let until = time.clock().within(Duration::from_nanos(1));
            let waits = spawn(time.clock().enrol("waits", move || {
                match task.wait(until) {
                    Ok(value) => {
                        reached!("in time");
                        assert_eq!(value, 7);
                        assert_eq!(task.wait(Deadline::never()), Err(TaskError::Taken));
                    }
                    Err(error) => {
                        reached!("too late");
                        assert!(matches!(error, TaskError::TimedOut { .. }), "{error}");
                        assert_eq!(task.wait(Deadline::never()), Ok(7), "it is still to be had");
                    }
                };
            }));
            time.advance(Duration::from_nanos(1)).expect("it waits, or has ended");
            join(waits);
            stop(foundation);
        });
}

/// Three threads: a task that returns when its time to stop is over, the timekeeper, and who waits for it. Whatever it
/// returns is dropped, if nobody has it.
#[test]
fn a_task_that_returns_while_it_is_given_up_has_one_outcome() {
    explore("a task that returns while it is given up has one outcome")
        .reaches(&["returned", "given up"])
        .catches(&["task: one that was given up has a value"])
        .run(|| {
            let time = VirtualTime::new();
            let foundation = Foundation::builder().without_courier().clock(&time.clock()).start();
            let (tasks, (last, over)) = (one(&foundation), last());
            let hold = Queue::<()>::bounded(1, Full::Wait);
            let task = tasks.spawn("hangs", Deadline::never(), move |life| {
                _ = hold.recv(life.system().within(SECONDS_5));
                last
            });
            tasks.tree().tell_to_stop(Cause::Requested);
            time.advance(SECONDS_5).expect("they wait");
            match task.expect("there is room").wait(Deadline::never()) {
                Ok(value) => {
                    reached!("returned");
                    assert_eq!((foundation.abandoned(), over.len()), (0, 0));
                    drop(value);
                }
                Err(TaskError::Exited(Exit::Abandoned { .. })) => {
                    reached!("given up");
                    assert_eq!(foundation.abandoned(), 1);
                }
                Err(other) => panic!("{other}"),
            }
            drop(tasks);
            _ = foundation.stop(Duration::MAX);
            assert_eq!(over.len(), 1);
        });
}

/// Three threads: two tasks of a map, and who drops it: one may have begun or not, the other ends by itself.
#[test]
fn a_map_that_is_dropped_tells_those_that_run_and_those_that_begin() {
    explore("a map that is dropped tells those that run and those that begin")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever begin it so late.
            true => &["told later"],
            false => &["task: told before it began", "told later"],
        })
        .catches(&["task: the word is looked for before it is watched", "task: dropped, it is told nothing"])
        .run(|| {
            let foundation = universe();
            let tasks = Tasks::start(&foundation, "tasks", 2, Deadline::never()).expect("nobody has the name");
            let (last, over) = last();
            let mut results = tasks
                .map([false, true], 2, Deadline::never(), move |waits, life| {
                    let _last = &last;
                    if waits {
                        life.wait_until_told();
                        reached!("told later");
                    }
                })
                .as_they_come();
            assert_eq!(results.next(), Some(Ok(())), "the other one waits");
            drop(results);
            assert_eq!(over.recv(Deadline::never()), Ok(()), "all are over, or never began");
            stop(foundation);
        });
}

/// Three threads: the task, and two that wait for it.
#[test]
fn of_two_that_wait_for_a_task_one_has_its_value() {
    explore("of two that wait for a task one has its value")
        .reaches(&["this one", "the other", "who waits for a value slept"])
        .catches(&["oneshot: a put tells one of those that wait"])
        .run(|| {
            let foundation = universe();
            let task = one(&foundation).spawn("returns", Deadline::never(), |_| 7).expect("there is room");
            let task = Arc::new(task);
            let (other, values) = (Arc::clone(&task), Queue::bounded(2, Full::Refuse));
            let told = values.clone();
            let waits = spawn(move || match other.wait(Deadline::never()) {
                Ok(value) => told.try_send(value).expect("there is room"),
                Err(error) => assert_eq!(error, TaskError::Taken),
            });
            match task.wait(Deadline::never()) {
                Ok(value) => {
                    reached!("this one");
                    values.try_send(value).expect("there is room");
                }
                Err(error) => {
                    reached!("the other");
                    assert_eq!(error, TaskError::Taken);
                }
            }
            join(waits);
            assert_eq!(values.drain(), [7]);
            stop(foundation);
        });
}

/// Three threads: a task, the next one, and who waits for the first.
#[test]
fn who_has_a_tasks_outcome_finds_room_for_one_more_and_no_more() {
    explore("who has a task's outcome finds room for one more and no more")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever end it so soon.
            true => &["who waits for a value slept"],
            false => &["who waits for a value slept", "it was there"],
        })
        .catches(&["task: the outcome comes before its supervisor knows"])
        .run(|| {
            let foundation = universe();
            let tasks = one(&foundation);
            let first = tasks.spawn("first", Deadline::never(), |_| 7).expect("there is room");
            if first.is_done() {
                reached!("it was there");
            }
            assert_eq!(first.wait(Deadline::never()), Ok(7));
            let (last, over) = last();
            let next = tasks.spawn("next", Deadline::never(), move |life| {
                let _last = last;
                life.wait_until_told();
            });
            let next = next.expect("the first has ended");
            let more = tasks.spawn("more", Deadline::never(), |_| ());
            assert_eq!(more.map(drop).expect_err("there is room for one"), ChildError::TooMany);
            drop(next);
            assert_eq!(over.recv(Deadline::never()), Ok(()));
            stop(foundation);
        });
}
