//! Cut at each byte and each step of a write, a file that is loaded is the old state or the new one.

use std::{fs, io, path::Path, sync::Arc, time::SystemTime};

use foundation_sync::{Clock, Deadline, Mutex, file::Step};

use crate::{Change, Flag, Flags, MigrationPlan, Rule};

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");
const FREE: Flag = Flag::off("free");

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
}

fn start(file: &Path) -> Flags {
    let plan = MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B]).without_waiting();
    Flags::builder().flag(&FREE).plan(plan).file(file).start().expect("the file is whole")
}

type Seen = (u64, usize, Option<SystemTime>, Vec<&'static str>, Vec<Arc<Rule>>, Vec<Arc<Change>>);

/// All that is written down.
fn seen(flags: &Flags) -> Seen {
    let status = flags.status();
    let rules = status.flags.iter().map(|flag| Arc::clone(&flag.rule)).collect();
    // Before anything is decided it is the start.
    let since = (status.version > 0).then_some(status.since);
    (status.version, status.stage, since, status.held, rules, flags.history())
}

/// What somebody finds who starts now. Nothing is written for that.
fn found(directory: &Path) -> Seen {
    seen(&start(&directory.join("flags.toml")))
}

type Decide = fn(&Flags, &Path);

/// Each decision, of a name; every one changes something else in the file.
const DECISIONS: [(&str, Decide); 6] = [
    ("advance", |flags, _| _ = flags.advance_to(1, "alice", "day 1", soon())),
    ("change", |flags, _| {
        _ = flags.change("carol", "try").percent(&FREE, 25.0).actor(&FREE, "user-42", true).apply(soon())
    }),
    ("hold", |flags, _| _ = flags.hold(&B, "bob", "it leaks")),
    ("reload", |flags, file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        fs::write(file, text.replace("25 %", "50 %")).expect("there is room");
        _ = flags.reload("dora", soon());
    }),
    ("undo", |flags, _| _ = flags.undo(4, "carol", "no", soon())),
    ("emergency", |flags, _| _ = flags.emergency_rollback("all is lost")),
];

#[test]
fn a_cut_at_any_byte_and_any_step_of_any_decision_leaves_the_old_state_or_the_new_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let flags = start(&file);
    for (name, decide) in DECISIONS {
        let cuts = Arc::new(Mutex::new(Vec::new()));
        let (place, takes) = (directory.path().to_owned(), Arc::clone(&cuts));
        flags.0.store.during.look(move |step| {
            let found = found(&place);
            takes.lock().push((step, found));
            Ok(())
        });
        let old = seen(&flags);
        decide(&flags, &file);
        let new = seen(&flags);
        flags.0.store.during.end();
        assert_eq!(new.0, old.0 + 1, "{name} was decided");
        let cuts = std::mem::take(&mut *cuts.lock());
        let bytes = fs::read(&file).expect("it is there").len();
        assert_eq!(cuts.iter().filter(|(step, _)| step.is_none()).count(), bytes, "{name}: all that stands there now");
        for (step, found) in cuts {
            let replaced = matches!(step, Some(Step::Renamed | Step::DirectorySynchronised));
            if name == "reload" && !replaced {
                // What the person wrote says it without the decision.
                assert_eq!((found.0, &found.4), (old.0, &new.4), "{name} cut after {step:?}");
            } else {
                assert_eq!(&found, if replaced { &new } else { &old }, "{name} cut after {step:?}");
            }
        }
        assert_eq!(found(directory.path()), new, "{name}");
    }
}

#[test]
fn a_full_disk_at_any_byte_or_any_step_is_an_error_and_the_file_stays_or_is_the_new_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let flags = start(&file);
    flags.change("carol", "try").percent(&FREE, 25.0).apply(soon()).expect("it is free");
    let old = seen(&flags);
    let mut fails_at = 0;
    loop {
        let left = Arc::new(Mutex::new(fails_at));
        let counts = Arc::clone(&left);
        let fail = move |_| {
            let mut left = counts.lock();
            *left -= 1;
            if *left == -1 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        };
        flags.0.store.during.look(fail);
        let refused = flags.advance_to(1, "alice", "day 1", soon());
        flags.0.store.during.end();
        if refused.is_ok() {
            assert_eq!(*left.lock(), 0, "every byte and every step failed once");
            break;
        }
        // What is published was written again, if the new file stood there.
        assert_eq!((seen(&flags), found(directory.path())), (old.clone(), old.clone()), "failed at {fails_at}");
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1, "nothing is left beside");
        fails_at += 1;
    }
    assert!(fails_at > 300, "{fails_at}");
    assert_eq!(found(directory.path()), seen(&flags));
}

#[test]
fn a_rollback_that_no_disk_takes_is_done_all_the_same_and_is_reported_and_written_when_there_is_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let flags = start(&directory.path().join("flags.toml"));
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    let old = seen(&flags);
    for fails in [Step::Created, Step::Written, Step::Synchronised, Step::Renamed, Step::DirectorySynchronised] {
        flags.0.store.during.look(move |step| match step {
            Some(step) if step == fails => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        });
        flags.emergency_rollback("all is lost");
        flags.0.store.during.end();
        assert!(!flags.enabled(&A));
        let error = flags.status().file_error.expect("it is reported");
        assert!(error.contains("no storage space"), "{error}");
        let late = matches!(fails, Step::Renamed | Step::DirectorySynchronised);
        let there = found(directory.path());
        assert!(there == if late { seen(&flags) } else { old.clone() }, "failed at {fails:?}: {there:?}");
        if late {
            break;
        }
    }
    flags.advance_to(1, "alice", "there is room", soon()).expect("it is next");
    assert_eq!((flags.status().file_error, found(directory.path())), (None, seen(&flags)));
}
