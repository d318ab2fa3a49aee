//! A person who saves the file while the program writes it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use foundation_sync::{Clock, Deadline, file::Step};
use tempfile::TempDir;

use crate::{ChangeError, Flag, Flags, MigrationPlan, What};

const A: Flag = Flag::off("a");
const FREE: Flag = Flag::off("free");
const OTHER: Flag = Flag::off("other");

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
}

fn start(file: &Path) -> Flags {
    let plan = MigrationPlan::new("p").stage("one", &[A]);
    Flags::builder().flag(&FREE).flag(&OTHER).plan(plan).file(file).start().expect("the file is whole")
}

/// At stage 1, with the first flag on.
fn ramped() -> (TempDir, PathBuf, Flags) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let flags = start(&file);
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    flags.change("carol", "ramp").on(&FREE).apply(soon()).expect("it is free");
    (directory, file, flags)
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("it is there")
}

/// A person saves this as soon as the program has written the next `times`, and before each stands there.
fn saves(flags: &Flags, file: &Path, times: usize, edit: impl Fn(&str, usize) -> String + Send + 'static) {
    let (file, mut count) = (file.to_owned(), 0);
    flags.0.store.during.look(move |step| {
        if step == Some(Step::Written) && count < times {
            count += 1;
            fs::write(&file, edit(&text(&file), count))?;
        }
        Ok(())
    });
}

#[test]
fn what_is_saved_while_a_change_is_written_stays_and_the_change_is_refused() {
    let (_directory, file, flags) = ramped();
    saves(&flags, &file, 1, |text, _| text.replace("free = true", "free = false # it burns"));
    let refused = flags.change("carol", "more").on(&OTHER).apply(soon());
    assert!(matches!(refused, Err(ChangeError::FileChanged(_))), "{refused:?}");
    assert!(text(&file).contains("free = false # it burns") && !text(&file).contains("more"), "{}", text(&file));
    let status = flags.status();
    assert_eq!((status.version, status.file_edited, status.file_error), (2, true, None));
    flags.reload("dora", soon()).expect("it is well formed").expect("it says something else");
    assert!(!flags.enabled(&FREE) && !flags.enabled(&OTHER));
    assert_eq!(start(&file).history(), flags.history());
}

#[test]
fn what_is_saved_while_a_rollback_is_written_stays_and_the_rollback_is_entered_into_it() {
    let (_directory, file, flags) = ramped();
    saves(&flags, &file, 2, |text, count| text.replace("free = true", &format!("free = true # mine {count}")));
    flags.rollback_to(0, "alice", "no").expect("it is lower");
    let written = text(&file);
    for part in ["# mine 2", "# mine 1", "stage = 0", "what = \"rolled back\""] {
        assert!(written.contains(part), "{part} in {written}");
    }
    assert_eq!((flags.status().file_edited, flags.status().file_error), (true, None));
    assert_eq!(flags.reload("dora", soon()), Ok(None), "it says the same");
}

#[test]
fn what_is_saved_while_a_reload_is_written_is_what_is_taken_up() {
    let (_directory, file, flags) = ramped();
    fs::write(&file, text(&file).replace("free = true", "free = false")).expect("there is room");
    saves(&flags, &file, 1, |text, _| text.replace("free = false", "free = \"5 %\" # on second thoughts"));
    let change = flags.reload("dora", soon()).expect("it is well formed").expect("it says something else");
    assert_eq!((change.version, change.what, flags.history().len()), (3, What::Reloaded, 3));
    assert!(text(&file).contains("free = \"5 %\" # on second thoughts"), "{}", text(&file));
    assert_eq!((flags.status().file_edited, flags.status().reload_error), (false, None));
    assert_eq!(start(&file).history(), flags.history());
}

#[cfg(feature = "watch")]
#[test]
fn what_is_heard_of_while_a_change_is_under_way_is_looked_at_when_that_has_ended() {
    let (_directory, file, flags) = ramped();
    let (hears, path) = (flags.clone(), file.clone());
    flags.0.store.during.look(move |step| {
        if step != Some(Step::Written) || text(&path).contains("free = false") {
            return Ok(());
        }
        fs::write(&path, text(&path).replace("free = true", "free = false"))?;
        // It waits for nobody: not for the one that it is called by.
        hears.0.reload_or_note(&"the file".into());
        Err(std::io::ErrorKind::StorageFull.into())
    });
    let refused = flags.advance_to(1, "alice", "again", soon());
    assert!(refused.is_err(), "it is there already");
    let refused = flags.change("carol", "more").on(&OTHER).apply(soon());
    assert!(matches!(refused, Err(ChangeError::File(_))), "{refused:?}");
    assert!(!flags.enabled(&FREE) && !flags.enabled(&OTHER), "{}", text(&file));
    let last = flags.history().pop().expect("there are three");
    assert_eq!((last.version, last.what, &*last.by), (3, What::Reloaded, "the file"));
}

#[test]
fn who_saves_again_and_again_is_not_written_over_and_is_told_of() {
    let (_directory, file, flags) = ramped();
    let again = |text: &str, count: usize| format!("# {count}\n{text}");
    saves(&flags, &file, usize::MAX, again);
    flags.rollback_to(0, "alice", "no").expect("it is lower");
    let error = flags.status().file_error.expect("it is reported");
    assert!(error.contains("flags.toml is changed by hand again and again"), "{error}");
    assert!(text(&file).starts_with("# 4\n# 3\n# 2\n# 1\n") && text(&file).contains("stage = 1"), "{}", text(&file));
    saves(&flags, &file, usize::MAX, again);
    fs::write(&file, text(&file).replace("free = true", "free = false")).expect("there is room");
    let refused = flags.reload("dora", soon());
    assert!(matches!(refused, Err(ChangeError::FileChanged(_))), "{refused:?}");
    assert!(flags.enabled(&FREE) && flags.status().reload_error.is_some());
    flags.0.store.during.end();
    flags.reload("dora", soon()).expect("it is well formed").expect("it says something else");
    assert!(
        text(&file).contains("stage = 0") && text(&file).starts_with("# 4\n# 3\n# 2\n# 1\n# 4\n"),
        "{}",
        text(&file)
    );
}
