//! What one series keeps.

use foundation_context::Value;
use foundation_sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::snapshot::Reading;
use crate::Distribution;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Sum,
    Last,
    Distribution,
}

/// A number that was measured.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Negative(i64),
    Fraction(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        match *value {
            Value::U64(number) => Some(Self::Whole(number)),
            Value::I64(number) => Some(u64::try_from(number).map_or(Self::Negative(number), Self::Whole)),
            Value::F64(number) => Some(Self::Fraction(number)),
            _ => None,
        }
    }

    pub(super) fn value(self) -> Value {
        match self {
            Self::Whole(number) => Value::U64(number),
            Self::Negative(number) => Value::I64(number),
            Self::Fraction(number) => Value::F64(number),
        }
    }

    #[cfg(feature = "metrics")]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Negative(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }
}

impl Kind {
    /// What of this value is measured; `None` if it is missing or no number that fits.
    pub(super) fn fitting(self, value: Option<&Value>) -> Option<Number> {
        match (self, value.and_then(Number::of)) {
            (Self::Counter, _) => Some(Number::Whole(1)),
            (Self::Distribution, Some(Number::Negative(_) | Number::Fraction(_))) => None,
            (_, number) => number,
        }
    }
}

pub(super) enum Cell {
    Counter(AtomicU64),
    Sum(Sum),
    Last(Mutex<Option<Number>>),
    Distribution(Distribution),
}

/// Whole numbers are summed exactly, up and down apart, since a sum of what goes up is one locked instruction.
#[derive(Default)]
pub(super) struct Sum {
    up: AtomicU64,
    down: AtomicU64,
    /// The bits of a float; 0.0 as long as no fraction has come.
    fraction: AtomicU64,
}

/// At the greatest number it stays: whoever exceeds that puts it back, and who reads in between reads too little.
fn add(sum: &AtomicU64, number: u64) {
    // ordering of both: a figure by itself.
    if sum.fetch_add(number, Ordering::Relaxed).checked_add(number).is_none() {
        sum.store(u64::MAX, Ordering::Relaxed);
    }
}

impl Sum {
    fn add(&self, number: Number) {
        // ordering of all: figures by themselves.
        match number {
            Number::Whole(number) => add(&self.up, number),
            Number::Negative(number) => add(&self.down, number.unsigned_abs()),
            Number::Fraction(number) => {
                let more = |bits| Some((f64::from_bits(bits) + number).to_bits());
                _ = self.fraction.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
            }
        }
    }

    fn value(&self) -> Value {
        // ordering of all: figures by themselves.
        let whole = i128::from(self.up.load(Ordering::Relaxed)) - i128::from(self.down.load(Ordering::Relaxed));
        match self.fraction.load(Ordering::Relaxed) {
            0 => whole_value(whole),
            bits => Value::F64(whole as f64 + f64::from_bits(bits)),
        }
    }
}

/// A whole number; the least or greatest that there is, if it is beyond.
pub(super) fn whole_value(whole: i128) -> Value {
    if whole < 0 {
        Value::I64(i64::try_from(whole).unwrap_or(i64::MIN))
    } else {
        Value::U64(u64::try_from(whole).unwrap_or(u64::MAX))
    }
}

impl Cell {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(AtomicU64::new(0)),
            Kind::Sum => Self::Sum(Sum::default()),
            Kind::Last => Self::Last(Mutex::new(None)),
            Kind::Distribution => Self::Distribution(Distribution::new()),
        }
    }

    /// Whether such a number can be measured here.
    pub(super) fn measure(&self, number: Number) -> bool {
        match (self, number) {
            // ordering: a count
            (Self::Counter(count), _) => _ = count.fetch_add(1, Ordering::Relaxed),
            (Self::Sum(sum), number) => sum.add(number),
            (Self::Last(last), number) => *last.lock() = Some(number),
            (Self::Distribution(distribution), Number::Whole(number)) => distribution.record(number),
            (Self::Distribution(_), _) => return false,
        }
        true
    }

    pub(super) fn read(&self) -> Reading {
        match self {
            Self::Counter(count) => Reading::Counter(count.load(Ordering::Relaxed)), // ordering: a count
            Self::Sum(sum) => Reading::Sum(sum.value()),
            Self::Last(last) => Reading::Last(last.lock().map(Number::value)),
            Self::Distribution(distribution) => Reading::Distribution(distribution.recorded()),
        }
    }
}
