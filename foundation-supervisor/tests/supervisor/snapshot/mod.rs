//! What an operator sees of trees, vitals and crashes.

mod golden;
mod reports;
mod stuck;

use std::time::Duration;

use foundation_supervisor::{Failure, Life};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

/// Waits until it is told to stop.
fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}
