//! What a backup promises: all that was written comes back, and what was not written never does.

mod format;
mod restore;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use foundation_context::{Incarnation, fields};
use foundation_registry::backup::{self, BackupError, Kind, Record};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("names.backup");
    (directory, file)
}

fn who(id: u64) -> Incarnation {
    Incarnation { id, generation: 2 }
}

fn at(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

fn record(name: &str) -> Record {
    Record::new(name, who(1), "indexer", at(1_250_000_000))
}

/// A small file, with each form that a line may have.
fn small() -> Vec<Record> {
    let metadata = fields! { shard: 3u64, share: -0.5, note: "a \"b\"\n" };
    vec![record("index").metadata(&metadata).value(Some("port 7".to_owned())), record("group").kind(Kind::Member)]
}

const SMALL: &str = r#"{"backup":"foundation-registry","version":1,"made":"1970-01-01T00:00:00.000000007Z"}
{"name":"index","kind":"unique","owner":{"id":1,"generation":2,"name":"indexer"},"since":"1970-01-01T00:00:01.250000000Z","metadata":[["shard",{"u64":3}],["share",{"f64":"-0.5"}],["note",{"text":"a \"b\"\n"}]],"value":"port 7"}
{"name":"group","kind":"member","owner":{"id":1,"generation":2,"name":"indexer"},"since":"1970-01-01T00:00:01.250000000Z","metadata":[],"value":null}
"#;

/// With the last line that belongs to it.
fn sealed(lines: &[u8]) -> Vec<u8> {
    let records = lines.iter().filter(|byte| **byte == b'\n').count() - 1;
    let end = format!("{{\"end\":{{\"records\":{records},\"crc32\":\"{:08x}\"}}}}\n", crc32fast::hash(lines));
    [lines, end.as_bytes()].concat()
}

fn records(path: &Path) -> Result<Vec<Record>, BackupError> {
    backup::read(path)?.collect()
}

/// Such a file is refused, without a panic, by its name.
#[track_caller]
fn refused(path: &Path, content: &[u8]) -> BackupError {
    // Not emptied first, which costs a millisecond on some filesystems.
    let mut file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("there is room");
    file.write_all(content).and_then(|()| file.set_len(content.len() as u64)).expect("there is room");
    let error = backup::read(path).expect_err("it is no whole backup");
    assert!(error.to_string().starts_with(&format!("`{}`", path.display())), "{error}");
    error
}
