//! What stands on a line.
//!
//! A line is written in one way only. It is read leniently, written anew, and refused if that is not the same: so a
//! field that is not known, one that comes twice, or a number that was rounded is never taken for something else.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use foundation_context::{Incarnation, Value};
use serde_json::{Map, Value as Json};

use super::{Kind, Problem, Record, VERSION, error::shown};

/// How many bytes a record may take, its line's end included.
pub const LONGEST_LINE: usize = 1 << 20;

/// All versions begin so, and with a number.
const MAGIC: &str = r#"{"backup":"foundation-registry","version":"#;
/// The last line, and no record's, begins so.
const END: &str = r#"{"end":"#;

pub(super) fn header(made: SystemTime) -> String {
    format!("{MAGIC}{VERSION},\"made\":\"{}\"}}\n", date(made))
}

/// The version and what follows it, or how the file begins instead.
pub(super) fn version(line: &[u8]) -> Result<(u64, &str), Problem> {
    if !line.is_empty() && MAGIC.as_bytes().starts_with(line) {
        return Err(Problem::Cut { records: 0 });
    }
    let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
    let known = str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MAGIC)).and_then(|rest| {
        let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        Some((rest[..digits].parse().ok()?, &rest[digits..]))
    });
    known.ok_or_else(|| Problem::NotABackup { found: shown(&text) })
}

/// When a backup of this version was made.
pub(super) fn made(line: &[u8], rest: &str) -> Result<SystemTime, Problem> {
    let made = rest.strip_prefix(",\"made\":\"").and_then(|rest| rest.strip_suffix("\"}\n"));
    let made = made.and_then(|made| humantime::parse_rfc3339(made).ok()).ok_or_else(|| damaged("`made` is no date"))?;
    same(line, &header(made)).map(|()| made)
}

pub(super) fn end(records: u64, checksum: u32) -> String {
    format!("{END}{{\"records\":{records},\"crc32\":\"{checksum:08x}\"}}}}\n")
}

/// The number of records and the checksum, if this is the last line.
pub(super) fn parse_end(line: &[u8]) -> Result<Option<(u64, u32)>, Problem> {
    if !line.starts_with(END.as_bytes()) {
        return Ok(None);
    }
    let mut all = object(serde_json::from_slice(line).map_err(|error| json(&error))?, "the line")?;
    let mut end = object(take(&mut all, "end")?, "`end`")?;
    let records = number(&mut end, "records")?;
    let checksum = text(&mut end, "crc32")?;
    let checksum = u32::from_str_radix(&checksum, 16).map_err(|_| damaged("`crc32` is no hexadecimal number"))?;
    same(line, &self::end(records, checksum)).map(|()| Some((records, checksum)))
}

/// A record as its line.
pub(super) fn record(record: &Record, line: &mut String) -> Result<(), Problem> {
    let kind = match record.kind {
        Kind::Unique => "unique",
        Kind::Member => "member",
    };
    let Incarnation { id, generation } = record.owner;
    let (name, owner, since) = (quoted(&record.name), quoted(&record.owner_name), date(record.since));
    line.clear();
    put(line, format_args!(r#"{{"name":{name},"kind":"{kind}","#));
    put(line, format_args!(r#""owner":{{"id":{id},"generation":{generation},"name":{owner}}},"#));
    put(line, format_args!(r#""since":"{since}","metadata":["#));
    for (at, (field, value)) in record.metadata.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        put(line, format_args!("{comma}[{},", quoted(field)));
        match value {
            Value::Bool(value) => put(line, format_args!(r#"{{"bool":{value}}}]"#)),
            Value::I64(value) => put(line, format_args!(r#"{{"i64":{value}}}]"#)),
            Value::U64(value) => put(line, format_args!(r#"{{"u64":{value}}}]"#)),
            Value::F64(value) => put(line, format_args!(r#"{{"f64":"{}"}}]"#, fraction(*value))),
            Value::Static(value) => put(line, format_args!(r#"{{"text":{}}}]"#, quoted(value))),
            Value::Text(value) => put(line, format_args!(r#"{{"text":{}}}]"#, quoted(value))),
            // Never as what it shows: a kind to come may be one that must not be shown.
            _ => return Err(Problem::NoSuchKind { name: record.name.clone(), field: field.clone() }),
        }
    }
    let value = record.value.as_deref().map_or_else(|| "null".to_owned(), quoted);
    put(line, format_args!("],\"value\":{value}}}\n"));
    if line.len() > LONGEST_LINE {
        return Err(Problem::TooLong { name: record.name.clone(), bytes: line.len() });
    }
    Ok(())
}

/// The record that a line is.
pub(super) fn parse_record(line: &[u8], again: &mut String) -> Result<Record, Problem> {
    let mut all = object(serde_json::from_slice(line).map_err(|error| json(&error))?, "the line")?;
    let mut owner = object(take(&mut all, "owner")?, "`owner`")?;
    let kind = match text(&mut all, "kind")?.as_str() {
        "unique" => Kind::Unique,
        "member" => Kind::Member,
        other => return Err(damaged(&format!("`kind` is unique or member, and not `{}`", shown(other)))),
    };
    let since = humantime::parse_rfc3339(&text(&mut all, "since")?).map_err(|_| damaged("`since` is no date"))?;
    let Json::Array(fields) = take(&mut all, "metadata")? else { return Err(damaged("`metadata` is no list")) };
    let record = Record {
        name: text(&mut all, "name")?,
        kind,
        owner: Incarnation { id: number(&mut owner, "id")?, generation: number(&mut owner, "generation")? },
        owner_name: text(&mut owner, "name")?,
        since,
        metadata: fields.into_iter().map(field).collect::<Result<_, _>>()?,
        value: match take(&mut all, "value")? {
            Json::Null => None,
            Json::String(value) => Some(value),
            _ => return Err(damaged("`value` is neither text nor null")),
        },
    };
    self::record(&record, again)?;
    same(line, again).map(|()| record)
}

fn field(field: Json) -> Result<(String, Value), Problem> {
    let wrong = || damaged("a field of `metadata` is not `[NAME, {KIND: VALUE}]`");
    let Json::Array(pair) = field else { return Err(wrong()) };
    let Ok([Json::String(name), Json::Object(value)]) = <[Json; 2]>::try_from(pair) else { return Err(wrong()) };
    let mut value = value.into_iter();
    let (Some((kind, value)), None) = (value.next(), value.next()) else { return Err(wrong()) };
    let value = match (kind.as_str(), &value) {
        ("bool", Json::Bool(value)) => Some(Value::Bool(*value)),
        ("i64", Json::Number(value)) => value.as_i64().map(Value::I64),
        ("u64", Json::Number(value)) => value.as_u64().map(Value::U64),
        ("f64", Json::String(value)) => parse_fraction(value).map(Value::F64),
        ("text", Json::String(value)) => Some(Value::Text(value.as_str().into())),
        _ => None,
    };
    value.map(|value| (name, value)).ok_or_else(wrong)
}

/// The shortest text that stands for it, and for a number that is none all its bits.
fn fraction(value: f64) -> String {
    if value.is_nan() { format!("nan:{:016x}", value.to_bits()) } else { format!("{value:?}") }
}

fn parse_fraction(text: &str) -> Option<f64> {
    match text.strip_prefix("nan:") {
        Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
        None => text.parse().ok(),
    }
}

/// A clock that stands out of the years 1970 to 9999 is taken to stand at their edge.
fn date(at: SystemTime) -> String {
    let last = SystemTime::UNIX_EPOCH + Duration::new(253_402_300_799, 999_999_999);
    humantime::format_rfc3339_nanos(at.clamp(SystemTime::UNIX_EPOCH, last)).to_string()
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

fn put(line: &mut String, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("a string takes all that is written into it");
}

fn same(found: &[u8], expected: &str) -> Result<(), Problem> {
    if found == expected.as_bytes() {
        return Ok(());
    }
    let at = found.iter().zip(expected.bytes()).take_while(|(found, expected)| **found == *expected).count();
    Err(damaged(&format!("from byte {} on it is not as version {VERSION} writes it", at + 1)))
}

fn damaged(what: &str) -> Problem {
    Problem::Damaged { what: what.to_owned() }
}

fn json(error: &serde_json::Error) -> Problem {
    // Each line is a text of its own, whose only line would be misleading.
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    damaged(&format!("it is no JSON from byte {} on: {what}", error.column()))
}

fn object(value: Json, what: &str) -> Result<Map<String, Json>, Problem> {
    match value {
        Json::Object(object) => Ok(object),
        _ => Err(damaged(&format!("{what} is no JSON object"))),
    }
}

fn take(object: &mut Map<String, Json>, key: &str) -> Result<Json, Problem> {
    object.remove(key).ok_or_else(|| damaged(&format!("`{key}` is missing")))
}

fn text(object: &mut Map<String, Json>, key: &str) -> Result<String, Problem> {
    match take(object, key)? {
        Json::String(text) => Ok(text),
        _ => Err(damaged(&format!("`{key}` is no text"))),
    }
}

fn number(object: &mut Map<String, Json>, key: &str) -> Result<u64, Problem> {
    take(object, key)?.as_u64().ok_or_else(|| damaged(&format!("`{key}` is no whole number from 0 on")))
}
