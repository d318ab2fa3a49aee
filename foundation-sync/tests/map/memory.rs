//! What a map takes, and gives back.

use std::{
    hash::{BuildHasherDefault, Hasher, RandomState},
    sync::Arc,
};

use foundation_sync::{Keyed, Map, thread};
use foundation_testkit::{join, wait_for};

use super::{ByNumber, Dice, Itself, Named, Same, fill, holds, named};

#[test]
fn a_map_gives_memory_back_when_a_burst_is_over() {
    let map = Map::<u64, Named>::new();
    let empty = map.bytes();
    let few = fill(&map, 64);
    let least = map.bytes();
    drop(few);
    let mut entries = fill(&map, 100_000);
    let most = map.bytes();
    // A place or three for each, and the entry.
    assert!((100_000 * 40..100_000 * 64).contains(&most), "{most}");
    // There are only removals, and they are not in the order in which they came.
    let mut dice = Dice(1);
    for left in (0..entries.len()).rev() {
        let gone = entries.swap_remove(dice.below(left as u64 + 1) as usize);
        assert!(map.remove(&gone));
        if left == 1_000 {
            assert!(map.bytes() < most / 20, "{} of {most}", map.bytes());
            holds(&map, &entries);
        }
    }
    assert!(map.is_empty() && (empty..2 * least).contains(&map.bytes()), "{} of {least}", map.bytes());
}

#[test]
fn a_map_whose_values_have_died_gives_memory_back_when_it_is_used() {
    let map = Map::<u64, Named, RandomState>::with_shards(1, RandomState::new());
    drop(fill(&map, 10_000));
    let most = map.bytes();
    // Until the table is full of the dead.
    for number in 10_000..30_000 {
        assert_eq!(map.insert_unless(&named(number, 0), |_| true), Ok(None));
    }
    assert!(map.bytes() < most / 20, "{} of {most}", map.bytes());
}

#[test]
fn coming_and_going_does_not_make_a_table_anew_each_time() {
    let map = Map::<u64, Named, RandomState>::with_shards(1, RandomState::new());
    let mut entries = Vec::new();
    for number in 0..3_000 {
        // At each size: a size that is at the boundary would be left and come to all the time.
        let (before, mut changes) = (map.bytes() - 32 * map.len(), 0);
        let mut last = before;
        for _ in 0..8 {
            let value = named(number, 0);
            assert_eq!(map.insert_unless(&value, |_| true), Ok(None));
            assert!(map.remove(&value));
            let now = map.bytes() - 32 * map.len();
            changes += usize::from(now != last);
            last = now;
        }
        assert!(changes <= 1, "{changes} at {number}");
        let value = named(number, 0);
        assert_eq!(map.insert_unless(&value, |_| true), Ok(None));
        entries.push(value);
    }
    holds(&map, &entries);
}

#[test]
fn a_small_map_costs_little_until_something_is_put_in() {
    type Small = Map<u64, Named, BuildHasherDefault<Itself<0>>>;
    let map = Small::with_shards(1, BuildHasherDefault::default());
    assert!(size_of::<Small>() + map.bytes() <= 128, "{} + {}", size_of::<Small>(), map.bytes());
    assert!(map.get(&0).is_none() && map.values().is_empty() && !map.remove(&named(0, 0)));
    let before = map.bytes();
    let entries = fill(&map, 1_000);
    holds(&map, &entries);
    assert!(map.bytes() > before);
    for (asked, parts) in [(0, 1), (3, 4), (64, 64), (1_000, 64)] {
        assert_eq!(Small::with_shards(asked, BuildHasherDefault::default()).bytes(), parts * before, "{asked}");
    }
}

/// Says how many of it there are in memory, dead or alive: each holds its token until it is *freed*, not dropped.
struct Nothing(u64);

impl Keyed<u64> for Nothing {
    fn key(&self) -> &u64 {
        &self.0
    }
}

type Numbers<S = RandomState> = Map<u64, Nothing, S>;

/// How many links hold this value weakly: also those that wait to be freed.
fn links(value: &Arc<Nothing>) -> usize {
    Arc::weak_count(value)
}

#[test]
fn what_comes_and_goes_in_a_large_map_does_not_pile_up() {
    let map = Numbers::<RandomState>::new();
    let stays: Vec<_> = (0..13_000).map(|number| Arc::new(Nothing(number))).collect();
    for value in &stays {
        assert!(map.insert_unless(value, |_| true).is_ok_and(|there| there.is_none()));
    }
    let by_turns: Vec<_> = (13_000..13_100).map(|number| Arc::new(Nothing(number))).collect();
    let come_and_go = |n: usize| {
        let value = &by_turns[n % by_turns.len()];
        assert!(map.insert_unless(value, |_| true).is_ok());
        assert!(map.remove(value));
    };
    (0..200_000).for_each(come_and_go);
    // Somebody who reads when others run keeps garbage from being freed for a while. (In scc's index, as full as this, it
    // stayed for ever.)
    wait_for(|| {
        (0..1_000).for_each(come_and_go);
        by_turns.iter().map(links).sum::<usize>() < 1_000
    });
    assert!(map.bytes() < 13_000 * 64);
}

#[test]
fn a_hasher_that_sends_all_keys_to_one_place_does_not_make_what_is_gone_pile_up() {
    let map = Numbers::with_shards(1, BuildHasherDefault::<Same>::default());
    let values: Vec<_> = (0..200).map(|number| Arc::new(Nothing(number))).collect();
    let mut next = 0;
    // The oldest goes, the first of the one path.
    let mut come_and_go = |times| {
        for n in next..next + times {
            assert!(map.insert_unless(&values[n % 200], |_| true).is_ok());
            if let Some(oldest) = n.checked_sub(199) {
                assert!(map.remove(&values[oldest % 200]));
            }
        }
        next += times;
    };
    come_and_go(8_000);
    wait_for(|| {
        come_and_go(200);
        values.iter().map(links).sum::<usize>() < 2_000
    });
    assert!(map.bytes() < 200 * 64);
}

/// Uses some map, many times each time, until nobody but ours has the value any more: whoever reads when others run keeps
/// garbage from being freed for a while.
#[track_caller]
fn go_on_until_freed(values: &[Arc<Nothing>]) {
    let other = Numbers::<RandomState>::new();
    wait_for(|| {
        assert!((0..20_000).all(|_| other.get(&0).is_none()));
        values.iter().all(|value| links(value) == 0)
    });
}

#[test]
fn a_map_that_is_dropped_is_freed_as_its_thread_goes_on() {
    let map = Numbers::<RandomState>::new();
    let values: Vec<_> = (0..100_000).map(|number| Arc::new(Nothing(number))).collect();
    for value in &values {
        assert!(map.insert_unless(value, |_| true).is_ok());
    }
    assert!(values.iter().all(|value| links(value) >= 1));
    drop(map);
    go_on_until_freed(&values);
}

#[test]
fn a_long_path_is_freed_on_a_small_stack() {
    let fills_and_drops = || {
        let map = Numbers::with_hasher(BuildHasherDefault::<Same>::default());
        let values: Vec<_> = (0..1_000).map(|number| Arc::new(Nothing(number))).collect();
        for value in &values {
            assert!(map.insert_unless(value, |_| true).is_ok());
        }
        drop(map);
        go_on_until_freed(&values);
    };
    join(thread::Builder::new("small").stack(thread::LEAST_STACK).spawn(fills_and_drops).expect("there is memory"));
}

#[test]
fn values_that_are_gone_do_not_make_a_map_grow() {
    let map = Map::<u64, Named>::new();
    let mut entries = fill(&map, 100);
    let before = map.bytes();
    for number in 100..100_000 {
        assert_eq!(map.insert_unless(&named(number, 0), |_| true), Ok(None));
    }
    assert!((100..4_000).contains(&map.len()), "{}", map.len());
    assert!(map.bytes() < 20 * before, "{} of {before}", map.bytes());
    for value in &entries {
        assert_eq!(map.get(&value.number), Some(Arc::clone(value)));
    }
    assert_eq!(map.values().len(), 100);
    assert!(map.remove(&entries.remove(0)));
}

#[test]
fn a_table_is_made_smaller_when_there_are_16_places_for_each_entry() {
    let map = Map::<u64, Named, RandomState>::with_shards(1, RandomState::new());
    let mut entries = fill(&map, 10_000);
    // What is beside the places is less than half of them.
    let places = |map: &Map<u64, Named>| (((map.bytes() - 32 * map.len()) / 8) as u64).ilog2();
    let before = places(&map);
    while places(&map) == before {
        let gone = entries.pop().expect("an empty map has few places");
        assert!(map.remove(&gone));
    }
    assert_eq!(entries.len(), (1 << before) / 16);
    holds(&map, &entries);
}

/// Those below a thousand have one hash, the others one for each two.
#[derive(Default)]
struct ByTwos(u64);

impl Hasher for ByTwos {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a number is no bytes");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = if number < 1_000 { 0 } else { number / 2 };
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[test]
fn places_that_are_gone_are_used_again_and_do_not_fill_a_table() {
    let map = ByNumber::<ByTwos>::with_shards(1, BuildHasherDefault::default());
    let mut entries = fill(&map, 40);
    // A table that is made anew leaves it out; nobody of its hash comes by.
    assert_eq!(map.insert_unless(&named(5_000, 0), |_| true), Ok(None));
    for _ in 0..200 {
        // There are others behind it, so its place is gone, and not empty.
        let first = entries.remove(0);
        assert!(map.remove(&first));
        assert_eq!(map.insert_unless(&first, |_| true), Ok(None));
        entries.push(first);
    }
    assert_eq!(map.len(), 41, "they come to the place that has become free");
    for number in 10_000..10_200 {
        let [first, second] = [0, 1].map(|more| named(2 * number + more, 0));
        for value in [&first, &second] {
            assert_eq!(map.insert_unless(value, |_| true), Ok(None));
        }
        // The first one's place is gone until the second one's is empty.
        assert!(map.remove(&first) && map.remove(&second));
    }
    assert_eq!(map.len(), 41, "they leave nothing behind");
}
