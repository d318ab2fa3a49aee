//! A supervisor that breaks.

use foundation_context::{Fields, Incarnation};
use foundation_registry::Address;
use foundation_sync::{Full, MINUTE, Queue, Turn};

use super::*;
use crate::{Failure, Foundation, Life, Strategy};

/// A supervisor that went without its children left their names behind, and its successor could not start them.
#[test]
fn a_supervisor_that_breaks_stops_its_children_and_is_replaced_by_the_one_above() {
    let foundation = Foundation::builder().start();
    let lives = Queue::bounded(8, Full::Refuse);
    let worker = |name: &'static str| {
        let begun = lives.clone();
        let body = move |life: &Life| -> Result<(), Failure> {
            let _name = life.register(name, ())?;
            begun.try_send((life.tree().clone(), life.incarnation())).map_err(|_| Failure::new("too many"))?;
            life.ready();
            life.wait_until_told();
            begun.try_send((life.tree().clone(), life.incarnation())).map_err(|_| Failure::new("too many"))
        };
        ChildSpec::worker(name, body).ready_within(MINUTE)
    };
    let sub = Supervisor::new("sub", Strategy::OneForOne).child(worker("a")).child(worker("b"));
    let tree = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::supervisor(sub));
    let tree = tree.start(&foundation, foundation.within(MINUTE)).expect("it can be started");
    let next = || lives.recv(foundation.within(MINUTE)).expect("it comes");
    let ((below, a), (_, b)) = (next(), next());
    below.push(News::Break);
    // Stopped in reverse order, then started again, and every name was free.
    let order = [next(), next(), next(), next()].map(|(_, life)| life);
    assert_eq!(order[..2], [b, a]);
    assert!(order[2..].iter().all(|life| *life != a && *life != b && foundation.owners().get(*life).is_some()));
    assert_eq!(below.wait(foundation.within(MINUTE)), Ok(Exit::Shutdown(Cause::Broken)));
    tree.stop(foundation.within(MINUTE)).expect("it stops");
    assert!(foundation.stop(MINUTE).is_clean());
}

struct Probe(Queue<Option<Incarnation>>);

impl Drop for Probe {
    fn drop(&mut self) {
        _ = self.0.try_send(foundation_context::incarnation());
    }
}

/// No user's code runs in a crank, also where a defect of ours has it let go of a life that has not ended.
#[test]
fn what_remains_of_a_life_that_its_supervisor_let_go_of_is_dropped_by_the_courier() {
    let foundation = Foundation::builder().start();
    let dropped = Queue::bounded(1, Full::Refuse);
    let ender = Ender::begin(&foundation, Incarnation { id: foundation.next_id(), generation: 1 }, "w");
    let (monitor, value) = (ender.monitor(), Address::new(Probe(dropped.clone())));
    foundation.registry().register("n", &ender, value, Fields::new()).expect("it is free").keep();
    drop(ender);
    assert_eq!(monitor.try_recv().map(|down| down.exit), Ok(Exit::Shutdown(Cause::Broken)));
    let by = dropped.recv(foundation.within(MINUTE)).expect("it is dropped").expect("by somebody's life");
    assert_eq!(foundation.owners().get(by).as_ref().map(|owner| &**owner.name()), Some("courier"));
    assert!(foundation.stop(MINUTE).is_clean());
}

/// Those above, and whoever had asked for it, waited for an end that nobody told.
#[test]
fn a_supervisor_that_breaks_when_it_is_to_tell_its_end_tells_it_all_the_same() {
    let foundation = Foundation::builder().start();
    let (until, idle) = (foundation.within(MINUTE), |life: &Life| {
        life.wait_until_told();
        Ok(())
    });
    let tree = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", idle));
    let tree = tree.start(&foundation, until.clone()).expect("it can be started");
    tree.push(News::BreakAtItsEnd);
    assert_eq!(tree.stop(&until), Ok(Exit::Shutdown(Cause::Broken)));
    let again = Supervisor::new("t", Strategy::OneForOne).start(&foundation, until).expect("its name is free");
    drop(again);
    assert!(foundation.stop(MINUTE).is_clean());
}

#[test]
fn a_start_of_many_children_is_several_turns_and_each_starts_so_many() {
    let foundation = Foundation::builder().start();
    let ends: fn(&Life) -> Result<(), Failure> = |_| Ok(());
    let many = (0..2 * SHARE + 10).map(|n| ChildSpec::worker(format!("w{n}"), ends).restart(crate::Restart::Transient));
    let many = many.fold(Supervisor::new("t", Strategy::OneForOne), Supervisor::child);
    // The hands are turned here; whoever ends tells another, which knows nobody.
    let (owner, other) = (foundation.begin("t"), foundation.begin("other"));
    let mut hands = Crank::hands(&foundation, &many, "t/".into(), &owner, None);
    let empty = Supervisor::new("other", Strategy::OneForOne);
    let me = Serial::new(Crank::hands(&foundation, &empty, "other/".into(), &other, None), foundation.timekeeper());
    let mut turn = |news| {
        hands.turn(&me, news, &mut Agenda::default());
        (hands.places.values().filter(|place| place.occupant.is_some()).count(), hands.rest.is_some())
    };
    assert_eq!(turn(News::Core(Event::Start(None))), (SHARE, true));
    let waiters = [(); 3].map(|()| {
        let (ticket, waiter) = Ticket::new();
        assert_eq!(turn(News::Children(ticket)), (SHARE, true), "it waits behind the start");
        waiter
    });
    assert_eq!(turn(News::GoOn), (2 * SHARE, true));
    assert_eq!(turn(News::GoOn), (2 * SHARE + 10, true));
    assert!(waiters.iter().all(Waiter::waits));
    for (answered, waiter) in waiters.iter().enumerate() {
        assert_eq!(turn(News::GoOn), (2 * SHARE + 10, answered < 2), "one after another");
        let answer = waiter.wait(foundation.within(MINUTE));
        assert!(matches!(answer, Ok(Reply::Children(records)) if records.children.len() == 2 * SHARE + 10));
        assert!(waiters[answered + 1..].iter().all(Waiter::waits));
    }
    drop((owner.end(Exit::Normal), other.end(Exit::Normal)));
    foundation_testkit::wait_for(|| foundation.threads().iter().all(|thread| !thread.name.starts_with("t/")));
    assert!(foundation.stop(MINUTE).is_clean());
}
