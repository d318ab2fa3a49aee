//! Values are dropped once, at once, by their last holder, and under no lock.

use std::sync::Arc;

use foundation_context::{Fields, Value, fields};
use foundation_registry::{Exit, Owner, OwnerGuard, RegisterError, Registry};
use foundation_sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Subject, Way, who};

suite! {
    a_value_is_dropped_when_its_name_is_given_up,
    a_value_is_dropped_when_its_owner_ends,
    an_old_value_is_dropped_when_it_was_updated,
    a_value_that_is_refused_is_dropped,
    a_value_is_kept_by_whoever_found_it_and_dropped_by_the_last,
    a_value_is_not_kept_by_who_watches_and_is_kept_by_news_of_it,
    metadata_is_dropped_with_its_entry,
}

/// A value whose drop is counted, and uses the registry: it waits for ever where a lock is held.
struct Probe {
    drops: Arc<AtomicUsize>,
    uses: Option<(Registry<Probe>, Owner, Owner)>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let Some((registry, owner, other)) = &self.uses else { return };
        self.drops.fetch_add(1, Ordering::Relaxed);
        drop((owner.names(), registry.keys_of(owner.incarnation()), registry.entries(), registry.groups()));
        drop((registry.unregister_if("n", owner.incarnation(), |_| false), registry.members("g")));
        drop((registry.listen(1), registry.watch("n")));
        let silent = || Probe { drops: Arc::default(), uses: None };
        for key in ["n", "g", "x"] {
            drop(registry.register(key, other, silent(), fields! { zone: "north" }));
            drop(registry.join(key, other, silent(), Fields::new()));
        }
    }
}

/// A registry, who registers there, and how many values were dropped since it was asked last.
struct Case {
    r: Subject<Probe>,
    owner: OwnerGuard,
    other: OwnerGuard,
    drops: Arc<AtomicUsize>,
}

impl Case {
    fn new(way: Way) -> Self {
        let r = way.built(|builder| builder.index("zone").capacity(8));
        let (owner, other) = (r.begin(1), r.begin(1_000));
        Self { r, owner, other, drops: Arc::default() }
    }

    fn probe(&self) -> Probe {
        let uses = Some((Registry::clone(&self.r), self.owner.clone(), self.other.clone()));
        Probe { drops: Arc::clone(&self.drops), uses }
    }

    fn dropped(&self) -> usize {
        self.drops.swap(0, Ordering::Relaxed)
    }
}

fn a_value_is_dropped_when_its_name_is_given_up(way: Way) {
    let case = Case::new(way);
    let (r, owner) = (&case.r, &case.owner);
    let (name, member) = (r.named("n", owner, case.probe()), r.joined("g", owner, case.probe()));
    let listener = r.listen(1);
    r.middle();
    drop(name);
    assert_eq!(case.dropped(), 0, "the news of it keeps it");
    assert!(listener.try_recv().is_ok());
    assert_eq!(case.dropped(), 1);
    drop(listener);
    drop(member);
    assert_eq!(case.dropped(), 1);
    r.named("n", owner, case.probe()).keep();
    r.joined("g", owner, case.probe()).keep();
    assert!(r.unregister("n", who(1)).is_some());
    assert_eq!(case.dropped(), 1);
    r.leave_if("g", owner, |_| true);
    assert_eq!(case.dropped(), 1);
    drop(owner.end(Exit::Normal));
    assert_eq!(case.dropped(), 0, "once");
}

fn a_value_is_dropped_when_its_owner_ends(way: Way) {
    let case = Case::new(way);
    let (r, owner) = (&case.r, &case.owner);
    r.register("n", owner, case.probe(), fields! { zone: "north" }).expect("it is free").keep();
    let held = r.named("m", owner, case.probe());
    r.joined("g", owner, case.probe()).keep();
    r.middle();
    let remains = owner.end(Exit::Normal);
    assert_eq!(case.dropped(), 0, "where users' code may run");
    drop(remains);
    assert_eq!(case.dropped(), 3);
    drop(held);
    assert_eq!((case.dropped(), r.len()), (0, 0));
}

fn an_old_value_is_dropped_when_it_was_updated(way: Way) {
    let case = Case::new(way);
    let (r, owner) = (&case.r, &case.owner);
    r.register("n", owner, case.probe(), fields! { zone: "north" }).expect("it is free").keep();
    let mut name = r.name("n");
    assert!(name.get().is_some());
    r.middle();
    drop(r.update_value("n", owner, |_| case.probe()));
    assert_eq!(case.dropped(), 0, "a resolved name keeps what it found last");
    assert!(name.get().is_some());
    assert_eq!(case.dropped(), 1);
    drop(name);
    drop(r.update_metadata("n", owner, |_| fields! { zone: "south" }));
    assert_eq!(case.dropped(), 0, "the value is the same");
    // What is made for an entry that is overtaken is dropped, too.
    let mut rounds = 0;
    drop(r.update_value("n", owner, |_| {
        rounds += 1;
        if rounds == 1 {
            drop(r.update_metadata("n", owner, |_| Fields::new()));
        }
        case.probe()
    }));
    assert_eq!((rounds, case.dropped()), (2, 2));
    drop(owner.end(Exit::Normal));
    assert_eq!(case.dropped(), 1);
}

fn a_value_that_is_refused_is_dropped(way: Way) {
    let case = Case::new(way);
    let (r, owner) = (&case.r, &case.owner);
    r.named("n", owner, case.probe()).keep();
    r.middle();
    assert!(matches!(
        r.register("n", owner, case.probe(), fields! { zone: "north" }),
        Err(RegisterError::AlreadyRegistered { .. })
    ));
    assert_eq!(case.dropped(), 1);
    let full: Vec<_> = (r.len()..8).map(|_| r.joined("g", owner, case.probe())).collect();
    assert!(matches!(r.register("m", owner, case.probe(), Fields::new()), Err(RegisterError::Full { .. })));
    assert!(matches!(r.join("m", owner, case.probe(), Fields::new()), Err(RegisterError::Full { .. })));
    assert_eq!(case.dropped(), 2);
    assert_eq!((full.len(), r.count("g")), (7, 7));
    drop(full);
    assert_eq!(case.dropped(), 7);
    drop(owner.end(Exit::Normal));
    assert_eq!(case.dropped(), 1);
    assert_eq!(r.register("n", owner, case.probe(), Fields::new()).map(drop), Err(RegisterError::Fenced(who(1))));
    assert_eq!(r.join("n", owner, case.probe(), Fields::new()).map(drop), Err(RegisterError::Fenced(who(1))));
    assert!(r.update_value("n", owner, |_| case.probe()).is_err());
    assert_eq!(case.dropped(), 2);
}

fn a_value_is_kept_by_whoever_found_it_and_dropped_by_the_last(way: Way) {
    let case = Case::new(way);
    let (r, owner) = (&case.r, &case.owner);
    let registration = r.named("n", owner, case.probe());
    r.joined("g", owner, case.probe()).keep();
    let (found, again) = (r.lookup("n"), r.lookup("n"));
    let (listed, members) = (r.entries(), r.members("g"));
    r.middle();
    drop(registration);
    drop(owner.end(Exit::Normal));
    assert_eq!(case.dropped(), 0);
    drop(members);
    assert_eq!(case.dropped(), 1);
    drop((found, listed));
    assert_eq!(case.dropped(), 0);
    drop(again);
    assert_eq!(case.dropped(), 1);
}

fn a_value_is_not_kept_by_who_watches_and_is_kept_by_news_of_it(way: Way) {
    let case = Case::new(way);
    let (r, owner) = (&case.r, &case.owner);
    let registration = r.named("n", owner, case.probe());
    let (mut watch, listener) = (r.watch("n"), r.listen(8));
    drop(r.update_value("n", owner, |_| case.probe()));
    assert_eq!(case.dropped(), 1);
    assert!(watch.try_next().flatten().is_some());
    r.middle();
    drop(registration);
    assert_eq!(case.dropped(), 0, "there is news of it");
    drop(listener);
    assert_eq!(case.dropped(), 1);
    assert!(watch.try_next().is_some_and(|now| now.is_none()));
}

fn metadata_is_dropped_with_its_entry(way: Way) {
    let r = way.built(|builder| builder.index("zone"));
    let (owner, text): (_, Arc<str>) = (r.begin(1), "a zone whose name is longer than 23 bytes".into());
    let said = || Fields::from([("zone", Value::Text(Arc::clone(&text)))]);
    let kept = |expected: usize| assert_eq!(Arc::strong_count(&text), 1 + expected);
    let registration = r.register("n", &owner, 0, said()).expect("it is free");
    kept(1);
    assert!(r.register("n", &owner, 0, said()).is_err());
    kept(1);
    r.middle();
    drop(r.update_value("n", &owner, |_| 1));
    kept(1);
    drop(r.update_metadata("n", &owner, |_| Fields::new()));
    kept(1); // what was said when the value came stays with it
    drop(r.update_metadata("n", &owner, |_| said()));
    kept(2);
    drop(r.update_metadata("n", &owner, |_| Fields::new()));
    kept(1);
    drop(registration);
    kept(0);
    r.register("n", &owner, 0, said()).expect("it is free").keep();
    r.join("g", &owner, 0, said()).expect("there is room").keep();
    kept(2);
    drop(owner.end(Exit::Normal));
    kept(0);
    assert!(r.register("n", &owner, 0, said()).is_err() && r.join("g", &owner, 0, said()).is_err());
    kept(0);
}
