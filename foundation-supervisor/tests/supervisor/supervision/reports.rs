//! What is said of a crash, wherever it happens.

use std::fmt;

use foundation_context::{Context, InContext, Value, breadcrumb, fields, with};
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{ChildSpec, Failure, Life, Restart, Strategy, Supervisor};
use foundation_sync::{Full, Queue, SECOND};
use foundation_testkit::TestUniverse;

use super::{Body, end, idle, one_for_one, soon};

#[test]
fn a_crash_report_says_who_what_where_and_in_which_context() {
    let t = TestUniverse::new();
    let capture = t.capture_telemetry(foundation_supervisor::CRASHED);
    let body: Body = |_| with(fields! { request: 7 }, || panic!("boom"));
    let spec = ChildSpec::worker("w", body).restart(Restart::Temporary).context(fields! { shard: 3 });
    t.start(one_for_one("t").child(spec));
    let event = t.wait_for(|| capture.take().pop());
    let said = |name: &str| event.metadata.get(name).map(ToString::to_string).unwrap_or_default();
    assert_eq!((said("worker"), said("kind")), ("t/w".to_owned(), "panicked".to_owned()));
    assert!(said("exit").starts_with("panicked at") && said("exit").ends_with(": boom"), "{}", said("exit"));
    assert!(said("exit").contains("reports.rs"));
    assert_eq!((said("request"), said("shard")), ("7".to_owned(), "3".to_owned()), "the context of the panic");
}

#[test]
fn a_crash_report_says_what_was_done_before_and_how_long_before() {
    let t = TestUniverse::with_virtual_time();
    let capture = t.capture_telemetry(foundation_supervisor::CRASHED);
    let go = Queue::bounded(1, Full::Wait);
    let asked = go.clone();
    let body = move |life: &Life| {
        breadcrumb("the worker's own", fields! {});
        Context::empty().take_on(|| {
            breadcrumb("came in", fields! {});
            _ = life.next(&asked);
            (0..20).for_each(|item| breadcrumb("read", fields! { item: item }));
            panic!("boom")
        })
    };
    t.start(one_for_one("t").child(ChildSpec::worker("w", body).restart(Restart::Temporary)));
    t.clock().advance(SECOND);
    assert!(go.try_send(()).is_ok());
    let event = t.wait_for(|| capture.take().pop());
    let said = event.metadata.get("breadcrumbs").map(ToString::to_string).unwrap_or_default();
    assert!(said.starts_with("read (item: 12) 0ns before; read (item: 13)"), "{said}");
    assert!(said.ends_with("read (item: 19) 0ns before; 13 more before"), "{said}");
    let crashes = t.crashes();
    let report = &crashes.groups[0].last;
    assert_eq!((report.breadcrumbs.len(), report.older_breadcrumbs), (21, 0));
    assert_eq!((&*report.breadcrumbs[0].what, report.breadcrumbs[0].age), ("came in", Some(1_000_000_000)));
    assert!(report.to_string().ends_with(&format!(", did before: {said}")), "{report}");
    #[cfg(feature = "json")]
    assert_eq!(
        report.to_json()["breadcrumbs"][0],
        serde_json::json!({ "what": "came in", "fields": {}, "age": 1_000_000_000 })
    );
}

#[test]
fn a_worker_that_gives_up_with_an_error_is_reported_in_the_context_the_error_was_born_in() {
    let t = TestUniverse::new();
    let capture = t.capture_telemetry(foundation_supervisor::CRASHED);
    let body: Body = |_| {
        Ok(with(fields! { request: 7 }, || {
            breadcrumb("read it", fields! {});
            "x".parse::<u8>().in_context().map(drop)
        })?)
    };
    t.start(one_for_one("t").child(ChildSpec::worker("w", body).restart(Restart::Temporary)));
    let event = t.wait_for(|| capture.take().pop());
    assert_eq!(event.metadata.get("request"), Some(&Value::from(7)));
    assert!(event.metadata.get("breadcrumbs").is_some_and(|said| said.to_string().starts_with("read it ")));
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

impl std::error::Error for Broken {}

struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

#[test]
fn no_panic_escapes_wherever_it_happens() {
    let table: [(&str, Body, &str); 4] = [
        ("in the body", |_| panic!("plain"), "panicked"),
        ("in the drop of a panic's payload", |_| std::panic::panic_any(Explosive), "panicked"),
        ("in the text of an error", |_| Err(Broken.into()), "failed"),
        (
            "in the drop of a local",
            |_| {
                let _local = Explosive;
                Ok(())
            },
            "panicked",
        ),
    ];
    for (place, body, kind) in table {
        let t = TestUniverse::new();
        let capture = t.capture_telemetry(foundation_supervisor::CRASHED);
        let tree = t.start(one_for_one("t").child(ChildSpec::worker("w", body).restart(Restart::Temporary)));
        let event = t.wait_for(|| capture.take().pop());
        assert_eq!(event.metadata.get("kind").and_then(Value::as_str), Some(kind), "{place}");
        assert!(tree.stop(soon(&t)).is_ok(), "{place}: the tree lives on");
    }
}

#[test]
fn an_error_is_reported_with_what_it_comes_from() {
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no port")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let t = TestUniverse::new();
    let body: Body = |_| Err("x".parse::<u16>().map_err(Outer).expect_err("x is no number").into());
    let tree = t.start(one_for_one("t").intensity(0, SECOND).child(ChildSpec::worker("w", body)));
    assert_eq!(end(&t, &tree), Exit::Shutdown(Cause::Intensity));
    let event = foundation_context::Incarnation { id: tree.incarnation().id + 1, generation: 1 };
    assert_eq!(t.owners().exit_of(event), Some(Exit::Failed("no port: invalid digit found in string".into())));
}

#[test]
fn a_crash_is_reported_where_it_happened_whatever_was_caught_before() {
    let t = TestUniverse::new();
    let capture = t.capture_telemetry(foundation_supervisor::CRASHED);
    let body: Body = |_| {
        let caught = std::panic::catch_unwind(|| with(fields! { wrong: 1 }, || panic!("caught by the body itself")));
        assert!(caught.is_err());
        with(fields! { right: 1 }, || panic!("boom"))
    };
    let own: Body = |_| {
        let caught = std::panic::catch_unwind(|| with(fields! { wrong: 1 }, || panic!("caught by the body itself")));
        assert!(caught.is_err());
        std::panic::resume_unwind(Box::new("boom"))
    };
    for (number, (body, right)) in [(body, true), (own, false)].into_iter().enumerate() {
        let spec = ChildSpec::worker("w", body).restart(Restart::Temporary);
        t.start(Supervisor::new(format!("t{number}"), Strategy::OneForOne).child(spec));
        let event = t.wait_for(|| capture.take().pop());
        let exit = event.metadata.get("exit").map(ToString::to_string).unwrap_or_default();
        assert!(exit.ends_with(": boom") && exit.contains("panicked at") == right, "{exit}");
        assert_eq!((event.metadata.get("wrong").is_some(), event.metadata.get("right").is_some()), (false, right));
    }
}

#[test]
fn a_panic_that_a_body_catches_itself_is_counted_and_one_that_ends_its_life_is_not() {
    let t = TestUniverse::new();
    let lives = Queue::bounded(1, Full::Refuse);
    let last = lives.clone();
    let body = move |life: &Life| {
        for _ in 0..2 {
            assert!(std::panic::catch_unwind(|| panic!("caught by the body itself")).is_err());
        }
        match life.incarnation().generation {
            1 => panic!("boom"),
            // It goes on with one that it has caught; with one that the hook has not seen; and well.
            2 => std::panic::resume_unwind(std::panic::catch_unwind(|| panic!("on")).expect_err("it panics")),
            3 => std::panic::resume_unwind(Box::new("unseen")),
            4 => Err(Failure::new("no disk")),
            _ => last.try_send(()).map_err(|_| Failure::new("too many lives")).and_then(|()| idle(life)),
        }
    };
    t.start(one_for_one("t").intensity(9, SECOND).child(ChildSpec::worker("w", body)));
    assert_eq!(lives.recv(soon(&t)), Ok(()));
    assert_eq!((t.panics_caught(), t.vitals().panics_caught), (10, 10));
    t.wait_for(|| t.crashes().total == 4);
    let other = TestUniverse::new();
    assert_eq!(other.panics_caught(), 0);
}
