//! What is written down, and found again.

use std::{fs, path::PathBuf};

use foundation_flags::{
    ChangeError, FILE_FAILED, Flag, Flags, MigrationPlan, Rule, STAGE_ENABLED, Source, StartError, Status, What,
};
use foundation_sync::{Clock, Deadline};
use foundation_testkit::TestUniverse;
use tempfile::TempDir;

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");
const FREE: Flag = Flag::off("free");

fn plan() -> MigrationPlan {
    MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B])
}

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    (directory, file)
}

fn start(file: &PathBuf) -> Result<Flags, StartError> {
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
fn a_file_that_can_not_be_taken_up_is_refused_with_its_place_what_is_wrong_and_what_would_be_right() {
    let (_directory, file) = place();
    let history = |rest: &str| {
        let first = "version = 1\nat = \"2026-01-01T00:00:00Z\"\nby = \"x\"\nwhy = \"y\"\n";
        format!("[[history]]\n{first}{rest}\n")
    };
    let set = |rest: &str| history(&format!("what = \"set\"\n{rest}"));
    let migration = |rest: &str| format!("[migration]\nplan = \"p\"\n{rest}\n");
    let table = [
        ("version = \n".to_owned(), ":1:11: string values must be quoted"),
        ("version = 1\n\n  [flags\n".into(), ":3:9: unclosed table"),
        ("[flags]\nfree = true\nfree = false\n".into(), ":3:1: duplicate key"),
        ("version = -1\n".into(), ":1:11: `version` is -1, and ought to be a whole number from 0 to"),
        ("version = 9007199254740993\n".into(), ":1:11: `version` is 9007199254740993, and ought to be"),
        ("version = 99999999999999999999\n".into(), ":1:11: integer number overflowed"),
        ("version = \"1\"\n".into(), ":1:11: `version` is the text \"1\", and ought to be a whole number"),
        ("flags = 3\n".into(), ":1:9: `flags` is 3, and ought to be a table"),
        ("[flags]\nfre = true\n".into(), ":2:1: unknown flag `fre` in `flags`, did you mean `free`?; or remove its line"),
        ("[flags]\nfree = { actors = { \"ü\" = 1 } }\n".into(), ":2:27: `ü` is 1, and ought to be true or false"),
        ("[flags]\n  \"ünlike\" = true\n".into(), ":2:3: unknown flag `ünlike` in `flags`, there are free; or remove"),
        ("[flags]\nfree = 1\n".into(), ":2:8: `free` is 1, and ought to be true, false, or a percentage such as \"25 %\"; or"),
        ("[flags]\nfree = \"25\"\n".into(), ":2:8: `free` is the text \"25\", and ought to be"),
        ("[flags]\nfree = \"101 %\"\n".into(), ":2:8: `free` is the text \"101 %\""),
        ("[flags]\nfree = { everbody = true }\n".into(), ":2:10: unknown key `everbody` in `free`, did you mean `everybody`?"),
        ("[flags]\nfree = { everybody = [] }\n".into(), ":2:22: `everybody` is a list, and ought to be true"),
        ("[flags.free]\nactors = true\n".into(), ":2:10: `actors` is true, and ought to be a table"),
        ("[flags.free.actors]\nme = \"10 %\"\n".into(), ":2:6: `me` is the text \"10 %\", and ought to be true or false"),
        ("[flags]\na = true\n".into(), ":2:1: the flag `a` is the plan's, and its stage decides: remove its line"),
        ("[flag]\nfree = true\n".into(), ":1:2: `flag` is near `flags`: did you mean that? If not, give it another name"),
        ("[migrations]\nstage = 1\n".into(), ":1:2: `migrations` is near `migration`"),
        ("a = 1\n\n[[histroy]]\nversion = 1\n".into(), ":3:3: `histroy` is near `history`"),
        ("verson = 3\n".into(), ":1:1: `verson` is near `version`"),
        (migration("stage = 3"), ":3:9: it is at stage 3, and the plan has 2"),
        (migration("stage = -1"), ":3:9: `stage` is -1, and ought to be a whole number"),
        (migration("stag = 1"), ":3:1: unknown key `stag` in `migration`, did you mean `stage`?"),
        (migration("since = 3"), ":3:9: `since` is 3, and ought to be a date and time such as"),
        (migration("since = \"yesterday\""), ":3:9: `since` is the text \"yesterday\", and ought to be a date"),
        (migration("held = \"b\""), ":3:8: `held` is the text \"b\", and ought to be a list of texts"),
        (migration("held = [\"b\", 3]"), ":3:8: `held` is a list, and ought to be a list of texts"),
        (migration("held = [\"b\", \"c\"]"), ":3:14: unknown flag `c` in `held`, there are a, b"),
        (migration("held = [\"b\", \"b\"]"), ":3:14: `b` is held twice: remove one of them"),
        ("[migration]\nplan = \"other\"\n".into(), ":2:8: it is of the plan `other`, not of `p`"),
        ("[migration]\nstage = 1\n".into(), ":2:1: `plan` is missing in `migration`"),
        ("history = true\n".into(), ":1:11: `history` is true, and ought to be a list of tables: `[[history]]`"),
        ("history = [{}, 3]\n".into(), ":1:11: `history` is a list, and ought to be a list of tables"),
        (history("what = \"danced\""), ":6:8: the history says `danced`, which is no decision"),
        (history("what = \"advanced\"\nfrom = 1"), ":2:1: `to` is missing in `history`"),
        (history(""), ":2:1: `what` is missing in `history`"),
        ("[[history]]\nby = \"x\"\n".into(), ":2:1: `version` is missing in `history`"),
        (set("wat = 1"), ":7:1: unknown key `wat` in `history`, did you mean `what`?"),
        (set("turned = [\"free\"]"), ":7:11: `free` ought to be a flag and `on` or `off`"),
        (set("turned = \"free on\""), ":7:10: `turned` is the text \"free on\", and ought to be a list"),
        (set("said = [{ flag = \"free\", afer = true }]"), ":7:26: unknown key `afer` in `said`, did you mean `after`?"),
        (set("said = [{ flag = \"free\", after = 1 }]"), ":7:34: `after` is 1, and ought to be true"),
        (set("said = [{ flag = \"free\", actor = \"x\", node = \"y\" }]"), ":7:9: one actor, one group or one node"),
        (format!("{}{}", set(""), set("")), ":9:1: decision 1 stands after 1: the oldest comes first"),
    ];
    for (text, problem) in table {
        for (text, mark) in [(text.clone(), ""), (format!("\u{feff}{text}"), "marked"), (text.replace('\n', "\r\n"), "returns")]
        {
            fs::write(&file, &text).expect("it can be written");
            let refused = start(&file).map(drop).expect_err(&text).to_string();
            assert!(refused.contains(&format!("flags.toml{problem}")), "{mark} {text:?}: {refused}");
            assert!(refused.contains("; mend the file, or move it away"), "{refused}");
            assert_eq!(fs::read_to_string(&file).expect("it is there"), text, "and it is left as it is");
        }
    }
}

#[test]
fn what_is_no_file_of_flags_at_all_is_refused() {
    let (directory, file) = place();
    #[track_caller]
    fn check(file: &PathBuf, problem: &str) {
        let refused = start(file).map(drop).expect_err("it is no text").to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    check(&directory.path().to_owned(), "it is a directory: give the path of a plain file, or of none yet");
    fs::write(&file, b"version = 1\nx = \"\xff\"\n").expect("it can be written");
    check(&file, "flags.toml:2:6: here is a byte that is no text: save the file as UTF-8");
    fs::write(&file, "#".repeat((16 << 20) + 1)).expect("it can be written");
    check(&file, "it is longer than 16777216 bytes");
    check(&file.join("below"), "it can't be read");
    fs::remove_file(&file).expect("it is there");
    let made = std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo is there");
    assert!(made.success());
    check(&file, "it is a device, a pipe or a socket");
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
