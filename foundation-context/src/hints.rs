//! What to do about an error.

use std::{fmt, time::Duration};

/// Whether what failed may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// It may pass by itself.
    Transient,
    /// It will fail again.
    Permanent,
    /// Not before this time has passed: whoever was asked has too much to do.
    After(Duration),
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transient => f.write_str("may be tried again"),
            Self::Permanent => f.write_str("will fail again"),
            Self::After(span) => write!(f, "may be tried again after {span:?}"),
        }
    }
}

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// It is expected now and then.
    Low,
    /// Somebody should look at it when there is time.
    Medium,
    /// Somebody should look at it soon.
    High,
    /// Somebody should look at it now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}
