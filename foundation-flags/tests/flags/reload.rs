//! What a person changes in the file while the program runs.

use std::{fs, path::Path};

use foundation_flags::{
    ChangeError, FILE_FAILED, FILE_REFUSED, FLAG_CHANGED, Flags, Part, Percent, Setting, Source, Target, What,
};
use foundation_testkit::TestUniverse;

use crate::file::{A, B, FREE, place, plan, soon, start};

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("it is there")
}

/// What a person does.
#[track_caller]
fn edit(file: &Path, from: &str, to: &str) {
    let text = text(file);
    assert!(text.contains(from), "{from} in {text}");
    fs::write(file, text.replacen(from, to, 1)).expect("there is room");
}

#[test]
fn what_a_person_changes_is_taken_up_as_one_decision_and_can_be_undone_also_after_a_restart() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.change("carol", "try").percent(&FREE, 25.0).group(&FREE, "staff", true).apply(soon()).expect("it is free");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    edit(&file, "everybody = \"25 %\"", "everybody = \"50%\", actors = { \"user-42\" = false }");
    let change = flags.reload("dora", soon()).expect("it is well formed").expect("it says something else");
    assert_eq!((change.version, change.what, &*change.by), (3, What::Reloaded, "dora"));
    let said: Vec<_> = change.said.iter().map(|said| (said.part.clone(), said.before, said.after)).collect();
    let share = |percent| Some(Setting::Percent(Percent::new(percent).expect("it is one")));
    let expected =
        [(Part::Everybody, share(25.0), share(50.0)), (Part::Actor("user-42".into()), None, Some(Setting::Off))];
    assert_eq!(said, expected);
    assert!(flags.enabled_for_target(&FREE, &Target::id("user-7").groups(&["staff"])), "what it does not touch stays");
    assert_eq!((flags.status().stage, flags.status().flags[0].source), (1, Source::File));
    assert!(text(&file).contains("everybody = \"50%\""), "as the person wrote it: {}", text(&file));
    assert_eq!(flags.reload("dora", soon()), Ok(None), "once");

    let again = start(&file).expect("it was written well");
    assert_eq!(again.history(), flags.history());
    let undone = again.undo(3, "dora", "too early", soon()).expect("nothing was said since");
    assert_eq!(undone.what, What::Undone(3));
    assert!(text(&file).contains("everybody = \"25 %\""), "{}", text(&file));
    assert!(!text(&file).contains("actors = {"), "{}", text(&file));
}

#[test]
fn what_says_the_same_in_other_words_is_no_decision_and_is_kept() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.change("carol", "try").percent(&FREE, 25.0).apply(soon()).expect("it is free");
    edit(&file, "free = \"25 %\"", "# ask Carol\nfree = { everybody = '25.0%' } # for now");
    assert_eq!(flags.reload("dora", soon()), Ok(None));
    flags.advance_to(1, "alice", "day 1", soon()).expect("nothing is left to be reloaded");
    assert!(text(&file).contains("# ask Carol\nfree = { everybody = '25.0%' } # for now"), "{}", text(&file));
}

#[test]
fn a_line_that_is_taken_out_is_the_default_again() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.change("carol", "try").on(&FREE).apply(soon()).expect("it is free");
    edit(&file, "free = true\n", "free = {}\n");
    let change = flags.reload("dora", soon()).expect("it is well formed").expect("it says less");
    assert_eq!((change.said[0].before, change.said[0].after), (Some(Setting::On), None));
    assert!(!flags.enabled(&FREE));
    assert_eq!(flags.status().flags[0].source, Source::Default);
    let again = start(&file).expect("it is well formed");
    assert_eq!(again.status().flags[0].source, Source::Default, "nothing is said there: {}", text(&file));
}

#[test]
fn what_can_not_be_taken_up_is_refused_with_its_place_and_nothing_is_changed() {
    let t = TestUniverse::new();
    let (_directory, file) = place();
    let builder = Flags::builder().flag(&FREE).plan(plan()).file(&file).telemetry(t.telemetry());
    let flags = builder.start().expect("there is no file yet");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    let capture = t.capture_telemetry(FILE_REFUSED);
    let good = text(&file);
    let table = [
        ("stage = 1", "stage = ", ":7:9: "),
        (
            "stage = 1",
            "stage = 2",
            ":7:9: it is at stage 1, and no stage is changed by hand: put 1 back, then advance to it",
        ),
        (
            "stage = 1",
            "stage = 0",
            ":7:9: it is at stage 1, and no stage is changed by hand: put 1 back, then roll back",
        ),
        (
            "held = []",
            "held = [\"b\"]",
            ":10:8: `b` is held in the file, and not in the program: take it out, then `hold` it",
        ),
        ("version = 1", "[flags]\nfre = true\n", ":4:1: unknown flag `fre` in `flags`, did you mean `free`?"),
        (&*good, "\n", ": it is empty"),
    ];
    for (from, to, problem) in table {
        edit(&file, from, to);
        let edited = text(&file);
        let refused = flags.reload("dora", soon()).expect_err("it is wrong");
        assert!(matches!(refused, ChangeError::FileText(_)), "{refused:?}");
        let said = refused.to_string();
        assert!(said.contains(&format!("flags.toml{problem}")), "{said}");
        assert!(said.ends_with("mend it, then `reload` it"), "{said}");
        let status = flags.status();
        assert_eq!((status.version, status.stage, status.file_edited), (1, 1, true));
        assert_eq!(status.reload_error.as_deref(), Some(&*said));
        assert!(status.to_string().contains(&said), "{status}");
        let told = capture.take();
        assert_eq!(told.len(), 1, "{said}");
        assert_eq!(text(&file), edited, "it is as the person left it");
        fs::write(&file, &good).expect("there is room");
        assert_eq!(flags.reload("dora", soon()), Ok(None));
        assert_eq!((flags.status().reload_error, flags.status().file_edited), (None, false));
    }
    fs::remove_file(&file).expect("it is there");
    let refused = flags.reload("dora", soon()).expect_err("there is nothing");
    assert!(refused.to_string().contains("it is not there: there is nothing to reload"), "{refused}");
    let held = flags.hold(&B, "bob", "it leaks").expect("it is the plan's");
    assert_eq!(held.version, 2);
    edit(&file, "held = [\"b\"]", "held = []");
    let refused = flags.reload("dora", soon()).expect_err("it is held").to_string();
    assert!(
        refused.contains("`b` is held in the program, and not in the file: put it back, then `release` it"),
        "{refused}"
    );
}

#[test]
fn who_has_no_file_is_told_so() {
    let flags = Flags::builder().flag(&FREE).start().expect("it is one flag");
    assert_eq!(flags.reload("dora", soon()), Err(ChangeError::NoFile));
}

#[test]
fn nothing_that_takes_a_risk_is_written_over_what_a_person_changed() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    for made_by_hand in ["[flags]\nfree = true\n", "# mine\n"] {
        fs::write(&file, made_by_hand).expect("there is room");
        let refused = flags.advance_to(1, "alice", "day 1", soon()).expect_err("it was changed by hand");
        assert!(matches!(&refused, ChangeError::FileChanged(path) if path.ends_with("flags.toml")), "{refused:?}");
        assert!(refused.to_string().ends_with("flags.toml was changed by hand: `reload` it first"), "{refused}");
        assert_eq!(text(&file), made_by_hand);
        assert!(flags.status().file_edited && flags.status().to_string().contains("changed by hand"));
        assert_eq!((flags.status().version, flags.status().file_error), (0, None));
        fs::remove_file(&file).expect("it is there");
    }
    fs::write(&file, "[flags]\nfree = true\n").expect("there is room");
    flags.reload("dora", soon()).expect("it is well formed").expect("it says something");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    assert!(flags.enabled(&FREE) && text(&file).contains("free = true") && text(&file).contains("stage = 1"));
}

#[test]
fn a_syntax_error_of_a_person_is_kept_with_its_text_and_a_risk_is_refused_with_its_place() {
    let t = TestUniverse::new();
    let (_directory, file) = place();
    let builder = Flags::builder().flag(&FREE).plan(plan()).file(&file).telemetry(t.telemetry());
    let flags = builder.start().expect("there is no file yet");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    edit(&file, "version = 1\n", "version = 1\n[flags]\nfree = \n");
    let edited = text(&file);
    let refused = flags.advance_to(2, "alice", "day 2", soon()).expect_err("the file is broken").to_string();
    assert!(refused.contains("flags.toml:5:8: ") && refused.contains("mend it, then `reload` it"), "{refused}");
    let capture = t.capture_telemetry(FILE_FAILED);
    flags.emergency_rollback("all is lost");
    assert_eq!((flags.status().stage, flags.enabled(&A)), (0, false), "what goes back is done");
    let error = flags.status().file_error.expect("it is reported");
    assert!(error.contains("flags.toml:5:8: "), "{error}");
    assert_eq!(capture.take().len(), 1);
    assert_eq!(text(&file), edited, "and nothing is thrown away");

    edit(&file, "free = \n", "free = true\n");
    let change = flags.reload("dora", soon()).expect("it is mended").expect("it says something else");
    assert_eq!((change.version, flags.status().file_error), (3, None));
    assert!(text(&file).contains("stage = 0") && text(&file).contains("all is lost"), "{}", text(&file));
    let again = start(&file).expect("it was written well");
    assert_eq!((again.status().stage, again.enabled(&FREE)), (0, true));
    assert_eq!(again.history(), flags.history());
}

#[test]
fn what_goes_back_is_entered_into_what_a_person_wrote_and_what_that_says_of_flags_waits_for_the_reload() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.change("carol", "try").percent(&FREE, 25.0).apply(soon()).expect("it is free");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    edit(&file, "free = \"25 %\"", "free = true # all of them");
    flags.hold(&A, "bob", "it leaks").expect("it is the plan's");
    flags.rollback_to(0, "alice", "no").expect("it is lower");
    let entered = text(&file);
    for part in ["free = true # all of them", "stage = 0", "held = [\"a\"]", "what = \"rolled back\"", "version = 4"] {
        assert!(entered.contains(part), "{part} in {entered}");
    }
    let status = flags.status();
    assert_eq!((status.file_edited, status.file_error, flags.enabled(&FREE)), (true, None, false));
    let refused = flags.change("carol", "less").percent(&FREE, 10.0).apply(soon());
    assert!(matches!(refused, Err(ChangeError::FileChanged(_))), "{refused:?}");
    assert_eq!(text(&file), entered);
    flags.reload("dora", soon()).expect("it is well formed").expect("it says something else");
    assert!(flags.enabled(&FREE) && !flags.status().file_edited);
    flags.change("carol", "less").percent(&FREE, 10.0).apply(soon()).expect("it is free");
    assert!(text(&file).contains("free = \"10 %\" # all of them"), "{}", text(&file));
}

#[test]
fn of_what_the_environment_says_nothing_is_written_and_a_reload_does_not_change_it() {
    let t = TestUniverse::new();
    let (_directory, file) = place();
    let builder = Flags::builder().flag(&FREE).plan(plan()).file(&file).telemetry(t.telemetry());
    let flags = builder.environment("APP_FLAG_", [("APP_FLAG_FREE", "on")]).start().expect("they fit together");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    assert!(flags.enabled(&FREE) && !text(&file).contains("free"), "{}", text(&file));
    edit(&file, "[migration]", "[flags]\nfree = false\n\n[migration]");
    let capture = t.capture_telemetry(FLAG_CHANGED);
    let change = flags.reload("dora", soon()).expect("it is well formed").expect("the file says something");
    assert_eq!((change.said.len(), change.turned.len()), (1, 0));
    assert!(flags.enabled(&FREE), "the environment stands above it");
    assert_eq!(flags.status().flags[0].source, Source::Environment);
    assert!(!start(&file).expect("it was written well").enabled(&FREE));
    drop(capture);
    let undone = flags.undo(change.version, "dora", "no", soon()).expect("nothing was said there since");
    assert_eq!((undone.said[0].before, undone.said[0].after), (Some(Setting::Off), None));
    assert!(flags.enabled(&FREE) && !text(&file).contains("free = "), "the environment stands above that, too");
    assert_eq!(flags.status().flags[0].source, Source::Environment);
    flags.undo(undone.version, "dora", "yes", soon()).expect("nothing was said there since");
    assert!(flags.enabled(&FREE) && text(&file).contains("free = false"), "{}", text(&file));
    flags.change("carol", "no").off(&FREE).apply(soon()).expect("it is free");
    assert!(!flags.enabled(&FREE), "who decides stands above the environment");
    let refused = flags.undo(change.version + 2, "dora", "no", soon());
    assert!(refused.is_ok(), "what is written down is the same: {refused:?}");
}

#[test]
fn a_file_that_is_gone_or_empty_is_written_anew() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.change("carol", "try").on(&FREE).apply(soon()).expect("it is free");
    fs::write(&file, " \n").expect("there is room");
    flags.advance_to(1, "alice", "day 1", soon()).expect("nothing is lost");
    assert!(text(&file).contains("free = true") && text(&file).contains("stage = 1"), "{}", text(&file));
    fs::remove_file(&file).expect("it is there");
    flags.rollback_to(0, "alice", "no").expect("it is lower");
    assert!(text(&file).contains("free = true") && text(&file).contains("stage = 0"), "{}", text(&file));
    assert!(!flags.status().file_edited);
}

#[test]
fn what_goes_back_is_not_entered_into_a_text_whose_forms_are_wrong() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    for (wrong, place) in
        [("history = 3\n", ":1:11: `history` is 3"), ("migration = true\n", ":1:13: `migration` is true")]
    {
        fs::write(&file, wrong).expect("there is room");
        flags.emergency_rollback("all is lost");
        let error = flags.status().file_error.expect("it is reported");
        assert!(error.contains(place), "{error}");
        assert_eq!(text(&file), wrong);
    }
    assert_eq!(flags.status().stage, 0);
}
