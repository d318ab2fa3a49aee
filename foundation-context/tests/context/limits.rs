//! A context is bounded, and says what it lost.

use foundation_context::{
    CORRELATION_ID, Context, Field, Fields, MOST_BYTES, MOST_FIELDS, Secret, Value, correlate, current, field, fields,
    with,
};

use crate::elsewhere;

/// So many names, each once.
fn names(many: usize) -> Vec<&'static str> {
    const SIGNS: &str = "abcdefghijklmnopqrstuvwxyz";
    (0..many).map(|at| &SIGNS[at % 25..=at % 25 + (at / 25).min(1)]).collect()
}

#[test]
fn a_request_that_goes_round_ten_thousand_times_has_a_context_no_larger_than_one_that_went_once() {
    let mut travelling = Context::empty();
    for hop in 0..10_000_u64 {
        travelling =
            travelling.take_on(|| with(fields! { hop: hop, via: "a" }, || with(fields! { via: "b" }, current)));
    }
    assert_eq!(travelling.to_string(), "hop: 9999, via: b");
    assert_eq!((travelling.fields().len(), travelling.cut()), (2, 0));
}

#[test]
fn scopes_within_scopes_within_scopes_have_room_for_each_name_once() {
    fn nest(depth: usize) -> Context {
        if depth == 0 { current() } else { with(fields! { deep: depth, twice: depth }, || nest(depth - 1)) }
    }
    let deep = elsewhere(|| nest(1000));
    assert_eq!(deep.to_string(), "deep: 1, twice: 1");
}

#[test]
fn fields_beyond_the_most_are_left_out_counted_and_marked() {
    let names = names(50);
    assert_eq!(MOST_FIELDS, 64);
    let mut context = Context::empty();
    for name in &names {
        context = context.and([(*name, Value::from(1))].into_iter().collect());
    }
    let more = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10", "n11", "n12", "n13", "n14", "n15", "n16"];
    context = context.and(more.iter().map(|name| (*name, Value::from(2))).collect());
    assert_eq!((context.fields().len(), context.cut()), (MOST_FIELDS, 2));
    assert!(context.get("n14").is_some() && context.get("n15").is_none());
    assert!(context.to_string().ends_with("n14: 2, 2 cut"), "{context}");
    let again = context.and(fields! { a: 3 });
    assert_eq!((again.get("a"), again.cut()), (Some(&Value::from(3)), 2), "a name that is there has its room");
}

#[test]
fn text_beyond_the_most_is_shortened_between_characters_and_marked() {
    let long = "é".repeat(MOST_BYTES);
    let context = Context::empty().and(fields! { long: long });
    let kept = context.get("long").and_then(Value::as_str).expect("it is text");
    assert!(kept.ends_with("é…") && kept.len() <= MOST_BYTES - "long".len(), "{} bytes", kept.len());
    assert!(kept.len() > MOST_BYTES - 10, "no more than has to be");
    let full = context.and(fields! { other: "no room" });
    assert_eq!((full.cut(), full.get("other")), (2, None));
    assert!(full.to_string().ends_with("…, 2 cut"));
    let free = full.and(fields! { long: "short" }).and(fields! { other: "room" });
    assert_eq!(free.to_string(), "long: short, other: room, 2 cut", "what was lost on the way stays counted");
}

#[test]
fn a_field_says_the_same_before_and_after_somebody_took_the_context_along_also_where_that_has_no_room_for_it() {
    let most = fields! { long: "x".repeat(MOST_BYTES - 10) };
    let asks = || (field("long"), field("short"));
    with(most, || {
        with(fields! { short: "y".repeat(20) }, || {
            let before = asks();
            let taken = current();
            assert!((taken.get("short"), taken.cut()) == (None, 1) && before.1.is_some());
            assert_eq!(asks(), before);
            // Below another one, too, and where the taken one was entered it says what that says.
            with(fields! { more: 1 }, || assert_eq!((asks(), current().cut()), (before.clone(), 1)));
            assert_eq!(taken.enter(|| field("short")), None);
        });
    });
}

#[test]
fn an_id_of_all_that_follows_is_kept_also_where_a_context_has_no_room_for_it() {
    with(fields! { long: "x".repeat(MOST_BYTES - 10) }, || {
        with(fields! { correlation_id: "a".repeat(20) }, || {
            assert_eq!(correlate(|| field(CORRELATION_ID)), Some(Value::from("a".repeat(20))));
        });
    });
}

#[test]
fn a_field_that_has_no_room_any_more_does_not_say_what_it_said_before() {
    let almost: Vec<Field> = vec![("a", "x".repeat(MOST_BYTES - 3).into()), ("b", Value::from(1))];
    let context = Context::empty().and(almost.into_iter().collect());
    assert_eq!((context.cut(), context.get("b")), (0, Some(&Value::from(1))));
    let said_anew = context.and(fields! { b: "a long text" });
    assert_eq!((said_anew.cut(), said_anew.get("b")), (1, None));
}

#[test]
fn a_secret_is_not_shortened_but_left_out() {
    let context = Context::empty().and(fields! { key: Secret::new("x".repeat(MOST_BYTES)) });
    assert_eq!((context.get("key"), context.cut(), context.to_string().as_str()), (None, 1, "1 cut"));
}

#[test]
fn all_that_may_be_said_is_within_the_limits_whatever_was_said() {
    let names = names(50);
    let mut context = Context::empty();
    for round in 0..2000_usize {
        let text = "→".repeat(round * 7 % 900);
        context = context.and(Fields::from([(names[round * 13 % 50], Value::from(text))]));
        let bytes: usize = context.fields().iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
        assert!(bytes <= MOST_BYTES && context.fields().len() <= MOST_FIELDS, "{bytes} bytes");
    }
}
