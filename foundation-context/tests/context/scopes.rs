//! How fields come into a context, and until when.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use foundation_context::{Context, Value, clear, current, field, fields, inherit, scope, set, with, with_only};

use crate::{elsewhere, text};

#[test]
fn guards_may_be_dropped_in_any_order_and_each_takes_out_its_own() {
    let (first, second) = (scope(fields! { a: 1 }), scope(fields! { b: 2 }));
    let third = scope(fields! { a: 3 });
    assert_eq!(text(), "a: 3, b: 2");
    drop(first);
    assert_eq!(text(), "b: 2, a: 3");
    drop(third);
    assert_eq!(text(), "b: 2");
    drop(second);
    assert_eq!(text(), "");
}

#[test]
fn a_guard_may_outlive_the_call_in_which_it_was_made_and_the_scope_around_it() {
    let guard = with(fields! { a: 1 }, || scope(fields! { b: 2 }));
    assert_eq!(text(), "b: 2");
    drop(guard);
    assert_eq!(text(), "");
}

#[test]
fn a_guard_that_is_dropped_within_a_context_that_was_entered_is_taken_out_outside_of_it() {
    let kept = Context::empty().and(fields! { x: 0 });
    let (first, second) = (scope(fields! { a: 1 }), scope(fields! { b: 2 }));
    kept.enter(|| {
        drop(first);
        assert_eq!(text(), "x: 0");
    });
    assert_eq!(text(), "b: 2");
    drop(second);
}

#[test]
fn what_is_opened_in_a_context_that_was_entered_is_gone_when_that_ends() {
    let outer = scope(fields! { a: 1 });
    let inner = Context::empty().enter(|| scope(fields! { b: 2 }));
    assert_eq!(text(), "a: 1");
    drop(inner);
    assert_eq!(text(), "a: 1");
    drop(outer);
}

#[test]
fn a_context_can_be_replaced_for_the_time_of_a_call() {
    with(fields! { a: 1 }, || {
        let seen = with_only(fields! { b: 2 }, || (text(), with(fields! { c: 3 }, text)));
        assert_eq!(seen, ("b: 2".into(), "b: 2, c: 3".into()));
        assert_eq!(text(), "a: 1");
        assert!(catch_unwind(|| with_only(fields! { b: 2 }, || resume_unwind(Box::new(())))).is_err());
        assert_eq!(text(), "a: 1");
    });
}

#[test]
fn what_was_set_holds_until_the_scope_that_was_open_ends() {
    elsewhere(|| {
        set(fields! { thread: 1 });
        with(fields! { a: 1 }, || {
            with(fields! { b: 2 }, || {
                set(fields! { c: 3 });
                assert_eq!(with(fields! { d: 4 }, text), "c: 3, d: 4");
                set(fields! { e: 5 });
                assert_eq!(text(), "e: 5");
                clear();
                assert_eq!(text(), "");
            });
            assert_eq!(text(), "thread: 1, a: 1");
        });
        assert_eq!(text(), "thread: 1");
        Context::empty().take_on(|| set(fields! { x: 1 }));
        assert_eq!(text(), "thread: 1");
        clear();
        assert_eq!(text(), "");
    });
}

#[test]
fn what_was_set_ends_with_its_scope_also_when_others_are_open_above_it() {
    let outer = scope(fields! { a: 1 });
    let inner = scope(fields! { b: 2 });
    set(fields! { c: 3 });
    let above = scope(fields! { d: 4 });
    assert_eq!(text(), "c: 3, d: 4");
    drop(outer);
    assert_eq!(text(), "c: 3, d: 4", "it is not the scope in which it was set");
    drop(inner);
    assert_eq!(text(), "d: 4");
    drop(above);
}

#[test]
fn what_somebody_took_along_is_not_changed_by_what_follows() {
    let guard = scope(fields! { a: 1 });
    let (kept, job) = (current(), inherit(text));
    set(fields! { b: 2 });
    drop(guard);
    assert_eq!((kept.to_string(), elsewhere(job), text()), ("a: 1".into(), "a: 1".into(), String::new()));
}

#[test]
fn a_context_is_what_it_was_after_a_panic_in_the_midst_of_all_forms() {
    with(fields! { own: 1 }, || {
        let outside = scope(fields! { outside: 1 });
        let kept = current();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = scope(fields! { a: 1 });
            kept.enter(|| {
                set(fields! { b: 1 });
                drop(outside);
                with_only(fields! { c: 1 }, || with(fields! { d: 1 }, || resume_unwind(Box::new(()))))
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(text(), "own: 1");
    });
    assert_eq!(text(), "");
}

#[test]
fn a_field_is_found_where_it_lies_without_an_allocation() {
    with(fields! { a: 1, b: "low" }, || {
        with(fields! { b: "high" }, || {
            let mut found = Default::default();
            let info = allocation_counter::measure(|| found = ["a", "b", "c"].map(field));
            assert_eq!(found, [Some(Value::from(1)), Some(Value::from("high")), None]);
            assert_eq!(info.count_total, 0);
            with_only(fields! { c: 3 }, || assert_eq!(["a", "c"].map(field), [None, Some(Value::from(3))]));
            let taken = current();
            Context::empty().take_on(|| assert_eq!(field("a"), None));
            taken.take_on(|| assert_eq!(["a", "b"].map(field), [Some(Value::from(1)), Some(Value::from("high"))]));
        });
    });
}

#[test]
fn a_scope_allocates_nothing_and_whoever_asks_for_the_context_once_until_something_changes() {
    with(fields! { warm: true }, || _ = current());
    with(fields! { request: 7 }, || {
        let opened = allocation_counter::measure(|| with(fields! { step: "parse" }, || {}));
        assert_eq!(opened.count_total, 0);
        _ = current();
        assert_eq!(allocation_counter::measure(|| _ = current()).count_total, 0);
    });
}
