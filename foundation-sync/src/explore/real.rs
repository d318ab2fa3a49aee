//! The real face: a hundred runs, of which none can be replayed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Ran, Story};

const RUNS: usize = 100;

#[expect(clippy::print_stderr, reason = "what a scenario has to say is said to the person who runs the test")]
pub(super) fn run(name: &str, _: &[&str], story: Story) -> Ran {
    for run in 1..=RUNS {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(&story)) {
            eprintln!("failed: {name}: run {run} of {RUNS} on real threads, which can't be replayed; a model can");
            resume_unwind(panic);
        }
    }
    Ran { schedules: RUNS, replayed: None, marks: Vec::new() }
}

pub(super) fn mark(_: &'static str) {}

pub(super) fn is_planted(_: &str) -> bool {
    false
}

pub(super) fn take_crash(_: &str) -> bool {
    false
}
