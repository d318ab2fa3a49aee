//! What the courier still delivers when everything ends.

use std::sync::Arc;

use foundation_context::{Value, fields};
use foundation_flags::{EMERGENCY, Flag, MigrationPlan};
use foundation_supervisor::{CRASHED, ChildSpec, Foundation, Life, Restart, Strategy, Supervisor};
use foundation_sync::{Clock, Full, Mutex, Queue, SECONDS_5};
use foundation_telemetry::{Event, EventName, SPAN_STOP, event_name};
use foundation_testkit::{TestUniverse, join, patience, spawn, wait_for};

const SAID: EventName = event_name!("test", "said");

#[test]
fn what_its_last_deliveries_bring_about_is_delivered_too() {
    let foundation = Foundation::builder().start();
    let system = foundation.system().clone();
    let (gate, entered, heard) =
        (Queue::<()>::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse), Queue::bounded(8, Full::Refuse));
    let (waits, enters, notes) = (gate.clone(), entered.clone(), heard.clone());
    let until = Clock::system().within(patience());
    let holds = move |_: &Event| {
        enters.try_send(()).expect("it is called once");
        _ = waits.recv(&until);
    };
    system.telemetry().attach_queued("holds", SAID, 8, holds).expect("the id is free");
    let ledger =
        move |event: &Event| notes.try_send(event.metadata.get("kind").map(Value::to_string)).expect("there is room");
    system.telemetry().attach_queued("ledger", CRASHED, 8, ledger).expect("the id is free");
    system.telemetry().emit(SAID, || (fields! {}, fields! {}));
    entered.recv(system.within(patience())).expect("the courier is held up");
    let body = |_: &Life| panic!("the last thing that happens");
    let child = ChildSpec::worker("w", body).restart(Restart::Temporary);
    Supervisor::new("t", Strategy::OneForOne).child(child).start(&system, system.within(SECONDS_5)).expect("it starts");
    wait_for(|| system.owners().live().iter().all(|owner| &**owner.name() != "t/w"));
    let reports = Queue::bounded(1, Full::Refuse);
    let report = reports.clone();
    let stops = spawn(move || report.try_send(foundation.stop(patience())).expect("there is room"));
    // The services are told when the trees have ended.
    wait_for(|| system.owners().live().iter().all(|owner| &**owner.name() != "trees"));
    gate.close();
    stops.join().expect("it does not panic");
    let report = reports.try_recv().expect("it has stopped");
    assert!(report.is_clean() && report.lost == 0, "{report}");
    assert_eq!(heard.drain(), [Some("panicked".to_owned())]);
}

#[test]
fn a_span_that_a_life_leaves_open_is_closed_before_anybody_hears_of_its_end() {
    let t = TestUniverse::new();
    let (lived, owners) = (Arc::new(Mutex::new(Vec::new())), t.owners().clone());
    let notes = Arc::clone(&lived);
    let handler = move |_: &Event| {
        let who = foundation_context::incarnation().expect("it runs on the thread that ends");
        notes.lock().push(owners.exit_of(who).is_none());
    };
    t.telemetry().attach("spans", SPAN_STOP, handler).expect("the id is free");
    let body = |life: &Life| {
        life.system().telemetry().open_span("forgotten", fields! {});
        Ok(())
    };
    t.start(Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", body).restart(Restart::Temporary)));
    t.wait_for(|| t.telemetry().spans_closed() == 1);
    t.wait_for(|| lived.lock().pop()).then_some(()).expect("it had not ended yet");
    t.telemetry().detach("spans").expect("it is attached");
}

/// The courier ends at some moment of this: what it does not take any more goes back to whoever brought it.
#[test]
fn what_follows_a_decision_is_done_however_close_to_the_end_it_is_made() {
    const A: Flag = Flag::off("a");
    for round in 0..100_u32 {
        let foundation = Foundation::builder().start();
        let system = foundation.system().clone();
        let (told, up) = (Queue::bounded(8, Full::Refuse), Queue::bounded(1, Full::Refuse));
        let (notes, comes_up) = (told.clone(), up.clone());
        system.telemetry().attach("told", EMERGENCY, move |_| _ = notes.try_send(())).expect("the id is free");
        let courier = move |_: &Event| _ = comes_up.try_send(());
        system.telemetry().attach_queued("up", SAID, 1, courier).expect("the id is free");
        system.telemetry().emit(SAID, || (fields! {}, fields! {}));
        up.recv(system.within(patience())).expect("the courier is up");
        let flags = system.declare_flags().plan(MigrationPlan::new("p").stage("one", &[A])).start().expect("it fits");
        let decides = spawn(move || {
            (0..round * 20).for_each(|_| std::hint::spin_loop());
            _ = flags.emergency_rollback("at the end");
        });
        assert!(foundation.stop(patience()).is_clean());
        join(decides);
        assert_eq!(told.drain().len(), 1, "round {round}: told once, by the courier or by whoever decided");
    }
}

/// Says on which thread it is dropped.
struct Noted(Queue<Option<String>>);

impl Drop for Noted {
    fn drop(&mut self) {
        _ = self.0.try_send(std::thread::current().name().map(str::to_owned));
    }
}

#[test]
fn what_a_body_captures_is_dropped_by_the_courier_whenever_its_spec_goes() {
    let t = TestUniverse::new();
    let dropped = Queue::bounded(16, Full::Refuse);
    let spec = |name: &'static str| {
        let held = Noted(dropped.clone());
        ChildSpec::worker(name, move |life| {
            let _held = &held;
            life.wait_until_told();
            Ok(())
        })
    };
    let by = || dropped.recv(t.patience()).expect("it is dropped");
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne).child(spec("first")));
    // Refused.
    assert!(tree.start_child(spec("first"), t.patience()).is_err());
    assert_eq!(by().as_deref(), Some("courier#1"));
    // Forgotten, when it has ended.
    tree.start_child(spec("passing").restart(Restart::Temporary), t.patience()).expect("its name is free");
    tree.terminate_child("passing", t.patience()).expect("it stops");
    assert_eq!(by().as_deref(), Some("courier#1"));
    // Deleted.
    tree.start_child(spec("deleted"), t.patience()).expect("its name is free");
    tree.terminate_child("deleted", t.patience()).expect("it stops");
    tree.delete_child("deleted", t.patience()).expect("it has ended");
    assert_eq!(by().as_deref(), Some("courier#1"));
    // The supervisor's end.
    tree.stop(t.patience()).expect("it stops");
    assert_eq!(by().as_deref(), Some("courier#1"));
}
