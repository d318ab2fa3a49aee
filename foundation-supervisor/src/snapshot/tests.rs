//! Of supervisors that do not answer, and of lives that are too many: what a running tree does not bring about when asked.

use foundation_sync::{Deadline, Full, MINUTE, Queue};

use super::*;
use crate::{ChildSpec, Failure, Foundation, Life, Supervisor, ender::Ender};

fn universe() -> (Foundation, Serial<Crank>, Incarnation) {
    let foundation = Foundation::builder().start();
    let inner = |name| ChildSpec::supervisor(Supervisor::new(name, Strategy::OneForAll).intensity(2, MINUTE));
    let tree = Supervisor::new("t", Strategy::RestForOne).child(inner("silent")).child(inner("open"));
    let tree = tree.start(&foundation, foundation.within(MINUTE)).expect("it can be started");
    let (crank, incarnation) = (tree.crank().clone(), tree.incarnation());
    (foundation, crank, incarnation)
}

#[test]
fn a_supervisor_that_does_not_answer_is_shown_as_such_and_the_others_are_shown_whole() {
    let (foundation, crank, incarnation) = universe();
    let mut asked = 0;
    let mut ask = |crank: &Serial<Crank>| {
        asked += 1;
        if asked == 2 {
            return Err(ChildError::TimedOut);
        }
        match ask(crank, Deadline::never(), News::Children) {
            Ok(Reply::Children(records)) => Ok(*records),
            _ => panic!("it answers"),
        }
    };
    let snapshot = Snapshot::of(&"t".into(), incarnation, &crank, &mut ask).expect("the first one answers");
    let below = |path| match snapshot.find(path).map(|child| &child.role) {
        Some(Role::Supervisor(supervisor)) => &supervisor.below,
        other => panic!("{other:?}"),
    };
    assert_eq!(below("t/silent"), &Below::NotAnswering(ChildError::TimedOut));
    assert_eq!(below("t/open"), &Below::Children(Vec::new()));
    let text = snapshot.to_string();
    let lines: Vec<_> = text.lines().collect();
    let silent = "├── silent  one_for_all   running  #1  up ";
    assert!(lines[1].starts_with(silent), "{text}");
    assert!(lines[1].ends_with("0 of 2 restarts in 1m 0s, does not answer: not done by the deadline"), "{text}");
    assert!(lines[2].starts_with("└── open    one_for_all"), "{text}");
    #[cfg(feature = "json")]
    assert_eq!(snapshot.to_json()["root"]["children"][0]["does_not_answer"], "not done by the deadline");
    let failed = Snapshot::of(&"t".into(), incarnation, &crank, &mut |_| Err(ChildError::TimedOut));
    assert_eq!(failed, Err(ChildError::TimedOut), "nobody else has anything to show");
    assert!(foundation.stop(MINUTE).is_clean());
}

/// A user's value whose drop is noted.
struct Noted(Queue<()>);

impl Drop for Noted {
    fn drop(&mut self) {
        _ = self.0.try_send(());
    }
}

#[test]
fn what_is_in_a_watched_queue_goes_with_its_worker_whoever_looks_at_it() {
    let foundation = Foundation::builder().start();
    let (drops, filled) = (Queue::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
    let (notes, fills) = (drops.clone(), filled.clone());
    let body = move |life: &Life| {
        let own = Queue::bounded(1, Full::Refuse);
        life.watch_queue(&own);
        own.try_send(Noted(notes.clone())).map_err(|_| Failure::new("no room"))?;
        fills.send((), life.stop())?;
        while life.next(&Queue::<()>::bounded(1, Full::Wait))?.is_some() {}
        Ok(())
    };
    let tree = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", body));
    let tree = tree.start(&foundation, foundation.within(MINUTE)).expect("it can be started");
    filled.recv(foundation.within(MINUTE)).expect("it lives");
    let Ok(Reply::Children(records)) = ask(tree.crank(), Deadline::never(), News::Children) else {
        panic!("it answers");
    };
    let RoleRecord::Worker(Some(orders)) = &records.children[0].role else { panic!("it is a living worker") };
    assert_eq!(orders.checkpoints.queues().0, [QueueNote { len: 1, capacity: 1, high_water: 1 }]);
    assert!(drops.is_empty());
    tree.terminate_child("w", foundation.within(MINUTE)).expect("it ends");
    drops.recv(foundation.within(MINUTE)).expect("its worker gave it up, though its records are still held here");
    drop(records);
    assert!(foundation.stop(MINUTE).is_clean());
}

#[test]
fn so_many_lives_that_were_abandoned_are_remembered_and_the_others_are_counted() {
    use record::{Chronicle, MOST_ABANDONED};

    use crate::core::Who;

    let foundation = Foundation::builder().start();
    let incarnation = Incarnation { id: foundation.next_id(), generation: 1 };
    let plan = Supervisor::new("t", Strategy::OneForOne).plan();
    let mut chronicle = Chronicle::new(&plan, 0);
    let orders = Arc::new(Orders::of(Ender::begin(&foundation, incarnation, "outsider")));
    let who = |seat| Who { seat, generation: 1 };
    for seat in 0..MOST_ABANDONED as u64 + 2 {
        let (path, orders) = ("t/w".into(), Arc::clone(&orders));
        chronicle.abandon(Left { who: who(seat), incarnation, path, at: 0, orders });
    }
    let now = |chronicle: &Chronicle| {
        let (lives, more) = chronicle.abandoned();
        (lives.len(), more)
    };
    assert_eq!(now(&chronicle), (MOST_ABANDONED, 2));
    chronicle.late_exit(who(3));
    chronicle.late_exit(who(1000));
    assert_eq!(now(&chronicle), (MOST_ABANDONED - 1, 1));
    drop(orders.ender.end(Exit::Normal));
    assert!(foundation.stop(MINUTE).is_clean());
}
