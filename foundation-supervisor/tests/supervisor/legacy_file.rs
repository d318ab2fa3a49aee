//! A migration that outlives the program.

use std::fs;

use foundation_flags::{StartError, USE_SHARED_REGISTRY};
use foundation_supervisor::Foundation;
use foundation_sync::SECONDS_5;

#[test]
fn a_universe_goes_on_at_the_stage_that_the_file_says_with_its_services_switched() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("migration.toml");
    let start = || Foundation::builder().without_waiting().start_from_legacy_file(&file).expect("it is well");
    let universe = start();
    let flags = universe.migration().expect("it started from the old ones");
    assert_eq!((flags.status().stage, universe.registry().switch().is_on()), (0, false));
    for stage in [1, 2] {
        flags.advance_to(stage, "alice", "next", universe.within(SECONDS_5)).expect("it is next");
    }
    assert!(universe.stop(SECONDS_5).ended);
    let universe = start();
    let flags = universe.migration().expect("it started from the old ones");
    assert_eq!((flags.status().stage, flags.enabled(&USE_SHARED_REGISTRY)), (2, true), "as it was left");
    assert!(universe.registry().switch().is_on() && !universe.contexts().switch().is_on());
    flags.emergency_rollback("lost");
    assert!(universe.stop(SECONDS_5).ended);
    assert_eq!(start().migration().expect("it started from the old ones").status().stage, 0);
}

#[test]
fn a_file_that_is_refused_starts_nothing_and_says_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("migration.toml");
    fs::write(&file, "[migration]\nplan = \"foundation\"\nstage = 9\n").expect("it can be written");
    let refused = Foundation::builder().start_from_legacy_file(&file).map(drop).expect_err("there are five stages");
    assert!(matches!(refused, StartError::File { .. }));
    assert!(refused.to_string().contains("migration.toml"), "{refused}");
    assert!(refused.to_string().contains('9'), "{refused}");
}
