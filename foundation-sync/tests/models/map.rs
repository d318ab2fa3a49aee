//! A map: read, while others come and go, and it is made anew. In a model it has room for two, then for four, and all keys
//! have one path.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use foundation_sync::{
    Keyed, MODEL, Map,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use foundation_testkit::{explore, join, reached, spawn};

/// A name, and which of that name it is.
#[derive(Debug, PartialEq)]
struct Named(&'static str, u8);

impl Keyed<&'static str> for Named {
    fn key(&self) -> &&'static str {
        &self.0
    }
}

type Names = Map<&'static str, Named>;

fn named(name: &'static str) -> Arc<Named> {
    Arc::new(Named(name, 0))
}

/// A map of these names, and who keeps its values.
fn map_of<const N: usize>(names: [&'static str; N]) -> (Arc<Names>, [Arc<Named>; N]) {
    let (map, values) = (Arc::new(Names::new()), names.map(named));
    for value in &values {
        assert_eq!(map.insert_unless(value, |_| true), Ok(None));
    }
    (map, values)
}

#[test]
fn what_stays_in_a_map_is_found_while_others_come_and_go() {
    explore("what stays in a map is found while others come and go")
        .reaches(&["before", "grown", "gone"])
        .catches(&["map: a table is shown before it is filled"])
        .run(|| {
            let (map, [_stays, goes]) = map_of(["stays", "goes"]);
            let (comes, new) = (Arc::clone(&map), named("comes"));
            let writer = spawn(move || {
                assert_eq!(comes.insert_unless(&new, |_| true), Ok(None));
                assert!(comes.remove(&goes));
                assert_eq!(comes.len(), 2);
                // A value lives as long as somebody keeps it.
                assert!(comes.get("comes").is_some());
            });
            for _ in 0..3 {
                assert!(map.get("stays").is_some());
                match (map.get("comes"), map.get("goes")) {
                    (None, Some(_)) => reached!("before"),
                    (Some(_), _) => reached!("grown"),
                    (None, None) => reached!("gone"),
                }
            }
            join(writer);
            assert!(map.get("comes").is_none() && map.get("goes").is_none());
        });
}

#[test]
fn nothing_is_lost_or_comes_back_when_a_map_grows() {
    explore("nothing is lost or comes back when a map grows")
        .reaches(&["removed first", "grown first"])
        .catches(&["map: a table grows while others write", "map: a place is empty on the way to an entry"])
        .run(|| {
            let (map, [goes, _stays]) = map_of(["goes", "stays"]);
            let new = named("comes");
            // Its value is kept, so that its entry can be seen if it comes back.
            let (same, gone) = (Arc::clone(&map), Arc::clone(&goes));
            let remover = spawn(move || {
                assert!(same.remove(&gone));
                assert!(same.get("goes").is_none());
            });
            assert_eq!(map.insert_unless(&new, |_| true), Ok(None));
            match map.len() {
                2 => reached!("removed first"),
                _ => reached!("grown first"),
            }
            join(remover);
            let there = ["goes", "stays", "comes"].map(|name| map.get(name).is_some());
            assert_eq!((there, map.len()), ([false, true, true], 2));
            drop(goes);
        });
}

#[test]
fn of_two_who_put_in_the_same_key_one_stays() {
    explore("of two who put in the same key one stays").reaches(&["ours", "theirs"]).run(|| {
        let map = Arc::new(Names::new());
        let theirs = Arc::clone(&map);
        let value = named("name");
        let same = Arc::clone(&value);
        let other = spawn(move || _ = theirs.insert_unless(&same, |_| true));
        let ours = named("name");
        match map.insert_unless(&ours, |_| true) {
            Ok(there) => {
                assert!(there.is_none());
                reached!("ours");
            }
            Err(there) => {
                assert!(Arc::ptr_eq(&there, &value));
                reached!("theirs");
            }
        }
        join(other);
        assert_eq!((map.len(), map.values().len()), (1, 1));
    });
}

#[test]
fn a_key_that_is_replaced_is_always_there() {
    explore("a key that is replaced is always there")
        .reaches(&["map: second look", "old", "new"])
        .catches(&["map: a dead value is not looked at twice", "map: a value is replaced elsewhere"])
        .run(|| {
            let (map, [old]) = map_of(["name"]);
            let (same, new) = (Arc::clone(&map), Arc::new(Named("name", 1)));
            let next = Arc::clone(&new);
            let writer = spawn(move || {
                // The old one is gone with this.
                assert_eq!(same.insert_unless(&next, |_| false), Ok(Some(old)));
            });
            match map.get("name").as_deref() {
                Some(Named(_, 0)) => reached!("old"),
                Some(_) => reached!("new"),
                None => panic!("it was never absent"),
            }
            join(writer);
            drop(new);
        });
}

#[test]
fn a_value_can_be_seen_before_what_is_called_for_it_is_done() {
    explore("a value can be seen before what is called for it is done").reaches(&["put", "done", "left", "gone"]).run(
        || {
            let (map, [old]) = map_of(["name"]);
            let (same, new) = (Arc::clone(&map), Arc::new(Named("name", 1)));
            let done = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
            let [put, gone] = [0, 1].map(|which| Arc::clone(&done[which]));
            let writer = spawn(move || {
                let told = same.insert_unless_then(&new, |_| false, |_| put.store(true, Relaxed));
                assert_eq!(told, Ok(Some(old)));
                assert!(same.remove_then(&new, || gone.store(true, Relaxed)));
            });
            match (map.get("name"), done[0].load(Relaxed), done[1].load(Relaxed)) {
                (Some(there), false, _) if there.1 == 1 => reached!("put"),
                (Some(there), true, _) if there.1 == 1 => reached!("done"),
                (Some(_), _, _) => {}
                (None, _, false) => reached!("left"),
                (None, _, true) => reached!("gone"),
            }
            join(writer);
        },
    );
}

#[test]
fn a_value_that_dies_while_it_is_in_a_map_is_absent() {
    explore("a value that dies while it is in a map is absent").reaches(&["alive", "dead"]).run(|| {
        let (map, [dies]) = map_of(["dies"]);
        let other = Arc::clone(&map);
        let writer = spawn(move || {
            assert!(other.get("dies").is_some());
            drop(dies);
            assert_eq!(other.insert_unless(&named("new"), |_| true), Ok(None));
        });
        match map.get("dies") {
            Some(_) => reached!("alive"),
            None => reached!("dead"),
        }
        join(writer);
        assert!(map.get("dies").is_none());
    });
}

#[test]
fn the_dead_are_left_out_when_a_map_is_full() {
    explore("the dead are left out when a map is full").reaches(&["before", "after"]).run(|| {
        let (map, [_stays, dies]) = map_of(["stays", "dies"]);
        drop(dies);
        let (other, new) = (Arc::clone(&map), named("comes"));
        let comes = Arc::clone(&new);
        let writer = spawn(move || assert_eq!(other.insert_unless(&comes, |_| true), Ok(None)));
        match map.get("comes") {
            None => reached!("before"),
            Some(_) => reached!("after"),
        }
        assert!(map.get("stays").is_some() && map.get("dies").is_none());
        join(writer);
        assert_eq!(map.values().len(), 2);
        // A model's map has one part, with room for two.
        assert!(!MODEL || map.len() == 2, "{}", map.len());
        drop(new);
    });
}

#[test]
fn a_key_that_is_replaced_has_one_value_all_the_time() {
    explore("a key that is replaced has one value all the time")
        .reaches(&["map: second look", "old", "new"])
        .catches(&["map: a dead value is not looked at twice"])
        .run(|| {
            let (map, [old]) = map_of(["name"]);
            let (same, new) = (Arc::clone(&map), Arc::new(Named("name", 1)));
            let next = Arc::clone(&new);
            let writer = spawn(move || assert_eq!(same.insert_unless(&next, |_| false), Ok(Some(old))));
            match &map.values()[..] {
                [value] if value.1 == 0 => reached!("old"),
                [_] => reached!("new"),
                values => panic!("{values:?}"),
            }
            join(writer);
            drop(new);
        });
}

/// All keys have one hash.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

#[test]
fn a_key_that_is_replaced_is_not_hidden_by_the_dead_of_its_hash() {
    explore("a key that is replaced is not hidden by the dead of its hash")
        .reaches(&["map: second look", "old", "new"])
        .catches(&["map: a dead value is not looked at twice"])
        .run(|| {
            let map = Arc::new(Map::<_, Named, BuildHasherDefault<Same>>::default());
            let [dies, old] = ["dies", "name"].map(named);
            for value in [&dies, &old] {
                assert_eq!(map.insert_unless(value, |_| true), Ok(None));
            }
            drop(dies);
            let (same, new) = (Arc::clone(&map), Arc::new(Named("name", 1)));
            let next = Arc::clone(&new);
            // It leaves the dead one out.
            let writer = spawn(move || assert_eq!(same.insert_unless(&next, |_| false), Ok(Some(old))));
            match map.get("name").as_deref() {
                Some(Named(_, 0)) => reached!("old"),
                Some(_) => reached!("new"),
                None => panic!("it was never absent"),
            }
            join(writer);
            assert_eq!(map.len(), 1);
            drop(new);
        });
}

#[test]
fn a_key_that_is_replaced_in_a_new_table_is_always_there() {
    explore("a key that is replaced in a new table is always there")
        .reaches(&["map: second look at an old table", "old", "new"])
        .catches(&["map: a second look at an old table is believed"])
        .run(|| {
            let (map, [old, _stays]) = map_of(["name", "stays"]);
            let (same, [new, comes]) = (Arc::clone(&map), [Arc::new(Named("name", 1)), named("comes")]);
            let (next, grows) = (Arc::clone(&new), Arc::clone(&comes));
            let writer = spawn(move || {
                assert_eq!(same.insert_unless(&grows, |_| true), Ok(None));
                assert_eq!(same.insert_unless(&next, |_| false), Ok(Some(old)));
            });
            match map.get("name").as_deref() {
                Some(Named(_, 0)) => reached!("old"),
                Some(_) => reached!("new"),
                None => panic!("it was never absent"),
            }
            join(writer);
            drop((new, comes));
        });
}

#[test]
fn what_stays_in_a_map_is_found_while_it_shrinks() {
    explore("what stays in a map is found while it shrinks")
        .reaches(&["large", "small"])
        .catches(&["map: a table is shown before it is filled", "map: a place is empty on the way to an entry"])
        .run(|| {
            let (map, [first, second, _stays]) = map_of(["first", "second", "stays"]);
            let (large, shrinks) = (map.bytes(), Arc::clone(&map));
            let writer = spawn(move || assert!(shrinks.remove(&first) && shrinks.remove(&second)));
            for _ in 0..2 {
                assert!(map.get("stays").is_some());
                // Two entries less, and half of the table.
                match large - map.bytes() {
                    less if less < 100 => reached!("large"),
                    _ => reached!("small"),
                }
            }
            join(writer);
            assert!(map.get("first").is_none() && map.get("second").is_none() && map.get("stays").is_some());
            // A model's map has one part, with room for four, then two.
            assert!(map.len() == 1 && (!MODEL || large - map.bytes() > 100));
        });
}

#[test]
fn nothing_is_lost_or_comes_back_when_a_map_shrinks() {
    explore("nothing is lost or comes back when a map shrinks")
        .reaches(&["removed first", "shrunk first"])
        .catches(&["map: a writer looks for the table before it is alone"])
        .run(|| {
            let (map, [first, second, goes]) = map_of(["first", "second", "goes"]);
            // Their values are kept, so that their entries can be seen if they come back.
            let (shrinks, gone) = (Arc::clone(&map), [Arc::clone(&first), Arc::clone(&second)]);
            let remover = spawn(move || assert!(gone.iter().all(|value| shrinks.remove(value))));
            assert!(map.remove(&goes));
            match map.len() {
                0 => reached!("shrunk first"),
                _ => reached!("removed first"),
            }
            join(remover);
            let there = ["first", "second", "goes"].map(|name| map.get(name).is_some());
            assert_eq!((there, map.len()), ([false; 3], 0));
            drop([first, second, goes]);
        });
}
