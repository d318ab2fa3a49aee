//! What was decided, by whom and why; and why something was not.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::text::{date, span};

use crate::{FileError, Part, Setting, rules::MOST_TARGETS};

/// One decision, as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// What it said about flags of no plan, also where that is nothing new.
    pub said: Vec<Said>,
    /// The flags that it turned for a plain read, and to what.
    pub turned: Vec<(&'static str, bool)>,
}

/// What a decision said about a flag, for one part of all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// The flag.
    pub flag: &'static str,
    /// For whom.
    pub part: Part,
    /// What was said before; `None`: nothing.
    pub before: Option<Setting>,
    /// What is said since; `None`: nothing.
    pub after: Option<Setting>,
}

impl Said {
    pub(crate) fn is_of(&self, flag: &str, part: &Part) -> bool {
        self.flag == flag && self.part == *part
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.flag)?;
        match &self.part {
            Part::Everybody => {}
            part => write!(f, " for {part}")?,
        }
        match &self.after {
            Some(setting) => write!(f, " {setting}"),
            None => f.write_str(" as by default"),
        }
    }
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// Something was said about flags that are in no plan.
    Set,
    /// Nothing is said about any of them any more.
    Reset,
    /// What this decision said was undone.
    Undone(u64),
    /// What a person wrote into the file was taken up.
    Reloaded,
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
    /// The figures are being measured from now on, as a baseline.
    BaselineStarted,
    /// The baseline is what was measured.
    BaselineFinished,
    /// The next stage need not be waited for any longer.
    Early,
    /// This flag is off at any stage until it is released.
    Held(&'static str),
    /// This flag is what the stage says again.
    Released(&'static str),
}

impl What {
    /// Whether it is about flags of no plan, so that all of it is in [`Change::said`].
    pub(crate) fn is_of_rules(self) -> bool {
        matches!(self, Self::Set | Self::Reset | Self::Undone(_) | Self::Reloaded)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set => f.write_str("set"),
            Self::Reset => f.write_str("reset"),
            Self::Undone(version) => write!(f, "undone {version}"),
            Self::Reloaded => f.write_str("reloaded"),
            Self::Advanced { from, to } => write!(f, "advanced from stage {from} to {to}"),
            Self::RolledBack { from, to } => write!(f, "rolled back from stage {from} to {to}"),
            Self::Emergency { from } => write!(f, "emergency rollback from stage {from} to 0"),
            Self::BaselineStarted => f.write_str("started a baseline"),
            Self::BaselineFinished => f.write_str("finished the baseline"),
            Self::Early => f.write_str("cut the wait short"),
            Self::Held(flag) => write!(f, "held `{flag}`"),
            Self::Released(flag) => write!(f, "released `{flag}`"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} by {} ({})", self.version, self.what, self.by, self.why)?;
        let comma = |at| if at > 0 { ", " } else { "; " };
        for (at, said) in self.said.iter().enumerate() {
            write!(f, "{}{said}", comma(at))?;
        }
        // What was said about a flag says also what it was turned to.
        if self.said.is_empty() {
            for (at, (flag, on)) in self.turned.iter().enumerate() {
                write!(f, "{}{flag} {}", comma(at), if *on { "on" } else { "off" })?;
            }
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
    /// The program is not ready for the stage.
    NotReady {
        /// The stage that was asked for.
        stage: usize,
        /// Each [check](crate::Builder::ready_when) that said no, by name, and why.
        failed: Vec<(Arc<str>, Arc<str>)>,
    },
    /// A baseline is under way.
    BaselineUnderWay {
        /// When it was started.
        since: SystemTime,
    },
    /// No baseline is under way.
    NoBaseline,
    /// Nothing was measured since the baseline was started.
    NothingMeasured {
        /// When it was started.
        since: SystemTime,
    },
    /// These flags measure nothing.
    NoMeasures,
    /// The next stage may come already.
    NothingToWaitFor,
    /// The flag is not declared.
    Undeclared(&'static str),
    /// The flag is the plan's, so its stage and holds decide.
    Planned(&'static str),
    /// Old implementations are not to be gone back to, but for a rollback.
    Enforced {
        /// What was to be held.
        flag: &'static str,
        /// The flag that says so.
        by: &'static str,
    },
    /// What was to be the share is none.
    Percent(&'static str),
    /// The flag's rule would name more targets than there is room for.
    TooManyTargets(&'static str),
    /// It was to be the decision after another one than the last.
    NotExpected {
        /// After which decision it was to come.
        expected: u64,
        /// The last one.
        now: u64,
    },
    /// The decision that is to be undone is not known any more, or was never made.
    Forgotten {
        /// Which one.
        version: u64,
        /// The oldest that is known.
        oldest: u64,
    },
    /// The decision that is to be undone is of another kind.
    NotUndoable {
        /// Which one.
        version: u64,
        /// What it was.
        what: What,
    },
    /// What the decision said that is to be undone is not what is said now.
    SaidSince {
        /// About which flag.
        flag: &'static str,
        /// For whom.
        part: Part,
        /// Which later decision was the last to say something there; `None`: the environment says it, or the file did when
        /// the program was started.
        version: Option<u64>,
    },
    /// Another change was under way until the deadline.
    Busy,
    /// Another decision came in between, and stands.
    Superseded(Arc<Change>),
    /// It could not be written down.
    File(Arc<str>),
    /// There is no file to reload.
    NoFile,
    /// What a person has made of this file is to be reloaded first.
    FileChanged(Arc<str>),
    /// What a person has made of the file can't be taken up.
    FileText(FileError),
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
            Self::NotReady { stage, failed } => {
                write!(f, "not ready for stage {stage}: ")?;
                for (at, (name, reason)) in failed.iter().enumerate() {
                    write!(f, "{}{name} ({reason})", if at > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
            Self::BaselineUnderWay { since } => {
                write!(f, "a baseline is under way since {}: finish it first", date(*since))
            }
            Self::NoBaseline => f.write_str("no baseline is under way: start one"),
            Self::NothingMeasured { since } => {
                write!(f, "nothing was measured since {}: wait until the first window is over", date(*since))
            }
            Self::NoMeasures => f.write_str("these flags measure nothing: give them a source when they are made"),
            Self::NothingToWaitFor => f.write_str("the next stage may come already: `advance_to` it"),
            Self::Undeclared(flag) => write!(f, "`{flag}` is not declared: declare it when the flags are made"),
            Self::Planned(flag) => {
                write!(f, "`{flag}` is the plan's: its stage decides; to turn it off at any stage `hold` it")
            }
            Self::Enforced { flag, by } => {
                write!(f, "`{flag}` can't be held while `{by}` is on: roll back to a stage before it first")
            }
            Self::Percent(flag) => write!(f, "`{flag}`: a percentage is a number from 0 to 100"),
            Self::TooManyTargets(flag) => write!(
                f,
                "`{flag}` would name more than {MOST_TARGETS} actors, groups and nodes: name a group instead of its \
                 members, or say a percentage"
            ),
            Self::NotExpected { expected, now } => {
                write!(f, "the last decision is {now}, not {expected}: look at what it changed, and decide again")
            }
            Self::Forgotten { version, oldest } => {
                write!(f, "decision {version} is not in the history, which begins with {oldest}: say what is to be")
            }
            Self::NotUndoable { version, what } => {
                write!(f, "decision {version} was: {what}. Undo a stage with `rollback_to`, a hold with `release`")
            }
            Self::SaidSince { flag, part, version: Some(version) } => {
                write!(f, "`{flag}`: decision {version} has said something else for {part} since: undo that one first")
            }
            Self::SaidSince { flag, part, version: None } => write!(
                f,
                "`{flag}`: the environment says something else for {part}, or the file did at the start: say what is to be"
            ),
            Self::Busy => f.write_str("another change was under way until the deadline: try again"),
            Self::Superseded(change) => write!(f, "another decision came in between, {change}"),
            Self::File(error) => write!(f, "it could not be written down: {error}"),
            Self::NoFile => f.write_str("these flags have no file: give them one when they are made"),
            Self::FileChanged(path) => write!(f, "{path} was changed by hand: `reload` it first"),
            Self::FileText(error) => write!(f, "{error}; the file was changed by hand: mend it, then `reload` it"),
        }
    }
}

impl std::error::Error for ChangeError {}
