//! What is written down, and found again.

use std::{fs, path::PathBuf};

use foundation_flags::{
    ChangeError, FILE_FAILED, Flag, Flags, MigrationPlan, Rule, STAGE_ENABLED, Source, StartError, Status, What,
};
use foundation_testkit::TestUniverse;
use tempfile::TempDir;

use crate::soon;

pub(crate) const A: Flag = Flag::off("a");
pub(crate) const B: Flag = Flag::off("b");
pub(crate) const FREE: Flag = Flag::off("free");

pub(crate) fn plan() -> MigrationPlan {
    MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B]).without_waiting()
}

pub(crate) fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    (directory, file)
}

pub(crate) fn start(file: &PathBuf) -> Result<Flags, StartError> {
    Flags::builder().flag(&FREE).plan(plan()).file(file).start()
}

#[test]
fn flags_stage_holds_and_history_survive_a_restart() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    assert!(!file.exists(), "nothing was decided yet");
    flags.advance_to(1, "alice", "day \"1\"\n", soon()).expect("it is next");
    flags.hold(&B, "bob", "it leaks").expect("it is the plan's");
    flags.advance_to(2, "alice", "day 2", soon()).expect("it is next");
    flags.rollback_to(1, "alice", "no").expect("it is lower");
    flags.change("carol", "try").on(&FREE).apply(soon()).expect("it is free");
    let again = start(&file).expect("it was written well");
    let status = again.status();
    let read = |status: &Status| {
        (status.to_string(), status.since, status.flags.iter().map(|flag| Rule::clone(&flag.rule)).collect::<Vec<_>>())
    };
    assert_eq!(read(&status), read(&flags.status()));
    assert_eq!(status.flags[0].source, Source::File);
    let said = |flags: &Flags| flags.history().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(said(&again), said(&flags));
    assert!(again.enabled(&A) && !again.enabled(&B) && again.enabled(&FREE));
    let next = again.advance_to(2, "alice", "day 3", soon()).expect("it is next");
    assert_eq!((next.version, next.what), (6, What::Advanced { from: 1, to: 2 }));
    assert!(!again.enabled(&B), "it is still held");
}

#[test]
fn what_a_person_wrote_into_the_file_stays() {
    let (_directory, file) = place();
    let text = "# ask Alice before you touch this\nversion = 3 # three\n\n[flags]\n# since spring\nfree = true # for good\n\n[other]\nthing = 1\n";
    fs::write(&file, text).expect("it can be written");
    let flags = start(&file).expect("it is well formed");
    assert!(flags.enabled(&FREE));
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    let text = fs::read_to_string(&file).expect("it is there");
    for kept in
        ["# ask Alice before", "version = 4 # three", "# since spring\nfree = true # for good", "[other]\nthing = 1"]
    {
        assert!(text.contains(kept), "{kept} in {text}");
    }
}

#[test]
fn after_a_restart_only_what_is_decided_then_is_told() {
    let t = TestUniverse::new();
    let (_directory, file) = place();
    let first = start(&file).expect("there is no file yet");
    first.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    // A version that was lost is not counted from anew.
    let text = fs::read_to_string(&file).expect("it is there").replacen("version = 1\n", "", 1);
    fs::write(&file, text).expect("it can be written");
    let again = Flags::builder().plan(plan()).flag(&FREE).file(&file).telemetry(t.telemetry()).start().expect("it is");
    let capture = t.capture_telemetry(STAGE_ENABLED);
    let next = again.advance_to(2, "alice", "day 2", soon()).expect("it is next");
    assert_eq!((next.version, capture.take().len()), (2, 1));
}

#[test]
fn a_file_of_an_older_program_is_taken_up_as_far_as_it_goes() {
    let (_directory, file) = place();
    let history = |what: &str| {
        format!("[[history]]\nversion = 1\nat = \"2026-01-01T00:00:00Z\"\nby = \"x\"\nwhy = \"y\"\n{what}\n")
    };
    let held = history("what = \"held\"\nflag = \"gone\"");
    let text = format!("[migration]\nplan = \"p\"\nstage = 1\n\n# what was decided\n{held}");
    fs::write(&file, text).expect("it can be written");
    let flags = start(&file).expect("a decision about a flag that is gone is forgotten, and so is a date");
    assert_eq!((flags.status().stage, flags.history().len()), (1, 0));
    flags.advance_to(2, "alice", "day 2", soon()).expect("it is next");
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.contains("# what was decided\n[[history]]"), "{text}");
}

#[test]
fn what_can_not_be_written_down_is_not_done_but_a_rollback_is() {
    let t = TestUniverse::new();
    let (directory, file) = place();
    let builder = Flags::builder().flag(&FREE).plan(plan()).file(&file).telemetry(t.telemetry());
    let flags = builder.start().expect("there is no file yet");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    let capture = t.capture_telemetry(FILE_FAILED);
    fs::remove_dir_all(directory.path()).expect("it is there");
    let refused = flags.advance_to(2, "alice", "day 2", soon()).expect_err("there is no place to write");
    assert!(matches!(&refused, ChangeError::File(error) if error.contains("flags.toml")), "{refused}");
    assert_eq!((flags.status().stage, flags.enabled(&B)), (1, false));
    flags.rollback_to(0, "alice", "the disk is gone").expect("it is lower");
    assert_eq!((flags.status().stage, flags.enabled(&A)), (0, false));
    assert!(flags.status().to_string().contains("NOT WRITTEN DOWN"), "{}", flags.status());
    assert!(!capture.take().is_empty(), "it is reported");
    fs::create_dir(directory.path()).expect("its place is free");
    flags.advance_to(1, "alice", "the disk is back", soon()).expect("it is next");
    assert_eq!(flags.status().file_error, None);
}
