//! What the program keeps in the file besides what is said of flags, and a person who saves something else there.

use std::{fs, path::Path};

use foundation_flags::{ChangeError, Flags, Source};

use crate::{
    file::{A, B, FREE, place, start},
    soon,
};

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("it is there")
}

#[track_caller]
fn refused(flags: &Flags, file: &Path, text: &str) -> String {
    fs::write(file, text).expect("there is room");
    let refused = flags.reload("dora", soon()).expect_err("it can't be taken up");
    assert!(matches!(refused, ChangeError::FileText(_)), "{refused:?}");
    assert_eq!(self::text(file), text, "it is as the person left it");
    refused.to_string()
}

/// It is another file after each write of the program's.
#[cfg(unix)]
fn identity(file: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(file).expect("it is there"))
}

#[test]
fn an_old_copy_does_not_take_back_what_was_decided_since() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.change("alice", "ramp").on(&FREE).apply(soon()).expect("it is free");
    let copy = format!("# a comment\n{}", text(&file));
    flags.change("bob", "it burns").off(&FREE).apply(soon()).expect("it is free");
    let problem = "flags.toml:4:11: it was made after decision 1, and the last one is 2: look at what has changed since, \
                   then put `version = 2` there, or leave the line out; ";
    let said = refused(&flags, &file, &copy);
    assert!(said.contains(problem), "{said}");
    // What is entered into it does not make a new one of it.
    flags.hold(&A, "bob", "it burns, too").expect("it is the plan's");
    assert!(text(&file).contains("held = [\"a\"]"), "{}", text(&file));
    let held = text(&file);
    let said = refused(&flags, &file, &held);
    assert!(said.contains("after decision 1, and the last one is 3"), "{said}");
    assert!(!flags.enabled(&FREE));

    fs::write(&file, held.replacen("version = 1\n", "", 1)).expect("there is room");
    flags.reload("dora", soon()).expect("it does not say when it was made").expect("it says something else");
    assert!(flags.enabled(&FREE) && text(&file).contains("version = 4\n"), "{}", text(&file));
    let copy = text(&file).replacen("# a comment\n", "", 1);
    flags.change("bob", "it burns").off(&FREE).apply(soon()).expect("it is free");
    fs::write(&file, copy.replacen("version = 4", "version = 5", 1)).expect("there is room");
    flags.reload("dora", soon()).expect("somebody has looked").expect("it says something else");
    assert!(flags.enabled(&FREE));
    let again = start(&file).expect("it was written well");
    assert_eq!(again.history(), flags.history());
}

#[test]
fn a_file_that_is_behind_is_no_old_copy() {
    let (directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.change("alice", "ramp").on(&FREE).apply(soon()).expect("it is free");
    let kept = text(&file);
    fs::remove_dir_all(directory.path()).expect("it is there");
    flags.hold(&A, "bob", "it leaks").expect("it is the plan's");
    fs::create_dir(directory.path()).expect("its place is free");
    fs::write(&file, kept.replace("free = true", "free = false")).expect("there is room");
    flags.reload("dora", soon()).expect("nobody else has decided").expect("it says something else");
    assert!(!flags.enabled(&FREE) && text(&file).contains("held = [\"a\"]"), "{}", text(&file));
}

#[cfg(unix)]
#[test]
fn what_changes_nothing_is_taken_up_without_a_write_unless_something_of_the_record_is_missing() {
    for (from, to, writes) in [
        ("version", "# mine\nversion", false),
        ("rollbacks = 0\n", "", false),
        ("version = 3\n", "", true),
        ("stage = 1\n", "", true),
        ("held = [\"free\"]\n", "", true),
        ("held = [\"b\"]\n", "", true),
    ] {
        let (_directory, file) = place();
        let flags = start(&file).expect("there is no file yet");
        flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
        flags.hold(&FREE, "bob", "it leaks").expect("it is declared");
        flags.hold(&B, "bob", "it leaks, too").expect("it is the plan's");
        let good = text(&file);
        assert!(good.contains(from), "{from} in {good}");
        fs::write(&file, good.replacen(from, to, 1)).expect("there is room");
        let before = identity(&file);
        assert_eq!(flags.reload("dora", soon()), Ok(None), "{from}");
        assert_eq!(identity(&file) != before, writes, "{from}");
        assert_eq!((flags.status().held, flags.status().file_edited), (vec!["free", "b"], false));
        let again = start(&file).expect("it is whole").status();
        assert_eq!((again.version, again.stage, again.held), (3, 1, vec!["free", "b"]), "{from}");
        flags.release(&FREE, "bob", "mended", soon()).expect("nothing is left to be reloaded");
        assert_eq!((text(&file).contains("# mine\n"), text(&file).contains("rollbacks = 0")), (!to.is_empty(), true));
    }
}

#[test]
fn two_programs_that_have_one_file_by_mistake_do_not_write_it_for_ever() {
    let (_directory, file) = place();
    let (one, other) = (start(&file).expect("there is no file yet"), start(&file).expect("there is no file yet"));
    one.change("alice", "ramp").on(&FREE).apply(soon()).expect("it is free");
    // As they would, each when it hears of the other's writing.
    let written = text(&file);
    for _ in 0..3 {
        assert!(matches!(other.reload("the file", soon()), Err(ChangeError::FileText(_))), "it has decided nothing");
        assert_eq!(one.reload("the file", soon()), Ok(None));
        assert_eq!(text(&file), written);
    }
    // Also where they have decided as often.
    let again = start(&file).expect("it was written well");
    again.change("alice", "x").on(&FREE).apply(soon()).expect("it is free");
    let another = text(&file);
    fs::write(&file, &written).expect("there is room");
    one.change("carol", "y").on(&FREE).apply(soon()).expect("it is free");
    fs::write(&file, &another).expect("there is room");
    let history = one.history();
    for _ in 0..3 {
        for program in [&one, &again] {
            assert_eq!(program.reload("the file", soon()), Ok(None));
            assert_eq!(text(&file), another);
        }
    }
    assert_eq!((one.history(), one.status().flags[0].source), (history, Source::RunTime));
}
