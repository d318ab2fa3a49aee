//! Values: what a field says.

use std::{borrow::Cow, fmt, sync::Arc};

/// What a field says. A clone of any costs at most a count.
#[derive(Clone, Debug)]
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
    /// Text that is not shown.
    Secret(Secret),
}

/// Text that is carried along and not shown: it reads as `***` wherever it is printed, logged or written down, and
/// [`expose`](Self::expose) alone gives it out.
///
/// ```
/// use foundation_context::{Secret, Value, fields};
///
/// let login = fields! { user: "ann", password: Secret::new("open sesame") };
/// assert_eq!(login.to_string(), "user: ann, password: ***");
/// let Some(Value::Secret(password)) = login.get("password") else { panic!("it is one") };
/// assert_eq!(password.expose(), "open sesame");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// What a secret reads as.
    pub const SHOWN: &str = "***";

    /// Text that is not to be shown.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SHOWN)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SHOWN)
    }
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
            Self::Secret(value) => value.fmt(f),
        }
    }
}

/// By what is said, not by how it is kept: `1_i32` is `1_u64`, and text is text. A fraction is equal to fractions only, and
/// a secret to secrets.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::F64(one), Self::F64(other)) => one == other,
            (Self::Secret(one), Self::Secret(other)) => one == other,
            (one, other) => match (one.whole(), other.whole()) {
                (Some(one), Some(other)) => one == other,
                _ => one.as_str().is_some_and(|text| other.as_str() == Some(text)),
            },
        }
    }
}

impl Value {
    /// The text, if it is one that may be shown.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Static(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one.
    fn whole(&self) -> Option<i128> {
        match *self {
            Self::U64(number) => Some(number.into()),
            Self::I64(number) => Some(number.into()),
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
    Secret => |value| Value::Secret(value);
    Cow<'static, str> => |value| match value {
        Cow::Borrowed(text) => Value::Static(text),
        Cow::Owned(text) => Value::Text(text.into()),
    };
    crate::Incarnation => |value| Value::Text(value.to_string().into());
}
