//! The emergency rollback always works.
#![cfg(not(any(loom, shuttle)))]

use foundation_flags::{EMERGENCY, Flag, Flags, MigrationPlan, STAGE_ENABLED, What};
use foundation_sync::{Clock, Deadline, Errand, Errands, Full, Queue, Switch, thread};
use foundation_testkit::TestUniverse;

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");

fn plan() -> MigrationPlan {
    MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B])
}

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
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
    let capture = t.capture_telemetry(&[EMERGENCY]);
    let change = flags.emergency_rollback("all is lost");
    assert_eq!((change.what, &*change.why), (What::Emergency { from: 2 }, "all is lost"));
    assert!(!service.is_on() && !flags.enabled(&B));
    assert_eq!(capture.take().len(), 1, "it was told");
}

#[test]
fn before_anything_else_is_done_the_switches_are_set() {
    let service = Switch::on();
    let later = Queue::<Errand>::bounded(100, Full::Refuse);
    let takes = later.clone();
    let errands = Errands::new(move |errand| takes.try_send(errand).map_err(|refused| refused.into_inner()));
    let flags = Flags::builder().bind(&A, &service).errands(&errands).plan(plan()).start().expect("they fit");
    up_to(&flags, 1);
    drop(later.drain());
    flags.emergency_rollback("all is lost");
    assert!(!service.is_on());
    assert_eq!(later.len(), 1, "what is to be told waits for the courier");
}

#[test]
fn from_inside_a_handler_it_works() {
    let t = TestUniverse::new();
    let flags = Flags::builder().telemetry(t.telemetry()).plan(plan()).start().expect("they fit together");
    let capture = t.capture_telemetry(&[EMERGENCY, STAGE_ENABLED]);
    let rolls_back = flags.clone();
    let handler = move |_: &foundation_telemetry::Event| _ = rolls_back.emergency_rollback("seen by a handler");
    t.telemetry().attach("nervous", &[STAGE_ENABLED], handler).expect("the id is free");
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

#[cfg(feature = "file")]
#[test]
fn while_an_advance_is_held_up_by_a_blocked_file_write_it_works() {
    use std::{fs, io::Read, process::Command, sync::Arc};

    use foundation_flags::ChangeError;
    use foundation_testkit::wait_for;

    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let service = Switch::on();
    let flags = Flags::builder().bind(&B, &service).plan(plan()).file(&file).start().expect("they fit together");
    up_to(&flags, 1);
    // The new text is written beside the file: into a pipe that nobody reads.
    let (beside, other_end) = (directory.path().join("flags.toml.new"), directory.path().join("pipe"));
    let made = Command::new("mkfifo").arg(&beside).status().expect("mkfifo is there");
    assert!(made.success());
    fs::hard_link(&beside, &other_end).expect("a pipe may have two names");
    let result = Arc::new(foundation_sync::Mutex::new(None));
    let (advances, place) = (flags.clone(), Arc::clone(&result));
    let advance = move || {
        let advanced = advances.advance_to(2, "alice", "day 2", soon());
        *place.lock() = Some(advanced);
    };
    let advance = thread::Builder::new("advance").spawn(advance).expect("a thread");
    // Refused before anything is written, unless somebody is at work: then it is busy.
    wait_for(|| flags.change("probe", "is it busy").on(&A).apply(Deadline::now()) == Err(ChangeError::Busy));

    let change = flags.emergency_rollback("all is lost");
    assert_eq!(change.what, What::Emergency { from: 1 });
    assert!(!flags.enabled(&A) && !service.is_on());
    assert!(result.lock().is_none(), "the advance still hangs");
    assert!(fs::read_to_string(&file).expect("it is there").contains("stage = 1"), "the file follows");

    fs::remove_file(&beside).expect("it is there");
    let mut text = String::new();
    fs::File::open(&other_end).and_then(|mut pipe| pipe.read_to_string(&mut text)).expect("somebody writes");
    assert!(text.contains("stage = 2"), "that is what hung: {text}");
    advance.join().expect("it does not panic");
    assert!(matches!(*result.lock(), Some(Err(_))), "the advance is refused: {result:?}");
    assert!(!flags.enabled(&A) && !service.is_on() && flags.status().stage == 0);
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.contains("stage = 0"), "whoever held the role wrote what is: {text}");
    assert_eq!(flags.status().file_error, None);
}
