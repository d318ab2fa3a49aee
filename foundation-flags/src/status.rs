//! Where a migration stands.

use std::{fmt, sync::Arc, time::SystemTime};

use foundation_sync::Switch;

use crate::{Flag, Level, Rule, Verdict, flags::Inner, text::date};

/// Where what a flag says comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Nothing is said: its default.
    Default,
    /// It was found written down.
    File,
    /// [The environment](crate::Builder::environment).
    Environment,
    /// Somebody decided while the program ran.
    RunTime,
    /// The plan's stage.
    Plan,
    /// It is [held](crate::Flags::hold).
    Held,
    /// [A test](crate::Flags::override_for_test).
    Override,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::RunTime => "run time",
            Self::Plan => "plan",
            Self::Held => "held",
            Self::Override => "override",
        })
    }
}

/// One flag, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlagStatus {
    /// What was declared.
    pub flag: Flag,
    /// Whether a plain read says on.
    pub on: bool,
    /// Where that comes from.
    pub source: Source,
    /// From which stage of the plan on it is on; `None`: it is of no plan.
    pub stage: Option<usize>,
    /// What is said about it, if it is of no plan.
    pub rule: Arc<Rule>,
}

impl fmt::Display for FlagStatus {
    /// `new_checkout off (run time: everybody 25 %, the group `staff` on)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flag, on, source, rule, .. } = self;
        write!(f, "{} {} ({source}", flag.name(), if *on { "on" } else { "off" })?;
        for (at, (part, setting)) in rule.parts().enumerate() {
            write!(f, "{} {part} {setting}", if at > 0 { "," } else { ":" })?;
        }
        f.write_str(")")
    }
}

/// Where a migration stands, at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// How many decisions were made.
    pub version: u64,
    /// The present stage; 0 before the first, and where there is no plan.
    pub stage: usize,
    /// Its name; `None` at stage 0.
    pub name: Option<&'static str>,
    /// How many stages there are.
    pub stages: usize,
    /// Since when, by the calendar.
    pub since: SystemTime,
    /// Until when the next stage is not to come, by the calendar, if one has to wait for it. At the last stage, until when
    /// that is observed.
    pub not_before: Option<SystemTime>,
    /// Every declared flag, in the order of their declaration.
    pub flags: Vec<FlagStatus>,
    /// Those that are held off whatever the stage says.
    pub held: Vec<&'static str>,
    /// How often a stage was left for a lower one.
    pub rollbacks: u64,
    /// What the thresholds' figures were in the last window of this stay; empty while nothing is judged, and before the
    /// first window is over.
    pub figures: Vec<Verdict>,
    /// For each flag how much is still open in the services that it governs from while those worked the old way: names,
    /// spans, contexts. Flags of which nothing is are left out.
    pub old_guards: Vec<(&'static str, usize)>,
    /// Those that are to be gone from the source by now: their [day](crate::Flag::expires) has come.
    pub expired: Vec<Flag>,
    /// How often a flag was read that is not declared, by its constant or by name; [strict](crate::Flags::strict) reads
    /// left out.
    pub undeclared_reads: u64,
    /// How often a subscriber panicked.
    pub subscriber_panics: u64,
    /// Flags of which the file says something, and which are not declared: another version of the program may have written
    /// it. It stays there. One that is near a declared one is refused instead.
    pub unknown_in_file: Vec<Arc<str>>,
    /// Whether a rollback waits to be written into the file: for the courier, or for a change that is under way.
    pub unwritten: bool,
    /// Why the file was not written, if the last attempt failed.
    pub file_error: Option<Arc<str>>,
    /// Whether a person was seen to have changed the file, and that was not [reloaded](crate::Flags::reload) since.
    pub file_edited: bool,
    /// Why what a person has made of the file was not taken up, if the last attempt failed.
    pub reload_error: Option<Arc<str>>,
}

impl Status {
    pub(crate) fn of(inner: &Inner) -> Self {
        let state = inner.state.load();
        let shape = &inner.shape;
        let flags = || shape.table.flags().iter().enumerate();
        let stage_name = state.stage.checked_sub(1).and_then(|at| shape.plan.as_ref()?.stages.get(at));
        Self {
            version: state.version,
            stage: state.stage,
            name: stage_name.map(|stage| stage.name),
            stages: shape.last_stage(),
            since: state.since,
            not_before: state.waits(inner.clock.now()).map(|(until, _)| until),
            flags: flags()
                .map(|(number, flag)| FlagStatus {
                    flag: *flag,
                    on: state.is_on(number),
                    source: state.source(shape, number),
                    stage: shape.from_stage[number],
                    rule: state.rule(number).to_rule(),
                })
                .collect(),
            held: flags().filter(|(number, _)| state.held[*number]).map(|(_, flag)| flag.name()).collect(),
            rollbacks: state.rollbacks,
            figures: inner.monitor.as_ref().map(|monitor| monitor.verdicts(inner)).unwrap_or_default(),
            old_guards: flags()
                .map(|(number, flag)| (flag.name(), inner.switches[number].iter().map(Switch::off_guards).sum()))
                .filter(|(_, open)| *open > 0)
                .collect(),
            expired: inner.expired(),
            undeclared_reads: inner.undeclared.sum(),
            subscriber_panics: inner.subscribers.panics(),
            unknown_in_file: inner.store.unknown(),
            unwritten: inner.store.is_kept() && inner.desk.is_behind(),
            file_error: inner.store.error(),
            file_edited: inner.store.is_edited(),
            reload_error: inner.store.reload_error(),
        }
    }

    /// Whether there is a migration and it is over: the last stage, none of its flags held, and nothing left open from the
    /// old implementations.
    pub fn is_complete(&self) -> bool {
        let nothing_held = !self.flags.iter().any(|flag| flag.stage.is_some() && self.held.contains(&flag.flag.name()));
        self.stages > 0 && self.stage == self.stages && nothing_held && self.old_guards.is_empty()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage {} of {}", self.stage, self.stages)?;
        if let Some(name) = self.name {
            write!(f, " ({name})")?;
        }
        match self.not_before {
            Some(until) if self.stage < self.stages => write!(f, "; the next not before {}", date(until))?,
            Some(until) => write!(f, "; observed until {}", date(until))?,
            None => {}
        }
        let on: Vec<_> = self.flags.iter().filter(|flag| flag.on).map(|flag| flag.flag.name()).collect();
        write!(f, "; on: {}", if on.is_empty() { "nothing".to_owned() } else { on.join(", ") })?;
        if !self.held.is_empty() {
            write!(f, "; held: {}", self.held.join(", "))?;
        }
        write!(f, "; rollbacks: {}", self.rollbacks)?;
        for verdict in self
            .figures
            .iter()
            .filter(|it| it.value.is_err() || it.level > Level::Calm || !it.without_baseline.is_empty())
        {
            let level = if verdict.level > Level::Calm { format!("{}: ", verdict.level) } else { String::new() };
            write!(f, "; {level}{verdict}")?;
        }
        for (at, (flag, open)) in self.old_guards.iter().enumerate() {
            write!(f, "{}{flag} {open}", if at > 0 { ", " } else { "; open from the old way: " })?;
        }
        if !self.expired.is_empty() {
            let expired: Vec<_> = self.expired.iter().map(Flag::name).collect();
            write!(f, "; expired: {}", expired.join(", "))?;
        }
        if self.undeclared_reads > 0 {
            write!(f, "; reads of undeclared flags: {}", self.undeclared_reads)?;
        }
        if !self.unknown_in_file.is_empty() {
            write!(f, "; in the file, and not declared: {}", self.unknown_in_file.join(", "))?;
        }
        if self.unwritten {
            f.write_str("; not yet written down")?;
        }
        if self.file_edited {
            f.write_str("; the file was changed by hand, and not reloaded")?;
        }
        if let Some(error) = &self.reload_error {
            write!(f, ": {error}")?;
        }
        match &self.file_error {
            Some(error) => write!(f, "; NOT WRITTEN DOWN: {error}"),
            None => Ok(()),
        }
    }
}
