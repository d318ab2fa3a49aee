//! Fields: what is said about a piece of work, an event, an entry.

use std::fmt;

use crate::Value;

/// A name and what it says.
pub type Field = (&'static str, Value);

/// A list of fields, in the order in which they were given; a name that comes twice says what it said last. Two of them
/// need no allocation: most of what is said is said in two.
///
/// [`fields!`](macro@crate::fields) makes one.
#[derive(Clone, Default)]
pub struct Fields(List);

/// Cheaper to make than a `SmallVec`, which is filled field by field.
#[derive(Clone, Default)]
enum List {
    #[default]
    None,
    One([Field; 1]),
    Two([Field; 2]),
    Many(Vec<Field>),
}

impl Fields {
    /// No fields.
    pub const fn new() -> Self {
        Self(List::None)
    }

    /// What the field of this name says.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The fields in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.as_slice().iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Whether all fields of `expected` are there and say the same.
    pub fn contains(&self, expected: &Self) -> bool {
        expected.iter().all(|(name, value)| self.get(name) == Some(value))
    }

    fn as_slice(&self) -> &[Field] {
        match &self.0 {
            List::None => &[],
            List::One(one) => one,
            List::Two(two) => two,
            List::Many(many) => many,
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Field] {
        match &mut self.0 {
            List::None => &mut [],
            List::One(one) => one,
            List::Two(two) => two,
            List::Many(many) => many,
        }
    }

    pub(crate) fn push(&mut self, field: Field) {
        if let List::Many(many) = &mut self.0 {
            many.push(field);
            return;
        }
        *self = std::mem::take(self).into_iter().chain([field]).collect();
    }

    pub(crate) fn remove(&mut self, at: usize) {
        let without = |(place, field)| (place != at).then_some(field);
        *self = std::mem::take(self).into_iter().enumerate().filter_map(without).collect();
    }

    #[doc(hidden)]
    pub const fn one(field: Field) -> Self {
        Self(List::One([field]))
    }

    #[doc(hidden)]
    pub const fn two(first: Field, second: Field) -> Self {
        Self(List::Two([first, second]))
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        let mut rest = fields.into_iter();
        let Some(first) = rest.next() else { return Self::new() };
        let Some(second) = rest.next() else { return Self::one(first) };
        let Some(third) = rest.next() else { return Self::two(first, second) };
        let mut many = Vec::with_capacity(3 + rest.size_hint().0);
        many.extend([first, second, third]);
        many.extend(rest);
        Self(List::Many(many))
    }
}

impl IntoIterator for Fields {
    type Item = Field;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(match self.0 {
            List::None => Left::Few([None, None].into_iter().flatten()),
            List::One([first]) => Left::Few([Some(first), None].into_iter().flatten()),
            List::Two(two) => Left::Few(two.map(Some).into_iter().flatten()),
            List::Many(many) => Left::Many(many.into_iter()),
        })
    }
}

/// The fields of a list, one after the other.
#[derive(Debug)]
pub struct IntoIter(Left);

#[derive(Debug)]
enum Left {
    Few(std::iter::Flatten<std::array::IntoIter<Option<Field>, 2>>),
    Many(std::vec::IntoIter<Field>),
}

impl Iterator for IntoIter {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        match &mut self.0 {
            Left::Few(few) => few.next(),
            Left::Many(many) => many.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Left::Few(few) => few.size_hint(),
            Left::Many(many) => many.size_hint(),
        }
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> std::slice::Iter<'a, Field> {
        self.iter()
    }
}

impl<const N: usize> From<[Field; N]> for Fields {
    fn from(fields: [Field; N]) -> Self {
        if N > 2 { Self(List::Many(fields.into())) } else { fields.into_iter().collect() }
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
    ($name:ident : $value:expr $(,)?) => {
        $crate::Fields::one((stringify!($name), $crate::Value::from($value)))
    };
    ($name:ident : $value:expr, $other:ident : $second:expr $(,)?) => {
        $crate::Fields::two(
            (stringify!($name), $crate::Value::from($value)),
            (stringify!($other), $crate::Value::from($second)),
        )
    };
    ($($name:ident : $value:expr),+ $(,)?) => {
        $crate::Fields::from([$((stringify!($name), $crate::Value::from($value))),+])
    };
}
