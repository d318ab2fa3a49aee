//! A write that is held up, or fails.

use std::{fs, io, sync::Arc};

use foundation_sync::{
    Clock, Deadline, Mutex, Switch,
    atomic::{AtomicBool, Ordering},
    file::Step,
    thread,
};
use foundation_testkit::wait_for;

use crate::{ChangeError, Flag, Flags, MigrationPlan, What};

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");

fn plan() -> MigrationPlan {
    MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B])
}

fn soon() -> Deadline {
    Clock::system().within(foundation_testkit::patience())
}

#[test]
fn while_an_advance_is_held_up_by_its_file_an_emergency_works_and_the_file_follows() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let service = Switch::on();
    let flags = Flags::builder().bind(&B, &service).plan(plan()).file(&file).start().expect("they fit together");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    let (hangs, go_on) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (says, waits) = (Arc::clone(&hangs), Arc::clone(&go_on));
    flags.0.store.during.look(move |step| {
        if step == Some(Step::Written) && !says.swap(true, Ordering::SeqCst) {
            wait_for(|| waits.load(Ordering::SeqCst));
        }
        Ok(())
    });
    let result = Arc::new(Mutex::new(None));
    let (advances, place) = (flags.clone(), Arc::clone(&result));
    let advance = move || {
        let advanced = advances.advance_to(2, "alice", "day 2", soon());
        *place.lock() = Some(advanced);
    };
    let advance = thread::Builder::new("advance").spawn(advance).expect("a thread");
    wait_for(|| hangs.load(Ordering::SeqCst));
    assert_eq!(flags.change("bob", "too").on(&A).apply(Deadline::now()), Err(ChangeError::Busy));
    assert_eq!(flags.reload("bob", Deadline::now()), Err(ChangeError::Busy));

    let change = flags.emergency_rollback("all is lost");
    assert_eq!(change.what, What::Emergency { from: 1 });
    assert!(!flags.enabled(&A) && !service.is_on());
    assert!(result.lock().is_none(), "the advance still hangs");
    let text = || fs::read_to_string(&file).expect("it is there");
    assert!(text().contains("stage = 1"), "the file follows");

    go_on.store(true, Ordering::SeqCst);
    advance.join().expect("it does not panic");
    assert!(matches!(*result.lock(), Some(Err(ChangeError::Superseded(_)))), "the advance is refused: {result:?}");
    assert!(!flags.enabled(&A) && !service.is_on() && flags.status().stage == 0);
    assert!(text().contains("stage = 0"), "whoever held the role wrote what is: {}", text());
    assert!(!text().contains("day 2"), "and what never was is not in the history: {}", text());
    assert_eq!((flags.status().file_error, flags.status().file_edited), (None, false));
}

#[test]
fn what_is_published_is_written_once_more_when_a_write_has_failed() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    let flags = Flags::builder().plan(plan()).file(&file).start().expect("they fit together");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    // So late that the new file stands there.
    let mut fails = true;
    flags.0.store.during.look(move |step| match step {
        Some(Step::Renamed) if std::mem::take(&mut fails) => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    });
    let refused = flags.advance_to(2, "alice", "day 2", soon());
    assert!(matches!(refused, Err(ChangeError::File(_))), "{refused:?}");
    let text = fs::read_to_string(&file).expect("it was written once more");
    assert!(text.contains("stage = 1") && !text.contains("day 2"), "{text}");
    assert_eq!((flags.status().file_error, flags.status().file_edited), (None, false));
}
