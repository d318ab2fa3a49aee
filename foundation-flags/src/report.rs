//! What happened to a migration from one day to another.

use std::{fmt, sync::Arc, time::SystemTime};

#[cfg(feature = "json")]
use crate::Said;
use crate::{Baseline, Change, Date, Flags, MigrationPlan, Verdict, What, text::date};

/// What happened to a migration from one day to another, both included, as far as it is remembered: the last 256
/// decisions, and the last 256 alerts of this run of the program. As text it is a block; [`to_json`](Self::to_json) is for
/// programs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// When it was made.
    pub at: SystemTime,
    /// The plan's name, if there is a plan.
    pub plan: Option<&'static str>,
    /// The present stage.
    pub stage: usize,
    /// How many stages there are.
    pub stages: usize,
    /// At which stage it was when, in order.
    pub stays: Vec<Stay>,
    /// What was decided, the oldest first.
    pub decisions: Vec<Arc<Change>>,
    /// How many decisions there were that are not remembered any more, of whichever day.
    pub forgotten: u64,
    /// The alerts, the oldest first.
    pub alerts: Vec<Alert>,
    /// How many alerts of this run are not remembered any more.
    pub alerts_forgotten: u64,
    /// The figures in the last window.
    pub figures: Vec<Verdict>,
    /// The baseline that is in force.
    pub baseline: Option<Arc<Baseline>>,
}

/// From when to when it was at one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stay {
    /// The stage.
    pub stage: usize,
    /// Its name; `None` at stage 0.
    pub name: Option<&'static str>,
    /// When it was entered; `None`: before what is remembered.
    pub since: Option<SystemTime>,
    /// When it was left; `None`: it is the present one.
    pub until: Option<SystemTime>,
}

/// A figure that crossed the limit of an alert.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// When.
    pub at: SystemTime,
    /// At which stage.
    pub stage: usize,
    /// What was found.
    pub verdict: Verdict,
}

impl Report {
    pub(crate) fn of(flags: &Flags, from: Date, to: Date) -> Self {
        let (inner, state) = (&flags.0, flags.0.state.load());
        let plan = inner.shape.plan.as_ref();
        let within = |at: SystemTime| (from..=to).contains(&Date::of(at));
        let stays = stays(plan, (state.stage, state.since), state.history.iter()).into_iter().filter(|stay| {
            let begun = stay.since.is_none_or(|since| Date::of(since) <= to);
            begun && stay.until.is_none_or(|until| Date::of(until) >= from)
        });
        let (mut alerts, alerts_forgotten) = inner.monitor.as_ref().map(|it| it.alerts()).unwrap_or_default();
        alerts.retain(|alert| within(alert.at));
        Self {
            from,
            to,
            at: inner.clock.date(),
            plan: plan.map(|plan| plan.name),
            stage: state.stage,
            stages: inner.shape.last_stage(),
            stays: if from <= to { stays.collect() } else { Vec::new() },
            decisions: state.history.iter().filter(|change| within(change.at)).map(Arc::clone).collect(),
            forgotten: state.version - (state.history.len() as u64).min(state.version),
            alerts,
            alerts_forgotten,
            figures: inner.monitor.as_ref().map(|it| it.verdicts(inner)).unwrap_or_default(),
            baseline: state.baseline.clone(),
        }
    }

    /// The report as JSON: dates as RFC 3339, figures as numbers in the unit that is said with them.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;

        let verdict = |verdict: &Verdict| {
            json!({
                "figure": verdict.figure,
                "unit": verdict.unit.name(),
                "value": verdict.value.as_ref().ok(),
                "not_measured": verdict.value.as_ref().err().map(|why| &**why),
                "level": verdict.level.to_string(),
                "limit": verdict.limit,
                "without_baseline": verdict.without_baseline.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "text": verdict.to_string(),
            })
        };
        let said = |said: &Said| {
            let [before, after] = [said.before, said.after].map(|setting| setting.map(|it| it.to_string()));
            json!({ "flag": said.flag, "part": said.part.to_string(), "before": before, "after": after })
        };
        let decision = |change: &Arc<Change>| {
            json!({
                "version": change.version,
                "at": date(change.at),
                "by": &*change.by,
                "why": &*change.why,
                "what": change.what.to_string(),
                "said": change.said.iter().map(said).collect::<Vec<_>>(),
                "turned": change.turned.iter().map(|(flag, on)| (*flag, *on)).collect::<std::collections::BTreeMap<_, _>>(),
            })
        };
        let baseline = |baseline: &Arc<Baseline>| {
            let figures = baseline.figures.iter().map(|(figure, it)| {
                let summary = json!({
                    "unit": it.unit.name(), "windows": it.windows, "mean": it.mean, "least": it.least, "most": it.most,
                    "p50": it.p50, "p95": it.p95, "p99": it.p99,
                });
                (figure.to_string(), summary)
            });
            let figures: serde_json::Map<_, _> = figures.collect();
            json!({ "since": date(baseline.since), "until": baseline.until.map(date), "figures": figures })
        };
        let stay = |stay: &Stay| {
            json!({
                "stage": stay.stage, "name": stay.name, "since": stay.since.map(date), "until": stay.until.map(date),
            })
        };
        let alert =
            |alert: &Alert| json!({ "at": date(alert.at), "stage": alert.stage, "verdict": verdict(&alert.verdict) });
        json!({
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "at": date(self.at),
            "plan": self.plan,
            "stage": self.stage,
            "stages": self.stages,
            "stays": self.stays.iter().map(stay).collect::<Vec<_>>(),
            "decisions": self.decisions.iter().map(decision).collect::<Vec<_>>(),
            "forgotten": self.forgotten,
            "alerts": self.alerts.iter().map(alert).collect::<Vec<_>>(),
            "alerts_forgotten": self.alerts_forgotten,
            "figures": self.figures.iter().map(verdict).collect::<Vec<_>>(),
            "baseline": self.baseline.as_ref().map(baseline),
        })
    }
}

/// Every stay at a stage that can be told from the history.
fn stays<'a>(
    plan: Option<&MigrationPlan>,
    now: (usize, SystemTime),
    history: impl Iterator<Item = &'a Arc<Change>>,
) -> Vec<Stay> {
    let Some(plan) = plan else { return Vec::new() };
    let at = |stage: usize, since| {
        let name = stage.checked_sub(1).and_then(|at| plan.stages.get(at)).map(|stage| stage.name);
        Stay { stage, name, since, until: None }
    };
    let mut stays: Vec<Stay> = Vec::new();
    for change in history {
        let (from, to) = match change.what {
            What::Advanced { from, to } | What::RolledBack { from, to } => (from, to),
            What::Emergency { from } => (from, 0),
            _ => continue,
        };
        if stays.is_empty() {
            stays.push(at(from, None));
        }
        // An emergency at stage 0 leaves no stage.
        if from != to {
            stays.last_mut().expect("the first one was pushed").until = Some(change.at);
            stays.push(at(to, Some(change.at)));
        }
    }
    if stays.is_empty() {
        stays.push(at(now.0, Some(now.1)));
    }
    stays
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, stage, stages, .. } = self;
        write!(f, "migration {}, {from} to {to}: stage {stage} of {stages}", self.plan.unwrap_or("without a plan"))?;
        for Stay { stage, name, since, until } in &self.stays {
            let (since, until) = (since.map_or("earlier".to_owned(), date), until.map_or("now".to_owned(), date));
            write!(
                f,
                "\n  stage {stage}{}{}: {since} to {until}",
                if name.is_some() { " " } else { "" },
                name.unwrap_or("")
            )?;
        }
        write!(f, "\ndecisions: {}", self.decisions.len())?;
        for change in &self.decisions {
            write!(f, "\n  {} {change}", date(change.at))?;
        }
        if self.forgotten > 0 {
            write!(f, "\n  {} more are not remembered", self.forgotten)?;
        }
        write!(f, "\nalerts: {}", self.alerts.len())?;
        for Alert { at, stage, verdict } in &self.alerts {
            write!(f, "\n  {} at stage {stage}: {verdict}", date(*at))?;
        }
        if self.alerts_forgotten > 0 {
            write!(f, "\n  {} more are not remembered", self.alerts_forgotten)?;
        }
        if !self.figures.is_empty() {
            f.write_str("\nfigures now")?;
        }
        for verdict in &self.figures {
            write!(f, "\n  {}: {verdict}", verdict.level)?;
        }
        match &self.baseline {
            Some(baseline) => write!(f, "\n{baseline}"),
            None => f.write_str("\nno baseline"),
        }
    }
}
