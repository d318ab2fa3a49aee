//! What is written: the state, entered into the text that stands there.

use toml_edit::{Array, ArrayOfTables, Document, DocumentMut, Item, Table};

use super::{
    baseline,
    edit::{set, set_or_remove, stand_behind, table_in, word},
    form::{MOST, Read, date},
    history, rule,
    text::{Form, LONGEST, Problem},
};
use crate::state::{Shape, State};

const HEAD: &str = "# Flags and stages, kept by the program. What is said in `flags` may be changed by hand, and reloaded;\n\
                    # stages, holds and history are the program's to change.\n";

/// What of the state is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// What is said of flags is left as it stands there: a person has changed it, and it was not reloaded yet.
    NoRules,
    /// The same, and it stays an old copy.
    NoRulesOfOld,
}

/// The text with the state in it.
pub(super) fn entered(text: &str, shape: &Shape, state: &State, part: Part) -> Read<String> {
    let form = Form::of(text);
    let text = if text.trim().is_empty() { HEAD } else { text };
    let document = Document::parse(text).map_err(|error| Problem::new(error.span(), error.message()))?;
    let mut document = document.into_mut();
    enter(&mut document, shape, state, part);
    let text = form.give(document.to_string());
    if text.len() as u64 > LONGEST {
        return Err(Problem::new(
            None,
            format!("it would be longer than {LONGEST} bytes: name groups, not their members"),
        ));
    }
    Ok(text)
}

fn enter(document: &mut DocumentMut, shape: &Shape, state: &State, part: Part) {
    // What stands at the end stays behind what it stands behind now.
    let mut end = take_end(document);
    let history = document.get("history").and_then(Item::as_array_of_tables);
    let history = history.and_then(|history| history.get(0)?.position());
    let first = document.is_empty();
    if part != Part::NoRulesOfOld {
        set(document.as_table_mut(), "version", state.version as i64);
    }
    if first && let Some(mut key) = document.key_mut("version") {
        key.leaf_decor_mut().set_prefix(std::mem::take(&mut end));
    }
    let flags = || shape.table.flags().iter().enumerate();
    let held = |planned: bool| {
        let held = flags().filter(|(number, _)| state.held[*number] && shape.from_stage[*number].is_some() == planned);
        held.map(|(_, flag)| word(flag.name())).collect::<Array>()
    };
    let mut free_held = held(false);
    let there = document.get("held").and_then(Item::as_array);
    let unknown = there.into_iter().flatten().filter(|name| name.as_str().is_some_and(|name| is_unknown(shape, name)));
    unknown.cloned().collect::<Vec<_>>().into_iter().for_each(|name| free_held.push_formatted(name));
    set_or_remove(document.as_table_mut(), "held", Some(free_held).filter(|held| !held.is_empty()));
    if part == Part::All {
        let free = || flags().filter(|(number, _)| shape.from_stage[*number].is_none());
        if document.contains_key("flags") || free().any(|(number, _)| !state.rules[number].is_empty()) {
            let table = table_in(document.as_table_mut(), "flags", || new_table(history, &mut end));
            free().for_each(|(number, flag)| rule::enter(table, flag.name(), &state.rules[number]));
        }
    }
    if let Some(plan) = &shape.plan {
        let table = table_in(document.as_table_mut(), "migration", || new_table(history, &mut end));
        set(table, "plan", word(plan.name));
        set(table, "stage", state.stage as i64);
        set(table, "since", date(state.since));
        set_or_remove(table, "not_before", state.not_before.map(date));
        set(table, "rollbacks", state.rollbacks.min(MOST) as i64);
        set(table, "held", held(true));
    }
    for (name, of) in [("baseline", &state.baseline), ("baseline_under_way", &state.measuring)] {
        baseline::enter(document.as_table_mut(), name, of.as_deref(), || {
            // It goes again: nothing of a person's is put into it.
            new_table(history, &mut String::new())
        });
    }
    let last = document.iter().last().is_some_and(|(key, _)| key == "history") || !document.contains_key("history");
    let mut none = String::new();
    let history = document.entry("history").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    history::enter(history, shape, state, if last { &mut end } else { &mut none });
    document.set_trailing(end);
}

/// It may be another version's of the program.
fn is_unknown(shape: &Shape, name: &str) -> bool {
    shape.table.named(name).is_none()
}

/// What stands behind everything.
fn take_end(document: &mut DocumentMut) -> String {
    let end = document.trailing().as_str().unwrap_or_default().to_owned();
    document.set_trailing("");
    end
}

/// A table that is made stands before the history; if there is none yet, behind everything.
fn new_table(history: Option<isize>, end: &mut String) -> Item {
    let mut table = Table::new();
    match history {
        Some(history) => table.set_position(Some(history - 1)),
        None => stand_behind(&mut table, end),
    }
    Item::Table(table)
}
