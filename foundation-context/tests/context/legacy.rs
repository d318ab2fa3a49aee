//! The old way, in which a context does not leave its thread, and the flips from one way to the other.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use foundation_context::{
    Context, Contexts, Incarnation, SpanLink, TraceId, carried, current, current_span, fields, incarnation, inherit,
    span, with,
};
use foundation_sync::{Switch, legacy::Mode, thread};

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

fn elsewhere(job: impl FnOnce() + Send + 'static) {
    thread::Builder::new("elsewhere").spawn(job).expect("a thread").join().expect("it does not panic");
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
