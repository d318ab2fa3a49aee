//! What the environment says about flags: text by name, given by whoever reads it.

use std::{ffi::OsString, fmt, sync::Arc};

use crate::{Flag, Setting, nearest, state::Shape};

/// Variables of the environment, as far as they are about flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    said: Vec<Variable>,
}

#[derive(Clone, Debug)]
struct Variable {
    name: String,
    /// Its name without the prefix.
    flag: String,
    /// `None`: it is no text.
    value: Option<String>,
}

/// What is wrong with a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) variable: Arc<str>,
    pub(crate) problem: Arc<str>,
}

impl Environment {
    /// Those of these variables whose names begin with the prefix. What comes later stands.
    pub(crate) fn read(&mut self, prefix: &str, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            // A name that is no text is that of no flag, and refused as such.
            let name = name.to_string_lossy().into_owned();
            if let Some(flag) = name.strip_prefix(prefix) {
                let flag = flag.to_owned();
                self.said.push(Variable { name, flag, value: value.into_string().ok() });
            }
        }
    }

    /// What is said for everybody, by a flag's number.
    pub(crate) fn settings(&self, shape: &Shape) -> Result<Vec<Option<Setting>>, Wrong> {
        let flags = shape.table.flags();
        let mut settings = vec![None; flags.len()];
        for Variable { name, flag, value } in &self.said {
            let wrong = |problem: fmt::Arguments<'_>| Wrong {
                variable: name.as_str().into(),
                problem: problem.to_string().into(),
            };
            let meant = upper(flag);
            let mut of_that_name = (0..flags.len()).filter(|number| upper(flags[*number].name()) == meant);
            let number = match (of_that_name.next(), of_that_name.next()) {
                (Some(number), None) => number,
                (Some(one), Some(other)) => {
                    let (one, other) = (flags[one].name(), flags[other].name());
                    return Err(wrong(format_args!("it may be `{one}` or `{other}`: remove it, and change the flag")));
                }
                (None, _) => {
                    return Err(match nearest(flag, flags.iter().map(Flag::name)) {
                        Some(nearest) => wrong(format_args!("there is no such flag, did you mean `{nearest}`?")),
                        None => wrong(format_args!("there is no such flag: rename the variable, or remove it")),
                    });
                }
            };
            if shape.from_stage[number].is_some() {
                let flag = flags[number].name();
                return Err(wrong(format_args!("`{flag}` is the plan's, and its stage decides: remove the variable")));
            }
            let value = value.as_ref().ok_or_else(|| wrong(format_args!("its value is no text")))?;
            settings[number] = Some(value.parse::<Setting>().map_err(|error| wrong(format_args!("{error}")))?);
        }
        Ok(settings)
    }
}

/// As shells write names: letters, digits and underlines.
fn upper(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect::<String>().to_uppercase()
}
