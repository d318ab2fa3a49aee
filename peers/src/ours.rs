//! Foundation: a thread for each.

use std::time::{Duration, Instant};

use foundation_supervisor::{CRASHED, ChildSpec, Foundation, Life, Strategy, Supervisor};
use foundation_sync::{Full, MINUTE, Queue, SECOND};

use crate::{CHILDREN, Crashes, Line, Took};

pub(crate) struct Ours {
    orders: Queue<()>,
    _foundation: Foundation,
}

pub(crate) fn start(line: &Line) -> Ours {
    let foundation = Foundation::builder().start();
    // Else each crash would be printed.
    foundation.telemetry().attach("hears", CRASHED, |_| {}).expect("nobody else has the id");
    let (line, orders) = (line.clone(), Queue::bounded(1, Full::Wait));
    let own = orders.clone();
    let body = move |life: &Life| {
        line.begin();
        match life.next(&own)? {
            Some(()) => line.panic(),
            None => Ok(()),
        }
    };
    let supervisor = Supervisor::new("t", Strategy::OneForOne).intensity(1_000, Duration::from_nanos(1));
    supervisor.child(ChildSpec::worker("w", body)).start(&foundation, foundation.within(SECOND)).expect("it starts");
    Ours { orders, _foundation: foundation }
}

impl Crashes for Ours {
    fn tell(&self) {
        self.orders.try_send(()).expect("one at a time");
    }
}

pub(crate) fn crowd() -> Took {
    let foundation = Foundation::builder().start();
    let idle = |life: &Life| {
        _ = Queue::<()>::bounded(1, Full::Wait).recv(life.stop());
        Ok(())
    };
    let spec = |n| ChildSpec::worker(format!("w{n}"), idle).stack(128 * 1024);
    let all = (0..CHILDREN).map(spec).fold(Supervisor::new("t", Strategy::OneForOne), Supervisor::child);
    let since = Instant::now();
    let tree = all.start(&foundation, foundation.within(MINUTE)).expect("it starts");
    let started = since.elapsed();
    let since = Instant::now();
    tree.stop(foundation.within(MINUTE)).expect("it stops");
    Took { started, stopped: since.elapsed() }
}
