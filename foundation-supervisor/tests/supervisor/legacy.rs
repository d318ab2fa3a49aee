//! A universe that starts from the old implementations, and is moved to the new ones and back.

use std::{sync::Arc, time::Duration};

use foundation_context::{InContext, Value, fields, inherit, with};
use foundation_flags::{
    ChangeError, EMERGENCY, ENFORCE_NO_THREAD_LOCAL, FLAG_CHANGED, FailureGuard, Flag, Flags, ROLLED_BACK,
    STAGE_ENABLED, Thresholds, USE_SHARED_REGISTRY, What,
};
use foundation_registry::{Address, Owner};
use foundation_supervisor::{CRASHED, Calls, ChildSpec, Foundation, Restart, Strategy, Supervisor, System};
use foundation_sync::{Full, MINUTE, Mutex, Queue, SECOND, SECONDS_5, VirtualTime, thread};
use foundation_telemetry::{Event, EventName, SPAN_STOP, event_name};
use foundation_testkit::TestUniverse;

const SAID: EventName = event_name!("test", "said");

fn legacy() -> TestUniverse {
    TestUniverse::of(Foundation::builder().start_from_legacy().without_waiting())
}

fn flags(t: &TestUniverse) -> &Flags {
    t.migration().expect("it started from the old implementations")
}

#[track_caller]
fn up_to(t: &TestUniverse, stage: usize) {
    for next in flags(t).status().stage + 1..=stage {
        flags(t).advance_to(next, "alice", "test", t.within(SECONDS_5)).expect("it is next");
    }
}

/// Runs `work` on a thread that the universe did not start, at home in it.
fn elsewhere<R: Send + 'static>(t: &TestUniverse, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (place, system) = (Arc::new(Mutex::new(None)), System::clone(t));
    let result = Arc::clone(&place);
    let body = move || *result.lock() = Some(system.enter(work));
    thread::Builder::new("elsewhere").spawn(body).expect("a thread").join().expect("it does not panic");
    let result = place.lock().take();
    result.expect("it ran")
}

fn finds(t: &TestUniverse, name: &'static str) -> bool {
    let system = System::clone(t);
    elsewhere(t, move || system.whereis(name).is_some())
}

fn register(t: &TestUniverse, owner: &Owner, name: &str) {
    t.registry().register(name, owner, Address::new(()), fields! {}).expect("it is free").keep();
}

/// Hears on which threads `SAID` is handled, and with what context.
fn hear(t: &TestUniverse) -> Queue<(thread::ThreadId, String)> {
    let heard = Queue::bounded(100, Full::Refuse);
    let notes = heard.clone();
    let handler = move |event: &Event| {
        let said = event.context().fields().to_string();
        notes.try_send((thread::id(), said)).expect("there is room");
    };
    t.telemetry().attach_queued("hears", SAID, 100, handler).expect("the id is free");
    heard
}

fn say(t: &TestUniverse) -> bool {
    t.telemetry().emitter(SAID).emit_once_per(Duration::from_secs(3600), "key", || (fields! {}, fields! {}))
}

#[test]
fn a_universe_starts_with_everything_new_and_nobody_meets_the_flags() {
    let t = TestUniverse::new();
    assert!(t.migration().is_none());
    let owner = t.begin("w");
    register(&t, &owner, "n");
    assert!(finds(&t, "n"));
    drop(owner.end(foundation_registry::Exit::Normal));
}

#[test]
fn from_the_old_way_to_the_new_one_stage_by_stage() {
    let t = legacy();
    t.enter(|| {
        assert!(flags(&t).view().all().iter().all(|(_, on)| !on), "{:?}", flags(&t));
        let owner = t.begin("w");
        let heard = hear(&t);
        let here = thread::id();

        // Stage 0: what is done on a thread stays there.
        register(&t, &owner, "old");
        assert!(t.whereis("old").is_some() && !finds(&t, "old"), "the name is its thread's alone");
        let job = with(fields! { request: 1 }, || inherit(|| foundation_context::current().fields().to_string()));
        assert_eq!(elsewhere(&t, job), "", "the context is not inherited");
        with(fields! { request: 1 }, || assert!(say(&t)));
        assert_eq!(heard.try_recv(), Ok((here, String::new())), "heard by whoever emits, without its context");
        let error = with(fields! { request: 1 }, || Err::<(), _>(std::fmt::Error).in_context()).expect_err("made so");
        assert!(error.context().get("request").is_some(), "an error on the same thread remembers");
        let span = t.telemetry().enter_span("old", fields! {});
        let seen = |t: &TestUniverse| {
            let telemetry = t.telemetry().clone();
            elsewhere(t, move || telemetry.open_spans().len())
        };
        assert_eq!((t.telemetry().open_spans().len(), seen(&t)), (1, 0), "the span is not published");
        let system = System::clone(&t);
        assert!(!say(&t), "this thread has said it");
        let again = move || {
            let emitter = system.telemetry().emitter(SAID);
            emitter.emit_once_per(Duration::from_secs(3600), "key", || (fields! {}, fields! {}))
        };
        assert!(elsewhere(&t, again.clone()), "another thread says it once more");
        assert!(heard.try_recv().is_ok());

        // Stage 2: the registry.
        up_to(&t, 2);
        assert!(finds(&t, "old"), "what was registered the old way is there for everybody, too");
        register(&t, &owner, "new");
        assert!(finds(&t, "new"));

        // Stage 3: the context.
        up_to(&t, 3);
        let job = with(fields! { request: 2 }, || inherit(|| foundation_context::current().fields().to_string()));
        assert_eq!(elsewhere(&t, job), "request: 2");

        // Stage 4: telemetry.
        up_to(&t, 4);
        assert_eq!(seen(&t), 1, "also the span that was opened the old way");
        assert!(!elsewhere(&t, again), "said once by anybody is said");
        with(fields! { request: 3 }, || t.telemetry().emit(SAID, || (fields! {}, fields! {})));
        let (thread, context) = heard.recv(t.within(SECONDS_5)).expect("the courier delivers");
        assert!(thread != here && context == "request: 3", "heard by the courier, with the context: {context}");
        let open = vec![("use_shared_registry", 1), ("use_span_manager", 1)];
        assert_eq!(flags(&t).status().old_guards, open, "the old name and the old span");

        // Stage 5: no way back but a rollback.
        up_to(&t, 5);
        let refused = flags(&t).hold(&USE_SHARED_REGISTRY, "bob", "x").expect_err("it is enforced");
        let by = ENFORCE_NO_THREAD_LOCAL.name();
        assert_eq!(refused, ChangeError::Enforced { flag: USE_SHARED_REGISTRY.name(), by });
        assert!(!flags(&t).status().is_complete());
        drop(span);
        drop(owner.end(foundation_registry::Exit::Normal));
        assert!(flags(&t).status().is_complete(), "{}", flags(&t).status());
        t.telemetry().detach("hears").expect("it is attached");
    });
}

#[test]
fn a_rollback_takes_nothing_away_from_those_who_could_see_it() {
    let t = legacy();
    up_to(&t, 4);
    let owner = t.begin("w");
    register(&t, &owner, "new");
    let span = t.telemetry().enter_span("new", fields! {});
    flags(&t).rollback_to(1, "bob", "test").expect("it is lower");
    assert!(finds(&t, "new"), "everybody could find it, so everybody can");
    register(&t, &owner, "old again");
    assert!(!finds(&t, "old again"));
    let telemetry = t.telemetry().clone();
    assert_eq!(elsewhere(&t, move || telemetry.open_spans().len()), 1);
    drop(span);
    assert_eq!(t.telemetry().spans_open(), 0);
    drop(owner.end(foundation_registry::Exit::Normal));
}

#[test]
fn a_worker_of_the_old_way_reports_its_crash_without_the_context_of_the_place() {
    let t = legacy();
    let crash = |t: &TestUniverse, name: &'static str| {
        let body = |_: &foundation_supervisor::Life| with(fields! { file: "a.rs" }, || panic!("boom"));
        let child = ChildSpec::worker("w", body).restart(Restart::Temporary);
        let crashed = t.assert_telemetry_event(CRASHED.words(), fields! { worker: format!("{name}/w") }, || {
            t.start(Supervisor::new(name, Strategy::OneForOne).child(child))
        });
        crashed.metadata.get("file").and_then(Value::as_str).map(str::to_owned)
    };
    assert_eq!(crash(&t, "old"), None);
    up_to(&t, 3);
    assert_eq!(crash(&t, "new").as_deref(), Some("a.rs"));
}

#[test]
fn spans_that_a_worker_leaves_open_are_closed_as_aborted_whatever_the_mode() {
    for stage in [0, 5] {
        let t = legacy();
        up_to(&t, stage);
        let body = |life: &foundation_supervisor::Life| {
            life.system().telemetry().open_span("forgotten", fields! {});
            Ok(())
        };
        let child = ChildSpec::worker("w", body).restart(Restart::Temporary);
        let stop = t.assert_telemetry_event(SPAN_STOP.words(), fields! { span_name: "forgotten" }, || {
            t.start(Supervisor::new("t", Strategy::OneForOne).child(child))
        });
        assert_eq!(stop.metadata.get("status").and_then(Value::as_str), Some("aborted"));
        t.wait_for(|| t.telemetry().spans_open() == 0);
    }
}

#[test]
fn decisions_are_told_by_the_courier_in_their_order() {
    let t = legacy();
    let told = Queue::bounded(100, Full::Refuse);
    let notes = told.clone();
    let handler = move |event: &Event| notes.try_send((thread::id(), event.name)).expect("there is room");
    t.telemetry().attach("notes", [STAGE_ENABLED, ROLLED_BACK, EMERGENCY], handler).expect("the id is free");
    up_to(&t, 2);
    flags(&t).rollback_to(0, "bob", "x").expect("it is lower");
    flags(&t).emergency_rollback("x");
    for name in [STAGE_ENABLED, STAGE_ENABLED, ROLLED_BACK, EMERGENCY] {
        let (thread, heard) = told.recv(t.within(SECONDS_5)).expect("the courier tells");
        assert!(heard == name && thread != thread::id(), "{heard}");
    }
    t.telemetry().detach("notes").expect("it is attached");
}

#[test]
fn a_guard_of_failed_attempts_rolls_a_stage_back_when_its_window_is_over() {
    let (guard, time) = (FailureGuard::above("errors", 0.5).window(MINUTE).at_least(10), VirtualTime::new());
    let t =
        TestUniverse::of(Foundation::builder().clock(&time.clock()).start_from_legacy().without_waiting().guard(guard));
    up_to(&t, 4);
    let attempts = flags(&t).attempts().expect("there is a guard");
    let rolled_back = t.assert_telemetry_event(ROLLED_BACK.words(), fields! { by: "guard errors".to_owned() }, || {
        (0..10).for_each(|_| drop(attempts.begin()));
        t.clock().advance(MINUTE);
    });
    assert_eq!(rolled_back.measurements.get("to_stage").and_then(Value::as_u64), Some(3));
    assert_eq!(flags(&t).history().last().map(|change| change.what), Some(What::RolledBack { from: 4, to: 3 }));
}

#[test]
fn without_a_courier_there_is_no_guard_and_decisions_are_told_by_whoever_makes_them() {
    let guard = FailureGuard::above("errors", 0.5);
    let foundation = Foundation::builder().without_courier().start_from_legacy().without_waiting().guard(guard).start();
    let flags = foundation.migration().expect("it started from the old implementations");
    assert!(flags.attempts().is_none());
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let handler = move |_: &Event| notes.lock().push(thread::id());
    foundation.telemetry().attach("told", EMERGENCY, handler).expect("the id is free");
    flags.emergency_rollback("test");
    assert_eq!(*told.lock(), [thread::id()]);
    assert!(foundation.stop(SECONDS_5).is_clean());
}

#[test]
fn when_the_universe_has_been_stopped_an_emergency_rollback_still_works() {
    let foundation = Foundation::builder().start_from_legacy().without_waiting().start();
    let system = foundation.system().clone();
    let flags = system.migration().expect("it started from the old implementations").clone();
    for stage in 1..=5 {
        flags.advance_to(stage, "alice", "test", system.within(SECONDS_5)).expect("it is next");
    }
    assert!(foundation.stop(SECONDS_5).is_clean());
    let told = Arc::new(Mutex::new(0));
    let counts = Arc::clone(&told);
    system.telemetry().attach("late", EMERGENCY, move |_| *counts.lock() += 1).expect("the id is free");
    flags.emergency_rollback("after the end");
    assert_eq!((flags.status().stage, system.registry().switch().is_on()), (0, false));
    assert_eq!(*told.lock(), 1, "told from here, for there is no courier any more");
}

#[test]
fn flags_of_a_users_own_are_at_home_in_the_universe() {
    const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
    let t = TestUniverse::new();
    let own = t.declare_flags().flag(&NEW_CHECKOUT).start().expect("it fits");
    t.assert_telemetry_event(FLAG_CHANGED.words(), fields! { flag: "new_checkout", on: true }, || {
        own.change("alice", "go").on(&NEW_CHECKOUT).apply(t.within(SECOND)).expect("it is free");
    });
    assert!(own.enabled(&NEW_CHECKOUT));
}

/// Its clock is the system's, for probes take time; nothing waits for a minute to pass.
#[test]
fn a_universes_own_figures_are_measured_and_judged() {
    let window = Duration::from_millis(5);
    let thresholds = Thresholds::runbook().window(window);
    let builder = Foundation::builder().start_from_legacy().without_waiting().thresholds(thresholds);
    let t = TestUniverse::of(builder);
    flags(&t).start_baseline("alice", "before", t.within(SECONDS_5)).expect("none is under way");
    t.wait_for(|| flags(&t).baseline_under_way().is_some_and(|it| it.figures.len() >= 6));
    flags(&t).finish_baseline("alice", "well", t.within(SECONDS_5)).expect("a window was over");
    let baseline = flags(&t).baseline().expect("it is finished");
    for figure in [Thresholds::REGISTRY_LOOKUP, Thresholds::CONTEXT_OVERHEAD, Thresholds::TELEMETRY_THROUGHPUT] {
        assert!(baseline.figures[figure].mean > 0.0, "{figure}: {baseline}");
    }
    assert!(baseline.figures[Thresholds::MEMORY].mean > 1e5, "{baseline}");
}

#[test]
fn calls_without_an_answer_roll_a_stage_back() {
    let time = VirtualTime::new();
    let legacy = Foundation::builder().clock(&time.clock()).start_from_legacy().without_waiting();
    let t = TestUniverse::of(legacy.thresholds(Thresholds::runbook()));
    up_to(&t, 4);
    time.advance(MINUTE).expect("it is calm");
    let calls = t.part::<Calls>();
    (0..100).for_each(|number| calls.count(number % 20 == 0));
    time.advance(MINUTE).expect("5 % are not too many");
    assert_eq!(flags(&t).status().stage, 4);
    (0..100).for_each(|number| calls.count(number < 6));
    time.advance(MINUTE).expect("it is judged");
    let last = flags(&t).history().pop().expect("it was rolled back");
    assert_eq!((&*last.by, &*last.why), ("guard runbook", "error rate 6 %, more than 5 %"));
}

#[test]
fn spans_that_end_in_errors_and_lives_that_panic_roll_a_stage_back() {
    let time = VirtualTime::new();
    let thresholds = Thresholds::runbook();
    let legacy = Foundation::builder().clock(&time.clock()).start_from_legacy().without_waiting();
    let t = TestUniverse::of(legacy.thresholds(thresholds));
    up_to(&t, 4);
    time.advance(MINUTE).expect("it is calm");
    let figures = flags(&t).status().figures;
    let of = |name: &str| figures.iter().find(|it| it.figure == name).expect("it is judged").to_string();
    assert_eq!(
        of(Thresholds::ERROR_RATE),
        "error rate not measured (0 in the window, fewer than 100) (no baseline for: alert)"
    );
    assert_eq!(of(Thresholds::REGISTRY_LOOKUP), "registry lookup p99 not measured (the clock stands)");
    t.enter(|| {
        for number in 0..100 {
            let mut span = t.telemetry().enter_span("work", fields! {});
            if number % 10 == 0 {
                span.fail("injected");
            }
        }
    });
    let body = |_: &foundation_supervisor::Life| panic!("boom");
    let child = ChildSpec::worker("w", body).restart(Restart::Temporary);
    t.assert_telemetry_event(CRASHED.words(), fields! {}, || {
        t.start(Supervisor::new("t", Strategy::OneForOne).child(child))
    });
    time.advance(MINUTE).expect("it is judged");
    let last = flags(&t).history().pop().expect("it was rolled back");
    assert_eq!(last.what, What::RolledBack { from: 4, to: 3 });
    assert_eq!((&*last.by, &*last.why), ("guard runbook", "error rate 10.9 %, more than 5 %"), "11 of 101");
}
