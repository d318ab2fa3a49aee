//! Waiting until queued handlers and batches have caught up, and the end of all that is kept for later.

use std::{fmt, sync::Arc};

use foundation_context::inside;
use foundation_sync::Deadline;

use crate::{
    FlushBatchError, Telemetry,
    queued::{Backlog, Stand},
};

/// What a flush did not see delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// A queued handler, or a batch's, called it, or other code that the universe's courier runs, which would wait for
    /// itself.
    Inside,
    /// The deadline has passed, or events were lost.
    Undelivered {
        /// By a handler's id, how many events that were queued before are not delivered yet; by a batch's name, how many
        /// things.
        left: Vec<(Arc<str>, u64)>,
        /// How many were lost meanwhile, when an errand was refused or lost. Younger ones may be among them.
        lost: u64,
    },
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside => f.write_str("who runs on the courier can't wait for it"),
            Self::Undelivered { left, lost } => {
                let left: Vec<_> = left.iter().map(|(id, count)| format!("{count} for `{id}`")).collect();
                let left = if left.is_empty() { "none".to_owned() } else { left.join(", ") };
                write!(f, "not delivered: {left}; lost: {lost}")
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
    /// Delivers what waits in all [batches](Self::batch), then waits until all that was queued before for the handlers that
    /// are attached now has been delivered. What is emitted meanwhile is not waited for, nor what waits for a handler that
    /// is detached meanwhile.
    ///
    /// It also sees to what is due where no timekeeper does.
    ///
    /// # Errors
    /// Something was not delivered before the deadline, or was lost; or a queued handler, or a batch's, calls this, or
    /// other code that the universe's courier runs, which is refused at once.
    pub fn flush(&self, until: Deadline) -> Result<(), FlushError> {
        if inside::is(|who| who == self.number() || who == self.courier()) {
            return Err(FlushError::Inside);
        }
        let mut stuck = Vec::new();
        for (name, error) in self.flush_batches(&until) {
            match error {
                FlushBatchError::Inside => return Err(FlushError::Inside),
                FlushBatchError::TimedOut(waiting) => stuck.push((name, waiting as u64)),
            }
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
        let left: Vec<_> = left.chain(stuck).collect();
        if left.is_empty() && lost == 0 { Ok(()) } else { Err(FlushError::Undelivered { left, lost }) }
    }

    /// For the end: emits what reservoirs have kept, reports what windows have suppressed, delivers what waits in batches,
    /// and says what was lost, on the calling thread, whether it is due or not. A universe does so when it stops, with what
    /// is left of its patience; what is emitted later begins anew.
    ///
    /// Where queued handlers are run elsewhere, [`flush`](Self::flush) waits for them afterwards. What a batch could not
    /// deliver, because its handler is at work on another thread, is in [`batches`](Self::batches).
    pub fn wind_up(&self, until: &Deadline) {
        self.close_reservoirs();
        self.close_windows();
        _ = self.flush_batches(until);
        self.tell_overflow();
    }
}
