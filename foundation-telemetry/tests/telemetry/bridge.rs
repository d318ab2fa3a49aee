//! Code that knows only `tracing`, heard; and `tracing`, told.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use foundation_context::{Value, fields};
use foundation_supervisor::{ChildSpec, Foundation, Strategy, Supervisor};
use foundation_sync::{Full, Mutex, Queue, SECOND, SECONDS_5, thread};
use foundation_telemetry::{
    BRIDGE_TARGET, Batching, ConnectError, Event, EventName, Inward, Outward, SPAN_START, SPAN_STOP, Selector, SpanId,
    Status, TRACING_EVENT, Telemetry, event_name,
};
use foundation_testkit::TestUniverse;
use tracing::{Dispatch, dispatcher, field::Visit, span, subscriber::Interest};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
};

const SOLD: EventName = event_name!("shop", "item", "sold");

/// A crate of somebody else's, which has never heard of us.
mod stranger {
    pub(super) fn pours(cups: u64) {
        let _span = tracing::info_span!("pour", cups).entered();
        tracing::warn!(cups, strong = true, what = "tea", "it is {}", "hot");
    }

    pub(super) fn nests() {
        let outer = tracing::info_span!("outer");
        let _outer = outer.enter();
        let _inner = tracing::info_span!("inner").entered();
    }
}

fn inward(layer: &Inward) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(layer.clone()))
}

fn universe(layer: &Inward) -> TestUniverse {
    let t = TestUniverse::of(Foundation::builder().dispatch(inward(layer)));
    layer.connect(t.telemetry()).expect("it is not connected yet");
    t
}

#[test]
fn what_a_strangers_code_says_on_a_universes_thread_is_an_event_of_that_universe() {
    let layer = Inward::new();
    let t = universe(&layer);
    assert_eq!(layer.connect(t.telemetry()), Err(ConnectError));
    let orders = Queue::<u64>::bounded(4, Full::Wait);
    let takes = orders.clone();
    let body = move |life: &foundation_supervisor::Life| {
        while let Some(cups) = life.next(&takes)? {
            stranger::pours(cups);
        }
        Ok(())
    };
    let spans = t.capture_telemetry([SPAN_START, SPAN_STOP]);
    t.start(Supervisor::new("kitchen", Strategy::OneForOne).child(ChildSpec::worker("pours", body)));
    let expected =
        fields! { cups: 7_u64, strong: true, what: "tea".to_owned(), level: "warn", message: "it is hot".to_owned() };
    let event = t.assert_telemetry_event(&["tracing", "event"], expected, || orders.send(7, t.patience()));
    assert!(event.context().incarnation().is_some(), "it says who said it");
    t.wait_for(|| spans.events().len() == 2);
    let names: Vec<_> = spans.take().iter().map(|event| event.metadata.get("span_name").cloned()).collect();
    assert_eq!(names, [Some("pour".into()), Some("pour".into())]);
}

#[test]
fn threads_that_are_not_the_universes_are_not_heard() {
    let layer = Inward::new();
    let t = universe(&layer);
    t.refute_telemetry_event(&["tracing", "event"], fields! {}, || {
        let stranger = thread::Builder::new("stranger").spawn(|| stranger::pours(1)).expect("a thread");
        stranger.join().expect("it does not panic");
    });
}

#[test]
fn spans_of_a_strangers_code_have_the_parents_that_they_have_there() {
    let layer = Inward::new();
    let t = universe(&layer);
    let starts = t.capture_telemetry(SPAN_START);
    t.enter(stranger::nests);
    let seen: Vec<_> = starts.take().into_iter().map(|event| event.metadata).collect();
    assert_eq!(seen[1].get("parent_id"), seen[0].get("span_id"));
    assert_eq!((seen[1].get("trace_id"), seen[0].get("parent_id")), (seen[0].get("trace_id"), None));
    assert_eq!((t.telemetry().spans_opened(), t.telemetry().spans_open()), (2, 0));
}

#[test]
fn of_what_a_strangers_code_says_again_and_again_one_passes_in_each_window() {
    let layer = Inward::new().once_per(SECOND);
    let t = TestUniverse::of(Foundation::builder().dispatch(inward(&layer)));
    layer.connect(t.telemetry()).expect("it is not connected yet");
    let capture = t.capture_telemetry(TRACING_EVENT);
    let tired = || (0..50).for_each(|cup| tracing::warn!(cup, "no tea"));
    let other = |number| {
        let system = foundation_supervisor::System::clone(&t);
        t.spawn(&format!("tired {number}"), move || system.enter(tired))
    };
    let others: Vec<_> = (0..4).map(other).collect();
    others.into_iter().for_each(|other| other.join());
    t.enter(|| tracing::warn!("no milk"));
    let messages: Vec<_> = capture.take().iter().map(|event| event.metadata.get("message").cloned()).collect();
    assert_eq!(messages, [Some("no tea".to_owned().into()), Some("no milk".to_owned().into())]);
    assert_eq!(t.telemetry().suppressed(), 199);
}

#[test]
fn what_comes_before_it_is_connected_and_what_panics_when_it_is_shown_is_counted_or_said() {
    struct Bad;

    impl fmt::Debug for Bad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::panic::resume_unwind(Box::new(()))
        }
    }

    let layer = Inward::new();
    let (dispatch, telemetry) = (inward(&layer), Telemetry::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let note = move |event: &foundation_telemetry::Event| notes.lock().push(event.metadata.to_string());
    telemetry.attach("a", TRACING_EVENT, note).expect("the id is free");
    dispatcher::with_default(&dispatch, || {
        tracing::info!("too early");
        layer.connect(&telemetry).expect("it is not connected yet");
        tracing::info!(bad = ?Bad, "now");
    });
    assert_eq!((layer.unconnected(), seen.lock().len()), (1, 1));
    assert!(seen.lock()[0].starts_with("bad:  (it panicked while it was shown)"), "{:?}", seen.lock());
}

/// What a subscriber was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Told {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().push(format!("{}{}", event.metadata().target(), line.0));
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut line = Line::default();
        attributes.record(&mut line);
        let depth = context.span_scope(id).map_or(0, Iterator::count);
        self.0.lock().push(format!("open {depth}{}", line.0));
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        values.record(&mut line);
        self.0.lock().push(format!("record{}", line.0));
    }

    fn on_close(&self, _: span::Id, _: Context<'_, S>) {
        self.0.lock().push("close".to_owned());
    }
}

#[test]
fn our_events_and_spans_are_told_to_tracing() {
    let (told, dispatch) = told();
    let telemetry = Telemetry::new();
    Outward::new().attach(&telemetry, "out", Selector::all()).expect("the id is free");
    dispatcher::with_default(&dispatch, || {
        telemetry.emit(SOLD, || (fields! { count: 1 }, fields! { item: "tea" }));
        let outer = telemetry.enter_span("outer", fields! { shop: "Leith" });
        let inner = telemetry.open_span("inner", fields! {});
        telemetry.close_span(inner, Status::Error("cold".into())).expect("it is open");
        drop(outer);
    });
    let told = told.0.lock();
    assert_eq!(told[0], format!("{BRIDGE_TARGET} event=[shop, item, sold] measurements=count: 1 metadata=item: tea"));
    assert!(told[1].starts_with("open 1 name=\"outer\"") && told[1].contains("shop: Leith"), "{told:#?}");
    assert!(told[2].starts_with("open 2 name=\"inner\""), "its parent is the outer one: {told:#?}");
    assert_eq!(told[3..6], ["record status=error", "record reason=cold", &*told[5]]);
    assert!(told[5].starts_with("record duration=") && told[6] == "close", "{told:#?}");
    assert_eq!(told.len(), 10);
}

fn told() -> (Told, Dispatch) {
    let told = Told::default();
    (told.clone(), Dispatch::new(tracing_subscriber::registry().with(told)))
}

#[test]
fn a_span_is_told_to_whom_its_parent_was_told_whoever_is_the_default_then() {
    let ((first, one), (second, two)) = (told(), told());
    let telemetry = Telemetry::new();
    Outward::new().attach(&telemetry, "out", [SPAN_START, SPAN_STOP]).expect("the id is free");
    let outer = dispatcher::with_default(&one, || telemetry.enter_span("outer", fields! {}));
    dispatcher::with_default(&two, || telemetry.span("inner", fields! {}, || {}));
    drop(outer);
    dispatcher::with_default(&two, || telemetry.span("other", fields! {}, || {}));
    let (first, second) = (first.0.lock(), second.0.lock());
    assert!(
        first[0].starts_with("open 1 name=\"outer\"") && first[1].starts_with("open 2 name=\"inner\""),
        "{first:#?}"
    );
    assert_eq!(first.iter().filter(|line| *line == "close").count(), 2, "{first:#?}");
    assert!(second[0].starts_with("open 1 name=\"other\"") && second.last().is_some_and(|line| line == "close"));
    assert_eq!((telemetry.failures(), second.iter().filter(|line| line.starts_with("open")).count()), (0, 1));
}

#[test]
fn a_span_whose_parent_was_told_to_nobody_is_a_root_for_whoever_listens() {
    let (told, listens) = told();
    let telemetry = Telemetry::new();
    Outward::new().attach(&telemetry, "out", [SPAN_START, SPAN_STOP]).expect("the id is free");
    let outer = dispatcher::with_default(&Dispatch::none(), || telemetry.enter_span("outer", fields! {}));
    dispatcher::with_default(&listens, || telemetry.span("inner", fields! {}, || {}));
    drop(outer);
    let told = told.0.lock();
    assert!(told.first().is_some_and(|line| line.starts_with("open 1 name=\"inner\"")), "{told:#?}");
    assert_eq!(telemetry.failures(), 0);
}

/// As soon as a subscriber is asked about the second span, it closes the first one.
#[test]
fn a_span_that_is_closed_while_its_child_is_told_is_its_parent_nevertheless() {
    struct Closes(Telemetry, Arc<Mutex<Option<SpanId>>>);

    impl<S: tracing::Subscriber> Layer<S> for Closes {
        fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
            Interest::sometimes()
        }

        fn enabled(&self, _: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
            let parent = self.1.lock().take();
            parent.into_iter().for_each(|parent| self.0.close_span(parent, Status::Ok).expect("it is open"));
            true
        }
    }

    let (told, telemetry, closes) = (Told::default(), Telemetry::new(), Arc::default());
    let layer = Closes(telemetry.clone(), Arc::clone(&closes));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(told.clone()).with(layer));
    Outward::new().attach(&telemetry, "out", [SPAN_START, SPAN_STOP]).expect("the id is free");
    dispatcher::with_default(&dispatch, || {
        let outer = telemetry.enter_span("outer", fields! {});
        *closes.lock() = Some(outer.id());
        telemetry.span("inner", fields! {}, || {});
    });
    let told = told.0.lock();
    let at = |what: &str| told.iter().position(|line| line.starts_with(what));
    let (stopped, inner) = (at("record status=ok"), at("open 2 name=\"inner\""));
    assert!(stopped.is_some() && stopped < inner, "{told:#?}");
    assert_eq!((telemetry.failures(), told.iter().filter(|line| *line == "close").count()), (0, 2), "{told:#?}");
}

/// Both bridges, a handler that logs what it hears, and everything selected: nothing goes round.
#[test]
fn what_went_out_does_not_come_in_and_what_came_in_does_not_go_out() {
    let (layer, told) = (Inward::new(), Told::default());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer.clone()).with(told.clone()));
    let telemetry = Telemetry::new();
    layer.connect(&telemetry).expect("it is not connected yet");
    Outward::new().attach(&telemetry, "out", Selector::all()).expect("the id is free");
    telemetry.attach("logs", Selector::all(), |event| tracing::info!("heard {}", event.name)).expect("the id is free");
    dispatcher::with_default(&dispatch, || {
        telemetry.emit(SOLD, || (fields! {}, fields! {}));
        stranger::pours(1);
    });
    let told = told.0.lock();
    let of = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert_eq!((of("event=[shop, item, sold]"), of("it is hot"), of("open")), (1, 1, 1), "{told:#?}");
    assert_eq!(of("event=[tracing"), 0, "{told:#?}");
    assert!(told.len() < 30, "{told:#?}");
}

#[test]
fn what_a_queued_handler_or_a_batch_logs_of_a_log_does_not_go_round() {
    let layer = Inward::new();
    let t = universe(&layer);
    let ship = |_: &Event| tracing::info!("sent");
    t.telemetry().attach_queued("ship", TRACING_EVENT, 100, ship).expect("the id is free");
    let batch = t.telemetry().batch("logs", Batching::of(1), |_: Vec<String>| tracing::info!("written"));
    let lines = batch.clone();
    let collect = move |event: &Event| lines.add(event.metadata.to_string()).expect("there is room");
    t.telemetry().attach("collect", TRACING_EVENT, collect).expect("the id is free");
    t.enter(|| {
        tracing::info!("once");
        t.telemetry().flush(t.patience()).expect("it comes to an end");
    });
    assert_eq!((layer.nested(), batch.figures().delivered), (2, 1));
    ["ship", "collect"].into_iter().for_each(|id| t.telemetry().detach(id).expect("it is attached"));
    drop(batch);
}

#[test]
fn a_universe_with_a_layer_that_is_connected_to_it_ends_as_any_other() {
    let layer = Inward::new();
    let dispatch = inward(&layer);
    let foundation = Foundation::builder().dispatch(dispatch.clone()).start();
    layer.connect(foundation.telemetry()).expect("it is not connected yet");
    let probe = Arc::new(());
    let held = Arc::clone(&probe);
    foundation.telemetry().attach_queued("holds", TRACING_EVENT, 1, move |_| _ = &held).expect("the id is free");
    foundation.enter(|| tracing::info!("once"));
    assert!(foundation.stop(SECONDS_5).is_clean());
    assert_eq!(Arc::strong_count(&probe), 1, "the handler's closure was dropped");
    dispatcher::with_default(&dispatch, || tracing::info!("too late"));
    assert_eq!(layer.unconnected(), 1);
}

#[test]
fn what_is_recorded_of_a_span_later_is_there_when_it_ends_and_a_panic_ends_it_as_an_error() {
    let layer = Inward::new();
    let t = universe(&layer);
    let seen = t.capture_telemetry(SPAN_STOP);
    t.enter(|| {
        let span = tracing::info_span!("work", user = tracing::field::Empty);
        span.record("user", 7_u64);
        drop(span);
        let panics = || tracing::info_span!("dies").in_scope(|| resume_unwind(Box::new("no")));
        _ = catch_unwind(AssertUnwindSafe(panics)).map(|()| panic!("it has panicked"));
    });
    let stops = seen.take();
    assert_eq!(stops[0].metadata.get("user"), Some(&Value::from(7)));
    assert_eq!(stops[0].metadata.get("status"), Some(&Value::from("ok")));
    assert_eq!(stops[1].metadata.get("reason"), Some(&Value::from("it panicked")));
}
