//! What `tracing` says, where ours is: on the trail of the work, and as the current span.

use std::sync::Arc;

use foundation_context::{Value, current_span, fields};
use foundation_supervisor::{CRASHED, ChildSpec, Foundation, Life, Restart, Strategy, Supervisor};
use foundation_sync::{Mutex, SECOND};
use foundation_telemetry::{Event, Inward, SPAN_START, SPAN_STOP, Selector, TRACING_EVENT, Telemetry};
use foundation_testkit::{TestUniverse, join, spawn};
use tracing::{Dispatch, Level, Metadata, dispatcher};
use tracing_subscriber::{
    filter::{LevelFilter, filter_fn},
    layer::{Context, Layer, SubscriberExt},
};

/// A layer that is connected, and what it brings to.
fn connected() -> (Inward, Telemetry) {
    let (layer, telemetry) = (Inward::new(), Telemetry::new());
    layer.connect(&telemetry).expect("it is not connected yet");
    (layer, telemetry)
}

fn alone(layer: &Inward) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(layer.clone()))
}

/// What is said of each event from now on.
fn noted(telemetry: &Telemetry, events: Selector, say: fn(&Event) -> String) -> Arc<Mutex<Vec<String>>> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&notes);
    telemetry.attach("notes", events, move |event| kept.lock().push(say(event))).expect("the id is free");
    notes
}

fn message(event: &Event) -> String {
    event.metadata.get("message").map(ToString::to_string).unwrap_or_default()
}

/// A span's name, its trace, and its parent's number.
fn descent(event: &Event) -> (String, String, Option<u64>) {
    let text = |name| event.metadata.get(name).map(ToString::to_string).unwrap_or_default();
    (text("span_name"), text("trace_id"), event.metadata.get("parent_id").and_then(Value::as_u64))
}

#[test]
fn a_crash_report_has_what_a_strangers_code_warned_of_before() {
    let layer = Inward::new().once_per(SECOND);
    let t = TestUniverse::of(Foundation::builder().dispatch(alone(&layer)));
    layer.connect(t.telemetry()).expect("it is not connected yet");
    let capture = t.capture_telemetry(CRASHED);
    let body = |_: &Life| {
        tracing::info!("it goes well");
        tracing::warn!(cups = 3, "no milk");
        tracing::warn!(cups = 3, "no milk");
        tracing::error!("no tea");
        panic!("boom")
    };
    let spec = ChildSpec::worker("pours", body).restart(Restart::Temporary);
    t.start(Supervisor::new("kitchen", Strategy::OneForOne).child(spec));
    t.wait_for(|| capture.take().pop());
    let crashes = t.crashes();
    let report = &crashes.groups[0].last;
    let said: Vec<_> = report.breadcrumbs.iter().map(|it| format!("{} ({})", it.what, it.fields)).collect();
    let milk = format!("no milk (cups: 3, level: warn, target: {})", module_path!());
    let tea = format!("no tea (level: error, target: {})", module_path!());
    assert_eq!(said, [milk.clone(), milk, tea], "nobody listens, and the window lets one pass");
}

#[test]
fn a_span_of_tracing_is_the_current_one_while_it_is_entered() {
    let (layer, telemetry) = connected();
    let spans = noted(&telemetry, Selector::exact(TRACING_EVENT), |event| format!("{:?}", event.context().span()));
    dispatcher::with_default(&alone(&layer), || {
        let outer = tracing::info_span!("outer");
        assert_eq!(telemetry.current_span(), None, "it is open, and not entered");
        outer.in_scope(|| {
            let current = telemetry.current_span().expect("it is entered");
            assert_eq!(current.name, "outer");
            tracing::info!("inside");
            let ours = telemetry.enter_span("ours", fields! {});
            let of_ours = telemetry.current_span().expect("it is entered");
            assert_eq!(of_ours.parent, Some(current.id.number()));
            let inner = tracing::info_span!("inner").entered();
            assert_eq!(telemetry.current_span().map(|span| span.parent), Some(Some(ours.id().number())));
            let root = tracing::info_span!(parent: None, "root").entered();
            assert_eq!(telemetry.current_span().map(|span| (span.name, span.parent)), Some(("root", None)));
            let named = tracing::info_span!(parent: &outer, "named").entered();
            assert_eq!(telemetry.current_span().map(|span| span.parent), Some(Some(current.id.number())));
            drop((named, root, inner, ours));
            assert_eq!(*spans.lock(), [format!("{:?}", Some(current.link()))]);
        });
        assert_eq!(telemetry.current_span(), None);
    });
    assert_eq!(telemetry.spans_open(), 0);
}

#[test]
fn guards_of_tracing_may_be_dropped_in_any_order_and_one_span_entered_more_than_once() {
    let (layer, telemetry) = connected();
    let name = || telemetry.current_span().map(|span| span.name);
    dispatcher::with_default(&alone(&layer), || {
        let (a, b) = (tracing::info_span!("a"), tracing::info_span!("b"));
        let first = a.clone().entered();
        let second = b.clone().entered();
        let ours = telemetry.enter_span("ours", fields! {});
        let again = a.clone().entered();
        assert_eq!(name(), Some("a"));
        drop(second);
        assert_eq!(name(), Some("a"));
        drop(again);
        assert_eq!(name(), Some("ours"), "what was entered last is left first");
        drop(ours);
        assert_eq!(name(), Some("a"));
        drop(first);
        assert_eq!(name(), None);
        std::mem::forget(b.enter());
        assert_eq!(name(), Some("b"));
        drop(b);
        assert_eq!((name(), current_span()), (None, None), "a guard that was forgotten goes with its span");
    });
}

#[test]
fn a_span_that_is_entered_on_another_thread_is_that_threads_current_one() {
    let (layer, telemetry) = connected();
    let dispatch = alone(&layer);
    dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!("shared");
        let here = span.enter();
        let link = current_span().expect("it is entered");
        let (there, dispatch, other) = (span.clone(), dispatch.clone(), telemetry.clone());
        join(spawn(move || {
            dispatcher::with_default(&dispatch, || {
                assert_eq!(current_span(), None);
                there.in_scope(|| {
                    assert_eq!(current_span(), Some(link));
                    other.span("ours", fields! {}, || {
                        assert_eq!(other.current_span().and_then(|span| span.parent), Some(link.span));
                    });
                });
                assert_eq!(current_span(), None);
            });
        }));
        assert_eq!(current_span(), Some(link));
        drop(here);
        assert_eq!(current_span(), None);
    });
}

/// Counts what it is told.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<usize>>);

impl<S: tracing::Subscriber> Layer<S> for Counts {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        *self.0.lock() += 1;
    }
}

/// The filter of one layer hides events and spans from it, and from no other.
#[test]
fn of_what_a_filter_lets_through_to_it_each_event_comes_once_whatever_other_layers_hear() {
    let (layer, telemetry) = connected();
    let (before, after, all) = (Counts::default(), Counts::default(), Counts::default());
    let open = |metadata: &Metadata<'_>| *metadata.level() <= Level::WARN || metadata.name() == "seen";
    let subscriber = tracing_subscriber::registry()
        .with(before.clone().with_filter(LevelFilter::ERROR))
        .with(layer.with_filter(filter_fn(open)))
        .with(after.clone().with_filter(LevelFilter::INFO))
        .with(all.clone());
    let said = noted(&telemetry, Selector::exact(TRACING_EVENT), message);
    dispatcher::with_default(&Dispatch::new(subscriber), || {
        let _seen = tracing::info_span!("seen").entered();
        let seen = telemetry.current_span().expect("it is let through");
        let _hidden = tracing::info_span!("hidden").entered();
        assert_eq!(telemetry.current_span().map(|span| span.id), Some(seen.id));
        let inner = tracing::warn_span!("inner").entered();
        assert_eq!(
            telemetry.current_span().map(|span| (span.name, span.parent)),
            Some(("inner", Some(seen.id.number())))
        );
        drop(inner);
        tracing::info!("info");
        tracing::warn!("warn");
        tracing::error!("error");
        tracing::debug!("debug");
    });
    assert_eq!(*said.lock(), ["warn", "error"]);
    let heard = [before, after, all].map(|counts| *counts.0.lock());
    assert_eq!((heard, telemetry.spans_opened(), telemetry.spans_open()), ([1, 3, 4], 2, 0));
}

#[test]
fn two_layers_of_one_subscriber_bring_the_same_to_two_universes() {
    let [(one, first), (other, second)] = [connected(), connected()];
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(one).with(other));
    let both = [&first, &second].map(|telemetry| {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&spans);
        let note = move |event: &Event| notes.lock().push(descent(event));
        telemetry.attach("spans", [SPAN_START, SPAN_STOP], note).expect("the id is free");
        (spans, noted(telemetry, Selector::exact(TRACING_EVENT), message))
    });
    dispatcher::with_default(&dispatch, || {
        let _outer = tracing::info_span!("outer").entered();
        let _inner = tracing::info_span!("inner").entered();
        tracing::info!("hello");
    });
    for (spans, said) in &both {
        assert_eq!(*said.lock(), ["hello"]);
        let spans = spans.lock();
        let names: Vec<_> = spans.iter().map(|(name, ..)| &**name).collect();
        assert_eq!(names, ["outer", "inner", "inner", "outer"]);
        assert_eq!(
            (&spans[0].1, spans[0].2, spans[1].2.is_some()),
            (&spans[1].1, None, true),
            "each has its own parent"
        );
    }
    assert_eq!((first.spans_open(), second.spans_open(), current_span()), (0, 0, None));
}
