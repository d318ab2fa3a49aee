//! What the environment says about flags: text by name, given by whoever reads it.

use std::{fmt, sync::Arc};

use crate::{Rule, Setting, state::Shape};

/// Variables of the environment, as far as they are about flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// By the variable's name: the flag's name in upper case, and what is said.
    said: Vec<(String, String, String)>,
}

/// What is wrong with a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) variable: Arc<str>,
    pub(crate) problem: Arc<str>,
}

impl Environment {
    /// Those of these variables whose names begin with the prefix. What comes later stands.
    pub(crate) fn read(&mut self, prefix: &str, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in variables {
            if let Some(flag) = variable.strip_prefix(prefix) {
                let flag = flag.to_uppercase();
                self.said.push((variable, flag, value));
            }
        }
    }

    /// By a flag's number.
    pub(crate) fn rules(&self, shape: &Shape) -> Result<Vec<Option<Arc<Rule>>>, Wrong> {
        let flags = shape.table.flags();
        let mut rules = vec![None; flags.len()];
        for (variable, name, value) in &self.said {
            let wrong = |problem: &dyn fmt::Display| Wrong {
                variable: variable.as_str().into(),
                problem: problem.to_string().into(),
            };
            let number = flags.iter().position(|flag| upper(flag.name()) == *name);
            let Some(number) = number else {
                return Err(wrong(&format_args!("there is no such flag: rename the variable, or remove it")));
            };
            if shape.from_stage[number].is_some() {
                let flag = flags[number].name();
                return Err(wrong(&format_args!("`{flag}` is the plan's, and its stage decides: remove the variable")));
            }
            let setting = value.parse::<Setting>().map_err(|error| wrong(&error))?;
            rules[number] = Some(Arc::new(Rule { everybody: Some(setting), ..Rule::default() }));
        }
        Ok(rules)
    }
}

/// As shells write names: letters, digits and underlines.
fn upper(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}
