//! The same with each item, some at once.
//!
//! A window of at most `width` tasks: a new one is started when one has ended. In order, the result that is due is waited
//! for, and the window is filled behind it; as they come, the tasks say by number that they have ended.

use std::{collections::VecDeque, fmt, sync::Arc};

use foundation_supervisor::Life;
use foundation_sync::{Deadline, Full, Queue};

use super::{Task, TaskError, Tasks, slot::Ended};

/// The results of [`Tasks::map`], in the order of the items. Dropped, it stops what still runs.
#[must_use = "it starts no task before it is asked for a result"]
pub struct Map<I: Iterator, T: Send + 'static, F> {
    tasks: Tasks,
    items: I,
    width: usize,
    until: Deadline,
    work: Arc<F>,
    window: VecDeque<Started<T>>,
    /// Which of those in the window have ended, by number.
    ended: Queue<usize>,
    number: usize,
    in_order: bool,
}

/// One of the window: a task, or why there is none.
struct Started<T: Send + 'static> {
    number: usize,
    task: Result<Task<T>, TaskError>,
}

impl<I, T, F> Map<I, T, F>
where
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
    F: Fn(I::Item, &Life) -> T + Send + Sync + 'static,
{
    pub(super) fn new(tasks: Tasks, items: I, width: usize, until: Deadline, work: F) -> Self {
        let width = width.max(1);
        Self {
            tasks,
            items,
            width,
            until,
            work: Arc::new(work),
            window: VecDeque::new(),
            ended: Queue::bounded(width, Full::Refuse),
            number: 0,
            in_order: true,
        }
    }

    /// The results as they come, whatever the order of the items.
    pub fn as_they_come(mut self) -> Self {
        self.in_order = false;
        self
    }

    /// Starts tasks until the window is full. One that can't be started is a result.
    #[track_caller]
    fn fill(&mut self) {
        while self.window.len() < self.width {
            let Some(item) = self.items.next() else { return };
            self.number += 1;
            let (number, work) = (self.number, Arc::clone(&self.work));
            // In order, nobody asks which has ended.
            let ended = (!self.in_order).then(|| Ended { to: self.ended.clone(), number });
            let name = format!("item-{number}").into();
            let task = self.tasks.spawn_telling(name, (&self.until).into(), move |life| work(item, life), ended);
            self.window.push_back(Started { number, task: task.map_err(TaskError::NotStarted) });
        }
    }

    #[track_caller]
    fn next_of_all(&mut self) -> Option<Started<T>> {
        if let Some(at) = self.window.iter().position(|started| started.task.is_err()) {
            return self.window.remove(at);
        }
        // What has timed out comes in order, each with its own error.
        let number = self.ended.recv(&self.until).ok();
        let at = number.and_then(|number| self.window.iter().position(|started| started.number == number));
        self.window.remove(at.unwrap_or(0))
    }
}

impl<I, T, F> Iterator for Map<I, T, F>
where
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
    F: Fn(I::Item, &Life) -> T + Send + Sync + 'static,
{
    type Item = Result<T, TaskError>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        if self.window.is_empty() {
            return None;
        }
        let next = if self.in_order { self.window.pop_front() } else { self.next_of_all() };
        next.map(|started| started.task.and_then(|task| task.wait(&self.until)))
    }
}

impl<I: Iterator, T: Send + 'static, F> fmt::Debug for Map<I, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("width", &self.width).field("running", &self.window.len()).finish_non_exhaustive()
    }
}
