//! What stands in a file, and which files are refused.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::net::UnixListener,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, SystemTime},
};

use foundation_context::{Value, fields};
use foundation_registry::backup::{self, Kind, LONGEST_LINE, Problem, Record};

use super::{SMALL, at, place, record, records, refused, sealed, small, who};

#[test]
fn a_file_of_version_1_is_this_text() {
    let (_directory, file) = place();
    let written = backup::write(&file, at(7), small()).expect("there is room");
    let text = fs::read(&file).expect("it is there");
    assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(&sealed(SMALL.as_bytes())));
    assert_eq!((written.records, written.without_value, written.bytes), (2, 1, text.len() as u64));
    let read = backup::read(&file).expect("it is whole");
    assert_eq!((read.made(), read.records()), (at(7), 2));
    let read: Vec<_> = read.map(|record| record.expect("nobody writes into it")).collect();
    assert_eq!(
        (read[0].name.as_str(), read[0].value.as_deref(), read[0].since),
        ("index", Some("port 7"), at(1_250_000_000))
    );
    assert_eq!((read[1].kind, read[1].owner, read[1].owner_name.as_str()), (Kind::Member, who(1), "indexer"));
    assert_eq!(
        read[0].fields(&["share", "note", "shard"]),
        Ok(fields! { shard: 3u64, share: -0.5, note: String::from("a \"b\"\n") })
    );
}

#[test]
fn every_kind_of_value_and_every_name_comes_back() {
    let (_directory, file) = place();
    let names = [
        "",
        " ",
        "\n",
        "\r\n",
        "\"",
        "\\",
        "\\n",
        "\0",
        "\u{7f}\u{1b}",
        "\u{2028}",
        "naïve ☃ 🦀",
        "{\"end\":{\"records\":0}}",
        "null",
        "/etc/passwd",
        "a\u{301}",
        "\u{feff}",
    ];
    let fractions = [
        0.0,
        -0.0,
        0.1,
        1e300,
        -1e-300,
        5e-324,
        1.0 / 3.0,
        9_007_199_254_740_993.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::from_bits(u64::MAX),
    ];
    let numbers = [
        Value::I64(i64::MIN),
        Value::I64(-1),
        Value::I64(0),
        Value::I64(i64::MAX),
        Value::U64(0),
        Value::U64(u64::MAX),
    ];
    let texts = names.iter().flat_map(|text| [Value::Static(text), Value::Text((*text).into())]);
    let values: Vec<_> = numbers
        .into_iter()
        .chain([true, false].map(Value::Bool))
        .chain(fractions.map(Value::F64))
        .chain(texts)
        .map(|value| ("x".to_owned(), value))
        .collect();
    let mut all: Vec<_> = names.iter().map(|name| Record::new(*name, who(u64::MAX), *name, at(u64::MAX))).collect();
    all.iter_mut().zip(&names).for_each(|(record, name)| record.value = Some((*name).to_owned()));
    all[0].metadata = values.clone();
    all[1].metadata = names.iter().map(|name| ((*name).to_owned(), Value::Bool(true))).collect();
    backup::write(&file, at(0), all.clone()).expect("there is room");
    let read = records(&file).expect("it is whole");
    for (value, was) in read[0].metadata.iter().zip(&values) {
        match (&value.1, &was.1) {
            (Value::F64(is), Value::F64(was)) => assert_eq!(is.to_bits(), was.to_bits(), "{was}"),
            (is, Value::Static(was)) => assert_eq!(*is, Value::Text((*was).into())),
            (is, was) => assert_eq!(is, was),
        }
    }
    assert_eq!(read[0].metadata.len(), values.len());
    (all[0].metadata, all[0].name) = (read[0].metadata.clone(), String::new());
    // A number that is none is not equal to itself; its bits were looked at.
    all[0].metadata.retain(|(_, value)| !matches!(value, Value::F64(number) if number.is_nan()));
    let mut read = read;
    read[0].metadata.retain(|(_, value)| !matches!(value, Value::F64(number) if number.is_nan()));
    assert_eq!(read, all);
}

#[test]
fn a_date_out_of_the_calendar_stands_at_its_edge() {
    let (_directory, file) = place();
    let last = SystemTime::UNIX_EPOCH + Duration::new(253_402_300_799, 999_999_999);
    let ages = [SystemTime::UNIX_EPOCH - Duration::from_secs(1), last + Duration::from_secs(1)];
    backup::write(&file, last, ages.map(|since| Record::new("n", who(1), "o", since))).expect("there is room");
    let read = records(&file).expect("it is whole");
    assert_eq!((read[0].since, read[1].since), (SystemTime::UNIX_EPOCH, last));
}

#[test]
fn a_file_that_was_cut_at_any_byte_is_refused() {
    let (_directory, file) = place();
    let whole = sealed(SMALL.as_bytes());
    let mut cuts = 0;
    for length in 0..whole.len() {
        let error = refused(&file, &whole[..length]);
        cuts += usize::from(matches!(error.problem, Problem::Cut { .. }));
    }
    assert_eq!(cuts, whole.len() - 1, "all but the empty one");
    let error = refused(&file, &whole[..SMALL.len()]);
    assert!(matches!(error.problem, Problem::Cut { records: 2 }), "{error}");
    assert!(error.to_string().ends_with("names.backup`, line 4: it ends here, after 2 whole records, without its last line; it was cut: take another copy"), "{error}");
}

#[test]
fn a_file_with_a_bit_that_turned_a_byte_too_many_or_too_few_is_refused() {
    let (_directory, file) = place();
    let whole = sealed(SMALL.as_bytes());
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut content = whole.clone();
            content[at] ^= 1 << bit;
            _ = refused(&file, &content);
        }
        let mut content = whole.clone();
        content.remove(at);
        _ = refused(&file, &content);
        // Another byte than the one that stands there, so that something changes.
        content.insert(at, whole[at]);
        content.insert(at, if whole[at] == b'1' { b'2' } else { b'1' });
        _ = refused(&file, &content);
    }
    for more in ["\n", " ", SMALL] {
        let error = refused(&file, &[&whole, more.as_bytes()].concat());
        assert!(matches!(error.problem, Problem::More), "{error}");
    }
    let lines: Vec<_> = SMALL.split_inclusive('\n').collect();
    let swapped =
        [lines[0], lines[2], lines[1], std::str::from_utf8(&whole[SMALL.len()..]).expect("it is text")].concat();
    let error = refused(&file, swapped.as_bytes());
    assert!(matches!(error.problem, Problem::Checksum { .. }), "{error}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line_and_the_way_out() {
    let (_directory, file) = place();
    let changed = |from: &str, to: &str| {
        let text = SMALL.replacen(from, to, 1);
        assert_ne!(text, SMALL, "{from} is there");
        sealed(text.as_bytes())
    };
    let with_end = |end: &str| [SMALL, end, "\n"].concat().into_bytes();
    let long = [SMALL.as_bytes(), &vec![b' '; LONGEST_LINE + 10]].concat();
    let table = [
        (Vec::new(), "`: it is empty, and no backup: give the path of one"),
        (b"[flags]\nfree = true\n".to_vec(), "`: it begins with `[flags]\\n`, as no backup does"),
        (vec![0xff; 100_000], "as no backup does"),
        (vec![b'x'; 100_000], "`: it begins with `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..`"),
        (
            changed("\"version\":1", "\"version\":3"),
            "`: it is of version 3, and this program reads version 1: use the program that wrote it, or a newer one",
        ),
        (b"{\"backup\":\"foundation-registry\",\"version\":2}".to_vec(), "it is of version 2"),
        (changed("\"version\":1", "\"version\":0"), "line 1: there is no version 0"),
        (changed("\"version\":1", "\"version\":01"), "line 1: from byte 43 on it is not as version 1 writes it"),
        (changed("1970-01-01T00:00:00", "1970-13-01T00:00:00"), "line 1: `made` is no date"),
        (SMALL.replace('\n', "\r\n").into_bytes(), "line 1: `made` is no date"),
        (
            changed("{\"name\":\"index\"", "{\"nam\":\"index\""),
            "line 2: `name` is missing; it was changed or damaged after it was written: take another copy",
        ),
        (changed("\"index\"", "7"), "line 2: `name` is no text"),
        (changed("\"index\"", "\"i\u{1}\""), "line 2: it is no JSON from byte 11 on: control character"),
        (changed("\"unique\"", "\"unequal\""), "line 2: `kind` is unique or member, and not `unequal`"),
        (changed("\"id\":1", "\"id\":-1"), "line 2: `id` is no whole number from 0 on"),
        (changed("\"id\":1", "\"id\":1.0"), "line 2: `id` is no whole number from 0 on"),
        (changed("\"id\":1", "\"id\":1,\"id\":1"), "line 2: from byte 50 on it is not as version 1 writes it"),
        (changed("\"id\":1", "\"id\":1,\"more\":1"), "line 2: from byte 50 on"),
        (changed("{\"u64\":3}", "{\"u64\":-3}"), "line 2: a field of `metadata` is not `[NAME, {KIND: VALUE}]`"),
        (changed("{\"u64\":3}", "{\"u128\":3}"), "line 2: a field of `metadata` is not"),
        (changed("{\"u64\":3}", "{\"u64\":3,\"i64\":3}"), "line 2: a field of `metadata` is not"),
        (changed("[\"shard\",", "[\"shard\",1,"), "line 2: a field of `metadata` is not"),
        (changed("\"-0.5\"", "\"-.5\""), "line 2: from byte"),
        (changed("\"-0.5\"", "\"nan:0\""), "line 2: from byte"),
        (changed("\"metadata\":[]", "\"metadata\":{}"), "line 3: `metadata` is no list"),
        (changed("\"value\":null", "\"value\":1"), "line 3: `value` is neither text nor null"),
        (
            changed("\"since\":\"1970-01-01T00:00:01.250000000Z\"", "\"since\":\"1970-01-01T00:00:01.25Z\""),
            "line 2: from byte",
        ),
        (sealed(&[SMALL.as_bytes(), b"\xc3\x28\n"].concat()), "line 4: it is no JSON from byte"),
        (
            sealed(
                &SMALL
                    .replace("port 7", "port \u{e9}")
                    .into_bytes()
                    .into_iter()
                    .filter(|byte| *byte != 0xa9)
                    .collect::<Vec<_>>(),
            ),
            "line 2: it is no JSON from byte",
        ),
        (sealed(&[SMALL.as_bytes(), b"\n"].concat()), "line 4: it is no JSON from byte 0 on: EOF"),
        (
            sealed(&[SMALL, &"[".repeat(100_000), "\n"].concat().into_bytes()),
            "line 4: it is no JSON from byte 128 on: recursion limit",
        ),
        (long, "line 4: it has more than 1048576 bytes"),
        (
            with_end("{\"end\":{\"records\":3,\"crc32\":\"00000000\"}}"),
            "line 4: there are 2 records, and were 3; it was changed",
        ),
        (
            with_end("{\"end\":{\"records\":2,\"crc32\":\"00000000\"}}"),
            "line 4: what stands before has the checksum 46583c96, and had 00000000; it was changed",
        ),
        (with_end("{\"end\":{\"records\":2}}"), "line 4: `crc32` is missing"),
        (with_end("{\"end\":{\"records\":2,\"crc32\":\"0\"}}"), "line 4: from byte"),
    ];
    let said = table.map(|(content, expect)| (refused(&file, &content).to_string(), expect));
    let other: Vec<_> = said.iter().filter(|(said, expect)| !said.contains(expect)).collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn what_is_no_file_can_not_be_read() {
    let (directory, file) = place();
    let error = backup::read(directory.path()).expect_err("it is a directory");
    assert!(matches!(error.problem, Problem::NoFile), "{error}");
    let _listening = UnixListener::bind(&file).expect("there is room");
    let error = backup::read(&file).expect_err("it is a socket");
    assert!(error.to_string().contains("it is no plain file: give the path of a backup"), "{error}");
    let error = backup::read(file.with_extension("none")).expect_err("it is not there");
    assert!(matches!(&error.problem, Problem::Read(error) if error.kind() == std::io::ErrorKind::NotFound), "{error}");
}

#[test]
fn what_can_not_be_written_leaves_the_old_file() {
    let (directory, file) = place();
    backup::write(&file, at(7), small()).expect("there is room");
    let old = fs::read(&file).expect("it is there");
    let error = backup::write(&file, at(8), [record("n"), record("long").value(Some("x".repeat(LONGEST_LINE)))]);
    let error = error.expect_err("it is too long");
    assert!(
        matches!(&error.problem, Problem::TooLong { name, bytes } if name == "long" && *bytes > LONGEST_LINE),
        "{error}"
    );
    assert!(error.to_string().contains("make a shorter text of its value"), "{error}");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let bug = (0..3).map(|number| if number == 2 { panic!("a bug") } else { record("n") });
        backup::write(&file, at(8), bug)
    }));
    assert!(panicked.is_err());
    let error =
        backup::write(directory.path().join("none/names.backup"), at(8), small()).expect_err("there is no place");
    let said = error.to_string();
    assert!(matches!(error.problem, Problem::Write(_)) && said.contains("/none` can't be opened"), "{said}");
    assert_eq!(fs::read(&file).expect("it is there"), old);
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1, "nothing is left beside it");
}

#[test]
fn the_longest_line_that_can_be_written_can_be_read() {
    let (_directory, file) = place();
    let around = SMALL.lines().last().expect("there is one").len() - "null".len() + "\"\"\n".len();
    for (length, fits) in [(LONGEST_LINE - around, true), (LONGEST_LINE - around + 1, false)] {
        let record = record("group").kind(Kind::Member).value(Some("x".repeat(length)));
        assert_eq!(backup::write(&file, at(7), [record]).is_ok(), fits);
        assert_eq!(
            records(&file).expect("it is whole")[0].value.as_ref().map(String::len),
            Some(LONGEST_LINE - around)
        );
    }
}

#[test]
fn a_file_that_is_written_into_after_it_was_checked_gives_no_wrong_record() {
    let (_directory, file) = place();
    // More than is read ahead.
    let many = || (0..10_000).map(|number| record(&format!("name {number}")));
    backup::write(&file, at(7), many()).expect("there is room");
    let mut read = backup::read(&file).expect("it is whole");
    let at_name = String::from_utf8(fs::read(&file).expect("it is there"))
        .expect("it is text")
        .find("name 5000")
        .expect("it is there");
    let mut into = fs::OpenOptions::new().write(true).open(&file).expect("it is there");
    into.seek(SeekFrom::Start(at_name as u64)).expect("it is as long");
    into.write_all(b"NAME").expect("there is room");
    for number in 0..5000 {
        assert_eq!(read.next().expect("it is there").expect("it is whole").name, format!("name {number}"));
    }
    let error = read.next().expect("it says why").expect_err("it is not what was checked");
    assert!(matches!(error.problem, Problem::Changed { records: 5000 }) && error.line == Some(5002), "{error}");
    assert!(read.next().is_none());

    backup::write(&file, at(7), many()).expect("there is room");
    let read = backup::read(&file).expect("it is whole");
    backup::write(&file, at(8), []).expect("it is replaced");
    let old: Vec<_> = read.collect::<Result<_, _>>().expect("it is the old one");
    assert_eq!(old.len(), 10_000);
    assert_eq!(backup::read(&file).expect("it is whole").records(), 0);
}
