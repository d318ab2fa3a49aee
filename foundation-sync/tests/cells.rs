//! The map, the snapshot and the cell that is written once, on real threads.
#![cfg(not(any(loom, shuttle)))]

use std::{
    cell::RefCell,
    hash::{BuildHasherDefault, Hash, Hasher},
    io::Write,
    process::Command,
    sync::Arc,
};

use foundation_sync::{
    Cached, Map, Mutex, Once, Snapshot,
    atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};
use foundation_testkit::{join, spawn, wait_for};

/// Sends all keys to the same place.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

fn fill<S: std::hash::BuildHasher>(map: &Map<Arc<str>, usize, S>, names: usize) -> Vec<(Arc<str>, Arc<usize>)> {
    let entries: Vec<(Arc<str>, _)> = (0..names).map(|n| (format!("name {n}").into(), Arc::new(n))).collect();
    for (name, value) in &entries {
        assert_eq!(map.insert_unless(Arc::clone(name), value, |_| true), Ok(None));
    }
    entries
}

#[track_caller]
fn holds<S: std::hash::BuildHasher>(map: &Map<Arc<str>, usize, S>, entries: &[(Arc<str>, Arc<usize>)]) {
    assert_eq!((map.len(), map.is_empty()), (entries.len(), entries.is_empty()));
    for (name, value) in entries {
        assert!(map.get(&**name).is_some_and(|there| Arc::ptr_eq(&there, value)), "{name}");
    }
    let mut values: Vec<_> = map.values().iter().map(|value| **value).collect();
    values.sort_unstable();
    assert!(values.iter().eq(entries.iter().map(|(_, value)| &**value)));
}

#[test]
fn a_map_holds_what_was_put_in_while_it_grows_and_when_half_is_gone() {
    let map = Map::new();
    let mut entries = fill(&map, 10_000);
    holds(&map, &entries);
    for (name, value) in entries.split_off(5_000) {
        assert!(map.remove(&name, &value));
        assert!(!map.remove(&name, &value), "it is gone");
    }
    holds(&map, &entries);
}

#[test]
fn a_hasher_that_sends_all_keys_to_one_place_makes_a_map_slow_and_no_worse() {
    let map = Map::with_hasher(BuildHasherDefault::<Same>::default());
    let mut entries = fill(&map, 300);
    // From the middle of the one chain, its beginning and its end.
    for at in [150, 0, 297] {
        let (name, value) = entries.remove(at);
        assert!(map.remove(&name, &value));
    }
    holds(&map, &entries);
}

#[test]
fn a_successor_is_neither_replaced_nor_removed_by_mistake() {
    let map = Map::<&str, u8>::new();
    let (first, second) = (Arc::new(1), Arc::new(2));
    assert_eq!(map.insert_unless("name", &first, |_| true), Ok(None));
    assert_eq!(map.insert_unless("name", &second, |there| *there == 1), Err(Arc::clone(&first)));
    assert_eq!(map.insert_unless("name", &second, |there| *there != 1), Ok(Some(Arc::clone(&first))));
    assert!(!map.remove("name", &first));
    assert_eq!((map.get("name"), map.len()), (Some(Arc::clone(&second)), 1));
    drop(second);
    assert_eq!((map.get("name"), map.len()), (None, 1), "the entry is there until it is removed or replaced");
    assert_eq!(map.insert_unless("name", &first, |_| true), Ok(None));
}

/// A key that says how many of it there are.
#[derive(Clone)]
struct Counted(usize, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn what_comes_and_goes_in_a_large_map_does_not_pile_up() {
    let (map, token, value) = (Map::<Counted, ()>::new(), Arc::new(()), Arc::new(()));
    let key = |n| Counted(n, Arc::clone(&token));
    for n in 0..13_000 {
        assert_eq!(map.insert_unless(key(n), &value, |_| true), Ok(None));
    }
    let come_and_go = |n: usize| {
        let key = key(13_000 + n % 100);
        assert_eq!(map.insert_unless(key.clone(), &value, |_| true), Ok(None));
        assert!(map.remove(&key, &value));
    };
    (0..200_000).for_each(come_and_go);
    // Somebody who reads when others run keeps garbage from being freed for a while. (In scc's index, as full as this, it
    // stayed for ever.)
    wait_for(|| {
        (0..1_000).for_each(come_and_go);
        Arc::strong_count(&token) < 14_000
    });
}

#[test]
fn a_hasher_that_sends_all_keys_to_one_place_does_not_make_what_is_gone_pile_up() {
    let (map, token) = (Map::with_hasher(BuildHasherDefault::<Same>::default()), Arc::new(()));
    let values: Vec<_> = (0..200).map(Arc::new).collect();
    let key = |n| Counted(n, Arc::clone(&token));
    let mut next = 0;
    // The oldest goes: of the one chain it is the last, behind all others, which are copied.
    let mut come_and_go = |times| {
        for n in next..next + times {
            assert_eq!(map.insert_unless(key(n), &values[n % 200], |_| true), Ok(None));
            if let Some(oldest) = n.checked_sub(199) {
                assert!(map.remove(&key(oldest), &values[oldest % 200]));
            }
        }
        next += times;
    };
    come_and_go(8_000);
    // Of 1,600,000.
    wait_for(|| {
        come_and_go(200);
        Arc::strong_count(&token) < 100_000
    });
}

/// Uses some map, many times each time: whoever reads when others run keeps garbage from being freed for a while.
#[track_caller]
fn go_on_until_freed(token: &Arc<()>) {
    let other = Map::<u8, ()>::new();
    wait_for(|| {
        assert!((0..20_000).all(|_| other.get(&0).is_none()));
        Arc::strong_count(token) == 1
    });
}

#[test]
fn a_map_that_is_dropped_is_freed_as_its_thread_goes_on() {
    let (map, token, value) = (Map::<Counted, ()>::new(), Arc::new(()), Arc::new(()));
    for n in 0..100_000 {
        assert_eq!(map.insert_unless(Counted(n, Arc::clone(&token)), &value, |_| true), Ok(None));
    }
    drop(map);
    go_on_until_freed(&token);
}

#[test]
fn a_long_chain_is_freed_on_a_small_stack() {
    let fills_and_drops = || {
        let (token, value) = (Arc::new(()), Arc::new(()));
        let map = Map::with_hasher(BuildHasherDefault::<Same>::default());
        for n in 0..1_000 {
            assert_eq!(map.insert_unless(Counted(n, Arc::clone(&token)), &value, |_| true), Ok(None));
        }
        drop(map);
        go_on_until_freed(&token);
    };
    join(thread::Builder::new("small").stack(thread::LEAST_STACK).spawn(fills_and_drops).expect("there is memory"));
}

#[test]
fn values_that_are_gone_do_not_make_a_map_grow() {
    let map = Map::new();
    let mut entries = fill(&map, 100);
    for n in 0..100_000 {
        assert_eq!(map.insert_unless(format!("gone {n}").into(), &Arc::new(n), |_| true), Ok(None));
    }
    assert!((100..4_000).contains(&map.len()), "{}", map.len());
    for (name, value) in &entries {
        assert!(map.get(&**name).is_some_and(|there| Arc::ptr_eq(&there, value)), "{name}");
    }
    assert_eq!(map.values().len(), 100);
    let (name, value) = entries.remove(0);
    assert!(map.remove(&name, &value));
}

#[test]
fn a_key_that_is_replaced_is_there_all_the_time() {
    let map = Arc::new(Map::<&str, usize>::new());
    let first = Arc::new(0);
    assert_eq!(map.insert_unless("name", &first, |_| true), Ok(None));
    let done = Arc::new(AtomicBool::new(false));
    let (theirs, over) = (Arc::clone(&map), Arc::clone(&done));
    let kept = Arc::new(Mutex::new(Arc::clone(&first)));
    let keeps = Arc::clone(&kept);
    drop(first);
    let writer = spawn(move || {
        for n in 0..200_000 {
            let next = Arc::new(n);
            assert!(theirs.insert_unless("name", &next, |_| false).is_ok());
            // The old one dies here.
            *keeps.lock() = next;
        }
        over.store(true, Relaxed);
    });
    while !done.load(Relaxed) {
        assert!(map.get("name").is_some());
        assert_eq!(map.values().len(), 1);
    }
    join(writer);
}

/// Uses its map when it is dropped.
struct Last(Map<String, u8>, Arc<u8>);

impl Drop for Last {
    fn drop(&mut self) {
        let Self(map, value) = self;
        assert_eq!(map.get("before"), Some(Arc::clone(value)));
        assert_eq!(map.insert_unless("last".into(), value, |_| true), Ok(None));
        assert_eq!(map.insert_unless("last".into(), value, |there| *there == 1), Err(Arc::clone(value)));
        assert!(map.remove("before", value));
        assert_eq!((map.get("before"), map.get("last"), map.values().len()), (None, Some(Arc::clone(value)), 1));
        // A failure ends the process.
        writeln!(std::io::stdout(), "the last word").expect("it is read");
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[test]
fn a_map_can_be_used_when_a_thread_drops_its_locals() {
    const CHILD: &str = "FOUNDATION_LAST_WORD";
    if std::env::var_os(CHILD).is_some() {
        // What was there first is dropped last: when what the map keeps for the thread is gone.
        join(spawn(|| {
            LAST.set(None);
            let (map, value) = (Map::new(), Arc::new(1));
            assert_eq!(map.insert_unless("before".into(), &value, |_| true), Ok(None));
            LAST.set(Some(Last(map, value)));
        }));
        return;
    }
    let child = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "a_map_can_be_used_when_a_thread_drops_its_locals", "--nocapture"])
        .env(CHILD, "")
        .output()
        .expect("it can be run again");
    let said = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && said.0.contains("the last word"), "{said:?}");
}

#[test]
fn what_stays_is_found_by_readers_while_writers_come_and_go() {
    let map = Arc::new(Map::new());
    let entries = Arc::new(fill(&map, 100));
    let done = Arc::new(AtomicBool::new(false));
    let readers = [(); 2].map(|()| {
        let (map, entries, done) = (Arc::clone(&map), Arc::clone(&entries), Arc::clone(&done));
        spawn(move || {
            while !done.load(Relaxed) {
                for (name, value) in &*entries {
                    assert!(map.get(&**name).is_some_and(|there| Arc::ptr_eq(&there, value)), "{name}");
                }
            }
        })
    });
    let writers = [0, 1].map(|writer| {
        let map = Arc::clone(&map);
        spawn(move || {
            for round in 0..20 {
                let more: Vec<(Arc<str>, _)> =
                    (0..round * 50).map(|n| (format!("{writer} {n}").into(), Arc::new(n))).collect();
                for (name, value) in &more {
                    assert_eq!(map.insert_unless(Arc::clone(name), value, |_| true), Ok(None));
                }
                assert!(more.iter().all(|(name, value)| map.remove(name, value)));
            }
        })
    });
    writers.into_iter().for_each(join);
    done.store(true, Relaxed);
    readers.into_iter().for_each(join);
    holds(&map, &entries);
}

#[test]
fn a_cached_reader_keeps_its_value_alive_until_it_looks_again() {
    let cell = Arc::new(Snapshot::new("old"));
    let mut reader = Cached::new(Arc::clone(&cell));
    let other = reader.clone();
    let old = cell.swap(Arc::new("new"));
    assert_eq!(Arc::strong_count(&old), 3, "ours and the readers'");
    assert_eq!(**reader.load(), "new");
    drop(other);
    assert_eq!(Arc::strong_count(&old), 1);
}

#[test]
fn a_value_that_panics_while_it_is_made_leaves_the_cell_empty() {
    let cell = Once::new();
    let made = std::panic::catch_unwind(|| *cell.get_or(|| std::panic::resume_unwind(Box::new("no"))));
    assert!(made.is_err());
    assert_eq!(cell.get(), None);
    assert_eq!((cell.get_or(|| 1), cell.set(2)), (&1, Err(2)));
}
