//! The supervisor's protocols, through the API that users call, on all three faces: one room for each.

mod ends;
mod groups;
mod restarts;
mod room;
mod starts;

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use foundation_supervisor::{ChildSpec, Failure, Foundation, Life, Strategy, Supervisor, Tree};
use foundation_sync::{Deadline, Full, Queue};

fn universe() -> Foundation {
    Foundation::builder().without_courier().start()
}

/// Unwinds without the panic hook, which would print in every schedule.
fn boom() -> ! {
    resume_unwind(Box::new("boom"))
}

/// Waits until it is told to stop.
fn wait(life: &Life) -> Result<(), Failure> {
    let nothing = Queue::<()>::bounded(1, Full::Wait);
    while life.next(&nothing)?.is_some() {}
    Ok(())
}

/// Panics in its first life, waits in later ones.
fn panics_once(life: &Life) -> Result<(), Failure> {
    if life.incarnation().generation == 1 {
        boom();
    }
    wait(life)
}

fn patient(name: &'static str, body: impl Fn(&Life) -> Result<(), Failure> + Send + Sync + 'static) -> ChildSpec {
    ChildSpec::worker(name, body).stop_whenever()
}

fn start(foundation: &Foundation, supervisor: Supervisor) -> Tree {
    match supervisor.start(foundation, Deadline::never()) {
        Ok(tree) => tree,
        Err(error) => panic!("{error}"),
    }
}

fn stop(foundation: Foundation) {
    let report = foundation.stop(Duration::MAX);
    assert!(report.is_clean(), "{report}");
}

/// How often somebody looks before he goes on: under random schedules the others take some steps until they are there.
const LOOKS: usize = if cfg!(shuttle) { 20 } else { 1 };

fn one_for_one() -> Supervisor {
    Supervisor::new("t", Strategy::OneForOne)
}

/// What a body has captured: one more for each that has not been dropped.
type Probe = Arc<()>;

/// Looks that nobody has kept it, once the universe has ended.
fn is_dropped(probe: &Probe) {
    assert_eq!(Arc::strong_count(probe), 1, "what the body captured was kept");
}
