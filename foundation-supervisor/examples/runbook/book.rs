//! The steps of the runbook, stage by stage.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use foundation_context::{self as context, Fields, InContext, Incarnation, fields};
use foundation_flags::{
    ChangeError, EMERGENCY, FailureGuard, Flags, ROLLED_BACK, STAGE_ENABLED, USE_PROPAGATED_CONTEXT,
    USE_SHARED_REGISTRY, USE_SPAN_MANAGER, What,
};
use foundation_registry::Registration;
use foundation_supervisor::{ChildSpec, Failure, Foundation, Life, Strategy, Supervisor, System, Tree};
use foundation_sync::{
    Deadline, Full, MINUTE, Nanos, Queue, SECONDS_5,
    atomic::{AtomicU64, Ordering},
    thread::{self, ThreadId},
};
use foundation_telemetry::{
    Distribution, Event, EventName, MOST_WINDOWS, Quantiles, SPAN_START, SPAN_STOP, event_name,
};

use crate::log::Log;

/// What the runbook emits itself.
const VALIDATION: EventName = event_name!("runbook", "validation");

/// How many operations a figure is made of.
const OPERATIONS: u64 = 5_000;
/// The runbook's targets: a lookup and a context in the 99th percentile, and events per second.
const LOOKUP_TARGET: Duration = Duration::from_millis(5);
const CONTEXT_TARGET: Duration = Duration::from_micros(100);
const EVENTS_TARGET: u64 = 10_000;

/// The guard: it trips when more than a third of the attempts fail.
const GUARD: FailureGuard =
    FailureGuard::above("failed_lookups", 1.0 / 3.0).window(Duration::from_millis(200)).at_least(10);

pub(crate) fn main() -> ExitCode {
    let log = Log::new();
    let foundation = Foundation::builder().start_from_legacy().guard(GUARD).dispatch(log.dispatch()).start();
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

/// What the indexer is asked to do, on its thread.
type Job = Box<dyn FnOnce(&Life) + Send>;

/// What the runbook works on.
struct Site {
    system: System,
    flags: Flags,
    tree: Tree,
    jobs: Queue<Job>,
    /// The events of the migration.
    news: Queue<Event>,
    log: Log,
}

/// What is measured, and what it was.
type Figures = Vec<(&'static str, String)>;

impl Site {
    fn start(system: &System, flags: &Flags, log: &Log) -> Result<Self, Failure> {
        let jobs: Queue<Job> = Queue::bounded(8, Full::Wait);
        let asked = jobs.clone();
        let indexer = ChildSpec::worker("indexer", move |life| {
            let _name = life.register("indexer", "its address")?;
            while let Some(job) = life.next(&asked)? {
                job(life);
            }
            Ok(())
        });
        let tree = Supervisor::new("site", Strategy::OneForOne).child(indexer);
        let tree = tree.start(system, system.within(SECONDS_5))?;
        let (system, flags) = (system.clone(), flags.clone());
        let news = hear(&system, "news", &[STAGE_ENABLED, ROLLED_BACK, EMERGENCY])?;
        Ok(Self { system, flags, tree, jobs, news, log: log.clone() })
    }

    fn baseline(&self) -> Result<Figures, Failure> {
        heading("Baseline: the old way");
        check("the migration is at stage 0, and nothing is on", self.flags_on() == 0, self.flags.status())?;
        self.figures()
    }

    fn stage_1_monitoring(&self) -> Result<(), Failure> {
        heading("Stage 1: enable monitoring");
        self.advance_to(1, "day 1")?;
        check("one flag is on: no service has moved", self.flags_on() == 1, self.flags.status())?;
        self.figures().map(drop)
    }

    fn stage_2_registry(&self) -> Result<(), Failure> {
        heading("Stage 2: registry migration");
        self.check_name("old way: the indexer's name is its thread's alone", "indexer", false)?;
        self.advance_to(2, "day 2")?;
        self.check_name("the name registered before is found", "indexer", true)?;
        let (owner, _registration) = self.register("test_migration")?;
        let found = self.system.whereis("test_migration");
        check("a name registered now is found, and its owner's", found == Some(owner), owner)?;
        let listed = self.system.registry().entries();
        check("both are listed", listed.len() == 2, format!("{listed:?}"))?;
        self.lookup_latency().map(drop)
    }

    fn stage_3_context(&self) -> Result<(), Failure> {
        heading("Stage 3: error context migration");
        let both = fields! { operation: "validation", step: "parse" };
        let logging = [context::check_logging(), self.ask(|_| context::check_logging())?];
        check("the log has contexts on its records", logging == [Ok(()), Ok(())], format!("{logging:?}"))?;
        let old = self.nested_context()?;
        check("old way: a record has no context", old.logged == ["", ""], format!("{:?}", old.logged))?;
        check("old way: an event has no context", old.event.is_empty(), format!("({})", old.event))?;
        check("old way: a job elsewhere inherits none", old.inherited.is_empty(), format!("({})", old.inherited))?;
        self.advance_to(3, "day 3")?;
        let new = self.nested_context()?;
        let expected = " error_context{operation=validation step=parse}";
        check("both records are found by `error_context`", new.logged == [expected; 2], expected)?;
        check("an event has the context of its emitter", new.event == both, &new.event)?;
        check("a job on another thread inherits it", new.inherited == both, &new.inherited)?;
        check("an error remembers where it was born", new.error == both, new.text)?;
        let left = [context::current().fields(), self.ask(|_| context::current().fields())?];
        check("nothing is left on either thread", left.iter().all(Fields::is_empty), format!("{left:?}"))?;
        self.context_overhead().map(drop)
    }

    fn stage_4_telemetry(&self) -> Result<(), Failure> {
        heading("Stage 4: telemetry migration");
        let here = thread::id();
        self.check_span("old way: another thread sees no open span", false)?;
        let handler = self.queued_thread()?;
        check("old way: a queued handler runs on its emitter", handler == here, format!("{handler:?}"))?;
        let passed = self.emit_five("old")?;
        check("old way: each thread emits it once per window", passed == 2, format!("{passed} of 5 passed"))?;
        self.advance_to(4, "day 4")?;
        self.validate_spans()?;
        let handler = self.queued_thread()?;
        check("a queued handler runs on another thread", handler != here, format!("{handler:?}, not {here:?}"))?;
        let before = self.system.telemetry().suppressed();
        let passed = self.emit_five("new")?;
        let suppressed = self.system.telemetry().suppressed() - before;
        let found = format!("{passed} passed, {suppressed} suppressed");
        check("of five events with one key one passes", (passed, suppressed) == (1, 4), found)?;
        let open = self.system.telemetry().windows_open();
        check("memory is bounded", open <= MOST_WINDOWS, format!("{open} windows of at most {MOST_WINDOWS}"))?;
        self.event_throughput().map(drop)
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
        check("the stage's flags are off, those below on", !spans && context, self.flags.status())?;
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
        let refused = self.flags.hold(&USE_SHARED_REGISTRY, "operator", "registry issues");
        let found = refused.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        check("a hold is refused", matches!(refused, Err(ChangeError::Enforced { .. })), found)?;
        let left = self.flags.status().old_guards;
        let expected = [(USE_SHARED_REGISTRY.name(), 1)];
        check("the indexer's name is left of the old way", left == expected, format!("{left:?}"))?;
        let before = self.ask(Life::incarnation)?;
        self.tree.terminate_child("indexer", self.soon())?;
        self.tree.restart_child("indexer", self.soon())?;
        let after = self.ask(Life::incarnation)?;
        check("the indexer has another life", after != before, format!("{before}, now {after}"))?;
        let complete = || self.flags.status().is_complete().then_some(());
        let complete = self.system.activity().wait_for(&self.soon(), complete);
        check("the migration is complete", complete.is_some(), self.flags.status())?;
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

/// The steps that several stages take.
impl Site {
    fn advance_to(&self, stage: usize, day: &str) -> Result<(), Failure> {
        let change = self.flags.advance_to(stage, "operator", day, self.soon())?;
        check("the stage is reached", self.flags.status().stage == stage, change)?;
        self.heard("the migration's event is told", STAGE_ENABLED)
    }

    fn heard(&self, what: &str, name: EventName) -> Result<(), Failure> {
        let told = self.news.recv(self.soon());
        let found = told.as_ref().map(|event| format!("{} {}", event.name, event.measurements));
        let found = found.unwrap_or_else(ToString::to_string);
        check(what, told.is_ok_and(|event| event.name == name), found)
    }

    /// Has the indexer do this, and waits for what comes of it.
    fn ask<R: Send + 'static>(&self, work: impl FnOnce(&Life) -> R + Send + 'static) -> Result<R, Failure> {
        let answer = Queue::bounded(1, Full::Refuse);
        let reply = answer.clone();
        let job: Job = Box::new(move |life| _ = reply.try_send(work(life)));
        self.jobs.send(job, self.soon()).map_err(|error| Failure::new(format!("the indexer is busy: {error}")))?;
        answer.recv(self.soon()).map_err(|error| Failure::new(format!("the indexer does not answer: {error}")))
    }

    /// Has the indexer register this name, too.
    fn register(&self, name: &'static str) -> Result<(Incarnation, Registration), Failure> {
        let (indexer, registration) = self.ask(move |life| (life.incarnation(), life.register(name, "its address")))?;
        Ok((indexer, registration?))
    }

    /// Whether this thread finds the name.
    fn finds(&self, name: &str) -> bool {
        self.system.registry().lookup(name).is_some()
    }

    /// Checks whether this thread, which registered nothing, finds the name.
    fn check_name(&self, what: &str, name: &str, expected: bool) -> Result<(), Failure> {
        let found = self.finds(name);
        check(what, found == expected, if found { "found here" } else { "not found here" })
    }

    fn flags_on(&self) -> usize {
        self.flags.status().flags.iter().filter(|flag| flag.on).count()
    }

    fn soon(&self) -> Deadline {
        self.system.within(SECONDS_5)
    }

    /// The runbook's example, and where its two fields arrive.
    fn nested_context(&self) -> Result<Arrived, Failure> {
        let events = hear(&self.system, "nested_context", &[VALIDATION])?;
        let (parsed, job) = context::with(fields! { operation: "validation" }, || {
            context::with(fields! { step: "parse" }, || {
                self.system.telemetry().emit(VALIDATION, || (fields! {}, fields! {}));
                tracing::info!("validating");
                let job = context::inherit(|| {
                    tracing::info!("validating elsewhere");
                    context::current().fields()
                });
                ("twelve".parse::<u32>().in_context(), job)
            })
        });
        self.system.telemetry().detach("nested_context")?;
        let Err(error) = parsed else { return Err(Failure::new("`twelve` was parsed")) };
        let inherited = self.ask(move |_| job())?;
        let after = |line: &String| {
            line.rsplit_once("validating").map(|(_, rest)| rest.trim_start_matches(" elsewhere").to_owned())
        };
        let logged = self.log.grep("validating").iter().filter_map(after).collect();
        let (event, text) = (events.try_recv()?.context().fields(), error.to_string());
        Ok(Arrived { event, inherited, error: error.context().fields(), text, logged })
    }

    /// Checks whether the indexer sees a span that is open on this thread.
    fn check_span(&self, what: &str, expected: bool) -> Result<(), Failure> {
        let span = self.system.telemetry().enter_span("probe", fields! {});
        let id = span.id();
        let seen = self.ask(move |life| life.system().telemetry().open_spans().iter().any(|open| open.id == id))?;
        check(what, seen == expected, if seen { "seen by the indexer" } else { "not seen by the indexer" })
    }

    fn validate_spans(&self) -> Result<(), Failure> {
        let (telemetry, clock) = (self.system.telemetry(), self.system.clock());
        let events = hear(&self.system, "spans", &[SPAN_START, SPAN_STOP])?;
        let before = clock.now();
        let (seen, inside) = telemetry.span("test_operation", fields! { user_id: 123 }, || {
            let entered = clock.now();
            let seen = self.check_span("another thread sees an open span", true);
            (seen, clock.now() - entered)
        });
        let around = clock.now() - before;
        telemetry.detach("spans")?;
        seen?;
        let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let names: Vec<_> = told.iter().map(|event| event.name).collect();
        let expected = [SPAN_START, SPAN_START, SPAN_STOP, SPAN_STOP];
        check("events tell of start and end, inner and outer", names == expected, format!("{} events", told.len()))?;
        let duration = told[3].measurements.get("duration").and_then(|value| value.as_u64()).unwrap_or(0);
        let found = format!("{}, between {} and {}", nanos(duration), nanos(inside), nanos(around));
        check("the duration is what the work took", 0 < inside && inside <= duration && duration <= around, found)?;
        let (outer, parent) = (told[0].metadata.get("span_id"), told[1].metadata.get("parent_id"));
        check("the inner span is the outer one's child", outer.is_some() && outer == parent, &told[1].metadata)?;
        let none = telemetry.current_span().is_none() && telemetry.spans_open() == 0;
        check("no span is left", none, format!("{} open", telemetry.spans_open()))
    }

    /// On which thread a queued handler gets an event of this thread's.
    fn queued_thread(&self) -> Result<ThreadId, Failure> {
        let threads = Queue::bounded(1, Full::Refuse);
        let heard = threads.clone();
        let handler = move |_: &Event| _ = heard.try_send(thread::id());
        self.system.telemetry().attach_queued("queued_thread", VALIDATION, 8, handler)?;
        self.system.telemetry().emit(VALIDATION, || (fields! {}, fields! {}));
        let thread = threads.recv(self.soon())?;
        self.system.telemetry().detach("queued_thread")?;
        Ok(thread)
    }

    /// Emits three events here and two on the indexer's thread, all under one key; returns how many passed.
    fn emit_five(&self, key: &'static str) -> Result<usize, Failure> {
        let events = hear(&self.system, "emit_five", &[VALIDATION])?;
        let emitter = self.system.telemetry().emitter(VALIDATION);
        let emit = move || emitter.emit_once_per(MINUTE, key, || (fields! { count: 1 }, fields! { dedup_key: key }));
        (0..3).for_each(|_| _ = emit());
        self.ask(move |_| (0..2).for_each(|_| _ = emit()))?;
        self.system.telemetry().detach("emit_five")?;
        Ok(std::iter::from_fn(|| events.try_recv().ok()).count())
    }

    fn figures(&self) -> Result<Figures, Failure> {
        let (lookup, context, events) = (self.lookup_latency()?, self.context_overhead()?, self.event_throughput()?);
        Ok(vec![
            ("registry lookup, p50", nanos(lookup.p50)),
            ("registry lookup, p95", nanos(lookup.p95)),
            ("registry lookup, p99", nanos(lookup.p99)),
            ("context::with, p99", nanos(context.p99)),
            ("events per second", events.to_string()),
            ("threads", self.system.threads().len().to_string()),
            ("names", self.system.registry().len().to_string()),
        ])
    }

    /// On the indexer's thread, which finds its name at any stage.
    fn lookup_latency(&self) -> Result<Quantiles, Failure> {
        self.ask(|life| {
            let (registry, mut found) = (life.system().registry(), 0);
            let took = measure(life.system(), "registry lookup", LOOKUP_TARGET, || {
                found += u64::from(registry.lookup("indexer").is_some());
            });
            check("every lookup finds the name", found == OPERATIONS, format!("{found} of {OPERATIONS}"))?;
            Ok(took)
        })?
    }

    fn context_overhead(&self) -> Result<Quantiles, Failure> {
        let operation = || context::with(fields! { request_id: "test-123" }, || {});
        Ok(measure(&self.system, "context::with", CONTEXT_TARGET, operation))
    }

    fn event_throughput(&self) -> Result<u64, Failure> {
        let heard = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&heard);
        // ordering: Relaxed, a count of this thread's.
        let handler = move |_: &Event| _ = count.fetch_add(1, Ordering::Relaxed);
        self.system.telemetry().attach("event_throughput", VALIDATION, handler)?;
        let (emitter, began) = (self.system.telemetry().emitter(VALIDATION), self.system.clock().now());
        (0..OPERATIONS).for_each(|number| emitter.emit(|| (fields! { number: number }, fields! {})));
        let took = self.system.clock().now() - began;
        self.system.telemetry().detach("event_throughput")?;
        let heard = heard.load(Ordering::Relaxed); // ordering: Relaxed, as above
        check("every event is heard", heard == OPERATIONS, format!("{heard} of {OPERATIONS}"))?;
        let per_second = heard.saturating_mul(1_000_000_000) / took.max(1);
        figure("event throughput", per_second > EVENTS_TARGET, format!("{per_second}/s; target > {EVENTS_TARGET}/s"));
        Ok(per_second)
    }
}

/// Where the fields of a nested context arrived.
struct Arrived {
    event: Fields,
    inherited: Fields,
    error: Fields,
    text: String,
    /// What stands behind the messages of its two records.
    logged: Vec<String>,
}

/// What is emitted under these names from now on, until the handler is detached.
fn hear(system: &System, id: &str, names: &[EventName]) -> Result<Queue<Event>, Failure> {
    let events = Queue::bounded(64, Full::DropOldest);
    let heard = events.clone();
    system.telemetry().attach(id, names, move |event| _ = heard.try_send(event.clone()))?;
    Ok(events)
}

/// The percentiles of what an operation takes, and whether they are within the runbook's target.
fn measure(system: &System, what: &str, target: Duration, mut operation: impl FnMut()) -> Quantiles {
    let took = Distribution::new();
    for _ in 0..OPERATIONS {
        let began = system.clock().now();
        operation();
        took.record(system.clock().now() - began);
    }
    let took = took.quantiles();
    let found = format!("p50 {}, p95 {}, p99 {}", nanos(took.p50), nanos(took.p95), nanos(took.p99));
    figure(what, Duration::from_nanos(took.p99) < target, format!("{found}; target < {target:?}"));
    took
}

fn nanos(nanos: Nanos) -> String {
    format!("{:.1?}", Duration::from_nanos(nanos))
}

/// A validation: whether it holds, and what was found.
fn check(what: &str, holds: bool, found: impl Display) -> Result<(), Failure> {
    say(&format!("  {:<8}{what:<50}{found}", if holds { "ok" } else { "FAILED" }));
    if holds { Ok(()) } else { Err(Failure::new(format!("{what}: {found}"))) }
}

/// A figure beside its target. It depends on the machine, so a miss is shown, and is the operator's to judge.
fn figure(what: &str, met: bool, found: impl Display) {
    say(&format!("  {:<8}{what:<50}{found}", if met { "ok" } else { "MISSED" }));
}

fn heading(text: &str) {
    say(&format!("\n{text}"));
}

fn say(line: &str) {
    // Whoever reads may have gone.
    _ = writeln!(io::stdout(), "{line}");
}
