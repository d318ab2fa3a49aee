//! One name, as a backup holds it.

use std::{fmt, time::SystemTime};

use foundation_context::{Fields, Incarnation, Value};

/// One name, as a backup holds it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// The name.
    pub name: String,
    /// Whether it was its owner's alone.
    pub kind: Kind,
    /// Who owned it. A later run of the program gives the same numbers to others.
    pub owner: Incarnation,
    /// Its owner's name, for people.
    pub owner_name: String,
    /// Since when it was registered.
    pub since: SystemTime,
    /// What was said about it, in order; a name that comes twice says what it said last.
    pub metadata: Vec<(String, Value)>,
    /// What it stood for, as the text that a function of the user's made of it; `None` if it made none.
    pub value: Option<String>,
}

/// What kind of name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// It has one owner.
    Unique,
    /// It is a group's, and this is one of its members.
    Member,
}

/// The metadata has a field that the program doesn't know: its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField(pub String);

impl Record {
    /// A unique name without metadata and value.
    pub fn new(name: impl Into<String>, owner: Incarnation, owner_name: impl Into<String>, since: SystemTime) -> Self {
        let (name, owner_name) = (name.into(), owner_name.into());
        Self { name, kind: Kind::Unique, owner, owner_name, since, metadata: Vec::new(), value: None }
    }

    /// The same, of this kind.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same, with this metadata.
    #[must_use]
    pub fn metadata(mut self, fields: &Fields) -> Self {
        self.metadata = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self
    }

    /// The same, with this text for its value.
    #[must_use]
    pub fn value(mut self, text: Option<String>) -> Self {
        self.value = text;
        self
    }

    /// The metadata as fields. Their names are looked up in `known`: a name is never made at run time.
    ///
    /// # Errors
    /// The first field whose name is not known.
    pub fn fields(&self, known: &[&'static str]) -> Result<Fields, UnknownField> {
        let field = |(name, value): &(String, Value)| {
            let known = known.iter().find(|known| *known == name).ok_or_else(|| UnknownField(name.clone()))?;
            Ok((*known, value.clone()))
        };
        self.metadata.iter().map(field).collect()
    }
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its metadata has the field `{}`, which is not among those that were named: name it, too", self.0)
    }
}

impl std::error::Error for UnknownField {}
