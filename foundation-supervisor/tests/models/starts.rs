//! Starts that fail, or come too late.

use std::{sync::Arc, time::Duration};

use foundation_registry::{Cause, Exit};
use foundation_supervisor::{ChildError, ChildSpec, Life, Restart, StartError};
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{LOOKS, Probe, boom, is_dropped, one_for_one, patient, start, stop, universe, wait};

/// Three threads: a worker that panics before it is ready, the timekeeper whose message says that it is too slow, and
/// whoever starts the tree. He is told once, when the worker has ended, and what its body captured is dropped.
#[test]
fn a_start_that_fails_races_its_deadline() {
    explore("a start that fails races its deadline")
        .reaches(&["panicked before it was too slow", "panicked after it was too slow"])
        .catches(&["core: a slow start has failed before it ended"])
        .run(|| {
            let foundation = universe();
            let probe = Probe::default();
            let captured = Arc::clone(&probe);
            let body = move |life: &Life| {
                let _captured = &captured;
                match (0..LOOKS).any(|_| life.told()) {
                    true => reached!("panicked after it was too slow"),
                    false => reached!("panicked before it was too slow"),
                }
                boom()
            };
            let child = ChildSpec::worker("w", body).ready_within(Duration::ZERO).stop_whenever();
            let started = one_for_one().child(child).start(&foundation, Deadline::never());
            let StartError::ChildFailed { exit, .. } = started.expect_err("it panics") else { panic!("another error") };
            assert!(exit.to_string().contains("`t/w` panicked"), "the true reason: {exit}");
            let all = foundation.owners().live();
            assert!(all.iter().all(|owner| &**owner.name() != "t/w"), "it lives when its start has failed");
            assert_eq!(foundation.restarts(), 0, "a first start is not tried again");
            stop(foundation);
            is_dropped(&probe);
        });
}

/// Three threads: the one who adds a child, the child, and whoever stops the tree. Either the child was added, and is
/// stopped like any other, or it was refused, and its spec is dropped.
#[test]
fn a_child_is_added_while_its_tree_is_stopped() {
    explore("a child is added while its tree is stopped")
        // Random schedules are refused some times in ten thousand.
        .reaches(match cfg!(shuttle) {
            true => &["added and stopped"],
            false => &["added and stopped", "refused", "a child for what is over"],
        })
        .catches(&["crank: a child is added to what is over"])
        .run(|| {
            let foundation = universe();
            let probe = Probe::default();
            let captured = Arc::clone(&probe);
            let (outcome, told) = (Queue::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
            let tree = start(&foundation, one_for_one());
            let (adds, tell) = (tree.clone(), outcome.clone());
            let adding = spawn(move || {
                let body = move |life: &Life| {
                    let _captured = &captured;
                    let ended = wait(life);
                    _ = told.try_send(life.cause());
                    ended
                };
                _ = tell.try_send(adds.start_child(patient("w", body), Deadline::never()));
            });
            assert_eq!(tree.stop(Deadline::never()), Ok(Exit::Shutdown(Cause::Requested)));
            let live = foundation.owners().live();
            assert!(live.iter().all(|owner| !owner.name().starts_with("t/")), "a child outlived its stop");
            join(adding);
            match outcome.try_recv() {
                Ok(Ok(_)) => reached!("added and stopped"),
                Ok(Err(ChildError::Over)) => reached!("refused"),
                other => panic!("{other:?}"),
            }
            assert_eq!(foundation.restarts(), 0);
            let live = foundation.owners().live();
            assert!(live.iter().all(|owner| !owner.name().starts_with("t/")), "somebody came when all was over");
            stop(foundation);
            // The handle outlives its universe: it keeps no child's spec.
            is_dropped(&probe);
            drop(tree);
        });
}

/// Three threads: two workers that end at once, and whoever starts their tree, in more than one turn: what comes in between
/// waits for the answer that is still to be taken up.
#[test]
fn a_start_that_takes_several_turns_races_the_ends_of_those_it_starts() {
    explore("a start that takes several turns races the ends of those it starts")
        .reaches(&["news while an answer waits"])
        .catches(&["crank: news overtakes an answer"])
        .run(|| {
            let foundation = universe();
            let done = |name: &'static str| patient(name, |_: &Life| Ok(())).restart(Restart::Transient);
            let tree = start(&foundation, one_for_one().child(done("a")).child(done("b")));
            assert_eq!(tree.stop(Deadline::never()), Ok(Exit::Shutdown(Cause::Requested)));
            assert_eq!(foundation.restarts(), 0, "who has ended at once was started all the same");
            stop(foundation);
        });
}
