//! What telemetry promises, after BEAM's.

use std::sync::Arc;

use foundation_context::{Value, fields, with};
use foundation_sync::Mutex;
use foundation_telemetry::{EventName, HANDLER_FAILURE, Telemetry, event_name};
use foundation_testkit::TestUniverse;

const BOUGHT: EventName = event_name!("shop", "item", "bought");
const SOLD: EventName = event_name!("shop", "item", "sold");

type Seen = Arc<Mutex<Vec<String>>>;

fn note(telemetry: &Telemetry, id: &str, events: &[EventName]) -> Seen {
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let handler = move |event: &foundation_telemetry::Event| {
        let line = format!("{} {:?} {:?}", event.name, event.measurements, event.metadata);
        notes.lock().push(line);
    };
    telemetry.attach(id, events, handler).expect("the id is free");
    seen
}

#[test]
fn a_handler_hears_the_events_of_its_names_and_no_others() {
    let telemetry = Telemetry::new();
    let seen = note(&telemetry, "a", &[BOUGHT]);
    telemetry.emit(BOUGHT, || (fields! { count: 1 }, fields! { item: "tea" }));
    telemetry.emit(SOLD, || (fields! {}, fields! {}));
    assert_eq!(*seen.lock(), ["[shop, item, bought] {count: 1} {item: tea}"]);
}

#[test]
fn nothing_is_built_when_nobody_listens() {
    let telemetry = Telemetry::new();
    let emitter = telemetry.emitter(BOUGHT);
    assert!(!emitter.heard());
    emitter.emit(|| panic!("built for nobody"));
    let seen = note(&telemetry, "a", &[BOUGHT]);
    assert!(emitter.heard(), "an emitter that was resolved before hears of it");
    emitter.emit(|| (fields! {}, fields! {}));
    telemetry.detach("a").expect("it is attached");
    emitter.emit(|| panic!("built for nobody"));
    assert_eq!(seen.lock().len(), 1);
}

#[test]
fn an_id_is_used_once_and_an_unknown_one_is_an_error() {
    let telemetry = Telemetry::new();
    let seen = note(&telemetry, "a", &[BOUGHT]);
    let refused = telemetry.attach("a", SOLD, |_| {}).expect_err("the id is taken");
    assert_eq!(refused.to_string(), "a handler `a` is attached already: detach it first, or choose another id");
    telemetry.emit(SOLD, || panic!("the refused one was not attached"));
    assert_eq!(telemetry.detach("b").expect_err("unknown").to_string(), "no handler `b` is attached");
    assert_eq!(telemetry.list().len(), 1);
    assert!(seen.lock().is_empty());
}

#[test]
fn a_handler_that_panics_is_detached_from_all_its_events_and_the_rest_still_run() {
    let t = TestUniverse::new();
    let telemetry = t.telemetry().clone();
    telemetry.attach("bad", [BOUGHT, SOLD], |_| std::panic::resume_unwind(Box::new("no tea"))).expect("the id is free");
    let capture = t.capture_telemetry(BOUGHT);
    let failure = t.assert_telemetry_event(
        &["telemetry", "handler", "failure"],
        fields! { handler_id: "bad".to_owned() },
        || {
            telemetry.emit(BOUGHT, || (fields! {}, fields! {}));
        },
    );
    assert_eq!(failure.name, HANDLER_FAILURE);
    assert_eq!(failure.metadata.get("reason").and_then(Value::as_str), Some("no tea"));
    assert_eq!(capture.take().len(), 1, "the other handler ran");
    assert!(telemetry.list().iter().all(|handler| &*handler.id != "bad"));
    assert_eq!(telemetry.failures(), 1);
    assert!(telemetry.forget("bad"), "it is kept for whoever attaches it again");
}

#[test]
fn attaching_detaching_and_emitting_inside_a_handler_work() {
    let telemetry = Telemetry::new();
    let seen = note(&telemetry, "sold", &[SOLD]);
    let inner = telemetry.clone();
    telemetry
        .attach("once", BOUGHT, move |_| {
            inner.detach("once").expect("it is attached");
            inner.attach("again", BOUGHT, |_| {}).expect("the id is free");
            inner.emit(SOLD, || (fields! {}, fields! {}));
        })
        .expect("the id is free");
    telemetry.emit(BOUGHT, || (fields! {}, fields! {}));
    telemetry.emit(BOUGHT, || (fields! {}, fields! {}));
    assert_eq!(seen.lock().len(), 1);
    assert_eq!(telemetry.list().iter().map(|handler| &*handler.id).collect::<Vec<_>>(), ["again", "sold"]);
}

#[test]
fn an_event_carries_the_context_of_whoever_emits_it() {
    let t = TestUniverse::new();
    let capture = t.capture_telemetry(BOUGHT);
    with(fields! { request: 7 }, || t.telemetry().emit(BOUGHT, || (fields! {}, fields! {})));
    assert_eq!(capture.take()[0].context().fields(), fields! { request: 7 });
}

#[test]
fn a_handler_that_names_an_event_twice_hears_it_once() {
    let telemetry = Telemetry::new();
    let seen = note(&telemetry, "a", &[BOUGHT, BOUGHT]);
    telemetry.emit(BOUGHT, || (fields! {}, fields! {}));
    assert_eq!(seen.lock().len(), 1);
}
