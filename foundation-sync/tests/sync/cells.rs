//! The snapshot and the cell that is written once, on real threads.

use std::sync::Arc;

use foundation_sync::{Cached, Once, Snapshot};

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
