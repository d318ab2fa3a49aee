//! What is asked of entries' metadata.

use std::{cmp::Ordering, fmt};

use foundation_context::{Fields, Value};
use smol_str::SmolStr;

/// Conditions on metadata, all of which hold for what is found.
///
/// A missing attribute never matches, not even `ne` and `not_in`. Numbers compare by their value, whatever their type: 3
/// equals 3.0. What can't be compared (a text and a number, NaN and anything) is unequal, and neither less nor greater.
///
/// ```
/// use foundation_context::fields;
/// use foundation_registry::Query;
///
/// let query = Query::new().eq("zone", "north").lt("load", 0.8);
/// assert!(query.matches(&fields! { zone: "north", load: 0.5 }));
/// assert!(!query.matches(&fields! { zone: "north" }));
/// ```
#[derive(Clone, Default, PartialEq)]
#[must_use = "a query finds nothing by itself: pass it to the registry"]
pub struct Query(Vec<Condition>);

#[derive(Clone, PartialEq)]
struct Condition {
    attribute: &'static str,
    is: Is,
}

#[derive(Clone, PartialEq)]
enum Is {
    Equal(Value),
    NotEqual(Value),
    Less(Value),
    AtMost(Value),
    Greater(Value),
    AtLeast(Value),
    In(Vec<Value>),
    NotIn(Vec<Value>),
}

macro_rules! conditions {
    ($($(#[$doc:meta])+ $name:ident => $is:ident;)+) => {
        $($(#[$doc])+
        pub fn $name(self, attribute: &'static str, value: impl Into<Value>) -> Self {
            self.and(attribute, Is::$is(value.into()))
        })+
    };
}

impl Query {
    /// No condition: everything matches.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    conditions! {
        /// The attribute equals the value.
        eq => Equal;
        /// The attribute is there, and does not equal the value.
        ne => NotEqual;
        /// The attribute is less than the value. Texts compare byte by byte; no is less than yes.
        lt => Less;
        /// The attribute is less than the value, or equals it.
        le => AtMost;
        /// The attribute is greater than the value.
        gt => Greater;
        /// The attribute is greater than the value, or equals it.
        ge => AtLeast;
    }

    /// The attribute equals one of the values.
    pub fn is_in<T: Into<Value>>(self, attribute: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        self.and(attribute, Is::In(values.into_iter().map(Into::into).collect()))
    }

    /// The attribute is there, and equals none of the values.
    pub fn not_in<T: Into<Value>>(self, attribute: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        self.and(attribute, Is::NotIn(values.into_iter().map(Into::into).collect()))
    }

    fn and(mut self, attribute: &'static str, is: Is) -> Self {
        self.0.push(Condition { attribute, is });
        self
    }

    /// Whether all conditions hold.
    pub fn matches(&self, metadata: &Fields) -> bool {
        self.0
            .iter()
            .all(|condition| metadata.get(condition.attribute).is_some_and(|value| condition.is.true_of(value)))
    }

    /// The conditions that an index can answer: an attribute, and what it may equal.
    pub(crate) fn equalities(&self) -> impl Iterator<Item = (&'static str, &[Value])> {
        self.0.iter().filter_map(|condition| match &condition.is {
            Is::Equal(value) => Some((condition.attribute, std::slice::from_ref(value))),
            Is::In(values) => Some((condition.attribute, &values[..])),
            _ => None,
        })
    }
}

impl Is {
    fn true_of(&self, value: &Value) -> bool {
        let equals = |other: &Value| compare(value, other) == Some(Ordering::Equal);
        match self {
            Self::Equal(other) => equals(other),
            Self::NotEqual(other) => !equals(other),
            Self::Less(other) => compare(value, other).is_some_and(Ordering::is_lt),
            Self::AtMost(other) => compare(value, other).is_some_and(Ordering::is_le),
            Self::Greater(other) => compare(value, other).is_some_and(Ordering::is_gt),
            Self::AtLeast(other) => compare(value, other).is_some_and(Ordering::is_ge),
            Self::In(others) => others.iter().any(equals),
            Self::NotIn(others) => !others.iter().any(equals),
        }
    }
}

/// A value as something that is equal to what it compares equal to, and hashes like it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Canonical {
    Bool(bool),
    Whole(i128),
    /// The bits of a number that is no whole one.
    Fraction(u64),
    Text(SmolStr),
    /// A kind of value that this version does not know.
    Other,
}

impl From<&Value> for Canonical {
    fn from(value: &Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::I64(value) => Self::Whole((*value).into()),
            Value::U64(value) => Self::Whole((*value).into()),
            // Exact: a whole number of this size has a place in 127 bits.
            Value::F64(value) if value.trunc() == *value && value.abs() < 1e38 => Self::Whole(*value as i128),
            Value::F64(value) => Self::Fraction(value.to_bits()),
            value => value.as_str().map_or(Self::Other, |text| Self::Text(text.into())),
        }
    }
}

/// How two values compare, if they do.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Some(a.cmp(b));
    }
    match (Canonical::from(a), Canonical::from(b)) {
        (Canonical::Bool(a), Canonical::Bool(b)) => Some(a.cmp(&b)),
        (Canonical::Whole(a), Canonical::Whole(b)) => Some(a.cmp(&b)),
        (Canonical::Fraction(a), Canonical::Fraction(b)) => f64::from_bits(a).partial_cmp(&f64::from_bits(b)),
        (Canonical::Whole(a), Canonical::Fraction(b)) => compare_mixed(a, f64::from_bits(b)),
        (Canonical::Fraction(a), Canonical::Whole(b)) => compare_mixed(b, f64::from_bits(a)).map(Ordering::reverse),
        _ => None,
    }
}

/// A whole number and one that is none, or too large for a whole one, or infinite, or none at all.
fn compare_mixed(whole: i128, fraction: f64) -> Option<Ordering> {
    match fraction {
        _ if fraction.is_nan() => None,
        _ if fraction >= 1e38 => Some(Ordering::Less),
        _ if fraction <= -1e38 => Some(Ordering::Greater),
        // They are not equal, so the whole number below decides.
        _ if whole <= fraction.floor() as i128 => Some(Ordering::Less),
        _ => Some(Ordering::Greater),
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("all");
        }
        for (at, Condition { attribute, is }) in self.0.iter().enumerate() {
            write!(f, "{}{attribute} ", if at > 0 { " and " } else { "" })?;
            match is {
                Is::Equal(value) => write!(f, "= {value}"),
                Is::NotEqual(value) => write!(f, "!= {value}"),
                Is::Less(value) => write!(f, "< {value}"),
                Is::AtMost(value) => write!(f, "<= {value}"),
                Is::Greater(value) => write!(f, "> {value}"),
                Is::AtLeast(value) => write!(f, ">= {value}"),
                Is::In(values) => write!(f, "in {}", List(values)),
                Is::NotIn(values) => write!(f, "not in {}", List(values)),
            }?;
        }
        Ok(())
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({self})")
    }
}

struct List<'a>(&'a [Value]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.0.iter().map(Value::to_string).collect();
        write!(f, "({})", values.join(", "))
    }
}
