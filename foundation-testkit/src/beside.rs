//! Threads beside the test's own.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use foundation_sync::{Clock, Full, Queue, thread};

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
#[must_use = "join it, and a panic in it fails the test"]
pub struct Beside<R> {
    name: String,
    result: Queue<Result<R, Box<dyn Any + Send>>>,
    patience: Duration,
}

impl<R: Send + 'static> Beside<R> {
    #[track_caller]
    pub(crate) fn start(
        name: &str,
        clock: &Clock,
        patience: Duration,
        body: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let result = Queue::bounded(1, Full::Refuse);
        let to = result.clone();
        let body = clock.enrol(name, move || {
            let ended = catch_unwind(AssertUnwindSafe(body));
            // There is room for the one.
            _ = to.try_send(ended);
        });
        let thread = thread::Builder::new(name).spawn(body).expect("a thread can be started");
        drop(thread);
        Self { name: name.to_owned(), result, patience }
    }

    /// Waits for what it returns, with the test's patience, which is real.
    ///
    /// # Panics
    /// As it did, or when patience is over.
    #[track_caller]
    pub fn join(self) -> R {
        match self.result.recv(Clock::system().within(self.patience)) {
            Ok(Ok(returned)) => returned,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => panic!("the thread `{}` has not ended within {:?}", self.name, self.patience),
        }
    }
}

impl<R> fmt::Debug for Beside<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Beside({})", self.name)
    }
}
