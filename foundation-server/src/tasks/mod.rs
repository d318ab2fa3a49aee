//! Tasks: pieces of work with one outcome, each on a thread of its own.

mod error;
mod map;
mod slot;

use std::{fmt, sync::Arc};

use foundation_context::carried;
use foundation_supervisor::{ChildError, ChildSpec, Life, Restart, StartError, Supervisor, System, Tree};
use foundation_sync::{Deadline, Mutex, Until, planted};

pub use error::TaskError;
pub use map::Map;

use crate::{
    rings::{Rings, Wait},
    tasks::slot::Slot,
};

/// Where tasks run: a supervisor that has so many of them at most. After Elixir's `Task.Supervisor`. A clone is another
/// handle.
///
/// A task has a thread and a life of its own: it is fenced and abandoned like any worker, and shown in snapshots. It is
/// never restarted: that it ended is its outcome, a panic, too.
///
/// ```
/// use foundation_server::Tasks;
/// use foundation_supervisor::Foundation;
/// use foundation_sync::{SECOND, SECONDS_5};
///
/// let system = Foundation::builder().start();
/// let tasks = Tasks::start(&system, "sums", 8, system.within(SECONDS_5))?;
/// let sum = tasks.spawn("sum", system.within(SECOND), |_| (1..=100).sum::<u64>())?;
/// assert_eq!(sum.wait(system.within(SECONDS_5))?, 5050);
///
/// let squares = tasks.map(vec![1, 2, 3], 2, system.within(SECONDS_5), |number, _| number * number);
/// assert_eq!(squares.collect::<Result<Vec<_>, _>>()?, [1, 4, 9]);
/// assert!(system.stop(SECONDS_5).is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tasks {
    tree: Tree,
    system: System,
}

impl Tasks {
    /// A tree of this name, for `most` tasks at once.
    ///
    /// # Errors
    /// As for any tree.
    #[track_caller]
    pub fn start(system: &System, name: impl Into<Arc<str>>, most: usize, until: Deadline) -> Result<Self, StartError> {
        let tree = Supervisor::dynamic(name, most).start(system, until)?;
        Ok(Self { tree, system: system.clone() })
    }

    /// The tree that the tasks are the children of: to be stopped, looked at, waited for.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Starts a task, in the context of now. `until` is for its start alone.
    ///
    /// # Errors
    /// [`ChildError::TooMany`], and whatever else keeps a child from being started. Then it does not run, or, if its start
    /// came too late, is told to stop.
    #[track_caller]
    pub fn spawn<'a, T: Send + 'static>(
        &self,
        name: impl Into<Arc<str>>,
        until: impl Into<Until<'a>>,
        work: impl FnOnce(&Life) -> T + Send + 'static,
    ) -> Result<Task<T>, ChildError> {
        self.spawn_telling(name.into(), until.into(), work, None)
    }

    #[track_caller]
    fn spawn_telling<T: Send + 'static>(
        &self,
        name: Arc<str>,
        until: Until<'_>,
        work: impl FnOnce(&Life) -> T + Send + 'static,
        ended: Option<slot::Ended>,
    ) -> Result<Task<T>, ChildError> {
        let slot = Arc::new(Slot::new(Arc::clone(&name), ended));
        let (own, work, context) = (Arc::clone(&slot), Mutex::new(Some(work)), carried());
        let spec = ChildSpec::worker(name, move |life| {
            let work = work.lock().take();
            // Its only life: nothing of it is left to be done again.
            if let Some(work) = work {
                own.run(life, || context.take_on(|| work(life)));
            }
            Ok(())
        });
        // A start that is given up may have begun: then it is told to stop with this.
        let task = Task { slot, rings: self.system.part(), bound: true };
        self.tree.start_child(spec.restart(Restart::Temporary), until)?;
        Ok(task)
    }

    /// Does the same with each item, `width` of them at once at most, each in a task of its own; the results come in the
    /// order of the items, or [as they come](Map::as_they_come). It is an iterator, and starts no task before it is asked
    /// for a result; dropped, it stops what still runs. A task's panic is a value, and so is an item whose task could not
    /// be started.
    ///
    /// `until` is for all of it: what is not done by then has timed out.
    pub fn map<I: IntoIterator, T: Send + 'static, F>(
        &self,
        items: I,
        width: usize,
        until: Deadline,
        work: F,
    ) -> Map<I::IntoIter, T, F>
    where
        I::Item: Send + 'static,
        F: Fn(I::Item, &Life) -> T + Send + Sync + 'static,
    {
        Map::new(self.clone(), items.into_iter(), width, until, work)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({:?})", self.tree)
    }
}

/// A task that was started. Dropped, it is told to stop, and not waited for, unless it was [detached](Self::detach).
#[must_use = "dropped, the task is told to stop: wait for it, or detach it"]
pub struct Task<T: Send + 'static> {
    slot: Arc<Slot<T>>,
    rings: Arc<Rings>,
    /// Dropped, it tells the task to stop.
    bound: bool,
}

impl<T: Send + 'static> Task<T> {
    /// Waits for its outcome: what it returned. By then its names are free. After an error other than
    /// [`Exited`](TaskError::Exited) it can be waited for again.
    ///
    /// # Errors
    /// [`TaskError`].
    #[track_caller]
    pub fn wait<'a>(&self, until: impl Into<Until<'a>>) -> Result<T, TaskError> {
        let until = until.into();
        let patience = until.deadline().left();
        let _edge = match self.slot.outcome.is_open() {
            true => Some(self.rings.enter(Wait::new(&self.slot, &self.slot)).map_err(TaskError::Ring)?),
            false => None,
        };
        self.slot.recv(until, patience.unwrap_or_default())
    }

    /// Whether it has ended: then nothing waits for it.
    pub fn is_done(&self) -> bool {
        !self.slot.outcome.is_open()
    }

    /// Tells it to stop ([`Life::told`]). If it has not begun, it does not begin.
    pub fn tell_to_stop(&self) {
        self.slot.stop.tell();
    }

    /// Nobody waits for it: it goes on, and its result is dropped. OTP's `async_nolink`, and nobody asks.
    pub fn detach(mut self) {
        self.bound = false;
    }
}

impl<T: Send + 'static> Drop for Task<T> {
    fn drop(&mut self) {
        if self.bound && !planted!("task: dropped, it is told nothing") {
            self.tell_to_stop();
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({}, {})", self.slot.name, if self.is_done() { "done" } else { "running" })
    }
}
