//! What a context promises.

use std::{panic::catch_unwind, sync::Arc};

use foundation_context::{
    Context, Contexts, Incarnation, Secret, SpanLink, TraceId, Value, correlate, current, current_span, fields,
    inherit, span, with,
};
use foundation_sync::{legacy::Mode, thread};

use crate::{elsewhere, text};

#[test]
fn fields_are_added_for_the_time_of_a_call() {
    with(fields! { a: 1 }, || {
        assert_eq!(text(), "a: 1");
        with(fields! { b: "two", c: true }, || assert_eq!(text(), "a: 1, b: two, c: true"));
        assert_eq!(text(), "a: 1");
    });
    assert_eq!(text(), "");
}

#[test]
fn the_innermost_field_of_a_name_is_the_one_that_is_read() {
    with(fields! { a: 1 }, || with(fields! { a: 2 }, || assert_eq!(current().get("a"), Some(&Value::from(2)))));
}

#[test]
fn what_was_there_is_put_back_after_a_return_and_after_a_panic() {
    let early = || -> Result<(), std::num::ParseIntError> {
        with(fields! { a: 1 }, || {
            "x".parse::<u8>()?;
            Ok(())
        })
    };
    assert!(early().is_err());
    assert_eq!(text(), "");
    let panics =
        catch_unwind(|| with(fields! { a: 1 }, || with(fields! { b: 1 }, || std::panic::resume_unwind(Box::new(())))));
    assert!(panics.is_err());
    assert_eq!(text(), "");
}

#[test]
fn a_context_that_somebody_kept_is_put_back_all_the_same() {
    with(fields! { a: 1 }, || {
        let kept = with(fields! { b: 2 }, current);
        assert_eq!(text(), "a: 1");
        assert_eq!(kept.fields().to_string(), "a: 1, b: 2");
    });
    assert_eq!(text(), "");
}

#[test]
fn a_job_runs_in_the_context_of_the_place_where_it_was_made() {
    let job = with(fields! { request: 7 }, || inherit(|| assert_eq!(text(), "request: 7")));
    thread::Builder::new("elsewhere").spawn(job).expect("a thread").join().expect("the context is there");
    let alone = thread::Builder::new("alone").spawn(|| assert_eq!(text(), ""));
    alone.expect("a thread").join().expect("a thread by itself begins with an empty context");
}

#[test]
fn a_workers_context_says_who_it_is() {
    let who = Incarnation { id: 3, generation: 2 };
    let context = Context::of(who, fields! { tree: "t" });
    context.enter(|| {
        assert_eq!(foundation_context::incarnation(), Some(who));
        with(fields! { b: 1 }, || assert_eq!(current().incarnation(), Some(who)));
    });
    assert_eq!(foundation_context::incarnation(), None);
    assert_eq!(context.and(fields! { c: 1 }).fields().to_string(), "tree: t, c: 1");
    assert_eq!(format!("{who}"), "3#2");
}

#[test]
fn a_correlation_id_is_the_one_that_is_there_or_a_new_one_and_goes_wherever_the_context_goes() {
    let id = || current().correlation().map(ToString::to_string);
    let first = correlate(|| {
        let id = id().expect("there is one");
        assert!(id.len() == 32 && id.chars().all(|sign| sign.is_ascii_hexdigit()), "{id}");
        assert_eq!(elsewhere(inherit(|| correlate(text))), format!("correlation_id: {id}"));
        id
    });
    assert_eq!(id(), None);
    assert_ne!(correlate(id), Some(first), "another cause, another id");
    with(fields! { correlation_id: "from outside" }, || assert_eq!(correlate(id).as_deref(), Some("from outside")));
}

#[test]
fn a_secret_is_shown_nowhere_and_given_out_when_asked_for() {
    let fields = fields! { user: "ann", password: Secret::new("open sesame") };
    let context = Context::empty().and(fields.clone());
    for shown in [format!("{fields} {fields:?} {:?}", fields.get("password")), format!("{context} {context:?}")] {
        assert!(shown.contains("***") && !shown.contains("sesame"), "{shown}");
    }
    let Some(Value::Secret(password)) = context.get("password") else { panic!("it is one") };
    assert_eq!((password.expose(), context.get("password").and_then(Value::as_str)), ("open sesame", None));
    assert_eq!(fields, fields! { user: "ann", password: Secret::new("open sesame") });
}

#[test]
fn values_are_made_of_what_people_have() {
    let text: Arc<str> = "t".into();
    let fields = fields! { a: 1_u8, b: -1, c: 1.5, d: false, e: String::from("s"), f: text, g: 7_usize };
    assert_eq!(fields.to_string(), "a: 1, b: -1, c: 1.5, d: false, e: s, f: t, g: 7");
    assert_eq!((fields.get("a").and_then(Value::as_u64), fields.get("b").and_then(Value::as_u64)), (Some(1), None));
    assert!(fields.contains(&fields! { d: false }) && !fields.contains(&fields! { d: true }));
    assert_eq!(format!("{fields:?}"), format!("{{{fields}}}"));
}

const LINK: fn(u64) -> SpanLink = |span| SpanLink { trace: TraceId(0xabc), span };

#[test]
fn the_current_span_is_the_innermost_that_is_left_in_whatever_order_they_close() {
    let mode = Mode::default();
    let (first, second) = (span::push(LINK(1), &mode), span::push(LINK(2), &mode));
    assert_eq!(current_span(), Some(LINK(2)));
    span::remove(first);
    assert_eq!(current_span(), Some(LINK(2)));
    span::remove(second);
    assert_eq!(current_span(), None, "the first is not put back: it was closed");
}

#[test]
fn a_context_brings_its_span_along_or_none() {
    let mode = Mode::default();
    let bare = current();
    let place = span::push(LINK(1), &mode);
    let taken = current();
    bare.enter(|| assert_eq!(current_span(), None, "a context without a span hides what the thread has"));
    let job = inherit(|| assert_eq!(current_span(), Some(LINK(1))));
    thread::Builder::new("elsewhere").spawn(job).expect("a thread").join().expect("the span is there");
    span::remove(place);
    assert_eq!(
        (taken.span(), taken.and(fields! { a: 1 }).span(), current_span()),
        (Some(LINK(1)), Some(LINK(1)), None)
    );
    assert_eq!(format!("{}", TraceId(0xabc)), "00000000000000000000000000000abc");
}

#[test]
fn a_span_that_outlives_the_call_in_which_it_was_opened_is_current_until_it_closes() {
    let mode = Mode::default();
    let outer = span::push(LINK(1), &mode);
    let inner = Context::empty().enter(|| span::push(LINK(2), &mode));
    assert_eq!(current_span(), Some(LINK(2)));
    span::remove(inner);
    assert_eq!(current_span(), Some(LINK(1)));
    let panics = catch_unwind(|| Context::empty().enter(|| std::panic::resume_unwind(Box::new(()))));
    assert!(panics.is_err());
    assert_eq!(current_span(), Some(LINK(1)));
    span::remove(outer);
}

#[test]
fn a_thread_is_bound_to_a_context_for_the_rest_of_its_life() {
    let who = Incarnation { id: 1, generation: 1 };
    let bound = thread::Builder::new("bound").spawn(move || {
        Contexts::default().bind(Context::of(who, fields! { a: 1 }));
        assert_eq!((foundation_context::incarnation(), text()), (Some(who), "a: 1".into()));
        Contexts::default().bind(Context::empty());
        assert_eq!((foundation_context::incarnation(), text()), (None, String::new()));
    });
    bound.expect("a thread").join().expect("it does not panic");
}

#[test]
fn who_takes_on_a_context_has_its_fields_and_span_and_stays_who_it_is() {
    let [caller, server] = [1, 2].map(|id| Incarnation { id, generation: 1 });
    let (mode, link) = (Mode::default(), LINK(8));
    let asked = Context::of(caller, fields! { request: 1 }).enter(|| {
        let place = span::push(link, &mode);
        let asked = current();
        span::remove(place);
        asked
    });
    Context::of(server, fields! { own: 1 }).enter(|| {
        with(fields! { more: 2 }, || {
            asked.take_on(|| {
                assert_eq!(foundation_context::incarnation(), Some(server));
                assert_eq!((text().as_str(), current_span()), ("request: 1", Some(link)));
                with(fields! { step: 2 }, || assert_eq!(text(), "request: 1, step: 2"));
                assert_eq!(current().incarnation(), Some(server), "what it sends is its own");
            });
            assert_eq!((text().as_str(), current_span()), ("own: 1, more: 2", None));
        });
        Context::empty()
            .take_on(|| assert_eq!((text().as_str(), foundation_context::incarnation()), ("", Some(server))));
    });
    assert_eq!((text().as_str(), foundation_context::incarnation()), ("", None));
}

#[test]
fn what_was_there_is_put_back_when_who_took_on_a_context_panics() {
    let asked = with(fields! { request: 1 }, current);
    with(fields! { own: 1 }, || {
        let panics = catch_unwind(|| {
            asked.take_on(|| with(fields! { step: 2 }, || std::panic::resume_unwind(Box::new(()))));
        });
        assert!(panics.is_err());
        assert_eq!(text(), "own: 1");
    });
    assert_eq!(text(), "");
}
