//! Restarts against everything else.

use std::{sync::Arc, time::Duration};

use foundation_registry::{Cause, Exit};
use foundation_supervisor::{ChildSpec, Failure, Foundation, Life, Restart, Strategy, Supervisor};
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{boom, one_for_one, panics_once, patient, start, stop, universe, wait};

/// Three threads: the worker, its successor, and whoever stops.
#[test]
fn a_panic_and_its_restart_race_a_stop() {
    explore("a panic and its restart race a stop")
        .reaches(&["restarted", "stopped first", "news for somebody who turns"])
        .catches(&["serial: last look"])
        .run(|| {
            let foundation = universe();
            let tree = start(&foundation, one_for_one().child(patient("w", panics_once)));
            let restarted = |foundation: &Foundation| foundation.restarts() == 1;
            assert_eq!(tree.stop(Deadline::never()), Ok(Exit::Shutdown(Cause::Requested)));
            if restarted(&foundation) {
                reached!("restarted");
            } else {
                reached!("stopped first");
            }
            assert!(
                foundation.owners().live().iter().all(|owner| !owner.name().starts_with("t/")),
                "a child outlived its stop"
            );
            stop(foundation);
        });
}

/// Three threads: a client looks the name up while its owner dies and is replaced.
#[test]
fn a_name_never_points_at_the_dead() {
    explore("a name never points at the dead")
        .reaches(&["the first life", "nobody", "the second life"])
        .catches(&["registry: names stay"])
        .run(|| {
            let foundation = universe();
            let body = |life: &Life| {
                life.register("worker", ())?.keep();
                panics_once(life)
            };
            let tree = start(&foundation, one_for_one().child(patient("w", body)));
            // Under random schedules a restart takes longer than a few looks.
            for _ in 0..if cfg!(shuttle) { 100 } else { 8 } {
                match foundation.registry().lookup("worker").map(|entry| entry.incarnation()) {
                    Some(who) if who.generation == 1 => reached!("the first life"),
                    Some(who) => {
                        reached!("the second life");
                        let first = foundation_context::Incarnation { generation: 1, ..who };
                        assert!(foundation.owners().exit_of(first).is_some(), "two live lives");
                    }
                    None => reached!("nobody"),
                }
            }
            assert!(tree.stop(Deadline::never()).is_ok());
            assert!(foundation.registry().is_empty(), "a name outlived its owner");
            stop(foundation);
        });
}

/// Three threads: the worker, the timekeeper whose message decides, and whoever stops.
#[test]
fn a_stop_deadline_races_the_exit() {
    explore("a stop deadline races the exit")
        .reaches(&["abandoned", "abandon lost to exit", "ended in time"])
        .catches(&["registry: two ends pass"])
        .run(|| {
            let foundation = universe();
            let child = ChildSpec::worker("w", wait).stop_within(Duration::ZERO);
            let tree = start(&foundation, one_for_one().child(child));
            let children = tree.children(Deadline::never()).expect("it runs");
            let monitor = foundation.owners().monitor(children[0].incarnation);
            assert!(tree.stop(Deadline::never()).is_ok());
            let down = monitor.try_recv().expect("its end is known when the stop returns");
            match down.exit {
                Exit::Abandoned { .. } => assert_eq!(foundation.abandoned(), 1),
                Exit::Shutdown(Cause::Requested) => {
                    reached!("ended in time");
                    assert_eq!(foundation.abandoned(), 0);
                }
                other => panic!("{other}"),
            }
            stop(foundation);
        });
}

/// Three threads, two levels: the inner supervisor gives up while the outer one is being stopped.
#[test]
fn an_escalation_races_the_parents_stop() {
    explore("an escalation races the parent's stop").reaches(&["the parent restarted", "stopped first"]).run(|| {
        let foundation = universe();
        let lives = Arc::new(foundation_sync::Mutex::new(0));
        let counted = Arc::clone(&lives);
        let body = move |life: &Life| {
            let first = {
                let mut lives = counted.lock();
                *lives += 1;
                *lives == 1
            };
            if first { boom() } else { wait(life) }
        };
        let inner =
            Supervisor::new("inner", Strategy::OneForOne).intensity(0, Duration::ZERO).child(patient("w", body));
        let tree = start(&foundation, one_for_one().child(ChildSpec::supervisor(inner)));
        assert_eq!(tree.stop(Deadline::never()), Ok(Exit::Shutdown(Cause::Requested)));
        if *lives.lock() == 2 {
            reached!("the parent restarted");
        } else {
            reached!("stopped first");
        }
        stop(foundation);
    });
}

/// Three threads: two callers want the same child ended and started again.
#[test]
fn management_calls_race_a_crash() {
    explore("management calls race a crash").reaches(&["terminated the second life", "terminated the first life"]).run(
        || {
            let foundation = universe();
            let tree = start(&foundation, one_for_one().child(patient("w", panics_once)));
            assert_eq!(tree.terminate_child("w", Deadline::never()), Ok(()));
            let children = tree.children(Deadline::never()).expect("it runs");
            assert_eq!(children[0].phase, foundation_supervisor::Phase::Stopped);
            if children[0].incarnation.generation == 2 {
                reached!("terminated the second life");
            } else {
                reached!("terminated the first life");
            }
            stop(foundation);
        },
    );
}

/// A client sends work while the worker dies of it: what was accepted is done, died with the worker, or is still there.
#[test]
fn no_message_is_lost_over_a_restart() {
    explore("no message is lost over a restart").reaches(&["done by the second life", "left in the queue"]).run(|| {
        let foundation = universe();
        let jobs = Queue::bounded(4, Full::Refuse);
        let (done, deadly) = (Queue::bounded(4, Full::Refuse), Queue::bounded(4, Full::Refuse));
        let (taken, finished, killed) = (jobs.clone(), done.clone(), deadly.clone());
        let body = move |life: &Life| {
            while let Some(job) = life.next(&taken)? {
                if job == 0 {
                    killed.try_send(job).map_err(|_| Failure::new("full"))?;
                    boom();
                }
                finished.try_send(life.incarnation().generation).map_err(|_| Failure::new("full"))?;
            }
            Ok(())
        };
        let tree = start(&foundation, one_for_one().child(patient("w", body)));
        let sender = jobs.clone();
        join(spawn(move || {
            for job in [0, 1] {
                sender.try_send(job).expect("there is room");
            }
        }));
        // Time for a restart, which takes some under random schedules.
        (0..if cfg!(shuttle) { 20 } else { 0 }).for_each(|_| _ = jobs.len());
        assert!(tree.stop(Deadline::never()).is_ok());
        let (done, left, died) = (done.drain(), jobs.len(), deadly.len());
        assert_eq!(done.len() + left + died, 2, "{done:?} done, {left} left, {died} died of");
        if done.contains(&2) {
            reached!("done by the second life");
        }
        if left > 0 {
            reached!("left in the queue");
        }
        stop(foundation);
    });
}

/// Two threads: a worker leaves a hook while it is told to stop.
#[test]
fn a_hook_is_run_once_whenever_the_word_is_said() {
    explore("a hook is run once whenever the word is said")
        // Random schedules hardly ever meet the other one.
        .reaches(match cfg!(shuttle) {
            true => &["told after the hook was left"],
            false => &["told before the hook was left", "told after the hook was left"],
        })
        .catches(&["on_stop: the word is missed"])
        .run(|| {
            let foundation = universe();
            let (runs, kept) = (Queue::bounded(4, Full::Refuse), Arc::new(foundation_sync::Mutex::new(None)));
            let (ran, keeps) = (runs.clone(), Arc::clone(&kept));
            let body = move |life: &Life| {
                let hook = ran.clone();
                *keeps.lock() = Some(life.on_stop(move || _ = hook.try_send(())));
                if !life.told() {
                    reached!("told after the hook was left");
                }
                Ok(())
            };
            let tree = start(
                &foundation,
                Supervisor::new("t", Strategy::OneForOne).child(patient("w", body).restart(Restart::Temporary)),
            );
            assert!(tree.stop(Deadline::never()).is_ok());
            stop(foundation);
            let begun = kept.lock().take().is_some();
            assert_eq!(runs.len(), usize::from(begun), "a life's end is its word, too");
        });
}
