//! A migration's next step, and the way back.

use std::{convert::Infallible, sync::Arc};

use foundation_sync::Deadline;

use crate::{
    Baseline, Change, ChangeError, Flag, Flags,
    notices::Notice,
    state::{State, Who},
};

impl Flags {
    /// Goes on to the next stage. On return it is written down, where there is a file, and every switch is set.
    ///
    /// # Errors
    /// It is not the next one, a [check](crate::Builder::ready_when) says that the program is not ready, or it is
    /// [too early](ChangeError::TooEarly) for it; another change was under way until the deadline, a rollback came in
    /// between, or it could not be written down. Nothing was changed.
    pub fn advance_to(&self, stage: usize, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        let inner = &self.0;
        let advanced = |state: &State, who: &Who| state.advanced(&inner.shape, stage, who);
        let now = inner.state.load();
        // Nobody is asked about a stage that can't come; and in the role no users' code runs.
        let changed = advanced(&now, &inner.who(by, why))
            .and_then(|_| inner.ready.ask(stage))
            .and_then(|()| inner.change((by, why), &until, advanced));
        use ChangeError::{File, FileChanged, FileText, NotReady, Superseded};
        if let Err(error @ (NotReady { .. } | Superseded(_) | File(_) | FileChanged(_) | FileText(_))) = &changed {
            let (by, reason) = (by.into(), error.to_string().into());
            inner.notices.add(Notice::Failed { from: now.stage, to: stage, by, reason });
            inner.follow();
        }
        changed
    }

    /// Whether the program is ready for a stage: all [checks](crate::Builder::ready_when) are asked, on this thread. Nothing
    /// is changed.
    ///
    /// # Errors
    /// [`ChangeError::NotReady`] names each that said no, and why.
    pub fn ready(&self, stage: usize) -> Result<(), ChangeError> {
        self.0.ready.ask(stage)
    }

    /// The next stage need not be waited for any longer: neither until the present one has been observed, nor until it has
    /// cooled down after a rollback. A decision of its own, so that who made it is on record.
    ///
    /// # Errors
    /// There is nothing to wait for, or as for [`advance_to`](Self::advance_to).
    pub fn early(&self, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        self.0.change((by, why), &until, |state, who| state.early(&self.0.shape, who))
    }

    /// Measures the figures from now on, window by window, until the baseline is [finished](Self::finish_baseline): what
    /// thresholds that are relative compare with. What was measured before stays in force until then. It goes on after a
    /// restart, where there is a file.
    ///
    /// # Errors
    /// There is nothing to measure, a baseline is under way already, or as for [`advance_to`](Self::advance_to).
    pub fn start_baseline(&self, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        if self.0.monitor.is_none() {
            return Err(ChangeError::NoMeasures);
        }
        self.0.change((by, why), &until, |state, who| state.baseline_started(&self.0.shape, who))
    }

    /// What was measured since the [start](Self::start_baseline) is the baseline.
    ///
    /// # Errors
    /// None is under way, no window was over, or as for [`advance_to`](Self::advance_to).
    pub fn finish_baseline(&self, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        self.0.change((by, why), &until, |state, who| state.baseline_finished(&self.0.shape, who))
    }

    /// The baseline that is in force.
    pub fn baseline(&self) -> Option<Arc<Baseline>> {
        self.0.state.load().baseline.clone()
    }

    /// The baseline that is under way.
    pub fn baseline_under_way(&self) -> Option<Arc<Baseline>> {
        self.0.state.load().measuring.clone()
    }

    /// Goes back to any lower stage, 0 included. The switches are set before anything is written; it waits for nobody, and
    /// what is being changed meanwhile is refused.
    ///
    /// # Errors
    /// The stage is not below the present one.
    pub fn rollback_to(&self, stage: usize, by: &str, why: &str) -> Result<Arc<Change>, ChangeError> {
        self.0.go_back((by, why), |state, who| state.rolled_back(&self.0.shape, stage, who))
    }

    /// Turns all flags of the plan off (one of no plan is [held](Self::hold) instead), at once and always: before anything
    /// else, without a lock, without a disk, whatever is being changed, also when the universe has been stopped, from inside
    /// a handler, from many threads at once. What is being changed meanwhile is refused.
    ///
    /// Then the courier writes the file and tells the events. Where there is no courier, or none any more, or no room with
    /// it, the caller does so before this returns: with the switches set.
    pub fn emergency_rollback(&self, reason: &str) -> Arc<Change> {
        match self
            .0
            .go_back(("emergency", reason), |state, who| Ok::<_, Infallible>(state.emergency(&self.0.shape, who)))
        {
            Ok(change) => change,
        }
    }

    /// The selective rollback: the flag is off for everybody, at any stage and whatever its rule says, until it is
    /// [released](Self::release). As any rollback it waits for nobody: neither for a change that is under way, nor for a
    /// disk that is full. So it is the way back for a flag of no plan, too.
    ///
    /// # Errors
    /// The flag is not declared; or it is the plan's, and old implementations are not to be gone back to.
    pub fn hold(&self, flag: &Flag, by: &str, why: &str) -> Result<Arc<Change>, ChangeError> {
        self.0.go_back((by, why), |state, who| state.holding(&self.0.shape, flag, true, who))
    }

    /// The flag is what its stage or its rule says again. Where it is one of the present stage's, or of a stage before, it
    /// begins to work only now: the stage is [observed](crate::MigrationPlan::observe_for) anew.
    ///
    /// # Errors
    /// The flag is not declared, or as for [`advance_to`](Self::advance_to).
    pub fn release(&self, flag: &Flag, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        self.0.change((by, why), &until, |state, who| state.holding(&self.0.shape, flag, false, who))
    }
}
