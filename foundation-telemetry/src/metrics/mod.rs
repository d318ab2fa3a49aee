//! Numbers about events: how many, how much, how large.
//!
//! # Protocol
//! One handler measures, on the thread that emits. For each metric there is a table of *series*, one for each set of tag
//! values that has come: a closed hash table that only grows, so who finds a series there takes no lock. Who does not makes
//! one, under no lock, and enters it under one, unless somebody was faster or there is no room. What finds no room is
//! measured in one series more, `other`.

#[cfg(feature = "metrics")]
mod bridge;
mod cell;
mod series;
mod snapshot;

use std::{collections::HashMap, fmt, sync::Arc};

use foundation_sync::atomic::{AtomicU64, Ordering};

use crate::{AttachError, Event, EventName, Telemetry};
#[cfg(feature = "metrics")]
pub use bridge::Recording;
use cell::Kind;
use series::Table;
pub use snapshot::{MetricsSnapshot, Reading, Series};

/// How many series a metric with tags has at most, if it is not told otherwise, and one more.
pub const MOST_SERIES: usize = 100;

/// What is measured of an event: [`Metric::counter`] and the others make one.
#[derive(Clone, Debug)]
#[must_use = "give it to `Telemetry::measure`"]
pub struct Metric {
    name: Arc<str>,
    event: EventName,
    kind: Kind,
    /// The measurement; a counter has none.
    field: &'static str,
    unit: &'static str,
    tags: Vec<&'static str>,
    series: usize,
}

impl Metric {
    fn new(name: &str, event: EventName, kind: Kind, field: &'static str) -> Self {
        Self { name: name.into(), event, kind, field, unit: "", tags: Vec::new(), series: MOST_SERIES }
    }

    /// How many events there were.
    pub fn counter(name: &str, event: EventName) -> Self {
        Self::new(name, event, Kind::Counter, "")
    }

    /// The sum of a measurement, any number. Whole numbers stay at the greatest or least that there is.
    pub fn sum(name: &str, event: EventName, field: &'static str) -> Self {
        Self::new(name, event, Kind::Sum, field)
    }

    /// What a measurement, any number, was last.
    pub fn last_value(name: &str, event: EventName, field: &'static str) -> Self {
        Self::new(name, event, Kind::Last, field)
    }

    /// The percentiles of a measurement, a whole number that is not negative. A series of it takes up to 460 KiB, see
    /// [`Distribution`](crate::Distribution): give it few.
    pub fn distribution(name: &str, event: EventName, field: &'static str) -> Self {
        Self::new(name, event, Kind::Distribution, field)
    }

    /// What it is measured in, `nanoseconds` or `bytes` for instance.
    pub fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// Measures apart what differs in these fields of the metadata. One that an event does not have is an empty text.
    pub fn tags(self, tags: &[&'static str]) -> Self {
        Self { tags: tags.to_vec(), ..self }
    }

    /// How many series there are at most, [`MOST_SERIES`] by default; 0 counts as 1. What finds no room is measured in one
    /// more, whose tags are all `other`, and counted.
    pub fn series(self, most: usize) -> Self {
        Self { series: most.max(1), ..self }
    }
}

/// Why nothing is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MeasureError {
    /// Its handler was not attached.
    Attach(AttachError),
    /// Two of the metrics have this name.
    TwoOfOneName(Arc<str>),
}

impl fmt::Display for MeasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attach(error) => error.fmt(f),
            Self::TwoOfOneName(name) => write!(f, "two metrics are named `{name}`: give one of them another name"),
        }
    }
}

impl std::error::Error for MeasureError {}

/// What is measured. A clone is another handle; it is measured until the handler is detached, whether there is a handle or
/// not. [`Telemetry::measure`] makes one.
///
/// ```
/// use foundation_context::fields;
/// use foundation_telemetry::{EventName, Metric, Telemetry, event_name};
///
/// const SOLD: EventName = event_name!("shop", "item", "sold");
///
/// let telemetry = Telemetry::new();
/// let metrics = telemetry.measure("shop", [
///     Metric::counter("sales", SOLD).tags(&["shop"]),
///     Metric::distribution("took", SOLD, "duration").unit("nanoseconds"),
/// ])?;
/// telemetry.emit(SOLD, || (fields! { duration: 200_u64 }, fields! { shop: "Leith" }));
/// let earlier = metrics.snapshot();
/// telemetry.emit(SOLD, || (fields! { duration: 300_u64 }, fields! { shop: "Leith" }));
/// let since = metrics.snapshot().since(&earlier);
/// assert_eq!(since.to_string(), "\
/// sales  shop=Leith  1
/// took               1 values, p50 300, p95 300, p99 300, most 300 nanoseconds
/// ");
/// # Ok::<(), foundation_telemetry::MeasureError>(())
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    metrics: Vec<Measured>,
    /// Which of them measure an event.
    by_event: HashMap<EventName, Vec<usize>, foldhash::fast::RandomState>,
}

struct Measured {
    metric: Metric,
    table: Table,
    misfits: AtomicU64,
    #[cfg(feature = "metrics")]
    recording: Option<Recording>,
}

impl Measured {
    fn measure(&self, event: &Event) {
        let value = event.measurements.get(self.metric.field);
        let fits = match self.metric.kind.fitting(value) {
            Some(number) => self.table.find(&event.metadata, self, |series| series.measure(number)),
            None => false,
        };
        if !fits {
            self.misfits.fetch_add(1, Ordering::Relaxed); // ordering: a count
        }
    }
}

impl Metrics {
    /// What was measured so far, in the order of the metrics, and within one in no stated order.
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot::of(self.0.metrics.iter().map(|measured| {
            let series = measured.table.all().map(|series| series.read(&measured.metric));
            // ordering: counts
            let counts = (measured.misfits.load(Ordering::Relaxed), measured.table.overflowed());
            (Arc::clone(&measured.metric.name), series.collect::<Vec<_>>(), counts)
        }))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.metrics.iter().map(|measured| &measured.metric.name)).finish()
    }
}

impl Telemetry {
    /// Measures events from now on, as a handler of this id. Where an event has not the measurement that a metric wants, or
    /// not such a number, that is counted ([`MetricsSnapshot::misfits`]).
    ///
    /// # Errors
    /// The handler is refused, or two of the metrics have one name; nothing is measured.
    pub fn measure(&self, id: &str, metrics: impl IntoIterator<Item = Metric>) -> Result<Metrics, MeasureError> {
        let measured = |metric: Metric| Measured {
            table: Table::new(if metric.tags.is_empty() { 1 } else { metric.series }),
            metric,
            misfits: AtomicU64::new(0),
            #[cfg(feature = "metrics")]
            recording: None,
        };
        self.measure_all(id, metrics.into_iter().map(measured).collect())
    }

    fn measure_all(&self, id: &str, metrics: Vec<Measured>) -> Result<Metrics, MeasureError> {
        let mut by_event = HashMap::<EventName, Vec<usize>, _>::default();
        for (at, measured) in metrics.iter().enumerate() {
            let name = &measured.metric.name;
            if metrics[..at].iter().any(|other| other.metric.name == *name) {
                return Err(MeasureError::TwoOfOneName(Arc::clone(name)));
            }
            by_event.entry(measured.metric.event).or_default().push(at);
        }
        let events: Vec<_> = by_event.keys().copied().collect();
        let inner = Arc::new(Inner { metrics, by_event });
        let measures = Arc::clone(&inner);
        let handler = move |event: &Event| {
            let which = measures.by_event.get(&event.name).map_or(&[][..], Vec::as_slice);
            which.iter().for_each(|at| measures.metrics[*at].measure(event));
        };
        self.attach(id, &*events, handler).map_err(MeasureError::Attach)?;
        Ok(Metrics(inner))
    }
}
