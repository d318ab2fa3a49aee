//! The universe's census against the operating system's.

use std::collections::BTreeMap;

use foundation_supervisor::{ChildError, ChildSpec, Failure, Foundation, Life, Strategy, Supervisor, System};
use foundation_sync::{MINUTE, SECOND};
use foundation_testkit::{patience, wait_for};

use super::{super::*, Shown, alone};

/// What the system shows now and did not show `before`: each name so often.
fn shown_since(before: &BTreeMap<String, Shown>) -> Vec<String> {
    let now = Shown::all().into_iter().filter(|(number, _)| !before.contains_key(number));
    let mut names: Vec<_> = now.map(|(_, shown)| shown.name).collect();
    names.sort_unstable();
    names
}

/// The names that the census has, as far as the system shows them: the first 15 bytes.
fn counted(system: &System) -> Vec<String> {
    let short = |name: &str| String::from_utf8_lossy(&name.as_bytes()[..name.len().min(15)]).into_owned();
    let mut names: Vec<_> = system.threads().iter().map(|thread| short(&thread.name)).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_census_is_what_the_system_shows() {
    alone("linux::census::the_census_is_what_the_system_shows", || {
        let before = Shown::all();
        let foundation = Foundation::builder().start();
        assert_eq!(shown_since(&before), [""; 0], "nothing runs, so there is no thread");
        let mut tree = one_for_one("a_long_name").intensity(1_000, MINUTE);
        for number in 0..20 {
            let body = move |life: &Life| match life.incarnation().generation {
                1..5 if number % 2 == 0 => Err(Failure::new("again")),
                _ => idle(life),
            };
            tree = tree.child(ChildSpec::worker(format!("w{number}"), body));
        }
        let quiet = [foundation_supervisor::CRASHED];
        foundation.telemetry().attach("quiet", quiet, |_| {}).expect("the id is free");
        let tree = tree.start(&foundation, soon(&foundation)).expect("it starts");
        wait_for(|| foundation.restarts() == 40);
        // One that is not ready needs a timer, and so a timekeeper.
        let slow = ChildSpec::worker("slow", idle).ready_within(60 * MINUTE);
        assert_eq!(tree.start_child(slow, foundation.within(SECOND / 1_000)), Err(ChildError::TimedOut));
        wait_for(|| foundation.threads().len() == 23 && counted(&foundation) == shown_since(&before));
        let names = shown_since(&before);
        assert!(["courier#1", "timekeeper"].iter().all(|own| names.iter().any(|name| name == own)), "{names:?}");
        assert_eq!(names.iter().filter(|name| *name == "a_long_name/w1#" || *name == "a_long_name/w1").count(), 1);
        let system = foundation.system().clone();
        let report = foundation.stop(patience());
        assert!(report.is_clean(), "{report}");
        assert_eq!(system.threads(), []);
        // A thread that has been joined is on the system's list for a moment more.
        wait_for(|| shown_since(&before).is_empty());
    });
}

#[test]
fn a_thousand_idle_trees_have_no_thread_of_the_systems() {
    alone("linux::census::a_thousand_idle_trees_have_no_thread_of_the_systems", || {
        let before = Shown::all();
        let foundation = Foundation::builder().start();
        let trees: Vec<_> = (0..1_000)
            .map(|number| {
                let inner = ChildSpec::supervisor(one_for_one("inner"));
                let tree = Supervisor::new(format!("t{number}"), Strategy::OneForOne).child(inner);
                tree.start(&foundation, soon(&foundation)).expect("it starts")
            })
            .collect();
        assert_eq!(Shown::all().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        assert_eq!(foundation.threads(), []);
        assert!(trees.iter().all(|tree| tree.children(soon(&foundation)).is_ok_and(|children| children.len() == 1)));
        assert_eq!(shown_since(&before), [""; 0]);
        assert!(foundation.stop(patience()).is_clean());
    });
}

#[test]
fn threads_that_have_gone_leave_nothing_to_the_process() {
    alone("linux::census::threads_that_have_gone_leave_nothing_to_the_process", || {
        let before = Shown::all();
        let foundation = Foundation::builder().start();
        let body =
            |life: &Life| if life.incarnation().generation > 500 { idle(life) } else { Err(Failure::new("again")) };
        let quiet = [foundation_supervisor::CRASHED];
        foundation.telemetry().attach("quiet", quiet, |_| {}).expect("the id is free");
        let tree = one_for_one("t").intensity(1_000_000, MINUTE).child(ChildSpec::worker("w", body));
        tree.start(&foundation, soon(&foundation)).expect("it starts");
        wait_for(|| foundation.restarts() == 500 && counted(&foundation) == shown_since(&before));
        // A thread that is neither joined nor detached keeps its stack, which lies between two pages that nobody may use.
        assert!(guard_pages() < 50, "500 threads have gone, and their stacks with them");
        assert!(foundation.stop(patience()).is_clean());
    });
}

/// How many places of the process's memory nobody may touch.
fn guard_pages() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
    maps.lines().filter(|line| line.contains(" ---p ")).count()
}
