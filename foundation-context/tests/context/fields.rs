//! What fields promise.

use foundation_context::{Field, Fields, Value, fields};

#[test]
fn fields_are_the_same_however_many_there_are_and_however_they_were_made() {
    let all: Vec<Field> = ["a", "b", "c", "d"].into_iter().map(|name| (name, Value::from(name))).collect();
    let made = [fields! {}, fields! { a: "a" }, fields! { a: "a", b: "b" }, fields! { a: "a", b: "b", c: "c" }];
    for (many, made) in made.into_iter().enumerate() {
        let collected: Fields = all[..many].iter().cloned().collect();
        assert_eq!((made.len(), made.is_empty()), (many, many == 0));
        assert_eq!(made, collected);
        assert_ne!(made, all[..=many].iter().cloned().collect());
        assert_eq!(made.iter().map(|(name, _)| *name).collect::<String>(), "abcd"[..many]);
        assert_eq!((&made).into_iter().cloned().collect::<Fields>(), made.clone().into_iter().collect());
    }
    assert_eq!(Fields::from([all[0].clone(), all[1].clone()]), fields! { a: "a", b: "b", });
    assert_eq!(Fields::default(), Fields::from([]));
}

#[test]
fn a_name_that_comes_twice_says_what_it_said_last() {
    assert_eq!(fields! { a: 1, a: 2 }.get("a"), Some(&Value::from(2)));
}
