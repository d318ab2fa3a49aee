//! A map that is used when a thread ends.

use std::{cell::RefCell, io::Write, process::Command, sync::Arc};

use foundation_sync::Map;
use foundation_testkit::{join, spawn};

use super::{Named, named};

/// Uses its map when it is dropped.
struct Last(Map<u64, Named>, [Arc<Named>; 2]);

impl Drop for Last {
    fn drop(&mut self) {
        let Self(map, [before, last]) = self;
        assert_eq!(map.get(&0), Some(Arc::clone(before)));
        assert_eq!(map.insert_unless(last, |_| true), Ok(None));
        assert_eq!(map.insert_unless(last, |there| there.which == 0), Err(Arc::clone(last)));
        assert!(map.remove(before));
        assert_eq!((map.get(&0), map.get(&1), map.values().len()), (None, Some(Arc::clone(last)), 1));
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
            let (map, values) = (Map::new(), [named(0, 0), named(1, 0)]);
            assert_eq!(map.insert_unless(&values[0], |_| true), Ok(None));
            LAST.set(Some(Last(map, values)));
        }));
        return;
    }
    let child = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "last_word::a_map_can_be_used_when_a_thread_drops_its_locals", "--nocapture"])
        .env(CHILD, "")
        .output()
        .expect("it can be run again");
    let said = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && said.0.contains("the last word"), "{said:?}");
}
