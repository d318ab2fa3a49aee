//! What a task and who waits for it share.
//!
//! # Protocol
//! The task leaves its value, and its life's end says what the outcome is: the value, if it ended in order, or how it
//! ended. It is put when the end is settled, which is after the supervisor was told: so who has the outcome has seen the
//! Down, and a start that follows finds room. The word to stop is the slot's own, and is passed on to the life when that
//! begins; a task that was told before does not begin.
//!
//! Named races:
//! - *dropped while it begins*: the life watches the slot's word before it looks whether it was said.

use std::{sync::Arc, time::Duration};

use foundation_registry::{Down, Exit, Heir};
use foundation_supervisor::Life;
use foundation_sync::{Mutex, Once, OneShot, Queue, RecvError, Stop, Until, Wake, planted, reached, thread};

use crate::{
    rings::{Answers, Waited},
    tasks::TaskError,
};

/// Whom to tell that it has ended, and as which one.
pub(crate) struct Ended {
    pub(crate) to: Queue<usize>,
    pub(crate) number: usize,
}

pub(crate) struct Slot<T> {
    pub(crate) name: Arc<str>,
    /// Between the task's return and its end.
    value: Mutex<Option<T>>,
    /// Between its end and the outcome.
    down: Mutex<Option<Down>>,
    pub(crate) outcome: OneShot<Result<T, Down>>,
    pub(crate) stop: Stop,
    thread: Once<thread::ThreadId>,
    ended: Option<Ended>,
}

impl<T: Send + 'static> Slot<T> {
    pub(crate) fn new(name: Arc<str>, ended: Option<Ended>) -> Self {
        Self {
            name,
            value: Mutex::new(None),
            down: Mutex::new(None),
            outcome: OneShot::new(),
            stop: Stop::new(),
            thread: Once::new(),
            ended,
        }
    }

    /// The body of the task's life.
    pub(crate) fn run(self: &Arc<Self>, life: &Life, work: impl FnOnce() -> T) {
        _ = self.thread.set(thread::id());
        life.owner().leave_to(Arc::clone(self) as Arc<dyn Heir>).expect("it is the first thing that this life does");
        let early = planted!("task: the word is looked for before it is watched") && !self.stop.told();
        let _watching = self.stop.watch(Arc::new(PassesOn(life.stop().clone())));
        if self.stop.told() && !early {
            reached!("task: told before it began");
            return;
        }
        let value = work();
        *self.value.lock() = Some(value);
    }

    #[track_caller]
    pub(crate) fn recv(self: &Arc<Self>, until: Until<'_>, patience: Duration) -> Result<T, TaskError> {
        match self.outcome.recv(until, || Arc::clone(self)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(down)) => Err(TaskError::Exited(down.exit)),
            Err(RecvError::TimedOut) if planted!("task: a wait that is over takes the outcome along") => {
                _ = self.outcome.close();
                Err(TaskError::TimedOut { waited: patience })
            }
            Err(RecvError::TimedOut) => Err(TaskError::TimedOut { waited: patience }),
            Err(RecvError::Stopped) => Err(TaskError::Stopped),
            Err(RecvError::Closed) => Err(TaskError::Taken),
        }
    }
}

impl<T: Send + 'static> Slot<T> {
    /// It is over. Drops no value of the user's: without an orderly end that stays where it is.
    fn conclude(&self) {
        let Some(down) = self.down.lock().take() else { return };
        let in_order = down.exit.is_clean() || planted!("task: one that was given up has a value");
        let value = if in_order { self.value.lock().take() } else { None };
        // Nobody else puts an outcome, and who waits does not close it.
        _ = self.outcome.put(value.ok_or(down));
        if let Some(ended) = &self.ended {
            _ = ended.to.try_send(ended.number);
        }
    }
}

impl<T: Send + 'static> Heir for Slot<T> {
    fn inherit(&self, down: &Down) {
        *self.down.lock() = Some(down.clone());
        // Its supervisor has given it up, and knows; what it leaves waits for the courier.
        let early = planted!("task: the outcome comes before its supervisor knows");
        if early || matches!(down.exit, Exit::Abandoned { .. }) {
            self.conclude();
        }
    }

    /// By now the supervisor has been told, and takes up what comes after in its order.
    fn settle(&self) {
        self.conclude();
    }
}

impl<T: Send + 'static> Wake for Slot<T> {
    fn wake(&self) {
        self.outcome.wake();
    }
}

struct PassesOn(Stop);

impl Wake for PassesOn {
    fn wake(&self) {
        self.0.tell();
    }
}

impl<T: Send + 'static> Waited for Slot<T> {
    fn is_open(&self) -> bool {
        self.outcome.is_open()
    }
}

impl<T: Send + 'static> Answers for Slot<T> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn thread(&self) -> Option<thread::ThreadId> {
        self.thread.get().copied()
    }
}
