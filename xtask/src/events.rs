//! `cargo xtask events`: every event that the workspace declares. And whether docs/events.md holds them all.

use std::{ffi::OsString, fmt::Write, fs, process::ExitCode};

use serde_json::Value;

use crate::{
    ci::{PROGRAMS, built, plain},
    run::{cargo_here, command, complain, root, say},
};

const HELP: &str = "\
Prints every event that the workspace emits: what has happened then, and its fields with their units.

Usage: cargo xtask events [--json | --markdown | --write]

Options:
  --json      as JSON
  --markdown  as docs/events.md has it
  --write     write docs/events.md
  --help      print this
";

const DOCUMENT: &str = "docs/events.md";

const HEAD: &str = "\
# Events

Every event that the workspace emits, made by `cargo xtask events --write` from where each is declared (`events!`). A field
is followed by its unit, or what it is; *if* says when it is there.
";

pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<_> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let show: fn(&[Value]) -> String = match *words {
        [] => table,
        ["--json"] => |events| format!("{:#}", Value::from(events)),
        ["--markdown"] => markdown,
        ["--write"] => return if write() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        ["--help" | "-h"] => {
            say(HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        _ => {
            complain(&format!("cargo xtask events: what is `{}`?\n\n{}", words.join(" "), HELP.trim_end()));
            return ExitCode::from(2);
        }
    };
    match asked() {
        Some(events) => {
            say(show(&events).trim_end());
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

fn write() -> bool {
    let Some(events) = asked() else { return false };
    let written = fs::write(root().join(DOCUMENT), markdown(&events));
    if let Err(error) = &written {
        complain(&format!("{DOCUMENT} can't be written: {error}"));
    }
    written.is_ok()
}

/// The step of `ci`.
pub(crate) fn check(_: bool) -> bool {
    let Some(program) = built(&PROGRAMS, "events") else { return false };
    let Some(events) = declared(command(program).current_dir(root())) else { return false };
    let there = fs::read_to_string(root().join(DOCUMENT)).unwrap_or_default();
    if there == markdown(&events) {
        return true;
    }
    complain(&format!("{DOCUMENT} is not what the workspace declares: run `cargo xtask events --write`"));
    false
}

/// Those of the program as it is now.
fn asked() -> Option<Vec<Value>> {
    let program = ["--package", "foundation-server", "--example", "events"];
    declared(&mut cargo_here(&[&["run", "--quiet", "--locked"][..], &program].concat()))
}

fn declared(program: &mut std::process::Command) -> Option<Vec<Value>> {
    let output = program.stderr(std::process::Stdio::inherit()).output();
    let events = output.ok().filter(|output| output.status.success());
    let events = events.and_then(|output| serde_json::from_slice::<Vec<Value>>(&output.stdout).ok());
    if events.is_none() {
        complain(&format!("the events could not be had: `{}`", plain(program)));
    }
    events
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

fn name(event: &Value) -> String {
    let words = event["name"].as_array().into_iter().flatten().filter_map(Value::as_str);
    format!("[{}]", words.collect::<Vec<_>>().join(", "))
}

/// What has happened, without the links of the documentation.
fn what(event: &Value) -> String {
    let mut what = text(event, "what").split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(at) = what.find("](") {
        let end = what[at..].find(')').map_or(what.len(), |end| at + end + 1);
        what.replace_range(at + 1..end, "");
    }
    what.replace("[`", "`").replace("`]", "`").replace(['[', ']'], "")
}

/// The fields of one kind: name, and what it is.
fn fields(event: &Value, kind: &str) -> Vec<(String, String)> {
    let fields = event[kind].as_array().into_iter().flatten();
    fields
        .map(|field| {
            let when = field["when"].as_str().map(|when| format!(", if {when}")).unwrap_or_default();
            (text(field, "name").to_owned(), format!("{}{when}", text(field, "unit")))
        })
        .collect()
}

fn table(events: &[Value]) -> String {
    let mut out = String::new();
    for event in events {
        _ = writeln!(out, "{}\n    {}", name(event), what(event));
        let (numbers, metadata) = (fields(event, "measurements"), fields(event, "metadata"));
        let width = numbers.iter().chain(&metadata).map(|(name, _)| name.len()).max().unwrap_or(0);
        for (kind, fields) in [("measurement", &numbers), ("metadata", &metadata)] {
            for (name, unit) in fields {
                _ = writeln!(out, "    {kind:<11}  {name:width$}  {unit}");
            }
        }
        if let Some(more) = event["more"].as_str() {
            _ = writeln!(out, "    metadata     and {more}");
        }
        out.push('\n');
    }
    _ = writeln!(out, "{} events", events.len());
    out
}

fn markdown(events: &[Value]) -> String {
    let mut out = format!("{HEAD}\n| event | what has happened | measurements | metadata |\n|---|---|---|---|\n");
    for event in events {
        let cell = |kind: &str, more: Option<&str>| {
            let fields = fields(event, kind).into_iter().map(|(name, unit)| format!("`{name}`: {unit}"));
            fields.chain(more.map(str::to_owned)).collect::<Vec<_>>().join("<br>")
        };
        let (numbers, metadata) = (cell("measurements", None), cell("metadata", event["more"].as_str()));
        _ = writeln!(out, "| `{}` | {} | {numbers} | {metadata} |", name(event), what(event));
    }
    out
}
