//! A map that is read and written at once.

use std::{
    hash::{BuildHasherDefault, RandomState},
    sync::{Arc, Weak},
};

use foundation_sync::{
    Keyed, Map, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};
use foundation_testkit::{join, spawn};

use super::{Named, Same, fill, holds, named};

/// Runs `read` as long as another thread replaces the one entry of the map: its key is there all the time.
fn while_it_is_replaced(read: impl Fn(&Map<u64, Named>)) {
    let map = Arc::new(Map::<u64, Named>::with_shards(1, RandomState::new()));
    let first = named(0, 0);
    assert_eq!(map.insert_unless(&first, |_| true), Ok(None));
    let done = Arc::new(AtomicBool::new(false));
    let (theirs, over) = (Arc::clone(&map), Arc::clone(&done));
    let kept = Arc::new(Mutex::new(first));
    let keeps = Arc::clone(&kept);
    let writer = spawn(move || {
        let mut others = Vec::new();
        for which in 0..100_000 {
            let next = named(0, which);
            assert!(theirs.insert_unless(&next, |_| false).is_ok());
            // The old one dies here.
            *keeps.lock() = next;
            // The table is made anew meanwhile, again and again.
            if which % 64 < 32 {
                others.push(named(which as u64 + 1, 0));
                assert!(theirs.insert_unless(&others[which % 64], |_| true).is_ok());
            } else {
                assert!(others.pop().is_some_and(|other| theirs.remove(&other)));
            }
        }
        over.store(true, Relaxed);
    });
    while !done.load(Relaxed) {
        read(&map);
    }
    join(writer);
}

#[test]
fn a_key_that_is_replaced_is_there_all_the_time() {
    while_it_is_replaced(|map| assert!(map.get(&0).is_some()));
}

#[test]
fn a_key_that_is_replaced_has_one_value_all_the_time() {
    while_it_is_replaced(|map| assert_eq!(map.values().iter().filter(|value| value.number == 0).count(), 1));
}

#[test]
fn a_key_that_comes_and_goes_never_has_two_values() {
    let map = Arc::new(Map::<u64, Named, _>::with_shards(1, BuildHasherDefault::<Same>::default()));
    let (theirs, done) = (Arc::clone(&map), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&done);
    // What comes after it on the path is found before it when it has gone and come again.
    let writer = spawn(move || {
        let [value, first, second] = [0, 1, 2].map(|number| named(number, 0));
        for _ in 0..50_000 {
            for value in [&first, &second, &value] {
                assert_eq!(theirs.insert_unless(value, |_| true), Ok(None));
            }
            assert!(theirs.remove(&first) && theirs.remove(&value));
            assert_eq!(theirs.insert_unless(&value, |_| true), Ok(None));
            assert!(theirs.remove(&value) && theirs.remove(&second));
        }
        over.store(true, Relaxed);
    });
    while !done.load(Relaxed) {
        assert!(map.values().iter().filter(|value| value.number == 0).count() <= 1);
    }
    join(writer);
}

/// Looks at its map when it is dropped, and has others of its hash there.
struct Nosy {
    number: u64,
    map: Weak<Map<u64, Nosy, BuildHasherDefault<Same>>>,
    dropped: Arc<AtomicUsize>,
}

impl Keyed<u64> for Nosy {
    fn key(&self) -> &u64 {
        &self.number
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        if let Some(map) = self.map.upgrade() {
            assert!(map.get(&self.number).is_none_or(|there| there.number == self.number));
            let other = Arc::new(Nosy { number: 99, map: Weak::new(), dropped: Arc::clone(&self.dropped) });
            if map.insert_unless(&other, |_| true).is_ok() {
                map.remove(&other);
            }
        }
        self.dropped.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_value_that_dies_while_others_look_at_it_is_dropped_where_it_may_use_the_map() {
    let map = Arc::new(Map::<u64, Nosy, _>::with_hasher(BuildHasherDefault::<Same>::default()));
    let dropped = Arc::new(AtomicUsize::new(0));
    let (last, done) = (Arc::clone(&map), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&done);
    // They come by all values, and may be the last to have one.
    let reader = spawn(move || {
        while !over.load(Relaxed) {
            assert!(last.get(&7_777).is_none());
            let own = Arc::new(Nosy { number: 8_888, map: Weak::new(), dropped: Arc::new(AtomicUsize::new(0)) });
            assert!(last.insert_unless(&own, |_| true).is_ok() && last.remove(&own));
        }
    });
    for number in 0..20_000 {
        let (map, dropped) = (Arc::downgrade(&map), Arc::clone(&dropped));
        let value = Arc::new(Nosy { number: number % 5, map: Weak::clone(&map), dropped });
        assert!(map.upgrade().is_some_and(|map| map.insert_unless(&value, |_| false).is_ok()));
    }
    done.store(true, Relaxed);
    join(reader);
    assert!(dropped.load(Relaxed) >= 20_000, "each, and those they make");
}

#[test]
fn what_stays_is_found_by_readers_while_writers_come_and_go() {
    let map = Arc::new(Map::<u64, Named>::new());
    let entries = Arc::new(fill(&map, 100));
    let done = Arc::new(AtomicBool::new(false));
    let readers = [(); 2].map(|()| {
        let (map, entries, done) = (Arc::clone(&map), Arc::clone(&entries), Arc::clone(&done));
        spawn(move || {
            while !done.load(Relaxed) {
                for value in &*entries {
                    assert!(map.get(&value.number).is_some_and(|there| Arc::ptr_eq(&there, value)), "{value:?}");
                }
            }
        })
    });
    let writers = [100, 10_000].map(|first| {
        let map = Arc::clone(&map);
        spawn(move || {
            for round in 0..20 {
                let more: Vec<_> = (first..first + round * 50).map(|number| named(number, 0)).collect();
                for value in &more {
                    assert_eq!(map.insert_unless(value, |_| true), Ok(None));
                }
                assert!(more.iter().all(|value| map.remove(value)));
            }
        })
    });
    writers.into_iter().for_each(join);
    done.store(true, Relaxed);
    readers.into_iter().for_each(join);
    holds(&map, &entries);
}
