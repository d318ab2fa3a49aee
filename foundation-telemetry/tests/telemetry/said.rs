//! What is said about spans: attributes, events, links, errors; and who is whose parent.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use foundation_context::{Context, Field, Fields, Incarnation, SpanLink, TraceId, Value, current, fields, inherit};
use foundation_sync::{Mutex, SECOND, VirtualTime, thread};
use foundation_telemetry::{
    Event, MOST_ATTRIBUTES, MOST_OPEN, NotOpenError, SPAN_ATTRIBUTES, SPAN_EVENT, SPAN_LINK, SPAN_REFUSED, SPAN_START,
    SPAN_STOP, Status, Telemetry,
};
use foundation_testkit::{TestUniverse, deep};

const ELSEWHERE: SpanLink = SpanLink { trace: TraceId(0xfeed), span: 77 };

fn only(events: Vec<Event>) -> Event {
    let [event] = <[Event; 1]>::try_from(events).expect("one event");
    event
}

fn says(event: &Event, expected: Fields) {
    assert!(event.metadata.contains(&expected), "{:?} does not say {expected:?}", event.metadata);
}

#[test]
fn attributes_are_said_at_once_and_when_the_span_stops() {
    let t = TestUniverse::new();
    let seen = t.capture_telemetry([SPAN_ATTRIBUTES, SPAN_STOP]);
    let telemetry = t.telemetry();
    let guard = telemetry.enter_span("order", fields! { user: 1, kind: "tea" });
    guard.set(fields! { items: 3, kind: "coffee" }).expect("it is open");
    let ids = fields! { span_id: guard.id().number(), span_name: "order", trace_id: guard.link().trace };
    let event = only(seen.take());
    says(&event, fields! { items: 3, kind: "coffee" });
    says(&event, ids.clone());
    assert_eq!(event.metadata.get("user"), None, "only what is new");
    telemetry.add_attributes(guard.id(), fields! { paid: true }).expect("it is open");
    seen.take();
    drop(guard);
    let stop = only(seen.take());
    says(&stop, fields! { user: 1, kind: "coffee", items: 3, paid: true, status: "ok" });
    says(&stop, ids);
    assert_eq!(stop.metadata.iter().filter(|(name, _)| *name == "kind").count(), 1);
}

#[test]
fn events_and_links_of_a_span_say_which_span() {
    let t = TestUniverse::new();
    let seen = t.capture_telemetry([SPAN_EVENT, SPAN_LINK]);
    let telemetry = t.telemetry();
    let guard = telemetry.enter_span("order", fields! { user: 1 });
    guard.event("paid", fields! { pence: 250 }).expect("it is open");
    guard.link_to(ELSEWHERE, fields! { why: "batch" }).expect("it is open");
    let events = seen.take();
    let which = || fields! { span_id: guard.id().number(), span_name: "order", trace_id: guard.link().trace };
    events.iter().for_each(|event| says(event, which()));
    says(&events[0], fields! { event_name: "paid", pence: 250 });
    says(&events[1], fields! { linked_span_id: 77_u64, linked_trace_id: ELSEWHERE.trace, why: "batch" });
    assert_eq!(events.len(), 2);
}

#[test]
fn nothing_is_said_about_a_span_that_is_not_open() {
    let t = TestUniverse::new();
    let telemetry = t.telemetry();
    let seen = t.capture_telemetry([SPAN_ATTRIBUTES, SPAN_EVENT, SPAN_LINK]);
    let guard = telemetry.enter_span("order", fields! {});
    let id = guard.id();
    telemetry.close_span(id, Status::Ok).expect("it is open");
    let refused = Err(NotOpenError(id));
    assert_eq!(
        [guard.set(fields! { a: 1 }), guard.event("e", fields! {}), guard.link_to(ELSEWHERE, fields! {})],
        [refused; 3]
    );
    drop(guard);
    let by_id = [
        telemetry.add_attributes(id, fields! { a: 1 }),
        telemetry.span_event(id, "e", fields! {}),
        telemetry.link_span(id, ELSEWHERE, fields! {}),
        telemetry.close_span(id, Status::Ok),
    ];
    assert_eq!(by_id, [refused; 4]);
    assert!(seen.take().is_empty());
}

#[test]
fn a_span_has_so_many_attributes_and_no_more_and_the_rest_is_counted() {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let t = TestUniverse::new();
    let telemetry = t.telemetry();
    let seen = t.capture_telemetry(SPAN_STOP);
    // Names that are known when compiled: the prefixes of a long one.
    let long: &str = "x".repeat(200).leak();
    let many = (1..=MOST_ATTRIBUTES + 6).map(|length| (&long[..length], Value::from(length)));
    let guard = telemetry.enter_span("many", many.collect::<Fields>());
    assert_eq!(telemetry.attributes_cut(), 6);
    guard.set(NAMES.map(|name| -> Field { (name, Value::from(1)) }).into()).expect("it is open");
    guard.set(fields! { x: "again" }).expect("it is open");
    drop(guard);
    let stop = only(seen.take());
    assert_eq!((telemetry.attributes_cut(), stop.metadata.get("a"), stop.metadata.get("h")), (14, None, None));
    says(&stop, fields! { x: "again" });
}

#[test]
fn a_span_of_work_that_fails_is_an_error_with_the_errors_text() {
    struct Loud;

    impl fmt::Display for Loud {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            resume_unwind(Box::new(()))
        }
    }

    fn parse(telemetry: &Telemetry, text: &str) -> Result<u32, std::num::ParseIntError> {
        telemetry.try_span("parse", fields! {}, || {
            let number = text.parse::<u32>()?;
            Ok(number + 1)
        })
    }

    let t = TestUniverse::new();
    let telemetry = t.telemetry();
    assert!(parse(telemetry, "unheard").is_err());
    let seen = t.capture_telemetry(SPAN_STOP);
    assert_eq!(parse(telemetry, "7"), Ok(8));
    says(&only(seen.take()), fields! { status: "ok" });
    assert!(parse(telemetry, "seven").is_err());
    says(&only(seen.take()), fields! { status: "error", reason: "invalid digit found in string".to_owned() });
    assert!(telemetry.try_span("loud", fields! {}, || Err::<(), _>(Loud)).is_err());
    says(&only(seen.take()), fields! { reason: "its error panicked when it was asked for its text" });
    let panics = || telemetry.try_span("panics", fields! {}, || -> Result<(), Loud> { resume_unwind(Box::new(7)) });
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    says(&only(seen.take()), fields! { status: "error", reason: "it panicked" });
    assert_eq!((telemetry.spans_open(), telemetry.current_link()), (0, None));
}

#[test]
fn the_current_span_is_what_is_open_and_its_trace_is_inherited() {
    let telemetry = Telemetry::new();
    assert_eq!((telemetry.current_span(), telemetry.current_trace()), (None, None));
    let outer = telemetry.enter_span("outer", fields! {});
    let inner = telemetry.enter_span("inner", fields! {});
    let now = telemetry.current_span().expect("it is open");
    assert_eq!((now.id, now.name, now.link()), (inner.id(), "inner", inner.link()));
    assert_eq!((now.parent, Some(now.trace)), (Some(outer.id().number()), telemetry.current_trace()));
    assert_eq!(Telemetry::new().current_span(), None, "it is not open in another universe");
    telemetry.close_span(inner.id(), Status::Ok).expect("it is open");
    assert_eq!((telemetry.current_span(), telemetry.current_link()), (None, Some(inner.link())));
}

#[test]
fn a_link_that_was_passed_on_is_a_parent_for_a_while_and_closes_nothing() {
    let t = TestUniverse::new();
    let seen = t.capture_telemetry([SPAN_START, SPAN_STOP]);
    let telemetry = t.telemetry().clone();
    let own = telemetry.clone();
    let outer = telemetry.enter_span("outer", fields! {});
    let link = telemetry.current_link().expect("it is current");
    let body = move || {
        let mine = own.enter_span("mine", fields! {});
        let panics = || {
            own.under(link, || {
                own.span("child", fields! {}, || assert_eq!(own.current_trace(), Some(link.trace)));
                let left = own.enter_span("dropped later", fields! {});
                assert_eq!(own.current_link(), Some(left.link()));
                drop(left);
                resume_unwind(Box::new(()));
            });
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(own.current_link(), Some(mine.link()), "what was there before is put back");
    };
    thread::Builder::new("pooled").spawn(body).expect("a thread").join().expect("it does not panic");
    assert_eq!(telemetry.spans_open(), 1, "the outer one is open still");
    drop(outer);
    let stops: Vec<_> = seen.take().into_iter().filter(|event| event.name == SPAN_STOP).collect();
    let children = stops.iter().filter(|event| event.metadata.get("parent_id") == Some(&Value::U64(link.span)));
    assert_eq!((stops.len(), children.count()), (4, 2), "each stops once");
}

#[test]
fn a_context_that_was_brought_along_cannot_close_its_span() {
    let telemetry = Telemetry::new();
    let outer = telemetry.enter_span("outer", fields! {});
    let own = telemetry.clone();
    let job = inherit(move || own.span("inner", fields! {}, || ()));
    thread::Builder::new("pooled").spawn(job).expect("a thread").join().expect("it does not panic");
    assert_eq!((telemetry.spans_open(), telemetry.spans_closed(), current().span()), (1, 1, Some(outer.link())));
}

#[test]
fn a_hundred_thousand_spans_are_open_at_once_and_each_can_be_closed() {
    let count = if deep() { 4 * MOST_OPEN } else { 100_000 };
    let telemetry = Telemetry::new();
    // As many lives, so that more are open than one may have.
    let ids: Vec<_> = (0..count)
        .map(|at| {
            let who = Incarnation { id: at as u64 % 8, generation: 1 };
            Context::of(who, Fields::new()).enter(|| telemetry.open_span("many", fields! { at: at }))
        })
        .collect();
    assert_eq!((telemetry.spans_open(), telemetry.open_spans().len()), (count, count));
    assert!(ids.into_iter().rev().all(|id| telemetry.close_span(id, Status::Ok).is_ok()));
    assert_eq!((telemetry.spans_open(), telemetry.spans_closed()), (0, count as u64));
}

#[test]
fn spans_that_find_no_place_are_told_of_once_in_a_second() {
    let time = VirtualTime::new();
    let telemetry = Telemetry::builder().clock(&time.clock()).build();
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let note = move |event: &Event| notes.lock().push((event.measurements.clone(), event.metadata.clone()));
    telemetry.attach("a", [SPAN_REFUSED], note).expect("the id is free");
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.extend((ids.len()..MOST_OPEN + 3).map(|_| telemetry.open_span("many", fields! {})));
        time.advance(SECOND).expect("nothing to do");
        ids.truncate(MOST_OPEN);
    }
    let counts = [1, 4].map(|count: u64| (fields! { count: count }, fields! { span_name: "many" }));
    assert_eq!((telemetry.spans_refused(), told.lock().as_slice()), (6, &counts[..]));
    assert!(ids.into_iter().all(|id| telemetry.close_span(id, Status::Ok).is_ok()));
}
