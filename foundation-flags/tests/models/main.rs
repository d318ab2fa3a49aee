//! Stage changes, rollbacks and readers, on all three faces.

mod changes;
mod monitor;
#[cfg(feature = "file")]
mod reload;
mod shadow;

use std::{sync::Arc, time::Duration};

use foundation_flags::{ChangeError, FailureGuard, Flag, Flags, MigrationPlan, What};
use foundation_sync::{Clock, Deadline, Errands, Mutex, Switch, Timekeeper};
use foundation_testkit::{explore, join, reached, spawn};

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");

fn quiet() -> Errands {
    Errands::new(|errand| {
        drop(errand);
        Ok(())
    })
}

/// Flags of which nothing is told: what handlers see is not the question here.
fn flags(services: &[(&Flag, &Switch)]) -> Flags {
    let plan = MigrationPlan::new("p").stage("both", &[A, B]).stage("end", &[]).without_waiting();
    let bound = services.iter().fold(Flags::builder(), |builder, (flag, switch)| builder.bind(flag, switch));
    bound.errands(&quiet()).plan(plan).start().expect("they fit together")
}

#[test]
fn a_view_is_all_old_or_all_new() {
    explore("a view is all old or all new")
        .reaches(&["all old", "all new"])
        .catches(&["flags: published one by one"])
        .run(|| {
            let flags = flags(&[]);
            let changes = flags.clone();
            let other = spawn(move || {
                changes.advance_to(1, "alice", "x", Deadline::never()).expect("it is next");
            });
            let view = flags.view();
            match (view.enabled(&A), view.enabled(&B), view.stage()) {
                (false, false, 0) => reached!("all old"),
                (true, true, 1) => reached!("all new"),
                torn => panic!("torn: {torn:?}"),
            }
            join(other);
            assert!(flags.enabled(&A) && flags.enabled(&B), "pushed when the advance returned");
        });
}

#[test]
fn an_emergency_stands_against_an_advance() {
    explore("an emergency stands against an advance")
        .reaches(&["flags: a rollback came in between", "the advance was first", "the emergency was first"])
        .catches(&["flags: an advance is published over an emergency", "switch: a late push wins"])
        .run(|| {
            let service = Switch::on();
            let flags = flags(&[(&A, &service)]);
            flags.advance_to(1, "alice", "x", Deadline::never()).expect("it is next");
            let (advances, result) = (flags.clone(), Arc::new(Mutex::new(None)));
            let place = Arc::clone(&result);
            let other = spawn(move || {
                let advanced = advances.advance_to(2, "alice", "x", Deadline::never());
                *place.lock() = Some(advanced.map(drop));
            });
            flags.emergency_rollback("all is lost");
            assert!(!service.is_on(), "set when the call returned");
            join(other);
            match result.lock().take() {
                Some(Ok(())) => reached!("the advance was first"),
                Some(Err(ChangeError::NotNext { .. })) => reached!("the emergency was first"),
                Some(Err(ChangeError::Superseded(_))) => {}
                other => panic!("{other:?}"),
            }
            let view = flags.view();
            assert_eq!((view.stage(), view.enabled(&A), flags.enabled(&A), service.is_on()), (0, false, false, false));
        });
}

/// Whoever may not wait leaves a note that the file is behind.
#[cfg(feature = "file")]
#[test]
fn in_the_end_the_file_says_what_is_published() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags.toml");
    explore("in the end the file says what is published")
        .reaches(&["desk: a note for whoever has the role", "stage 0", "stage 1"])
        .catches(&["desk: the note is not looked for"])
        .run(move || {
            _ = std::fs::remove_file(&file);
            let plan = || MigrationPlan::new("p").stage("one", &[A]).without_waiting();
            let flags = Flags::builder().plan(plan()).file(&file).start().expect("there is no file yet");
            let advances = flags.clone();
            let other = spawn(move || _ = advances.advance_to(1, "alice", "x", Deadline::never()));
            flags.emergency_rollback("all is lost");
            join(other);
            let again = Flags::builder().plan(plan()).file(&file).start().expect("it was written well");
            match flags.status().stage {
                0 => reached!("stage 0"),
                _ => reached!("stage 1"),
            }
            assert_eq!(again.status(), flags.status());
        });
}

/// The advance pushes on the other thread, late, what the emergency has pushed off.
#[test]
fn a_push_of_an_advance_that_comes_late_changes_nothing() {
    explore("a push of an advance that comes late changes nothing")
        .reaches(&["switch: a push came late", "advanced", "refused"])
        .catches(&["switch: a late push wins"])
        .run(|| {
            let service = Switch::on();
            let flags = flags(&[(&A, &service)]);
            let advances = flags.clone();
            let other = spawn(move || match advances.advance_to(1, "alice", "x", Deadline::never()) {
                Ok(_) => reached!("advanced"),
                Err(_) => reached!("refused"),
            });
            flags.emergency_rollback("all is lost");
            join(other);
            // Whichever came last, what is pushed is what is published.
            assert_eq!(service.is_on(), flags.view().enabled(&A));
        });
}

#[test]
fn a_guard_opened_in_one_mode_and_closed_in_the_other_leaves_nothing() {
    explore("a guard opened in one mode and closed in the other leaves nothing")
        .reaches(&["opened the old way, closed the new way", "opened the new way"])
        .catches(&["switch: a guard looks once"])
        .run(|| {
            let service = Switch::on();
            let flags = flags(&[(&A, &service)]);
            let opened = Arc::new(Mutex::new(None));
            let (opens, place) = (service.clone(), Arc::clone(&opened));
            let other = spawn(move || *place.lock() = Some(opens.enter()));
            flags.advance_to(1, "alice", "x", Deadline::never()).expect("it is next");
            let nothing_left = flags.status().old_guards.is_empty();
            join(other);
            let guard = opened.lock().take().expect("it was opened");
            if guard.was_on() {
                reached!("opened the new way");
            } else {
                reached!("opened the old way, closed the new way");
                assert!(guard.overtaken(), "it remembers");
                assert!(!nothing_left, "an old guard was opened when none was left");
                assert_eq!(flags.status().old_guards, [("a", 1)]);
            }
            drop(guard);
            assert!(flags.status().old_guards.is_empty());
        });
}

/// The timekeeper closes the window while the stage changes, and the attempt ends somewhere in between.
#[test]
fn a_guard_rolls_back_only_what_it_has_judged() {
    explore("a guard rolls back only what it has judged")
        .reaches(&["the stage of the attempt was rolled back", "another stage was left alone"])
        .catches(&["guard: judges a stage by another's attempts"])
        .run(|| {
            let bodies = Arc::new(Mutex::new(Vec::new()));
            let started = Arc::clone(&bodies);
            let keeper = Timekeeper::new(Clock::system(), move |body| {
                let body = spawn(body);
                started.lock().push(body);
                Ok(())
            });
            let guard = FailureGuard::above("errors", 0.0).window(Duration::ZERO).at_least(1);
            let plan = MigrationPlan::new("p").stage("one", &[A]).stage("two", &[B]).without_waiting();
            let builder = Flags::builder().errands(&quiet()).timekeeper(&keeper).plan(plan).guard(guard);
            let flags = builder.start().expect("they fit together");
            flags.advance_to(1, "alice", "x", Deadline::never()).expect("it is next");
            let attempt = flags.attempts().expect("there is a guard").begin();
            let advances = flags.clone();
            let other = spawn(move || _ = advances.advance_to(2, "alice", "x", Deadline::never()));
            drop(attempt);
            join(other);
            loop {
                let body = bodies.lock().pop();
                match body {
                    Some(body) => join(body),
                    None => break,
                }
            }
            let history = flags.history();
            let back = history.iter().find_map(|change| match change.what {
                What::RolledBack { from, .. } => Some(from),
                _ => None,
            });
            match back {
                Some(1) => reached!("the stage of the attempt was rolled back"),
                None => reached!("another stage was left alone"),
                other => panic!("rolled back from {other:?}, where nothing had failed"),
            }
        });
}
