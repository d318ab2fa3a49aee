//! Services: there before the first tree, and after the last.

use std::sync::Arc;

use foundation_registry::Exit;
use foundation_supervisor::{ChildSpec, Failure, Foundation, Life, SpecError, StartError, Strategy, Supervisor};
use foundation_sync::{Full, Mutex, Queue};
use foundation_testkit::{patience, wait_for};

type Log = Arc<Mutex<Vec<String>>>;

/// Notes when it is ready, and when it is told to stop.
fn noting(name: &'static str, log: &Log) -> ChildSpec {
    let log = Arc::clone(log);
    let body = move |life: &Life| {
        log.lock().push(format!("{} up", life.name()));
        life.ready();
        life.wait_until_told();
        log.lock().push(format!("{} down", life.name()));
        Ok(())
    };
    ChildSpec::worker(name, body).ready_within(patience())
}

#[test]
fn services_are_there_before_the_first_tree_and_after_the_last() {
    let log = Log::default();
    let foundation = Foundation::builder()
        .registry_capacity(8)
        .service(noting("a", &log))
        .service_if(false, noting("not wanted", &log))
        .service_if(true, noting("b", &log))
        .start(patience())
        .expect("they start");
    assert_eq!(*log.lock(), ["services/a up", "services/b up"]);
    for name in ["first", "last"] {
        let tree = Supervisor::new(name, Strategy::OneForOne).child(noting("w", &log));
        tree.start(&foundation, foundation.within(patience())).expect("it starts");
    }
    assert!(foundation.stop(patience()).is_clean());
    let after = ["last/w down", "first/w down", "services/b down", "services/a down"];
    assert_eq!(log.lock()[4..], after);
}

#[test]
fn a_service_that_crashes_is_replaced() {
    let lives = Queue::bounded(8, Full::Refuse);
    let begun = lives.clone();
    let body = move |life: &Life| {
        begun.try_send(life.incarnation().generation).map_err(|_| Failure::new("full"))?;
        if life.incarnation().generation == 1 {
            return Err(Failure::new("once"));
        }
        life.wait_until_told();
        Ok(())
    };
    let foundation = Foundation::builder().service(ChildSpec::worker("s", body)).start(patience()).expect("it starts");
    let until = foundation.within(patience());
    assert_eq!([lives.recv(&until), lives.recv(&until)], [Ok(1), Ok(2)]);
    assert!(foundation.stop(patience()).is_clean());
}

#[test]
fn a_universe_whose_service_can_not_be_started_does_not_begin_and_leaves_nothing() {
    let log = Log::default();
    let fails = |_: &Life| Err(Failure::new("no port"));
    let refused = Foundation::builder()
        .service(noting("a", &log))
        .service(ChildSpec::worker("b", fails).ready_within(patience()))
        .service(noting("c", &log))
        .start(patience())
        .expect_err("b fails");
    assert_eq!(refused.to_string(), "tree `services` could not be started: `services/b` failed: no port");
    assert!(matches!(&refused, StartError::ChildFailed { exit: Exit::Failed(_), .. }), "{refused:?}");
    assert_eq!(*log.lock(), ["services/a up", "services/a down"]);
    wait_for(|| Arc::strong_count(&log) == 1);
    let doubled = Foundation::builder().service(noting("a", &log)).service(noting("a", &log)).start(patience());
    assert_eq!(doubled.map(drop), Err(StartError::BadSpec(SpecError::DoubledName("a".into()))));
    wait_for(|| Arc::strong_count(&log) == 1);
}

#[test]
fn a_universe_whose_services_take_too_long_does_not_begin_and_leaves_nothing() {
    let log = Log::default();
    let (never_ready, universe) = (Arc::clone(&log), Arc::new(Mutex::new(None)));
    let seen = Arc::clone(&universe);
    let body = move |life: &Life| {
        *seen.lock() = Some(life.system().clone());
        life.wait_until_told();
        never_ready.lock().push("down".to_owned());
        Ok(())
    };
    let slow = ChildSpec::worker("slow", body).ready_within(patience() * 100);
    let short = patience() / 5;
    let refused = Foundation::builder().service(slow).service(noting("a", &log)).start(short);
    assert_eq!(refused.map(drop), Err(StartError::TimedOut));
    assert_eq!(*log.lock(), ["down"]);
    let universe = universe.lock().take().expect("it has begun");
    assert_eq!(universe.threads(), []);
}
