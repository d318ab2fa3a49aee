//! Waiting until queued handlers have caught up.

use std::{fmt, sync::Arc};

use foundation_context::inside;
use foundation_sync::Deadline;

use crate::{
    Telemetry,
    queued::{Backlog, Stand},
};

/// What a flush did not see delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// A queued handler called it, which would wait for itself.
    Inside,
    /// The deadline has passed, or events were lost.
    Undelivered {
        /// By id, how many events that were queued before are not delivered yet.
        left: Vec<(Arc<str>, u64)>,
        /// How many were lost meanwhile, when an errand was refused or lost. Younger ones may be among them.
        lost: u64,
    },
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside => f.write_str("a queued handler can't wait for queued handlers"),
            Self::Undelivered { left, lost } => {
                let left: Vec<_> = left.iter().map(|(id, count)| format!("{count} for `{id}`")).collect();
                let left = if left.is_empty() { "none".to_owned() } else { left.join(", ") };
                write!(f, "events that are not delivered: {left}; lost: {lost}")
            }
        }
    }
}

impl std::error::Error for FlushError {}

/// What one handler is waited for.
struct Mark {
    id: Arc<str>,
    backlog: Arc<Backlog>,
    before: Stand,
}

impl Mark {
    fn left(&self) -> u64 {
        self.before.given.saturating_sub(self.backlog.stand().settled)
    }
}

impl Telemetry {
    /// Waits until all that was queued before for the handlers that are attached now has been delivered. What is emitted
    /// meanwhile is not waited for, nor what waits for a handler that is detached meanwhile.
    ///
    /// It also sees to what is due where no timekeeper does.
    ///
    /// # Errors
    /// Something was not delivered before the deadline, or was lost; or a queued handler calls this, which is refused at
    /// once.
    pub fn flush(&self, until: Deadline) -> Result<(), FlushError> {
        if inside::is(|who| who == self.number()) {
            return Err(FlushError::Inside);
        }
        if !self.0.later.comes() {
            self.tell_overflow();
        }
        let mut marks: Vec<_> = {
            let book = self.0.book.lock();
            let queued = book.handlers.values().filter_map(|(handler, _)| {
                let backlog = Arc::clone(handler.backlog.as_ref()?);
                Some(Mark { id: Arc::clone(&handler.id), before: backlog.stand(), backlog })
            });
            queued.collect()
        };
        let settled = || marks.iter().all(|mark| mark.left() == 0).then_some(());
        _ = self.0.activity.wait_for(&until, settled);
        let lost = marks.iter().map(|mark| mark.backlog.stand().lost - mark.before.lost).sum();
        marks.sort_by(|a, b| a.id.cmp(&b.id));
        let left = marks.iter().map(|mark| (Arc::clone(&mark.id), mark.left())).filter(|(_, left)| *left > 0);
        let left: Vec<_> = left.collect();
        if left.is_empty() && lost == 0 { Ok(()) } else { Err(FlushError::Undelivered { left, lost }) }
    }
}
