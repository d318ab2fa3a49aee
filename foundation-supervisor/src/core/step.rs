//! What happens at each event.

use std::{collections::VecDeque, mem};

use foundation_registry::{Cause, Exit};
use foundation_sync::{Nanos, planted, reached};

use super::{
    Action, Answer, Child, Common, Core, Event, MOST_DEFERRED, Phase, Ready, Seat, Timer, Waiting, Who,
    pass::{Aim, Pass},
};
use crate::spec::{OnAbandon, Restart, Strategy};

impl<T> Core<T> {
    pub(crate) fn step(&mut self, now: Nanos, event: Event<T>) -> Vec<Action<T>> {
        match event {
            Event::Spawned(who) => {
                if self.life(who, Phase::Starting).is_some_and(|child| child.rules.ready == Ready::AtSpawn) {
                    self.runs(now, who.seat);
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
                    self.runs(now, who.seat);
                }
            }
            Event::Beat(who, beats) => self.beat(now, who, beats),
            Event::Abandoned(who, exit) => self.abandoned(now, who, exit),
            Event::Exited(who, exit) => self.exited(now, who, exit),
            Event::Ignored(who) => self.ignored(now, who),
            Event::Due(who, timer @ (Timer::Start | Timer::Stop | Timer::Heartbeat)) => self.due(now, who, timer),
            Event::Stop(ticket, cause) => self.stop(ticket, cause),
            Event::Which(ticket) => {
                let children = self.children.iter();
                let children =
                    children.map(|(&seat, child)| (Who { seat, generation: child.generation }, child.phase)).collect();
                self.out.push(Action::Reply(ticket, Answer::Children(children)));
            }
            late if self.over => self.refuse(late),
            Event::Start(ticket) => {
                let start = self.children.keys().copied().collect();
                self.pass = Some(Box::new(Pass { stop: Vec::new(), start, aim: Aim::Start(ticket) }));
            }
            // A retry takes no room: there is at most one for each child.
            request
                if self.pass.is_some()
                    && self.waiting.as_ref().is_some_and(|waiting| waiting.deferred.len() >= MOST_DEFERRED)
                    && !matches!(request, Event::Again(_) | Event::Due(..)) =>
            {
                if let Event::StartChild(seat, _) = request {
                    self.forget(seat);
                }
                self.out.extend(ticket_of(request).map(|ticket| Action::Reply(ticket, Answer::Busy)));
            }
            request if self.pass.is_some() => self.waiting().deferred.push_back(request),
            request => self.request(now, request),
        }
        self.advance(now);
        mem::take(&mut self.out)
    }

    /// This life of the child, if it is the present one and in this phase.
    pub(super) fn life(&mut self, who: Who, phase: Phase) -> Option<&mut Child> {
        self.children
            .get_mut(&who.seat)
            .map(Box::as_mut)
            .filter(|child| child.generation == who.generation && child.phase == phase)
    }

    pub(super) fn child(&mut self, seat: Seat) -> &mut Child {
        self.children.get_mut(&seat).expect("looked at before, under the same event")
    }

    fn waiting(&mut self) -> &mut Waiting<T> {
        self.waiting.get_or_insert_with(|| {
            Box::new(Waiting { crashed: VecDeque::new(), crashed_significant: 0, deferred: VecDeque::new() })
        })
    }

    /// It is started.
    fn runs(&mut self, now: Nanos, seat: Seat) {
        self.enter(seat, Phase::Running);
        let child = self.child(seat);
        child.since = now;
        if let Some(heartbeat) = child.heartbeat() {
            self.set_timer(seat, Timer::Heartbeat, now.saturating_add(heartbeat));
        }
    }

    fn exited(&mut self, now: Nanos, who: Who, exit: Exit) {
        let Some((phase, rules, failing)) = self.ends(now, who) else {
            self.abandoned.remove(&who);
            return self.out.push(Action::LateExit(who, exit));
        };
        self.gone(now, who, exit.clone());
        // Nobody stops that on its way up, whatever is in hand.
        if exit == Exit::Shutdown(Cause::Halted) {
            self.has_stopped(who.seat);
            return self.close(exit, Vec::new());
        }
        if phase == Phase::Starting || failing {
            return self.start_failed(who, exit);
        }
        self.has_stopped(who.seat);
        if phase != Phase::Stopping {
            return self.left(now, who, rules, exit);
        }
        if !matches!(exit, Exit::Shutdown(_)) {
            reached!("left by itself while it was stopped");
        }
        if planted!("core: who leaves while it is stopped has crashed") {
            self.decide(now, who, rules, &exit);
        }
    }

    /// OTP: it is neither a failure nor to be restarted, and its spec stays.
    fn ignored(&mut self, now: Nanos, who: Who) {
        if self.ends(now, who).is_none() {
            self.abandoned.remove(&who);
            return self.out.push(Action::LateExit(who, Exit::Normal));
        }
        self.gone(now, who, Exit::Normal);
        if let Some(pass) = &mut self.pass
            && pass.stop.is_empty()
            && pass.start.front() == Some(&who.seat)
        {
            pass.start.pop_front();
        }
        self.enter(who.seat, Phase::Stopped);
        if self.goes_for_good(who.seat) {
            self.forget(who.seat);
        }
    }

    /// The present life of its seat, if it is this one and has not ended before; its timer is off.
    fn ends(&mut self, now: Nanos, who: Who) -> Option<(Phase, Common, bool)> {
        let child = self.children.get_mut(&who.seat).filter(|child| child.generation == who.generation)?;
        let live = matches!(child.phase, Phase::Starting | Phase::Running | Phase::Stopping);
        let child = Some(child).filter(|_| live)?;
        child.ends_row(now);
        let was = (child.phase, child.rules, mem::take(&mut child.failing));
        self.cancel_timer(who.seat);
        Some(was)
    }

    fn gone(&mut self, now: Nanos, who: Who, exit: Exit) {
        let budget = self.budget(now, Some(who.seat));
        self.out.push(Action::Gone(who, exit, budget));
    }

    /// It has ended by itself, or hung: its supervisor decides, when it is at leisure.
    fn left(&mut self, now: Nanos, who: Who, rules: Common, exit: Exit) {
        match &self.pass {
            Some(pass) if pass.stops(who.seat) => {}
            Some(_) => {
                let waiting = self.waiting();
                waiting.crashed_significant += usize::from(rules.significant);
                waiting.crashed.push_back((who, rules, exit));
            }
            None => self.decide(now, who, rules, &exit),
        }
    }

    fn abandoned(&mut self, now: Nanos, who: Who, exit: Exit) {
        let Some((phase, rules, failing)) = self.ends(now, who) else { return };
        self.abandoned.insert(who);
        self.gone(now, who, exit.clone());
        // A group restart promises that the old ones are gone before new ones start.
        let in_the_way =
            phase == Phase::Running || matches!(self.pass.as_deref(), Some(Pass { aim: Aim::Restart, .. }));
        if failing {
            self.start_failed(who, exit.clone());
        } else {
            self.has_stopped(who.seat);
        }
        let halts = rules.on_abandon == Some(OnAbandon::Halt) && in_the_way;
        if self.abandoned.len().saturating_add(self.inherited) > self.plan.most_abandoned && !halts {
            return self.close(Exit::Shutdown(Cause::TooManyAbandoned), Vec::new());
        }
        if !in_the_way {
            return;
        }
        let by_strategy = match self.plan.strategy {
            Strategy::OneForOne => OnAbandon::Replace,
            Strategy::OneForAll | Strategy::RestForOne => OnAbandon::Escalate,
        };
        match rules.on_abandon.unwrap_or(by_strategy) {
            OnAbandon::Escalate => self.close(Exit::Shutdown(Cause::Abandoned), Vec::new()),
            OnAbandon::Halt => self.close(Exit::Shutdown(Cause::Halted), Vec::new()),
            OnAbandon::Replace if phase == Phase::Running => self.left(now, who, rules, exit),
            OnAbandon::Replace => {}
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
                    let since = child.since;
                    self.out.push(Action::Abandon(who, since));
                }
            }
            Timer::Heartbeat => {
                if let Some(child) = self.life(who, Phase::Running) {
                    child.timer = None;
                    self.out.push(Action::Look(who));
                }
            }
            Timer::Backoff => {
                self.child(who.seat).timer = None;
                self.begin(who.seat);
            }
        }
    }

    fn beat(&mut self, now: Nanos, who: Who, beats: bool) {
        let Some(heartbeat) = self.life(who, Phase::Running).and_then(|child| child.heartbeat()) else { return };
        if beats {
            return self.set_timer(who.seat, Timer::Heartbeat, now.saturating_add(heartbeat));
        }
        self.out.push(Action::SignalStop(who, Cause::Hung));
        self.out.push(Action::Abandon(who, now.saturating_sub(heartbeat)));
    }

    /// It has ended; the spec of a temporary child goes with it.
    fn has_stopped(&mut self, seat: Seat) {
        self.enter(seat, Phase::Stopped);
        if self.child(seat).rules.restart == Restart::Temporary {
            self.forget(seat);
        }
    }

    pub(super) fn forget(&mut self, seat: Seat) {
        self.children.remove(&seat);
        self.ended.remove(&seat);
        self.out.push(Action::Forget(seat));
    }

    fn start_failed(&mut self, who: Who, exit: Exit) {
        self.enter(who.seat, Phase::Stopped);
        match self.pass.take().map(|pass| *pass) {
            Some(Pass { aim: Aim::Start(ticket), .. }) => {
                self.out.push(Action::StartFailed(who, exit.clone()));
                let replies = ticket.map(|ticket| (ticket, Answer::StartFailed(who, exit))).into_iter().collect();
                self.close(Exit::Shutdown(Cause::StartFailed), replies);
            }
            // Never a temporary one: those are not started again.
            Some(Pass { aim: Aim::Restart, .. }) => {
                self.enter(who.seat, Phase::Restarting);
                self.out.push(Action::Again(who.seat));
            }
            Some(Pass { aim: Aim::Manual { ticket, discard, .. }, .. }) => {
                self.out.push(Action::Reply(ticket, Answer::StartFailed(who, exit)));
                if discard {
                    self.forget(who.seat);
                }
            }
            pass => self.pass = pass.map(Box::new),
        }
    }

    pub(super) fn request(&mut self, now: Nanos, request: Event<T>) {
        match request {
            Event::Again(seat) => {
                if self.children.get(&seat).is_some_and(|child| child.phase == Phase::Restarting) {
                    self.attempt(now, seat);
                }
            }
            Event::Due(who, timer) => {
                if self.backing_off(who.seat, Some(who.generation)) {
                    self.due(now, who, timer);
                }
            }
            Event::Terminate(seat, ticket) => match self.children.contains_key(&seat) {
                true => {
                    let aim = Aim::Terminate { child: seat, ticket };
                    self.pass = Some(Box::new(Pass { stop: vec![seat], start: VecDeque::new(), aim }));
                }
                false => self.out.push(Action::Reply(ticket, Answer::NotFound)),
            },
            Event::RestartChild(seat, ticket) => self.manual(seat, ticket, false),
            Event::StartChild(seat, ticket) => self.manual(seat, ticket, true),
            Event::Delete(seat, ticket) => {
                let answer = self.refusal(seat).unwrap_or_else(|| {
                    self.forget(seat);
                    Answer::Done
                });
                self.out.push(Action::Reply(ticket, answer));
            }
            Event::SkipBackoff(seat, ticket) => {
                let answer = match self.backing_off(seat, None) {
                    true => Answer::Done,
                    false if self.children.contains_key(&seat) => Answer::NotBackingOff,
                    false => Answer::NotFound,
                };
                if answer == Answer::Done {
                    self.cancel_timer(seat);
                    self.begin(seat);
                }
                self.out.push(Action::Reply(ticket, answer));
            }
            _ => debug_assert!(false, "only requests are put off"),
        }
    }

    fn manual(&mut self, seat: Seat, ticket: T, discard: bool) {
        match self.refusal(seat) {
            Some(answer) => self.out.push(Action::Reply(ticket, answer)),
            None => {
                let (stop, start) = (Vec::new(), VecDeque::from([seat]));
                self.pass = Some(Box::new(Pass { stop, start, aim: Aim::Manual { child: seat, ticket, discard } }));
            }
        }
    }

    /// Why nothing can be done that needs a child which has ended.
    fn refusal(&self, seat: Seat) -> Option<Answer> {
        match self.children.get(&seat).map(|child| child.phase) {
            None => Some(Answer::NotFound),
            Some(Phase::Restarting | Phase::BackingOff { .. }) => Some(Answer::Restarting),
            Some(Phase::Starting | Phase::Running | Phase::Stopping) => Some(Answer::AlreadyRunning),
            Some(Phase::Stopped) => None,
        }
    }

    fn stop(&mut self, ticket: Option<T>, cause: Cause) {
        if self.over {
            return self.out.extend(ticket.map(|ticket| Action::Reply(ticket, Answer::Done)));
        }
        self.close(Exit::Shutdown(cause), ticket.map(|ticket| (ticket, Answer::Done)).into_iter().collect());
    }

    pub(super) fn refuse_deferred(&mut self, replies: &mut Vec<(T, Answer)>) {
        let refused = self.waiting.as_mut().map(|waiting| mem::take(&mut waiting.deferred)).unwrap_or_default();
        replies.extend(refused.into_iter().filter_map(ticket_of).map(|ticket| (ticket, Answer::Over)));
    }

    fn refuse(&mut self, late: Event<T>) {
        self.out.extend(ticket_of(late).map(|ticket| Action::Reply(ticket, Answer::Over)));
    }
}

/// Who waits for the answer to this request.
fn ticket_of<T>(event: Event<T>) -> Option<T> {
    match event {
        Event::Start(ticket) | Event::Stop(ticket, _) => ticket,
        Event::Terminate(_, ticket)
        | Event::RestartChild(_, ticket)
        | Event::StartChild(_, ticket)
        | Event::Delete(_, ticket)
        | Event::SkipBackoff(_, ticket)
        | Event::Which(ticket) => Some(ticket),
        _ => None,
    }
}
