//! The decisions as tables: what is told on the left, what is decided on the right.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use foundation_registry::{Cause, Exit};

use super::{Action, Answer, Core, Event as E, Plan, Ready, Rules, Seat, Timer, Who};
use crate::spec::{AutoShutdown, OnAbandon, Restart, Strategy};

const PERMANENT: Rules = Rules {
    restart: Restart::Permanent,
    ready: Ready::AtSpawn,
    stop_within: None,
    significant: false,
    on_abandon: OnAbandon::Escalate,
};
const TRANSIENT: Rules = Rules { restart: Restart::Transient, ..PERMANENT };
const TEMPORARY: Rules = Rules { restart: Restart::Temporary, ..PERMANENT };
const READIED: Rules = Rules { ready: Ready::Within(Some(9)), ..PERMANENT };
const IMPATIENT: Rules = Rules { stop_within: Some(9), ..PERMANENT };

fn plan(strategy: Strategy, children: &[Rules]) -> Plan {
    let (intensity, period, auto_shutdown) = (3, 100, AutoShutdown::Never);
    Plan { strategy, intensity, period, auto_shutdown, children: children.to_vec() }
}

fn who(seat: Seat, generation: u64) -> Who {
    Who { seat, generation }
}

fn failed() -> Exit {
    Exit::Failed("x".into())
}

fn told() -> Exit {
    Exit::Shutdown(Cause::Requested)
}

fn abandoned() -> Exit {
    Exit::Abandoned { waited: std::time::Duration::ZERO }
}

/// A core with a clock, whose spawns and abandonments succeed unless told otherwise.
struct Desk {
    core: Core<char>,
    now: u64,
    spawns_fail: bool,
}

impl Desk {
    fn new(plan: &Plan) -> Self {
        Self { core: Core::new(plan), now: 0, spawns_fail: false }
    }

    fn started(plan: &Plan) -> Self {
        let mut desk = Self::new(plan);
        desk.tell(E::Start(None));
        desk
    }

    /// What is decided at this news, feedback included, as a line.
    #[track_caller]
    fn check(&mut self, event: E<char>, expected: &str) -> &mut Self {
        assert_eq!(self.tell(event), expected);
        self
    }

    fn tell(&mut self, event: E<char>) -> String {
        let mut said = Vec::new();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in self.core.step(self.now, event) {
                match &action {
                    Action::Spawn(who) if self.spawns_fail => next = Some(E::SpawnFailed(*who, failed())),
                    Action::Spawn(who) => next = Some(E::Spawned(*who)),
                    Action::Abandon(who) => next = Some(E::Abandoned(*who, abandoned())),
                    _ => {}
                }
                said.push(text(&action));
            }
        }
        said.join(", ")
    }

    fn at(&mut self, now: u64) -> &mut Self {
        self.now = now;
        self
    }
}

fn text(action: &Action<char>) -> String {
    let life = |who: &Who| format!("{}#{}", who.seat, who.generation);
    match action {
        Action::Spawn(who) => format!("spawn {}", life(who)),
        Action::SignalStop(who, cause) => format!("stop {} ({cause})", life(who)),
        Action::Abandon(who) => format!("abandon {}", life(who)),
        Action::SetTimer(who, timer, at) => format!("{timer:?} timer {} at {at}", life(who)),
        Action::CancelTimer(who, timer) => format!("no {timer:?} timer {}", life(who)),
        Action::Gone(who, exit) => format!("gone {} {}", life(who), exit.kind()),
        Action::LateExit(who, _) => format!("late {}", life(who)),
        Action::StartFailed(who, _) => format!("failed {}", life(who)),
        Action::Restarting(who) => format!("restarting {}", life(who)),
        Action::Again(seat) => format!("again {seat}"),
        Action::Forget(seat) => format!("forget {seat}"),
        Action::Reply(to, Answer::Children(children)) => {
            let children = children.iter().map(|(who, phase)| format!("{} {phase:?}", life(who)));
            format!("{to}: {}", children.collect::<Vec<_>>().join(" "))
        }
        Action::Reply(to, answer) => format!("{to}: {}", format!("{answer:?}").split('(').next().unwrap_or_default()),
        Action::Up => "up".to_owned(),
        Action::Finished(exit) => format!("finished {exit}"),
    }
}

#[test]
fn children_start_in_order_and_stop_in_reverse() {
    Desk::new(&plan(Strategy::OneForOne, &[PERMANENT, READIED, PERMANENT]))
        .check(E::Start(Some('s')), "spawn 0#1, spawn 1#1, Start timer 1#1 at 9")
        .check(E::Ready(who(1, 1)), "no Start timer 1#1, spawn 2#1, up, s: Done")
        .check(E::Stop(Some('t'), Cause::Requested), "stop 2#1 (requested)")
        .check(E::Exited(who(2, 1), told()), "gone 2#1 shutdown, stop 1#1 (requested)")
        .check(E::Exited(who(1, 1), told()), "gone 1#1 shutdown, stop 0#1 (requested)")
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, finished shutdown (requested), t: Done")
        .check(E::Stop(Some('u'), Cause::Requested), "u: Done")
        .check(E::RestartChild(0, 'v'), "v: Over");
}

/// The full table of restart kind and exit kind, after OTP.
#[test]
fn a_child_is_restarted_by_its_kind_and_its_exit() {
    let exits = [Exit::Normal, told(), Exit::ShutdownWith("moved on".into()), failed()];
    let of_transient = [false, false, false, true];
    for (rules, restarted) in [(PERMANENT, [true; 4]), (TRANSIENT, of_transient), (TEMPORARY, [false; 4])] {
        for (exit, restarted) in exits.iter().zip(restarted) {
            let mut desk = Desk::started(&plan(Strategy::OneForOne, &[rules, PERMANENT]));
            let said = desk.tell(E::Exited(who(0, 1), exit.clone()));
            assert_eq!(said.contains("spawn 0#2"), restarted, "{:?} after {exit}: {said}", rules.restart);
            assert_eq!(said.contains("forget 0"), rules.restart == Restart::Temporary);
        }
    }
}

#[test]
fn the_strategy_says_who_goes_along() {
    let table = [
        (Strategy::OneForOne, "gone 1#1 failed, restarting 1#1, spawn 1#2"),
        (Strategy::RestForOne, "gone 1#1 failed, restarting 1#1, stop 2#1 (sibling restart)"),
        (Strategy::OneForAll, "gone 1#1 failed, restarting 1#1, stop 2#1 (sibling restart)"),
    ];
    for (strategy, expected) in table {
        Desk::started(&plan(strategy, &[PERMANENT; 3])).check(E::Exited(who(1, 1), failed()), expected);
    }
    Desk::started(&plan(Strategy::RestForOne, &[PERMANENT; 3]))
        .check(E::Exited(who(1, 1), failed()), table[1].1)
        .check(E::Exited(who(2, 1), told()), "gone 2#1 shutdown, spawn 1#2, spawn 2#2");
    Desk::started(&plan(Strategy::OneForAll, &[PERMANENT; 3]))
        .check(E::Exited(who(1, 1), failed()), table[2].1)
        .check(E::Exited(who(2, 1), told()), "gone 2#1 shutdown, stop 0#1 (sibling restart)")
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, spawn 0#2, spawn 1#2, spawn 2#2");
}

#[test]
fn a_temporary_sibling_that_goes_along_does_not_come_back() {
    Desk::started(&plan(Strategy::OneForAll, &[PERMANENT, TEMPORARY]))
        .check(E::Exited(who(0, 1), failed()), "gone 0#1 failed, restarting 0#1, stop 1#1 (sibling restart)")
        .check(E::Exited(who(1, 1), told()), "gone 1#1 shutdown, forget 1, spawn 0#2");
}

/// OTP counts attempts; one exactly a period old still counts.
#[test]
fn one_restart_more_than_the_intensity_ends_the_supervisor() {
    let crash = |desk: &mut Desk, now, generation| desk.at(now).tell(E::Exited(who(0, generation), failed()));
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT]));
    for generation in 1..=3 {
        assert!(crash(&mut desk, 0, generation).contains("spawn"));
    }
    assert_eq!(crash(&mut desk, 100, 4), "gone 0#4 failed, finished shutdown (too many restarts)");

    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT]));
    for generation in 1..=3 {
        crash(&mut desk, 0, generation);
    }
    assert!(crash(&mut desk, 101, 4).contains("spawn"), "those of time 0 are forgotten at 101");

    let none = Plan { intensity: 0, ..plan(Strategy::OneForOne, &[PERMANENT]) };
    assert_eq!(crash(&mut Desk::started(&none), 0, 1), "gone 0#1 failed, finished shutdown (too many restarts)");
}

#[test]
fn a_start_that_fails_is_rolled_back_before_the_caller_hears_of_it() {
    let mut desk = Desk::new(&plan(Strategy::OneForOne, &[PERMANENT, READIED, PERMANENT]));
    desk.check(E::Start(Some('s')), "spawn 0#1, spawn 1#1, Start timer 1#1 at 9")
        .check(
            E::Exited(who(1, 1), failed()),
            "no Start timer 1#1, gone 1#1 failed, failed 1#1, stop 0#1 (start failed)",
        )
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, finished shutdown (start failed), s: StartFailed");

    let mut desk = Desk::new(&plan(Strategy::OneForOne, &[PERMANENT]));
    desk.spawns_fail = true;
    desk.check(E::Start(Some('s')), "spawn 0#1, failed 0#1, finished shutdown (start failed), s: StartFailed");
}

#[test]
fn who_is_not_ready_in_time_is_told_to_stop() {
    Desk::new(&plan(Strategy::OneForOne, &[READIED]))
        .check(E::Start(Some('s')), "spawn 0#1, Start timer 0#1 at 9")
        .check(E::Due(who(0, 1), Timer::Start), "stop 0#1 (not ready in time)")
        .check(E::Ready(who(0, 1)), "")
        .check(
            E::Exited(who(0, 1), told()),
            "gone 0#1 shutdown, failed 0#1, finished shutdown (start failed), s: StartFailed",
        );
}

#[test]
fn a_restart_that_fails_is_tried_again_and_counts_each_time() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT]));
    desk.spawns_fail = true;
    desk.check(E::Exited(who(0, 1), failed()), "gone 0#1 failed, restarting 0#1, spawn 0#2, again 0")
        .check(E::Again(0), "restarting 0#2, spawn 0#3, again 0")
        .check(E::Which('w'), "w: 0#3 Restarting")
        .check(E::RestartChild(0, 'r'), "r: Restarting")
        .check(E::Again(0), "restarting 0#3, spawn 0#4, again 0")
        .check(E::Again(0), "finished shutdown (too many restarts)");
}

#[test]
fn a_stop_ends_the_trying() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT]));
    desk.spawns_fail = true;
    desk.tell(E::Exited(who(0, 1), failed()));
    desk.check(E::Stop(Some('s'), Cause::Requested), "finished shutdown (requested), s: Done").check(E::Again(0), "");
}

#[test]
fn who_ignores_its_stop_is_abandoned_and_its_late_end_is_no_second_one() {
    Desk::started(&plan(Strategy::OneForOne, &[IMPATIENT]))
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated), Stop timer 0#1 at 9")
        .check(E::Due(who(0, 1), Timer::Stop), "abandon 0#1, gone 0#1 abandoned, t: Done")
        .check(E::RestartChild(0, 'r'), "spawn 0#2, r: Done")
        .check(E::Exited(who(0, 1), Exit::Normal), "late 0#1")
        .check(E::Due(who(0, 1), Timer::Stop), "");
}

#[test]
fn an_exit_that_was_faster_than_the_abandonment_is_the_end() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[IMPATIENT]));
    desk.tell(E::Terminate(0, 't'));
    // The shell found the exit written already, and answers nothing: its news is on its way.
    let said: Vec<_> = desk.core.step(0, E::Due(who(0, 1), Timer::Stop)).iter().map(text).collect();
    assert_eq!(said, ["abandon 0#1"]);
    desk.check(E::Exited(who(0, 1), Exit::Normal), "gone 0#1 normal, t: Done");
}

#[test]
fn a_group_restart_gives_up_at_an_abandoned_sibling_unless_it_may_be_replaced() {
    let crash = |policy| {
        let sibling = Rules { on_abandon: policy, ..IMPATIENT };
        let mut desk = Desk::started(&plan(Strategy::OneForAll, &[PERMANENT, sibling]));
        desk.tell(E::Exited(who(0, 1), failed()));
        desk.tell(E::Due(who(1, 1), Timer::Stop))
    };
    let escalated = "abandon 1#1, gone 1#1 abandoned, finished shutdown (a sibling was abandoned)";
    assert_eq!(crash(OnAbandon::Escalate), escalated);
    assert_eq!(crash(OnAbandon::Replace), "abandon 1#1, gone 1#1 abandoned, spawn 0#2, spawn 1#2");
}

#[test]
fn significant_children_end_their_supervisor_by_its_rule() {
    let ends = |rule, exits: &[(Seat, Exit)]| {
        let significant = [Rules { significant: true, ..TRANSIENT }, Rules { significant: true, ..TEMPORARY }];
        let plan =
            Plan { auto_shutdown: rule, ..plan(Strategy::OneForOne, &[significant[0], significant[1], PERMANENT]) };
        let mut desk = Desk::started(&plan);
        exits
            .iter()
            .map(|(seat, exit)| desk.tell(E::Exited(who(*seat, 1), exit.clone())))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let told = "stop 2#1 (a significant child ended)";
    assert!(!ends(AutoShutdown::Never, &[(0, Exit::Normal), (1, Exit::Normal)]).contains(told));
    assert!(ends(AutoShutdown::AnySignificant, &[(0, Exit::Normal)]).contains(told));
    assert!(ends(AutoShutdown::AnySignificant, &[(1, failed())]).contains(told), "a temporary one by any end");
    assert!(!ends(AutoShutdown::AnySignificant, &[(0, failed())]).contains(told), "it is restarted");
    assert!(!ends(AutoShutdown::AnySignificant, &[(2, Exit::Normal)]).contains(told), "not significant");
    assert!(!ends(AutoShutdown::AllSignificant, &[(1, Exit::Normal)]).contains(told));
    assert!(ends(AutoShutdown::AllSignificant, &[(1, Exit::Normal), (0, Exit::Normal)]).contains(told));
}

#[test]
fn who_is_terminated_is_not_significant() {
    let significant = Rules { significant: true, ..TRANSIENT };
    let plan = Plan { auto_shutdown: AutoShutdown::AnySignificant, ..plan(Strategy::OneForOne, &[significant]) };
    Desk::started(&plan)
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated)")
        .check(E::Exited(who(0, 1), Exit::Shutdown(Cause::Terminated)), "gone 0#1 shutdown, t: Done");
}

#[test]
fn management_calls_answer_as_otp_does() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT]));
    desk.check(E::RestartChild(0, 'a'), "a: AlreadyRunning")
        .check(E::Terminate(7, 'b'), "b: NotFound")
        .check(E::Terminate(0, 'c'), "stop 0#1 (terminated)")
        .check(E::RestartChild(0, 'd'), "") // waits for the pass in hand
        .check(
            E::Exited(who(0, 1), Exit::Shutdown(Cause::Terminated)),
            "gone 0#1 shutdown, c: Done, spawn 0#2, d: Done",
        )
        .check(E::Terminate(0, 'e'), "stop 0#2 (terminated)")
        .check(E::Exited(who(0, 2), Exit::Shutdown(Cause::Terminated)), "gone 0#2 shutdown, e: Done")
        .check(E::Terminate(0, 'f'), "f: Done");
    let seat = desk.core.add(READIED);
    desk.check(E::StartChild(seat, 'g'), "spawn 1#1, Start timer 1#1 at 9")
        .check(E::Exited(who(1, 1), failed()), "no Start timer 1#1, gone 1#1 failed, g: StartFailed, forget 1")
        .check(E::Which('h'), "h: 0#2 Stopped");
}

#[test]
fn no_more_requests_wait_than_there_is_room_for() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT]));
    desk.tell(E::Terminate(0, 't'));
    (0..super::MOST_DEFERRED).for_each(|_| assert_eq!(desk.tell(E::RestartChild(0, 'r')), ""));
    desk.check(E::RestartChild(0, 'x'), "x: Busy");
    let said = desk.tell(E::Stop(Some('s'), Cause::Requested));
    assert_eq!(said.matches("r: Over").count(), 0, "they are refused when the stop is through");
    let said = desk.tell(E::Exited(who(0, 1), told()));
    assert_eq!(said.matches("r: Over").count(), super::MOST_DEFERRED);
}

#[test]
fn a_crash_during_a_pass_waits_for_its_turn() {
    Desk::started(&plan(Strategy::OneForOne, &[PERMANENT, PERMANENT]))
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated)")
        .check(E::Exited(who(1, 1), failed()), "gone 1#1 failed")
        .check(
            E::Exited(who(0, 1), Exit::Shutdown(Cause::Terminated)),
            "gone 0#1 shutdown, t: Done, restarting 1#1, spawn 1#2",
        );
}

#[test]
fn a_salvaged_core_stops_whoever_lives() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT; 2]));
    desk.core = Core::salvaged([(who(0, 1), PERMANENT), (who(1, 4), PERMANENT)], 2);
    desk.check(E::Stop(None, Cause::Broken), "stop 1#4 (the supervisor is broken, please report it)");
}

// Every order of events of a small world, against the promises. States are remembered, so each is visited once.

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    core: Core<u8>,
    live: BTreeMap<Who, Life>,
    abandoned: BTreeSet<Who>,
    gone: BTreeSet<Who>,
    timers: BTreeSet<(Who, bool)>,
    again: Vec<Seat>,
    asked: Vec<u8>,
    finished: bool,
    crashes: u8,
    spawn_failures: u8,
    requests: BTreeSet<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Life {
    told: bool,
    ready: bool,
}

#[derive(Clone, Copy)]
enum Move {
    Exit(Who, bool),
    Ready(Who),
    Due(Who, bool),
    Again,
    Request(u8),
}

#[derive(Default)]
struct Seen {
    states: HashSet<World>,
    ends: usize,
    escalated: usize,
    late: usize,
    lost_abandonments: usize,
}

impl World {
    fn tell(&mut self, event: E<u8>, exit_is_faster: bool, seen: &mut Seen) {
        let mut feed = Some(event);
        while let Some(event) = feed.take() {
            for action in self.core.step(0, event) {
                match action {
                    Action::Spawn(who) => {
                        let others = self.live.keys().filter(|other| !self.abandoned.contains(other));
                        assert!(others.clone().all(|other| other.seat != who.seat), "two live lives of one child");
                        let going = others.clone().any(|other| self.live[other].told);
                        assert!(!going, "a start while a stop is going on");
                        feed = Some(if self.spawn_failures > 0 {
                            self.spawn_failures -= 1;
                            E::SpawnFailed(who, failed())
                        } else {
                            self.live.insert(who, Life::default());
                            E::Spawned(who)
                        });
                    }
                    Action::SignalStop(who, cause) => {
                        if cause != Cause::Terminated && cause != Cause::TooSlow {
                            let later = |(other, life): (&Who, &Life)| {
                                other.seat > who.seat && !life.told && !self.abandoned.contains(other)
                            };
                            assert!(!self.live.iter().any(later), "not the last of the living");
                        }
                        self.live.get_mut(&who).expect("signals go to the living").told = true;
                    }
                    Action::Abandon(who) if exit_is_faster => {
                        seen.lost_abandonments += 1;
                        self.live.remove(&who);
                        self.timers.retain(|(other, _)| *other != who);
                        feed = Some(E::Exited(who, told()));
                    }
                    Action::Abandon(who) => feed = Some(E::Abandoned(who, abandoned())),
                    Action::SetTimer(who, timer, _) => {
                        assert!(self.timers.insert((who, timer == Timer::Stop)), "one timer of a kind");
                    }
                    Action::CancelTimer(who, timer) => _ = self.timers.remove(&(who, timer == Timer::Stop)),
                    Action::Gone(who, exit) => {
                        assert!(self.gone.insert(who), "two ends of one life");
                        if exit == abandoned() {
                            self.abandoned.insert(who);
                        }
                    }
                    Action::LateExit(who, _) => {
                        assert!(self.abandoned.remove(&who), "late, but never abandoned");
                        seen.late += 1;
                    }
                    Action::Again(seat) => self.again.push(seat),
                    Action::Reply(ticket, _) => {
                        let at = self.asked.iter().position(|asked| *asked == ticket).expect("answered once");
                        self.asked.remove(at);
                    }
                    Action::StartFailed(..) | Action::Restarting(_) | Action::Forget(_) | Action::Up => {}
                    Action::Finished(exit) => {
                        assert!(!std::mem::replace(&mut self.finished, true), "finished twice");
                        seen.escalated += usize::from(exit == Exit::Shutdown(Cause::Intensity));
                        let zombies = self.live.keys().all(|who| self.abandoned.contains(who));
                        assert!(zombies, "over, and somebody lives");
                    }
                }
            }
        }
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (&who, life) in &self.live {
            if life.told || self.abandoned.contains(&who) {
                moves.push(Move::Exit(who, true));
            }
            if self.crashes > 0 {
                moves.push(Move::Exit(who, false));
            }
            if !life.ready {
                moves.push(Move::Ready(who));
            }
        }
        moves.extend(self.timers.iter().map(|&(who, stop)| Move::Due(who, stop)));
        if !self.again.is_empty() {
            moves.push(Move::Again);
        }
        moves.extend(self.requests.iter().map(|&request| Move::Request(request)));
        moves
    }

    fn after(&self, next: Move, exit_is_faster: bool, seen: &mut Seen) -> Self {
        let mut world = self.clone();
        let event = match next {
            Move::Exit(who, clean) => {
                world.live.remove(&who);
                world.timers.retain(|(other, _)| *other != who || world.gone.contains(&who));
                world.crashes -= u8::from(!clean);
                E::Exited(who, if clean { told() } else { failed() })
            }
            Move::Ready(who) => {
                world.live.get_mut(&who).expect("it lives").ready = true;
                E::Ready(who)
            }
            Move::Due(who, stop) => {
                world.timers.remove(&(who, stop));
                E::Due(who, if stop { Timer::Stop } else { Timer::Start })
            }
            Move::Again => E::Again(world.again.remove(0)),
            Move::Request(request) => {
                world.requests.remove(&request);
                world.asked.push(request);
                match request {
                    1 => E::Stop(Some(1), Cause::Requested),
                    2 => E::Terminate(0, 2),
                    _ => E::RestartChild(0, 3),
                }
            }
        };
        world.tell(event, exit_is_faster, seen);
        world
    }

    /// Whether nobody has anything to do but to be told.
    fn at_rest(&self) -> bool {
        let busy = |(who, life): (&Who, &Life)| life.told || !life.ready || self.abandoned.contains(who);
        self.again.is_empty() && !self.live.iter().any(busy)
    }
}

fn explore(strategy: Strategy, rules: &[Rules], crashes: u8) {
    let mut seen = Seen::default();
    for spawn_failures in [0, 1] {
        let mut world = World {
            core: Core::new(&Plan { intensity: 2, ..plan(strategy, rules) }),
            live: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            gone: BTreeSet::new(),
            timers: BTreeSet::new(),
            again: Vec::new(),
            asked: vec![0],
            finished: false,
            crashes,
            spawn_failures: 0,
            requests: BTreeSet::from([1, 2, 3]),
        };
        world.tell(E::Start(Some(0)), false, &mut seen);
        world.spawn_failures = spawn_failures;
        let mut todo = vec![world];
        while let Some(world) = todo.pop() {
            if !seen.states.insert(world.clone()) {
                continue;
            }
            let moves = world.moves();
            if world.at_rest() {
                assert!(world.asked.is_empty(), "somebody waits for ever: {:#?}", world.core);
            }
            seen.ends += usize::from(moves.is_empty());
            for next in moves {
                todo.push(world.after(next, false, &mut seen));
                if matches!(next, Move::Due(_, true)) {
                    todo.push(world.after(next, true, &mut seen));
                }
            }
        }
    }
    assert!(seen.ends > 0 && (seen.escalated > 0 || crashes < 2), "{strategy:?}: the worlds were too small");
    assert!(seen.late > 0 && seen.lost_abandonments > 0, "{strategy:?}: nobody was abandoned");
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    let patient = Rules { on_abandon: OnAbandon::Replace, ..IMPATIENT };
    let readied = Rules { ready: Ready::Within(Some(9)), ..patient };
    let (transient, temporary) =
        (Rules { restart: Restart::Transient, ..patient }, Rules { restart: Restart::Temporary, ..patient });
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        explore(strategy, &[readied, temporary], 1);
        explore(strategy, &[patient, IMPATIENT], 2);
        explore(strategy, &[transient, temporary], 1);
        if foundation_testkit::deep() {
            explore(strategy, &[readied, readied], 3);
            explore(strategy, &[patient, transient, temporary], 3);
        }
    }
}

#[test]
fn phases_are_seen_as_they_are() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT, READIED]));
    desk.check(E::Which('w'), "w: 0#1 Running 1#1 Starting");
    assert_eq!(desk.core.budget(0), (0, 3));
}
