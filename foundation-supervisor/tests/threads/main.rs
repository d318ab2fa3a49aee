//! The threads of a universe: what they are like, that each is accounted for, and that all are gone in the end.
#![cfg(not(any(loom, shuttle)))]

mod ends;
mod fresh;
#[cfg(target_os = "linux")]
mod linux;

use std::sync::Arc;

use foundation_supervisor::{Failure, Life, Strategy, Supervisor, System};
use foundation_sync::{Deadline, Mutex};
use foundation_testkit::patience;

type Shared<T> = Arc<Mutex<T>>;

/// Waits until it is told to stop.
fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}

fn one_for_one(name: &'static str) -> Supervisor {
    Supervisor::new(name, Strategy::OneForOne)
}

fn soon(system: &System) -> Deadline {
    system.within(patience())
}
