//! How a document is changed so that what a person wrote into it stays: only values that are others than before are
//! touched, and with what stands around them.

use toml_edit::{Array, InlineTable, Item, Table, TableLike, Value, value};

/// Sets a value in its place, with what a person wrote around it. One that is there already is left as it is written.
pub(super) fn set(table: &mut dyn TableLike, key: &str, new: impl Into<Value>) {
    let mut new = new.into();
    match table.get_mut(key) {
        Some(Item::Value(there)) => {
            if let (Value::Array(there), Value::Array(new)) = (&mut *there, &new) {
                return keep(there, new);
            }
            if !same(there, &new) {
                *new.decor_mut() = there.decor().clone();
                *there = new;
            }
        }
        Some(other) => *other = value(new),
        None => _ = table.insert(key, value(new)),
    }
}

/// A text on one line: what ends a line within it is not taken for the end of one of the file's.
pub(super) fn word(text: &str) -> Value {
    if !text.contains(['\n', '\r']) {
        return text.into();
    }
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted += &format!("\\u{:04X}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted.parse().expect("quotes, backslashes and control characters are escaped")
}

/// What is to be written, or nothing.
pub(super) fn set_or_remove(table: &mut dyn TableLike, key: &str, new: Option<impl Into<Value>>) {
    match new {
        Some(new) => set(table, key, new),
        None => _ = table.remove(key),
    }
}

/// Takes out what is not in the new list, and adds what is not in the old one.
fn keep(there: &mut Array, new: &Array) {
    let has = |array: &Array, value: &Value| array.iter().any(|other| same(other, value));
    there.retain(|value| has(new, value));
    let missing: Vec<_> = new.iter().filter(|value| !has(there, value)).cloned().collect();
    missing.into_iter().for_each(|value| there.push(value));
    if there.len() != new.len() || !there.iter().zip(new).all(|(one, other)| same(one, other)) {
        there.clear();
        new.iter().for_each(|value| there.push(value.clone()));
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one.value() == other.value(),
        (Value::String(one), Value::String(other)) => one.value() == other.value(),
        (Value::Boolean(one), Value::Boolean(other)) => one.value() == other.value(),
        _ => false,
    }
}

/// Nothing is said there any more; but if a person wrote something beside it, that stays, beside an empty table.
pub(super) fn clear(table: &mut dyn TableLike, key: &str) {
    let commented = table.get_key_value(key).is_some_and(|(key, item)| {
        let around = [Some(key.leaf_decor()), item.as_value().map(Value::decor), item.as_table().map(Table::decor)];
        around.into_iter().flatten().any(|decor| {
            let parts = [decor.prefix(), decor.suffix()];
            parts.into_iter().flatten().any(|part| part.as_str().is_some_and(|text| text.contains('#')))
        })
    });
    match table.get_mut(key) {
        Some(Item::Value(there)) if commented => {
            let mut none = Value::from(InlineTable::new());
            *none.decor_mut() = there.decor().clone();
            *there = none;
        }
        Some(Item::Table(there)) if commented => there.clear(),
        _ => _ = table.remove(key),
    }
}

/// A table that is made at the end stands behind what a person wrote there.
pub(super) fn stand_behind(table: &mut Table, end: &mut String) {
    if !end.trim().is_empty() {
        table.decor_mut().set_prefix(format!("{}\n\n", std::mem::take(end).trim_end()));
    }
}

/// The table of this name, in whichever way it is written; made if there is none.
pub(super) fn table_in<'a>(
    table: &'a mut dyn TableLike,
    key: &str,
    new: impl FnOnce() -> Item,
) -> &'a mut dyn TableLike {
    let item = table.entry(key).or_insert_with(new);
    item.as_table_like_mut().expect("it is read before it is written, and a new one is a table")
}
