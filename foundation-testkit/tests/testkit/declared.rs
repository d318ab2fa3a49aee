//! The workspace's own events are what they are declared to be.

use std::panic::{AssertUnwindSafe, catch_unwind};

use foundation_context::{Fields, fields};
use foundation_telemetry::{EventName, event_name, events};
use foundation_testkit::TestUniverse;

events! {
    /// Events that a test emits.
    const EVENTS;

    /// Something was tried.
    const TRIED = ["foundation", "test", "tried"];
    measurements { count: "tries" }
    metadata { what: "text", why: "text" if "somebody said so" }

    /// Something was tried in a context.
    const OPEN = ["foundation", "test", "open"];
    measurements {}
    metadata { what: "text", .. "those of the context" }
}

#[track_caller]
fn check(name: EventName, fields: (Fields, Fields), complaints: &[&str]) {
    let test = || {
        let t = TestUniverse::new();
        t.telemetry().emit(name, || fields);
    };
    let said = match catch_unwind(AssertUnwindSafe(test)) {
        Ok(()) => String::new(),
        Err(panic) => panic.downcast::<String>().map(|text| *text).unwrap_or_default(),
    };
    let missing = complaints.iter().find(|complaint| !said.contains(*complaint));
    assert_eq!((missing, said.is_empty()), (None, complaints.is_empty()), "in: {said}");
}

#[test]
fn a_universe_fails_its_test_when_an_event_of_the_workspace_is_not_what_it_declares() {
    assert_eq!(EVENTS, [TRIED, OPEN]);
    check(TRIED, (fields! { count: 1 }, fields! { what: "a" }), &[]);
    check(TRIED, (fields! { count: 1 }, fields! { what: "a", why: "b" }), &[]);
    check(
        TRIED,
        (fields! {}, fields! { what: "a" }),
        &["[foundation, test, tried]: the measurement `count` is missing"],
    );
    check(TRIED, (fields! { count: "one" }, fields! { what: "a" }), &["the measurement `count` is no number"]);
    check(
        TRIED,
        (fields! { count: 1 }, fields! { who: "a" }),
        &["the metadata `what` is missing", "the metadata `who` is not declared"],
    );
    check(OPEN, (fields! {}, fields! { what: "a", request: 7 }), &[]);
    check(event_name!("foundation", "test", "new"), (fields! {}, fields! {}), &["it is not declared"]);
    check(event_name!("shop", "item", "sold"), (fields! {}, fields! {}), &[]);
}
