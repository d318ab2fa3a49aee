//! Trees whose starts are given up.

use foundation_sync::MINUTE;

use super::*;
use crate::Strategy;

#[test]
fn a_tree_that_nobody_waits_for_any_more_is_not_begun_and_takes_no_name() {
    let foundation = Foundation::builder().start();
    let until = foundation.within(MINUTE);
    let tree = || Supervisor::new("t", Strategy::OneForOne);
    let (spec, born) = ChildSpec::supervisor(tree()).restart(Restart::Temporary).born();
    // Whoever asked has given up before his request was taken up.
    born.close();
    let trees = foundation.roots().expect("it runs").trees;
    let refused = ask_child(&trees, &"t".into(), &until, |ticket| News::StartChild(Box::new(spec), ticket));
    assert!(matches!(&refused, Err(ChildError::StartFailed { .. })), "{refused:?}");
    assert!(foundation.owners().live().iter().all(|owner| &**owner.name() != "t"), "it lives");
    let tree = tree().start(&foundation, until.clone()).expect("the name is free");
    tree.stop(&until).expect("it stops");
    assert!(foundation.stop(MINUTE).is_clean());
}
