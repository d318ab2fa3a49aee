//! Any sequence of events, against what OTP's documentation says of a supervisor whose children obey at once: an oracle
//! that blocks where OTP's supervisor blocks, and knows nothing of passes.

use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;

/// What happens to the supervisor, one after another.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// The child ends by itself.
    Exit(Seat, End),
    Terminate(Seat),
    Restart(Seat),
    Delete(Seat),
    Start(Restart),
    /// The oldest retry is taken up.
    Again,
    /// So many starts fail from now on.
    Fail(u8),
    Later(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Normal,
    Shutdown,
    Crash,
}

impl End {
    fn exit(self) -> Exit {
        match self {
            Self::Normal => Exit::Normal,
            Self::Shutdown => Exit::ShutdownWith("moved on".into()),
            Self::Crash => failed(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Running,
    Undefined,
    Restarting,
}

/// The supervisor of OTP's documentation.
struct Otp {
    plan: Plan,
    children: Vec<(Seat, Rules, State)>,
    restarts: Vec<u64>,
    retries: Vec<Seat>,
    now: u64,
    failing: u8,
    next: Seat,
    log: Vec<String>,
    over: bool,
}

impl Otp {
    fn place(&self, id: Seat) -> Option<usize> {
        self.children.iter().position(|child| child.0 == id)
    }

    fn say(&mut self, what: &str, id: Seat) {
        self.log.push(format!("{what} {id}"));
    }

    /// "Returns after the child is started": or has failed to.
    fn start(&mut self, at: usize) -> bool {
        self.say("start", self.children[at].0);
        let fails = self.failing > 0;
        self.failing -= u8::from(fails);
        self.children[at].2 = if fails { State::Undefined } else { State::Running };
        !fails
    }

    /// "Terminated in reverse start order", temporary ones for good.
    fn terminate(&mut self, from: usize) {
        for at in (from..self.children.len()).rev() {
            if self.children[at].2 == State::Running {
                self.say("stop", self.children[at].0);
            }
            self.children[at].2 = State::Undefined;
            if self.children[at].1.restart == Restart::Temporary {
                self.children.remove(at);
            }
        }
    }

    fn shut_down(&mut self) {
        self.terminate(0);
        self.log.push("over".to_owned());
        self.over = true;
    }

    /// "If more than MaxR restarts occur in the last MaxT seconds, the supervisor terminates all the children and then
    /// itself."
    fn restart(&mut self, id: Seat) {
        self.restarts.push(self.now);
        let (now, Intensity { restarts, period }) = (self.now, self.plan.intensity);
        self.restarts.retain(|at| at + period >= now);
        if self.restarts.len() > restarts {
            return self.shut_down();
        }
        let at = self.place(id).expect("it is being restarted");
        let (first, last) = match self.plan.strategy {
            Strategy::OneForOne => (at, at + 1),
            Strategy::RestForOne => {
                self.terminate(at + 1);
                (at, self.children.len())
            }
            Strategy::OneForAll => {
                self.terminate(0);
                (0, self.children.len())
            }
        };
        for at in first..last {
            if !self.start(at) {
                self.children[at].2 = State::Restarting;
                return self.retries.push(self.children[at].0);
            }
        }
    }

    fn exits(&mut self, id: Seat, end: End) {
        let at = self.place(id).expect("it runs");
        let rules = self.children[at].1;
        self.children[at].2 = State::Undefined;
        match (rules.restart, end) {
            (Restart::Permanent, _) | (Restart::Transient, End::Crash) => return self.restart(id),
            (Restart::Transient, _) => {}
            (Restart::Temporary, _) => _ = self.children.remove(at),
        }
        let others = self.children.iter().any(|child| child.1.significant && child.2 != State::Undefined);
        let ends = match self.plan.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !others,
        };
        if rules.significant && ends {
            self.shut_down();
        }
    }

    fn happens(&mut self, what: Happens) {
        let state = |otp: &Self, id| otp.place(id).map(|at| (at, otp.children[at].2));
        match what {
            _ if self.over => {}
            Happens::Exit(id, end) => self.exits(id, end),
            Happens::Terminate(id) => {
                if let Some((at, state)) = state(self, id) {
                    if state == State::Running {
                        self.say("stop", id);
                    }
                    self.children[at].2 = State::Undefined;
                    if self.children[at].1.restart == Restart::Temporary {
                        self.children.remove(at);
                    }
                    self.say("ok", id);
                } else {
                    self.say("not found", id);
                }
            }
            Happens::Restart(id) => match state(self, id) {
                None => self.say("not found", id),
                Some((_, State::Running)) => self.say("running", id),
                Some((_, State::Restarting)) => self.say("restarting", id),
                Some((at, State::Undefined)) => {
                    let said = if self.start(at) { "started" } else { "failed" };
                    self.say(said, id);
                }
            },
            Happens::Delete(id) => match state(self, id) {
                None => self.say("not found", id),
                Some((_, State::Running)) => self.say("running", id),
                Some((_, State::Restarting)) => self.say("restarting", id),
                Some((at, State::Undefined)) => {
                    self.children.remove(at);
                    self.say("ok", id);
                }
            },
            Happens::Start(restart) => {
                let id = self.next;
                self.next += 1;
                self.children.push((id, Rules { restart, ..PERMANENT }, State::Undefined));
                if self.start(self.children.len() - 1) {
                    self.say("started", id);
                } else {
                    self.children.pop();
                    self.say("failed", id);
                }
            }
            Happens::Again => {
                if !self.retries.is_empty() {
                    let id = self.retries.remove(0);
                    if state(self, id).is_some_and(|(_, state)| state == State::Restarting) {
                        self.restart(id);
                    }
                }
            }
            Happens::Fail(starts) => self.failing = starts,
            Happens::Later(span) => self.now += span,
        }
    }
}

/// Ours, with children that obey at once.
struct Ours {
    core: Core<Seat>,
    live: Vec<Who>,
    retries: Vec<Seat>,
    now: u64,
    failing: u8,
    next: Seat,
    log: Vec<String>,
}

impl Ours {
    fn tell(&mut self, event: E<Seat>) {
        let mut news = vec![event];
        while let Some(event) = news.pop() {
            for action in self.core.step(self.now, event) {
                match action {
                    Action::Spawn(who) => {
                        self.log.push(format!("start {}", who.seat));
                        if self.failing > 0 {
                            self.failing -= 1;
                            news.push(E::SpawnFailed(who, failed()));
                        } else {
                            self.live.push(who);
                            news.push(E::Spawned(who));
                        }
                    }
                    Action::SignalStop(who, cause) => {
                        self.log.push(format!("stop {}", who.seat));
                        self.live.retain(|other| *other != who);
                        news.push(E::Exited(who, Exit::Shutdown(cause)));
                    }
                    Action::Again(seat) => self.retries.push(seat),
                    Action::Finished(_) => self.log.push("over".to_owned()),
                    Action::Reply(seat, answer) => self.log.push(match answer {
                        Answer::Done => format!("ok {seat}"),
                        Answer::Started(_) => format!("started {seat}"),
                        Answer::StartFailed(..) => format!("failed {seat}"),
                        Answer::AlreadyRunning => format!("running {seat}"),
                        Answer::Restarting => format!("restarting {seat}"),
                        Answer::NotFound => format!("not found {seat}"),
                        other => format!("{other:?}"),
                    }),
                    _ => {}
                }
            }
        }
    }

    fn happens(&mut self, what: Happens) {
        match what {
            _ if self.core.is_over() => {}
            Happens::Exit(seat, end) => {
                let at = self.live.iter().position(|who| who.seat == seat).expect("it runs");
                let who = self.live.remove(at);
                self.tell(E::Exited(who, end.exit()));
            }
            Happens::Terminate(seat) => self.tell(E::Terminate(seat, seat)),
            Happens::Restart(seat) => self.tell(E::RestartChild(seat, seat)),
            Happens::Delete(seat) => self.tell(E::Delete(seat, seat)),
            Happens::Start(restart) => {
                let seat = self.next;
                self.next += 1;
                self.core.add(seat, Rules { restart, ..PERMANENT });
                self.tell(E::StartChild(seat, seat));
            }
            Happens::Again => {
                if !self.retries.is_empty() {
                    let seat = self.retries.remove(0);
                    self.tell(E::Again(seat));
                }
            }
            Happens::Fail(starts) => self.failing = starts,
            Happens::Later(span) => self.now += span,
        }
    }
}

fn kind() -> impl proptest::strategy::Strategy<Value = Restart> {
    prop_oneof![Just(Restart::Permanent), Just(Restart::Transient), Just(Restart::Temporary)]
}

fn happens() -> impl proptest::strategy::Strategy<Value = Happens> {
    let (id, end) = (0_u64..7, prop_oneof![Just(End::Normal), Just(End::Shutdown), Just(End::Crash)]);
    prop_oneof![
        8 => (id.clone(), end).prop_map(|(id, end)| Happens::Exit(id, end)),
        2 => id.clone().prop_map(Happens::Terminate),
        2 => id.clone().prop_map(Happens::Restart),
        1 => id.prop_map(Happens::Delete),
        1 => kind().prop_map(Happens::Start),
        4 => Just(Happens::Again),
        2 => (1_u8..4).prop_map(Happens::Fail),
        2 => prop_oneof![Just(1), Just(50), Just(100), Just(101)].prop_map(Happens::Later),
    ]
}

fn tree() -> impl proptest::strategy::Strategy<Value = (Plan, Vec<Rules>)> {
    let strategy = prop_oneof![Just(Strategy::OneForOne), Just(Strategy::RestForOne), Just(Strategy::OneForAll)];
    let auto =
        prop_oneof![Just(AutoShutdown::Never), Just(AutoShutdown::AnySignificant), Just(AutoShutdown::AllSignificant),];
    let child = (kind(), any::<bool>()).prop_map(|(restart, significant)| {
        let significant = significant && restart != Restart::Permanent;
        Rules { restart, significant, ..PERMANENT }
    });
    (strategy, auto, 0_usize..6, prop::collection::vec(child, 1..5)).prop_map(
        |(strategy, auto_shutdown, most, rules)| {
            let intensity = Intensity { restarts: most, period: 100 };
            (Plan { strategy, intensity, auto_shutdown, dynamic: None, most_abandoned: 8 }, rules)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if foundation_testkit::deep() { 200_000 } else { 1_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_it_decides_as_otp_says((plan, rules) in tree(), events in prop::collection::vec(happens(), 0..40)) {
        let next = rules.len() as Seat;
        let children = (0..).zip(&rules).map(|(id, rules)| (id, *rules, State::Running)).collect();
        let log = (0..next).map(|id| format!("start {id}")).collect::<Vec<_>>();
        let mut otp = Otp {
            plan, children, restarts: Vec::new(), retries: Vec::new(), now: 0, failing: 0, next, log, over: false,
        };
        let core = Tree(plan, &rules).core();
        let mut ours = Ours { core, live: Vec::new(), retries: Vec::new(), now: 0, failing: 0, next, log: Vec::new() };
        ours.tell(E::Start(None));
        for event in events {
            // Only who runs can end.
            let runs = |id| otp.children.iter().any(|child| child.0 == id && child.2 == State::Running);
            if matches!(event, Happens::Exit(id, _) if !runs(id)) {
                continue;
            }
            otp.happens(event);
            ours.happens(event);
            prop_assert_eq!(&ours.log, &otp.log, "after {:?}", event);
        }
    }
}
