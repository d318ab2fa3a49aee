//! What was decided, by whom and why; and why something was not.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::text::{date, span};

/// One decision, as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number: each decision's is one more than that of the one before.
    pub version: u64,
    /// When, by the calendar.
    pub at: SystemTime,
    /// Who decided.
    pub by: Arc<str>,
    /// For what reason.
    pub why: Arc<str>,
    /// What was decided.
    pub what: What,
    /// The flags that it turned, and to what.
    pub turned: Vec<(&'static str, bool)>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// Flags that are in no plan were set.
    Set,
    /// The next stage.
    Advanced {
        /// The stage before.
        from: usize,
        /// The stage after.
        to: usize,
    },
    /// A lower stage.
    RolledBack {
        /// The stage before.
        from: usize,
        /// The stage after.
        to: usize,
    },
    /// Stage 0, at once and whatever else is going on.
    Emergency {
        /// The stage before.
        from: usize,
    },
    /// The next stage need not be waited for any longer.
    Early,
    /// This flag is off at any stage until it is released.
    Held(&'static str),
    /// This flag is what the stage says again.
    Released(&'static str),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set => f.write_str("set"),
            Self::Advanced { from, to } => write!(f, "advanced from stage {from} to {to}"),
            Self::RolledBack { from, to } => write!(f, "rolled back from stage {from} to {to}"),
            Self::Emergency { from } => write!(f, "emergency rollback from stage {from} to 0"),
            Self::Early => f.write_str("cut the wait short"),
            Self::Held(flag) => write!(f, "held `{flag}`"),
            Self::Released(flag) => write!(f, "released `{flag}`"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} by {} ({})", self.version, self.what, self.by, self.why)?;
        for (at, (flag, on)) in self.turned.iter().enumerate() {
            write!(f, "{}{flag} {}", if at > 0 { ", " } else { "; " }, if *on { "on" } else { "off" })?;
        }
        Ok(())
    }
}

/// Why something was not changed. Nothing was, not even in part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeError {
    /// These flags have no plan.
    NoPlan,
    /// The plan has no such stage, or it is not the next one.
    NotNext {
        /// The stage that was asked for.
        asked: usize,
        /// The present stage.
        now: usize,
        /// The last stage of the plan.
        last: usize,
    },
    /// The stage is not below the present one.
    NotBelow {
        /// The stage that was asked for.
        asked: usize,
        /// The present stage.
        now: usize,
    },
    /// The present stage is still being observed, or a rollback was not long ago.
    TooEarly {
        /// The stage that was asked for.
        asked: usize,
        /// When it may come, by the calendar.
        until: SystemTime,
        /// How long that is from now on.
        left: Duration,
    },
    /// The next stage may come already.
    NothingToWaitFor,
    /// The flag is not declared.
    Undeclared(&'static str),
    /// The flag is the plan's, so its stage and holds decide.
    Planned(&'static str),
    /// The flag is in no plan, so it can't be held.
    NotPlanned(&'static str),
    /// Old implementations are not to be gone back to, but for a rollback.
    Enforced {
        /// What was to be held.
        flag: &'static str,
        /// The flag that says so.
        by: &'static str,
    },
    /// Another change was under way until the deadline.
    Busy,
    /// Another decision came in between, and stands.
    Superseded(Arc<Change>),
    /// It could not be written down.
    File(Arc<str>),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlan => f.write_str("these flags have no plan: give them one when they are made"),
            Self::NotNext { asked, now, last } if now == last => {
                write!(f, "stage {asked} is not next: it is at stage {now}, the last one")
            }
            Self::NotNext { asked, now, .. } => {
                write!(f, "stage {asked} is not next: it is at stage {now}, advance to {} first", now + 1)
            }
            Self::NotBelow { asked, now } => {
                write!(f, "stage {asked} is not below the present one, {now}: go up with `advance_to`")
            }
            Self::TooEarly { asked, until, left } => {
                let (until, left) = (date(*until), span(*left));
                write!(f, "stage {asked} is not to come before {until}: wait for another {left}, or say `early`")
            }
            Self::NothingToWaitFor => f.write_str("the next stage may come already: `advance_to` it"),
            Self::Undeclared(flag) => write!(f, "`{flag}` is not declared: declare it when the flags are made"),
            Self::Planned(flag) => {
                write!(f, "`{flag}` is the plan's: its stage decides; to turn it off at any stage `hold` it")
            }
            Self::NotPlanned(flag) => write!(f, "`{flag}` is in no plan: turn it off with `change`"),
            Self::Enforced { flag, by } => {
                write!(f, "`{flag}` can't be held while `{by}` is on: roll back to a stage before it first")
            }
            Self::Busy => f.write_str("another change was under way until the deadline: try again"),
            Self::Superseded(change) => write!(f, "another decision came in between, {change}"),
            Self::File(error) => write!(f, "it could not be written down: {error}"),
        }
    }
}

impl std::error::Error for ChangeError {}
