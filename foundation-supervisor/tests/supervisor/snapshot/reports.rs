//! What the report of a crash says, and where it is to be found afterwards.

use foundation_context::{Value, fields};
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{
    Budget, CRASHED, ChildError, ChildSpec, Failure, Life, MAX_LEN, Restart, Role, Strategy, Supervisor,
};
use foundation_sync::{Deadline, Full, MINUTE, Queue, SECOND};
use foundation_testkit::TestUniverse;

use super::HOUR;

fn one(spec: ChildSpec) -> Supervisor {
    Supervisor::new("t", Strategy::OneForOne).intensity(3, MINUTE).child(spec)
}

#[test]
fn a_report_says_when_where_what_was_left_open_and_how_many_restarts_were_used_before() {
    let t = TestUniverse::with_virtual_time();
    let orders = Queue::bounded(8, Full::Wait);
    let taken = orders.clone();
    let body = move |life: &Life| {
        let telemetry = life.system().telemetry();
        if life.next(&taken)?.is_some() {
            for name in ["first", "second"] {
                telemetry.open_span(name, fields! {});
            }
            life.checkpoint();
            telemetry.span("packing", fields! {}, || panic!("it can't be packed"));
        }
        Ok(())
    };
    t.start(one(ChildSpec::worker("w", body)));
    let crashed = t.capture_telemetry(CRASHED);
    for order in 1..=2_u64 {
        t.clock().advance(SECOND);
        orders.try_send(order).expect("there is room");
        t.clock().advance(SECOND);
        t.wait_for(|| t.crashes().total == order);
    }
    let crashes = t.crashes();
    assert_eq!((crashes.groups.len(), crashes.groups[0].count), (1, 2));
    let report = &crashes.groups[0].last;
    assert_eq!((&*report.worker, report.incarnation.generation, report.at), ("t/w", 2, 3_000_000_000));
    assert_eq!(
        report.restarts,
        Budget { used: 1, allowed: 3, period: 60_000_000_000, frees_in: Some(58_000_000_001) },
        "the restart that the first crash brought about"
    );
    let spans: Vec<_> = report.spans.iter().map(|span| (span.name, span.age)).collect();
    assert_eq!((spans, report.more_spans), (vec![("first", 0), ("second", 0)], 0));
    let place = report.checkpoint.expect("it was passed");
    let Exit::Panicked(panic) = &report.exit else { panic!("{report}") };
    let line = |place: &str| place.split(':').nth(1).and_then(|line| line.parse::<u32>().ok());
    assert_eq!(panic.location.as_deref().and_then(line), Some(place.line() + 1), "one line further down");
    // The event says the same.
    let event = crashed.take().pop().expect("the courier has told of it");
    let said = |name: &str| event.metadata.get(name).map(ToString::to_string);
    assert_eq!(said("checkpoint"), Some(place.to_string()));
    assert_eq!(said("span_id"), report.span.map(|link| link.span.to_string()));
    assert!(said("trace_id").is_some_and(|id| id.len() == 32), "{event:?}");
    assert!(event.measurements.contains(&fields! { at: 3_000_000_000_u64, restarts_used: 1_usize }), "{event:?}");
}

#[test]
fn the_spans_that_a_report_names_are_bounded_and_the_others_are_counted() {
    let t = TestUniverse::new();
    let body = |life: &Life| {
        (0..20).for_each(|_| _ = life.system().telemetry().open_span("forgotten", fields! {}));
        Err(Failure::new("no more"))
    };
    t.start(one(ChildSpec::worker("w", body).restart(Restart::Temporary)));
    t.wait_for(|| t.crashes().total == 1);
    let last = &t.crashes().groups[0].last;
    assert_eq!((last.spans.len(), last.more_spans), (16, 4));
    assert!(last.to_string().ends_with("and 4 more"), "{last}");
}

#[test]
fn the_report_of_a_worker_that_was_abandoned_says_where_it_was_last_seen_and_where_it_waits() {
    let t = TestUniverse::with_virtual_time();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let closed = gate.clone();
    let body = move |life: &Life| {
        life.checkpoint();
        _ = closed.recv(life.system().within(HOUR));
        Ok(())
    };
    let spec = ChildSpec::worker("w", body).stop_within(SECOND).context(fields! { region: "eu" });
    let tree = t.start(one(spec));
    t.clock().advance(SECOND);
    assert_eq!(tree.terminate_child("w", Deadline::now()), Err(ChildError::TimedOut));
    t.clock().advance(SECOND);
    t.wait_for(|| t.crashes().total == 1);
    let last = &t.crashes().groups[0].last;
    let (seen, waits) = (last.checkpoint.expect("it was passed"), last.waits_at.expect("it waits"));
    assert_eq!((seen.file(), waits.line()), (waits.file(), seen.line() + 1));
    assert_eq!(t.crashes().groups[0].place.to_string(), waits.to_string());
    assert_eq!(last.context, fields! { region: "eu" });
    assert_eq!((t.vitals().abandoned, t.vitals().abandoned_running), (1, 1));
    gate.close();
    t.wait_for(|| t.vitals().abandoned_running == 0);
    assert_eq!(t.vitals().abandoned, 1);
}

/// Two trees of one name, one after the other: the first one's worker was abandoned and still runs.
#[test]
fn a_thread_is_known_by_its_life_and_not_by_its_name() {
    let t = TestUniverse::with_virtual_time();
    let gate = Queue::<()>::bounded(1, Full::Wait);
    let wait: [fn(&Queue<()>, &Life); 2] = [
        |gate, life| _ = gate.recv(life.system().within(HOUR)),
        |gate, life| _ = gate.recv(life.system().within(HOUR)),
    ];
    let mut places = Vec::new();
    let mut trees = Vec::new();
    for wait in wait {
        let closed = gate.clone();
        let body = move |life: &Life| {
            wait(&closed, life);
            Ok(())
        };
        let tree = t.start(one(ChildSpec::worker("w", body).stop_within(SECOND)));
        t.clock().advance(SECOND);
        let snapshot = tree.snapshot(t.patience()).expect("it answers");
        let Some(Role::Worker(worker)) = snapshot.find("t/w").map(|child| &child.role) else { panic!("{snapshot}") };
        let seen = worker.thread.as_ref().and_then(|thread| thread.waits_at).expect("it waits");
        tree.tell_to_stop(Cause::Requested);
        t.clock().advance(SECOND);
        tree.wait(t.patience()).expect("it has given its worker up");
        t.wait_for(|| t.crashes().total == trees.len() as u64 + 1);
        let told = t.crashes().groups[0].last.waits_at.expect("it waits");
        assert_eq!(told, seen);
        places.push(seen);
        trees.push(tree);
    }
    assert_ne!(places[0], places[1]);
    gate.close();
    t.wait_for(|| t.vitals().abandoned_running == 0);
}

#[test]
fn what_a_users_error_says_is_bounded_wherever_it_is_told() {
    let t = TestUniverse::new();
    let crashed = t.capture_telemetry(CRASHED);
    let body = |_: &Life| Err(Failure::new(format!("a lot\n{}", "→".repeat(100_000))));
    let tree = t.start(one(ChildSpec::worker("w", body).restart(Restart::Transient)).intensity(1, MINUTE));
    tree.wait(t.patience()).expect("it gives up");
    t.wait_for(|| t.crashes().total == 2);
    let told = crashed.take().pop().expect("it was told before it was counted, but for the last");
    let exit = told.metadata.get("exit").and_then(Value::as_str).expect("it is said").to_owned();
    assert!(
        exit.starts_with("failed: a lot →") && exit.ends_with(" bytes more)") && exit.len() < MAX_LEN + 32,
        "{exit}"
    );
    assert!(t.crashes().to_string().len() < 3 * MAX_LEN);
}
