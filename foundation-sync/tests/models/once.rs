//! A cell that is written once.

use std::sync::Arc;

use foundation_sync::{
    Mutex, Once,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use foundation_testkit::{explore, join, reached, spawn};

#[test]
fn two_who_make_a_value_at_once_agree_on_one() {
    explore("two who make a value at once agree on one")
        .reaches(&["once: somebody else was faster", "the other's", "our own"])
        .catches(&["once: the loser does not wait for the winner"])
        .run(|| {
            let (cell, made, alive) = (Arc::new(Once::new()), Arc::new(Mutex::new(0)), Arc::new(()));
            let make = |who: usize, made: &Mutex<i32>, alive: &Arc<()>| {
                *made.lock() += 1;
                (who, Arc::clone(alive))
            };
            let (theirs, counts, token) = (Arc::clone(&cell), Arc::clone(&made), Arc::clone(&alive));
            let other = spawn(move || {
                theirs.get_or(|| make(1, &counts, &token));
                // Its own must be gone before it says that it is done.
                drop(token);
            });
            let (who, _) = *cell.get_or(|| make(0, &made, &alive));
            match who {
                0 => reached!("our own"),
                _ => reached!("the other's"),
            }
            join(other);
            assert_eq!(cell.get().map(|(who, _)| *who), Some(who), "it is written once");
            assert!((1..=2).contains(&*made.lock()));
            assert_eq!(Arc::strong_count(&alive), 2, "what the slower one made is gone");
        });
}

#[test]
fn of_two_who_write_one_gets_its_value_back() {
    explore("of two who write one gets its value back").reaches(&["first", "second"]).run(|| {
        let cell = Arc::new(Once::new());
        let theirs = Arc::clone(&cell);
        let back = Arc::new(Mutex::new(None));
        let place = Arc::clone(&back);
        let other = spawn(move || {
            let set = theirs.set(1);
            assert!(theirs.get().is_some(), "whoever has written, or tried to, finds a value");
            *place.lock() = Some(set);
        });
        let ours = cell.set(0);
        assert!(cell.get().is_some());
        join(other);
        let theirs = back.lock().take().expect("it has ended");
        match (ours, theirs) {
            (Ok(()), Err(1)) => reached!("first"),
            (Err(0), Ok(())) => reached!("second"),
            other => std::panic::resume_unwind(Box::new(format!("{other:?}"))),
        }
    });
}

#[test]
fn whoever_reads_the_value_sees_what_its_writer_did() {
    explore("whoever reads the value sees what its writer did")
        .reaches(&["too early", "there"])
        .catches(&["once: published without order"])
        .run(|| {
            let all = Arc::new((Once::new(), AtomicUsize::new(0)));
            let theirs = Arc::clone(&all);
            let writer = spawn(move || {
                theirs.1.store(7, Relaxed);
                theirs.0.set(()).expect("nobody else writes");
            });
            match all.0.get() {
                None => reached!("too early"),
                Some(()) => {
                    reached!("there");
                    assert_eq!(all.1.load(Relaxed), 7);
                }
            }
            join(writer);
            assert_eq!(all.0.get(), Some(&()));
        });
}
