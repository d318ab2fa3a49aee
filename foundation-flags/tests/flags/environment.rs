//! What the environment says.

use foundation_flags::{Flag, Flags, MigrationPlan, Source, StartError, Target};

use crate::soon;

const A: Flag = Flag::off("new_checkout");
const B: Flag = Flag::on("old-search.v2");
const PLANNED: Flag = Flag::off("planned");

fn start(variables: &[(&str, &str)]) -> Result<Flags, StartError> {
    let plan = MigrationPlan::new("p").stage("one", &[PLANNED]);
    let variables = variables.iter().copied();
    Flags::builder().flag(&A).flag(&B).plan(plan).environment("SHOP_", variables).start()
}

#[test]
fn the_environment_says_what_a_flag_is_until_somebody_decides() {
    let flags =
        start(&[("SHOP_NEW_CHECKOUT", "on"), ("SHOP_OLD_SEARCH_V2", "25%"), ("OTHER", "x")]).expect("it is well");
    let sources = |flags: &Flags| flags.status().flags.iter().map(|flag| flag.source).collect::<Vec<_>>();
    assert!(flags.enabled(&A) && !flags.enabled(&B));
    assert_eq!(sources(&flags), [Source::Environment, Source::Environment, Source::Plan]);
    assert_eq!(flags.explain(&B, &Target::NOBODY).to_string(), "off: 25 % of ids, and there is none");
    let change = flags.change("alice", "all but one").actor(&A, "u", false).apply(soon()).expect("it is free");
    assert_eq!(change.to_string(), "1: set by alice (all but one); new_checkout for the actor `u` off");
    assert!(flags.enabled(&A) && !flags.enabled_for(&A, "u"), "for everybody the environment says it as before");
    assert_eq!(sources(&flags), [Source::Environment, Source::Environment, Source::Plan]);
    let change = flags.change("alice", "none").off(&A).reset(&B).apply(soon()).expect("they are free");
    let text = "2: set by alice (none); new_checkout off, old-search.v2 as by default";
    assert_eq!((change.to_string().as_str(), flags.enabled(&A), flags.enabled(&B)), (text, false, true));
    assert_eq!(sources(&flags), [Source::RunTime, Source::Default, Source::Plan]);
    flags.undo(2, "alice", "as it was", soon()).expect("what it said stands");
    assert!(flags.enabled(&A) && !flags.enabled(&B), "as the environment said it");
}

#[cfg(feature = "file")]
#[test]
fn the_environment_stands_above_the_file_and_is_not_written_into_it_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let start = |value: Option<&'static str>| {
        let variables = value.map(|value| ("SHOP_NEW_CHECKOUT", value));
        Flags::builder().flag(&A).flag(&B).file(&file).environment("SHOP_", variables).start().expect("it fits")
    };
    let flags = start(None);
    flags.change("alice", "x").off(&A).apply(soon()).expect("it is free");
    flags.change("alice", "x").actor(&A, "vip", false).apply(soon()).expect("it is free");
    let flags = start(Some("on"));
    assert_eq!((flags.enabled(&A), flags.status().flags[0].source), (true, Source::Environment));
    assert!(!flags.enabled_for(&A, "vip"), "of actors the environment says nothing");
    flags.change("alice", "something else").off(&B).actor(&A, "u", true).apply(soon()).expect("they are free");
    let refused = flags.undo(1, "alice", "x", soon()).expect_err("the environment says on");
    let text = "`new_checkout`: the environment says something else for everybody, or the file did at the start: say what \
                is to be";
    assert_eq!(refused.to_string(), text);
    flags.undo(3, "alice", "x", soon()).expect("what it said stands");
    let flags = start(None);
    assert_eq!((flags.enabled(&A), flags.status().flags[0].source), (false, Source::File));
    assert_eq!(flags.status().flags[0].to_string(), "new_checkout off (file: everybody off, the actor `vip` off)");
}

#[test]
fn what_can_not_be_taken_up_from_the_environment_is_refused_with_its_name() {
    let table = [
        ("SHOP_NEW_CHECKOUT", "yes", "SHOP_NEW_CHECKOUT: `yes` is no setting: say `on`, `off`, or a percentage"),
        ("SHOP_NEW_CHEKOUT", "on", "SHOP_NEW_CHEKOUT: there is no such flag, did you mean `new_checkout`?"),
        ("SHOP_SOMETHING", "on", "SHOP_SOMETHING: there is no such flag: rename the variable, or remove it"),
        ("SHOP_PLANNED", "on", "SHOP_PLANNED: `planned` is the plan's, and its stage decides: remove the variable"),
    ];
    for (variable, value, text) in table {
        let refused = start(&[(variable, value)]).expect_err("it is wrong").to_string();
        assert!(refused.contains(text), "{refused}");
    }
}

#[test]
fn names_are_compared_letter_by_letter_and_two_that_are_alike_are_refused() {
    const LETTERS: Flag = Flag::off("neue_kasse_für_alle");
    let start = |flags: &[Flag], name: &str| {
        let builder = flags.iter().fold(Flags::builder(), |builder, flag| builder.flag(flag));
        builder.environment("SHOP_", [(name, "on")]).start()
    };
    assert!(start(&[LETTERS], "SHOP_NEUE_KASSE_FÜR_ALLE").expect("it is that flag").enabled(&LETTERS));
    let refused = start(&[Flag::off("a-b"), Flag::off("a_b")], "SHOP_A_B").expect_err("it may be either").to_string();
    assert!(refused.contains("SHOP_A_B: it may be `a-b` or `a_b`: remove it, and change the flag"), "{refused}");
}

#[cfg(unix)]
#[test]
fn what_is_no_text_is_refused_where_it_is_ours_and_left_alone_where_it_is_not() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let bytes = || OsString::from_vec(vec![0xff]);
    let start = |name: &str| Flags::builder().flag(&A).environment("SHOP_", [(OsString::from(name), bytes())]).start();
    assert!(start("OTHER").is_ok());
    let refused = start("SHOP_NEW_CHECKOUT").expect_err("it is no text").to_string();
    assert!(refused.contains("SHOP_NEW_CHECKOUT: its value is no text"), "{refused}");
}
