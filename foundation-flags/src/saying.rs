//! What each decision about rules makes of a state: what is said of flags of no plan, and taken back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Change, ChangeError, Flag, Part, Rule, Said, Setting, Source, What,
    rules::MOST_TARGETS,
    state::{Shape, State, Who},
};

/// What is to be said about a flag: for a part, or about every part for which something is said.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) flag: Flag,
    pub(crate) part: Option<Part>,
    pub(crate) setting: Option<Setting>,
}

/// Where something is said for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// By the environment, or else what is written down.
    InForce,
    /// What is written down, whatever the environment says above it.
    Written,
}

impl Shape {
    /// The number of a flag of no plan.
    fn free(&self, flag: &Flag) -> Result<usize, ChangeError> {
        let number = self.table.find(flag).ok_or(ChangeError::Undeclared(flag.name()))?;
        if self.from_stage[number].is_some() { Err(ChangeError::Planned(flag.name())) } else { Ok(number) }
    }
}

impl State {
    /// Says something about flags of no plan, all of it or nothing. What the environment says about a flag for everybody
    /// stands until something else is said for everybody.
    pub(crate) fn said(&self, shape: &Shape, wishes: &[Wish], what: What, who: &Who) -> Result<Self, ChangeError> {
        self.said_at(Layer::InForce, shape, wishes, what, who)
    }

    /// What is said of a part, there.
    fn says(&self, layer: Layer, number: usize, part: &Part) -> Option<Setting> {
        match layer {
            Layer::InForce => self.rule(number).get(part),
            Layer::Written => self.rules[number].get(part),
        }
    }

    fn said_at(
        &self,
        layer: Layer,
        shape: &Shape,
        wishes: &[Wish],
        what: What,
        who: &Who,
    ) -> Result<Self, ChangeError> {
        let mut next = self.clone();
        let mut rules: BTreeMap<usize, Rule> = BTreeMap::new();
        let mut touched: BTreeSet<(usize, Part)> = BTreeSet::new();
        for Wish { flag, part, setting } in wishes {
            let number = shape.free(flag)?;
            let rule = rules.entry(number).or_insert_with(|| Rule::clone(&self.rules[number]));
            let parts = match part {
                Some(part) => vec![part.clone()],
                None => rule.parts().map(|(part, _)| part).chain([Part::Everybody]).collect(),
            };
            for part in parts {
                rule.say(&part, *setting);
                if part == Part::Everybody && layer == Layer::InForce {
                    next.environment[number] = None;
                }
                touched.insert((number, part));
            }
        }
        for (number, rule) in rules {
            if rule.targets() > MOST_TARGETS {
                return Err(ChangeError::TooManyTargets(shape.table.flags()[number].name()));
            }
            next.sources[number] = if rule.is_empty() { Source::Default } else { Source::RunTime };
            next.rules[number] = Arc::new(rule);
        }
        let said = touched.into_iter().filter_map(|(number, part)| {
            let (before, after) = (self.says(layer, number, &part), next.says(layer, number, &part));
            let flag = shape.table.flags()[number].name();
            (before.is_some() || after.is_some()).then_some(Said { flag, part, before, after })
        });
        let said = said.collect();
        Ok(next.decided(self, shape, who, what, said))
    }

    /// Says nothing about any flag of no plan.
    pub(crate) fn reset(&self, shape: &Shape, who: &Who) -> Self {
        let numbers = (0..self.rules.len()).filter(|number| shape.from_stage[*number].is_none());
        let wishes = numbers.map(|number| Wish { flag: shape.table.flags()[number], part: None, setting: None });
        let reset = self.said(shape, &wishes.collect::<Vec<_>>(), What::Reset, who);
        reset.expect("the flags are declared and no plan's, and nothing is said of any target")
    }

    /// Says again what was said before a decision, wherever that decision said something else.
    pub(crate) fn undone(&self, shape: &Shape, version: u64, who: &Who) -> Result<Self, ChangeError> {
        let known = self.history.iter().find(|change| change.version == version);
        let undo = known.ok_or(ChangeError::Forgotten {
            version,
            oldest: self.history.front().map_or(self.version, |change| change.version),
        })?;
        if !undo.what.is_of_rules() {
            return Err(ChangeError::NotUndoable { version, what: undo.what });
        }
        let number_of =
            |said: &Said| shape.table.named(said.flag).expect("what the history says is of flags that are declared");
        let layer = self.layer_of(undo);
        for said in &undo.said {
            if self.says(layer, number_of(said), &said.part) != said.after {
                let by = |change: &&Arc<Change>| change.said.iter().any(|other| other.is_of(said.flag, &said.part));
                let later = self.history.iter().rev().take_while(|change| change.version > version).find(by);
                let version = later.map(|change| change.version);
                return Err(ChangeError::SaidSince { flag: said.flag, part: said.part.clone(), version });
            }
        }
        let wish = |said: &Said| {
            let flag = shape.table.flags()[number_of(said)];
            Wish { flag, part: Some(said.part.clone()), setting: said.before }
        };
        let wishes: Vec<_> = undo.said.iter().map(wish).collect();
        self.said_at(layer, shape, &wishes, What::Undone(version), who)
    }

    /// Where a decision said what it said: a reload, and who takes it back, in the file.
    fn layer_of(&self, change: &Change) -> Layer {
        match change.what {
            What::Reloaded => Layer::Written,
            // Only of one that came before.
            What::Undone(version) if version < change.version => {
                let undone = self.history.iter().find(|change| change.version == version);
                undone.map_or(Layer::InForce, |undone| self.layer_of(undone))
            }
            _ => Layer::InForce,
        }
    }
}
