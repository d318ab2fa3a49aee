//! What reading flags costs in memory: nothing.
//!
//! Counted by an allocator that comes with the crate allocation-counter, for each thread by itself.
#![cfg(not(any(loom, shuttle)))]

use allocation_counter::measure;
use foundation_flags::{Flag, Flags, Target};
use foundation_sync::{Clock, Deadline};
use foundation_testkit::{join, spawn};

const ON: Flag = Flag::on("on");
const SHARE: Flag = Flag::off("share");
const NAMED: Flag = Flag::off("named");
const UNKNOWN: Flag = Flag::on("unknown");
const UUID: &str = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
}

/// One that says nothing for some, one for a share, one for actors, groups and nodes.
fn flags() -> Flags {
    let flags = Flags::builder().flag(&ON).flag(&SHARE).flag(&NAMED).node("here").start().expect("they fit together");
    let change = flags.change("alice", "test").percent(&SHARE, 25.0).percent(&NAMED, 50.0).actor(&NAMED, UUID, true);
    change
        .group(&NAMED, "staff", true)
        .group(&NAMED, "banned", false)
        .node(&NAMED, "there", true)
        .apply(soon())
        .expect("they are free");
    flags
}

#[track_caller]
fn allocates_nothing(read: impl FnMut()) {
    let info = measure(read);
    assert_eq!((info.count_total, info.bytes_total), (0, 0));
}

/// Every kind of read, of every kind of flag, also of one that is not declared.
fn read_all(flags: &Flags, target: &Target<'_>) {
    for flag in [ON, SHARE, NAMED, UNKNOWN] {
        allocates_nothing(|| _ = flags.enabled(&flag));
        allocates_nothing(|| _ = flags.enabled_for(&flag, UUID));
        allocates_nothing(|| _ = flags.enabled_for(&flag, "user-42"));
        allocates_nothing(|| _ = flags.enabled_for_target(&flag, target));
        allocates_nothing(|| _ = flags.enabled_named(flag.name()));
        allocates_nothing(|| _ = flags.find("named"));
        let (gate, view) = (flags.gate(&flag), flags.view());
        allocates_nothing(|| _ = gate.enabled());
        allocates_nothing(|| _ = gate.enabled_for(UUID));
        allocates_nothing(|| _ = gate.enabled_for_target(target));
        allocates_nothing(|| _ = view.enabled(&flag));
        allocates_nothing(|| _ = view.enabled_for(&flag, UUID));
        allocates_nothing(|| _ = view.enabled_for_target(&flag, target));
    }
    for flag in [ON, SHARE, NAMED] {
        allocates_nothing(|| _ = flags.strict().enabled(&flag));
        allocates_nothing(|| _ = flags.strict().enabled_for(&flag, UUID));
        allocates_nothing(|| _ = flags.strict().enabled_for_target(&flag, target));
        allocates_nothing(|| _ = flags.strict().enabled_named(flag.name()));
    }
}

#[test]
fn a_read_of_any_kind_of_a_flag_of_any_kind_allocates_nothing() {
    let flags = flags();
    // The first look of a thread at a snapshot makes its place among those who look.
    _ = flags.enabled_for(&NAMED, UUID);
    for groups in [&[][..], &["staff"], &["staff", "banned"], &["beta", "other"]] {
        for target in [Target::id("user-42"), Target::id(UUID).node("there"), Target::NOBODY.node("elsewhere")] {
            read_all(&flags, &target.groups(groups));
        }
    }
}

#[test]
fn a_read_allocates_nothing_on_a_thread_that_has_read_no_flag_before() {
    let flags = flags();
    join(spawn(move || {
        allocates_nothing(|| _ = flags.enabled(&ON));
        allocates_nothing(|| _ = flags.enabled(&UNKNOWN));
        allocates_nothing(|| _ = flags.enabled_for(&SHARE, UUID));
        allocates_nothing(|| _ = flags.enabled_named("share"));
    }));
}

#[test]
fn a_read_allocates_nothing_while_flags_are_changed() {
    let flags = flags();
    _ = flags.enabled_for(&NAMED, UUID);
    let changes = flags.clone();
    let other = spawn(move || {
        for percent in 0..100 {
            let change = changes.change("alice", "test").percent(&SHARE, f64::from(percent)).set(&ON, percent % 2 == 0);
            change.actor(&NAMED, "user-42", percent % 2 == 0).apply(soon()).expect("they are free");
        }
    });
    let until = soon();
    while flags.view().version() < 101 {
        assert!(!until.passed(), "the changes have stopped");
        for flag in [ON, SHARE, NAMED] {
            allocates_nothing(|| _ = flags.enabled(&flag));
            allocates_nothing(|| _ = flags.enabled_for(&flag, "user-42"));
        }
    }
    join(other);
}

#[test]
fn what_counts_allocations_sees_one() {
    let info = measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(info.count_total, 1);
}
