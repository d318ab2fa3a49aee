//! Files that can't be taken up: where, what is wrong, and what would be right.

use std::{fs, path::PathBuf};

use crate::file::{place, start};

#[test]
fn a_file_that_can_not_be_taken_up_is_refused_with_its_place_what_is_wrong_and_what_would_be_right() {
    let (_directory, file) = place();
    let history = |rest: &str| {
        let first = "version = 1\nat = \"2026-01-01T00:00:00Z\"\nby = \"x\"\nwhy = \"y\"\n";
        format!("[[history]]\n{first}{rest}\n")
    };
    let set = |rest: &str| history(&format!("what = \"set\"\n{rest}"));
    let migration = |rest: &str| format!("[migration]\nplan = \"p\"\n{rest}\n");
    let table = [
        ("version = \n".to_owned(), ":1:11: string values must be quoted"),
        ("version = 1\n\n  [flags\n".into(), ":3:9: unclosed table"),
        ("[flags]\nfree = true\nfree = false\n".into(), ":3:1: duplicate key"),
        ("version = -1\n".into(), ":1:11: `version` is -1, and ought to be a whole number from 0 to"),
        ("version = 9007199254740993\n".into(), ":1:11: `version` is 9007199254740993, and ought to be"),
        (
            "version = 9007199254740992\n".into(),
            ":1:11: so many decisions were never made, and 0 stands in the history",
        ),
        ("version = 99999999999999999999\n".into(), ":1:11: integer number overflowed"),
        ("version = \"1\"\n".into(), ":1:11: `version` is the text \"1\", and ought to be a whole number"),
        (
            "[baseline]\nversion = 1\nsince = \"2026-01-01T00:00:00Z\"\n[baseline.figures.x]\nunit = \"bites\"\n"
                .into(),
            ":5:8: `unit` is the text \"bites\", and ought to be a unit such as \"bytes\"",
        ),
        ("flags = 3\n".into(), ":1:9: `flags` is 3, and ought to be a table"),
        (
            "[flags]\nfre = true\n".into(),
            ":2:1: unknown flag `fre` in `flags`, did you mean `free`?; or remove its line",
        ),
        ("[flags]\nfree = { actors = { \"ü\" = 1 } }\n".into(), ":2:27: `ü` is 1, and ought to be true or false"),
        (
            "[flags]\nfree = 1\n".into(),
            ":2:8: `free` is 1, and ought to be true, false, or a percentage such as \"25 %\"; or",
        ),
        ("[flags]\nfree = \"25\"\n".into(), ":2:8: `free` is the text \"25\", and ought to be"),
        ("[flags]\nfree = \"101 %\"\n".into(), ":2:8: `free` is the text \"101 %\""),
        (
            "[flags]\nfree = { everbody = true }\n".into(),
            ":2:10: unknown key `everbody` in `free`, did you mean `everybody`?",
        ),
        ("[flags]\nfree = { everybody = [] }\n".into(), ":2:22: `everybody` is a list, and ought to be true"),
        ("[flags.free]\nactors = true\n".into(), ":2:10: `actors` is true, and ought to be a table"),
        (
            "[flags.free.actors]\nme = \"10 %\"\n".into(),
            ":2:6: `me` is the text \"10 %\", and ought to be true or false",
        ),
        (
            "[flags]\na = true\n".into(),
            ":2:1: the flag `a` is the plan's, and its stage decides: remove its line, which",
        ),
        ("held = [\"fre\"]\n".into(), ":1:9: unknown flag `fre` in `held`, did you mean `free`?"),
        (
            "held = [\"a\"]\n".into(),
            ":1:9: the flag `a` is the plan's: move it to `held` of `migration`; the program may",
        ),
        (
            "[flag]\nfree = true\n".into(),
            ":1:2: `flag` is near `flags`: did you mean that? If not, give it another name",
        ),
        ("[migrations]\nstage = 1\n".into(), ":1:2: `migrations` is near `migration`"),
        ("a = 1\n\n[[histroy]]\nversion = 1\n".into(), ":3:3: `histroy` is near `history`"),
        ("verson = 3\n".into(), ":1:1: `verson` is near `version`"),
        (migration("stage = 3"), ":3:9: it is at stage 3, and the plan has 2"),
        (migration("stage = 4294967297"), ":3:9: it is at stage 4294967297, and the plan has 2"),
        (migration("stage = -1"), ":3:9: `stage` is -1, and ought to be a whole number"),
        (migration("stag = 1"), ":3:1: unknown key `stag` in `migration`, did you mean `stage`?"),
        (migration("since = 3"), ":3:9: `since` is 3, and ought to be a date and time such as"),
        (migration("since = \"yesterday\""), ":3:9: `since` is the text \"yesterday\", and ought to be a date"),
        (migration("held = \"b\""), ":3:8: `held` is the text \"b\", and ought to be a list of texts"),
        (migration("held = [\"b\", 3]"), ":3:8: `held` is a list, and ought to be a list of texts"),
        (migration("held = [\"b\", \"c\"]"), ":3:14: unknown flag `c` in `held`, there are a, b"),
        (migration("held = [\"b\", \"b\"]"), ":3:14: `b` is held twice: remove one of them"),
        ("[migration]\nplan = \"other\"\n".into(), ":2:8: it is of the plan `other`, not of `p`"),
        ("[migration]\nstage = 1\n".into(), ":2:1: `plan` is missing in `migration`"),
        ("history = true\n".into(), ":1:11: `history` is true, and ought to be a list of tables: `[[history]]`"),
        ("history = [{}, 3]\n".into(), ":1:11: `history` is a list, and ought to be a list of tables"),
        (history("what = \"danced\""), ":6:8: the history says `danced`, which is no decision"),
        (history("what = \"advanced\"\nfrom = 1"), ":2:1: `to` is missing in `history`"),
        (history(""), ":2:1: `what` is missing in `history`"),
        ("[[history]]\nby = \"x\"\n".into(), ":2:1: `version` is missing in `history`"),
        (set("turnd = 1"), ":7:1: unknown key `turnd` in `history`, did you mean `turned`?"),
        (set("turned = [\"free\"]"), ":7:11: `free` ought to be a flag and `on` or `off`"),
        (set("turned = \"free on\""), ":7:10: `turned` is the text \"free on\", and ought to be a list"),
        (
            set("said = [{ flag = \"free\", afer = true }]"),
            ":7:26: unknown key `afer` in `said`, did you mean `after`?",
        ),
        (set("said = [{ flag = \"free\", after = 1 }]"), ":7:34: `after` is 1, and ought to be true"),
        (set("said = [{ flag = \"free\", actor = \"x\", node = \"y\" }]"), ":7:9: one actor, one group or one node"),
        (format!("{}{}", set(""), set("")), ":9:1: decision 1 stands after 1: the oldest comes first"),
    ];
    for (text, problem) in table {
        for (text, mark) in
            [(text.clone(), ""), (format!("\u{feff}{text}"), "marked"), (text.replace('\n', "\r\n"), "returns")]
        {
            fs::write(&file, &text).expect("it can be written");
            let refused = start(&file).map(drop).expect_err(&text).to_string();
            assert!(refused.contains(&format!("flags.toml{problem}")), "{mark} {text:?}: {refused}");
            assert!(refused.contains("; mend the file, or move it away"), "{refused}");
            assert_eq!(fs::read_to_string(&file).expect("it is there"), text, "and it is left as it is");
        }
    }
}

#[test]
fn what_is_no_file_of_flags_at_all_is_refused() {
    let (directory, file) = place();
    #[track_caller]
    fn check(file: &PathBuf, problem: &str) {
        let refused = start(file).map(drop).expect_err("it is no text").to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    check(&directory.path().to_owned(), "it is a directory: give the path of a plain file, or of none yet");
    fs::write(&file, b"version = 1\nx = \"\xff\"\n").expect("it can be written");
    check(&file, "flags.toml:2:6: here is a byte that is no text: save the file as UTF-8");
    fs::write(&file, "#".repeat((16 << 20) + 1)).expect("it can be written");
    check(&file, "it is longer than 16777216 bytes");
    check(&file.join("below"), "it can't be read");
    fs::remove_file(&file).expect("it is there");
    let made = std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo is there");
    assert!(made.success());
    check(&file, "it is a device, a pipe or a socket");
}
