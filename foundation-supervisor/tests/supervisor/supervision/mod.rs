//! What a supervised worker, a tree and a universe promise, on real threads.

mod reports;
mod restarts;
mod starts;
mod stops;
mod universe;

use std::sync::Arc;

use foundation_registry::Exit;
use foundation_supervisor::{Failure, Life, Strategy, Supervisor, System, Tree};
use foundation_sync::{Deadline, Mutex};
use foundation_testkit::{TestUniverse, patience};

type Body = fn(&Life) -> Result<(), Failure>;
type Log = Arc<Mutex<Vec<String>>>;

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

fn end(t: &TestUniverse, tree: &Tree) -> Exit {
    tree.wait(soon(t)).expect("it ends within the test's patience")
}
