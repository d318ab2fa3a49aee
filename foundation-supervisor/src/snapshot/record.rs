//! What a supervisor's crank keeps and answers for a snapshot: handles and values. Text is made by who asks.

use std::sync::Arc;

use foundation_context::Incarnation;
use foundation_registry::Exit;
use foundation_sync::{Nanos, Serial};

use super::ExitNote;
use crate::{
    Budget, Phase, Strategy, System,
    core::{Plan, Who},
    crank::Crank,
    life::Orders,
};

/// How many lives that were abandoned and still run a supervisor remembers; the others it counts.
pub(crate) const MOST_ABANDONED: usize = 64;

/// What a supervisor answers.
pub(crate) struct Records {
    pub(crate) system: System,
    /// What stands before the names of its children.
    pub(crate) prefix: Arc<str>,
    pub(crate) strategy: Strategy,
    pub(crate) budget: Budget,
    pub(crate) phase: Phase,
    /// Since when it is there.
    pub(crate) since: Nanos,
    pub(crate) children: Vec<ChildRecord>,
    pub(crate) abandoned: Vec<Left>,
    pub(crate) more_abandoned: usize,
}

pub(crate) struct ChildRecord {
    pub(crate) name: Arc<str>,
    pub(crate) incarnation: Incarnation,
    pub(crate) phase: Phase,
    pub(crate) since: Option<Nanos>,
    pub(crate) last: Option<Arc<ExitNote>>,
    /// Of its own intensity, if it has one.
    pub(crate) restarts: Option<Budget>,
    pub(crate) heartbeat: Option<Nanos>,
    pub(crate) role: RoleRecord,
}

pub(crate) enum RoleRecord {
    /// With what it leaves behind on its way, while it lives.
    Worker(Option<Arc<Orders>>),
    Supervisor {
        strategy: Strategy,
        /// What it begins with.
        budget: Budget,
        /// Whom to ask for more.
        crank: Option<Serial<Crank>>,
    },
}

/// A life that was abandoned and still runs.
#[derive(Clone)]
pub(crate) struct Left {
    pub(crate) who: Who,
    pub(crate) incarnation: Incarnation,
    pub(crate) path: Arc<str>,
    pub(crate) at: Nanos,
    pub(crate) orders: Arc<Orders>,
}

/// What a supervisor keeps of itself for those who ask.
pub(crate) struct Chronicle {
    pub(crate) strategy: Strategy,
    pub(crate) phase: Phase,
    pub(crate) since: Nanos,
    abandoned: Vec<Left>,
    more_abandoned: usize,
}

impl Chronicle {
    pub(crate) fn new(plan: &Plan, now: Nanos) -> Self {
        Self { strategy: plan.strategy, phase: Phase::Starting, since: now, abandoned: Vec::new(), more_abandoned: 0 }
    }

    pub(crate) fn abandon(&mut self, left: Left) {
        if self.abandoned.len() < MOST_ABANDONED {
            self.abandoned.push(left);
        } else {
            self.more_abandoned += 1;
        }
    }

    /// Somebody who was abandoned has ended after all.
    pub(crate) fn late_exit(&mut self, who: Who) {
        match self.abandoned.iter().position(|left| left.who == who) {
            Some(at) => drop(self.abandoned.remove(at)),
            None => self.more_abandoned = self.more_abandoned.saturating_sub(1),
        }
    }

    pub(crate) fn abandoned(&self) -> (Vec<Left>, usize) {
        (self.abandoned.clone(), self.more_abandoned)
    }
}

impl ExitNote {
    /// What is kept of an end.
    pub(crate) fn kept(generation: u64, exit: Exit, at: Nanos, orders: Option<&Orders>) -> Arc<Self> {
        let checkpoint = orders.and_then(|orders| orders.checkpoints.place());
        Arc::new(Self { generation, exit, at, checkpoint })
    }
}
