//! A thread beside the test's own, with a result.

use foundation_sync::{Deadline, Full, Queue, thread};

pub(crate) struct Beside<R> {
    thread: thread::JoinHandle<()>,
    result: Queue<R>,
}

impl<R: Send + 'static> Beside<R> {
    pub(crate) fn spawn(name: &str, body: impl FnOnce() -> R + Send + 'static) -> Self {
        let result = Queue::bounded(1, Full::Refuse);
        let given = result.clone();
        let body = move || assert!(given.try_send(body()).is_ok(), "there is room for one");
        Self { thread: thread::Builder::new(name).spawn(body).expect("a thread can be started"), result }
    }

    #[track_caller]
    pub(crate) fn join(self) -> R {
        self.thread.join().expect("it has not panicked");
        self.result.recv(Deadline::never()).expect("it has sent it")
    }
}
