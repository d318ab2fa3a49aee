//! What a person has changed in the file is taken up while others decide. The file itself is a real one.

use std::{fs, path::Path, sync::Arc};

use foundation_flags::{ChangeError, Flag, Flags, MigrationPlan, What};
use foundation_sync::{Deadline, Mutex};
use foundation_testkit::{explore, join, reached, spawn};

const A: Flag = Flag::off("a");
const FREE: Flag = Flag::off("free");
const OTHER: Flag = Flag::off("other");

fn start(file: &Path) -> Flags {
    let plan = MigrationPlan::new("p").stage("one", &[A]);
    Flags::builder().flag(&FREE).flag(&OTHER).plan(plan).file(file).start().expect("the file is well formed")
}

/// At stage 1, and then a person has turned a flag on.
fn edited(file: &Path) -> Flags {
    _ = fs::remove_file(file);
    let flags = start(file);
    flags.advance_to(1, "alice", "x", Deadline::never()).expect("it is next");
    let text = fs::read_to_string(file).expect("it was written");
    fs::write(file, text + "[flags]\nfree = true\n").expect("there is room");
    flags
}

/// What is found by whoever starts again is what is published.
#[track_caller]
fn check_written(flags: &Flags, file: &Path) {
    let (again, view) = (start(file), flags.view());
    assert_eq!(
        (again.view().version(), again.view().stage(), again.history()),
        (view.version(), view.stage(), flags.history())
    );
    for flag in [A, FREE, OTHER] {
        assert_eq!(
            (again.enabled(&flag), flags.enabled(&flag)),
            (view.enabled(&flag), view.enabled(&flag)),
            "{flag:?}"
        );
    }
}

#[test]
fn an_emergency_stands_against_a_reload_and_nothing_of_the_persons_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    explore("an emergency stands against a reload and nothing of the person's is lost")
        .reaches(&["reload: made once more", "the reload was first", "the emergency was first"])
        .catches(&["reload: what never was is taken up", "desk: the note is not looked for"])
        .run(move || {
            let flags = edited(&file);
            let rolls_back = flags.clone();
            let other = spawn(move || _ = rolls_back.emergency_rollback("all is lost"));
            let change = flags.reload("dora", Deadline::never()).expect("it is well formed");
            let change = change.expect("it says something else");
            join(other);
            assert_eq!(change.what, What::Reloaded);
            match change.version {
                2 => reached!("the reload was first"),
                _ => reached!("the emergency was first"),
            }
            assert!(flags.enabled(&FREE) && !flags.enabled(&A));
            assert_eq!((flags.view().stage(), flags.status().file_edited), (0, false));
            check_written(&flags, &file);
        });
}

#[test]
fn a_change_is_refused_until_the_reload_is_done_or_comes_after_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    explore("a change is refused until the reload is done, or comes after it")
        .reaches(&["the change came after the reload", "the change was refused"])
        .catches(&["store: what a person changed is not looked for"])
        .run(move || {
            let flags = edited(&file);
            let (changes, result) = (flags.clone(), Arc::new(Mutex::new(None)));
            let place = Arc::clone(&result);
            let other = spawn(move || {
                let changed = changes.change("carol", "x").on(&OTHER).apply(Deadline::never());
                *place.lock() = Some(changed.map(|change| change.version));
            });
            let change = flags.reload("dora", Deadline::never()).expect("it is well formed");
            assert_eq!(change.expect("it says something else").version, 2, "whoever was refused has decided nothing");
            join(other);
            match result.lock().take() {
                Some(Ok(3)) => reached!("the change came after the reload"),
                Some(Err(ChangeError::FileChanged(_))) => reached!("the change was refused"),
                other => panic!("{other:?}"),
            }
            assert!(flags.enabled(&FREE));
            check_written(&flags, &file);
        });
}
