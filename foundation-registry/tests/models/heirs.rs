//! Heirs: who takes over what a life leaves, once, and before anybody knows.

use std::sync::Arc;

use foundation_context::Fields;
use foundation_registry::{Down, Exit, Heir, Owner, Registry};
use foundation_sync::{Deadline, Mutex};
use foundation_testkit::{explore, join, reached, spawn};

use crate::{FIRST, SECOND, registry};

/// Counts how often it took over, and settled.
struct Counts {
    registry: Registry<u32>,
    counts: Mutex<(u32, u32)>,
}

impl Heir for Counts {
    fn inherit(&self, down: &Down) {
        assert_eq!((down.incarnation, &down.exit), (FIRST, &Exit::Normal));
        assert!(self.registry.is_empty(), "its names are free");
        self.counts.lock().0 += 1;
    }

    fn settle(&self) {
        let mut counts = self.counts.lock();
        assert_eq!(counts.0, 1, "it has taken over");
        counts.1 += 1;
    }
}

#[test]
fn an_heir_takes_over_once_however_late_it_comes() {
    explore("an heir takes over once however late it comes")
        .reaches(&["registry: an heir came late", "it came in time"])
        .catches(&["registry: a late heir is kept for nobody"])
        .run(|| {
            let (owners, registry) = registry();
            let ending = owners.begin(FIRST, "first");
            let owner = Owner::clone(&ending);
            registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
            let heir = Arc::new(Counts { registry, counts: Mutex::default() });
            let ends = spawn(move || drop(ending.end(Exit::Normal)));
            owner.leave_to(Arc::clone(&heir) as Arc<dyn Heir>).expect("there is room");
            if *heir.counts.lock() == (0, 0) {
                reached!("it came in time");
            }
            join(ends);
            assert_eq!(*heir.counts.lock(), (1, 1));
        });
}

#[test]
fn whoever_has_seen_the_down_finds_that_the_heir_has_taken_over() {
    explore("whoever has seen the Down finds that the heir has taken over")
        // Random schedules hardly ever end it before the look.
        .reaches(match cfg!(shuttle) {
            true => &["waited for"],
            false => &["there at once", "waited for"],
        })
        .catches(&["registry: heirs take over after Down"])
        .run(|| {
            let (owners, registry) = registry();
            let owner = owners.begin(FIRST, "first");
            let heir = Arc::new(Counts { registry, counts: Mutex::default() });
            owner.leave_to(Arc::clone(&heir) as Arc<dyn Heir>).expect("there is room");
            let monitor = owners.monitor(FIRST);
            let ends = spawn(move || drop(owner.end(Exit::Normal)));
            match monitor.try_recv() {
                Ok(_) => reached!("there at once"),
                Err(_) => {
                    reached!("waited for");
                    monitor.recv(Deadline::never()).expect("there is exactly one");
                }
            }
            assert_eq!(heir.counts.lock().0, 1, "a successor may begin now");
            let second = owners.begin(SECOND, "second");
            join(ends);
            drop(second.end(Exit::Normal));
            assert_eq!(*heir.counts.lock(), (1, 1));
        });
}
