//! What an operator sees of trees, vitals and crashes.
#![cfg(not(any(loom, shuttle)))]

mod golden;
mod reports;
mod stuck;

use std::time::Duration;

use foundation_supervisor::{Failure, Life};
use foundation_sync::{Full, Queue};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

/// Waits until it is told to stop.
fn idle(life: &Life) -> Result<(), Failure> {
    let nothing = Queue::<()>::bounded(1, Full::Wait);
    while life.next(&nothing)?.is_some() {}
    Ok(())
}
