//! What another version of the program wrote about flags that this one has not.

use std::{fs, path::Path, sync::Arc};

use foundation_flags::{Flag, Flags, UNKNOWN_IN_FILE};
use foundation_testkit::TestUniverse;

use crate::file::{FREE, place, plan, soon, start};

const NEW: Flag = Flag::off("new_checkout");

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("it is there")
}

/// A version with one flag more: it is on, and held.
fn newer(file: &Path) {
    let flags = Flags::builder().flag(&FREE).flag(&NEW).plan(plan()).file(file).start().expect("there is no file yet");
    flags.change("alice", "ramp").on(&NEW).apply(soon()).expect("it is free");
    flags.hold(&NEW, "bob", "it leaks").expect("it is declared");
}

#[test]
fn the_version_before_starts_with_the_file_of_the_one_after_it_and_says_what_it_does_not_know() {
    let t = TestUniverse::new();
    let (_directory, file) = place();
    newer(&file);
    let capture = t.capture_telemetry(UNKNOWN_IN_FILE);
    let builder = Flags::builder().flag(&FREE).plan(plan()).file(&file).telemetry(t.telemetry());
    let older = builder.start().expect("nothing there is a mistake");
    let told = capture.take();
    assert_eq!(told.len(), 1, "once, however often it stands there");
    assert_eq!(older.status().unknown_in_file, [Arc::from("new_checkout")]);
    assert!(older.status().to_string().contains("; in the file, and not declared: new_checkout"), "{}", older.status());

    older.hold(&FREE, "bob", "it leaks").expect("it is declared");
    older.release(&FREE, "bob", "mended", soon()).expect("it is held");
    older.reset_all("bob", "x", soon()).expect("nothing is said");
    fs::write(&file, text(&file).replace("[flags]\n", "[flags]\nfree = true\n")).expect("there is room");
    older.reload("dora", soon()).expect("it is well formed").expect("it says something else");
    let written = text(&file);
    assert!(written.contains("new_checkout = true") && written.contains("held = [\"new_checkout\"]"), "{written}");
    fs::write(&file, written.replace("free = true\n", "free = false # no\n")).expect("there is room");
    older.rollback_to(0, "bob", "x").expect_err("it is at 0");
    older.emergency_rollback("all is lost");
    assert_eq!(older.status().file_error, None, "it is entered into what the person wrote");
    older.reload("dora", soon()).expect("it is well formed").expect("it says something else");

    let newer = Flags::builder().flag(&FREE).flag(&NEW).plan(plan()).file(&file).start().expect("it was written well");
    assert_eq!((newer.status().held, newer.status().unknown_in_file), (vec!["new_checkout"], vec![]));
    newer.release(&NEW, "bob", "mended", soon()).expect("it is held");
    assert!(newer.enabled(&NEW), "what was said of it still stands there");
}

#[test]
fn what_a_person_adds_while_the_program_runs_has_to_be_declared() {
    let (_directory, file) = place();
    newer(&file);
    let older = start(&file).expect("nothing there is a mistake");
    for (from, to, problem) in [
        ("new_checkout = true", "new_checkout = true\nother_thing = true", "unknown flag `other_thing` in `flags`"),
        (
            "held = [\"new_checkout\"]",
            "held = [\"new_checkout\", \"other_thing\"]",
            "unknown flag `other_thing` in `held`",
        ),
    ] {
        let good = text(&file);
        assert!(good.contains(from), "{from} in {good}");
        fs::write(&file, good.replacen(from, to, 1)).expect("there is room");
        let refused = older.reload("dora", soon()).expect_err("it may be a mistake").to_string();
        assert!(refused.contains(problem), "{refused}");
        fs::write(&file, good).expect("there is room");
        assert_eq!(older.reload("dora", soon()), Ok(None));
    }
    let without = text(&file).replace("new_checkout = true\n", "").replace("held = [\"new_checkout\"]\n", "");
    fs::write(&file, without).expect("there is room");
    assert_eq!(older.reload("dora", soon()), Ok(None));
    assert_eq!(older.status().unknown_in_file, []);
}
