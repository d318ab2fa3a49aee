//! Threads beside the test's own.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_supervisor::System;
use foundation_sync::{
    Clock, Full, Queue, Whereabouts,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
    },
    thread,
};

/// Starts a thread beside the test's own: of the operating system, or of the model.
///
/// # Panics
/// No thread can be started.
#[track_caller]
pub fn spawn(body: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new("beside").spawn(body).expect("a thread can be started")
}

/// Waits for its end.
///
/// # Panics
/// It has panicked.
#[track_caller]
pub fn join(beside: thread::JoinHandle<()>) {
    beside.join().expect("it has not panicked");
}

/// A thread of a universe's time, beside the test's own: [`TestUniverse::spawn`](crate::TestUniverse::spawn).
///
/// The universe knows of it: one that still runs when the universe is dropped, or that panicked and was not joined, fails
/// the test.
#[must_use = "join it, for its result"]
pub struct Beside<R> {
    result: Queue<Result<R, Box<dyn Any + Send>>>,
    watch: Arc<Watch>,
    patience: Duration,
}

/// What the universe keeps of it.
#[derive(Debug)]
pub(crate) struct Watch {
    name: String,
    whereabouts: Whereabouts,
    ended: AtomicBool,
    panicked: AtomicBool,
}

impl Watch {
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Acquire) // ordering: pairs with the Release at the thread's end
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn complaint(&self) -> Option<String> {
        // ordering: Acquire, pairs with the Release at the thread's end; the other is told by the same thread before.
        let (ended, panicked) = (self.ended.load(Acquire), self.panicked.load(Acquire));
        match (ended, panicked) {
            (false, _) => Some(format!("the thread {self} still runs")),
            (true, true) => Some(format!("the thread `{}` has panicked: join it", self.name)),
            (true, false) => None,
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whereabouts.waits_at() {
            Some(place) => write!(f, "`{}` (waits at {place})", self.name),
            None => write!(f, "`{}` (runs)", self.name),
        }
    }
}

impl<R: Send + 'static> Beside<R> {
    #[track_caller]
    pub(crate) fn start(
        name: &str,
        system: &System,
        patience: Duration,
        body: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let result = Queue::bounded(1, Full::Refuse);
        let watch = Arc::new(Watch {
            name: name.to_owned(),
            whereabouts: Whereabouts::default(),
            ended: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let (to, own) = (result.clone(), Arc::clone(&watch));
        let activity = system.activity().clone();
        let body = system.clock().enrol(name, move || {
            let ended = catch_unwind(AssertUnwindSafe(body));
            // ordering: Release, both, pair with the Acquire in `complaint`.
            own.panicked.store(ended.is_err(), Release);
            own.ended.store(true, Release);
            // There is room for the one.
            _ = to.try_send(ended);
            activity.bump();
        });
        let body = watch.whereabouts.follow(body);
        let thread = thread::Builder::new(name).spawn(body).expect("a thread can be started");
        drop(thread);
        Self { result, watch, patience }
    }

    pub(crate) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// Waits for what it returns, with the test's patience, which is real.
    ///
    /// # Panics
    /// As it did, or when patience is over.
    #[track_caller]
    pub fn join(self) -> R {
        match self.result.recv(Clock::system().within(self.patience)) {
            Ok(Ok(returned)) => returned,
            Ok(Err(panic)) => {
                self.watch.panicked.store(false, Release); // ordering: as above; it is told here
                resume_unwind(panic)
            }
            Err(_) => panic!("the thread {} has not ended within {:?}", self.watch, self.patience),
        }
    }
}

impl<R> fmt::Debug for Beside<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Beside({})", self.watch.name)
    }
}
