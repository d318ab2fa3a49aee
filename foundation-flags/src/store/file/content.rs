//! What a file says, read strictly.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use toml_edit::{Document, Item};

use super::{
    baseline,
    form::{MOST, Read, Reader, unknown},
    history, rule,
    text::Problem,
};
use crate::{Baseline, Change, Flag, Rule, names::nearest, state::Shape};

const OURS: [&str; 7] = ["version", "held", "flags", "migration", "baseline", "baseline_under_way", "history"];
const MIGRATION: [&str; 6] = ["plan", "stage", "since", "not_before", "rollbacks", "held"];

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) version: u64,
    /// The number of the decision that the text was made after, as it says itself.
    pub(crate) made_after: Option<Placed<u64>>,
    /// By a flag's number; of those of the plan nothing is said.
    pub(crate) rules: Vec<Option<Arc<Rule>>>,
    /// Which flags of no plan are held.
    pub(crate) held: Option<Placed<Vec<bool>>>,
    pub(crate) migration: Migration,
    pub(crate) baseline: Option<Baseline>,
    /// The one that is under way.
    pub(crate) measuring: Option<Baseline>,
    pub(crate) history: VecDeque<Arc<Change>>,
    /// Of which flags something is said that are not declared.
    pub(crate) unknown: Vec<Arc<str>>,
}

/// Which flags may stand there that are not declared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unknown<'a> {
    /// Any of which none is near: the program may have said something of it when it was declared.
    NotNear,
    /// These.
    Only(&'a [Arc<str>]),
}

impl Unknown<'_> {
    /// Takes note of a flag that may stand there. `false`: it may not.
    fn take(self, name: &str, shape: &Shape, unknown: &mut Vec<Arc<str>>) -> bool {
        let takes = match self {
            Self::NotNear => nearest(name, shape.table.flags().iter().map(Flag::name)).is_none(),
            Self::Only(those) => those.iter().any(|known| **known == *name),
        };
        if takes && !unknown.iter().any(|known| **known == *name) {
            unknown.push(name.into());
        }
        takes
    }
}

/// Where a migration stands. What is not said is `None`.
#[derive(Debug, Default)]
pub(crate) struct Migration {
    pub(crate) stage: Option<Placed<usize>>,
    pub(crate) since: Option<SystemTime>,
    pub(crate) not_before: Option<SystemTime>,
    pub(crate) rollbacks: u64,
    /// Which of its flags are held.
    pub(crate) held: Option<Placed<Vec<bool>>>,
}

/// A value, and at which byte it stands.
#[derive(Debug)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(super) at: Option<std::ops::Range<usize>>,
}

/// What the text says. What is in no table of ours is a person's own.
pub(super) fn read(text: &str, shape: &Shape, may: Unknown<'_>) -> Read<Content> {
    let document = Document::parse(text).map_err(|error| Problem::new(error.span(), error.message()))?;
    let mut content = Content { rules: vec![None; shape.from_stage.len()], ..Content::default() };
    let root = Reader { table: document.as_table(), name: "the file" };
    for (key, item) in document.iter() {
        match key {
            "version" => {
                content.made_after = root.number("version")?.map(|value| Placed { value, at: item.span() });
                let written = content.made_after.as_ref().map_or(0, |written| written.value);
                content.version = content.version.max(written);
            }
            "held" => content.held = held(root, shape, false, (may, &mut content.unknown))?,
            "flags" => {
                flags(Reader::of(item, "flags")?, shape, &mut content.rules, (may, &mut content.unknown))?;
            }
            "migration" => content.migration = migration(Reader::of(item, "migration")?, shape)?,
            "baseline" => content.baseline = Some(baseline::read(item, key)?),
            "baseline_under_way" => content.measuring = Some(baseline::read(item, key)?),
            "history" => {
                let (history, last) = history::read(item, shape)?;
                // A version that was lost is not counted from anew.
                (content.history, content.version) = (history, content.version.max(last));
            }
            other => {
                if let Some(ours) = nearest(other, OURS) {
                    let problem =
                        format!("`{other}` is near `{ours}`: did you mean that? If not, give it another name");
                    return Err(Problem::new(root.place(other), problem));
                }
            }
        }
    }
    let counted = content.history.back().map_or(0, |last| last.version);
    if let Some(written) = &content.made_after
        && written.value > MOST / 2
        && written.value > counted
    {
        let problem = format!("so many decisions were never made, and {counted} stands in the history: put that there");
        return Err(Problem::new(written.at.clone(), problem));
    }
    Ok(content)
}

fn flags(
    table: Reader<'_>,
    shape: &Shape,
    rules: &mut [Option<Arc<Rule>>],
    (may, all_unknown): (Unknown<'_>, &mut Vec<Arc<str>>),
) -> Read<()> {
    for (name, item) in table.table.iter() {
        let Some(number) = shape.table.named(name) else {
            if may.take(name, shape, all_unknown) {
                continue;
            }
            let free = shape.table.flags().iter().zip(&shape.from_stage).filter(|(_, planned)| planned.is_none());
            let free: Vec<_> = free.map(|(flag, _)| flag.name()).collect();
            let problem = format!("{}; or remove its line", unknown(name, &free, "flag", "flags"));
            return Err(Problem::new(table.place(name), problem));
        };
        if shape.from_stage[number].is_some() {
            let problem = format!(
                "the flag `{name}` is the plan's, and its stage decides: remove its line, which the program may have written \
                 when the flag was of no plan"
            );
            return Err(Problem::new(table.place(name), problem));
        }
        rules[number] = Some(Arc::new(rule::read(item, name)?));
    }
    Ok(())
}

/// Where a program has no plan, that of another version of it may stand there, and stays.
fn migration(table: Reader<'_>, shape: &Shape) -> Read<Migration> {
    let Some(plan) = &shape.plan else { return Ok(Migration::default()) };
    table.only(&MIGRATION)?;
    let written = table.needed("plan", table.word("plan")?)?;
    let at = |key: &str| table.table.get(key).and_then(Item::span);
    if written != plan.name {
        let problem = format!("it is of the plan `{written}`, not of `{}`", plan.name);
        return Err(Problem::new(at("plan"), problem));
    }
    let stage = table.number("stage")?.map(|stage| usize::try_from(stage).unwrap_or(usize::MAX));
    if let Some(stage) = stage.filter(|stage| *stage > shape.last_stage()) {
        let problem = format!("it is at stage {stage}, and the plan has {}", shape.last_stage());
        return Err(Problem::new(at("stage"), problem));
    }
    Ok(Migration {
        stage: stage.map(|value| Placed { value, at: at("stage") }),
        since: table.date("since")?,
        not_before: table.date("not_before")?,
        rollbacks: table.number("rollbacks")?.unwrap_or(0),
        held: held(table, shape, true, (Unknown::Only(&[]), &mut Vec::new()))?,
    })
}

/// Which flags are held, by their numbers: of those of the plan, or of the others.
fn held(
    table: Reader<'_>,
    shape: &Shape,
    planned: bool,
    (may, all_unknown): (Unknown<'_>, &mut Vec<Arc<str>>),
) -> Read<Option<Placed<Vec<bool>>>> {
    let Some(item) = table.table.get("held") else { return Ok(None) };
    let mut held = vec![false; shape.from_stage.len()];
    for (name, at) in table.words("held")? {
        let number = shape.table.named(name);
        if !planned && number.is_some_and(|number| shape.from_stage[number].is_some()) {
            let problem = format!(
                "the flag `{name}` is the plan's: move it to `held` of `migration`; the program may have written it here when \
                 the flag was of no plan"
            );
            return Err(Problem::new(at, problem));
        }
        let Some(number) = number.filter(|number| shape.from_stage[*number].is_some() == planned) else {
            if number.is_none() && may.take(name, shape, all_unknown) {
                continue;
            }
            let flags = shape.table.flags().iter().zip(&shape.from_stage).filter(|(_, of)| of.is_some() == planned);
            let flags: Vec<_> = flags.map(|(flag, _)| flag.name()).collect();
            return Err(Problem::new(at, unknown(name, &flags, "flag", "held")));
        };
        if std::mem::replace(&mut held[number], true) {
            return Err(Problem::new(at, format!("`{name}` is held twice: remove one of them")));
        }
    }
    Ok(Some(Placed { value: held, at: item.span() }))
}

/// What the program keeps in the file besides what is said of flags: it is not changed by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) version: u64,
    pub(crate) stage: usize,
    /// By a flag's number.
    pub(crate) held: &'a [bool],
}

impl Record<'_> {
    fn is_held(&self, number: usize) -> bool {
        self.held.get(number).copied().unwrap_or(false)
    }
}

impl Content {
    /// Whether it is an old copy: made after another decision than any of these.
    pub(crate) fn is_old(&self, known: [u64; 2]) -> bool {
        self.made_after.as_ref().is_some_and(|written| !known.contains(&written.value))
    }

    /// Whether the record stands there, as far as nobody may do without it.
    pub(crate) fn has_record(&self, shape: &Shape, record: Record<'_>) -> bool {
        let holds = |planned: bool| {
            let mut held = (0..shape.from_stage.len()).filter(|number| record.is_held(*number));
            held.any(|number| shape.from_stage[number].is_some() == planned)
        };
        self.made_after.as_ref().is_some_and(|written| written.value == record.version)
            && (shape.plan.is_none() || self.migration.stage.is_some())
            && (self.held.is_some() || !holds(false))
            && (self.migration.held.is_some() || !holds(true))
    }
}

/// Refuses a record that is another than any of these, what is written down and what is now. Of what is not said it has
/// no other.
pub(super) fn same_record(content: &Content, shape: &Shape, known: [Record<'_>; 2]) -> Read<()> {
    let now = known[1];
    if let Some(written) = &content.made_after
        && content.is_old(known.map(|known| known.version))
    {
        let (asked, now) = (written.value, now.version);
        let problem = format!(
            "it was made after decision {asked}, and the last one is {now}: look at what has changed since, then put \
             `version = {now}` there, or leave the line out"
        );
        return Err(Problem::new(written.at.clone(), problem));
    }
    if let Some(stage) = &content.migration.stage
        && known.iter().all(|known| known.stage != stage.value)
    {
        let (now, asked) = (now.stage, stage.value);
        let how = if asked > now { "advance to it" } else { "roll back to it" };
        let problem = format!("it is at stage {now}, and no stage is changed by hand: put {now} back, then {how}");
        return Err(Problem::new(stage.at.clone(), problem));
    }
    for (number, flag) in shape.table.flags().iter().enumerate() {
        let planned = shape.from_stage[number].is_some();
        let Some(held) = (if planned { &content.migration.held } else { &content.held }) else { continue };
        let asked = held.value.get(number).copied().unwrap_or(false);
        if known.iter().all(|known| known.is_held(number) != asked) {
            let name = flag.name();
            let problem = match asked {
                true => format!("`{name}` is held in the file, and not in the program: take it out, then `hold` it"),
                false => {
                    format!("`{name}` is held in the program, and not in the file: put it back, then `release` it")
                }
            };
            return Err(Problem::new(held.at.clone(), problem));
        }
    }
    Ok(())
}
