//! What a tree is made of, from a seed.

use std::{sync::Arc, time::Duration};

use foundation_supervisor::{Backoff, ChildSpec, OnAbandon, Restart, Strategy, Supervisor};
use foundation_sync::SECOND;

use crate::{body::body, world::World};

pub(crate) const ROOT: &str = "chaos";
/// Supervisors above each other, and how many each has below it.
pub(crate) const DEPTH: usize = 4;
pub(crate) const BELOW: usize = 2;
/// Workers of one supervisor: about two hundred in all fifteen.
pub(crate) const WORKERS: usize = 13;
/// As many may be added.
const MORE: usize = 4;

const STACK: usize = 128 * 1024;

pub(crate) struct Plan(fastrand::Rng);

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Some starts are to fail.
    pub(crate) fn starts_well(&mut self) -> bool {
        self.0.u8(..5) > 0
    }

    pub(crate) fn life_of_a_tree(&mut self) -> Duration {
        Duration::from_millis(self.0.u64(20..900))
    }

    pub(crate) fn tree(&mut self, world: &Arc<World>) -> Supervisor {
        // Whoever is below gives up more often.
        self.supervisor(ROOT, DEPTH, world).intensity(1_000, SECOND)
    }

    fn supervisor(&mut self, name: &str, depth: usize, world: &Arc<World>) -> Supervisor {
        let rng = &mut self.0;
        let strategy = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][rng.usize(..3)];
        // Those below all others have no names to be managed by.
        let mut supervisor = match depth == 1 && rng.bool() {
            true => Supervisor::dynamic(name, WORKERS),
            false => Supervisor::new(name, strategy),
        };
        for n in 0..WORKERS {
            supervisor = supervisor.child(worker(&format!("w{n}"), world, &mut self.0));
        }
        for n in 0..if depth > 1 { BELOW } else { 0 } {
            let below = self.supervisor(&format!("s{n}"), depth - 1, world);
            supervisor = supervisor.child(ChildSpec::supervisor(below));
        }
        let most = self.0.usize(5..60);
        let left_behind = self.0.usize(10..40);
        supervisor.intensity(most, Duration::from_millis(self.0.u64(20..200))).abandoned_at_most(left_behind)
    }
}

/// A child that somebody adds.
pub(crate) fn one_more(world: &Arc<World>, rng: &mut fastrand::Rng) -> ChildSpec {
    let name = format!("x{}", rng.usize(..MORE));
    worker(&name, world, rng)
}

/// The name of a child, which may be there or not.
pub(crate) fn some_child(rng: &mut fastrand::Rng) -> String {
    match rng.usize(..WORKERS + MORE + BELOW) {
        n if n < WORKERS => format!("w{n}"),
        n if n < WORKERS + MORE => format!("x{}", n - WORKERS),
        n => format!("s{}", n - WORKERS - MORE),
    }
}

fn worker(name: &str, world: &Arc<World>, rng: &mut fastrand::Rng) -> ChildSpec {
    let (world, slow) = (Arc::clone(world), rng.u8(..10) < 3);
    let restart = match rng.u8(..10) {
        0..6 => Restart::Permanent,
        6..9 => Restart::Transient,
        _ => Restart::Temporary,
    };
    let on_abandon = if rng.bool() { OnAbandon::Escalate } else { OnAbandon::Replace };
    let spec = ChildSpec::worker(name, move |life| body(life, &world, slow))
        .restart(restart)
        .on_abandon(on_abandon)
        .stop_within(Duration::from_micros(rng.u64(..5_000)))
        .stack(STACK);
    let spec = match rng.u8(..4) {
        0 => spec.backoff(Backoff::exponential(Duration::from_millis(1), Duration::from_millis(50))),
        1 => spec.intensity(rng.usize(3..20), Duration::from_millis(100)),
        _ => spec,
    };
    // Nobody passes a checkpoint here: whoever lives so long hangs.
    let spec = if rng.u8(..10) == 0 { spec.heartbeat_within(Duration::from_millis(rng.u64(50..300))) } else { spec };
    if slow { spec.ready_within(Duration::from_millis(rng.u64(80..160))) } else { spec }
}
