//! What fields promise.

use foundation_context::{Field, Fields, Secret, Value, fields};

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

#[test]
fn values_are_equal_when_they_say_the_same_however_they_are_kept() {
    let (one, text) = (Value::from(1_i32), Value::from("tea"));
    assert_eq!(one, Value::from(1_u64));
    assert_eq!(text, Value::from("tea".to_owned()));
    let others = [Value::from(-1), Value::from(1.0), Value::from(true), Value::from("1"), Secret::new("tea").into()];
    for other in others {
        assert!(one != other && text != other, "{other:?}");
    }
    assert_ne!(Value::from(-1), Value::from(u64::MAX));
    assert_eq!(Value::from(Secret::new("tea")), Value::from(Secret::new("tea")));
}
