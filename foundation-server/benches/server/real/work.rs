//! A piece of work on a thread of its own, and its outcome: a task, and a bare thread.

use std::{hint::black_box, thread::Builder};

use foundation_server::Tasks;
use foundation_supervisor::Foundation;
use foundation_sync::{SECOND, SECONDS_5};

pub(crate) struct Ours {
    tasks: Tasks,
    system: Foundation,
}

impl Ours {
    pub(crate) fn new() -> Self {
        let system = Foundation::builder().start();
        let tasks = Tasks::start(&system, "tasks", 8, system.within(SECONDS_5)).expect("it starts");
        Self { tasks, system }
    }

    pub(crate) fn work(&self) {
        let task = self.tasks.spawn("seven", self.system.within(SECOND), |_| 7).expect("it starts");
        black_box(task.wait(self.system.within(SECOND)).expect("it has an outcome"));
    }
}

pub(crate) fn bare() {
    let thread = Builder::new().name("seven".into()).spawn(|| 7).expect("a thread can be started");
    black_box(thread.join().expect("it did not panic"));
}
