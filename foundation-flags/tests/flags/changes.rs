//! Changes of rules: atomic, numbered, compared, undone.

use foundation_flags::{
    ChangeError, Flag, Flags, MOST_TARGETS, MigrationPlan, Part, RULE_CHANGED, Setting, Source, Target, What,
};
use foundation_sync::Switch;
use foundation_testkit::TestUniverse;

use crate::soon;

const A: Flag = Flag::off("a");
const B: Flag = Flag::on("b");
const PLANNED: Flag = Flag::off("planned");

fn flags() -> Flags {
    let plan = MigrationPlan::new("p").stage("one", &[PLANNED]);
    Flags::builder().flag(&A).flag(&B).plan(plan).start().expect("they fit together")
}

#[test]
fn a_change_says_what_it_said_and_what_was_said_before() {
    let flags = flags();
    let change = flags.change("alice", "ramp").percent(&A, 25.0).actor(&A, "u", true).off(&B).apply(soon());
    let change = change.expect("they are free");
    assert_eq!(change.to_string(), "1: set by alice (ramp); a 25 %, a for the actor `u` on, b off");
    assert_eq!(change.turned, [("b", false)], "a plain read of a share is off, as it was");
    let change = flags.change("bob", "more").percent(&A, 50.0).clear(&A, Part::actor("u")).apply(soon());
    let change = change.expect("they are free");
    let said: Vec<_> = change.said.iter().map(|said| (said.before, said.after)).collect();
    let percent = |share| Some(Setting::Percent(foundation_flags::Percent::new(share).expect("it is one")));
    assert_eq!(said, [(percent(25.0), percent(50.0)), (Some(Setting::On), None)]);
    assert_eq!(change.to_string(), "2: set by bob (more); a 50 %, a for the actor `u` as by default");
    let status: Vec<_> = flags.status().flags.iter().map(ToString::to_string).collect();
    assert_eq!(status, ["a off (run time: everybody 50 %)", "b off (run time: everybody off)", "planned off (plan)"]);
}

#[test]
fn a_wish_that_is_wrong_leaves_all_the_others_undone() {
    let flags = flags();
    let unknown = Flag::off("unknown");
    let nan = flags.change("alice", "x").on(&A).percent(&B, f64::NAN).on(&B).apply(soon());
    assert_eq!(nan, Err(ChangeError::Percent("b")));
    let planned = flags.change("alice", "x").on(&A).actor(&PLANNED, "u", true).apply(soon());
    assert_eq!(planned, Err(ChangeError::Planned("planned")));
    let undeclared = flags.change("alice", "x").on(&A).reset(&unknown).apply(soon());
    assert_eq!(undeclared, Err(ChangeError::Undeclared("unknown")));
    let many = (0..=MOST_TARGETS)
        .fold(flags.change("alice", "x").on(&A), |change, id| change.actor(&B, &format!("u{id}"), false));
    assert_eq!(many.apply(soon()), Err(ChangeError::TooManyTargets("b")));
    assert_eq!((flags.view().version(), flags.enabled(&A), flags.history().len()), (0, false, 0));
}

#[test]
fn a_change_that_expects_a_version_is_made_only_after_that_one() {
    let flags = flags();
    let seen = flags.view().version();
    flags.change("bob", "first").on(&A).expect_version(seen).apply(soon()).expect("nobody came in between");
    let late = flags.change("alice", "second").off(&A).expect_version(seen).apply(soon());
    let refused = late.expect_err("bob did");
    assert_eq!(refused, ChangeError::NotExpected { expected: 0, now: 1 });
    assert_eq!(refused.to_string(), "the last decision is 1, not 0: look at what it changed, and decide again");
    flags.change("alice", "second").off(&A).expect_version(1).apply(soon()).expect("she has looked");
    assert!(!flags.enabled(&A));
}

#[test]
fn undo_says_again_what_was_said_before_and_nothing_else() {
    let flags = flags();
    flags.change("alice", "one").percent(&A, 25.0).actor(&A, "u", true).apply(soon()).expect("it is free");
    flags.change("bob", "two").on(&A).actor(&A, "w", false).apply(soon()).expect("it is free");
    flags.change("carol", "three").off(&B).apply(soon()).expect("it is free");
    let undone = flags.undo(2, "dave", "no", soon()).expect("what it said is still said");
    assert_eq!(undone.to_string(), "4: undone 2 by dave (no); a 25 %, a for the actor `w` as by default");
    assert_eq!(flags.status().flags[0].to_string(), "a off (run time: everybody 25 %, the actor `u` on)");
    assert!(!flags.enabled(&B), "what was decided later stays");
    // And that can be undone in turn.
    flags.undo(4, "erin", "yes", soon()).expect("what it said is still said");
    assert!(flags.enabled(&A));
}

#[test]
fn undo_is_refused_where_something_else_is_said_by_now_and_says_what_to_do() {
    let flags = flags();
    flags.change("alice", "one").on(&A).actor(&A, "u", true).apply(soon()).expect("it is free");
    flags.change("bob", "two").off(&A).apply(soon()).expect("it is free");
    let refused = flags.undo(1, "alice", "x", soon()).expect_err("bob said off");
    assert_eq!(refused, ChangeError::SaidSince { flag: "a", part: Part::Everybody, version: Some(2) });
    let text = "`a`: decision 2 has said something else for everybody since: undo that one first";
    assert_eq!(refused.to_string(), text);
    flags.undo(2, "alice", "x", soon()).expect("what it said is still said");
    flags.undo(1, "alice", "x", soon()).expect("what it said is said again");
    assert!(flags.view().rule(&A).expect("it is declared").is_empty());
    flags.advance_to(1, "alice", "next", soon()).expect("it is next");
    let refused = flags.undo(5, "alice", "x", soon()).expect_err("it is a stage");
    let text = "decision 5 was: advanced from stage 0 to 1. Undo a stage with `rollback_to`, a hold with `release`";
    assert_eq!(refused.to_string(), text);
    let refused = flags.undo(17, "alice", "x", soon()).expect_err("there was none");
    let text = "decision 17 is not in the history, which begins with 1: say what is to be";
    assert_eq!((refused.to_string().as_str(), flags.view().version()), (text, 5));
}

#[test]
fn what_is_reset_is_the_default_and_stages_are_left_alone() {
    let flags = flags();
    flags.advance_to(1, "alice", "next", soon()).expect("it is next");
    flags.change("alice", "x").on(&A).group(&A, "g", false).node(&B, "n", false).apply(soon()).expect("they are free");
    flags.change("alice", "x").reset(&A).apply(soon()).expect("it is free");
    assert!(!flags.enabled(&A) && !flags.view().rule(&B).expect("it is declared").is_empty());
    let reset = flags.reset_all("bob", "start over", soon()).expect("nothing is in the way");
    assert_eq!(reset.to_string(), "4: reset by bob (start over); b for the node `n` as by default");
    assert_eq!((flags.status().stage, flags.enabled(&PLANNED), reset.what), (1, true, What::Reset));
    assert!(flags.status().flags.iter().filter(|flag| flag.source != Source::Plan).all(|flag| flag.rule.is_empty()));
}

#[test]
fn a_rule_that_is_changed_is_told_also_where_no_plain_read_is() {
    let t = TestUniverse::new();
    let flags = Flags::builder().flag(&A).telemetry(t.telemetry()).start().expect("it fits");
    let capture = t.capture_telemetry(RULE_CHANGED);
    flags.change("alice", "ramp").percent(&A, 25.0).actor(&A, "u", true).apply(soon()).expect("it is free");
    flags.change("alice", "again").percent(&A, 25.0).apply(soon()).expect("it is free");
    flags.change("alice", "no").reset(&A).apply(soon()).expect("it is free");
    let told: Vec<_> = capture
        .take()
        .iter()
        .map(|event| {
            let text = |key: &str| event.metadata.get(key).map(ToString::to_string).unwrap_or_default();
            format!("{} {} {}", text("flag"), text("part"), text("setting"))
        })
        .collect();
    let expected = ["a everybody 25 %", "a the actor `u` on", "a everybody default", "a the actor `u` default"];
    assert_eq!(told, expected);
}

#[test]
fn a_change_that_is_allowed_can_be_undone_also_where_the_rule_is_full() {
    let flags = flags();
    let full =
        (0..MOST_TARGETS).fold(flags.change("alice", "x"), |change, id| change.actor(&A, &format!("u{id}"), true));
    full.apply(soon()).expect("there is room for so many");
    let other = flags.change("alice", "x").actor(&A, "new", true).clear(&A, Part::actor("u0")).apply(soon());
    other.expect("in the end there is room");
    flags.undo(2, "alice", "x", soon()).expect("in the end there is room");
    assert!(flags.enabled_for(&A, "u0") && !flags.enabled_for(&A, "new"));
}

#[test]
fn where_nothing_is_said_any_more_the_default_says_it() {
    let flags = flags();
    let source = || flags.status().flags[0].source;
    flags.change("alice", "x").actor(&A, "u", true).apply(soon()).expect("it is free");
    assert_eq!(source(), Source::RunTime);
    flags.change("alice", "x").clear(&A, Part::actor("u")).apply(soon()).expect("it is free");
    assert_eq!(source(), Source::Default);
    let nothing = flags.change("alice", "x").clear(&A, Part::actor("w")).reset(&A).apply(soon());
    assert!(nothing.expect("it is free").said.is_empty(), "nothing was said, and nothing is");
}

#[test]
fn the_history_keeps_no_more_than_so_much_of_what_was_said() {
    let flags = flags();
    for round in 0..20 {
        let on = round % 2 == 0;
        let many =
            (0..MOST_TARGETS).fold(flags.change("alice", "x"), |change, id| change.actor(&A, &format!("u{id}"), on));
        many.apply(soon()).expect("there is room");
    }
    let kept: Vec<_> = flags.history().iter().map(|change| change.version).collect();
    assert_eq!(kept, (11..=20).collect::<Vec<_>>(), "ten thousand in all");
}

#[test]
fn a_flag_of_no_plan_is_held_off_for_everybody_whatever_its_rule_says_until_it_is_released() {
    let switch = Switch::off();
    let plan = MigrationPlan::new("p").stage("one", &[PLANNED]).without_waiting();
    let flags = Flags::builder().bind(&A, &switch).plan(plan).start().expect("they fit together");
    flags.change("alice", "x").on(&A).actor(&A, "vip", true).apply(soon()).expect("it is free");
    flags.advance_to(1, "alice", "next", soon()).expect("it is next");
    let held = flags.hold(&A, "bob", "it leaks").expect("it is declared");
    assert_eq!((held.what, held.turned.as_slice()), (What::Held("a"), &[("a", false)][..]));
    assert!(!switch.is_on() && !flags.enabled(&A) && !flags.enabled_for(&A, "vip"));
    assert_eq!(flags.explain(&A, &Target::id("vip")).to_string(), "off: it is held");
    flags.change("alice", "more").percent(&A, 100.0).apply(soon()).expect("it is free");
    assert!(!flags.enabled(&A), "what is said meanwhile is so afterwards");
    let status = flags.status();
    assert_eq!((status.held.as_slice(), status.is_complete()), (&["a"][..], true), "the migration is another matter");
    flags.release(&A, "bob", "mended", soon()).expect("it is declared");
    assert!(switch.is_on() && flags.enabled_for(&A, "vip"));
}

/// The way off that always works: for nothing that is written, and for nobody who changes something.
#[cfg(feature = "file")]
#[test]
fn a_hold_works_where_no_change_does_and_is_found_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let start = || Flags::builder().flag(&A).flag(&B).file(&file).start();
    let flags = start().expect("there is no file yet");
    flags.change("alice", "x").percent(&A, 25.0).on(&A).apply(soon()).expect("it is free");
    let good = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, "not [ toml").expect("it can be written");
    let refused = flags.change("alice", "off").off(&A).apply(soon());
    assert!(matches!(refused, Err(ChangeError::FileText(_))), "{refused:?}");
    flags.hold(&A, "alice", "off").expect("it waits for nobody");
    assert!(!flags.enabled(&A));
    std::fs::write(&file, good).expect("it can be written");
    flags.hold(&B, "alice", "that, too").expect("it waits for nobody");
    let again = start().expect("it was written well");
    assert_eq!(again.status().held, ["a", "b"]);
    assert!(!again.enabled(&A) && !again.enabled(&B));
    // A hold is not taken away by hand.
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("held = [\"a\", \"b\"]", "held = [\"a\"]")).expect("it can be written");
    let refused = again.reload("alice", soon()).expect_err("it is the program's to change").to_string();
    assert!(refused.contains("`b` is held in the program, and not in the file: put it back, then `release` it"));
    std::fs::write(&file, text).expect("it can be written");
    assert_eq!(again.reload("alice", soon()), Ok(None), "it is as it was");
    again.release(&A, "bob", "mended", soon()).expect("it is declared");
    again.release(&B, "bob", "mended", soon()).expect("it is declared");
    let text = std::fs::read_to_string(&file).expect("it is there");
    assert!(!text.contains("\nheld = [\"") && again.enabled(&A), "{text}");
}
