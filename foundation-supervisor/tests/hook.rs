//! The process's panic hook, in a process of its own: it is set once, whoever comes first.
#![cfg(not(any(loom, shuttle)))]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_registry::Exit;
use foundation_supervisor::{ChildSpec, Foundation, Restart, Strategy, Supervisor};
use foundation_sync::{Full, Queue, SECONDS_5};
use foundation_telemetry::EventName;
use foundation_testkit::wait_for;

/// The universe is dropped by the panic, and what it then does is the first of the process that is caught.
#[test]
fn a_universe_that_a_panic_drops_leaves_the_others_their_crash_reports() {
    let probe = Arc::new(());
    let (held, systems) = (Arc::clone(&probe), Queue::bounded(1, Full::Refuse));
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        let foundation = Foundation::builder().start();
        systems.try_send(foundation.system().clone()).expect("there is room");
        foundation.telemetry().attach("a", Vec::<EventName>::new(), move |_| _ = &held).expect("the id is free");
        std::panic::resume_unwind(Box::new("the user's own"))
    }));
    assert!(dropped.is_err());
    let system = systems.try_recv().expect("it was there");
    assert_eq!(system.lost(), 0, "it had nothing to say of itself");
    drop(system);
    wait_for(|| Arc::strong_count(&probe) == 1);
    let foundation = Foundation::builder().start();
    let child = ChildSpec::worker("w", |_| panic!("boom")).restart(Restart::Temporary);
    let tree = Supervisor::new("t", Strategy::OneForOne).child(child).start(&foundation, foundation.within(SECONDS_5));
    tree.expect("it can be started");
    let owner = foundation.owners().live().into_iter().find(|owner| &**owner.name() == "t/w");
    if let Some(owner) = owner {
        let down = owner.monitor().recv(foundation.within(SECONDS_5)).expect("it ends");
        assert!(matches!(down.exit, Exit::Panicked(_)), "{down:?}");
    }
    assert!(foundation.stop(SECONDS_5).is_clean());
}
