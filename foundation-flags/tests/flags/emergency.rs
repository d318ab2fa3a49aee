//! The emergency rollback always works.

use std::sync::Arc;

use foundation_flags::{EMERGENCY, Flag, Flags, MigrationPlan, STAGE_ENABLED, What};
#[cfg(feature = "file")]
use foundation_sync::{Deadline, Errand, Full, Queue};
use foundation_sync::{Errands, Mutex, Switch, thread};
use foundation_testkit::TestUniverse;

use crate::soon;

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");

fn plan() -> MigrationPlan {
    MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B]).without_waiting()
}

fn up_to(flags: &Flags, stage: usize) {
    (1..=stage).for_each(|to| _ = flags.advance_to(to, "alice", "next", soon()).expect("it is next"));
}

#[test]
fn with_flags_stopped_it_works_and_what_follows_is_done_here() {
    let t = TestUniverse::new();
    let service = Switch::on();
    let stopped = Errands::new(Err);
    let builder = Flags::builder().bind(&A, &service).telemetry(t.telemetry()).errands(&stopped);
    let flags = builder.plan(plan()).start().expect("they fit together");
    up_to(&flags, 2);
    let capture = t.capture_telemetry(EMERGENCY);
    let change = flags.emergency_rollback("all is lost");
    assert_eq!((change.what, &*change.why), (What::Emergency { from: 2 }, "all is lost"));
    assert!(!service.is_on() && !flags.enabled(&B));
    assert_eq!(capture.take().len(), 1, "it was told");
}

/// Whatever follows a rollback is an errand, so it is enough to look when the first one is brought.
#[test]
fn before_anything_else_is_done_the_switches_are_set() {
    let (service, looked) = (Switch::on(), Arc::new(Mutex::new(Vec::new())));
    let (reads, looks) = (service.clone(), Arc::clone(&looked));
    let errands = Errands::new(move |errand| {
        looks.lock().push(reads.is_on());
        Err(errand)
    });
    let builder = Flags::builder().bind(&A, &service).errands(&errands).plan(plan());
    #[cfg(feature = "file")]
    let directory = tempfile::tempdir().expect("a directory");
    #[cfg(feature = "file")]
    let builder = builder.file(directory.path().join("flags.toml"));
    let flags = builder.start().expect("they fit");
    up_to(&flags, 1);
    assert_eq!(std::mem::take(&mut *looked.lock()), [true]);
    flags.emergency_rollback("all is lost");
    assert_eq!(*looked.lock(), [false], "one errand, brought when the switches were set");
    #[cfg(feature = "file")]
    assert_eq!(flags.status().file_error, None, "nobody took it, so it was done here");
}

#[cfg(feature = "file")]
#[test]
fn while_a_rollback_waits_for_the_courier_to_write_it_nobody_is_kept_from_going_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let later = Queue::<Errand>::bounded(100, Full::Refuse);
    let takes = later.clone();
    let errands = Errands::new(move |errand| takes.try_send(errand).map_err(|refused| refused.into_inner()));
    let flags = Flags::builder().errands(&errands).plan(plan()).file(&file).start().expect("they fit");
    up_to(&flags, 1);
    flags.emergency_rollback("test");
    flags.advance_to(1, "alice", "again", Deadline::now()).expect("nobody is at work");
    let text = || std::fs::read_to_string(&file).expect("it is there");
    assert!(text().contains("stage = 1") && text().contains("version = 3"), "{}", text());
    assert!(!flags.status().unwritten);
    flags.emergency_rollback("test");
    assert!(flags.status().unwritten && flags.status().to_string().ends_with("not yet written down"));
    later.drain().into_iter().for_each(|errand| errand());
    assert!(text().contains("stage = 0") && text().contains("version = 4"), "{}", text());
    assert!(!flags.status().unwritten);
}

#[test]
fn from_inside_a_handler_it_works() {
    let t = TestUniverse::new();
    let flags = Flags::builder().telemetry(t.telemetry()).plan(plan()).start().expect("they fit together");
    let capture = t.capture_telemetry([EMERGENCY, STAGE_ENABLED]);
    let rolls_back = flags.clone();
    let handler = move |_: &foundation_telemetry::Event| _ = rolls_back.emergency_rollback("seen by a handler");
    t.telemetry().attach("nervous", STAGE_ENABLED, handler).expect("the id is free");
    let advanced = flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    assert_eq!(advanced.what, What::Advanced { from: 0, to: 1 });
    assert_eq!(flags.status().stage, 0);
    let told: Vec<_> = capture.take().iter().map(|event| event.name).collect();
    assert_eq!(told, [STAGE_ENABLED, EMERGENCY]);
    t.telemetry().detach("nervous").expect("it is attached");
}

#[test]
fn from_eight_threads_at_once_it_works() {
    for _ in 0..50 {
        let service = Switch::on();
        let flags = Flags::builder().bind(&A, &service).plan(plan()).start().expect("they fit together");
        up_to(&flags, 2);
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let (flags, service) = (flags.clone(), service.clone());
                let body = move || {
                    flags.emergency_rollback(&format!("thread {number}"));
                    assert!(!service.is_on(), "it was set when the call returned");
                };
                thread::Builder::new("emergency").spawn(body).expect("a thread")
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        let history = flags.history();
        let versions: Vec<_> = history.iter().map(|change| change.version).collect();
        assert_eq!(versions, (1..=10).collect::<Vec<_>>(), "each is in the history");
        assert_eq!((flags.status().stage, flags.status().rollbacks), (0, 1));
    }
}
