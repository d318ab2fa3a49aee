//! What a figure is worth: pure, from figures to verdicts.

use std::{fmt, sync::Arc};

use super::{
    reading::Measured,
    thresholds::{Level, Limit, Threshold, Unit},
};

const LEVELS: [Level; 3] = [Level::Watch, Level::Alert, Level::RollBack];

/// What was found of a figure in the last window.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The figure.
    pub figure: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// How great it is; why it is not measured, if it is not: then nothing is known of it, neither good nor bad.
    pub value: Result<f64, Arc<str>>,
    /// How bad that is.
    pub level: Level,
    /// The limit that was crossed.
    pub limit: Option<f64>,
    /// Whether it is bad because it is small.
    pub below: bool,
    /// What it was in the baseline, if it was measured there.
    pub baseline: Option<f64>,
    /// The levels that could not be judged, because there is no baseline of this figure, or it was 0.
    pub without_baseline: Vec<Level>,
}

pub(crate) fn judge(threshold: &Threshold, measured: &Measured, baseline: Option<f64>) -> Verdict {
    let Threshold { figure, unit, below, floor, limits } = threshold;
    let value = measured.as_ref().map(|sample| sample.value).map_err(Arc::clone);
    let mut verdict = Verdict {
        figure,
        unit: *unit,
        level: if value.is_ok() { Level::Calm } else { Level::Unknown },
        value,
        limit: None,
        below: *below,
        baseline,
        without_baseline: Vec::new(),
    };
    let floored = baseline.map(|baseline| baseline.max(*floor));
    for (level, limit) in LEVELS.into_iter().zip(limits) {
        let Some(limit) = limit else { continue };
        let limit = match (limit, floored) {
            (Limit::At(limit), _) => *limit,
            (Limit::OfBaseline(times), Some(baseline)) if baseline > 0.0 => times * baseline,
            (Limit::OverBaseline(by), Some(baseline)) => baseline + by,
            (Limit::OverBaseline(by), None) if level < Level::RollBack => *by,
            (Limit::OfBaseline(_) | Limit::OverBaseline(_), _) => {
                verdict.without_baseline.push(level);
                continue;
            }
        };
        if verdict.value.as_ref().is_ok_and(|value| if *below { *value < limit } else { *value > limit }) {
            (verdict.level, verdict.limit) = (level, Some(limit));
        }
    }
    // What no limit could be held against is not taken for calm.
    let judged = limits.iter().flatten().count() - verdict.without_baseline.len();
    if judged == 0 && !verdict.without_baseline.is_empty() {
        verdict.level = Level::Unknown;
    }
    verdict
}

impl Verdict {
    /// What is wrong with it, or why it is not measured: `registry lookup p99 12 ms, more than 10 ms`.
    pub fn reason(&self) -> String {
        let Self { figure, unit, value, limit, below, .. } = self;
        match (value, limit) {
            (Err(why), _) => format!("{figure} not measured ({why})"),
            (Ok(value), None) => format!("{figure} {}", unit.text(*value)),
            (Ok(value), Some(limit)) => {
                let than = if *below { "less" } else { "more" };
                format!("{figure} {}, {than} than {}", unit.text(*value), unit.text(*limit))
            }
        }
    }
}

impl fmt::Display for Verdict {
    /// Its reason, and what could not be judged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())?;
        let why = if self.baseline.is_some() {
            " (the baseline is 0, nothing to compare with for: "
        } else {
            " (no baseline for: "
        };
        for (at, level) in self.without_baseline.iter().enumerate() {
            write!(f, "{}{level}", if at == 0 { why } else { ", " })?;
        }
        f.write_str(if self.without_baseline.is_empty() { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Thresholds, guard::reading::Sample};

    fn of(threshold: &Threshold, value: f64, baseline: Option<f64>) -> Verdict {
        judge(threshold, &Ok(Sample { value, unit: threshold.unit, quantiles: None }), baseline)
    }

    #[test]
    fn each_of_the_nine_figures_is_judged_at_each_level() {
        let baseline = |figure: &str| match figure {
            Thresholds::ERROR_RATE => 0.03,
            Thresholds::RESPONSE_TIME => 1e6,
            Thresholds::THREADS => 10.0,
            Thresholds::MEMORY => 1e6,
            _ => 1.0,
        };
        // At the limit of each level, and what is said just beyond it.
        let table = [
            (Thresholds::REGISTRY_LOOKUP, [5e6, 10e6, 20e6], "20 ms"),
            (Thresholds::CONTEXT_OVERHEAD, [100e3, 200e3, 400e3], "400 us"),
            (Thresholds::TELEMETRY_THROUGHPUT, [10e3, 5e3, 2.5e3], "2500/s"),
            (Thresholds::MEMORY_GROWTH, [1e6, 10e6, 100e6], "100 MB/h"),
            (Thresholds::MEMORY, [251e6, 501e6, 1.001e9], "1 GB"),
            (Thresholds::ERROR_RATE, [0.01, 0.036, 0.05], "5 %"),
            (Thresholds::RESTARTS, [2.0, 5.0, 10.0], "10/min"),
            (Thresholds::RESPONSE_TIME, [1.1e6, 1.5e6, 2e6], "2 ms"),
            (Thresholds::THREADS, [12.0, 15.0, 20.0], "20"),
        ];
        let runbook = Thresholds::runbook();
        let figures: Vec<_> = runbook.list().iter().map(Threshold::figure).collect();
        assert_eq!(figures, table.map(|(figure, ..)| figure));
        for (threshold, (figure, limits, said)) in runbook.list().iter().zip(table) {
            for (at, (limit, level)) in limits.into_iter().zip(LEVELS).enumerate() {
                let baseline = Some(baseline(figure));
                let beyond = if threshold.below { limit * 0.999 } else { limit * 1.001 };
                let within = if threshold.below { limit * 1.001 } else { limit * 0.999 };
                let lower = at.checked_sub(1).map_or(Level::Calm, |at| LEVELS[at]);
                assert_eq!(of(threshold, within, baseline).level, lower, "{figure}, up to {limit}");
                assert_eq!(of(threshold, beyond, baseline).level, level, "{figure}, beyond {limit}");
                if level == Level::RollBack {
                    let text = of(threshold, beyond, baseline).to_string();
                    assert!(text.starts_with(figure) && text.ends_with(&format!("than {said}")), "{text}");
                }
            }
        }
    }

    #[test]
    fn at_a_limit_nothing_is_crossed() {
        let above = Threshold::above("x", Unit::Count).alert(10.0);
        assert_eq!((of(&above, 10.0, None).level, of(&above, 11.0, None).level), (Level::Calm, Level::Alert));
        let below = Threshold::below("x", Unit::Count).alert(10.0);
        assert_eq!((of(&below, 10.0, None).level, of(&below, 9.0, None).level), (Level::Calm, Level::Alert));
    }

    #[test]
    fn a_program_that_never_failed_is_alerted_when_it_begins_to() {
        let runbook = Thresholds::runbook();
        let errors = &runbook.list()[5];
        for (baseline, value, level) in [
            (0.0, 0.0011, Level::Calm),
            (0.0, 0.0013, Level::Alert),
            (0.0005, 0.0013, Level::Alert),
            (0.0, 0.03, Level::Alert),
            (0.002, 0.0023, Level::Calm),
            (0.002, 0.0025, Level::Alert),
        ] {
            let verdict = of(errors, value, Some(baseline));
            assert_eq!((verdict.level, verdict.without_baseline), (level, vec![]), "{value} after {baseline}");
        }
    }

    #[test]
    fn memory_is_compared_with_what_it_was_and_a_great_program_is_not_rolled_back_for_being_great() {
        let runbook = Thresholds::runbook();
        let memory = &runbook.list()[4];
        for (baseline, value, level) in [
            (None, 0.1e9, Level::Calm),
            (None, 0.4e9, Level::Watch),
            (None, 5e9, Level::Alert),
            (Some(5e9), 5e9, Level::Calm),
            (Some(5e9), 5.4e9, Level::Watch),
            (Some(5e9), 5.6e9, Level::Alert),
            (Some(5e9), 6.1e9, Level::RollBack),
        ] {
            let verdict = of(memory, value, baseline);
            assert_eq!(verdict.level, level, "{value} after {baseline:?}");
            assert_eq!(verdict.without_baseline.is_empty(), baseline.is_some());
        }
    }

    #[test]
    fn what_is_not_measured_or_has_no_baseline_says_so_and_is_not_taken_for_healthy() {
        let runbook = Thresholds::runbook();
        let (threads, errors) = (&runbook.list()[8], &runbook.list()[5]);
        let verdict = of(threads, 1_000.0, None);
        assert_eq!(verdict.level, Level::Unknown);
        assert_eq!(verdict.to_string(), "threads 1000 (no baseline for: watch, alert, roll back)");
        let of_nothing = of(threads, 1_000.0, Some(0.0));
        let expected = "threads 1000 (the baseline is 0, nothing to compare with for: watch, alert, roll back)";
        assert_eq!((of_nothing.level, of_nothing.to_string().as_str()), (Level::Unknown, expected));
        let unknown = judge(threads, &Err("nobody measures it".into()), Some(1.0));
        assert_eq!(unknown.to_string(), "threads not measured (nobody measures it)");
        assert_eq!((unknown.level, unknown.level.to_string()), (Level::Unknown, "unknown".to_owned()));
        assert_eq!(of(errors, 0.009, None).level, Level::Calm, "two of its limits need no baseline");
        let limitless = Threshold::above("x", Unit::Count);
        assert_eq!(of(&limitless, 5.0, None).level, Level::Calm, "there is nothing that it could have crossed");
        let verdict = of(errors, 0.06, None);
        assert_eq!((verdict.level, verdict.without_baseline), (Level::RollBack, vec![Level::Alert]));
    }
}
