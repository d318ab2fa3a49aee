//! A snapshot: swapped, updated, loaded, read from a cache.

use std::sync::Arc;

use foundation_sync::{
    Cached, Mutex, Snapshot,
    atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};
use foundation_testkit::{explore, join, reached, spawn};

fn plus<const N: usize>(cell: &Snapshot<usize>) -> (Arc<usize>, Arc<usize>) {
    cell.update(|now| Ok::<_, ()>(now + N)).expect("it does not fail")
}

#[test]
fn no_update_of_a_snapshot_is_lost() {
    explore("no update of a snapshot is lost")
        .reaches(&["snapshot: somebody else was faster"])
        .catches(&["snapshot: update does not compare"])
        .run(|| {
            let cell = Arc::new(Snapshot::new(0));
            let same = Arc::clone(&cell);
            let other = spawn(move || _ = plus::<1>(&same));
            plus::<1>(&cell);
            join(other);
            assert_eq!(*cell.load(), 2);
        });
}

#[test]
fn each_value_comes_out_of_a_snapshot_once() {
    explore("each value comes out of a snapshot once")
        .reaches(&["snapshot: somebody else was faster", "the other's came out", "updated what was swapped in"])
        .catches(&["snapshot: swap returns what it read before", "snapshot: update does not compare"])
        .run(|| {
            let cell = Arc::new(Snapshot::new(0));
            let first = cell.load();
            let put_in = [1, 2].map(Arc::new);
            let out = Arc::new(Mutex::new(Vec::new()));
            let (swaps, value, takes) = (Arc::clone(&cell), Arc::clone(&put_in[0]), Arc::clone(&out));
            let swaps = spawn(move || {
                let old = swaps.swap(value);
                takes.lock().push(old);
            });
            let (updates, takes) = (Arc::clone(&cell), Arc::clone(&out));
            let updates = spawn(move || {
                let (old, new) = plus::<10>(&updates);
                assert_eq!(*new, *old + 10, "made of the one that it replaced");
                if *old > 0 {
                    reached!("updated what was swapped in");
                }
                takes.lock().push(old);
            });
            let old = cell.swap(Arc::clone(&put_in[1]));
            if *old == 1 {
                reached!("the other's came out");
            }
            join(swaps);
            join(updates);
            let mut out = std::mem::take(&mut *out.lock());
            out.extend([old, cell.load()]);
            let ours = put_in.iter().chain([&first]);
            let times = |value: &Arc<usize>| out.iter().filter(|there| Arc::ptr_eq(there, value)).count();
            assert!(ours.map(times).all(|times| times == 1), "{out:?}");
            assert!(out.iter().all(|value| times(value) == 1), "{out:?}");
        });
}

#[test]
fn a_cached_reader_never_goes_back() {
    explore("a cached reader never goes back")
        .reaches(&["snapshot: nothing new", "one after the other", "the last at once"])
        .catches(&["snapshot: a reader takes value and version apart"])
        .run(|| {
            let cell = Arc::new(Snapshot::new(0));
            let mut reader = Cached::new(Arc::clone(&cell));
            cell.store(Arc::new(1));
            let writer = spawn(move || _ = cell.swap(Arc::new(2)));
            let seen = [(); 2].map(|()| **reader.load());
            match seen {
                [1, 1] => {}
                [1, 2] => reached!("one after the other"),
                [2, 2] => reached!("the last at once"),
                _ => std::panic::resume_unwind(Box::new(format!("{seen:?}"))),
            }
            join(writer);
            assert_eq!(**reader.load(), 2, "what was stored before a join is seen after it");
        });
}

#[test]
fn a_cached_reader_may_be_late_until_it_synchronises() {
    // Only loom has memory that is late.
    let late: &[_] = if cfg!(loom) { &["in time", "late"] } else { &["in time"] };
    explore("a cached reader may be late until it synchronises").reaches(late).run(|| {
        let (cell, written, said) = (Snapshot::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let all = Arc::new((cell, written, said));
        let theirs = Arc::clone(&all);
        let writer = spawn(move || {
            let (cell, written, said) = &*theirs;
            written.store(7, Relaxed);
            cell.store(Arc::new(1));
            said.store(true, Release);
        });
        let (cell, written, said) = &*all;
        let mut reader = cell.cached();
        if said.load(Relaxed) && **reader.load() == 0 {
            reached!("late");
        }
        if said.load(Acquire) {
            assert_eq!(**reader.load(), 1, "it was told");
        }
        if **reader.load() == 1 {
            reached!("in time");
            assert_eq!(written.load(Relaxed), 7, "what was written before the value is seen with it");
        }
        join(writer);
    });
}
