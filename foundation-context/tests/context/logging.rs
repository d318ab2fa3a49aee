//! The context on the records of a real log.

use std::{io, sync::Arc};

use foundation_context::{LoggingError, Secret, WithContext, check_logging, fields, inherit, with};
use foundation_sync::Mutex;
use tracing::{Dispatch, Subscriber, dispatcher};
use tracing_subscriber::fmt::{MakeWriter, Subscriber as Fmt, format, time::Uptime};

use crate::elsewhere;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("it is text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn text(log: &Log) -> impl Subscriber + Send + Sync + use<> {
    let bare = format().without_time().with_target(false);
    Fmt::builder().event_format(WithContext::new(bare)).with_writer(log.clone()).finish()
}

fn json(log: &Log) -> impl Subscriber + Send + Sync + use<> {
    let bare = format().json().without_time().with_target(false);
    Fmt::builder().json().event_format(WithContext::json(bare)).with_writer(log.clone()).finish()
}

/// What is logged of this with the subscriber that is made for the log.
fn logged<S: Subscriber + Send + Sync + 'static>(subscriber: fn(&Log) -> S, work: impl FnOnce()) -> String {
    let log = Log::default();
    tracing::subscriber::with_default(subscriber(&log), work);
    log.text()
}

fn nested() {
    with(fields! { operation: "validation" }, || {
        with(fields! { step: "parse" }, || tracing::info!(items = 3, "validating"));
    });
    tracing::info!("done");
}

#[test]
fn a_record_has_the_fields_at_its_end() {
    assert_eq!(
        logged(text, nested),
        " INFO validating items=3 error_context{operation=validation step=parse}\n INFO done\n"
    );
}

#[test]
fn a_record_of_json_has_an_object() {
    let lines = logged(json, nested);
    let records: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect();
    assert_eq!(records[0]["error_context"], serde_json::json!({ "operation": "validation", "step": "parse" }));
    assert_eq!(records[0]["fields"]["items"], 3);
    assert!(records[1].get("error_context").is_none() && lines.ends_with("}\n"));
}

#[test]
fn a_record_stays_one_record_whatever_is_in_the_context() {
    let evil = || {
        let said = fields! { text: "a b\n ERROR forged error_context{admin=true}", quote: "\"", none: "", number: 1.5 };
        with(said, || tracing::info!("hit"));
    };
    let line = logged(text, evil);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains(r#"text="a b\n ERROR forged error_context{admin=true}" quote="\"" none="" number=1.5}"#));
    let record: serde_json::Value = serde_json::from_str(&logged(json, evil)).expect("it is an object");
    assert_eq!(record["error_context"]["text"], "a b\n ERROR forged error_context{admin=true}");
    assert_eq!(record["error_context"]["number"], 1.5);
}

#[test]
fn a_secret_is_not_logged_and_what_was_cut_is_counted() {
    let work = || {
        let said = fields! { key: Secret::new("sesame"), long: "x".repeat(10_000) };
        with(said, || tracing::info!("hit"));
    };
    let line = logged(text, work);
    assert!(line.contains("{key=*** long=xxx") && line.ends_with("x…, 1 cut}\n") && !line.contains("sesame"), "{line}");
    let record: serde_json::Value = serde_json::from_str(&logged(json, work)).expect("it is an object");
    assert_eq!((&record["error_context"]["key"], &record["error_context_cut"]), (&"***".into(), &1.into()));
}

#[test]
fn a_record_of_another_thread_has_the_context_that_the_work_took_along() {
    let log = Log::default();
    let dispatch = Dispatch::new(text(&log));
    let job = with(fields! { request_id: "test-123" }, || inherit(|| tracing::info!("handled")));
    elsewhere(move || dispatcher::with_default(&dispatch, job));
    assert_eq!(log.text(), " INFO handled error_context{request_id=test-123}\n");
}

#[cfg(feature = "legacy")]
#[test]
fn in_legacy_mode_a_context_is_not_logged() {
    let contexts = foundation_context::Contexts::default();
    contexts.switch().push(contexts.switch().epoch().turned(false));
    assert_eq!(logged(text, || contexts.enter(|| with(fields! { a: 1 }, || tracing::info!("hit")))), " INFO hit\n");
}

#[test]
fn whether_it_is_in_place_is_found_without_a_record() {
    let checked = |dispatch: Dispatch| dispatcher::with_default(&dispatch, check_logging);
    let log = Log::default();
    let builder = || Fmt::builder().with_writer(log.clone());
    assert_eq!(checked(Dispatch::new(text(&log))), Ok(()));
    assert_eq!(checked(Dispatch::new(json(&log))), Ok(()));
    let compact = WithContext::new(format().compact().with_timer(Uptime::default()));
    assert_eq!(checked(Dispatch::new(builder().event_format(compact).finish())), Ok(()));
    assert_eq!(checked(Dispatch::new(builder().finish())), Err(LoggingError::NotInPlace));
    assert_eq!(checked(Dispatch::none()), Err(LoggingError::NoSubscriber));
    let own = Dispatch::new(builder().event_format(WithContext::new(WithContext::new(format()))).finish());
    assert_eq!(checked(own.clone()), Err(LoggingError::NotInPlace), "it does not know it");
    assert!(dispatcher::with_default(&own, WithContext::<WithContext<format::Format>>::is_in_place));
    assert_eq!(log.text(), "");
    assert!(LoggingError::NotInPlace.to_string().contains("event_format(WithContext::new(format()))"));
}
