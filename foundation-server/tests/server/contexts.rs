//! A message is done in the context of whoever sent it.

use foundation_context::{
    Context, Contextual, InContext, Incarnation, Retry, SpanLink, Value, breadcrumb, correlate, current, current_span,
    fields, incarnation, inherit, with,
};
use foundation_server::{Handle, Server, ServerRef, Turn, server};
use foundation_sync::{Full, Queue, SECOND, thread};
use foundation_testkit::{TestUniverse, patience};

use crate::common::{ask, one_for_one, run, served};

/// What a handler sees.
type Seen = (String, Option<Incarnation>, Option<SpanLink>);

/// Sees its context, here or at the next one.
struct Looks(Option<ServerRef<Looks>>);

impl Server for Looks {}

struct Look;

impl Handle<Look> for Looks {
    type Reply = Seen;

    fn handle(&mut self, look: Look, turn: &mut Turn<'_, Self>) -> Seen {
        match &self.0 {
            Some(next) => next.call(look, turn.system().within(patience())).expect("it serves"),
            None => (current().fields().to_string(), incarnation(), current_span()),
        }
    }
}

struct Parse(&'static str);

impl Handle<Parse> for Looks {
    type Reply = Result<u8, Contextual>;

    fn handle(&mut self, Parse(text): Parse, turn: &mut Turn<'_, Self>) -> Result<u8, Contextual> {
        breadcrumb(if self.0.is_some() { "passed it on" } else { "looked at it" }, fields! { text: text });
        match &self.0 {
            Some(next) => with(fields! { step: "forward" }, || {
                next.call(Parse(text), turn.system().within(patience())).expect("it serves")
            }),
            None => text.parse::<u8>().in_context().map_err(|error| error.with_retry(Retry::Permanent)),
        }
    }
}

/// A server that asks another one.
fn two(t: &TestUniverse) -> (ServerRef<Looks>, ServerRef<Looks>) {
    let (last_spec, last) = server("last", || Looks(None));
    let next = last.clone();
    let (first_spec, first) = server("first", move || Looks(Some(next.clone())));
    let specs = one_for_one().child(last_spec.child().context(fields! { own: 1 }));
    drop(t.start(specs.child(first_spec)));
    (first, last)
}

#[test]
fn a_handler_has_the_callers_fields_and_span_and_is_itself() {
    let t = TestUniverse::new();
    let (_, last) = two(&t);
    let telemetry = t.telemetry().clone();
    let (seen, span) = with(fields! { request_id: "test-123" }, || {
        telemetry.span("asks", fields! {}, || (last.call(Look, t.patience()).expect("it serves"), current_span()))
    });
    let (text, who, at) = seen;
    assert_eq!(text, "request_id: test-123");
    assert_eq!(at, span, "what the handler opens is a child of the caller's span");
    let status = last.status();
    assert!(status.to_string().contains(&who.expect("a server is somebody").to_string()), "{status}");
}

#[test]
fn a_request_keeps_its_id_through_two_servers_and_back_in_an_error() {
    let t = TestUniverse::new();
    let (first, _) = two(&t);
    let error = with(fields! { request_id: "test-123" }, || {
        first.call(Parse("x"), t.patience()).expect("it serves").expect_err("x is no number")
    });
    assert_eq!(error.to_string(), "invalid digit found in string (request_id: test-123, step: forward)");
    let seen = with(fields! { request_id: 7 }, || first.call(Look, t.patience()).expect("it serves"));
    assert_eq!(seen.0, "request_id: 7");
}

#[test]
fn an_error_comes_back_through_two_servers_and_four_threads_with_all_that_led_to_it() {
    let t = TestUniverse::new();
    let (first, last) = two(&t);
    let errors = Queue::bounded(1, Full::Refuse);
    let (told, until) = (errors.clone(), t.patience());
    let here = thread::id();
    // The test's thread, one that it starts by hand, and those of the two servers.
    let asks = Context::empty().enter(|| {
        correlate(|| {
            breadcrumb("came in", fields! {});
            with(fields! { request_id: "test-123" }, || {
                inherit(move || {
                    assert_ne!(thread::id(), here);
                    breadcrumb("asks", fields! {});
                    let asked = with(fields! { step: "ask" }, || first.call(Parse("x"), &until));
                    let error = with(fields! { own: 2 }, || asked.expect("it serves").in_context());
                    assert!(told.try_send(error.expect_err("x is no number")).is_ok());
                })
            })
        })
    });
    thread::Builder::new("asks").spawn(asks).expect("a thread").join().expect("it does not panic");
    let error = errors.try_recv().expect("it was told");
    let context = error.context();
    assert_eq!(context.get("request_id").and_then(Value::as_str), Some("test-123"));
    assert_eq!(context.get("step").and_then(Value::as_str), Some("forward"), "the innermost");
    assert!(context.get("own").is_none(), "it was born before");
    assert_eq!(context.correlation().and_then(Value::as_str).map(str::len), Some(32));
    let crumbs: Vec<_> = context.breadcrumbs().map(ToString::to_string).collect();
    assert_eq!(crumbs, ["came in", "asks", "passed it on (text: x)", "looked at it (text: x)"]);
    let who = context.incarnation().expect("the last server is somebody").to_string();
    assert!(last.status().to_string().contains(&who), "{who}");
    assert_eq!(error.retry(), Some(Retry::Permanent));
    let shown = format!("{error:?}");
    assert!(shown.lines().any(|line| line.ends_with(" before: looked at it (text: x)")), "{shown}");
}

#[test]
fn a_server_is_in_its_own_context_again_after_each_message() {
    let t = TestUniverse::new();
    let (clerk, log, _tree) = served(&t);
    with(fields! { a: 1 }, || clerk.cast(run(|_, _| {})).expect("it serves"));
    ask(&t, &clerk, run(|clerk, _| clerk.log.add(current().fields().to_string())));
    assert_eq!(log.text(), "");
}

#[test]
fn a_timer_comes_in_the_context_in_which_it_was_set() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    let notes = || run(|clerk, _| clerk.log.add(current().get("id").map(Value::to_string).unwrap_or_default()));
    with(fields! { id: "x" }, || {
        ask(&t, &clerk, run(move |_, turn| assert!(turn.after(SECOND, notes()).is_ok())));
    });
    t.clock().advance(SECOND);
    assert_eq!(log.text(), "x");
}
