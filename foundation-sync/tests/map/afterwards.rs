//! What is called when a change can be seen.

use std::sync::Arc;

use foundation_sync::{
    Map,
    atomic::{AtomicUsize, Ordering},
    thread,
};
use foundation_testkit::wait_for;

use crate::{Named, named};

#[test]
fn what_was_replaced_is_told_when_the_new_one_can_be_seen() {
    let names = Map::<String, Named>::new();
    let (first, second) = (named(1, 1), named(1, 2));
    let mut told = Vec::new();
    let put = names.insert_unless_then(&first, |_| true, |there| told.push(there.map(|there| there.which)));
    assert_eq!((put, told.as_slice()), (Ok(None), &[None][..]));
    let refused = names.insert_unless_then(&second, |_| true, |_| panic!("nothing has changed"));
    assert_eq!(refused, Err(Arc::clone(&first)));
    let replaced = names.insert_unless_then(&second, |_| false, |there| told.push(there.map(|there| there.which)));
    assert_eq!((replaced, told), (Ok(Some(first)), vec![None, Some(1)]));
    assert_eq!(names.get("name 1"), Some(second));
}

#[test]
fn what_is_taken_out_is_told_once() {
    let names = Map::<String, Named>::new();
    let (first, second) = (named(1, 1), named(1, 2));
    assert_eq!(names.insert_unless(&first, |_| true), Ok(None));
    assert!(!names.remove_then(&second, || panic!("it is not there")));
    let mut told = 0;
    assert!(names.remove_then(&first, || told += 1));
    assert!(!names.remove_then(&first, || panic!("it is gone")));
    assert_eq!(told, 1);
}

/// Each call finds the count of those that are in as the one before has left it: nobody comes between a change and what
/// is called for it.
#[test]
fn no_other_value_of_the_key_comes_or_goes_meanwhile() {
    let names = Arc::new(Map::<String, Named>::new());
    let inside = Arc::new(AtomicUsize::new(0));
    let players = (1..=4).map(|which| {
        let (names, inside) = (Arc::clone(&names), Arc::clone(&inside));
        let body = move || {
            let mine = named(1, which);
            for _ in 0..2_000 {
                let put = names.insert_unless_then(
                    &mine,
                    |_| true,
                    |_| {
                        assert_eq!(inside.load(Ordering::Relaxed), 0, "the one before has been taken out");
                        thread::yield_now();
                        inside.store(which, Ordering::Relaxed);
                    },
                );
                if put.is_ok() {
                    names.remove_then(&mine, || {
                        assert_eq!(inside.load(Ordering::Relaxed), which, "the one that was put in is taken out");
                        thread::yield_now();
                        inside.store(0, Ordering::Relaxed);
                    });
                }
            }
        };
        thread::Builder::new("player").spawn(body).expect("there is room for a thread")
    });
    let players: Vec<_> = players.collect();
    players.into_iter().for_each(|player| player.join().expect("it holds"));
    assert!(names.is_empty());
}

/// Puts a successor in when it is dropped.
struct Heir(std::sync::Weak<Map<u64, Heir>>);

impl foundation_sync::Keyed<u64> for Heir {
    fn key(&self) -> &u64 {
        &7
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if let Some(map) = self.0.upgrade() {
            let other = Arc::new(Heir(std::sync::Weak::new()));
            _ = map.insert_unless(&other, |_| true);
        }
    }
}

#[test]
fn who_panics_when_told_of_what_was_replaced_drops_no_value_while_the_map_is_locked() {
    let body = || {
        let map = Arc::new(Map::<u64, Heir>::new());
        let [first, second] = [(); 2].map(|()| Arc::new(Heir(Arc::downgrade(&map))));
        assert!(map.insert_unless(&first, |_| true).is_ok());
        let replaced = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let keep = |_: &Heir| {
                // Meanwhile its owner ends: the map's own reference is the last.
                drop(first);
                false
            };
            _ = map.insert_unless_then(&second, keep, |_| panic!("a bug"));
        }));
        assert!(replaced.is_err() && map.get(&7).is_some_and(|there| Arc::ptr_eq(&there, &second)));
        assert_eq!(map.len(), 1);
    };
    let done = Arc::new(AtomicUsize::new(0));
    let tells = Arc::clone(&done);
    // It is not joined: it might wait for itself.
    let panics = thread::Builder::new("panics").spawn(move || {
        body();
        tells.store(1, Ordering::Relaxed);
    });
    drop(panics.expect("there is room for a thread"));
    wait_for(|| done.load(Ordering::Relaxed) == 1);
}
