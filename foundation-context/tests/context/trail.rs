//! Breadcrumbs.

use std::time::Duration;

use foundation_context::{Context, Contexts, MOST_BREADCRUMBS, breadcrumb, current, fields, inherit, with};
use foundation_sync::{Clock, SECOND, VirtualTime};

use crate::elsewhere;

/// What the current trail says.
fn trail() -> Vec<String> {
    current().breadcrumbs().map(ToString::to_string).collect()
}

#[test]
fn breadcrumbs_are_kept_in_order_and_scopes_do_not_cut_them() {
    elsewhere(|| {
        breadcrumb("came in", fields! {});
        with(fields! { step: "parse" }, || breadcrumb(format!("parsed {}", 3), fields! { items: 3 }));
        assert_eq!(trail(), ["came in", "parsed 3 (items: 3)"]);
    });
}

#[test]
fn each_piece_of_work_has_a_trail_of_its_own() {
    elsewhere(|| {
        breadcrumb("own", fields! {});
        let asked = current();
        breadcrumb("more", fields! {});
        Context::empty().take_on(|| {
            assert!(trail().is_empty());
            breadcrumb("within", fields! {});
            assert_eq!(trail(), ["within"]);
            asked.enter(|| {
                breadcrumb("for whoever asked", fields! {});
                assert_eq!(trail(), ["own", "for whoever asked"]);
            });
            assert_eq!(trail(), ["within"]);
        });
        assert_eq!(trail(), ["own", "more"]);
        assert_eq!(asked.breadcrumbs().count(), 1, "what left is not changed by what follows");
        assert_eq!(elsewhere(inherit(trail)), ["own", "more"]);
    });
}

#[test]
fn the_last_are_kept_and_the_older_ones_counted() {
    elsewhere(|| {
        let many = MOST_BREADCRUMBS + 8;
        (0..many).for_each(|number| breadcrumb("step", fields! { number: number }));
        let context = current();
        assert_eq!((context.breadcrumbs().count(), context.older_breadcrumbs()), (MOST_BREADCRUMBS, 8));
        assert_eq!(trail().first().map(String::as_str), Some("step (number: 8)"));
        assert_eq!(trail().last(), Some(&format!("step (number: {})", many - 1)));
    });
}

#[test]
fn a_breadcrumb_is_bounded_and_says_what_it_lost() {
    elsewhere(|| {
        breadcrumb("é".repeat(1000), fields! { text: "x".repeat(10_000), more: "no room" });
        let text = trail().remove(0);
        assert!(text.contains("é… (text: xxx") && text.ends_with("x…, 2 cut)") && text.len() < 1400, "{text}");
    });
}

#[test]
fn a_breadcrumb_is_as_old_as_the_universes_clock_says() {
    let time = VirtualTime::new();
    let contexts = Contexts::new(&time.clock());
    contexts.enter(|| {
        Context::empty().enter(|| {
            breadcrumb("first", fields! {});
            assert!(time.advance(SECOND).is_ok());
            breadcrumb("second", fields! {});
            assert!(time.advance(SECOND).is_ok());
            let (context, now) = (current(), time.clock().now());
            let ages: Vec<_> = context.breadcrumbs().map(|crumb| crumb.age(&time.clock(), now)).collect();
            assert_eq!(ages, [Some(2 * SECOND), Some(SECOND)]);
            let alien = Clock::system();
            assert_eq!(context.breadcrumbs().next().and_then(|crumb| crumb.age(&alien, alien.now())), None);
        });
    });
}

#[test]
fn a_breadcrumb_of_a_thread_without_a_universe_is_dated_by_the_system() {
    let before = Clock::system();
    let left = elsewhere(|| {
        breadcrumb("alone", fields! {});
        current()
    });
    let age = left.breadcrumbs().next().and_then(|crumb| crumb.age(&before, before.now()));
    assert!(age.is_some_and(|age| age <= Duration::from_nanos(before.now())), "{age:?}");
}
