//! Many children, started and stopped.

use std::time::{Duration, Instant};

use foundation_supervisor::{ChildSpec, Foundation, Life, Strategy, Supervisor};
use foundation_sync::{Deadline, MINUTE, Stop, thread};

const STACK: usize = 128 * 1024;

pub(crate) struct Took {
    pub(crate) started: Duration,
    pub(crate) stopped: Duration,
}

pub(crate) fn idle(life: &Life) -> Result<(), foundation_supervisor::Failure> {
    life.wait_until_told();
    Ok(())
}

pub(crate) fn tree(name: &str, children: usize) -> Supervisor {
    let spec = |n| ChildSpec::worker(format!("w{n}"), idle).stack(STACK);
    (0..children).map(spec).fold(Supervisor::new(name, Strategy::OneForOne), Supervisor::child)
}

/// Started in order, stopped in reverse order, one after the other.
pub(crate) fn ours(children: usize) -> Took {
    let foundation = Foundation::builder().start();
    let crowd = tree("t", children);
    let since = Instant::now();
    let tree = crowd.start(&foundation, foundation.within(MINUTE)).expect("it starts");
    let started = since.elapsed();
    let since = Instant::now();
    tree.stop(foundation.within(MINUTE)).expect("it stops");
    let stopped = since.elapsed();
    assert!(foundation.stop(MINUTE).is_clean());
    Took { started, stopped }
}

type Thread = (Stop, thread::JoinHandle<()>);

/// Threads that wait for a word.
pub(crate) fn hold(children: usize) -> Vec<Thread> {
    let start = |n| {
        let stop = Stop::new();
        let own = stop.clone();
        let body = move || _ = own.wait(&Deadline::never());
        let builder = thread::Builder::new(format!("w{n}")).stack(STACK);
        (stop, builder.spawn(body).expect("a thread can be started"))
    };
    (0..children).map(start).collect()
}

/// Told and joined, one after the other.
pub(crate) fn let_go(all: Vec<Thread>) {
    for (stop, thread) in all.into_iter().rev() {
        stop.tell();
        thread.join().expect("it did not panic");
    }
}

/// The same with nothing but threads.
pub(crate) fn threads(children: usize) -> Took {
    let since = Instant::now();
    let all = hold(children);
    let started = since.elapsed();
    let since = Instant::now();
    let_go(all);
    Took { started, stopped: since.elapsed() }
}
