//! From a panic to the first instruction of whoever comes after.

use std::{
    panic::catch_unwind,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use foundation_supervisor::{CRASHED, ChildSpec, Foundation, Life, OnAbandon, Strategy, Supervisor, Tree};
use foundation_sync::{Deadline, Full, Queue, SECOND, thread};

pub(crate) const PANIC: &str = "once more";

/// What lives after one another are told, and tell.
#[derive(Clone)]
struct Line {
    orders: Queue<()>,
    took: Queue<Duration>,
    since: Arc<Mutex<Option<Instant>>>,
}

impl Line {
    fn new() -> Self {
        Self { orders: Queue::bounded(1, Full::Wait), took: Queue::bounded(1, Full::Wait), since: Arc::default() }
    }

    /// The first instruction of a life.
    fn begin(&self) {
        let now = Instant::now();
        if let Some(since) = self.since.lock().expect("nobody panics with it").take() {
            self.took.try_send(now - since).expect("one at a time");
        }
    }

    /// The last one.
    fn panic(&self) -> ! {
        *self.since.lock().expect("nobody panics with it") = Some(Instant::now());
        panic!("{PANIC}")
    }

    fn crash(&self) -> Duration {
        self.orders.try_send(()).expect("one at a time");
        self.took.recv(Deadline::never()).expect("it is replaced")
    }
}

pub(crate) fn universe() -> Foundation {
    let foundation = Foundation::builder().start();
    // Else it would be printed.
    foundation.telemetry().attach("hears", CRASHED, |_| {}).expect("nobody else has the id");
    foundation
}

pub(crate) struct Ours {
    line: Line,
    _foundation: Foundation,
}

impl Ours {
    pub(crate) fn new() -> Self {
        Self::of(universe())
    }

    /// Nobody is told of a crash.
    pub(crate) fn without_reports() -> Self {
        Self::of(Foundation::builder().without_courier().start())
    }

    fn of(foundation: Foundation) -> Self {
        let line = Line::new();
        let own = line.clone();
        let body = move |life: &Life| {
            own.begin();
            match life.next(&own.orders)? {
                Some(()) => own.panic(),
                None => Ok(()),
            }
        };
        let supervisor = Supervisor::new("t", Strategy::OneForOne).intensity(1_000, Duration::from_nanos(1));
        supervisor
            .child(ChildSpec::worker("w", body))
            .start(&foundation, foundation.within(SECOND))
            .expect("it starts");
        Self { line, _foundation: foundation }
    }

    pub(crate) fn crash(&self) -> Duration {
        self.line.crash()
    }
}

/// Nothing but what the machine takes: a panic, caught, and a thread.
pub(crate) struct Reference(Line);

impl Reference {
    pub(crate) fn new() -> Self {
        let line = Line::new();
        live(line.clone());
        Self(line)
    }

    pub(crate) fn crash(&self) -> Duration {
        self.0.crash()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.0.orders.close();
    }
}

fn live(line: Line) {
    let body = move || {
        line.begin();
        if line.orders.recv(Deadline::never()).is_ok() {
            _ = catch_unwind(|| line.panic());
            live(line);
        }
    };
    thread::Builder::new("reference").spawn(body).expect("a thread can be started");
}

/// A worker that does not stop.
pub(crate) struct Deaf {
    tree: Tree,
    born: Queue<Instant>,
    gate: Arc<Mutex<Queue<()>>>,
    _foundation: Foundation,
}

impl Deaf {
    pub(crate) fn new() -> Self {
        let (foundation, born) = (universe(), Queue::bounded(1, Full::Wait));
        let gate = Arc::new(Mutex::new(Queue::bounded(1, Full::Wait)));
        let (tells, waits) = (born.clone(), Arc::clone(&gate));
        let body = move |_: &Life| {
            let now = Instant::now();
            // Before anybody hears of it and shuts another one.
            let gate: Queue<()> = waits.lock().expect("nobody panics with it").clone();
            tells.try_send(now).expect("one at a time");
            _ = gate.recv(Deadline::never());
            Ok(())
        };
        let deaf = ChildSpec::worker("w", body).stop_within(Duration::ZERO).on_abandon(OnAbandon::Replace);
        let supervisor = Supervisor::new("t", Strategy::OneForOne).intensity(1_000, Duration::from_nanos(1));
        let supervisor = supervisor.abandoned_at_most(1_000).child(deaf);
        let tree = supervisor.start(&foundation, foundation.within(SECOND)).expect("it starts");
        born.recv(Deadline::never()).expect("it begins");
        Self { tree, born, gate, _foundation: foundation }
    }

    /// From the word to stop, which is ignored, to its replacement's first instruction.
    pub(crate) fn replace(&self) -> Duration {
        let since = Instant::now();
        self.tree.terminate_child("w", Deadline::never()).expect("it is abandoned");
        self.tree.restart_child("w", Deadline::never()).expect("it has ended");
        self.born.recv(Deadline::never()).expect("it begins") - since
    }

    /// Lets those go who still run, and the one that lives, which is replaced, too.
    pub(crate) fn renew(&self) {
        self.release();
        self.born.recv(Deadline::never()).expect("it begins");
    }

    fn release(&self) {
        let fresh = Queue::bounded(1, Full::Wait);
        std::mem::replace(&mut *self.gate.lock().expect("nobody panics with it"), fresh).close();
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.release();
    }
}
