//! The map on real threads.
#![cfg(not(any(loom, shuttle)))]

mod afterwards;
mod last_word;
mod memory;
mod races;
mod values;

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    sync::Arc,
};

use foundation_sync::{Keyed, Map};

/// Has a number and a name: the keys of two maps.
#[derive(Debug, PartialEq)]
struct Named {
    name: String,
    number: u64,
    which: usize,
}

impl Keyed<String> for Named {
    fn key(&self) -> &String {
        &self.name
    }
}

impl Keyed<u64> for Named {
    fn key(&self) -> &u64 {
        &self.number
    }
}

fn named(number: u64, which: usize) -> Arc<Named> {
    Arc::new(Named { name: format!("name {number}"), number, which })
}

/// Sends all keys to the same place.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

/// A number's hash is the number, moved to the left by so many bits.
#[derive(Default)]
struct Itself<const LEFT: u32>(u64);

impl<const LEFT: u32> Hasher for Itself<LEFT> {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a number is no bytes");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number << LEFT;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type ByNumber<H> = Map<u64, Named, BuildHasherDefault<H>>;

fn fill<K: Eq + Hash, S: BuildHasher>(map: &Map<K, Named, S>, numbers: u64) -> Vec<Arc<Named>>
where
    Named: Keyed<K>,
{
    let entries: Vec<_> = (0..numbers).map(|number| named(number, 0)).collect();
    for value in &entries {
        assert_eq!(map.insert_unless(value, |_| true), Ok(None));
    }
    entries
}

#[track_caller]
fn holds<K: Eq + Hash + Sync, S: BuildHasher>(map: &Map<K, Named, S>, entries: &[Arc<Named>])
where
    Named: Keyed<K>,
{
    assert_eq!((map.len(), map.is_empty()), (entries.len(), entries.is_empty()));
    for value in entries {
        let key = Keyed::<K>::key(&**value);
        assert!(map.get(key).is_some_and(|there| Arc::ptr_eq(&there, value)), "{value:?}");
    }
    let numbers = |values: &[Arc<Named>]| {
        let mut numbers: Vec<_> = values.iter().map(|value| value.number).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(&map.values()), numbers(entries));
}

#[test]
fn a_map_holds_what_was_put_in_while_it_grows_and_when_half_is_gone() {
    let map = Map::<String, Named>::new();
    let mut entries = fill(&map, 10_000);
    holds(&map, &entries);
    for value in entries.split_off(5_000) {
        assert!(map.remove(&value));
        assert!(!map.remove(&value), "it is gone");
    }
    holds(&map, &entries);
    assert_eq!(map.get("name 5000"), None);
}

#[test]
fn a_value_stands_in_several_maps_by_several_keys() {
    let (by_name, by_number, value) = (Map::<String, Named>::new(), Map::<u64, Named>::new(), named(1, 0));
    assert_eq!(by_name.insert_unless(&value, |_| true), Ok(None));
    assert_eq!(by_number.insert_unless(&value, |_| true), Ok(None));
    assert_eq!((by_name.get("name 1"), by_number.get(&1)), (Some(Arc::clone(&value)), Some(Arc::clone(&value))));
    assert!(by_name.remove(&value));
    assert_eq!((by_name.get("name 1"), by_number.get(&1)), (None, Some(value)));
}

#[test]
fn hashes_that_are_badly_spread_are_no_worse() {
    #[track_caller]
    fn check<const LEFT: u32>() {
        let map = ByNumber::<Itself<LEFT>>::default();
        // What a good hasher takes is some tens of thousands of steps; were a path as long as all, hundreds of millions.
        let mut entries = fill(&map, 30_000);
        holds(&map, &entries);
        for value in entries.split_off(100) {
            assert!(map.remove(&value));
        }
        holds(&map, &entries);
    }
    check::<0>();
    check::<8>();
    check::<20>();
    check::<32>();
    check::<40>();
    check::<48>();
}

#[test]
fn a_hasher_that_sends_all_keys_to_one_place_makes_a_map_slow_and_no_worse() {
    let map = Map::<String, Named, _>::with_hasher(BuildHasherDefault::<Same>::default());
    let mut entries = fill(&map, 300);
    // From the middle of the one path, its beginning and its end.
    for at in [150, 0, 297] {
        assert!(map.remove(&entries.remove(at)));
    }
    holds(&map, &entries);
}

#[test]
fn the_dead_of_one_hash_are_left_out_by_who_meets_them_and_hide_nobody() {
    let map = Map::<String, Named, _>::with_hasher(BuildHasherDefault::<Same>::default());
    let mut entries = fill(&map, 9);
    for at in [6, 4, 0] {
        entries.remove(at);
    }
    assert_eq!((map.len(), map.values().len()), (9, 6), "the dead count, and are no values");
    for value in &entries {
        assert_eq!(map.get(&value.name), Some(Arc::clone(value)));
    }
    assert_eq!(map.get("name 4"), None);
    // Who puts something in comes by all of the hash.
    let new = named(4, 1);
    assert_eq!(map.insert_unless(&new, |_| true), Ok(None), "its predecessor is dead");
    entries.push(new);
    holds(&map, &entries);
    // Who takes something out comes by those before it.
    let map = Map::<String, Named, _>::with_hasher(BuildHasherDefault::<Same>::default());
    let [first, second, third] = [1, 2, 3].map(|number| named(number, 0));
    for value in [&first, &second, &third] {
        assert_eq!(map.insert_unless(value, |_| true), Ok(None));
    }
    drop(first);
    assert!(map.remove(&third));
    holds(&map, &[second]);
}

#[test]
fn a_successor_is_neither_replaced_nor_removed_by_mistake() {
    let map = Map::<String, Named>::new();
    let (first, second) = (named(0, 1), named(0, 2));
    assert_eq!(map.insert_unless(&first, |_| true), Ok(None));
    assert_eq!(map.insert_unless(&second, |there| there.which == 1), Err(Arc::clone(&first)));
    assert_eq!(map.insert_unless(&second, |there| there.which != 1), Ok(Some(Arc::clone(&first))));
    assert!(!map.remove(&first));
    assert_eq!((map.get("name 0"), map.len()), (Some(Arc::clone(&second)), 1));
    drop(second);
    assert_eq!((map.get("name 0"), map.len()), (None, 1), "the entry is there until it is removed or replaced");
    assert_eq!((map.insert_unless(&first, |_| true), map.len()), (Ok(None), 1));
}

/// What comes by chance, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn a_map_agrees_with_std_s_whatever_happens() {
    #[track_caller]
    fn check<S: BuildHasher + Default>(shards: usize, keys: u64) {
        let mut dice = Dice(keys);
        let (map, mut model) = (Map::<u64, Named, S>::with_shards(shards, S::default()), HashMap::new());
        for step in 0..30_000 {
            // By turns more come than go, and more go than come.
            let comes = if step / 5_000 % 2 == 0 { 8 } else { 2 };
            let number = dice.below(keys);
            let (next, keep) = (named(number, step), dice.below(2) == 0);
            match (dice.below(10) < comes, model.entry(number)) {
                (true, Entry::Vacant(none)) => {
                    assert_eq!(map.insert_unless(&next, |_| unreachable!("there is none")), Ok(None));
                    none.insert(next);
                }
                (true, Entry::Occupied(there)) if keep => {
                    assert_eq!(map.insert_unless(&next, |_| true), Err(Arc::clone(there.get())));
                }
                (true, Entry::Occupied(mut there)) => {
                    let old = there.insert(Arc::clone(&next));
                    assert_eq!(map.insert_unless(&next, |_| false), Ok(Some(old)));
                }
                (false, Entry::Occupied(there)) => {
                    assert!(!map.remove(&next), "another of the same key");
                    let old = there.remove();
                    // Or it dies where it is.
                    assert!(keep || map.remove(&old));
                }
                (false, Entry::Vacant(_)) => assert!(!map.remove(&next)),
            }
            assert_eq!(map.get(&number), model.get(&number).cloned());
            if step % 500 == 0 {
                let mut values = map.values();
                values.sort_unstable_by_key(|value| value.number);
                let mut expected: Vec<_> = model.values().cloned().collect();
                expected.sort_unstable_by_key(|value| value.number);
                assert_eq!(values, expected);
            }
        }
    }
    check::<RandomState>(64, 10_000);
    check::<RandomState>(1, 2_000);
    check::<RandomState>(1, 20);
    check::<BuildHasherDefault<Itself<0>>>(4, 1_000);
    check::<BuildHasherDefault<Same>>(64, 40);
}
