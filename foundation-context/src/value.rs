//! Values: what a field says.

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
