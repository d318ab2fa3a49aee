//! Supervisors whose children come and go, partitions, children with nothing to do, and restarts that wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foundation_context::Incarnation;
use foundation_registry::Exit;
use foundation_supervisor::{
    Backoff, ChildError, ChildSpec, Failure, Life, Partitions, Phase, Restart, SpecError, Strategy, Supervisor, Tree,
};
use foundation_sync::{Full, MINUTE, Queue, SECOND};
use foundation_testkit::TestUniverse;

fn idle(life: &Life) -> Result<(), Failure> {
    life.wait_until_told();
    Ok(())
}

/// Works on what comes, and ends when there is nothing more.
fn until_closed(orders: &Queue<()>) -> impl Fn(&Life) -> Result<(), Failure> + use<> {
    let orders = orders.clone();
    move |life| {
        while life.next(&orders)?.is_some() {}
        Ok(())
    }
}

fn exit_of(t: &TestUniverse, life: Incarnation) -> Exit {
    t.owners().monitor(life).recv(t.patience()).expect("it ends").exit
}

/// The children's names and phases.
fn children(t: &TestUniverse, tree: &Tree) -> Vec<(String, Phase)> {
    let children = tree.children(t.patience()).expect("it answers");
    children.into_iter().map(|child| (child.name.to_string(), child.phase)).collect()
}

#[test]
fn a_dynamic_supervisor_takes_as_many_children_as_it_may_and_forgets_who_has_ended() {
    let t = TestUniverse::new();
    let tree = t.start(Supervisor::dynamic("sessions", 2));
    let orders = Queue::bounded(1, Full::Wait);
    let session = |orders: &Queue<()>| ChildSpec::worker("session", until_closed(orders)).restart(Restart::Transient);
    let first = tree.start_child(session(&orders), t.patience()).expect("there is room");
    let second = tree.start_child(session(&Queue::bounded(1, Full::Wait)), t.patience()).expect("there is room");
    assert_eq!(tree.start_child(session(&orders), t.patience()), Err(ChildError::TooMany));
    let names = [format!("session:{}", first.id), format!("session:{}", second.id)];
    assert_eq!(children(&t, &tree), names.clone().map(|name| (name, Phase::Running)));
    assert_eq!(&**t.owners().get(first).expect("it lives").name(), format!("sessions/{}", names[0]));
    orders.close();
    assert_eq!(exit_of(&t, first), Exit::Normal);
    t.wait_for(|| children(&t, &tree).len() == 1);
    assert_eq!(tree.terminate_child(first, t.patience()), Err(ChildError::NotFound(first.to_string().into())));
    assert_eq!(tree.terminate_child(second, t.patience()), Ok(()));
    assert_eq!(children(&t, &tree), []);
    let third = tree.start_child(session(&Queue::bounded(1, Full::Wait)), t.patience()).expect("there is room again");
    assert!(third.id > second.id, "numbers are not used again");
}

#[test]
fn a_dynamic_child_that_crashes_is_replaced_under_its_number_and_found_by_any_of_its_lives() {
    let t = TestUniverse::new();
    let tree = t.start(Supervisor::dynamic("sessions", 2));
    let body = |life: &Life| if life.incarnation().generation == 1 { panic!("boom") } else { idle(life) };
    let first = tree.start_child(ChildSpec::worker("session", body), t.patience()).expect("there is room");
    assert!(matches!(exit_of(&t, first), Exit::Panicked(_)));
    let second = Incarnation { generation: 2, ..first };
    t.wait_for(|| t.owners().get(second));
    assert_eq!(tree.terminate_child(first, t.patience()), Ok(()));
    assert_eq!(children(&t, &tree), []);
    assert!(t.owners().get(second).is_none());
}

#[test]
fn who_lives_below_a_dynamic_child_is_refused_at_once_to_wait_for_that_ones_end() {
    let t = TestUniverse::new();
    let tree = t.start(Supervisor::dynamic("sessions", 2));
    let (asked, answers) = (Queue::<Incarnation>::bounded(1, Full::Wait), Queue::bounded(1, Full::Refuse));
    let (hears, says, above) = (asked.clone(), answers.clone(), tree.clone());
    let worker = ChildSpec::worker("w", move |life| {
        while let Some(session) = life.next(&hears)? {
            let answer = above.terminate_child(session, life.system().within(MINUTE));
            says.try_send(answer).map_err(|_| Failure::new("asked once"))?;
        }
        Ok(())
    });
    let session = Supervisor::new("session", Strategy::OneForOne).child(worker);
    let session = tree.start_child(ChildSpec::supervisor(session), t.patience()).expect("there is room");
    asked.send(session, t.patience()).expect("there is room");
    let answer = answers.recv(t.patience()).expect("it is told at once");
    assert!(matches!(&answer, Err(ChildError::Inside { caller }) if caller.ends_with("/w#1")), "{answer:?}");
}

#[test]
fn what_a_temporary_child_was_given_goes_with_it() {
    let t = TestUniverse::new();
    let tree = t.start(Supervisor::dynamic("jobs", 2));
    let (given, probe) = (Arc::new(()), Queue::bounded(1, Full::Wait));
    let (held, work) = (Arc::clone(&given), until_closed(&probe));
    let job = ChildSpec::worker("job", move |life| {
        let _held = &held;
        work(life)
    });
    tree.start_child(job.restart(Restart::Temporary), t.patience()).expect("there is room");
    assert!(Arc::strong_count(&given) > 1);
    probe.close();
    t.wait_for(|| Arc::strong_count(&given) == 1);
}

#[test]
fn significance_is_refused_where_it_means_nothing() {
    let t = TestUniverse::new();
    let significant = || ChildSpec::worker("w", idle).restart(Restart::Transient).significant();
    let dynamic = t.start(Supervisor::dynamic("d", 2));
    let refused = dynamic.start_child(significant(), t.patience());
    assert_eq!(refused, Err(ChildError::BadSpec(SpecError::SignificantDynamic("w".into()))));
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne));
    let refused = tree.start_child(significant(), t.patience());
    assert_eq!(refused, Err(ChildError::BadSpec(SpecError::SignificantForNothing("w".into()))));
}

#[test]
fn a_child_that_has_ended_can_be_deleted_and_its_name_used_again() {
    let t = TestUniverse::new();
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", idle)));
    assert_eq!(tree.delete_child("w", t.patience()), Err(ChildError::AlreadyRunning("w".into())));
    assert_eq!(tree.terminate_child("w", t.patience()), Ok(()));
    assert_eq!(tree.delete_child("w", t.patience()), Ok(()));
    assert_eq!(tree.delete_child("w", t.patience()), Err(ChildError::NotFound("w".into())));
    tree.start_child(ChildSpec::worker("w", idle), t.patience()).expect("the name is free");
}

#[test]
fn who_has_nothing_to_do_ends_is_not_restarted_and_can_be_started_later() {
    let t = TestUniverse::new();
    let needed = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&needed);
    let body = move |life: &Life| match asked.load(Ordering::SeqCst) {
        0 => life.ignore(),
        _ => {
            life.ready();
            idle(life)
        }
    };
    let spec = ChildSpec::worker("w", body).ready_within(MINUTE);
    // Its start succeeds, and that of the child behind it is not held up.
    let tree = Supervisor::new("t", Strategy::OneForOne).child(spec).child(ChildSpec::worker("next", idle));
    let tree = t.start(tree);
    let expected = [("w".to_owned(), Phase::Stopped), ("next".to_owned(), Phase::Running)];
    assert_eq!(children(&t, &tree), expected);
    assert_eq!(t.restarts(), 0);
    needed.store(1, Ordering::SeqCst);
    tree.restart_child("w", t.patience()).expect("it has ended");
    assert_eq!(children(&t, &tree)[0].1, Phase::Running);
}

#[test]
fn a_restart_that_backs_off_is_seen_waits_by_the_clock_and_can_be_skipped() {
    let t = TestUniverse::with_virtual_time();
    let orders = Queue::<bool>::bounded(1, Full::Wait);
    let taken = orders.clone();
    let body = move |life: &Life| match life.next(&taken)? {
        Some(_) => Err(Failure::new("told to fail")),
        None => Ok(()),
    };
    let backoff = Backoff::exponential(SECOND, MINUTE).jitter(0);
    let tree = Supervisor::new("t", Strategy::OneForOne).intensity(9, MINUTE);
    let tree = t.start(tree.child(ChildSpec::worker("w", body).backoff(backoff)));
    let fail = || orders.try_send(true).expect("there is room");
    let phase = || children(&t, &tree)[0].1;
    let backs_off = |phase| match phase {
        Phase::BackingOff { until } => Some(until - t.clock().now()),
        _ => None,
    };
    fail();
    assert_eq!(t.wait_for(|| backs_off(phase())), SECOND.as_nanos() as u64);
    t.clock().advance(SECOND - Duration::from_nanos(1));
    assert!(backs_off(phase()).is_some());
    t.clock().advance(Duration::from_nanos(1));
    t.wait_for(|| phase() == Phase::Running);
    fail();
    assert_eq!(t.wait_for(|| backs_off(phase())), 2 * SECOND.as_nanos() as u64);
    assert_eq!(tree.restart_child("w", t.patience()), Err(ChildError::Restarting("w".into())));
    assert_eq!(tree.skip_backoff("w", t.patience()), Ok(()));
    t.wait_for(|| phase() == Phase::Running);
    assert_eq!(tree.skip_backoff("w", t.patience()), Err(ChildError::NotBackingOff("w".into())));
    fail();
    t.wait_for(|| backs_off(phase()));
    assert_eq!(tree.terminate_child("w", t.patience()), Ok(()));
    assert_eq!(phase(), Phase::Stopped);
    t.clock().advance(MINUTE);
    assert_eq!(phase(), Phase::Stopped, "what was terminated while it waited does not come back");
}

#[test]
fn a_key_has_one_partition_and_closed_ones_get_no_keys() {
    let t = TestUniverse::new();
    let shards = Partitions::new(4);
    let spec = |number| {
        ChildSpec::worker("ignored", move |life: &Life| {
            let _name = life.register(&format!("shard/{number}"), number)?;
            life.ready();
            idle(life)
        })
        .ready_within(MINUTE)
    };
    let tree = t.start(shards.supervisor("shards", spec));
    let names: Vec<_> = children(&t, &tree).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0", "1", "2", "3"]);
    let spread = |shards: &Partitions| {
        let mut keys = [0; 4];
        (0..1000).for_each(|key| keys[shards.route(&key).expect("some are open")] += 1);
        keys
    };
    assert!(spread(&shards).iter().all(|keys| *keys > 150), "{:?}", spread(&shards));
    assert_eq!(shards.route("a"), shards.route("a"));
    let up = |number: usize| t.whereis(&format!("shard/{number}")).is_some();
    shards.resize(&tree, 2, t.patience()).expect("it can be made smaller");
    assert_eq!((0..4).map(up).collect::<Vec<_>>(), [true, true, false, false]);
    let [first, second, 0, 0] = spread(&shards) else { panic!("{:?}", spread(&shards)) };
    assert!(first > 300 && second > 300);
    shards.resize(&tree, 0, t.patience()).expect("all can be closed");
    assert_eq!(shards.route("a"), None);
    shards.resize(&tree, 4, t.patience()).expect("all can be opened");
    assert!((0..4).all(up));
    assert_eq!(shards.resize(&tree, 5, t.patience()), Err(ChildError::NotFound("4".into())));
    assert_eq!(format!("{shards:?}"), "Partitions(4 of 4 open)");
}

#[test]
fn partitions_that_can_not_all_be_opened_stay_as_they_were() {
    let t = TestUniverse::new();
    let broken = Arc::new(AtomicUsize::new(usize::MAX));
    let shards = Partitions::new(4);
    let asked = Arc::clone(&broken);
    let spec = move |number| {
        let asked = Arc::clone(&asked);
        ChildSpec::worker("shard", move |life: &Life| {
            if asked.load(Ordering::SeqCst) == number {
                return Err(Failure::new("broken"));
            }
            life.ready();
            idle(life)
        })
        .ready_within(MINUTE)
    };
    let tree = t.start(shards.supervisor("shards", spec));
    shards.resize(&tree, 1, t.patience()).expect("it can be made smaller");
    broken.store(3, Ordering::SeqCst);
    let refused = shards.resize(&tree, 4, t.patience());
    assert!(matches!(&refused, Err(ChildError::StartFailed { name, .. }) if &**name == "3"), "{refused:?}");
    let phases: Vec<_> = children(&t, &tree).into_iter().map(|(_, phase)| phase).collect();
    assert_eq!(phases, [Phase::Running, Phase::Stopped, Phase::Stopped, Phase::Stopped]);
    assert_eq!((0..1000).filter_map(|key| shards.route(&key)).max(), Some(0));
}
