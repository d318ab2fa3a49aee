//! The state as a TOML file.
//!
//! It is replaced as a whole ([`foundation_sync::file`]): after a cut at any moment it is the old one or the new one. What
//! a person wrote into it besides stays, and what a person changes in what is ours is read strictly: nothing is passed
//! over.

mod baseline;
mod content;
mod edit;
mod form;
mod history;
mod rule;
mod text;
mod write;

use std::{path::Path, sync::Arc};

pub(super) use self::text::read as read_text;
pub(crate) use self::{
    content::{Content, Record, Unknown},
    write::Part,
};
use crate::{
    FileError, Source,
    state::{Shape, State},
};

/// What the text says.
pub(super) fn content(path: &Path, text: &str, shape: &Shape, may: Unknown<'_>) -> Result<Content, FileError> {
    content::read(text, shape, may).map_err(|problem| problem.of(path, text))
}

/// The text with the state in it. What it says was read before.
pub(super) fn entered(path: &Path, text: &str, shape: &Shape, state: &State, part: Part) -> Result<String, FileError> {
    write::entered(text, shape, state, part).map_err(|problem| problem.of(path, text))
}

/// Refuses a record that is another than any of these.
pub(super) fn same_record(
    path: &Path,
    text: &str,
    shape: &Shape,
    content: &Content,
    known: [Record<'_>; 2],
) -> Result<(), FileError> {
    content::same_record(content, shape, known).map_err(|problem| problem.of(path, text))
}

/// The state that is found written down.
pub(super) fn state(content: Content, shape: &Shape, first: State) -> State {
    let mut state = first;
    state.version = content.version;
    for (number, rule) in content.rules.into_iter().enumerate() {
        if let Some(rule) = rule.filter(|rule| !rule.is_empty()) {
            (state.rules[number], state.sources[number]) = (rule, Source::File);
        }
    }
    let migration = content.migration;
    state.stage = migration.stage.map_or(0, |stage| stage.value);
    state.since = migration.since.unwrap_or(state.since);
    state.not_before = migration.not_before;
    state.rollbacks = migration.rollbacks;
    (state.baseline, state.measuring) = (content.baseline.map(Arc::new), content.measuring.map(Arc::new));
    for held in [content.held, migration.held].into_iter().flatten() {
        state.held.iter_mut().zip(held.value).for_each(|(is, held)| *is |= held);
    }
    state.history = content.history;
    // Attempts of an earlier run are none of this one's.
    state.footing = state.version;
    state.settle(shape);
    state
}
