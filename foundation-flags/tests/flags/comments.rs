//! What a person wrote into the file stays, where it was.

use std::{fs, path::Path};

use crate::{
    file::{B, FREE, place, start},
    soon,
};

const OLD: &str = "at = \"2026-01-01T00:00:00Z\"\nby = \"x\"\nwhy = \"y\"\nwhat = \"set\"\n";

/// Starts from this text, decides something about a stage and about a flag, and gives what stands there then.
fn decided(file: &Path, text: &str) -> String {
    fs::write(file, text).expect("there is room");
    let flags = start(&file.to_owned()).expect("it is well formed");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    flags.change("carol", "try").percent(&FREE, 25.0).apply(soon()).expect("it is free");
    flags.hold(&B, "bob", "it leaks").expect("it is the plan's");
    let written = fs::read_to_string(file).expect("it is there");
    let again = start(&file.to_owned()).expect("it was written well");
    assert_eq!(again.history(), flags.history());
    assert_eq!((again.status().held, again.status().version), (vec!["b"], flags.status().version));
    written
}

/// Each of these is there, in this order.
#[track_caller]
fn check_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} in {rest}\nof {text}"));
        rest = after;
    }
}

#[test]
fn the_head_stays_at_the_head_and_the_end_where_it_was() {
    let (_directory, file) = place();
    let head = decided(&file, "");
    assert!(head.starts_with("# Flags and stages, kept by the program."), "{head}");
    let only = decided(&file, "# ask Alice\n# before you touch this\n");
    assert!(only.starts_with("# ask Alice\n# before you touch this\nversion = 3\n"), "{only}");
    let end = decided(&file, "version = 0\n\n[flags]\nfree = false # really\n# other = true\n");
    check_order(
        &end,
        &["version = 3", "[flags]\nfree = \"25 %\" # really\n# other = true\n", "[migration]", "[[history]]"],
    );
    let mine = decided(&file, "# head\n[flags]\n# since spring\nfree = true\n\n[mine]\nthing = 1\n# end\n");
    check_order(&mine, &["# head\n[flags]", "# since spring\nfree = ", "[mine]\nthing = 1\n# end\n", "[migration]"]);
}

#[test]
fn inside_of_the_history_and_the_holds_too() {
    let (_directory, file) = place();
    let text = format!(
        "version = 2 # two\n[migration] # p\nplan = \"p\"\n# as of\nstage = 0 # none\nheld = [ # now:\n  \"b\", # leaks\n]\n\n# what was decided\n[[history]]\n\
         version = 1 # the first\n{OLD}\n# the second\n[[history]] # was a test\nversion = 2\n{OLD}# the end\n\n[mine]\nthing = 1\n"
    );
    check_order(
        &decided(&file, &text),
        &[
            "version = 5 # two\n[migration] # p\n",
            "# as of\nstage = 1 # none",
            "# now:\n  \"b\", # leaks\n]",
            "# what was decided\n[[history]]\nversion = 1 # the first",
            "# the second\n[[history]] # was a test\nversion = 2",
            "version = 3",
            "version = 5",
            "# the end\n\n[mine]\nthing = 1",
        ],
    );
}

#[test]
fn a_history_that_is_a_list_stays_one() {
    let (_directory, file) = place();
    let one = OLD.trim_end().replace('\n', ", ");
    let text = format!("history = [\n  # the first\n  {{ version = 4, {one} }}, # was a test\n  # no more\n] # end\n");
    let written = decided(&file, &text);
    check_order(
        &written,
        &[
            "history = [\n  # the first\n",
            "version = 4",
            "# was a test\n  # no more\n",
            "version = 5",
            "version = 7",
            "] # end",
        ],
    );
    assert!(!written.contains("[[history]]"), "{written}");
    let again = start(&file).expect("it was written well");
    assert_eq!(again.history().len(), 4);
}

#[test]
fn tables_stay_in_the_way_in_which_they_are_written() {
    let (_directory, file) = place();
    let table = [
        ("flags = { free = true } # few\n", "flags = { free = \"25 %\" } # few"),
        ("flags.free = true # dotted\n", "flags.free = \"25 %\" # dotted"),
        ("flags.free.everybody = true # dotted\n", "flags.free.everybody = \"25 %\" # dotted"),
        (
            "[flags.free]\n# all\neverybody = true\n[flags.free.groups]\nstaff = true # they\n",
            "# all\neverybody = \"25 %\"",
        ),
        ("[flags.free.groups]\nstaff = true # they\n", "[flags.free.groups]\nstaff = true # they"),
        ("migration = { plan = 'p', held = [] } # all\n", "migration = { plan = 'p', held = [\"b\"] , stage = 1"),
        ("migration.plan = 'p' # mine\n", "migration.plan = 'p' # mine\nmigration.stage = 1"),
    ];
    for (text, expected) in table {
        let written = decided(&file, text);
        assert!(written.contains(expected), "{expected} in {written}");
    }
}

#[test]
fn a_mark_at_the_beginning_and_returns_at_the_ends_of_lines_stay() {
    let (_directory, file) = place();
    let written = decided(&file, "\u{feff}# head\r\n[flags]\r\nfree = true # few\r\n");
    assert!(written.starts_with("\u{feff}# head\r\n") || written.starts_with("\u{feff}version"), "{written:?}");
    assert!(written.contains("free = \"25 %\" # few\r\n"), "{written:?}");
    assert_eq!(written.matches('\n').count(), written.matches("\r\n").count(), "{written:?}");
    let unix = decided(&file, "# head\n[flags]\nfree = true # few\n");
    assert!(!unix.contains('\r') && !unix.contains('\u{feff}'));
}

#[test]
fn what_is_taken_back_of_a_flag_leaves_the_comment_beside_it() {
    let (_directory, file) = place();
    let text = "[flags]\n# since spring\nfree = true # for good\n";
    fs::write(&file, text).expect("there is room");
    let flags = start(&file).expect("it is well formed");
    flags.change("carol", "no").reset(&FREE).apply(soon()).expect("it is free");
    let written = fs::read_to_string(&file).expect("it is there");
    assert!(written.contains("# since spring\nfree = {} # for good"), "{written}");
    assert!(start(&file).expect("it was written well").status().flags[0].rule.is_empty());
}

#[test]
fn what_is_not_known_here_any_more_stays() {
    let (_directory, file) = place();
    let held = OLD.replace("set", "held") + "flag = \"gone\"\nturned = [\"gone off\"]\n";
    let text = format!(
        "[[history]]\nversion = 6\n{held}[[history]]\nversion = 8\n{OLD}turned = [\"gone on\", \"free on\"]\nsaid = [{{ flag = \"gone\", after = true }}]\n"
    );
    let written = decided(&file, &text);
    check_order(
        &written,
        &["version = 6", "flag = \"gone\"", "turned = [\"gone on\", \"free on\"]", "flag = \"gone\", after = true"],
    );
    assert_eq!(start(&file).expect("it was written well").status().version, 11, "and its number is not given again");
    // Of a plan that this program has not.
    let planless = || foundation_flags::Flags::builder().flag(&FREE).file(&file).start().expect("it is left alone");
    let flags = planless();
    flags.change("carol", "no").off(&FREE).apply(soon()).expect("it is free");
    let now = fs::read_to_string(&file).expect("it is there");
    check_order(&now, &["plan = \"p\"\nstage = 1", "held = [\"b\"]"]);
    assert_eq!(planless().history(), flags.history());
}
