//! A snapshot, stored and loaded.

use std::sync::Arc;

use foundation_sync::Snapshot;
use foundation_testkit::{explore, join, spawn};

#[test]
fn no_update_of_a_snapshot_is_lost() {
    explore("no update of a snapshot is lost").reaches(&["snapshot: somebody else was faster"]).run(|| {
        let cell = Arc::new(Snapshot::new(0));
        let same = Arc::clone(&cell);
        let add = |cell: &Snapshot<i32>| _ = cell.update(|now| Ok::<_, ()>(now + 1));
        let other = spawn(move || add(&same));
        add(&cell);
        join(other);
        assert_eq!(*cell.load(), 2);
    });
}
