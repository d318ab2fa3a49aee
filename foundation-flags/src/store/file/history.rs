//! Decisions in the file: `[[history]]`, or a list of tables.

use std::{collections::VecDeque, sync::Arc};

use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, TableLike, Value};

use super::{
    edit::{set, set_or_remove, stand_behind, word},
    form::{Read, Reader, date, wrong},
    rule::{read_setting, setting},
    text::Problem,
};
use crate::{
    Change, Part, Said, What,
    state::{MOST_SAID, REMEMBERED, Shape, State},
};

const KEYS: [&str; 11] = ["version", "at", "by", "why", "what", "from", "to", "flag", "undone", "said", "turned"];
const SAID_KEYS: [&str; 6] = ["flag", "actor", "group", "node", "before", "after"];

/// The last decisions, and the number of the very last; those about flags that are not declared any more are left out.
pub(super) fn read(item: &Item, shape: &Shape) -> Read<(VecDeque<Arc<Change>>, u64)> {
    let mut history: VecDeque<Arc<Change>> = VecDeque::new();
    let mut last = None;
    for entry in entries(item)? {
        let version = entry.number("version")?;
        let version = entry.needed("version", version)?;
        if let Some(last) = last.filter(|last| *last >= version) {
            let problem = format!("decision {version} stands after {last}: the oldest comes first, and each once");
            return Err(Problem::new(entry.place("version"), problem));
        }
        last = Some(version);
        history.extend(change(entry, version, shape)?.map(Arc::new));
    }
    let mut all_said: usize = history.iter().map(|change| change.said.len()).sum();
    while are_too_many(history.len(), all_said) {
        all_said -= history.pop_front().map_or(0, |oldest| oldest.said.len());
    }
    Ok((history, last.unwrap_or(0)))
}

fn entries(item: &Item) -> Read<Vec<Reader<'_>>> {
    const NAME: &str = "history";
    let wrong = || wrong(item, NAME, "a list of tables: `[[history]]`");
    match item {
        Item::ArrayOfTables(tables) => Ok(tables.iter().map(|table| Reader { table, name: NAME }).collect()),
        Item::Value(Value::Array(values)) => {
            let tables = values.iter().map(|value| Some(Reader { table: value.as_inline_table()?, name: NAME }));
            tables.collect::<Option<_>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// `None`: it is about a flag that is not declared any more.
fn change(entry: Reader<'_>, version: u64, shape: &Shape) -> Read<Option<Change>> {
    entry.only(&KEYS)?;
    let number = |key| entry.needed(key, entry.number(key)?);
    let stage = |key| Ok::<_, Problem>(usize::try_from(number(key)?).unwrap_or(usize::MAX));
    let word = |key| entry.needed(key, entry.word(key)?);
    let flag = || Ok::<_, Problem>(declared(word("flag")?, shape));
    let what = match word("what")? {
        "set" => Some(What::Set),
        "reset" => Some(What::Reset),
        "undone" => Some(What::Undone(number("undone")?)),
        "reloaded" => Some(What::Reloaded),
        "advanced" => Some(What::Advanced { from: stage("from")?, to: stage("to")? }),
        "rolled back" => Some(What::RolledBack { from: stage("from")?, to: stage("to")? }),
        "emergency" => Some(What::Emergency { from: stage("from")? }),
        "early" => Some(What::Early),
        "baseline started" => Some(What::BaselineStarted),
        "baseline finished" => Some(What::BaselineFinished),
        "held" => flag()?.map(What::Held),
        "released" => flag()?.map(What::Released),
        other => {
            let at = entry.table.get("what").and_then(Item::span);
            return Err(Problem::new(at, format!("the history says `{other}`, which is no decision")));
        }
    };
    let at = entry.needed("at", entry.date("at")?)?;
    let (by, why) = (word("by")?.into(), word("why")?.into());
    let (said, turned) = (said(entry, shape)?, turned(entry, shape)?);
    Ok(what.map(|what| Change { version, at, by, why, what, said, turned }))
}

fn declared(name: &str, shape: &Shape) -> Option<&'static str> {
    shape.table.named(name).map(|number| shape.table.flags()[number].name())
}

/// What was said of flags that are declared.
fn said(entry: Reader<'_>, shape: &Shape) -> Read<Vec<Said>> {
    let Some(item) = entry.table.get("said") else { return Ok(Vec::new()) };
    let wrong = || wrong(item, "said", "a list of tables such as { flag = \"a\", after = true }");
    let tables = item.as_array().ok_or_else(wrong)?;
    let mut all = Vec::new();
    for value in tables {
        let said = Reader { table: value.as_inline_table().ok_or_else(wrong)?, name: "said" };
        said.only(&SAID_KEYS)?;
        let setting = |key| said.table.get(key).map(|item| read_setting(item, key)).transpose();
        let (before, after) = (setting("before")?, setting("after")?);
        let mut parts = Vec::new();
        for (key, part) in
            [("actor", Part::Actor as fn(Arc<str>) -> Part), ("group", Part::Group), ("node", Part::Node)]
        {
            parts.extend(said.word(key)?.map(|name| part(name.into())));
        }
        let part = match parts.len() {
            0 => Part::Everybody,
            1 => parts.remove(0),
            _ => return Err(Problem::new(value.span(), "one actor, one group or one node is meant, not several")),
        };
        let flag = said.needed("flag", said.word("flag")?)?;
        all.extend(declared(flag, shape).map(|flag| Said { flag, part, before, after }));
    }
    Ok(all)
}

/// Which declared flags were turned.
fn turned(entry: Reader<'_>, shape: &Shape) -> Read<Vec<(&'static str, bool)>> {
    let mut all = Vec::new();
    for (text, at) in entry.words("turned")? {
        let (name, on) = match text.rsplit_once(' ') {
            Some((name, "on")) => (name, true),
            Some((name, "off")) => (name, false),
            _ => return Err(Problem::new(at, format!("`{text}` ought to be a flag and `on` or `off`"))),
        };
        all.extend(declared(name, shape).map(|name| (name, on)));
    }
    Ok(all)
}

/// Whether so many decisions, which say so much, are too many to be remembered.
fn are_too_many(decisions: usize, said: usize) -> bool {
    decisions > REMEMBERED || (decisions > 1 && said > MOST_SAID)
}

/// Brings the entries to what the history says. One that says it already is not touched; one that is not known here,
/// because it is about a flag that is not declared any more, stays as long as there is room.
pub(super) fn enter(item: &mut Item, shape: &Shape, state: &State, end: &mut String) {
    let mut entries = match item {
        Item::ArrayOfTables(tables) => Entries::Tables(tables),
        Item::Value(Value::Array(values)) => Entries::Values(values),
        _ => unreachable!("it is read before it is written, and a new one is an array of tables"),
    };
    let mut at = 0;
    for known in &state.history {
        while entries.version(at).is_some_and(|version| version < known.version) {
            at += 1;
        }
        if entries.version(at) == Some(known.version) {
            let entry = entries.get_mut(at);
            let there = change(Reader { table: &*entry, name: "history" }, known.version, shape);
            if there.as_ref().map(Option::as_ref) != Ok(Some(known)) {
                enter_change(entry, known);
            }
        } else {
            let mut entry = Table::new();
            enter_change(&mut entry, known);
            if at == entries.len() {
                stand_behind(&mut entry, end);
            }
            entries.insert(at, entry);
        }
        at += 1;
    }
    // What could be read and is not in the history was forgotten, or never was: another decision came in between.
    let mut at = 0;
    while let Some(version) = entries.version(at) {
        let is_known = || state.history.binary_search_by_key(&version, |known| known.version).is_ok();
        let stays = version <= state.version && (is_known() || !is_readable(entries.get_mut(at), version, shape));
        if stays { at += 1 } else { entries.remove(at) }
    }
    let mut all_said: usize = (0..entries.len()).map(|at| entries.said(at)).sum();
    while are_too_many(entries.len(), all_said) {
        all_said -= entries.said(0);
        entries.remove(0);
    }
}

fn is_readable(entry: &dyn TableLike, version: u64, shape: &Shape) -> bool {
    matches!(change(Reader { table: entry, name: "history" }, version, shape), Ok(Some(_)))
}

fn enter_change(entry: &mut dyn TableLike, change: &Change) {
    let (what, from, to, flag, undone) = match change.what {
        What::Set => ("set", None, None, None, None),
        What::Reset => ("reset", None, None, None, None),
        What::Undone(version) => ("undone", None, None, None, Some(version)),
        What::Reloaded => ("reloaded", None, None, None, None),
        What::Advanced { from, to } => ("advanced", Some(from), Some(to), None, None),
        What::RolledBack { from, to } => ("rolled back", Some(from), Some(to), None, None),
        What::Emergency { from } => ("emergency", Some(from), None, None, None),
        What::Early => ("early", None, None, None, None),
        What::BaselineStarted => ("baseline started", None, None, None, None),
        What::BaselineFinished => ("baseline finished", None, None, None, None),
        What::Held(flag) => ("held", None, None, Some(flag), None),
        What::Released(flag) => ("released", None, None, Some(flag), None),
    };
    set(entry, "version", change.version as i64);
    set(entry, "at", date(change.at));
    set(entry, "by", word(&change.by));
    set(entry, "why", word(&change.why));
    set(entry, "what", what);
    set_or_remove(entry, "from", from.map(|stage| stage as i64));
    set_or_remove(entry, "to", to.map(|stage| stage as i64));
    set_or_remove(entry, "flag", flag.map(word));
    set_or_remove(entry, "undone", undone.map(|version| version as i64));
    let said: Array = change.said.iter().map(said_table).collect();
    set_or_remove(entry, "said", Some(said).filter(|said| !said.is_empty()));
    let turned = change.turned.iter().map(|(flag, on)| word(&format!("{flag} {}", if *on { "on" } else { "off" })));
    set(entry, "turned", turned.collect::<Array>());
}

fn said_table(said: &Said) -> InlineTable {
    let mut table = InlineTable::new();
    table.insert("flag", word(said.flag));
    let part = match &said.part {
        Part::Everybody => None,
        Part::Actor(id) => Some(("actor", id)),
        Part::Group(group) => Some(("group", group)),
        Part::Node(node) => Some(("node", node)),
    };
    part.into_iter().for_each(|(key, name)| _ = table.insert(key, word(name)));
    for (key, said) in [("before", said.before), ("after", said.after)] {
        said.into_iter().for_each(|said| _ = table.insert(key, setting(said)));
    }
    table
}

/// Either way in which a list of tables is written.
enum Entries<'a> {
    Tables(&'a mut ArrayOfTables),
    Values(&'a mut Array),
}

impl Entries<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Tables(tables) => tables.len(),
            Self::Values(values) => values.len(),
        }
    }

    fn get(&self, at: usize) -> Option<&dyn TableLike> {
        Some(match self {
            Self::Tables(tables) => tables.get(at)?,
            Self::Values(values) => values.get(at)?.as_inline_table()?,
        })
    }

    fn version(&self, at: usize) -> Option<u64> {
        self.get(at)?.get("version")?.as_integer().map(|version| version as u64)
    }

    fn get_mut(&mut self, at: usize) -> &mut dyn TableLike {
        let table: Option<&mut dyn TableLike> = match self {
            Self::Tables(tables) => tables.get_mut(at).map(|table| table as _),
            Self::Values(values) => values.get_mut(at).and_then(Value::as_inline_table_mut).map(|table| table as _),
        };
        table.expect("its version was looked at")
    }

    fn insert(&mut self, at: usize, table: Table) {
        match self {
            Self::Tables(tables) => tables.insert(at, table),
            Self::Values(values) => {
                let last = at == values.len();
                // What stands behind the last one stays behind it.
                let behind = values.trailing().as_str().unwrap_or_default().trim_end().to_owned();
                let mut value = Value::from(table.into_inline_table());
                value.decor_mut().set_prefix(format!("{}\n  ", if last { &*behind } else { "" }));
                values.insert_formatted(at, value);
                if last {
                    values.set_trailing("\n");
                }
            }
        }
    }

    /// How much the entry says, also about flags that are not declared any more.
    fn said(&self, at: usize) -> usize {
        self.get(at).and_then(|table| table.get("said")?.as_array()).map_or(0, Array::len)
    }

    /// What a person wrote in front of all of them stays there.
    fn remove(&mut self, at: usize) {
        match self {
            Self::Tables(tables) => {
                let decor = tables.remove(at).decor().clone();
                let plain = |table: &&mut Table| {
                    let prefix = table.decor().prefix();
                    prefix.is_none_or(|prefix| prefix.as_str().is_some_and(|prefix| prefix.trim().is_empty()))
                };
                if let Some(next) = tables.get_mut(0).filter(plain).filter(|_| at == 0) {
                    *next.decor_mut() = decor;
                }
            }
            Self::Values(values) => _ = values.remove(at),
        }
    }
}
