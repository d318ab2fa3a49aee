//! A universe at rest.

use std::collections::BTreeMap;

use foundation_supervisor::{ChildError, ChildSpec, Doing, Failure, Foundation, Life};
use foundation_sync::{MINUTE, SECOND};
use foundation_testkit::{patience, wait_for};

use super::{super::*, Shown, alone};

/// Another universe restarts a worker so often: facts beside the one that is at rest.
fn restarts(times: u64) {
    let foundation = Foundation::builder().start();
    let quiet = [foundation_supervisor::CRASHED];
    foundation.telemetry().attach("quiet", quiet, |_| {}).expect("the id is free");
    let body = move |life: &Life| {
        if life.incarnation().generation > times { idle(life) } else { Err(Failure::new("again")) }
    };
    let tree = one_for_one("busy").intensity(1_000_000, MINUTE).child(ChildSpec::worker("w", body));
    tree.start(&foundation, soon(&foundation)).expect("it starts");
    wait_for(|| foundation.restarts() == times);
    assert!(foundation.stop(patience()).is_clean());
}

/// A worker that waits, one that has crashed before, a timer that is not due, a courier without a job: none of their
/// threads runs, while another universe goes through 300 lives.
#[test]
fn a_universe_at_rest_uses_no_processor() {
    alone("linux::rest::a_universe_at_rest_uses_no_processor", || {
        let others = Shown::all();
        let foundation = Foundation::builder().start();
        let quiet = [foundation_supervisor::CRASHED];
        foundation.telemetry().attach("quiet", quiet, |_| {}).expect("the id is free");
        let body = |life: &Life| match life.incarnation().generation {
            1 => Err(Failure::new("once")),
            _ => idle(life),
        };
        let tree = one_for_one("rest").child(ChildSpec::worker("a", idle)).child(ChildSpec::worker("b", body));
        let tree = tree.start(&foundation, soon(&foundation)).expect("it starts");
        wait_for(|| foundation.restarts() == 1);
        let slow = ChildSpec::worker("slow", idle).ready_within(60 * MINUTE);
        assert_eq!(tree.start_child(slow, foundation.within(SECOND / 1_000)), Err(ChildError::TimedOut));
        let waits = || foundation.threads().iter().all(|thread| matches!(thread.doing, Doing::WaitsAt(_)));
        wait_for(|| foundation.threads().len() == 5 && waits());
        // By the time that this is done those who wait have gone to sleep.
        restarts(50);
        let own = |all: BTreeMap<String, Shown>| -> BTreeMap<String, Shown> {
            all.into_iter().filter(|(number, _)| !others.contains_key(number)).collect()
        };
        wait_for(|| own(Shown::all()).len() == 5);
        let before = own(Shown::all());
        restarts(300);
        wait_for(|| own(Shown::all()).len() == 5);
        assert_eq!(own(Shown::all()), before);
        assert!(foundation.stop(patience()).is_clean());
    });
}
