//! What metrics had measured at some moment.

use std::{fmt, sync::Arc};

use foundation_context::Value;

use super::cell::whole_value;
use crate::Recorded;

/// What metrics had measured at some moment. `Display` is a table for people, one line per series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSnapshot {
    series: Vec<Series>,
    /// By metric: events that had not what it wants, and such as found no room for a series of their own.
    counts: Vec<(Arc<str>, u64, u64)>,
}

/// One series of a metric.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// The metric's name.
    pub metric: Arc<str>,
    /// What it is measured in.
    pub unit: &'static str,
    /// Names and values. Those of what found no room for a series of its own are all `other`.
    pub tags: Vec<(&'static str, String)>,
    /// What was measured.
    pub reading: Reading,
}

/// What a series had measured.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// How many events.
    Counter(u64),
    /// The sum: a whole number, unless a fraction has come.
    Sum(Value),
    /// The last number.
    Last(Option<Value>),
    /// What a distribution has recorded.
    Distribution(Recorded),
}

impl MetricsSnapshot {
    pub(super) fn of(metrics: impl Iterator<Item = (Arc<str>, Vec<Series>, (u64, u64))>) -> Self {
        let mut snapshot = Self::default();
        for (name, mut series, (misfits, overflowed)) in metrics {
            series.sort_by(|one, other| one.tags.cmp(&other.tags));
            snapshot.series.append(&mut series);
            snapshot.counts.push((name, misfits, overflowed));
        }
        snapshot
    }

    /// All series, in the order of the metrics, those of one by their tags.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// What the series of this metric with these tags had measured. Tags are compared in the order in which the metric has
    /// them.
    pub fn get(&self, metric: &str, tags: &[(&str, &str)]) -> Option<&Reading> {
        let same = |series: &&Series| {
            let theirs = series.tags.iter().map(|(name, value)| (*name, value.as_str()));
            *series.metric == *metric && theirs.eq(tags.iter().copied())
        };
        self.series.iter().find(same).map(|series| &series.reading)
    }

    /// How many events had not the measurement that this metric wants, or not such a number.
    pub fn misfits(&self, metric: &str) -> u64 {
        self.counted(metric).0
    }

    /// How many events of this metric found no room for a series of their own, and are measured in `other`.
    pub fn overflowed(&self, metric: &str) -> u64 {
        self.counted(metric).1
    }

    fn counted(&self, metric: &str) -> (u64, u64) {
        let found = self.counts.iter().find(|(name, ..)| **name == *metric);
        found.map_or((0, 0), |(_, misfits, overflowed)| (*misfits, *overflowed))
    }

    /// What was measured after `earlier`, a snapshot of the same metrics; a last value is what it is now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let series = self.series.iter().map(|now| {
            let same = |before: &&Series| before.metric == now.metric && before.tags == now.tags;
            let before = earlier.series.iter().find(same).map(|before| &before.reading);
            let reading = before.map_or_else(|| now.reading.clone(), |before| now.reading.since(before));
            Series { reading, ..now.clone() }
        });
        let counts = self.counts.iter().map(|(name, misfits, overflowed)| {
            let before = earlier.counted(name);
            (Arc::clone(name), misfits.saturating_sub(before.0), overflowed.saturating_sub(before.1))
        });
        Self { series: series.collect(), counts: counts.collect() }
    }

    /// The same for programs: a list of objects with `metric`, `kind`, `tags`, `unit`, and `value`, or of a distribution
    /// `count`, `sum`, `p50`, `p95`, `p99` and `most`; a fraction that is no number is `null`.
    #[cfg(feature = "json")]
    pub fn json(&self) -> serde_json::Value {
        use serde_json::json;

        fn value(value: &Value) -> serde_json::Value {
            match value {
                Value::U64(number) => json!(number),
                Value::I64(number) => json!(number),
                Value::F64(number) => json!(number),
                other => json!(other.to_string()),
            }
        }

        let all = self.series.iter().map(|series| {
            let tags: serde_json::Map<_, _> =
                series.tags.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let mut object = json!({
                "metric": &*series.metric,
                "kind": series.reading.kind(),
                "tags": tags,
                "unit": series.unit,
            });
            match &series.reading {
                Reading::Counter(count) => object["value"] = json!(count),
                Reading::Sum(sum) => object["value"] = value(sum),
                Reading::Last(last) => object["value"] = last.as_ref().map_or(json!(null), value),
                Reading::Distribution(recorded) => {
                    let it = recorded.quantiles();
                    let figures = [
                        ("count", it.count),
                        ("sum", recorded.sum()),
                        ("p50", it.p50),
                        ("p95", it.p95),
                        ("p99", it.p99),
                        ("most", it.most),
                    ];
                    figures.iter().for_each(|(name, figure)| object[*name] = json!(figure));
                }
            }
            object
        });
        all.collect()
    }
}

impl Reading {
    /// `counter`, `sum`, `last` or `distribution`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Sum(_) => "sum",
            Self::Last(_) => "last",
            Self::Distribution(_) => "distribution",
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        match (self, earlier) {
            (Self::Counter(now), Self::Counter(before)) => Self::Counter(now.saturating_sub(*before)),
            (Self::Sum(now), Self::Sum(before)) => Self::Sum(minus(now, before)),
            (Self::Distribution(now), Self::Distribution(before)) => Self::Distribution(now.since(before)),
            (now, _) => now.clone(),
        }
    }
}

fn whole(value: &Value) -> Option<i128> {
    match *value {
        Value::U64(number) => Some(number.into()),
        Value::I64(number) => Some(number.into()),
        _ => None,
    }
}

fn minus(now: &Value, before: &Value) -> Value {
    if let (Some(now), Some(before)) = (whole(now), whole(before)) {
        return whole_value(now - before);
    }
    let fraction = |value: &Value| match (whole(value), value) {
        (Some(whole), _) => whole as f64,
        (None, Value::F64(number)) => *number,
        _ => 0.0,
    };
    Value::F64(fraction(now) - fraction(before))
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter(count) => count.fmt(f),
            Self::Sum(value) | Self::Last(Some(value)) => value.fmt(f),
            Self::Last(None) => f.write_str("nothing"),
            Self::Distribution(recorded) => {
                let it = recorded.quantiles();
                write!(f, "{} values, p50 {}, p95 {}, p99 {}, most {}", it.count, it.p50, it.p95, it.p99, it.most)
            }
        }
    }
}

impl fmt::Display for MetricsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = |series: &Series| {
            let tags: Vec<_> = series.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
            tags.join(" ")
        };
        let rows: Vec<_> = self.series.iter().map(|series| (&series.metric, tags(series), series)).collect();
        let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let names = width(&mut rows.iter().map(|(name, ..)| name.chars().count()));
        let sets = width(&mut rows.iter().map(|(_, tags, _)| tags.chars().count()));
        for (name, tags, series) in rows {
            let unit = if series.unit.is_empty() { "" } else { " " };
            writeln!(f, "{name:names$}  {tags:sets$}  {}{unit}{}", series.reading, series.unit)?;
        }
        for (name, misfits, overflowed) in &self.counts {
            if *misfits > 0 {
                writeln!(f, "{name}: {misfits} events had not what is measured")?;
            }
            if *overflowed > 0 {
                writeln!(f, "{name}: {overflowed} events found no room for a series of their own")?;
            }
        }
        Ok(())
    }
}
