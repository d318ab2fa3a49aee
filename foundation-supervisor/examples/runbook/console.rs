//! The console: what an operator types, and what comes of it.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use foundation_context::{self as context, Incarnation};
use foundation_flags::{Date, Flag, Flags, Shadow, Thresholds};
use foundation_supervisor::{Failure, Foundation, Life};
use foundation_sync::SECONDS_5;

use crate::{
    book::GUARD,
    log::Log,
    page::{say, told},
    site::Site,
};

/// For how many look-ups the two ways are compared.
const LOOKUP_SHADOW: Flag = Flag::off("lookup_shadow");

const HELP: &str = "\
status                   where the migration stands
plan                     its stages, each with its flags
baseline start WHY       measures the figures from now on
baseline finish WHY      what was measured is the baseline
watch                    the runbook's figures in the last window, and how bad they are
ready STAGE              asks the program whether it is ready for a stage
figures                  measures latencies, overhead and throughput
validate                 checks what has to be so at the present stage
advance STAGE WHY        goes on to the next stage
early WHY                the next stage need not be waited for any longer
rollback STAGE WHY       goes back to a lower stage
emergency WHY            goes back to stage 0, at once and always
hold FLAG WHY            the selective rollback: the flag is off at any stage
release FLAG WHY         the flag is what its stage says again
reload                   takes up what a person has changed in the file
shadow PERCENT           two ways of looking a name up, side by side
traffic GOOD BAD         so many attempts that succeed and that fail, for the guard
news                     what was told of the migration since the last time
history                  every decision: who, when, why
report FROM TO           what happened from one day to another; with `json` for programs
as NAME                  who decides from here on
exit                     stops the system";

/// Why a command was not done.
enum Refusal {
    /// It was refused, and nothing was changed.
    Refused(String),
    /// Nobody knows such a command.
    Unknown(String),
    /// The system is not what it should be.
    Failed(Failure),
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Refused(error.to_string())
    }
}

type Done = Result<(), Refusal>;

pub(crate) fn main() -> ExitCode {
    let log = Log::new();
    // Where a system in production has a place of its own.
    let directory = match tempfile::tempdir() {
        Ok(directory) => directory,
        Err(error) => return cannot_start(&error),
    };
    let builder = Foundation::builder().guard(GUARD).thresholds(thresholds()).ready_when("log", log_is_ready);
    let started = builder.dispatch(log.dispatch()).start_from_legacy_file(directory.path().join("migration.toml"));
    let foundation = match started {
        Ok(foundation) => foundation,
        Err(error) => return cannot_start(&error),
    };
    let system = foundation.system().clone();
    let Some(flags) = system.migration().cloned() else { return ExitCode::FAILURE };
    let outcome = system.enter(|| Console::start(Site::start(&system, &flags, &log)?).listen());
    let report = foundation.stop(SECONDS_5);
    match outcome {
        Ok(()) if report.is_clean() => ExitCode::SUCCESS,
        Ok(()) => {
            say(&report.to_string());
            ExitCode::FAILURE
        }
        Err(failure) => {
            say(&format!("the console ended: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn cannot_start(error: &dyn std::error::Error) -> ExitCode {
    say(&format!("the system can't be started: {error}"));
    ExitCode::FAILURE
}

/// The runbook's figures, to be watched and told of. None of them rolls back here: the machine of a drill may be slow.
fn thresholds() -> Thresholds {
    Thresholds::runbook().without_rollbacks().window(Duration::from_millis(200))
}

/// From stage 3 on the log shows contexts, so it has to be able to.
fn log_is_ready(stage: usize) -> Result<(), String> {
    if stage < 3 { Ok(()) } else { context::check_logging().map_err(|error| error.to_string()) }
}

struct Console {
    site: Site,
    by: String,
}

impl Console {
    fn start(site: Site) -> Self {
        Self { site, by: "operator".to_owned() }
    }

    /// Does what each line says, to the end or to `exit`. Where nobody types, each line is said before it is done, so that
    /// what is printed can be read.
    fn listen(mut self) -> Result<(), Failure> {
        let typed = io::stdin().is_terminal();
        let mut lines = io::stdin().lock().lines();
        loop {
            if typed {
                _ = write!(io::stdout(), "> ").and_then(|()| io::stdout().flush());
            }
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line.map_err(|error| Failure::new(error.to_string()))?;
            if !typed {
                say(&format!("> {line}"));
            }
            let words: Vec<_> = line.split_whitespace().collect();
            match self.command(&words) {
                _ if words == ["exit"] => return Ok(()),
                Ok(()) => {}
                Err(Refusal::Refused(why)) => say(&format!("refused: {why}")),
                Err(Refusal::Unknown(what)) => say(&format!("{what}: see `help`")),
                Err(Refusal::Failed(failure)) => say(&format!("FAILED: {failure}")),
            }
        }
    }

    fn command(&mut self, words: &[&str]) -> Done {
        let flags = self.site.flags.clone();
        match *words {
            [] | ["exit"] => {}
            ["help"] => say(HELP),
            ["status"] => say(&self.site.status()),
            ["plan"] => self.plan(&flags),
            ["figures"] => _ = self.site.figures().map_err(Refusal::Failed)?,
            ["validate"] => self.site.validate().map_err(Refusal::Failed)?,
            ["advance", stage, ref why @ ..] => {
                say(&flags.advance_to(number(stage)?, &self.by, &text(why), self.site.soon())?.to_string());
            }
            ["early", ref why @ ..] => say(&flags.early(&self.by, &text(why), self.site.soon())?.to_string()),
            ["ready", stage] => {
                flags.ready(number(stage)?)?;
                say(&format!("ready for stage {stage}"));
            }
            ["baseline", "start", ref why @ ..] => {
                say(&flags.start_baseline(&self.by, &text(why), self.site.soon())?.to_string());
            }
            ["baseline", "finish", ref why @ ..] => self.finish_baseline(&text(why))?,
            ["watch"] => self.watch(),
            ["report", from, to] => say(&flags.report(day(from)?, day(to)?).to_string()),
            #[cfg(feature = "json")]
            ["report", from, to, "json"] => say(&format!("{:#}", flags.report(day(from)?, day(to)?).to_json())),
            ["shadow", percent] => self.shadow(percent)?,
            ["rollback", stage, ref why @ ..] => {
                say(&flags.rollback_to(number(stage)?, &self.by, &text(why))?.to_string());
            }
            ["emergency", ref why @ ..] => say(&flags.emergency_rollback(&text(why)).to_string()),
            ["hold", name, ref why @ ..] => {
                say(&flags.hold(&flags.find(name)?, &self.by, &text(why))?.to_string());
            }
            ["release", name, ref why @ ..] => {
                say(&flags.release(&flags.find(name)?, &self.by, &text(why), self.site.soon())?.to_string());
            }
            ["reload"] => match flags.reload(&self.by, self.site.soon())? {
                Some(change) => say(&change.to_string()),
                None => say("the file says what the flags say"),
            },
            ["traffic", good, bad] => self.traffic(number(good)?, number(bad)?)?,
            ["news"] => self.news(),
            ["history"] => flags.history().iter().for_each(|change| say(&change.to_string())),
            ["as", name] => self.by = name.to_owned(),
            _ => return Err(Refusal::Unknown(format!("`{}` is no command", words.join(" ")))),
        }
        Ok(())
    }

    fn plan(&self, flags: &Flags) {
        for (at, (name, added)) in flags.plan().into_iter().flat_map(|plan| plan.stages()).enumerate() {
            let added: Vec<_> = added.iter().map(Flag::name).collect();
            say(&format!("stage {} {name}: {}", at + 1, added.join(", ")));
        }
    }

    /// Once a window at least is in it.
    fn finish_baseline(&self, why: &str) -> Done {
        let (flags, system) = (&self.site.flags, &self.site.system);
        let measured = || flags.baseline_under_way().is_none_or(|it| !it.figures.is_empty()).then_some(());
        _ = system.activity().wait_for(&self.site.soon(), measured);
        say(&flags.finish_baseline(&self.by, why, self.site.soon())?.to_string());
        flags.baseline().iter().for_each(|baseline| say(&baseline.to_string()));
        Ok(())
    }

    /// Waits a little for the first window.
    fn watch(&self) {
        let figures = || Some(self.site.flags.status().figures).filter(|figures| !figures.is_empty());
        let figures = self.site.system.activity().wait_for(&self.site.soon(), figures).unwrap_or_default();
        figures.iter().for_each(|verdict| say(&format!("{}: {verdict}", verdict.level)));
        if figures.is_empty() {
            say("nothing is judged: enable monitoring first");
        }
    }

    /// The old way goes through all names, and the new one asks for the one. On the indexer's thread, where its name is
    /// found at any stage: nothing is never as good as nothing.
    fn shadow(&self, percent: &str) -> Done {
        let percent = percent.parse().map_err(|_| Refusal::Unknown(format!("`{percent}` is no number")))?;
        let flags = self.site.system.declare_flags().flag(&LOOKUP_SHADOW).start()?;
        flags.change(&self.by, "compare look-ups").percent(&LOOKUP_SHADOW, percent).apply(self.site.soon())?;
        let found = |old: &Option<Incarnation>, new: &Option<Incarnation>| old.is_some() && old == new;
        let shadow = Shadow::new(&flags, &LOOKUP_SHADOW, found);
        let compares = shadow.clone();
        let look_up = move |life: &Life| {
            for number in 0..1_000 {
                let old = || {
                    let names = life.system().registry().entries();
                    names.iter().find(|entry| entry.name() == "indexer").map(|entry| entry.owner().incarnation())
                };
                compares.run_for(&format!("lookup-{number}"), old, || life.system().whereis("indexer"));
            }
        };
        self.site.ask(look_up).map_err(Refusal::Failed)?;
        say(&shadow.report().to_string());
        Ok(())
    }

    /// Lookups as a service would make them: the guard counts those that fail.
    fn traffic(&self, good: usize, bad: usize) -> Done {
        let attempts = self.site.flags.attempts().ok_or(Refusal::Unknown("there is no guard".to_owned()))?;
        for at in 0..good + bad {
            let attempt = attempts.begin();
            if at >= bad {
                attempt.succeeded();
            }
        }
        say(&format!("{} attempts, {bad} of them failed", good + bad));
        Ok(())
    }

    /// Waits a little for the first, for it may be on its way.
    fn news(&self) {
        let first = self.site.news.recv(self.site.soon()).ok();
        let rest = std::iter::from_fn(|| self.site.news.try_recv().ok());
        let all: Vec<_> = first.into_iter().chain(rest).collect();
        all.iter().for_each(|event| say(&told(event)));
        if all.is_empty() {
            say("nothing");
        }
    }
}

fn number(word: &str) -> Result<usize, Refusal> {
    word.parse().map_err(|_| Refusal::Unknown(format!("`{word}` is no number")))
}

fn day(word: &str) -> Result<Date, Refusal> {
    Date::parse(word).ok_or(Refusal::Unknown(format!("`{word}` is no day such as 2026-01-31")))
}

fn text(why: &[&str]) -> String {
    if why.is_empty() { "by the runbook".to_owned() } else { why.join(" ") }
}
