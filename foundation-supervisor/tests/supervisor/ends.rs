//! How a body ends, and who may wait for whose end.

use foundation_context::{Value, fields};
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{
    AutoShutdown, CRASHED, ChildError, ChildSpec, Doing, Failure, Foundation, Life, Restart, StartError, StopError,
    Strategy, Supervisor, System, Tree,
};
use foundation_sync::{Deadline, Full, Mutex, Queue, Until};
use foundation_testkit::{TestUniverse, patience};

type Body = fn(&Life) -> Result<(), Failure>;

/// Waits until it is told to stop.
fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}

fn one_for_one(name: &'static str) -> Supervisor {
    Supervisor::new(name, Strategy::OneForOne)
}

fn soon(system: &System) -> Deadline {
    system.within(patience())
}

#[test]
fn a_body_that_leaves_a_word_has_ended_well_and_is_restarted_only_if_it_is_permanent() {
    let fails: Body = |_| Err(Failure::new("after all others"));
    for (restart, comes_back) in [(Restart::Permanent, true), (Restart::Transient, false), (Restart::Temporary, false)]
    {
        let t = TestUniverse::new();
        let (crashes, lives) = (t.capture_telemetry(CRASHED), Queue::bounded(2, Full::Refuse));
        let begun = lives.clone();
        let body = move |life: &Life| {
            begun.try_send(life.incarnation()).map_err(|_| Failure::new("a third life"))?;
            if life.incarnation().generation == 1 { Err(Failure::shutdown("moved on")) } else { idle(life) }
        };
        let spec = ChildSpec::worker("w", body).restart(restart);
        let spec = if comes_back { spec } else { spec.significant() };
        let tree = t.start(one_for_one("t").auto_shutdown(AutoShutdown::AnySignificant).child(spec));
        let first = lives.recv(soon(&t)).expect("it runs");
        if comes_back {
            assert_eq!(lives.recv(soon(&t)).expect("it is replaced").generation, 2);
        } else {
            let ended = tree.wait(soon(&t)).expect("a significant child that stays away ends its tree");
            assert_eq!(ended, Exit::Shutdown(Cause::AutoShutdown));
        }
        assert_eq!(t.owners().exit_of(first), Some(Exit::ShutdownWith("moved on".into())), "{restart:?}");
        // Reports come in the order of the ends.
        t.start(one_for_one("u").child(ChildSpec::worker("w", fails).restart(Restart::Temporary)));
        let report = t.wait_for(|| crashes.take().into_iter().next());
        assert_eq!(report.metadata.get("worker").map(Value::to_string), Some("u/w".to_owned()), "{restart:?}");
        assert_eq!(lives.len(), 0);
    }
}

#[test]
fn a_word_before_a_child_is_ready_is_a_failed_start() {
    let t = TestUniverse::new();
    let moves_on: Body = |_| Err(Failure::shutdown("nothing to do"));
    let spec = ChildSpec::worker("w", moves_on).ready_within(patience());
    let refused = one_for_one("t").child(spec).start(&t, soon(&t)).expect_err("it was not ready");
    assert!(matches!(&refused, StartError::ChildFailed { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "tree `t` could not be started: `t/w` shutdown: nothing to do");
}

#[test]
fn what_a_clean_end_drops_may_still_crash_it() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let t = TestUniverse::new();
    let bomb = Mutex::new(Some(Bomb));
    let body = move |_: &Life| {
        let _bomb = bomb.lock().take();
        Err(Failure::shutdown("moved on"))
    };
    let spec = ChildSpec::worker("w", body).restart(Restart::Temporary);
    t.assert_telemetry_event(&["foundation", "supervisor", "crash"], fields! { kind: "panicked" }, || {
        t.start(one_for_one("t").child(spec))
    });
}

#[test]
fn a_failure_shows_its_error_or_its_word() {
    let (failed, word) = (Failure::new("no disk"), Failure::shutdown("moved on"));
    assert_eq!((failed.to_string(), word.to_string()), ("no disk".to_owned(), "moved on".to_owned()));
    assert_eq!(format!("{word:?}"), "Shutdown(\"moved on\")");
    assert_eq!((failed.word(), word.word().map(|word| &**word)), (None, Some("moved on")));
    assert_eq!(word.error().to_string(), "moved on");
}

/// What this question, asked by a worker `outer/inner/w` that has all the time in the world, is answered. Then the worker
/// returns, having told the tree that it was given.
fn asked_inside<R: Send + 'static>(question: impl Fn(&Tree, &Life) -> R + Send + Sync + 'static) -> R {
    let t = TestUniverse::new();
    let (trees, answers) = (Queue::<Tree>::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
    let (given, answer) = (trees.clone(), answers.clone());
    let body = move |life: &Life| {
        let Some(outer) = life.next(&given)? else { return Ok(()) };
        answer.try_send(question(&outer, life)).map_err(|_| Failure::new("asked twice"))?;
        outer.tell_to_stop(Cause::Requested);
        idle(life)
    };
    let inner = one_for_one("inner").child(ChildSpec::worker("w", body)).child(ChildSpec::worker("v", idle));
    let outer = t.start(one_for_one("outer").child(ChildSpec::supervisor(inner)).child(ChildSpec::worker("o", idle)));
    trees.try_send(outer.clone()).expect("there is room");
    let answered = answers.recv(soon(&t)).expect("it is answered at once");
    assert_eq!(
        outer.wait(soon(&t)),
        Ok(Exit::Shutdown(Cause::Requested)),
        "`tell_to_stop` is for those who live in it"
    );
    answered
}

#[test]
fn who_lives_in_a_tree_is_refused_at_once_to_wait_for_its_end_and_nothing_is_done() {
    let inside = || StopError::Inside { caller: "outer/inner/w#1".into() };
    let refused = asked_inside(|outer, life| {
        let until = soon(life.system());
        let whole = [outer.stop(&until), outer.wait(&until), life.tree().stop(&until), life.tree().wait(&until)];
        assert_eq!((life.told(), outer.children(&until).map(|children| children.len())), (false, Ok(2)));
        whole
    });
    assert!(refused.iter().all(|refused| *refused == Err(inside())), "{refused:?}");
    assert_eq!(
        inside().to_string(),
        "`outer/inner/w#1` would wait for its own end: call `tell_to_stop`, then return from the body"
    );
}

#[test]
fn a_child_that_asks_for_its_own_end_or_for_that_of_one_above_it_is_refused_at_once() {
    let (own, above, sibling, beside) = asked_inside(|outer, life| {
        let until = soon(life.system());
        let own = life.tree().terminate_child("w", &until);
        let above = outer.terminate_child("inner", &until);
        // Nobody's prefix, and others.
        (own, above, outer.terminate_child("inn", &until), life.tree().terminate_child("v", &until))
    });
    let inside = || Err(ChildError::Inside { caller: "outer/inner/w#1".into() });
    assert_eq!((own, above), (inside(), inside()));
    assert_eq!((sibling, beside), (Err(ChildError::NotFound("inn".into())), Ok(())));
}

#[test]
fn a_worker_may_wait_for_the_end_of_another_tree_whatever_its_name() {
    let (ended, elsewhere) = asked_inside(|_, life| {
        let until = Deadline::never();
        let other = one_for_one("outer2").child(ChildSpec::worker("w", idle)).start(life.system(), until.clone());
        // The same names in another universe.
        let universe = Foundation::builder().start();
        let twin = one_for_one("outer").child(ChildSpec::worker("w", idle)).start(&universe, until.clone());
        let elsewhere = (twin.expect("it starts").stop(&until), universe.stop(patience()).is_clean());
        (other.expect("it starts").stop(&until), elsewhere)
    });
    let requested = || Ok(Exit::Shutdown(Cause::Requested));
    assert_eq!((ended, elsewhere), (requested(), (requested(), true)));
}

/// A worker that was abandoned is nobody's any more, also where another tree has the name of its own.
#[test]
fn who_was_abandoned_may_wait_for_its_old_tree_and_for_a_new_one_of_the_same_name() {
    let t = TestUniverse::new();
    let (gate, answers) = (Queue::<Tree>::bounded(1, Full::Wait), Queue::bounded(1, Full::Refuse));
    let (given, answer) = (gate.clone(), answers.clone());
    let deaf = move |life: &Life| {
        let own = life.tree();
        let until = soon(life.system());
        let Ok(new) = given.recv(&until) else { return Ok(()) };
        let asked = (own.wait(&until), new.terminate_child("w", &until), new.stop(&until));
        answer.try_send(asked).map_err(|_| Failure::new("asked twice"))
    };
    let old = one_for_one("t").child(ChildSpec::worker("w", deaf).stop_within(std::time::Duration::ZERO));
    assert!(t.start(old).stop(soon(&t)).is_ok());
    assert_eq!(t.abandoned(), 1);
    gate.try_send(t.start(one_for_one("t").child(ChildSpec::worker("w", idle)))).expect("there is room");
    let requested = || Ok(Exit::Shutdown(Cause::Requested));
    assert_eq!(answers.recv(soon(&t)), Ok((requested(), Ok(()), requested())));
}

#[test]
fn who_lives_in_a_new_tree_is_not_inside_of_the_old_one_of_its_name() {
    let t = TestUniverse::new();
    let (olds, answers) = (Queue::<Tree>::bounded(1, Full::Wait), Queue::bounded(1, Full::Refuse));
    let (given, answer) = (olds.clone(), answers.clone());
    let asks = move |life: &Life| {
        let until = soon(life.system());
        let Some(old) = life.next(&given)? else { return Ok(()) };
        let asked = (old.terminate_child("w", &until), life.tree().terminate_child("w", &until));
        answer.try_send(asked).map_err(|_| Failure::new("asked twice"))
    };
    let old = t.start(one_for_one("t").child(ChildSpec::worker("w", idle)));
    assert!(old.stop(soon(&t)).is_ok());
    t.start(one_for_one("t").child(ChildSpec::worker("w", asks)));
    olds.try_send(old).expect("there is room");
    let inside = Err(ChildError::Inside { caller: "t/w#1".into() });
    assert_eq!(answers.recv(soon(&t)), Ok((Err(ChildError::Over), inside)));
}

#[test]
fn a_universe_that_is_stopped_by_one_of_its_own_threads_stops_waits_for_nothing_and_says_so() {
    let foundation = Foundation::builder().start();
    let system = foundation.system().clone();
    let (universe, reports) = (Mutex::new(Some(foundation)), Queue::bounded(1, Full::Refuse));
    let report = reports.clone();
    let body = move |life: &Life| {
        if let Some(foundation) = universe.lock().take() {
            report.try_send(foundation.stop(patience() * 1_000)).map_err(|_| Failure::new("stopped twice"))?;
        }
        idle(life)
    };
    one_for_one("t").child(ChildSpec::worker("w", body)).start(&system, soon(&system)).expect("it starts");
    let report = reports.recv(soon(&system)).expect("it is there at once");
    assert_eq!((report.is_clean(), report.inside.as_deref()), (false, Some("t/w#1")));
    let says = "told to stop, and not waited for, since `t/w#1` is part of it; these threads still run: t/w#1 (runs)";
    assert!(report.to_string().starts_with(says), "{report}");
    foundation_testkit::wait_for(|| system.threads().is_empty());
}

#[test]
fn who_waits_for_a_tree_is_seen_to_wait_where_it_asked() {
    type Wait = fn(&Tree, Until<'_>);
    let waits: [Wait; 3] = [
        |tree, until| _ = tree.wait(until),
        |tree, until| _ = tree.stop(until),
        |tree, until| _ = tree.terminate_child("deaf", until),
    ];
    for wait in waits {
        let t = TestUniverse::new();
        let gate = Queue::<()>::bounded(1, Full::Wait);
        let held = gate.clone();
        let deaf = move |life: &Life| {
            _ = held.recv(soon(life.system()));
            idle(life)
        };
        let other = t.start(one_for_one("other").child(ChildSpec::worker("deaf", deaf).stop_whenever()));
        let asked = other.clone();
        let asks = move |life: &Life| {
            wait(&asked, soon(life.system()).or_stop(life.stop()));
            idle(life)
        };
        t.start(one_for_one("t").child(ChildSpec::worker("asks", asks)));
        let place = t.wait_for(|| {
            let threads = t.threads();
            threads.iter().find(|thread| *thread.name == *"t/asks#1").and_then(|thread| match thread.doing {
                Doing::WaitsAt(place) => Some(place),
                _ => None,
            })
        });
        gate.close();
        assert!(place.file().ends_with("tests/supervisor/ends.rs"), "{place}");
    }
}
