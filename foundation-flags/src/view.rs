//! All flags at one moment.

use std::{fmt, sync::Arc};

use crate::{Explanation, Flag, Flags, Rule, Target, rules::Because, state::State};

/// All flags at one moment. Its reads wait for nobody and allocate nothing.
#[derive(Clone)]
pub struct View {
    pub(crate) flags: Flags,
    pub(crate) state: Arc<State>,
}

impl View {
    /// Whether the flag was on; what it says by default if it is not declared.
    pub fn enabled(&self, flag: &Flag) -> bool {
        let inner = &self.flags.0;
        inner.shape.table.find(flag).map_or_else(|| inner.undeclared(flag), |number| self.state.is_on(number))
    }

    /// Whether the flag was on for who has this id.
    pub fn enabled_for(&self, flag: &Flag, id: &str) -> bool {
        self.enabled_for_target(flag, &Target::id(id))
    }

    /// Whether the flag was on for a target.
    pub fn enabled_for_target(&self, flag: &Flag, target: &Target<'_>) -> bool {
        let (inner, shape) = (&self.flags.0, &self.flags.0.shape);
        match shape.table.find(flag) {
            Some(number) => self.state.is_on_for(shape, number, target),
            None => inner.undeclared(flag),
        }
    }

    /// Whether the flag was on for a target, and which rule said so.
    pub fn explain(&self, flag: &Flag, target: &Target<'_>) -> Explanation {
        let shape = &self.flags.0.shape;
        let undeclared = || Explanation { on: flag.default(), because: Because::Default };
        shape.table.find(flag).map_or_else(undeclared, |number| self.state.decide(shape, number, target))
    }

    /// What is said about a flag of no plan; `None` if it is not declared.
    pub fn rule(&self, flag: &Flag) -> Option<Arc<Rule>> {
        self.flags.0.shape.table.find(flag).map(|number| self.state.rule(number).to_rule())
    }

    /// The stage.
    pub fn stage(&self) -> usize {
        self.state.stage
    }

    /// How many decisions had been made.
    pub fn version(&self) -> u64 {
        self.state.version
    }

    /// All declared flags by name, in the order of their declaration, and whether they were on.
    pub fn all(&self) -> Vec<(&'static str, bool)> {
        let flags = self.flags.0.shape.table.flags().iter().enumerate();
        flags.map(|(number, flag)| (flag.name(), self.state.is_on(number))).collect()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on: Vec<_> = self.all().into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
        write!(f, "Flags(version {}, stage {}, on: {on:?})", self.version(), self.stage())
    }
}
