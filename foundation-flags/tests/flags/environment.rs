//! What the environment says.

use foundation_flags::{Flag, Flags, MigrationPlan, Source, StartError, Target};
use foundation_sync::{Clock, Deadline};

const A: Flag = Flag::off("new_checkout");
const B: Flag = Flag::on("old-search.v2");
const PLANNED: Flag = Flag::off("planned");

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
}

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
    assert_eq!(change.said[0].before, None);
    assert!(flags.enabled(&A) && !flags.enabled_for(&A, "u"), "what is in force is what is changed");
    assert_eq!(sources(&flags), [Source::RunTime, Source::Environment, Source::Plan]);
}

#[cfg(feature = "file")]
#[test]
fn the_environment_stands_above_the_file_and_is_never_written_into_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let start = |value: Option<&'static str>| {
        let variables = value.map(|value| ("SHOP_NEW_CHECKOUT", value));
        Flags::builder().flag(&A).flag(&B).file(&file).environment("SHOP_", variables).start().expect("it fits")
    };
    let flags = start(None);
    flags.change("alice", "x").off(&A).apply(soon()).expect("it is free");
    let flags = start(Some("on"));
    assert_eq!((flags.enabled(&A), flags.status().flags[0].source), (true, Source::Environment));
    flags.change("alice", "something else").off(&B).apply(soon()).expect("it is free");
    let flags = start(None);
    assert_eq!((flags.enabled(&A), flags.status().flags[0].source), (false, Source::File));
}

#[test]
fn what_can_not_be_taken_up_from_the_environment_is_refused_with_its_name() {
    let table = [
        ("SHOP_NEW_CHECKOUT", "yes", "SHOP_NEW_CHECKOUT: `yes` is no setting: say `on`, `off`, or a percentage"),
        ("SHOP_NEW_CHEKOUT", "on", "SHOP_NEW_CHEKOUT: there is no such flag"),
        ("SHOP_PLANNED", "on", "SHOP_PLANNED: `planned` is the plan's, and its stage decides: remove the variable"),
    ];
    for (variable, value, text) in table {
        let refused = start(&[(variable, value)]).expect_err("it is wrong").to_string();
        assert!(refused.contains(text), "{refused}");
    }
}
