//! Flags that are not declared: by name, and by a constant.

use foundation_flags::{Flag, Flags, Target, UnknownFlag};
use foundation_testkit::{join, spawn};

use crate::soon;

const SHARED: Flag = Flag::on("use_shared_registry");
const DEDUP: Flag = Flag::off("use_event_dedup").owner("telemetry");
const UNKNOWN_ON: Flag = Flag::on("use_event_dedupe");
const UNKNOWN_OFF: Flag = Flag::off("nobody_knows");

fn flags() -> Flags {
    Flags::builder().flag(&SHARED).flag(&DEDUP).start().expect("they fit together")
}

#[test]
fn a_flag_is_found_by_its_name_with_all_that_was_declared() {
    let flags = flags();
    assert_eq!(flags.find("use_event_dedup"), Ok(DEDUP));
    assert_eq!(flags.find("use_event_dedup").map(|flag| flag.owned_by()), Ok(Some("telemetry")));
    assert_eq!(flags.declared(), [SHARED, DEDUP]);
    let unknown = flags.find("use_shard_registry").expect_err("it is misspelled");
    assert_eq!(unknown, UnknownFlag { name: "use_shard_registry".into(), nearest: Some("use_shared_registry") });
    assert_eq!(unknown.to_string(), "unknown flag `use_shard_registry`, did you mean `use_shared_registry`?");
    let far = flags.find("new_checkout").expect_err("there is none");
    let expected = "unknown flag `new_checkout`, and none has a name like it: declare it when the flags are made";
    assert_eq!((far.nearest, far.to_string().as_str()), (None, expected));
}

#[test]
fn a_read_by_name_follows_every_change_and_an_unknown_name_is_off() {
    let flags = flags();
    let read = |name| flags.enabled_named(name);
    assert_eq!((read("use_shared_registry"), read("use_event_dedup"), read("use_event_dedupe")), (true, false, false));
    flags.change("alice", "test").off(&SHARED).on(&DEDUP).apply(soon()).expect("they are free");
    assert_eq!((read("use_shared_registry"), read("use_event_dedup"), read("use_event_dedupe")), (false, true, false));
    let guard = flags.override_for_test(&SHARED, true).expect("it is declared");
    assert!(read("use_shared_registry"));
    drop(guard);
    assert!(!read("use_shared_registry"));
}

#[test]
fn reads_of_flags_that_are_not_declared_say_the_default_and_are_counted() {
    let flags = flags();
    let target = Target::id("user-42");
    let declared = [
        flags.enabled(&SHARED),
        flags.enabled_for(&SHARED, "user-42"),
        flags.enabled_for_target(&SHARED, &target),
        flags.enabled_named("use_shared_registry"),
        flags.gate(&SHARED).enabled(),
        flags.view().enabled(&SHARED),
        flags.view().enabled_for(&SHARED, "user-42"),
    ];
    assert_eq!((declared, flags.status().undeclared_reads), ([true; 7], 0));
    for (flag, reads) in [(UNKNOWN_ON, 7), (UNKNOWN_OFF, 14)] {
        let gate = flags.gate(&flag);
        let undeclared = [
            flags.enabled(&flag),
            flags.enabled_for(&flag, "user-42"),
            flags.enabled_for_target(&flag, &target),
            gate.enabled(),
            gate.enabled(),
            gate.enabled_for("user-42"),
            flags.view().enabled(&flag),
            flags.view().enabled_for(&flag, "user-42"),
        ];
        assert!(!flags.enabled_named(flag.name()));
        assert_eq!(undeclared, [flag.default(); 8]);
        assert_eq!(flags.status().undeclared_reads, reads, "the gate once, when it was made");
    }
    assert!(flags.status().to_string().ends_with("; reads of undeclared flags: 14"), "{}", flags.status());
}

#[test]
fn strict_reads_of_flags_that_are_not_declared_are_errors_and_not_counted() {
    let flags = flags();
    let (strict, target) = (flags.strict(), Target::id("user-42"));
    for (flag, on) in [(SHARED, true), (DEDUP, false)] {
        let read = [
            strict.enabled(&flag),
            strict.enabled_for(&flag, "user-42"),
            strict.enabled_for_target(&flag, &target),
            strict.enabled_named(flag.name()),
        ];
        assert_eq!(read, [Ok(on), Ok(on), Ok(on), Ok(on)]);
    }
    for (flag, nearest) in [(UNKNOWN_ON, Some("use_event_dedup")), (UNKNOWN_OFF, None)] {
        let unknown = Err(UnknownFlag { name: flag.name().into(), nearest });
        assert_eq!(strict.enabled(&flag), unknown);
        assert_eq!(strict.enabled_for(&flag, "user-42"), unknown);
        assert_eq!(strict.enabled_for_target(&flag, &target), unknown);
        assert_eq!(strict.enabled_named(flag.name()), unknown);
    }
    flags
        .change("alice", "ramp")
        .percent(&DEDUP, 100.0)
        .actor(&DEDUP, "user-42", false)
        .apply(soon())
        .expect("it is free");
    let reads = (strict.enabled(&DEDUP), strict.enabled_for(&DEDUP, "user-42"), strict.enabled_for(&DEDUP, "user-43"));
    assert_eq!(reads, (Ok(true), Ok(false), Ok(true)));
    assert_eq!(flags.status().undeclared_reads, 0);
}

#[test]
fn reads_of_undeclared_flags_by_many_threads_are_all_counted() {
    let flags = flags();
    let reads = |flags: Flags| move || (0..1_000_000).for_each(|_| _ = flags.enabled(&UNKNOWN_OFF));
    let threads: Vec<_> = (0..4).map(|_| spawn(reads(flags.clone()))).collect();
    threads.into_iter().for_each(join);
    assert_eq!(flags.status().undeclared_reads, 4_000_000);
}
