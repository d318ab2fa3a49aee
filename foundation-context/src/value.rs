//! Fields: what is said about a piece of work, an event, an entry.

use std::{borrow::Cow, fmt, sync::Arc};

/// What a field says. A clone of any costs at most a count.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number that may be negative.
    I64(i64),
    /// A whole number.
    U64(u64),
    /// A fraction.
    F64(f64),
    /// Text known when compiled.
    Static(&'static str),
    /// Other text.
    Text(Arc<str>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::U64(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Static(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Static(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U64(number) => Some(number),
            Self::I64(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => |$value:ident| $into:expr;)+) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        })+
    };
}

from! {
    bool => |value| Value::Bool(value);
    i32 => |value| Value::I64(value.into());
    i64 => |value| Value::I64(value);
    u8 => |value| Value::U64(value.into());
    u16 => |value| Value::U64(value.into());
    u32 => |value| Value::U64(value.into());
    u64 => |value| Value::U64(value);
    usize => |value| Value::U64(value as u64);
    f64 => |value| Value::F64(value);
    &'static str => |value| Value::Static(value);
    String => |value| Value::Text(value.into());
    Arc<str> => |value| Value::Text(value);
    Cow<'static, str> => |value| match value {
        Cow::Borrowed(text) => Value::Static(text),
        Cow::Owned(text) => Value::Text(text.into()),
    };
    crate::Incarnation => |value| Value::Text(value.to_string().into());
}

/// A name and what it says.
pub type Field = (&'static str, Value);

/// A list of fields, in the order in which they were given; a name that comes twice says what it said last.
///
/// [`fields!`](crate::fields) makes one.
#[derive(Clone, Default, PartialEq)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// No fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What the field of this name says.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The fields in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all fields of `expected` are there and say the same.
    pub fn contains(&self, expected: &Self) -> bool {
        expected.iter().all(|(name, value)| self.get(name) == Some(value))
    }

    pub(crate) fn truncate(&mut self, most: usize) {
        self.0.truncate(most);
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl<const N: usize> From<[Field; N]> for Fields {
    fn from(fields: [Field; N]) -> Self {
        Self(fields.into())
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}: {value}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// Fields, written as `fields! { name: value, .. }`. A value is anything that is `Into<Value>`.
#[macro_export]
macro_rules! fields {
    () => { $crate::Fields::new() };
    ($($name:ident : $value:expr),+ $(,)?) => {
        $crate::Fields::from([$((stringify!($name), $crate::Value::from($value))),+])
    };
}
