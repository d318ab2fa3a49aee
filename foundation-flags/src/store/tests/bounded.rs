//! How much of the history stands in the file.

use std::{fs, path::Path};

use foundation_sync::{Clock, Deadline};

use crate::{Flag, Flags};

const FREE: Flag = Flag::off("free");
const GONE: Flag = Flag::off("gone");
const ENTRY: &str = "at = \"2026-01-01T00:00:00Z\"\nby = \"x\"\nwhy = \"y\"\n";

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
}

fn start(file: &Path) -> Flags {
    Flags::builder().flag(&FREE).file(file).start().expect("the file is whole")
}

fn entries(file: &Path) -> usize {
    fs::read_to_string(file).expect("it is there").matches("[[history]]").count()
}

/// Says something about this many actors, in turns.
fn say(flags: &Flags, flag: &Flag, actors: usize, on: bool) {
    let change = (0..actors).fold(flags.change("x", "y"), |change, actor| change.actor(flag, &actor.to_string(), on));
    change.apply(soon()).expect("it is free");
}

#[test]
fn the_file_remembers_no_more_than_the_program_however_much_its_decisions_say() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let flags = start(&file);
    for turn in 0..12 {
        say(&flags, &FREE, 1000, turn % 2 == 0);
        assert_eq!(entries(&file), flags.history().len());
    }
    assert_eq!(flags.history().len(), 10);
    assert_eq!(start(&file).history(), flags.history());
}

#[test]
fn what_decisions_said_about_flags_that_are_gone_counts_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let both = Flags::builder().flag(&FREE).flag(&GONE).file(&file).start().expect("there is no file yet");
    (0..10).for_each(|turn| say(&both, &GONE, 1000, turn % 2 == 0));
    both.change("x", "y").reset(&GONE).apply(soon()).expect("it is free");
    let flags = start(&file);
    for turn in 0..9 {
        say(&flags, &FREE, 1000, turn % 2 == 0);
    }
    assert_eq!(entries(&file), 10, "and no more than are remembered of others");
    // A file that says more than that, as one of an older program may, is read as far as it is remembered.
    let said = "{ flag = \"free\", after = true },".repeat(6000);
    let entry = |version: u64| format!("[[history]]\nversion = {version}\n{ENTRY}what = \"set\"\nsaid = [{said}]\n");
    fs::write(&file, format!("{}{}{}", entry(1), entry(2), entry(3))).expect("there is room");
    assert_eq!(start(&file).history().len(), 1);
}

#[test]
fn a_decision_about_a_flag_that_is_gone_stays_also_if_it_is_the_last_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let held = format!("# mine\n[[history]]\nversion = 6\n{ENTRY}what = \"held\"\nflag = \"gone\"\n");
    fs::write(&file, &held).expect("there is room");
    let flags = start(&file);
    fs::write(&file, format!("[flags]\nfree = true\n{held}")).expect("there is room");
    flags.reload("dora", soon()).expect("it is well formed").expect("it says something");
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.contains(&held) && text.contains("version = 7"), "{text}");
    // One that was never made goes: another decision came in between. So does one that the program does not remember.
    let never = format!("\n[[history]]\nversion = 9\n{ENTRY}what = \"held\"\nflag = \"gone\"\n");
    let forgotten = format!("[[history]]\nversion = 3\n{ENTRY}what = \"set\"\n\n");
    fs::write(&file, format!("{text}{never}")).expect("there is room");
    flags.change("x", "y").off(&FREE).apply(soon()).expect_err("it was changed by hand");
    let edited = text.replace("free = true", "free = false").replacen("# mine", &format!("# mine\n{forgotten}"), 1);
    fs::write(&file, format!("{edited}{never}")).expect("there is room");
    flags.reload("dora", soon()).expect("it is well formed").expect("it says something");
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.contains(&held) && !text.contains("version = 9") && !text.contains("version = 3"), "{text}");
}
