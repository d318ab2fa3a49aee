//! Threads beside the test's own, in scenarios on all faces.

use foundation_sync::thread;

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
