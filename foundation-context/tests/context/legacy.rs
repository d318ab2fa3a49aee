//! The old way, in which a context does not leave its thread, and the flips from one way to the other.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use foundation_context::{
    Context, Contexts, InContext, Incarnation, SpanLink, TraceId, breadcrumb, carried, clear, current, current_span,
    fields, incarnation, inherit, scope, set, span, with, with_only,
};
use foundation_sync::{Switch, legacy::Mode};

use crate::elsewhere;

fn flip(switch: &Switch, on: bool) {
    switch.push(switch.epoch().turned(on));
}

/// A universe that works the old way.
fn legacy() -> Contexts {
    let contexts = Contexts::default();
    flip(contexts.switch(), false);
    contexts
}

fn text(context: &Context) -> String {
    context.fields().to_string()
}

#[test]
fn in_legacy_mode_a_context_stays_on_its_thread() {
    legacy().enter(|| {
        with(fields! { request: 7 }, || {
            assert_eq!(text(&current()), "request: 7", "its own thread sees it");
            assert_eq!(text(&carried()), "");
            elsewhere(inherit(|| assert_eq!(text(&current()), "")));
        });
    });
}

#[test]
fn in_legacy_mode_a_worker_carries_not_even_its_name() {
    let contexts = legacy();
    elsewhere(move || {
        let who = Incarnation { id: 1, generation: 1 };
        contexts.bind(Context::of(who, fields! { spec: 1 }));
        assert_eq!((incarnation(), carried().incarnation()), (Some(who), None));
    });
}

#[test]
fn a_flip_in_the_middle_of_nested_scopes_moves_all_of_them_and_leaks_nothing() {
    let contexts = legacy();
    contexts.enter(|| {
        with(fields! { a: 1 }, || {
            with(fields! { b: 2 }, || {
                flip(contexts.switch(), true);
                assert_eq!(text(&carried()), "a: 1, b: 2");
                with(fields! { c: 3 }, || {
                    flip(contexts.switch(), false);
                    assert_eq!((text(&current()), text(&carried())), ("a: 1, b: 2, c: 3".into(), String::new()));
                });
                assert_eq!(text(&current()), "a: 1, b: 2");
            });
            flip(contexts.switch(), true);
            assert_eq!(text(&carried()), "a: 1");
        });
        assert_eq!((text(&current()), text(&carried())), (String::new(), String::new()));
    });
}

#[test]
fn a_flip_on_the_way_of_a_panic_leaks_nothing() {
    for on in [false, true] {
        let contexts = Contexts::default();
        flip(contexts.switch(), !on);
        contexts.enter(|| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                with(fields! { a: 1 }, || {
                    with(fields! { b: 1 }, || {
                        flip(contexts.switch(), on);
                        resume_unwind(Box::new(()));
                    });
                });
            }));
            assert!(panicked.is_err());
            assert_eq!((text(&current()), text(&carried())), (String::new(), String::new()));
        });
        assert_eq!(contexts.switch().off_guards(), 0);
    }
}

#[test]
fn what_was_opened_the_old_way_is_counted_until_it_is_closed() {
    let contexts = legacy();
    let open = || contexts.switch().off_guards();
    contexts.enter(|| {
        with(fields! { a: 1 }, || {
            with(fields! { b: 1 }, || assert_eq!(open(), 2));
            flip(contexts.switch(), true);
            with(fields! { c: 1 }, || assert_eq!(open(), 1, "a is left of the old mode"));
        });
        assert_eq!(open(), 0);
    });
    with(fields! { a: 1 }, || assert_eq!(open(), 0, "a thread without a home works the new way"));
}

#[test]
fn another_universe_is_not_affected() {
    let (old, new) = (legacy(), Contexts::default());
    old.enter(|| {
        with(fields! { a: 1 }, || {
            new.enter(|| assert_eq!(text(&carried()), "a: 1"));
            assert_eq!(text(&carried()), "", "the home is put back");
            assert!(catch_unwind(AssertUnwindSafe(|| new.enter(|| resume_unwind(Box::new(()))))).is_err());
            assert_eq!(text(&carried()), "", "also after a panic");
        });
    });
    elsewhere(|| with(fields! { a: 1 }, || assert_eq!(text(&carried()), "a: 1", "no home: the new way")));
}

#[test]
fn in_legacy_mode_a_spans_link_stays_on_its_thread() {
    let mode = Mode::default();
    let link = SpanLink { trace: TraceId(1), span: 1 };
    let place = span::push(link, &mode);
    assert_eq!(carried().span(), Some(link));
    flip(mode.switch(), false);
    let taken = carried();
    assert_eq!((current_span(), current().span(), taken.span()), (Some(link), Some(link), None));
    taken.enter(|| assert_eq!(current_span(), None));
    span::remove(place);
}

/// What is on the thread, and what leaves it: fields, and how many breadcrumbs.
fn both() -> [(String, usize); 2] {
    [current(), carried()].map(|context| (text(&context), context.breadcrumbs().count()))
}

#[test]
fn a_flip_in_the_midst_of_guards_and_what_was_set_leaks_nothing_in_either_direction() {
    for new in [false, true] {
        let contexts = Contexts::default();
        let there = |fields: &str, crumbs| {
            let on = contexts.switch().is_on();
            let all = (fields.to_owned(), crumbs);
            assert_eq!(both(), [all.clone(), if on { all } else { (String::new(), 0) }]);
        };
        flip(contexts.switch(), new);
        contexts.enter(|| {
            Context::empty().enter(|| {
                let first = scope(fields! { a: 1 });
                breadcrumb("first", fields! {});
                there("a: 1", 1);
                flip(contexts.switch(), !new);
                there("a: 1", 1);
                let second = scope(fields! { b: 2 });
                set(fields! { c: 3 });
                breadcrumb("second", fields! {});
                there("c: 3", 2);
                flip(contexts.switch(), new);
                drop(first);
                there("c: 3", 2);
                with_only(fields! { d: 4 }, || {
                    flip(contexts.switch(), !new);
                    there("d: 4", 2);
                    clear();
                    there("", 2);
                });
                drop(second);
                there("", 2);
            });
            there("", 0);
        });
        assert_eq!(contexts.switch().off_guards(), 0);
    }
}

#[test]
fn a_flip_on_the_way_of_a_panic_through_guards_and_what_was_set_leaks_nothing() {
    for on in [false, true] {
        let contexts = Contexts::default();
        flip(contexts.switch(), !on);
        contexts.enter(|| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                Context::empty().enter(|| {
                    let _guard = scope(fields! { a: 1 });
                    set(fields! { b: 1 });
                    breadcrumb("on the way", fields! {});
                    with_only(fields! { c: 1 }, || {
                        flip(contexts.switch(), on);
                        resume_unwind(Box::new(()));
                    });
                });
            }));
            assert!(panicked.is_err());
            assert_eq!(both(), [(String::new(), 0), (String::new(), 0)]);
        });
        assert_eq!(contexts.switch().off_guards(), 0);
    }
}

#[test]
fn in_legacy_mode_no_form_and_no_breadcrumb_leaves_the_thread() {
    legacy().enter(|| {
        Context::empty().enter(|| {
            let _guard = scope(fields! { a: 1 });
            breadcrumb("here", fields! {});
            let seen = || both().map(|(fields, crumbs)| format!("{fields}/{crumbs}"));
            let job = inherit(seen);
            elsewhere(move || assert_eq!(job(), ["/0", "/0"]));
            set(fields! { b: 1 });
            let job = inherit(seen);
            elsewhere(move || assert_eq!(job(), ["/0", "/0"]));
            let error = Err::<(), _>("no").in_context().expect_err("it is one");
            assert_eq!(error.to_string(), "no (b: 1)", "an error is not sent: who has it, has it");
        });
    });
}

#[test]
fn what_a_guard_was_opened_in_is_counted_until_it_is_dropped_in_whatever_order() {
    let contexts = legacy();
    let open = || contexts.switch().off_guards();
    contexts.enter(|| {
        let (first, second) = (scope(fields! { a: 1 }), scope(fields! { b: 1 }));
        assert_eq!(open(), 2);
        flip(contexts.switch(), true);
        let third = scope(fields! { c: 1 });
        drop(first);
        assert_eq!(open(), 1);
        drop((third, second));
        assert_eq!(open(), 0);
    });
}
