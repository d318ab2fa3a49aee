//! What a source says, and what figure that is at the end of a window.

use std::{collections::VecDeque, sync::Arc};

use foundation_sync::Nanos;
use foundation_telemetry::Quantiles;

use crate::Unit;

const HOUR: Nanos = 3_600_000_000_000;
/// How many values a growth is made of at most.
const TRAIL: usize = 60;

/// What a source of a figure says when it is asked. See [`Builder::measure`](crate::Builder::measure).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// The figure as it is.
    Gauge(f64),
    /// The figure is by how much this grows in an hour, over the last one. Before a stage is an hour old it is not
    /// measured.
    Growth(f64),
    /// The figure is by how much this count has grown, in a second or a minute where its unit says so.
    Count(u64),
    /// Two counts: the figure is the share that one part has in by how much they have grown. Where there are too few of
    /// all it is not measured.
    Share {
        /// Those that are counted.
        part: u64,
        /// All.
        all: u64,
        /// How many there have to be in a window.
        at_least: u64,
    },
    /// The figure is the 99th percentile of what was recorded in the window, in nanoseconds; where that is less than so
    /// many it is not measured.
    Latency {
        /// Of the window.
        of: Quantiles,
        /// How many there have to be in a window.
        at_least: u64,
    },
    /// It can't be measured, and why.
    Nothing(Arc<str>),
}

/// A figure of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    /// Of a latency.
    pub(crate) quantiles: Option<Quantiles>,
}

/// The figure, or why it is not measured.
pub(crate) type Measured = Result<Sample, Arc<str>>;

/// What is remembered of one source from one window to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    before: Option<Reading>,
    /// Of a growth: when it was what, the oldest first. An hour and a bit.
    trail: VecDeque<(Nanos, f64)>,
}

impl Memory {
    /// What this reading means, at the end of a window that was so long.
    pub(crate) fn measured(&mut self, reading: Reading, unit: Unit, now: Nanos, window: Nanos) -> Measured {
        let measured = match (&reading, &self.before) {
            (Reading::Nothing(why), _) => Err(Arc::clone(why)),
            (Reading::Gauge(value), _) => Ok(*value),
            (Reading::Growth(value), _) => self.growth(now, *value),
            (Reading::Latency { of, at_least }, _) => enough(of.count, *at_least).map(|()| of.p99 as f64),
            (Reading::Count(count), Some(Reading::Count(before))) => match count.checked_sub(*before) {
                None => Err("its count went back".into()),
                Some(_) if window == 0 && per(unit).is_some() => Err("the clock stands".into()),
                Some(grown) => Ok(grown as f64 * per(unit).map_or(1.0, |per| per / window as f64)),
            },
            (
                Reading::Share { part, all, at_least },
                Some(Reading::Share { part: part_before, all: all_before, .. }),
            ) => match (part.checked_sub(*part_before), all.checked_sub(*all_before)) {
                (Some(part), Some(all)) => enough(all, (*at_least).max(1)).map(|()| part as f64 / all as f64),
                _ => Err("its count went back".into()),
            },
            (Reading::Count(_) | Reading::Share { .. }, _) => Err("it was not measured before".into()),
        };
        let quantiles = if let Reading::Latency { of, .. } = &reading { Some(*of) } else { None };
        self.before = Some(reading);
        let value = measured?;
        if value.is_finite() { Ok(Sample { value, unit, quantiles }) } else { Err("it is no number".into()) }
    }

    fn growth(&mut self, now: Nanos, value: f64) -> Result<f64, Arc<str>> {
        let apart = HOUR / TRAIL as Nanos;
        if self.trail.back().is_none_or(|(last, _)| now.saturating_sub(*last) >= apart) {
            self.trail.push_back((now, value));
        }
        // The second one is an hour old, too: the first is not needed any more.
        while self.trail.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= HOUR) {
            self.trail.pop_front();
        }
        match self.trail.front() {
            Some((at, then)) if now.saturating_sub(*at) >= HOUR => Ok((value - then) * HOUR as f64 / (now - at) as f64),
            _ => Err("it is measured over an hour".into()),
        }
    }
}

/// Nanoseconds in what the unit is about.
fn per(unit: Unit) -> Option<f64> {
    match unit {
        Unit::PerSecond => Some(1e9),
        Unit::PerMinute => Some(60e9),
        _ => None,
    }
}

fn enough(there: u64, at_least: u64) -> Result<(), Arc<str>> {
    if there >= at_least { Ok(()) } else { Err(format!("{there} in the window, fewer than {at_least}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Nanos = 60_000_000_000;

    fn quantiles(count: u64, p99: u64) -> Quantiles {
        Quantiles { count, p99, ..Quantiles::default() }
    }

    #[test]
    fn each_reading_is_the_figure_that_it_says() {
        let share = |part, all| Reading::Share { part, all, at_least: 100 };
        let latency = |of| Reading::Latency { of, at_least: 10 };
        let nothing = |why: &str| Err(Arc::<str>::from(why));
        let table = [
            (Reading::Gauge(1.0), Reading::Gauge(2.5), Unit::Bytes, Ok(2.5)),
            (Reading::Gauge(1.0), Reading::Gauge(f64::NAN), Unit::Bytes, nothing("it is no number")),
            (Reading::Count(5), Reading::Count(25), Unit::Count, Ok(20.0)),
            (Reading::Count(5), Reading::Count(25), Unit::PerMinute, Ok(10.0)),
            (Reading::Count(0), Reading::Count(1_200), Unit::PerSecond, Ok(10.0)),
            (Reading::Count(5), Reading::Count(4), Unit::Count, nothing("its count went back")),
            (share(10, 1_000), share(20, 1_100), Unit::Share, Ok(0.1)),
            (share(10, 1_000), share(10, 1_099), Unit::Share, nothing("99 in the window, fewer than 100")),
            (share(10, 1_000), share(9, 2_000), Unit::Share, nothing("its count went back")),
            (latency(quantiles(0, 0)), latency(quantiles(10, 7)), Unit::Nanoseconds, Ok(7.0)),
            (
                latency(quantiles(0, 0)),
                latency(quantiles(9, 7)),
                Unit::Nanoseconds,
                nothing("9 in the window, fewer than 10"),
            ),
            (Reading::Gauge(1.0), Reading::Nothing("why not".into()), Unit::Count, nothing("why not")),
            (Reading::Gauge(1.0), Reading::Count(3), Unit::Count, nothing("it was not measured before")),
        ];
        for (before, now, unit, expected) in table {
            let mut memory = Memory::default();
            _ = memory.measured(before.clone(), unit, 0, 0);
            let measured = memory.measured(now.clone(), unit, 2 * MINUTE, 2 * MINUTE);
            assert_eq!(measured.map(|sample| sample.value), expected, "{before:?}, {now:?}");
        }
        let mut memory = Memory::default();
        _ = memory.measured(Reading::Count(1), Unit::PerMinute, 0, 0);
        let stands = memory.measured(Reading::Count(1), Unit::PerMinute, 0, 0);
        assert_eq!(stands.map(|sample| sample.value), nothing("the clock stands"));
    }

    #[test]
    fn a_growth_is_that_of_the_last_hour_and_not_measured_before_there_was_one() {
        let mut memory = Memory::default();
        let mut measured = Vec::new();
        // 10 a minute for an hour, then none.
        for minute in 0..=150 {
            let value = 10.0 * minute.min(60) as f64;
            let grown = memory.measured(Reading::Growth(value), Unit::BytesPerHour, minute * MINUTE, MINUTE);
            measured.push(grown.map(|sample| sample.value));
        }
        assert!(measured[..60].iter().all(Result::is_err));
        assert_eq!(
            (&measured[60], &measured[90], &measured[120], &measured[150]),
            (&Ok(600.0), &Ok(300.0), &Ok(0.0), &Ok(0.0))
        );
        assert!(memory.trail.len() <= TRAIL + 2, "{}", memory.trail.len());
    }
}
