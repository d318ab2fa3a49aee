//! What spans promise.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use foundation_context::{Fields, Incarnation, Value, current, fields, inherit, with};
use foundation_supervisor::{ChildSpec, Life, Restart, Strategy, Supervisor, System};
use foundation_sync::{Mutex, thread};
use foundation_telemetry::{Event, MOST_OPEN, NotOpenError, SPAN_START, SPAN_STOP, SpanId, Status, Telemetry};
use foundation_testkit::{Capture, TestUniverse};

fn capture(t: &TestUniverse) -> Capture {
    t.capture_telemetry([SPAN_START, SPAN_STOP])
}

fn says<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.metadata.get(name).and_then(Value::as_str)
}

/// Each event's span, what happened, and how it ended.
#[track_caller]
fn check(events: &[Event], expected: &[&str]) {
    let lines: Vec<_> = events
        .iter()
        .map(|event| {
            let end = event.name.words()[2];
            let status = says(event, "status").map(|status| format!(" {status}")).unwrap_or_default();
            let reason = says(event, "reason").map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{} {end}{status}{reason}", says(event, "span_name").expect("each has a name"))
        })
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_span_is_ok_when_its_work_returns() {
    let t = TestUniverse::new();
    let seen = capture(&t);
    let id = t.telemetry().span("checkout", fields! { user: 123 }, || {
        let open = t.telemetry().open_spans();
        assert_eq!((open.len(), open[0].name, open[0].parent, open[0].owner), (1, "checkout", None, None));
        assert_eq!(t.telemetry().current_span().map(|span| span.id), Some(open[0].id));
        open[0].id.number()
    });
    let events = seen.take();
    check(&events, &["checkout start", "checkout stop ok"]);
    assert!(events[1].measurements.get("duration").and_then(Value::as_u64).is_some());
    let trace = says(&events[0], "trace_id").expect("each has a trace");
    assert!(trace.len() == 32 && trace.chars().all(|digit| digit.is_ascii_hexdigit()), "{trace}");
    for event in &events {
        assert!(event.metadata.contains(&fields! { user: 123, span_id: id, trace_id: trace.to_owned() }));
        assert_eq!(event.metadata.get("parent_id"), None, "a root has none");
    }
    let figures = (t.telemetry().spans_open(), t.telemetry().spans_opened(), t.telemetry().spans_closed());
    assert_eq!((figures, t.telemetry().current_span()), ((0, 1, 1), None));
}

#[test]
fn a_span_whose_work_panics_is_an_error_and_the_panic_goes_on() {
    let t = TestUniverse::new();
    let seen = capture(&t);
    let telemetry = t.telemetry();
    let work = || {
        telemetry.span("outer", Fields::new(), || telemetry.span("inner", Fields::new(), || resume_unwind(Box::new(7))))
    };
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it goes on");
    assert_eq!(panic.downcast_ref::<i32>(), Some(&7));
    let panicked = ["inner stop error: it panicked", "outer stop error: it panicked"];
    check(&seen.take(), &["outer start", "inner start", panicked[0], panicked[1]]);
    assert_eq!((telemetry.spans_open(), telemetry.spans_closed(), telemetry.current_span()), (0, 2, None));
}

#[test]
fn a_guard_closes_its_span_in_the_way_that_was_said() {
    let t = TestUniverse::new();
    let seen = capture(&t);
    let telemetry = t.telemetry();
    drop(telemetry.enter_span("fine", Fields::new()));
    telemetry.enter_span("failed", Fields::new()).fail("no money");
    telemetry.enter_span("gone", Fields::new()).set_status(Status::Aborted("no time".into()));
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _guard = telemetry.enter_span("panics", Fields::new());
        resume_unwind(Box::new(()));
    }));
    assert!(panics.is_err());
    let stops: Vec<_> = seen.take().into_iter().filter(|event| event.name == SPAN_STOP).collect();
    check(
        &stops,
        &[
            "fine stop ok",
            "failed stop error: no money",
            "gone stop aborted: no time",
            "panics stop error: it panicked",
        ],
    );
}

#[test]
fn a_span_of_a_destructor_is_no_error_because_somebody_panics() {
    struct Tidy<'a>(&'a Telemetry);

    impl Drop for Tidy<'_> {
        fn drop(&mut self) {
            drop(self.0.enter_span("tidy", Fields::new()));
        }
    }

    let t = TestUniverse::new();
    let seen = capture(&t);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _tidy = Tidy(t.telemetry());
        resume_unwind(Box::new(()));
    }));
    assert!(panics.is_err());
    check(&seen.take(), &["tidy start", "tidy stop ok"]);
}

#[test]
fn guards_are_dropped_in_any_order_and_each_closes_its_own_span() {
    let telemetry = Telemetry::new();
    let current = || telemetry.current_span().map(|open| open.id);
    let first = telemetry.enter_span("first", Fields::new());
    let second = telemetry.enter_span("second", Fields::new());
    assert_eq!(second.link().trace, first.link().trace);
    drop(first);
    assert_eq!(current(), Some(second.id()), "the second is open still");
    assert_eq!(telemetry.open_spans().iter().map(|span| span.name).collect::<Vec<_>>(), ["second"]);
    let third = telemetry.enter_span("third", Fields::new());
    drop(second);
    drop(third);
    assert_eq!((current(), telemetry.spans_open(), telemetry.spans_closed()), (None, 0, 3));
}

#[test]
fn a_detached_span_is_closed_once_on_any_thread_and_is_nobodys_current_one() {
    let t = TestUniverse::new();
    let seen = capture(&t);
    let telemetry = t.telemetry().clone();
    let (id, parent) = telemetry.span("outer", Fields::new(), || {
        let parent = telemetry.current_link().map(|link| link.span);
        (telemetry.open_span("detached", fields! { shard: 3 }), parent)
    });
    assert_eq!(telemetry.current_span(), None);
    assert_eq!(telemetry.open_spans().iter().map(|open| (open.id, open.parent)).collect::<Vec<_>>(), [(id, parent)]);
    let closes = thread::Builder::new("closes").spawn(move || {
        telemetry.close_span(id, Status::Error("late".into())).expect("it is open");
    });
    closes.expect("a thread").join().expect("it does not panic");
    let again = t.telemetry().close_span(id, Status::Ok);
    assert_eq!(again, Err(NotOpenError(id)));
    assert_eq!(NotOpenError(id).to_string(), format!("span {id} is not open: it was closed before"));
    check(&seen.take(), &["outer start", "detached start", "outer stop ok", "detached stop error: late"]);
}

#[test]
fn a_place_that_was_given_away_again_is_not_mistaken_for_the_old_one() {
    let telemetry = Telemetry::new();
    let first = telemetry.open_span("first", Fields::new());
    telemetry.close_span(first, Status::Ok).expect("it is open");
    let second = telemetry.open_span("second", Fields::new());
    assert!(telemetry.close_span(first, Status::Ok).is_err());
    assert_eq!(telemetry.spans_open(), 1);
    telemetry.close_span(second, Status::Ok).expect("it is open");
}

#[test]
fn a_context_brings_the_span_to_another_thread_as_a_parent() {
    let t = TestUniverse::new();
    let seen = capture(&t);
    let telemetry = t.telemetry().clone();
    let link = telemetry.clone().span("outer", Fields::new(), || {
        let link = telemetry.current_link().expect("it is the current one");
        let job = inherit(move || telemetry.span("inner", Fields::new(), || ()));
        thread::Builder::new("inner").spawn(job).expect("a thread").join().expect("it does not panic");
        link
    });
    let inner = seen.take().into_iter().find(|event| says(event, "span_name") == Some("inner")).expect("it was opened");
    assert!(inner.metadata.contains(&fields! { parent_id: link.span, trace_id: link.trace }));
    assert_eq!(current().span(), None);
}

#[test]
fn roots_have_traces_of_their_own() {
    let telemetry = Telemetry::new();
    let trace = || telemetry.enter_span("root", Fields::new()).link().trace;
    let traces = [trace(), trace(), Telemetry::new().enter_span("root", Fields::new()).link().trace];
    assert!(traces[0] != traces[1] && traces[0] != traces[2] && traces[1] != traces[2], "{traces:?}");
}

#[test]
fn a_life_that_ends_has_its_spans_closed_as_aborted() {
    let t = TestUniverse::new();
    let seen = capture(&t);
    let (opened, owner) = (Arc::new(Mutex::new(None::<(SpanId, Incarnation)>)), System::clone(&t));
    let note = Arc::clone(&opened);
    let body = move |life: &Life| {
        let id = owner.telemetry().open_span("left", Fields::new());
        *note.lock() = Some((id, life.incarnation()));
        Ok(())
    };
    let spec = ChildSpec::worker("opens", body).restart(Restart::Temporary);
    t.start(Supervisor::new("t", Strategy::OneForOne).child(spec));
    t.wait_for(|| t.telemetry().spans_closed() == 1);
    let (id, owner) = opened.lock().expect("it was opened");
    let events = seen.take();
    check(&events, &["left start", "left stop aborted: its owner ended"]);
    assert_eq!(events[1].context().incarnation(), Some(owner), "it is closed by its owner's own thread");
    assert_eq!(t.telemetry().close_span(id, Status::Ok), Err(NotOpenError(id)));
}

#[test]
fn what_a_thread_that_is_nobodys_leaves_open_is_closed_as_aborted_when_it_ends() {
    let t = TestUniverse::new();
    let seen = capture(&t);
    let telemetry = t.telemetry().clone();
    let body = move || {
        let guard = telemetry.enter_span("forgotten", Fields::new());
        std::mem::forget(guard);
        with(fields! { request: 7 }, || _ = telemetry.open_span("left", Fields::new()));
        assert_eq!(telemetry.spans_open(), 2);
    };
    thread::Builder::new("nobody's").spawn(body).expect("a thread").join().expect("it does not panic");
    let reason = "stop aborted: its thread ended";
    check(&seen.take(), &["forgotten start", "left start", &format!("forgotten {reason}"), &format!("left {reason}")]);
    assert_eq!((t.telemetry().spans_open(), t.telemetry().spans_closed()), (0, 2));
}

#[test]
fn a_handler_has_a_context_also_where_a_thread_ends_and_its_panic_hurts_nobody() {
    let telemetry = Telemetry::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let note = move |_: &Event| with(fields! { a: 1 }, || notes.lock().push(current().fields().to_string()));
    telemetry.attach("notes", [SPAN_STOP], note).expect("the id is free");
    telemetry.attach("panics", [SPAN_STOP], |_| resume_unwind(Box::new(()))).expect("the id is free");
    let other = telemetry.clone();
    let body = move || _ = other.open_span("left", Fields::new());
    thread::Builder::new("nobody's").spawn(body).expect("a thread").join().expect("it does not panic");
    assert_eq!((heard.lock().clone(), telemetry.failures()), (vec!["a: 1".to_owned()], 1));
}

#[test]
fn a_thread_that_is_nobodys_may_outlive_a_universe_and_leave_spans_in_several() {
    let (first, second) = (Telemetry::new(), Telemetry::new());
    let closed = second.clone();
    let body = move || {
        _ = first.open_span("dies with its universe", Fields::new());
        drop(first);
        for _ in 0..10 {
            _ = Telemetry::new().open_span("this one, too", Fields::new());
        }
        _ = second.open_span("left", Fields::new());
        drop(second);
    };
    thread::Builder::new("nobody's").spawn(body).expect("a thread").join().expect("it does not panic");
    assert_eq!((closed.spans_open(), closed.spans_closed()), (0, 1));
}

#[test]
fn what_was_closed_in_time_is_not_closed_again_when_its_thread_ends() {
    let telemetry = Telemetry::new();
    let other = telemetry.clone();
    let body = move || {
        let ids = [0; 3].map(|_| other.open_span("short", Fields::new()));
        for id in ids {
            other.close_span(id, Status::Ok).expect("it is open");
        }
        other.span("entered", Fields::new(), || ());
    };
    let own = telemetry.open_span("of another thread", Fields::new());
    thread::Builder::new("nobody's").spawn(body).expect("a thread").join().expect("it does not panic");
    assert_eq!((telemetry.spans_opened(), telemetry.spans_closed()), (5, 4));
    telemetry.close_span(own, Status::Ok).expect("it is open");
}

#[test]
fn a_span_that_finds_no_place_is_closed_at_once_and_counted() {
    let telemetry = Telemetry::new();
    let ids: Vec<_> = (0..=MOST_OPEN).map(|_| telemetry.open_span("many", Fields::new())).collect();
    assert_eq!((telemetry.spans_open(), telemetry.spans_refused(), telemetry.spans_closed()), (MOST_OPEN, 1, 1));
    let closed = ids.into_iter().filter(|id| telemetry.close_span(*id, Status::Ok).is_ok()).count();
    assert_eq!((closed, telemetry.spans_open()), (MOST_OPEN, 0));
}

#[test]
fn a_handler_that_panics_on_a_stop_does_not_keep_the_span_open() {
    let telemetry = Telemetry::new();
    telemetry.attach("bad", SPAN_STOP, |_| resume_unwind(Box::new(()))).expect("the id is free");
    let panics = catch_unwind(AssertUnwindSafe(|| telemetry.span("s", Fields::new(), || resume_unwind(Box::new(1)))));
    assert!(panics.is_err());
    assert_eq!((telemetry.spans_open(), telemetry.failures(), telemetry.current_span()), (0, 1, None));
}
