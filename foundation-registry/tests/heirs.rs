//! Who takes over what a life leaves behind.
#![cfg(not(any(loom, shuttle)))]

use std::sync::Arc;

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Cause, Down, Exit, Heir, MOST_HEIRS, Monitor, Owners, Registry};
use foundation_sync::Mutex;
use foundation_telemetry::Telemetry;

const WHO: Incarnation = Incarnation { id: 1, generation: 1 };

/// Notes what it is told, and what can be seen of the life then.
struct Notes {
    name: &'static str,
    registry: Registry<u8>,
    owners: Owners,
    monitor: Option<Monitor>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Heir for Notes {
    fn inherit(&self, down: &Down) {
        let known = self.monitor.as_ref().is_some_and(|monitor| monitor.try_recv().is_ok());
        let (names, ended) = (self.registry.len(), self.owners.exit_of(down.incarnation) == Some(down.exit.clone()));
        let told = format!("{}: {} {names} {ended} {known}", self.name, down.exit);
        self.log.lock().push(told);
    }

    fn settle(&self) {
        self.log.lock().push(format!("{} settles", self.name));
    }
}

#[test]
fn heirs_take_over_when_names_are_free_and_before_anybody_knows_and_settle_with_the_remains() {
    let owners = Owners::default();
    let registry = Registry::new(&owners, &Telemetry::new());
    let owner = owners.begin(WHO, "w");
    registry.register("name", &owner, 1, Fields::new()).expect("it is free").keep();
    let (log, monitor) = (Arc::default(), owner.monitor());
    let notes = |name, monitor| {
        let (registry, owners, log) = (registry.clone(), owners.clone(), Arc::clone(&log));
        Arc::new(Notes { name, registry, owners, monitor, log })
    };
    owner.leave_to(notes("a", Some(monitor))).expect("there is room");
    owner.leave_to(notes("b", None)).expect("there is room");
    assert_eq!(log.lock().len(), 0, "it lives");
    let remains = owner.end(Exit::Shutdown(Cause::Requested)).expect("it is the first end");
    assert!(!remains.is_empty());
    let told = ["a: shutdown (requested) 0 true false", "b: shutdown (requested) 0 true false"];
    assert_eq!(*log.lock(), told);
    drop(remains);
    assert_eq!(log.lock()[2..], ["a settles", "b settles"]);
    assert!(owner.end(Exit::Normal).is_none());
    owner.leave_to(notes("c", None)).expect("there is room");
    assert_eq!(
        log.lock()[4..],
        ["c: shutdown (requested) 0 true false", "c settles"],
        "who comes late is told at once"
    );
}

#[test]
fn a_life_without_heirs_leaves_nothing_to_settle() {
    let owner = Owners::default().begin(WHO, "w");
    assert!(owner.end(Exit::Normal).expect("it is the first end").is_empty());
}

#[test]
fn an_heir_is_kept_as_long_as_the_life_and_its_remains() {
    struct Nothing;
    impl Heir for Nothing {
        fn inherit(&self, _: &Down) {}
    }
    let owner = Owners::default().begin(WHO, "w");
    let heir = Arc::new(Nothing);
    owner.leave_to(Arc::clone(&heir) as Arc<dyn Heir>).expect("there is room");
    assert_eq!(Arc::strong_count(&heir), 2);
    let remains = owner.end(Exit::Normal);
    assert_eq!(Arc::strong_count(&heir), 2);
    drop(remains);
    assert_eq!(Arc::strong_count(&heir), 1);
    owner.leave_to(Arc::clone(&heir) as Arc<dyn Heir>).expect("there is room");
    assert_eq!(Arc::strong_count(&heir), 1, "a late one is not kept");
}

#[test]
fn a_life_has_so_many_heirs_at_most_and_one_more_comes_back() {
    struct Counts(Mutex<usize>);
    impl Heir for Counts {
        fn inherit(&self, _: &Down) {
            *self.0.lock() += 1;
        }
    }
    let owner = Owners::default().begin(WHO, "w");
    let heir = Arc::new(Counts(Mutex::new(0)));
    let one = || owner.leave_to(Arc::clone(&heir) as Arc<dyn Heir>);
    (0..MOST_HEIRS).for_each(|_| one().expect("there is room"));
    let refused = one().expect_err("there is none");
    assert!(refused.to_string().contains("64 heirs"), "{refused}");
    drop(refused);
    drop(owner.end(Exit::Normal));
    assert_eq!(*heir.0.lock(), MOST_HEIRS);
    one().expect("a late one is not kept");
    assert_eq!((*heir.0.lock(), Arc::strong_count(&heir)), (MOST_HEIRS + 1, 1));
}
