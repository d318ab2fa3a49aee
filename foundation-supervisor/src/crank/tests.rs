//! A supervisor that breaks.

use foundation_context::{Fields, Incarnation};
use foundation_registry::Address;
use foundation_sync::{Full, MINUTE, Queue};

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
