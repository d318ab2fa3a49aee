//! A worker ends by itself while it is told to: one end, with its true reason.

use std::{sync::Arc, time::Duration};

use foundation_context::Fields;
use foundation_registry::{Address, Cause, Exit, RegisterError};
use foundation_supervisor::{ChildSpec, Foundation, Life, Phase, Tree};
use foundation_sync::{Deadline, Full, Queue, SECOND, TryRecvError};
use foundation_testkit::{explore, reached};

use crate::{LOOKS, Probe, boom, is_dropped, one_for_one, patient, start, stop, universe, wait};

/// The only child's end, as two monitors tell it: one that was made in time, and one that came late.
fn ends(tree: &Tree, foundation: &Foundation, act: impl FnOnce()) -> Exit {
    let children = tree.children(Deadline::never()).expect("it runs");
    let who = children[0].incarnation;
    let early = foundation.owners().monitor(who);
    act();
    let down = early.try_recv().expect("its end is known when the call returns");
    assert_eq!(early.try_recv(), Err(TryRecvError::Closed), "a second Down");
    let late = foundation.owners().monitor(who).try_recv().map(|down| down.exit);
    assert_eq!((down.incarnation, late), (who, Ok(down.exit.clone())), "two ends of one life");
    down.exit
}

/// Three threads: a worker that is done, its successor, and whoever terminates it.
#[test]
fn a_termination_races_a_workers_own_end() {
    explore("a termination races a worker's own end")
        .reaches(&[
            "ended by itself",
            "ended as told",
            "left by itself while it was stopped",
            "terminated the second life",
        ])
        .catches(&["core: who leaves while it is stopped has crashed"])
        .run(|| {
            let foundation = universe();
            let body = |life: &Life| if life.incarnation().generation == 1 { Ok(()) } else { wait(life) };
            let tree = start(&foundation, one_for_one().child(patient("w", body)));
            let exit = ends(&tree, &foundation, || assert_eq!(tree.terminate_child("w", Deadline::never()), Ok(())));
            match exit {
                Exit::Normal => reached!("ended by itself"),
                Exit::Shutdown(Cause::Terminated) => reached!("ended as told"),
                other => panic!("{other}"),
            }
            let children = tree.children(Deadline::never()).expect("it runs");
            assert_eq!(children[0].phase, Phase::Stopped, "a terminated child does not come back");
            if children[0].incarnation.generation == 2 {
                reached!("terminated the second life");
            }
            stop(foundation);
        });
}

/// Two threads: a worker that panics, and whoever stops its tree. What it captured is dropped, whoever comes first.
#[test]
fn a_stop_races_a_panic() {
    explore("a stop races a panic")
        .reaches(&["panicked before it was told", "panicked after it was told", "left by itself while it was stopped"])
        .catches(&["worker: a stop hides a panic"])
        .run(|| {
            let foundation = universe();
            let probe = Probe::default();
            let captured = Arc::clone(&probe);
            let body = move |life: &Life| {
                let _captured = &captured;
                match (0..LOOKS).any(|_| life.told()) {
                    true => reached!("panicked after it was told"),
                    false => reached!("panicked before it was told"),
                }
                boom()
            };
            // No restart: it gives up if the crash comes first.
            let tree = start(&foundation, one_for_one().intensity(0, SECOND).child(patient("w", body)));
            let exit = ends(&tree, &foundation, || {
                let ended = tree.stop(Deadline::never());
                let (stopped, gave_up) = (Exit::Shutdown(Cause::Requested), Exit::Shutdown(Cause::Intensity));
                assert!(ended == Ok(stopped) || ended == Ok(gave_up), "{ended:?}");
            });
            assert!(matches!(&exit, Exit::Panicked(panic) if &*panic.message == "boom"), "{exit}");
            drop(tree);
            stop(foundation);
            is_dropped(&probe);
        });
}

/// Three threads: a worker that was abandoned goes on and wants its name back, the timekeeper, and whoever terminated it
/// and gives the name to somebody else at once.
#[test]
fn who_was_abandoned_races_a_successor_for_a_name() {
    explore("who was abandoned races a successor for a name")
        // Random schedules meet the successor some times in a thousand.
        .reaches(match cfg!(shuttle) {
            true => &["abandoned", "late, and the name is free"],
            false => &["abandoned", "late, and the name is free", "late, and the successor has the name"],
        })
        .catches(&["registry: the dead register"])
        .run(|| {
            let foundation = universe();
            let gone = Queue::bounded(1, Full::Refuse);
            let left = gone.clone();
            let body = move |life: &Life| {
                let registered = life.register("name", ());
                _ = wait(life);
                drop(registered);
                _ = left.try_send(late(life));
                Ok(())
            };
            let tree =
                start(&foundation, one_for_one().child(ChildSpec::worker("w", body).stop_within(Duration::ZERO)));
            assert_eq!(tree.terminate_child("w", Deadline::never()), Ok(()));
            let successor = foundation.begin("successor");
            let registered = foundation.registry().register("name", &successor, Address::new(()), Fields::new());
            let registration = registered.expect("who had it is terminated");
            let late = gone.recv(Deadline::never()).expect("it ends");
            assert!(matches!(late, None | Some(Err(RegisterError::Fenced(_)))), "the dead register: {late:?}");
            assert_eq!(foundation.whereis("name"), Some(successor.incarnation()), "the successor keeps the name");
            drop((registration, successor.end(Exit::Normal)));
            stop(foundation);
        });
}

/// What the worker does at its end: it tries to have its name again. Nothing to be told if it was not abandoned.
fn late(life: &Life) -> Option<Result<(), RegisterError>> {
    if !life.owner().fenced() {
        return None;
    }
    match life.system().whereis("name") {
        Some(_) => reached!("late, and the successor has the name"),
        None => reached!("late, and the name is free"),
    }
    Some(life.register("name", ()).map(drop))
}
