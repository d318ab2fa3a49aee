//! What has come of a shadow, for people and for programs.

use std::{fmt, sync::Arc, time::Duration, time::SystemTime};

use foundation_telemetry::Quantiles;

/// What a call came to that was not equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// The answers are not the same.
    Different,
    /// The new one panicked, or the destructor of its answer.
    NewPanicked,
    /// The equality panicked, or the copy of an answer that was to be compared later.
    ComparePanicked,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Different => "different",
            Self::NewPanicked => "the new one panicked",
            Self::ComparePanicked => "the comparison panicked",
        })
    }
}

/// One call whose answers were not equal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowSample {
    /// What was found.
    pub finding: Finding,
    /// When, by the calendar.
    pub at: SystemTime,
    /// The call's id, if it has one.
    pub id: Option<Arc<str>>,
    /// What the old one answered, by its `Debug`.
    pub old: Arc<str>,
    /// What the new one answered, or what was said in the panic.
    pub new: Arc<str>,
    /// What the old one took.
    pub old_took: Duration,
    /// What the new one took, if it answered.
    pub new_took: Option<Duration>,
}

impl fmt::Display for ShadowSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.finding)?;
        if let Some(id) = &self.id {
            write!(f, ", {id}")?;
        }
        let said = if self.finding == Finding::Different { "new" } else { "said" };
        write!(f, ": old {}, {said} {}", self.old, self.new)
    }
}

/// What has come of a [`Shadow`](crate::Shadow) so far. `Display` is a few lines for people.
///
/// Calls that were not chosen are not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowReport {
    /// The flag that decides the share.
    pub flag: &'static str,
    /// The answers were the same.
    pub equal: u64,
    /// They were not.
    pub different: u64,
    /// The new one panicked.
    pub new_panicked: u64,
    /// The comparison panicked: the equality, or the copy of an answer that was to be compared later.
    pub compare_panicked: u64,
    /// The old one panicked, so the new one was not run.
    pub old_panicked: u64,
    /// The new one was to be run later, and nobody did.
    pub dropped: u64,
    /// The new one is yet to be run.
    pub waiting: usize,
    /// A destructor panicked: of a new one that was not run, or of a copy. Whatever else came of the call is counted
    /// besides.
    pub drop_panicked: u64,
    /// What the old one took, in nanoseconds, of the calls in which both answered.
    pub old: Quantiles,
    /// What the new one took, of the same calls.
    pub new: Quantiles,
    /// The last that were kept, the oldest first.
    pub samples: Vec<Arc<ShadowSample>>,
}

impl ShadowReport {
    /// How many calls were chosen and have come to an end.
    pub fn calls(&self) -> u64 {
        self.compared() + self.new_panicked + self.compare_panicked + self.old_panicked + self.dropped
    }

    /// How many of them had two answers that were compared.
    pub fn compared(&self) -> u64 {
        self.equal + self.different
    }

    /// How many findings are in none of the samples.
    pub fn unsampled(&self) -> u64 {
        let findings = self.different + self.new_panicked + self.compare_panicked;
        findings.saturating_sub(self.samples.len() as u64)
    }

    /// The same for programs. Durations are in nanoseconds, dates in seconds since 1970.
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;

        let took =
            |it: &Quantiles| json!({ "count": it.count, "p50": it.p50, "p95": it.p95, "p99": it.p99, "most": it.most });
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let sample = |it: &Arc<ShadowSample>| {
            json!({
                "finding": it.finding.to_string(),
                "at": it.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
                "id": it.id.as_deref(),
                "old": &*it.old,
                "new": &*it.new,
                "old_took": nanos(it.old_took),
                "new_took": it.new_took.map(nanos),
            })
        };
        json!({
            "flag": self.flag,
            "calls": self.calls(),
            "compared": self.compared(),
            "equal": self.equal,
            "different": self.different,
            "new_panicked": self.new_panicked,
            "compare_panicked": self.compare_panicked,
            "old_panicked": self.old_panicked,
            "drop_panicked": self.drop_panicked,
            "dropped": self.dropped,
            "waiting": self.waiting,
            "old": took(&self.old),
            "new": took(&self.new),
            "samples": self.samples.iter().map(sample).collect::<Vec<_>>(),
            "unsampled": self.unsampled(),
        })
    }
}

impl fmt::Display for ShadowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} calls, {} compared", self.flag, self.calls(), self.compared())?;
        let counts = [
            ("equal", self.equal),
            ("different", self.different),
            ("new panicked", self.new_panicked),
            ("comparison panicked", self.compare_panicked),
            ("old panicked", self.old_panicked),
            ("dropped", self.dropped),
            ("waiting", self.waiting as u64),
            ("destructors panicked", self.drop_panicked),
        ];
        // What should be seen is shown also where it is none.
        for (what, count) in
            counts.iter().enumerate().filter(|(at, (_, count))| *at < 3 || *count > 0).map(|(_, it)| it)
        {
            write!(f, ", {count} {what}")?;
        }
        for (who, took) in [("old", &self.old), ("new", &self.new)] {
            let [p50, p99, most] = [took.p50, took.p99, took.most].map(Duration::from_nanos);
            write!(f, "\n  {who} took {p50:.1?} (p50), {p99:.1?} (p99), {most:.1?} (most)")?;
        }
        for sample in &self.samples {
            write!(f, "\n  {sample}")?;
        }
        match self.unsampled() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
