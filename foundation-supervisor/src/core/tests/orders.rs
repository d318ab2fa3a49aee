//! Every order of events of a small world, against the promises. States are remembered, so each is visited once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::*;
use crate::core::Phase;

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    core: Core<u8>,
    live: BTreeMap<Who, Life>,
    abandoned: BTreeSet<Who>,
    gone: BTreeSet<Who>,
    timers: BTreeSet<(Who, Timer)>,
    again: Vec<Seat>,
    asked: Vec<u8>,
    /// Of whom no life is to come, unless one is asked for.
    resting: BTreeSet<Seat>,
    finished: bool,
    crashes: u8,
    spawn_failures: u8,
    requests: BTreeSet<u8>,
    dynamic: bool,
    strategy: Strategy,
    ignores: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Life {
    told: bool,
    ready: bool,
}

#[derive(Clone, Copy)]
enum Move {
    Exit(Who, bool),
    Ignore(Who),
    Ready(Who),
    Due(Who, Timer),
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
    hung: usize,
    backed_off: usize,
    rested: usize,
}

impl World {
    fn tell(&mut self, event: E<u8>, exit_is_faster: bool, seen: &mut Seen) {
        let mut feed = Some(event);
        while let Some(event) = feed.take() {
            for action in self.core.step(0, event) {
                match action {
                    Action::Spawn(who) => {
                        let asked_for = who.seat == 0 && self.asked.contains(&3);
                        assert!(!self.resting.remove(&who.seat) || asked_for, "a life of one that rests");
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
                        let of_one = matches!(cause, Cause::Terminated | Cause::TooSlow | Cause::Hung);
                        if !of_one && !self.dynamic {
                            let later = |(other, life): (&Who, &Life)| {
                                other.seat > who.seat && !life.told && !self.abandoned.contains(other)
                            };
                            assert!(!self.live.iter().any(later), "not the last of the living");
                        }
                        self.live.get_mut(&who).expect("signals go to the living").told = true;
                    }
                    Action::Abandon(who, _) if exit_is_faster => {
                        seen.lost_abandonments += 1;
                        self.live.remove(&who);
                        self.timers.retain(|(other, _)| *other != who);
                        feed = Some(E::Exited(who, told()));
                    }
                    Action::Abandon(who, _) => feed = Some(E::Abandoned(who, abandoned())),
                    Action::Look(who) => {
                        // The first life hangs, the others go on.
                        seen.hung += usize::from(who.generation == 1);
                        feed = Some(E::Beat(who, who.generation > 1));
                    }
                    Action::SetTimer(who, timer, _) => {
                        seen.backed_off += usize::from(timer == Timer::Backoff);
                        assert!(
                            !self.timers.iter().any(|(other, _)| other.seat == who.seat && !self.gone.contains(other))
                        );
                        assert!(self.timers.insert((who, timer)), "one timer of a kind");
                    }
                    Action::CancelTimer(who, timer) => _ = self.timers.remove(&(who, timer)),
                    Action::Gone(who, exit, _) => {
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
                    Action::Rests(seat) => {
                        let lives = |who: &Who| who.seat == seat && !self.abandoned.contains(who);
                        assert!(!self.live.keys().any(lives), "one that lives rests");
                        seen.rested += usize::from(self.resting.insert(seat));
                    }
                    // A group's restart takes those along who rest.
                    Action::Restarting(who) => match self.strategy {
                        Strategy::OneForOne => {}
                        Strategy::OneForAll => self.resting.clear(),
                        Strategy::RestForOne => self.resting.retain(|seat| *seat < who.seat),
                    },
                    Action::StartFailed(..) | Action::Forget(_) | Action::Up => {}
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
            if self.ignores && who.generation == 2 && !life.ready {
                moves.push(Move::Ignore(who));
            }
        }
        // A heartbeat that is looked at is set again, for ever: those of later lives are left alone.
        let due = self.timers.iter().filter(|(who, timer)| *timer != Timer::Heartbeat || who.generation == 1);
        moves.extend(due.map(|&(who, timer)| Move::Due(who, timer)));
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
            Move::Ignore(who) => {
                world.live.remove(&who);
                world.timers.retain(|(other, _)| *other != who || world.gone.contains(&who));
                E::Ignored(who)
            }
            Move::Due(who, timer) => {
                world.timers.remove(&(who, timer));
                E::Due(who, timer)
            }
            Move::Again => E::Again(world.again.remove(0)),
            Move::Request(request) => {
                world.requests.remove(&request);
                world.asked.push(request);
                match request {
                    1 => E::Stop(Some(1), Cause::Requested),
                    2 => E::Terminate(0, 2),
                    3 => E::RestartChild(0, 3),
                    _ => E::SkipBackoff(0, 4),
                }
            }
        };
        world.tell(event, exit_is_faster, seen);
        world
    }

    /// Whether everybody is told of whom no life is to come.
    fn all_told(&self) -> bool {
        let waits = self.core.children.values().any(|child| matches!(child.phase, Phase::BackingOff { .. }));
        waits
            || self.finished
            || self.core.is_closing()
            || self.core.children.iter().all(|(seat, child)| {
                child.phase != Phase::Stopped || child.generation == 0 || self.resting.contains(seat)
            })
    }

    /// Whether nobody has anything to do but to be told.
    fn at_rest(&self) -> bool {
        let busy = |(who, life): (&Who, &Life)| life.told || !life.ready || self.abandoned.contains(who);
        self.again.is_empty() && !self.live.iter().any(busy)
    }
}

fn explore(tree: &Tree<'_>, crashes: u8) -> Seen {
    let (strategy, mut seen) = (tree.0.strategy, Seen::default());
    let with_backoff = tree.1.iter().any(|rules| rules.backoff.is_some());
    for spawn_failures in [0, 1] {
        let mut world = World {
            core: tree.core(),
            live: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            gone: BTreeSet::new(),
            timers: BTreeSet::new(),
            again: Vec::new(),
            asked: vec![0],
            resting: BTreeSet::new(),
            finished: false,
            crashes,
            spawn_failures: 0,
            requests: BTreeSet::from(if with_backoff { [1, 2, 4] } else { [1, 2, 3] }),
            dynamic: tree.0.dynamic.is_some(),
            strategy,
            ignores: tree.1[0].ready != Ready::AtSpawn,
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
                assert!(world.all_told(), "somebody rests, and is not told: {:#?}", world.core);
            }
            seen.ends += usize::from(moves.is_empty());
            for next in moves {
                todo.push(world.after(next, false, &mut seen));
                if matches!(next, Move::Due(_, Timer::Stop | Timer::Heartbeat)) {
                    todo.push(world.after(next, true, &mut seen));
                }
            }
        }
    }
    assert!(seen.ends > 0 && (seen.escalated > 0 || crashes < 2), "{strategy:?}: the worlds were too small");
    assert!(seen.rested > 0 || tree.0.dynamic.is_some(), "{strategy:?}: nobody rested");
    assert!(seen.late > 0 && seen.lost_abandonments > 0, "{strategy:?}: nobody was abandoned");
    seen
}

fn world(strategy: Strategy, children: &[Rules]) -> Tree<'_> {
    let mut tree = plan(strategy, children);
    tree.0.intensity.restarts = 2;
    tree
}

const PATIENT: Rules = Rules { on_abandon: Some(OnAbandon::Replace), ..IMPATIENT };
const READYING: Rules = Rules { ready: Ready::Within(Some(9)), ..PATIENT };
const PASSING: Rules = Rules { restart: Restart::Transient, ..PATIENT };
const FLEETING: Rules = Rules { restart: Restart::Temporary, ..PATIENT };
const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

#[test]
fn every_order_of_events_keeps_the_promises() {
    for strategy in STRATEGIES {
        explore(&world(strategy, &[READYING, FLEETING]), 1);
        explore(&world(strategy, &[PATIENT, IMPATIENT]), 2);
        explore(&world(strategy, &[PASSING, FLEETING]), 1);
        if foundation_testkit::deep() {
            explore(&world(strategy, &[READYING, READYING]), 3);
            explore(&world(strategy, &[PATIENT, PASSING, FLEETING]), 3);
        }
    }
}

#[test]
fn every_order_of_events_keeps_the_promises_while_restarts_wait() {
    let slow = Rules { backoff: Some(Delays { first: 3, most: 9, jitter: 0 }), ..PATIENT };
    for strategy in STRATEGIES {
        let seen = explore(&world(strategy, &[slow, PATIENT]), 2);
        assert!(seen.backed_off > 0);
        explore(&world(strategy, &[Rules { backoff: slow.backoff, ..READYING }, FLEETING]), 1);
    }
}

#[test]
fn every_order_of_events_keeps_the_promises_while_children_hang() {
    for strategy in STRATEGIES {
        let deep = foundation_testkit::deep();
        let policies: &[_] = if deep { &[None, Some(OnAbandon::Replace), Some(OnAbandon::Halt)] } else { &[None] };
        for &policy in policies {
            let hangs = Rules { heartbeat: Some(5), on_abandon: policy, ..IMPATIENT };
            let seen = explore(&world(strategy, &[hangs, PATIENT]), 1);
            assert!(seen.hung > 0);
        }
    }
}

#[test]
fn every_order_of_events_keeps_the_promises_of_a_dynamic_supervisor() {
    for children in [[READYING, FLEETING], [PATIENT, PASSING], [PATIENT, IMPATIENT]] {
        let mut tree = world(Strategy::OneForOne, &children);
        tree.0.dynamic = Some(2);
        explore(&tree, 1);
    }
}
