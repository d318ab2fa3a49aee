//! Children that go along with one another.

use foundation_registry::{Cause, Exit};
use foundation_supervisor::{Strategy, Supervisor};
use foundation_sync::{Deadline, MINUTE};
use foundation_testkit::{explore, reached};

use crate::{panics_once, patient, start, stop, universe};

/// Five threads: two workers that panic, their successors, and whoever stops. Two crashes of one group at once are one
/// restart: each child is begun once more, and no successor pays for what its predecessor did.
#[test]
fn two_children_of_one_group_crash_at_once() {
    explore("two children of one group crash at once")
        .reaches(&["left by itself while it was stopped", "one restart"])
        .catches(&["core: who leaves while it is stopped has crashed"])
        .run(|| {
            let foundation = universe();
            let group = Supervisor::new("t", Strategy::OneForAll).intensity(9, MINUTE);
            let group = group.child(patient("a", panics_once)).child(patient("b", panics_once));
            let tree = start(&foundation, group);
            assert_eq!(tree.stop(Deadline::never()), Ok(Exit::Shutdown(Cause::Requested)));
            match foundation.restarts() {
                0 => {}
                1 => reached!("one restart"),
                more => panic!("{more} restarts"),
            }
            stop(foundation);
        });
}

/// The same where only the later ones go along: whoever crashes first, nobody is begun once more than is counted, and the
/// second restart is one too many.
#[test]
fn two_children_crash_at_once_and_the_later_one_goes_along() {
    explore("two children crash at once, and the later one goes along")
        // Random schedules hardly ever come to the second restart.
        .reaches(match cfg!(shuttle) {
            true => &["left by itself while it was stopped", "one restart"],
            false => &["left by itself while it was stopped", "one restart", "gave up"],
        })
        .catches(&["core: who leaves while it is stopped has crashed"])
        .run(|| {
            let foundation = universe();
            let group = Supervisor::new("t", Strategy::RestForOne).intensity(1, MINUTE);
            let group = group.child(patient("a", panics_once)).child(patient("b", panics_once));
            let tree = start(&foundation, group);
            // Time for a restart and what comes after it.
            (0..if cfg!(shuttle) { 100 } else { 0 }).for_each(|_| _ = foundation.restarts());
            match tree.stop(Deadline::never()) {
                Ok(Exit::Shutdown(Cause::Requested)) if foundation.restarts() == 1 => reached!("one restart"),
                Ok(Exit::Shutdown(Cause::Requested)) => assert_eq!(foundation.restarts(), 0),
                // The later one was restarted alone, before the earlier one crashed.
                Ok(Exit::Shutdown(Cause::Intensity)) => reached!("gave up"),
                other => panic!("{other:?}"),
            }
            stop(foundation);
        });
}
