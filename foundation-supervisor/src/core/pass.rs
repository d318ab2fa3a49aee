//! Work in hand: stop these in reverse order, one at a time, then start those in order, one at a time.

use std::{collections::VecDeque, mem};

use foundation_registry::{Cause, Exit};
use foundation_sync::Nanos;

use super::{Action, Answer, Core, Phase, Ready, Seat, Timer, Who};
use crate::spec::Restart;

/// Why a pass is made, and whom it is to be answered to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Aim<T> {
    Start(Option<T>),
    Restart,
    Terminate {
        child: Seat,
        ticket: T,
    },
    /// A caller started or restarted one child.
    Manual {
        child: Seat,
        ticket: T,
        /// A failed start discards it.
        discard: bool,
    },
    Shutdown(Exit, Vec<(T, Answer)>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pass<T> {
    /// In start order; taken from the end.
    pub(super) stop: Vec<Seat>,
    pub(super) start: VecDeque<Seat>,
    pub(super) aim: Aim<T>,
}

impl<T> Pass<T> {
    /// Whether it is about to stop this child.
    pub(super) fn stops(&self, seat: Seat) -> bool {
        self.stop.binary_search(&seat).is_ok()
    }
}

impl<T> Core<T> {
    /// Carries the pass in hand as far as it goes without news; then takes up what waited.
    pub(super) fn advance(&mut self, now: Nanos) {
        while !self.over {
            let Some(pass) = &mut self.pass else {
                let Some(waiting) = &mut self.waiting else { return self.tell_who_rests() };
                if let Some((who, rules, exit)) = waiting.crashed.pop_front() {
                    waiting.crashed_significant -= usize::from(rules.significant);
                    self.decide(now, who, rules, &exit);
                } else if let Some(request) = waiting.deferred.pop_front() {
                    self.request(now, request);
                } else {
                    self.waiting = None;
                }
                continue;
            };
            if let Some(&last) = pass.stop.last() {
                let of_all = matches!(pass.aim, Aim::Shutdown(..));
                match self.children.get(&last).map(|child| child.phase) {
                    None => _ = pass.stop.pop(),
                    Some(Phase::Stopped | Phase::Restarting | Phase::BackingOff { .. }) => {
                        pass.stop.pop();
                        self.cancel_timer(last);
                        self.enter(last, Phase::Stopped);
                        // OTP: a temporary child that goes along with a sibling does not come back.
                        if !of_all && self.goes_for_good(last) {
                            self.forget(last);
                        }
                    }
                    Some(Phase::Stopping) => return,
                    Some(Phase::Starting | Phase::Running) => {
                        let cause = match &pass.aim {
                            Aim::Shutdown(Exit::Shutdown(cause), _) => *cause,
                            Aim::Shutdown(..) | Aim::Start(_) => Cause::StartFailed,
                            Aim::Restart => Cause::Sibling,
                            Aim::Terminate { .. } | Aim::Manual { .. } => Cause::Terminated,
                        };
                        if self.plan.dynamic.is_some() {
                            self.tell_all_to_stop(now, cause);
                        }
                        return self.tell_to_stop(now, last, cause);
                    }
                }
            } else if let Some(&first) = pass.start.front() {
                match self.children.get_mut(&first) {
                    None => _ = pass.start.pop_front(),
                    Some(child) => match child.phase {
                        Phase::Running => _ = pass.start.pop_front(),
                        Phase::Starting | Phase::Stopping => return,
                        Phase::Stopped | Phase::Restarting | Phase::BackingOff { .. } => {
                            child.generation += 1;
                            let (ready, generation) = (child.rules.ready, child.generation);
                            self.cancel_timer(first);
                            self.enter(first, Phase::Starting);
                            self.out.push(Action::Spawn(Who { seat: first, generation }));
                            if let Ready::Within(Some(within)) = ready {
                                self.set_timer(first, Timer::Start, now.saturating_add(within));
                            }
                            return; // the feedback comes next
                        }
                    },
                }
            } else {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        let pass = self.pass.take().expect("called with a pass in hand");
        match pass.aim {
            Aim::Start(ticket) => {
                self.out.push(Action::Up);
                self.out.extend(ticket.map(|ticket| Action::Reply(ticket, Answer::Done)));
            }
            Aim::Restart => {}
            Aim::Terminate { child, ticket } => {
                // Whoever has the answer knows that nobody is to come.
                if self.ended.contains(&child) && !self.comes_along(child) {
                    self.rests(child);
                }
                self.out.push(Action::Reply(ticket, Answer::Done));
            }
            Aim::Manual { child: seat, ticket, .. } => {
                let generation = self.children.get(&seat).map_or(1, |child| child.generation);
                self.out.push(Action::Reply(ticket, Answer::Started(Who { seat, generation })));
            }
            Aim::Shutdown(exit, mut replies) => {
                self.over = true;
                self.refuse_deferred(&mut replies);
                self.out.push(Action::Finished(exit));
                self.out.extend(replies.into_iter().map(|(ticket, answer)| Action::Reply(ticket, answer)));
            }
        }
    }

    /// Whatever is in hand becomes a shutdown; the first exit to be named stands, but for a halt.
    pub(super) fn close(&mut self, exit: Exit, mut replies: Vec<(T, Answer)>) {
        match self.pass.take().map(|pass| (pass.aim, pass.stop)) {
            Some((Aim::Shutdown(first, mut earlier), stop)) => {
                earlier.append(&mut replies);
                let first = if exit == Exit::Shutdown(Cause::Halted) { exit } else { first };
                let aim = Aim::Shutdown(first, earlier);
                self.pass = Some(Box::new(Pass { stop, start: VecDeque::new(), aim }));
                return;
            }
            Some((Aim::Start(Some(ticket)) | Aim::Terminate { ticket, .. } | Aim::Manual { ticket, .. }, _)) => {
                replies.push((ticket, Answer::Over));
            }
            Some((Aim::Start(None) | Aim::Restart, _)) | None => {}
        }
        self.refuse_deferred(&mut replies);
        self.waiting = None;
        self.ended.clear();
        let stop = self.children.keys().copied().collect();
        self.pass = Some(Box::new(Pass { stop, start: VecDeque::new(), aim: Aim::Shutdown(exit, replies) }));
    }

    /// Whether it has no spec to come back from once it has ended on somebody's word.
    pub(super) fn goes_for_good(&mut self, seat: Seat) -> bool {
        self.plan.dynamic.is_some() || self.child(seat).rules.restart == Restart::Temporary
    }

    pub(super) fn tell_to_stop(&mut self, now: Nanos, seat: Seat, cause: Cause) {
        self.cancel_timer(seat);
        self.child(seat).ends_row(now);
        self.enter(seat, Phase::Stopping);
        let child = self.child(seat);
        child.since = now;
        let (who, within) = (Who { seat, generation: child.generation }, child.rules.stop_within);
        self.out.push(Action::SignalStop(who, cause));
        if let Some(within) = within {
            self.set_timer(seat, Timer::Stop, now.saturating_add(within));
        }
    }

    /// OTP stops the children of a dynamic supervisor side by side.
    fn tell_all_to_stop(&mut self, now: Nanos, cause: Cause) {
        let stop = self.pass.as_ref().map_or_else(Vec::new, |pass| pass.stop.clone());
        for &seat in stop.iter().rev().skip(1) {
            let phase = self.children.get(&seat).map(|child| child.phase);
            if matches!(phase, Some(Phase::Starting | Phase::Running)) {
                self.tell_to_stop(now, seat, cause);
            }
        }
    }

    /// It has reached this phase.
    pub(super) fn enter(&mut self, seat: Seat, phase: Phase) {
        let child = self.children.get_mut(&seat).expect("its caller has looked");
        let before = mem::replace(&mut child.phase, phase);
        if child.rules.significant {
            self.significant += usize::from(phase != Phase::Stopped);
            self.significant -= usize::from(before != Phase::Stopped);
        }
        match (phase == Phase::Stopped, before == Phase::Stopped) {
            (true, false) => self.has_ended(seat),
            (false, true) => _ = self.ended.remove(&seat),
            _ => {}
        }
    }

    pub(super) fn set_timer(&mut self, seat: Seat, timer: Timer, at: Nanos) {
        let child = self.child(seat);
        child.timer = Some(timer);
        let who = Who { seat, generation: child.generation };
        self.out.push(Action::SetTimer(who, timer, at));
    }

    pub(super) fn cancel_timer(&mut self, seat: Seat) {
        let child = self.child(seat);
        let who = Who { seat, generation: child.generation };
        if let Some(timer) = child.timer.take() {
            self.out.push(Action::CancelTimer(who, timer));
        }
    }
}
