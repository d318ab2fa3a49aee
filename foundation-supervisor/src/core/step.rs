//! What happens at each event.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

use foundation_registry::{Cause, Exit};
use foundation_sync::{Nanos, planted, reached};

use super::{
    Action, Aim, Answer, Child, Core, Event, MOST_DEFERRED, Pass, Phase, Plan, Ready, Rules, Seat, Timer, Who,
};
use crate::spec::{AutoShutdown, OnAbandon, Restart, Strategy};

impl<T> Core<T> {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut core = Self {
            strategy: plan.strategy,
            intensity: plan.intensity,
            period: plan.period,
            auto_shutdown: plan.auto_shutdown,
            children: BTreeMap::new(),
            next_seat: 0,
            restarts: VecDeque::new(),
            pass: None,
            crashed: VecDeque::new(),
            deferred: VecDeque::new(),
            over: false,
            out: Vec::new(),
        };
        for rules in &plan.children {
            core.add(*rules);
        }
        core
    }

    /// What the shell puts in the place of a core that panicked: it knows who lives, and can only be stopped.
    /// No seat from `next_seat` on was ever taken.
    pub(crate) fn salvaged(live: impl IntoIterator<Item = (Who, Rules)>, next_seat: Seat) -> Self {
        let children = Vec::new();
        let (strategy, auto_shutdown) = (Strategy::OneForOne, AutoShutdown::Never);
        let mut core = Self::new(&Plan { strategy, intensity: 0, period: 0, auto_shutdown, children });
        core.next_seat = next_seat;
        for (who, rules) in live {
            let (generation, phase) = (who.generation, Phase::Running);
            core.children.insert(who.seat, Child { rules, generation, phase, timer: None, failing: false });
        }
        core
    }

    /// Makes room for a child; nothing starts.
    pub(crate) fn add(&mut self, rules: Rules) -> Seat {
        let seat = self.next_seat;
        self.next_seat += 1;
        let (generation, phase) = (0, Phase::Stopped);
        self.children.insert(seat, Child { rules, generation, phase, timer: None, failing: false });
        seat
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Restarts that still count at this time, and how many are allowed.
    pub(crate) fn budget(&self, now: Nanos) -> (usize, usize) {
        let counting = |&&at: &&Nanos| at.saturating_add(self.period) >= now;
        (self.restarts.iter().take_while(counting).count(), self.intensity)
    }

    pub(crate) fn step(&mut self, now: Nanos, event: Event<T>) -> Vec<Action<T>> {
        match event {
            Event::Spawned(who) => {
                if let Some(child) = self.life(who, Phase::Starting)
                    && child.rules.ready == Ready::AtSpawn
                {
                    child.phase = Phase::Running;
                }
            }
            Event::SpawnFailed(who, exit) => {
                if self.life(who, Phase::Starting).is_some() {
                    self.cancel_timer(who.seat);
                    self.start_failed(who, exit);
                }
            }
            Event::Ready(who) => {
                if self.life(who, Phase::Starting).is_some() {
                    self.cancel_timer(who.seat);
                    self.child(who.seat).phase = Phase::Running;
                }
            }
            Event::Abandoned(who, exit) => self.abandoned(who, exit),
            Event::Exited(who, exit) => self.exited(now, who, exit),
            Event::Due(who, timer) => self.due(now, who, timer),
            Event::Stop(ticket, cause) => self.stop(ticket, cause),
            Event::Which(ticket) => {
                let view = |(&seat, child): (&Seat, &Child)| (Who { seat, generation: child.generation }, child.phase);
                let children = self.children.iter().map(view).collect();
                self.out.push(Action::Reply(ticket, Answer::Children(children)));
            }
            late if self.over => self.refuse(late),
            Event::Start(ticket) => {
                let start = self.children.keys().copied().collect();
                self.pass = Some(Pass { stop: Vec::new(), start, aim: Aim::Start(ticket) });
            }
            // A retry takes no room: there is at most one for each child.
            request
                if self.pass.is_some()
                    && self.deferred.len() >= MOST_DEFERRED
                    && !matches!(request, Event::Again(_)) =>
            {
                self.out.extend(ticket_of(request).map(|ticket| Action::Reply(ticket, Answer::Busy)));
            }
            request if self.pass.is_some() => self.deferred.push_back(request),
            request => self.request(now, request),
        }
        self.advance(now);
        mem::take(&mut self.out)
    }

    /// This life of the child, if it is the present one and in this phase.
    fn life(&mut self, who: Who, phase: Phase) -> Option<&mut Child> {
        self.children.get_mut(&who.seat).filter(|child| child.generation == who.generation && child.phase == phase)
    }

    fn child(&mut self, seat: Seat) -> &mut Child {
        self.children.get_mut(&seat).expect("looked at before, under the same event")
    }

    /// Carries the pass in hand as far as it goes without news; then takes up what waited.
    fn advance(&mut self, now: Nanos) {
        while !self.over {
            let Some(pass) = &mut self.pass else {
                if let Some((who, rules, exit)) = self.crashed.pop_front() {
                    self.decide(now, who, rules, &exit);
                } else if let Some(request) = self.deferred.pop_front() {
                    self.request(now, request);
                } else {
                    return;
                }
                continue;
            };
            if let Some(&last) = pass.stop.last() {
                match self.children.get_mut(&last) {
                    None => _ = pass.stop.pop(),
                    Some(child) => match child.phase {
                        Phase::Stopped | Phase::Restarting => {
                            child.phase = Phase::Stopped;
                            pass.stop.pop();
                            // OTP: a temporary child that goes along with a sibling does not come back.
                            if child.rules.restart == Restart::Temporary && !matches!(pass.aim, Aim::Shutdown(..)) {
                                self.forget(last);
                            }
                        }
                        Phase::Stopping => return,
                        Phase::Starting | Phase::Running => {
                            let cause = match &pass.aim {
                                Aim::Shutdown(Exit::Shutdown(cause), _) => *cause,
                                Aim::Shutdown(..) | Aim::Start(_) => Cause::StartFailed,
                                Aim::Restart => Cause::Sibling,
                                Aim::Terminate(_) | Aim::Manual(..) => Cause::Terminated,
                            };
                            return self.tell_to_stop(now, last, cause);
                        }
                    },
                }
            } else if let Some(&first) = pass.start.front() {
                match self.children.get_mut(&first) {
                    None => _ = pass.start.pop_front(),
                    Some(child) => match child.phase {
                        Phase::Running => _ = pass.start.pop_front(),
                        Phase::Starting | Phase::Stopping => return,
                        Phase::Stopped | Phase::Restarting => {
                            child.generation += 1;
                            child.phase = Phase::Starting;
                            let (ready, generation) = (child.rules.ready, child.generation);
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
            Aim::Terminate(ticket) | Aim::Manual(ticket, _) => self.out.push(Action::Reply(ticket, Answer::Done)),
            Aim::Shutdown(exit, mut replies) => {
                self.over = true;
                self.refuse_deferred(&mut replies);
                self.out.push(Action::Finished(exit));
                self.out.extend(replies.into_iter().map(|(ticket, answer)| Action::Reply(ticket, answer)));
            }
        }
    }

    fn exited(&mut self, now: Nanos, who: Who, exit: Exit) {
        let present = self.children.get_mut(&who.seat).filter(|child| child.generation == who.generation);
        let Some(child) = present.filter(|child| !matches!(child.phase, Phase::Stopped | Phase::Restarting)) else {
            return self.out.push(Action::LateExit(who, exit));
        };
        let (phase, rules, failing) = (child.phase, child.rules, mem::take(&mut child.failing));
        self.cancel_timer(who.seat);
        self.out.push(Action::Gone(who, exit.clone()));
        if phase == Phase::Starting || failing {
            return self.start_failed(who, exit);
        }
        self.has_stopped(who.seat);
        match &self.pass {
            _ if phase == Phase::Stopping => {
                if !matches!(exit, Exit::Shutdown(_)) {
                    reached!("left by itself while it was stopped");
                }
                if planted!("core: who leaves while it is stopped has crashed") {
                    self.decide(now, who, rules, &exit);
                }
            }
            Some(pass) if pass.stop.contains(&who.seat) => {}
            Some(_) => self.crashed.push_back((who, rules, exit)),
            None => self.decide(now, who, rules, &exit),
        }
    }

    fn abandoned(&mut self, who: Who, exit: Exit) {
        let Some(child) = self.life(who, Phase::Stopping) else { return };
        let (failing, policy) = (mem::take(&mut child.failing), child.rules.on_abandon);
        self.out.push(Action::Gone(who, exit.clone()));
        if failing {
            self.start_failed(who, exit);
        } else {
            self.has_stopped(who.seat);
        }
        // A group restart promises that the old ones are gone before new ones start.
        if matches!(self.pass, Some(Pass { aim: Aim::Restart, .. })) && policy == OnAbandon::Escalate {
            self.close(Exit::Shutdown(Cause::AbandonedSibling), Vec::new());
        }
    }

    fn due(&mut self, now: Nanos, who: Who, timer: Timer) {
        match timer {
            Timer::Start => {
                if let Some(child) = self.life(who, Phase::Starting) {
                    child.timer = None;
                    child.failing = true;
                    self.tell_to_stop(now, who.seat, Cause::TooSlow);
                    if planted!("core: a slow start has failed before it ended") {
                        self.start_failed(who, Exit::Shutdown(Cause::TooSlow));
                    }
                }
            }
            Timer::Stop => {
                if let Some(child) = self.life(who, Phase::Stopping) {
                    child.timer = None;
                    self.out.push(Action::Abandon(who));
                }
            }
        }
    }

    /// It has ended; the spec of a temporary child goes with it.
    fn has_stopped(&mut self, seat: Seat) {
        let child = self.child(seat);
        child.phase = Phase::Stopped;
        if child.rules.restart == Restart::Temporary {
            self.forget(seat);
        }
    }

    fn forget(&mut self, seat: Seat) {
        self.children.remove(&seat);
        self.out.push(Action::Forget(seat));
    }

    fn start_failed(&mut self, who: Who, exit: Exit) {
        self.child(who.seat).phase = Phase::Stopped;
        match self.pass.take() {
            Some(Pass { aim: Aim::Start(ticket), .. }) => {
                self.out.push(Action::StartFailed(who, exit.clone()));
                let replies = ticket.map(|ticket| (ticket, Answer::StartFailed(who, exit))).into_iter().collect();
                self.close(Exit::Shutdown(Cause::StartFailed), replies);
            }
            // Never a temporary one: those are not started again.
            Some(Pass { aim: Aim::Restart, .. }) => {
                self.child(who.seat).phase = Phase::Restarting;
                self.out.push(Action::Again(who.seat));
            }
            Some(Pass { aim: Aim::Manual(ticket, discard), .. }) => {
                self.out.push(Action::Reply(ticket, Answer::StartFailed(who, exit)));
                if discard {
                    self.forget(who.seat);
                }
            }
            pass => self.pass = pass,
        }
    }

    /// A child left by itself, and nothing else is in hand.
    fn decide(&mut self, now: Nanos, who: Who, rules: Rules, exit: &Exit) {
        let restarts = match rules.restart {
            Restart::Permanent => true,
            Restart::Transient => !exit.is_clean(),
            Restart::Temporary => false,
        };
        if restarts {
            // It may have been terminated, started or taken along while it waited for its turn.
            if self.life(who, Phase::Stopped).is_some() {
                self.restart(now, who.seat);
            }
        } else if rules.significant {
            let others = self.children.values().any(|child| child.rules.significant && child.phase != Phase::Stopped);
            let ends = match self.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => !others,
            };
            if ends {
                self.close(Exit::Shutdown(Cause::AutoShutdown), Vec::new());
            }
        }
    }

    fn restart(&mut self, now: Nanos, seat: Seat) {
        // OTP: every attempt counts; one exactly `period` old still counts.
        self.restarts.push_front(now);
        while self.restarts.back().is_some_and(|at| at.saturating_add(self.period) < now) {
            self.restarts.pop_back();
        }
        if self.restarts.len() > self.intensity {
            return self.close(Exit::Shutdown(Cause::Intensity), Vec::new());
        }
        let generation = self.child(seat).generation;
        self.out.push(Action::Restarting(Who { seat, generation }));
        let (stop, start) = match self.strategy {
            Strategy::OneForOne => (Vec::new(), VecDeque::from([seat])),
            Strategy::RestForOne => {
                let later = self.children.range(seat + 1..).map(|(&seat, _)| seat);
                (later.collect(), self.children.range(seat..).map(|(&seat, _)| seat).collect())
            }
            Strategy::OneForAll => (self.children.keys().copied().collect(), self.children.keys().copied().collect()),
        };
        self.pass = Some(Pass { stop, start, aim: Aim::Restart });
    }

    fn request(&mut self, now: Nanos, request: Event<T>) {
        match request {
            Event::Again(seat) => {
                if self.children.get(&seat).is_some_and(|child| child.phase == Phase::Restarting) {
                    self.restart(now, seat);
                }
            }
            Event::Terminate(seat, ticket) => match self.children.contains_key(&seat) {
                true => {
                    let aim = Aim::Terminate(ticket);
                    self.pass = Some(Pass { stop: vec![seat], start: VecDeque::new(), aim });
                }
                false => self.out.push(Action::Reply(ticket, Answer::NotFound)),
            },
            Event::RestartChild(seat, ticket) => self.manual(seat, ticket, false),
            Event::StartChild(seat, ticket) => self.manual(seat, ticket, true),
            _ => debug_assert!(false, "only requests are put off"),
        }
    }

    fn manual(&mut self, seat: Seat, ticket: T, discard: bool) {
        let answer = match self.children.get(&seat).map(|child| child.phase) {
            None => Answer::NotFound,
            Some(Phase::Restarting) => Answer::Restarting,
            Some(Phase::Starting | Phase::Running | Phase::Stopping) => Answer::AlreadyRunning,
            Some(Phase::Stopped) => {
                let (stop, start) = (Vec::new(), VecDeque::from([seat]));
                self.pass = Some(Pass { stop, start, aim: Aim::Manual(ticket, discard) });
                return;
            }
        };
        self.out.push(Action::Reply(ticket, answer));
    }

    fn stop(&mut self, ticket: Option<T>, cause: Cause) {
        if self.over {
            return self.out.extend(ticket.map(|ticket| Action::Reply(ticket, Answer::Done)));
        }
        self.close(Exit::Shutdown(cause), ticket.map(|ticket| (ticket, Answer::Done)).into_iter().collect());
    }

    /// Whatever is in hand becomes a shutdown; the first exit to be named stands.
    fn close(&mut self, exit: Exit, mut replies: Vec<(T, Answer)>) {
        let mut stands = exit;
        match self.pass.take().map(|pass| pass.aim) {
            Some(Aim::Shutdown(first, mut earlier)) => {
                stands = first;
                earlier.append(&mut replies);
                replies = earlier;
            }
            Some(Aim::Start(Some(ticket)) | Aim::Terminate(ticket) | Aim::Manual(ticket, _)) => {
                replies.push((ticket, Answer::Over));
            }
            Some(Aim::Start(None) | Aim::Restart) | None => {}
        }
        self.refuse_deferred(&mut replies);
        self.crashed.clear();
        let stop = self.children.keys().copied().collect();
        self.pass = Some(Pass { stop, start: VecDeque::new(), aim: Aim::Shutdown(stands, replies) });
    }

    fn refuse_deferred(&mut self, replies: &mut Vec<(T, Answer)>) {
        let refused = mem::take(&mut self.deferred).into_iter().filter_map(ticket_of);
        replies.extend(refused.map(|ticket| (ticket, Answer::Over)));
    }

    fn refuse(&mut self, late: Event<T>) {
        self.out.extend(ticket_of(late).map(|ticket| Action::Reply(ticket, Answer::Over)));
    }

    fn tell_to_stop(&mut self, now: Nanos, seat: Seat, cause: Cause) {
        self.cancel_timer(seat);
        let child = self.child(seat);
        child.phase = Phase::Stopping;
        let (who, within) = (Who { seat, generation: child.generation }, child.rules.stop_within);
        self.out.push(Action::SignalStop(who, cause));
        if let Some(within) = within {
            self.set_timer(seat, Timer::Stop, now.saturating_add(within));
        }
    }

    fn set_timer(&mut self, seat: Seat, timer: Timer, at: Nanos) {
        let child = self.child(seat);
        child.timer = Some(timer);
        let who = Who { seat, generation: child.generation };
        self.out.push(Action::SetTimer(who, timer, at));
    }

    fn cancel_timer(&mut self, seat: Seat) {
        let child = self.child(seat);
        let who = Who { seat, generation: child.generation };
        if let Some(timer) = child.timer.take() {
            self.out.push(Action::CancelTimer(who, timer));
        }
    }
}

/// Who waits for the answer to this request.
fn ticket_of<T>(event: Event<T>) -> Option<T> {
    match event {
        Event::Start(ticket) | Event::Stop(ticket, _) => ticket,
        Event::Terminate(_, ticket)
        | Event::RestartChild(_, ticket)
        | Event::StartChild(_, ticket)
        | Event::Which(ticket) => Some(ticket),
        _ => None,
    }
}
