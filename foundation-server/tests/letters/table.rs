//! The table of a universe's servers.

use foundation_server::{Doing, WhenFull, servers};
use foundation_sync::SECOND;
use foundation_testkit::TestUniverse;

use crate::{Note, held, office, start};

#[test]
fn every_server_that_has_lived_stands_in_the_table_until_nobody_knows_it() {
    let t = TestUniverse::with_virtual_time();
    let other = TestUniverse::new();
    let (first, never) = (office("first"), office("never started"));
    let tree = start(&t, first.spec);
    let busy = held(&t, "second", 8, WhenFull::Wait);
    busy.clerk.cast(Note(1)).expect("there is room");
    t.clock().advance(2 * SECOND);
    let table = servers(&t);
    let names: Vec<_> = table.servers.iter().map(|status| &*status.server).collect();
    assert_eq!(names, ["first", "second"]);
    assert!(servers(&other).servers.is_empty(), "it is another universe's");
    assert_eq!(never.clerk.status().doing, Doing::NotStarted);
    let text = table.to_string();
    let lines: Vec<_> = text.lines().collect();
    let message = std::any::type_name::<crate::Hold>();
    assert!(lines[2].starts_with(&format!("second  busy: {message}  ")), "{text}");
    assert!(lines[2].ends_with("  2s"), "{text}");
    let column = |line: &str| line.find("waiting").unwrap_or(0);
    assert!(column(lines[0]) > 0 && lines.iter().all(|line| !line.ends_with(' ')), "{text}");
    tree.stop(t.patience()).expect("it stops");
    // Somebody knows it still.
    t.wait_for(|| matches!(servers(&t).servers[0].doing, Doing::Ended { .. }));
    drop(first.clerk);
    drop(tree);
    let names = || servers(&t).servers.into_iter().map(|status| status.server).collect::<Vec<_>>();
    t.wait_for(|| names().len() == 1);
    assert_eq!(&*names()[0], "second");
}
