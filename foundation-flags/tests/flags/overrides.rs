//! What tests say.

use std::sync::Arc;

use foundation_flags::{Because, ChangeError, Flag, Flags, MigrationPlan, Source, Target};
use foundation_sync::{Mutex, Switch, thread};

use crate::soon;

const FREE: Flag = Flag::off("free");
const PLANNED: Flag = Flag::off("planned");

fn flags(service: &Switch) -> Flags {
    let plan = MigrationPlan::new("p").stage("one", &[PLANNED]);
    Flags::builder().flag(&FREE).bind(&PLANNED, service).plan(plan).start().expect("they fit together")
}

#[test]
fn an_override_is_seen_by_every_thread_and_every_read_and_ends_with_its_guard() {
    let service = Switch::off();
    let flags = flags(&service);
    let gate = flags.gate(&PLANNED);
    let guard = flags.override_for_test(&PLANNED, true).expect("it is declared");
    let reads = flags.clone();
    let read = Arc::new(Mutex::new(None));
    let sees = Arc::clone(&read);
    let other = thread::Builder::new("reader").spawn(move || {
        let view = reads.view();
        let seen = (reads.enabled(&PLANNED), reads.enabled_for(&PLANNED, "u"), view.enabled(&PLANNED), view.stage());
        *sees.lock() = Some(seen);
    });
    other.expect("a thread").join().expect("it returns");
    assert_eq!(*read.lock(), Some((true, true, true, 0)));
    assert!(gate.enabled() && service.is_on());
    assert_eq!(flags.explain(&PLANNED, &Target::NOBODY).because, Because::Override);
    assert_eq!(flags.status().flags[1].source, Source::Override);
    drop(guard);
    assert!(!gate.enabled() && !service.is_on() && !flags.enabled(&PLANNED));
    assert_eq!((flags.view().version(), flags.history().len()), (0, 0), "it is no decision");
}

#[test]
fn of_several_overrides_the_youngest_stands_whichever_ends_first() {
    let flags = flags(&Switch::off());
    let on = flags.override_for_test(&FREE, true).expect("it is declared");
    let off = flags.override_for_test(&FREE, false).expect("it is declared");
    assert!(!flags.enabled(&FREE));
    drop(on);
    assert!(!flags.enabled(&FREE));
    let on = flags.override_for_test(&FREE, true).expect("it is declared");
    drop(off);
    assert!(flags.enabled(&FREE));
    drop(on);
    assert!(!flags.enabled(&FREE));
}

#[test]
fn what_is_decided_meanwhile_is_so_afterwards() {
    let service = Switch::off();
    let flags = flags(&service);
    let guard = flags.override_for_test(&PLANNED, false).expect("it is declared");
    let free = flags.override_for_test(&FREE, false).expect("it is declared");
    flags.advance_to(1, "alice", "next", soon()).expect("it is next");
    flags.change("alice", "x").percent(&FREE, 100.0).apply(soon()).expect("it is free");
    assert!(!service.is_on() && !flags.enabled(&FREE) && !flags.enabled_for(&FREE, "u"));
    drop((guard, free));
    assert!(service.is_on() && flags.enabled(&FREE) && flags.enabled_for(&FREE, "u"));
}

#[test]
fn flags_of_other_universes_are_not_concerned() {
    let (one, other) = (flags(&Switch::off()), flags(&Switch::off()));
    let _guard = one.override_for_test(&FREE, true).expect("it is declared");
    assert!(one.enabled(&FREE) && !other.enabled(&FREE));
    let refused = one.override_for_test(&Flag::off("unknown"), true).map(drop);
    assert_eq!(refused, Err(ChangeError::Undeclared("unknown")));
}
