//! How the figures were before anything was changed: what relative thresholds compare with.

use std::{collections::BTreeMap, fmt, sync::Arc, time::SystemTime};

use foundation_sync::planted;

use crate::{
    ChangeError, Unit, What,
    guard::Sample,
    state::{Shape, State, Who},
};

/// How many figures a baseline has at most.
const MOST_FIGURES: usize = 256;

/// What was measured from [`start_baseline`](crate::Flags::start_baseline) to
/// [`finish_baseline`](crate::Flags::finish_baseline).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Baseline {
    /// The decision that started it.
    pub version: u64,
    /// When it was started.
    pub since: SystemTime,
    /// When it was finished; `None` while it is under way.
    pub until: Option<SystemTime>,
    /// The figures by name.
    pub figures: BTreeMap<Arc<str>, Summary>,
}

/// A figure over several windows, in its unit. Percentiles are those of latencies, the mean of all windows'; of
/// other figures they are the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// What it is counted in.
    pub unit: Unit,
    /// In how many windows it was measured.
    pub windows: u64,
    /// The mean.
    pub mean: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub most: f64,
    /// Half of what was recorded is at most this.
    pub p50: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
}

impl Summary {
    fn add(&mut self, sample: &Sample) {
        let Sample { value, unit, quantiles } = *sample;
        let first = self.windows == 0;
        self.unit = unit;
        self.windows += 1;
        let (p50, p95, p99) =
            quantiles.map_or((value, value, value), |of| (of.p50 as f64, of.p95 as f64, of.p99 as f64));
        let all = [(&mut self.mean, value), (&mut self.p50, p50), (&mut self.p95, p95), (&mut self.p99, p99)];
        for (mean, new) in all {
            *mean += (new - *mean) / self.windows as f64;
        }
        self.least = if first { value } else { self.least.min(value) };
        self.most = if first { value } else { self.most.max(value) };
    }
}

impl fmt::Display for Baseline {
    /// One line, and one for each figure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = crate::text::date;
        match self.until {
            Some(until) => write!(f, "baseline of {} to {}", date(self.since), date(until))?,
            None => write!(f, "baseline under way since {}", date(self.since))?,
        }
        for (figure, Summary { unit, windows, mean, least, most, p50, p95, p99 }) in &self.figures {
            let [mean, least, most] = [mean, least, most].map(|value| unit.text(*value));
            write!(
                f,
                "\n  {figure}: {mean} in the mean of {windows} window{}, {least} to {most}",
                if *windows == 1 { "" } else { "s" }
            )?;
            if p50 != p99 {
                let [p50, p95, p99] = [p50, p95, p99].map(|value| unit.text(*value));
                write!(f, ", p50 {p50}, p95 {p95}, p99 {p99}")?;
            }
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn baseline_started(&self, shape: &Shape, who: &Who) -> Result<Self, ChangeError> {
        if let Some(under_way) = &self.measuring {
            return Err(ChangeError::BaselineUnderWay { since: under_way.since });
        }
        let mut next = self.clone();
        let started = Baseline { version: self.version + 1, since: who.at, until: None, figures: BTreeMap::new() };
        next.measuring = Some(Arc::new(started));
        Ok(next.decided(self, shape, who, What::BaselineStarted, Vec::new()))
    }

    pub(crate) fn baseline_finished(&self, shape: &Shape, who: &Who) -> Result<Self, ChangeError> {
        let under_way = self.measuring.as_ref().ok_or(ChangeError::NoBaseline)?;
        if under_way.figures.is_empty() {
            return Err(ChangeError::NothingMeasured { since: under_way.since });
        }
        let mut next = self.clone();
        next.baseline = Some(Arc::new(Baseline { until: Some(who.at), ..Baseline::clone(under_way) }));
        next.measuring = None;
        Ok(next.decided(self, shape, who, What::BaselineFinished, Vec::new()))
    }

    /// With the figures of one more window in the baseline of this number. It is no decision.
    pub(crate) fn sampled(&self, number: u64, samples: &[(&'static str, Sample)]) -> Option<Self> {
        let under_way = self.measuring.as_ref().filter(|under_way| under_way.version == number)?;
        let mut baseline = Baseline::clone(under_way);
        for (figure, sample) in samples {
            if baseline.figures.len() < MOST_FIGURES || baseline.figures.contains_key(*figure) {
                baseline.figures.entry((*figure).into()).or_default().add(sample);
            }
        }
        Some(Self { measuring: Some(Arc::new(baseline)), ..self.clone() })
    }

    /// What was measured while a decision was being made is not lost by it.
    pub(crate) fn with_samples_of(&mut self, now: &Self) {
        let Some(under_way) = &now.measuring else { return };
        let is_it = |other: &Option<Arc<Baseline>>| other.as_ref().is_some_and(|it| it.version == under_way.version);
        if is_it(&self.measuring) && !planted!("baseline: a decision forgets what was measured meanwhile") {
            self.measuring = Some(Arc::clone(under_way));
        } else if is_it(&self.baseline) {
            let until = self.baseline.as_ref().and_then(|finished| finished.until);
            self.baseline = Some(Arc::new(Baseline { until, ..Baseline::clone(under_way) }));
        }
    }

    /// What a figure was in the mean.
    pub(crate) fn baseline_of(&self, figure: &str) -> Option<f64> {
        self.baseline.as_ref()?.figures.get(figure).map(|summary| summary.mean)
    }
}

#[cfg(test)]
mod tests {
    use foundation_telemetry::Quantiles;

    use super::*;

    #[test]
    fn a_summary_has_the_mean_the_extremes_and_the_percentiles() {
        let mut summary = Summary::default();
        for value in [4.0, 1.0, 7.0] {
            summary.add(&Sample { value, unit: Unit::Bytes, quantiles: None });
        }
        let unit = Unit::Bytes;
        let expected = Summary { unit, windows: 3, mean: 4.0, least: 1.0, most: 7.0, p50: 4.0, p95: 4.0, p99: 4.0 };
        assert_eq!(summary, expected);
        let mut latency = Summary::default();
        for p50 in [10, 20] {
            let quantiles = Quantiles { count: 9, p50, p95: 2 * p50, p99: 3 * p50, most: 100 };
            let (value, unit) = (3.0 * p50 as f64, Unit::Nanoseconds);
            latency.add(&Sample { value, unit, quantiles: Some(quantiles) });
        }
        assert_eq!((latency.p50, latency.p95, latency.p99, latency.mean), (15.0, 30.0, 45.0, 45.0));
    }

    #[test]
    fn a_baseline_shows_its_figures_in_their_units() {
        let of = |unit, values: [f64; 2], quantiles| {
            let mut summary = Summary::default();
            values.into_iter().for_each(|value| summary.add(&Sample { value, unit, quantiles }));
            summary
        };
        let lookups = Quantiles { count: 9, p50: 1_500, p95: 2_000_000, p99: 3_000_000, most: 4_000_000 };
        let figures = BTreeMap::from([
            ("lookups".into(), of(Unit::Nanoseconds, [3e6, 5e6], Some(lookups))),
            ("memory".into(), of(Unit::Bytes, [7e6, 7_736_704.0], None)),
            ("share".into(), of(Unit::Share, [0.0, 0.5], None)),
            ("threads".into(), Summary { windows: 1, mean: 2.0, least: 2.0, most: 2.0, ..Summary::default() }),
        ]);
        let (since, until) = (SystemTime::UNIX_EPOCH, Some(SystemTime::UNIX_EPOCH));
        let text = "baseline of 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z
  lookups: 4 ms in the mean of 2 windows, 3 ms to 5 ms, p50 1.5 us, p95 2 ms, p99 3 ms
  memory: 7.4 MB in the mean of 2 windows, 7 MB to 7.7 MB
  share: 25 % in the mean of 2 windows, 0 % to 50 %
  threads: 2 in the mean of 1 window, 2 to 2";
        assert_eq!(Baseline { version: 1, since, until, figures }.to_string(), text);
    }
}
