//! What was told of crashes and restarts, held against what there was.

use std::sync::Arc;

use foundation_supervisor::{CRASHED, GAVE_UP, LATE_EXIT, RESTARTED, System};
use foundation_sync::atomic::{AtomicU64, Ordering};
use foundation_telemetry::{EventName, Telemetry};

use crate::world::World;

const EVENTS: [EventName; 4] = [CRASHED, RESTARTED, LATE_EXIT, GAVE_UP];
const ID: &str = "chaos counts";

pub(crate) struct Counts(Arc<[AtomicU64; EVENTS.len()]>);

impl Counts {
    pub(crate) fn listen(telemetry: &Telemetry) -> Self {
        let counts = Self(Arc::default());
        let counted = Arc::clone(&counts.0);
        let count = move |event: &foundation_telemetry::Event| {
            let which = EVENTS.iter().position(|name| *name == event.name).expect("it hears of no other");
            counted[which].fetch_add(1, Ordering::Relaxed);
        };
        telemetry.attach(ID, EVENTS, count).expect("nobody else has the id");
        counts
    }

    pub(crate) fn detach(self, telemetry: &Telemetry) {
        telemetry.detach(ID).expect("it was attached");
    }

    /// Waits until all was told; what found no room is counted, and nothing is told twice.
    pub(crate) fn agree(&self, t: &foundation_testkit::TestUniverse, world: &World) {
        let system: &System = t;
        let crashes = world.ends(&["panicked", "failed", "abandoned"]);
        let expected = [crashes, system.restarts(), world.ends(&["abandoned"])];
        t.wait_for(|| {
            let told: Vec<_> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            let (lost, gave_up) = (system.lost(), told[3]);
            let missing: Option<u64> =
                expected.iter().zip(&told).map(|(expected, told)| expected.checked_sub(*told)).sum();
            match missing {
                // Nothing says how many supervisors gave up: of those, too, some may be among what was lost.
                Some(missing) if missing <= lost => Ok(()),
                _ => Err(format!("told {told:?} of {expected:?}, {lost} lost, {gave_up} gave up")),
            }
        });
    }
}
