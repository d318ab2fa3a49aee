//! What is measured goes to a recorder of the `metrics` facade, too.

use std::{fmt, sync::Arc};

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit, with_recorder};
use foundation_context::Value;
use foundation_sync::atomic::AtomicU64;

use super::{
    MeasureError, Measured, Metric, Metrics,
    cell::{Kind, Number},
    series::Table,
};
use crate::Telemetry;

/// Where else what is measured goes: to a recorder of the [`metrics`](https://docs.rs/metrics) facade.
///
/// A counter becomes a counter, a distribution a histogram, a sum and a last value a gauge: a sum may fall. A series is
/// registered when it is measured first. Names are made such as every recorder takes: of letters, digits and `_`, not
/// beginning with a digit.
#[derive(Clone)]
pub struct Recording(Option<Arc<dyn Recorder + Send + Sync>>);

impl Recording {
    /// To the process's, which a program installs before. What is measured before it has is seen only here.
    pub fn process() -> Self {
        Self(None)
    }

    /// To this one.
    pub fn to(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(recorder)))
    }

    fn with<T>(&self, record: impl FnOnce(&dyn Recorder) -> T) -> T {
        match &self.0 {
            Some(recorder) => record(&**recorder),
            None => with_recorder(record),
        }
    }

    fn describe(&self, metric: &Metric) {
        let (name, unit) = (KeyName::from(valid(&metric.name)), Unit::from_string(metric.unit));
        let what = match metric.field {
            "" => format!("events {}", metric.event),
            field => format!("`{field}` of events {}", metric.event),
        };
        self.with(|recorder| match metric.kind {
            Kind::Counter => recorder.describe_counter(name, unit, what.into()),
            Kind::Sum | Kind::Last => recorder.describe_gauge(name, unit, what.into()),
            Kind::Distribution => recorder.describe_histogram(name, unit, what.into()),
        });
    }

    pub(super) fn mirror(&self, metric: &Metric, tags: Option<&[Value]>) -> Mirror {
        let text = |at: usize| tags.map_or_else(|| "other".to_owned(), |tags| tags[at].to_string());
        let labels = metric.tags.iter().enumerate().map(|(at, name)| Label::new(valid(name), text(at)));
        let key = Key::from_parts(valid(&metric.name), labels.collect::<Vec<_>>());
        let metadata = Metadata::new(module_path!(), Level::INFO, None);
        self.with(|recorder| match metric.kind {
            Kind::Counter => Mirror::Counter(recorder.register_counter(&key, &metadata)),
            Kind::Sum => Mirror::Sum(recorder.register_gauge(&key, &metadata)),
            Kind::Last => Mirror::Last(recorder.register_gauge(&key, &metadata)),
            Kind::Distribution => Mirror::Distribution(recorder.register_histogram(&key, &metadata)),
        })
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Recording(to one of its own)" } else { "Recording(to the process's)" })
    }
}

/// A name that every recorder takes.
fn valid(name: &str) -> String {
    let letters = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
    let begins = name.chars().next().is_none_or(|first| first.is_ascii_digit());
    begins.then_some('_').into_iter().chain(letters).collect()
}

/// A series, as the recorder has it.
pub(super) enum Mirror {
    Counter(Counter),
    Sum(Gauge),
    Last(Gauge),
    Distribution(Histogram),
}

impl Mirror {
    pub(super) fn measure(&self, number: Number) {
        match self {
            Self::Counter(counter) => counter.increment(1),
            Self::Sum(gauge) => gauge.increment(number.as_f64()),
            Self::Last(gauge) => gauge.set(number.as_f64()),
            Self::Distribution(histogram) => histogram.record(number.as_f64()),
        }
    }
}

impl Telemetry {
    /// As [`measure`](Self::measure), and what is measured goes to a recorder, too. The recorder's code runs on the thread
    /// that emits; if it panics nothing is measured any more, as with any handler.
    ///
    /// # Errors
    /// The handler is refused, or two of the metrics have one name; nothing is measured.
    pub fn measure_into(
        &self,
        id: &str,
        metrics: impl IntoIterator<Item = Metric>,
        recording: Recording,
    ) -> Result<Metrics, MeasureError> {
        let measured = |metric: Metric| {
            recording.describe(&metric);
            Measured {
                table: Table::new(if metric.tags.is_empty() { 1 } else { metric.series }),
                metric,
                misfits: AtomicU64::new(0),
                recording: Some(recording.clone()),
            }
        };
        self.measure_all(id, metrics.into_iter().map(measured).collect())
    }
}
