//! The decisions as tables: what is told on the left, what is decided on the right.

mod abandoned;
mod backoff;
mod dynamic;
mod linear;
#[cfg(not(any(loom, shuttle)))]
mod oracle;
mod orders;

use foundation_registry::{Cause, Exit};

use super::{Action, Answer, Core, Delays, Event as E, Intensity, Plan, Ready, Rules, Seat, Timer, Who};
use crate::spec::{AutoShutdown, OnAbandon, Restart, Strategy};

const PERMANENT: Rules = Rules {
    restart: Restart::Permanent,
    ready: Ready::AtSpawn,
    stop_within: None,
    significant: false,
    on_abandon: None,
    heartbeat: None,
    backoff: None,
    intensity: None,
};
const TRANSIENT: Rules = Rules { restart: Restart::Transient, ..PERMANENT };
const TEMPORARY: Rules = Rules { restart: Restart::Temporary, ..PERMANENT };
const READIED: Rules = Rules { ready: Ready::Within(Some(9)), ..PERMANENT };
const IMPATIENT: Rules = Rules { stop_within: Some(9), ..PERMANENT };

/// A supervisor, and its children.
#[derive(Clone, Copy)]
struct Tree<'a>(Plan, &'a [Rules]);

fn plan(strategy: Strategy, children: &[Rules]) -> Tree<'_> {
    let intensity = Intensity { restarts: 3, period: 100 };
    let auto_shutdown = AutoShutdown::Never;
    Tree(Plan { strategy, intensity, auto_shutdown, dynamic: None, most_abandoned: 8 }, children)
}

impl Tree<'_> {
    fn core<T>(&self) -> Core<T> {
        let mut core = Core::new(&self.0);
        self.1.iter().enumerate().for_each(|(seat, rules)| core.add(seat as Seat, *rules));
        core
    }
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
    /// What is seen of whoever has to pass checkpoints.
    beats: bool,
}

impl Desk {
    fn new(tree: &Tree<'_>) -> Self {
        Self { core: tree.core(), now: 0, spawns_fail: false, beats: true }
    }

    fn started(tree: &Tree<'_>) -> Self {
        let mut desk = Self::new(tree);
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
                    Action::Abandon(who, _) => next = Some(E::Abandoned(*who, abandoned())),
                    Action::Look(who) => next = Some(E::Beat(*who, self.beats)),
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

/// How many restarts count, and how many may.
fn used(desk: &Desk, now: u64, seat: Option<Seat>) -> (usize, usize) {
    let budget = desk.core.budget(now, seat);
    (budget.used, budget.allowed)
}

fn text(action: &Action<char>) -> String {
    let life = |who: &Who| format!("{}#{}", who.seat, who.generation);
    match action {
        Action::Spawn(who) => format!("spawn {}", life(who)),
        Action::SignalStop(who, cause) => format!("stop {} ({cause})", life(who)),
        Action::Abandon(who, since) => format!("abandon {} since {since}", life(who)),
        Action::Look(who) => format!("look {}", life(who)),
        Action::SetTimer(who, timer, at) => format!("{timer:?} timer {} at {at}", life(who)),
        Action::CancelTimer(who, timer) => format!("no {timer:?} timer {}", life(who)),
        Action::Gone(who, exit, _) => format!("gone {} {}", life(who), exit.kind()),
        Action::LateExit(who, _) => format!("late {}", life(who)),
        Action::StartFailed(who, _) => format!("failed {}", life(who)),
        Action::Restarting(who) => format!("restarting {}", life(who)),
        Action::Again(seat) => format!("again {seat}"),
        Action::Forget(seat) => format!("forget {seat}"),
        Action::Rests(seat) => format!("rests {seat}"),
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

    let mut none = plan(Strategy::OneForOne, &[PERMANENT]);
    none.0.intensity.restarts = 0;
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
fn significant_children_end_their_supervisor_by_its_rule() {
    let ends = |rule, exits: &[(Seat, Exit)]| {
        let significant = [Rules { significant: true, ..TRANSIENT }, Rules { significant: true, ..TEMPORARY }];
        let children = [significant[0], significant[1], PERMANENT];
        let mut tree = plan(Strategy::OneForOne, &children);
        tree.0.auto_shutdown = rule;
        let mut desk = Desk::started(&tree);
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
    let children = [significant];
    let mut tree = plan(Strategy::OneForOne, &children);
    tree.0.auto_shutdown = AutoShutdown::AnySignificant;
    Desk::started(&tree)
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated)")
        .check(E::Exited(who(0, 1), Exit::Shutdown(Cause::Terminated)), "gone 0#1 shutdown, rests 0, t: Done");
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
            "gone 0#1 shutdown, rests 0, c: Done, spawn 0#2, d: Started",
        )
        .check(E::Terminate(0, 'e'), "stop 0#2 (terminated)")
        .check(E::Exited(who(0, 2), Exit::Shutdown(Cause::Terminated)), "gone 0#2 shutdown, rests 0, e: Done")
        .check(E::Terminate(0, 'f'), "f: Done");
    desk.core.add(1, READIED);
    desk.check(E::StartChild(1, 'g'), "spawn 1#1, Start timer 1#1 at 9")
        .check(E::Exited(who(1, 1), failed()), "no Start timer 1#1, gone 1#1 failed, g: StartFailed, forget 1")
        .check(E::Which('h'), "h: 0#2 Stopped");
}

#[test]
fn no_more_requests_wait_than_there_is_room_for() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT]));
    desk.tell(E::Terminate(0, 't'));
    (0..super::MOST_DEFERRED).for_each(|_| assert_eq!(desk.tell(E::RestartChild(0, 'r')), ""));
    desk.check(E::RestartChild(0, 'x'), "x: Busy");
    desk.core.add(1, PERMANENT);
    desk.check(E::StartChild(1, 'x'), "forget 1, x: Busy");
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
            "gone 0#1 shutdown, rests 0, t: Done, restarting 1#1, spawn 1#2",
        );
}

/// It is no child before its request has its turn: its siblings' restart neither starts nor forgets it.
#[test]
fn a_child_whose_start_waits_for_its_turn_does_not_go_along_with_a_restart() {
    for (strategy, restarted) in [(Strategy::OneForAll, "spawn 0#2, spawn 1#2"), (Strategy::RestForOne, "spawn 1#2")] {
        for rules in [PERMANENT, TEMPORARY] {
            let mut desk = Desk::started(&plan(strategy, &[PERMANENT, PERMANENT]));
            desk.tell(E::Terminate(0, 't'));
            desk.core.add(2, rules);
            desk.check(E::StartChild(2, 'c'), "").check(E::Exited(who(1, 1), failed()), "gone 1#1 failed").check(
                E::Exited(who(0, 1), told()),
                &format!("gone 0#1 shutdown, rests 0, t: Done, restarting 1#1, {restarted}, spawn 2#1, c: Started"),
            );
        }
    }
}

#[test]
fn who_waits_to_be_restarted_has_not_ended_for_good() {
    let significant = Rules { significant: true, ..TRANSIENT };
    let children = [significant, significant, PERMANENT];
    let mut tree = plan(Strategy::OneForOne, &children);
    tree.0.auto_shutdown = AutoShutdown::AllSignificant;
    Desk::started(&tree)
        .check(E::Terminate(2, 't'), "stop 2#1 (terminated)")
        .check(E::Exited(who(0, 1), Exit::Normal), "gone 0#1 normal")
        .check(E::Exited(who(1, 1), failed()), "gone 1#1 failed")
        .check(E::Exited(who(2, 1), told()), "gone 2#1 shutdown, rests 2, t: Done, restarting 1#1, spawn 1#2, rests 0")
        .check(E::Exited(who(1, 2), Exit::Normal), "gone 1#2 normal, finished shutdown (a significant child ended)");
}

#[test]
fn a_salvaged_core_stops_whoever_lives() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT, IMPATIENT]));
    desk.core = desk.core.salvaged([who(0, 1), who(1, 4)]);
    desk.check(
        E::Stop(None, Cause::Broken),
        "stop 1#4 (the supervisor is broken, please report it), Stop timer 1#4 at 9",
    );
}

#[test]
fn phases_are_seen_as_they_are() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT, READIED]));
    desk.check(E::Which('w'), "w: 0#1 Running 1#1 Starting");
    assert_eq!(used(&desk, 0, None), (0, 3));
}
