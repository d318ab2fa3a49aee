//! The state as a TOML file.
//!
//! It is replaced as a whole ([`foundation_sync::file`]): after a cut at any moment it is the old one or the new one. What a
//! person wrote into it besides stays.

use std::{fs, io, path::Path, sync::Arc, time::SystemTime};

use foundation_sync::file::{self, ReplaceError};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::{
    Change, Rule, Setting, Source, What,
    state::{REMEMBERED, Shape, State},
};

const HEAD: &str = "# Flags and stages, kept by the program. Change it while the program does not run.\n";

pub(super) fn save(path: &Path, shape: &Shape, state: &State) -> Result<(), ReplaceError> {
    // What stands there is taken over as far as it can be read; a file that has become unreadable is replaced.
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut document = match text.parse::<DocumentMut>() {
        Ok(document) if !text.trim().is_empty() => document,
        _ => HEAD.parse::<DocumentMut>().expect("a comment is a document"),
    };
    enter(&mut document, shape, state);
    file::replace(path, |out| out.write_all(document.to_string().as_bytes()))
}

fn enter(document: &mut DocumentMut, shape: &Shape, state: &State) {
    set(document.as_table_mut(), "version", state.version as i64);
    let flags = shape.table.flags().iter().enumerate();
    if shape.from_stage.iter().any(Option::is_none) {
        let free = flags.clone().filter(|(number, _)| shape.from_stage[*number].is_none());
        let table = table(document, "flags");
        free.for_each(|(number, flag)| match state.rules[number].everybody {
            Some(setting) => set(table, flag.name(), setting.plain()),
            None => _ = table.remove(flag.name()),
        });
    }
    if let Some(plan) = &shape.plan {
        let table = table(document, "migration");
        set(table, "plan", plan.name);
        set(table, "stage", state.stage as i64);
        set(table, "since", date(state.since));
        set(table, "rollbacks", state.rollbacks as i64);
        let held: toml_edit::Array =
            flags.filter(|(number, _)| state.held[*number]).map(|(_, flag)| flag.name()).collect();
        set(table, "held", held);
    }
    let mut history = ArrayOfTables::new();
    state.history.iter().for_each(|change| history.push(entry(change)));
    let before = document.get("history").and_then(Item::as_array_of_tables).and_then(|before| before.get(0));
    if let (Some(before), Some(first)) = (before, history.get_mut(0)) {
        *first.decor_mut() = before.decor().clone();
    }
    document.insert("history", Item::ArrayOfTables(history));
}

/// Sets a value in its place, with what a person wrote around it.
fn set(table: &mut Table, key: &str, new: impl Into<toml_edit::Value>) {
    let mut new = new.into();
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(there) => {
            *new.decor_mut() = there.decor().clone();
            *there = new;
        }
        None => _ = table.insert(key, value(new)),
    }
}

/// The table of this name, which is made if it is not there.
fn table<'a>(document: &'a mut DocumentMut, name: &str) -> &'a mut Table {
    let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
    if !item.is_table() {
        *item = Item::Table(Table::new());
    }
    item.as_table_mut().expect("it was made one above")
}

fn entry(change: &Change) -> Table {
    let mut table = Table::new();
    set(&mut table, "version", change.version as i64);
    set(&mut table, "at", date(change.at));
    set(&mut table, "by", &*change.by);
    set(&mut table, "why", &*change.why);
    let (what, from, to, flag) = match change.what {
        What::Set => ("set", None, None, None),
        What::Reset => ("reset", None, None, None),
        What::Undone(_) => ("undone", None, None, None),
        What::Advanced { from, to } => ("advanced", Some(from), Some(to), None),
        What::RolledBack { from, to } => ("rolled back", Some(from), Some(to), None),
        What::Emergency { from } => ("emergency", Some(from), None, None),
        What::Held(flag) => ("held", None, None, Some(flag)),
        What::Released(flag) => ("released", None, None, Some(flag)),
    };
    set(&mut table, "what", what);
    for (key, stage) in [("from", from), ("to", to)] {
        if let Some(stage) = stage {
            set(&mut table, key, stage as i64);
        }
    }
    if let Some(flag) = flag {
        set(&mut table, "flag", flag);
    }
    let turned = change.turned.iter().map(|(flag, on)| format!("{flag} {}", if *on { "on" } else { "off" }));
    set(&mut table, "turned", turned.collect::<toml_edit::Array>());
    table
}

/// The state that the file says, or what is wrong with it.
pub(super) fn load(path: &Path, shape: &Shape, first: State) -> Result<State, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(first),
        Err(error) => return Err(error.to_string()),
    };
    let document = text.parse::<DocumentMut>().map_err(|error| error.to_string())?;
    let mut state = first;
    state.version = number(document.as_table(), "version")?.unwrap_or(0);
    if let Some(flags) = document.get("flags") {
        let flags = flags.as_table_like().ok_or("`flags` is no table")?;
        for (name, item) in flags.iter() {
            let on = item.as_bool().ok_or_else(|| format!("the flag `{name}` is neither true nor false"))?;
            let at = shape.table.named(name).ok_or_else(|| format!("{}, or remove its line", unknown(name, shape)))?;
            if shape.from_stage[at].is_some() {
                return Err(format!("the flag `{name}` is the plan's, and its stage decides: remove its line"));
            }
            state.rules[at] = Arc::new(Rule { everybody: Some(Setting::of(on)), ..Rule::default() });
            state.sources[at] = Source::File;
        }
    }
    if let (Some(plan), Some(item)) = (&shape.plan, document.get("migration")) {
        let table = item.as_table().ok_or("`migration` is no table")?;
        let written = word(table, "plan")?;
        if written != plan.name {
            return Err(format!("it is of the plan `{written}`, not of `{}`", plan.name));
        }
        migration(table, shape, &mut state)?;
    }
    if let Some(history) = document.get("history").and_then(Item::as_array_of_tables) {
        let skip = history.len().saturating_sub(REMEMBERED);
        for table in history.iter().skip(skip) {
            state.history.extend(change(table, shape)?.map(Arc::new));
        }
    }
    let last = state.history.iter().map(|change| change.version).max().unwrap_or(0);
    state.version = state.version.max(last);
    // Attempts of an earlier run are none of this one's.
    state.footing = state.version;
    state.settle(shape);
    Ok(state)
}

fn migration(table: &Table, shape: &Shape, state: &mut State) -> Result<(), String> {
    let stage = number(table, "stage")?.unwrap_or(0) as usize;
    if stage > shape.last_stage() {
        return Err(format!("it is at stage {stage}, and the plan has {}", shape.last_stage()));
    }
    state.stage = stage;
    if table.contains_key("since") {
        state.since = time(table, "since")?;
    }
    state.rollbacks = number(table, "rollbacks")?.unwrap_or(0);
    for held in table.get("held").and_then(Item::as_array).into_iter().flatten() {
        let name = held.as_str().ok_or("`held` is no list of names")?;
        let number = shape.table.named(name).filter(|number| shape.from_stage[*number].is_some());
        state.held[number.ok_or_else(|| unknown(name, shape))?] = true;
    }
    Ok(())
}

/// `None`: it is about a flag that is not declared any more.
fn change(table: &Table, shape: &Shape) -> Result<Option<Change>, String> {
    let stage = |key| Ok::<_, String>(number(table, key)?.unwrap_or(0) as usize);
    let flag = || {
        let number = shape.table.named(&word(table, "flag")?);
        Ok::<_, String>(number.map(|number| shape.table.flags()[number].name()))
    };
    let what = match word(table, "what")?.as_str() {
        "set" => Some(What::Set),
        "advanced" => Some(What::Advanced { from: stage("from")?, to: stage("to")? }),
        "rolled back" => Some(What::RolledBack { from: stage("from")?, to: stage("to")? }),
        "emergency" => Some(What::Emergency { from: stage("from")? }),
        "held" => flag()?.map(What::Held),
        "released" => flag()?.map(What::Released),
        other => return Err(format!("the history says `{other}`, which is no decision")),
    };
    let Some(what) = what else { return Ok(None) };
    // A flag that is not declared any more was turned long ago.
    let turned = table.get("turned").and_then(Item::as_array).into_iter().flatten().filter_map(|turned| {
        let (name, on) = turned.as_str()?.rsplit_once(' ')?;
        Some((shape.table.flags()[shape.table.named(name)?].name(), on == "on"))
    });
    Ok(Some(Change {
        version: number(table, "version")?.unwrap_or(0),
        at: time(table, "at")?,
        by: word(table, "by")?.into(),
        why: word(table, "why")?.into(),
        what,
        said: Vec::new(),
        turned: turned.collect(),
    }))
}

fn number(table: &Table, key: &str) -> Result<Option<u64>, String> {
    let Some(item) = table.get(key) else { return Ok(None) };
    let number = item.as_integer().and_then(|number| u64::try_from(number).ok());
    number.map(Some).ok_or_else(|| format!("`{key}` is no whole number from 0 on"))
}

fn word(table: &Table, key: &str) -> Result<String, String> {
    table.get(key).and_then(Item::as_str).map(str::to_owned).ok_or_else(|| format!("`{key}` is missing, or no text"))
}

/// A clock that stands before 1970 is taken to stand there.
fn date(at: SystemTime) -> String {
    humantime::format_rfc3339(at.max(SystemTime::UNIX_EPOCH)).to_string()
}

fn time(table: &Table, key: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(&word(table, key)?).map_err(|error| format!("`{key}`: {error}"))
}

fn unknown(name: &str, shape: &Shape) -> String {
    let known: Vec<_> = shape.table.flags().iter().map(|flag| flag.name()).collect();
    format!("unknown flag `{name}`; there are {}", known.join(", "))
}
