//! Which children a supervisor has, and by which rules.

use std::collections::{BTreeMap, BTreeSet};

use foundation_sync::Nanos;

use super::{
    Child, Common, Core, Intensity, Phase, Plan, Ready, Rules, Seat, Special, Who,
    pass::{Aim, Pass},
    window::Window,
};
use crate::{
    Budget,
    spec::{AutoShutdown, Restart, Strategy},
};

impl<T> Core<T> {
    /// A supervisor without children.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            plan: *plan,
            children: BTreeMap::new(),
            restarts: Window::new(plan.intensity),
            significant: 0,
            abandoned: BTreeSet::new(),
            inherited: 0,
            ended: BTreeSet::new(),
            pass: None,
            waiting: None,
            over: false,
            out: Vec::new(),
        }
    }

    /// What the shell puts in the place of a core that panicked: it is told who lives, and can only be stopped.
    pub(crate) fn salvaged(&self, live: impl IntoIterator<Item = Who>) -> Self {
        // For one of whom this core knew nothing any more, which would be one more defect: it has all the time to stop.
        const PATIENT: Rules = Rules {
            restart: Restart::Temporary,
            ready: Ready::AtSpawn,
            stop_within: None,
            significant: false,
            on_abandon: None,
            heartbeat: None,
            backoff: None,
            intensity: None,
        };
        let mut core = Self::new(&Plan {
            strategy: Strategy::OneForOne,
            intensity: Intensity { restarts: 0, period: 0 },
            auto_shutdown: AutoShutdown::Never,
            dynamic: None,
            most_abandoned: usize::MAX,
        });
        for who in live {
            core.add(who.seat, self.rules(who.seat).unwrap_or(PATIENT));
            core.child(who.seat).generation = who.generation;
            core.enter(who.seat, Phase::Running);
        }
        core
    }

    /// Makes room for a child in a seat that nobody had, behind all others; nothing starts.
    pub(crate) fn add(&mut self, seat: Seat, rules: Rules) {
        debug_assert!(self.children.last_key_value().is_none_or(|(&last, _)| last < seat), "in start order");
        let Rules { restart, ready, stop_within, significant, on_abandon, heartbeat, backoff, intensity } = rules;
        let special = (heartbeat.is_some() || backoff.is_some() || intensity.is_some())
            .then(|| Box::new(Special { heartbeat, backoff, row: 0, restarts: intensity.map(Window::new) }));
        let child = Child {
            rules: Common { restart, ready, stop_within, significant, on_abandon },
            special,
            generation: 0,
            phase: Phase::Stopped,
            timer: None,
            failing: false,
            since: 0,
        };
        self.children.insert(seat, Box::new(child));
    }

    /// What was said when the child was [added](Self::add).
    pub(crate) fn rules(&self, seat: Seat) -> Option<Rules> {
        let child = self.children.get(&seat)?;
        let Common { restart, ready, stop_within, significant, on_abandon } = child.rules;
        let special = child.special.as_deref();
        Some(Rules {
            restart,
            ready,
            stop_within,
            significant,
            on_abandon,
            heartbeat: special.and_then(|special| special.heartbeat),
            backoff: special.and_then(|special| special.backoff),
            intensity: special.and_then(|special| special.restarts.as_ref()).map(Window::intensity),
        })
    }

    /// Whether it may have one child more.
    pub(crate) fn has_room(&self) -> bool {
        self.plan.dynamic.is_none_or(|most| self.children.len() < most)
    }

    /// Whether the end of a significant child means anything to it.
    pub(crate) fn ends_with_children(&self) -> bool {
        self.plan.auto_shutdown != AutoShutdown::Never
    }

    /// When a child is restarted.
    pub(crate) fn restart(&self, seat: Seat) -> Option<Restart> {
        self.children.get(&seat).map(|child| child.rules.restart)
    }

    /// Of all the abandoned lives that its place has to answer for so many run: those that are not its own count, too.
    pub(crate) fn answers_for(&mut self, lives: usize) {
        self.inherited = lives.saturating_sub(self.abandoned.len());
    }

    /// Whether it stops its children, to end.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.pass.as_deref(), Some(Pass { aim: Aim::Shutdown(..), .. }))
    }

    /// How many abandoned lives still run.
    #[cfg(test)]
    pub(crate) fn abandoned_lives(&self) -> usize {
        self.abandoned.len()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Restarts that still count at this time, and how many are allowed; a child's own, where it has an intensity of its
    /// own.
    pub(crate) fn budget(&self, now: Nanos, seat: Option<Seat>) -> Budget {
        let own = seat.and_then(|seat| self.children.get(&seat)?.special.as_deref()?.restarts.as_ref());
        own.unwrap_or(&self.restarts).budget(now)
    }
}
