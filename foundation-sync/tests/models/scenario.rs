//! Scenarios themselves: what they are held to, and what they say of a failure.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_sync::{
    MODEL, Mutex, Scenario,
    atomic::{AtomicU8, Ordering},
};
use foundation_testkit::{crash, explore, join, planted, reached, spawn};

fn fails(scenario: Scenario, story: impl Fn() + Send + Sync + 'static) -> bool {
    catch_unwind(AssertUnwindSafe(|| scenario.run(story))).is_err()
}

#[test]
fn a_mark_that_no_schedule_reaches_fails_a_model_and_no_real_run() {
    assert_eq!(fails(explore("never there").reaches(&["never there"]), || {}), MODEL);
    assert!(!fails(explore("there").reaches(&["there"]), || reached!("there")));
}

#[test]
fn a_mark_counts_only_for_the_scenario_that_reached_it() {
    assert!(!fails(explore("the first").reaches(&["by the first"]), || reached!("by the first")));
    assert_eq!(fails(explore("the second").reaches(&["by the first"]), || {}), MODEL);
}

#[test]
fn a_story_that_panics_in_one_schedule_fails_on_every_face() {
    assert!(fails(explore("it panics"), || std::panic::resume_unwind(Box::new("told to"))));
    assert!(!fails(explore("the next one begins anew"), || {}));
}

#[test]
fn a_crash_that_a_scenario_suffers_comes_once_in_each_run() {
    let crashes = || std::panic::catch_unwind(|| crash!("scenario: here")).is_err();
    explore("it suffers a crash").suffers(&["scenario: here"]).run(move || {
        assert_eq!((crashes(), crashes()), (MODEL, false));
    });
    explore("it suffers none").run(move || assert!(!crashes()));
}

#[test]
fn a_crash_that_no_schedule_comes_to_fails_a_model_and_no_real_run() {
    assert_eq!(fails(explore("it comes to no crash").suffers(&["scenario: nowhere"]), || {}), MODEL);
}

#[test]
fn a_failure_that_depends_on_the_schedule_is_replayed() {
    // `cargo xtask ci` plants the bug on both models' faces and replays what was printed.
    explore("a failure that depends on the schedule is replayed")
        .reaches(&["read late", "read early"])
        .catches(&["scenario: late is a failure"])
        .run(|| {
            let word = Arc::new(Mutex::new(false));
            let told = Arc::clone(&word);
            let tells = spawn(move || *told.lock() = true);
            if *word.lock() {
                reached!("read late");
                assert!(!planted!("scenario: late is a failure"), "read late");
            } else {
                reached!("read early");
            }
            join(tells);
        });
}

const ASKED: u8 = 1;
const ANSWERED: u8 = 2;

/// One thread asks, and looks whether it was answered meanwhile; the other answers if it was asked.
fn asks(answer: impl Fn(&AtomicU8) + Copy + Send + Sync + 'static) {
    let word = Arc::new(AtomicU8::new(0));
    let other = Arc::clone(&word);
    let answers = spawn(move || answer(&other));
    word.store(ASKED, Ordering::SeqCst);
    if word.load(Ordering::SeqCst) == ANSWERED {
        reached!("answered meanwhile");
    }
    join(answers);
}

#[test]
fn loom_misses_the_race_of_a_thread_that_loads_and_then_stores() {
    let load_then_store = |word: &AtomicU8| {
        if word.load(Ordering::SeqCst) == ASKED {
            word.store(ANSWERED, Ordering::SeqCst);
        }
    };
    let scenario = explore("a load, and then a store").reaches(&["answered meanwhile"]);
    // When this fails under loom, loom has learnt it: the advice of the chapter on models can go.
    assert_eq!(fails(scenario, move || asks(load_then_store)), cfg!(loom));
}

#[test]
fn the_race_of_one_step_is_seen_by_every_model() {
    let in_one_step = |word: &AtomicU8| {
        _ = word.compare_exchange(ASKED, ANSWERED, Ordering::SeqCst, Ordering::SeqCst);
    };
    explore("one step").reaches(&["answered meanwhile"]).run(move || asks(in_one_step));
}
