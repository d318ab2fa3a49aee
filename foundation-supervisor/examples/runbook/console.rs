//! The console: what an operator types, and what comes of it.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
};

use foundation_flags::{Flag, Flags};
use foundation_supervisor::{Failure, Foundation};
use foundation_sync::SECONDS_5;

use crate::{
    book::GUARD,
    log::Log,
    page::{say, told},
    site::Site,
};

const HELP: &str = "\
status                   where the migration stands
plan                     its stages, each with its flags
figures                  measures latencies, overhead and throughput
validate                 checks what has to be so at the present stage
advance STAGE WHY        goes on to the next stage
rollback STAGE WHY       goes back to a lower stage
emergency WHY            goes back to stage 0, at once and always
hold FLAG WHY            the selective rollback: the flag is off at any stage
release FLAG WHY         the flag is what its stage says again
traffic GOOD BAD         so many attempts that succeed and that fail, for the guard
news                     what was told of the migration since the last time
history                  every decision: who, when, why
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
    let foundation = Foundation::builder().start_from_legacy().guard(GUARD).dispatch(log.dispatch()).start();
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
            ["status"] => say(&flags.status().to_string()),
            ["plan"] => self.plan(&flags),
            ["figures"] => _ = self.site.figures().map_err(Refusal::Failed)?,
            ["validate"] => self.site.validate().map_err(Refusal::Failed)?,
            ["advance", stage, ref why @ ..] => {
                say(&flags.advance_to(number(stage)?, &self.by, &text(why), self.site.soon())?.to_string());
            }
            ["rollback", stage, ref why @ ..] => {
                say(&flags.rollback_to(number(stage)?, &self.by, &text(why))?.to_string());
            }
            ["emergency", ref why @ ..] => say(&flags.emergency_rollback(&text(why)).to_string()),
            ["hold", name, ref why @ ..] => say(&flags.hold(&flag(&flags, name)?, &self.by, &text(why))?.to_string()),
            ["release", name, ref why @ ..] => {
                let flag = flag(&flags, name)?;
                say(&flags.release(&flag, &self.by, &text(why), self.site.soon())?.to_string());
            }
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

fn text(why: &[&str]) -> String {
    if why.is_empty() { "by the runbook".to_owned() } else { why.join(" ") }
}

fn flag(flags: &Flags, name: &str) -> Result<Flag, Refusal> {
    let mut known = flags.plan().into_iter().flat_map(|plan| plan.stages()).flat_map(|(_, added)| added);
    known.find(|flag| flag.name() == name).copied().ok_or(Refusal::Unknown(format!("`{name}` is no flag of the plan")))
}
