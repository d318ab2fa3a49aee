//! Trees whose starts are given up.

use foundation_sync::{Full, MINUTE, Queue};

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

#[test]
fn a_service_that_is_needed_is_started_once_and_not_before() {
    let foundation = Foundation::builder().start();
    let (need, lives) = (Arc::new(OnNeed::new()), Queue::<()>::bounded(8, Full::Refuse));
    let spec = || {
        let (need, lives) = (Arc::clone(&need), lives.clone());
        ChildSpec::worker("postman", move |life| {
            need.runs();
            lives.try_send(())?;
            life.wait_until_told();
            Ok(())
        })
    };
    assert!(foundation.threads().is_empty(), "nobody was needed");
    for _ in 0..5 {
        need.need(&foundation, spec);
    }
    assert_eq!(lives.recv(foundation.within(MINUTE)), Ok(()));
    need.need(&foundation, || panic!("it runs"));
    assert!(foundation.threads().iter().any(|known| known.name.starts_with("postman")));
    assert!(foundation.stop(MINUTE).is_clean());
    assert!(lives.is_empty(), "it lived once");
}

#[test]
fn a_weak_handle_does_not_keep_what_is_left_of_a_universe() {
    let foundation = Foundation::builder().start();
    let weak = foundation.downgrade();
    assert!(weak.upgrade().is_some());
    assert!(foundation.stop(MINUTE).is_clean());
    assert!(weak.upgrade().is_none(), "somebody keeps it");
}
