//! The steps of the runbook, stage by stage.

use std::{process::ExitCode, time::Duration};

use foundation_context as context;
use foundation_flags::{
    EMERGENCY, FailureGuard, Flags, ROLLED_BACK, USE_PROPAGATED_CONTEXT, USE_SHARED_REGISTRY, USE_SPAN_MANAGER, What,
};
use foundation_supervisor::{Failure, Foundation, Life, System};
use foundation_sync::{SECONDS_5, thread};

use crate::{
    log::Log,
    page::{check, heading, say},
    probes::Figures,
    site::Site,
};

/// The guard: it trips when more than a third of the attempts fail.
pub(crate) const GUARD: FailureGuard =
    FailureGuard::above("failed_lookups", 1.0 / 3.0).window(Duration::from_millis(200)).at_least(10);

pub(crate) fn main() -> ExitCode {
    let log = Log::new();
    let foundation =
        Foundation::builder().start_from_legacy().without_waiting().guard(GUARD).dispatch(log.dispatch()).start();
    let system = foundation.system().clone();
    let Some(flags) = system.migration().cloned() else { return ExitCode::FAILURE };
    let outcome = system.enter(|| runbook(&system, &flags, &log));
    if outcome.is_err() {
        flags.emergency_rollback("a validation failed");
    }
    let report = foundation.stop(SECONDS_5);
    let outcome = outcome.and_then(|()| {
        heading("The end");
        check("the universe stops, and leaves no thread behind", report.is_clean(), &report)?;
        check("no span is open", system.telemetry().spans_open() == 0, system.telemetry().spans_open())
    });
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    heading(&format!("The runbook ended early, and the system is at stage {}: {failure}", flags.status().stage));
    ExitCode::FAILURE
}

fn runbook(system: &System, flags: &Flags, log: &Log) -> Result<(), Failure> {
    let site = Site::start(system, flags, log)?;
    let baseline = site.baseline()?;
    site.stage_1_monitoring()?;
    site.stage_2_registry()?;
    site.stage_3_context()?;
    site.stage_4_telemetry()?;
    site.the_guard()?;
    site.selective_rollback()?;
    let migrated = site.stage_5_enforcement()?;
    site.emergency_rollback()?;
    site.summary(&baseline, &migrated)
}

impl Site {
    fn baseline(&self) -> Result<Figures, Failure> {
        heading("Baseline: the old way");
        check("the migration is at stage 0, and nothing is on", self.flags_on() == 0, self.status())?;
        self.figures()
    }

    fn stage_1_monitoring(&self) -> Result<(), Failure> {
        heading("Stage 1: enable monitoring");
        self.advance_to(1, "day 1")?;
        self.monitoring()
    }

    fn stage_2_registry(&self) -> Result<(), Failure> {
        heading("Stage 2: registry migration");
        self.check_name("old way: the indexer's name is its thread's alone", "indexer", false)?;
        self.advance_to(2, "day 2")?;
        self.registry()
    }

    fn stage_3_context(&self) -> Result<(), Failure> {
        heading("Stage 3: error context migration");
        let logging = [context::check_logging(), self.ask(|_| context::check_logging())?];
        check("the log has contexts on its records", logging == [Ok(()), Ok(())], format!("{logging:?}"))?;
        let old = self.nested_context()?;
        check("old way: a record has no context", old.logged == ["", ""], format!("{:?}", old.logged))?;
        check("old way: an event has no context", old.event.is_empty(), format!("({})", old.event))?;
        check("old way: a job elsewhere inherits none", old.inherited.is_empty(), format!("({})", old.inherited))?;
        self.advance_to(3, "day 3")?;
        self.context()
    }

    fn stage_4_telemetry(&self) -> Result<(), Failure> {
        heading("Stage 4: telemetry migration");
        let here = thread::id();
        self.check_span("old way: another thread sees no open span", false)?;
        let handler = self.queued_thread()?;
        check("old way: a queued handler runs on its emitter", handler == here, format!("{handler:?}"))?;
        let passed = self.emit_five()?;
        check("old way: each thread emits it once per window", passed == 2, format!("{passed} of 5 passed"))?;
        self.advance_to(4, "day 4")?;
        self.telemetry()
    }

    fn the_guard(&self) -> Result<(), Failure> {
        heading("The guard: a rollback by itself");
        let Some(attempts) = self.flags.attempts() else { return Err(Failure::new("there is no guard")) };
        for name in ["indexer", "nobody"].into_iter().cycle().take(100) {
            let attempt = attempts.begin();
            if self.finds(name) {
                attempt.succeeded();
            }
        }
        say("        100 lookups, and every other one failed");
        self.heard("the guard's rollback is told", ROLLED_BACK)?;
        let last = self.flags.history().pop().ok_or(Failure::new("the history is empty"))?;
        let expected = (What::RolledBack { from: 4, to: 3 }, "guard failed_lookups");
        check("the history says who and why", (last.what, &*last.by) == expected, &last)?;
        let (spans, context) = (self.flags.enabled(&USE_SPAN_MANAGER), self.flags.enabled(&USE_PROPAGATED_CONTEXT));
        check("the stage's flags are off, those below on", !spans && context, self.status())?;
        self.check_span("spans are their thread's again", false)?;
        self.advance_to(4, "day 5, the lookups are mended")?;
        self.check_span("spans are everybody's", true)
    }

    fn selective_rollback(&self) -> Result<(), Failure> {
        heading("Selective rollback: the registry alone");
        let change = self.flags.hold(&USE_SHARED_REGISTRY, "operator", "registry issues")?;
        check("the flag is held, at the same stage", self.flags.status().stage == 4, change)?;
        self.check_name("what was visible stays visible", "indexer", true)?;
        let (owner, _registration) = self.register("while_held")?;
        self.check_name("a new name is its thread's alone", "while_held", false)?;
        let change = self.flags.release(&USE_SHARED_REGISTRY, "operator", "mended", self.soon())?;
        check("the flag is on again", self.flags.enabled(&USE_SHARED_REGISTRY), change)?;
        check("the private name is everybody's", self.system.whereis("while_held") == Some(owner), owner)
    }

    fn stage_5_enforcement(&self) -> Result<Figures, Failure> {
        heading("Stage 5: full enforcement");
        self.advance_to(5, "day 8")?;
        self.enforcement()?;
        self.figures()
    }

    fn emergency_rollback(&self) -> Result<(), Failure> {
        heading("Emergency rollback: all stages");
        let (indexer, decisions) = (self.ask(Life::incarnation)?, self.flags.history().len());
        let change = self.flags.emergency_rollback("a drill");
        check("it is done at once", change.what == What::Emergency { from: 5 }, &change.what)?;
        let all = self.flags.status().flags.len();
        check("all seven flags are off", (all, self.flags_on()) == (7, 0), format!("{} of {all} on", self.flags_on()))?;
        let telemetry = self.system.telemetry().switches();
        let (registry, contexts) = (self.system.registry().switch(), self.system.contexts().switch());
        let switches = [registry, contexts, &telemetry.service, &telemetry.spans, &telemetry.dedup];
        check("the services' switches are off", switches.iter().all(|it| !it.is_on()), format!("{switches:?}"))?;
        self.heard("the emergency is told", EMERGENCY)?;
        check("the indexer lives on", self.ask(Life::incarnation)? == indexer, indexer)?;
        self.check_name("its name is found as before", "indexer", true)?;
        let (_, _registration) = self.register("after_it")?;
        self.check_name("a new name is its thread's alone", "after_it", false)?;
        let inherited = self.nested_context()?.inherited;
        check("a context stays on its thread", inherited.is_empty(), format!("({inherited})"))?;
        check(
            "the history goes on",
            self.flags.history().len() == decisions + 1,
            format!("{} decisions", decisions + 1),
        )
    }

    fn summary(&self, baseline: &Figures, migrated: &Figures) -> Result<(), Failure> {
        heading("Figures after the rollback");
        let now = self.figures()?;
        heading("Summary");
        say(&format!("  {:<22}{:>14}{:>14}{:>14}", "", "baseline", "stage 5", "rolled back"));
        for (((name, old), (_, new)), (_, now)) in baseline.iter().zip(migrated).zip(&now) {
            say(&format!("  {name:<22}{old:>14}{new:>14}{now:>14}"));
        }
        heading("History");
        self.flags.history().iter().for_each(|change| say(&format!("  {change}")));
        heading(&format!("Status\n  {}", self.flags.status()));
        let lost = self.system.lost() + self.flags.untold();
        check("no event was lost, no restart was needed", lost + self.system.restarts() == 0, format!("{lost} lost"))
    }
}
