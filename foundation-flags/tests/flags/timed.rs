//! What a test needs in which somebody else closes windows.

use foundation_sync::{Deadline, Errand, Errands, Full, Queue, Timekeeper, VirtualTime, thread};
use foundation_testkit::patience;

/// A courier of the test's own: a queue of errands, and a thread of this time that runs them.
pub(crate) fn courier(time: &VirtualTime) -> (Errands, Queue<Errand>) {
    let jobs = Queue::<Errand>::bounded(1_000, Full::Refuse);
    let (takes, runs) = (jobs.clone(), jobs.clone());
    let body = move || {
        while let Ok(errand) = runs.recv(Deadline::never()) {
            errand();
        }
    };
    drop(thread::Builder::new("courier").spawn(time.clock().enrol("courier", body)).expect("a thread"));
    (Errands::new(move |errand| takes.try_send(errand).map_err(|refused| refused.into_inner())), jobs)
}

/// A timekeeper, and the time that it keeps.
pub(crate) fn keeper() -> (VirtualTime, Timekeeper) {
    let time = VirtualTime::new().patience(patience());
    let clock = time.clock();
    let start = move |body| thread::Builder::new("timekeeper").spawn(clock.enrol("timekeeper", body)).map(drop);
    (time.clone(), Timekeeper::new(time.clock(), start))
}
