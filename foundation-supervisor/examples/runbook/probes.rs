//! What the runbook looks at and measures.

use std::{sync::Arc, time::Duration};

use foundation_context::{self as context, Fields, InContext, fields};
use foundation_supervisor::{Failure, System};
use foundation_sync::{
    Full, MINUTE, Queue,
    atomic::{AtomicU64, Ordering},
    thread::{self, ThreadId},
};
use foundation_telemetry::{Distribution, Event, EventName, Quantiles, SPAN_START, SPAN_STOP, event_name};

use crate::{
    page::{check, figure, nanos},
    site::{Site, hear},
};

/// What the runbook emits itself.
const VALIDATION: EventName = event_name!("runbook", "validation");

/// How many operations a figure is made of.
const OPERATIONS: u64 = 5_000;
/// The runbook's targets: a lookup and a context in the 99th percentile, and events per second.
const LOOKUP_TARGET: Duration = Duration::from_millis(5);
const CONTEXT_TARGET: Duration = Duration::from_micros(100);
const EVENTS_TARGET: u64 = 10_000;

/// What is measured, and what it was.
pub(crate) type Figures = Vec<(&'static str, String)>;

impl Site {
    /// The runbook's example, and where its two fields arrive.
    pub(crate) fn nested_context(&self) -> Result<Arrived, Failure> {
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
    pub(crate) fn check_span(&self, what: &str, expected: bool) -> Result<(), Failure> {
        let span = self.system.telemetry().enter_span("probe", fields! {});
        let id = span.id();
        let seen = self.ask(move |life| life.system().telemetry().open_spans().iter().any(|open| open.id == id))?;
        check(what, seen == expected, if seen { "seen by the indexer" } else { "not seen by the indexer" })
    }

    pub(crate) fn validate_spans(&self) -> Result<(), Failure> {
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
    pub(crate) fn queued_thread(&self) -> Result<ThreadId, Failure> {
        let threads = Queue::bounded(1, Full::Refuse);
        let heard = threads.clone();
        let handler = move |_: &Event| _ = heard.try_send(thread::id());
        self.system.telemetry().attach_queued("queued_thread", VALIDATION, 8, handler)?;
        self.system.telemetry().emit(VALIDATION, || (fields! {}, fields! {}));
        let thread = threads.recv(self.soon())?;
        self.system.telemetry().detach("queued_thread")?;
        Ok(thread)
    }

    /// Emits three events here and two on the indexer's thread, all under one new key; returns how many passed.
    pub(crate) fn emit_five(&self) -> Result<usize, Failure> {
        let number = self.keys.fetch_add(1, Ordering::Relaxed); // ordering: Relaxed, a number by itself
        let events = hear(&self.system, "emit_five", &[VALIDATION])?;
        let emitter = self.system.telemetry().emitter(VALIDATION);
        let emit = move || {
            let key = format!("test-{number}");
            emitter.emit_once_per(MINUTE, &key, || (fields! { count: 1 }, fields! { dedup_key: key.clone() }))
        };
        (0..3).for_each(|_| _ = emit());
        self.ask(move |_| (0..2).for_each(|_| _ = emit()))?;
        self.system.telemetry().detach("emit_five")?;
        Ok(std::iter::from_fn(|| events.try_recv().ok()).count())
    }

    pub(crate) fn figures(&self) -> Result<Figures, Failure> {
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
    pub(crate) fn lookup_latency(&self) -> Result<Quantiles, Failure> {
        self.ask(|life| {
            let (registry, mut found) = (life.system().registry(), 0);
            let took = measure(life.system(), "registry lookup", LOOKUP_TARGET, || {
                found += u64::from(registry.lookup("indexer").is_some());
            });
            check("every lookup finds the name", found == OPERATIONS, format!("{found} of {OPERATIONS}"))?;
            Ok(took)
        })?
    }

    pub(crate) fn context_overhead(&self) -> Result<Quantiles, Failure> {
        let operation = || context::with(fields! { request_id: "test-123" }, || {});
        Ok(measure(&self.system, "context::with", CONTEXT_TARGET, operation))
    }

    pub(crate) fn event_throughput(&self) -> Result<u64, Failure> {
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
pub(crate) struct Arrived {
    pub(crate) event: Fields,
    pub(crate) inherited: Fields,
    pub(crate) error: Fields,
    pub(crate) text: String,
    /// What stands behind the messages of its two records.
    pub(crate) logged: Vec<String>,
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
