//! Messages that are done again.

use foundation_server::{Handle, ServerRef, ServerSpec, Turn};
use foundation_testkit::TestUniverse;

use crate::common::{Add, Clerk, Gate, Log, Note, ask, boom, clerk, start};

/// Costs so many lives; notes each attempt.
#[derive(Clone)]
struct Costs {
    name: &'static str,
    lives: u32,
}

impl Handle<Costs> for Clerk {
    type Reply = ();

    fn handle(&mut self, Costs { name, lives }: Costs, turn: &mut Turn<'_, Self>) {
        self.log.add(format!("{name}{}", turn.attempt()));
        if turn.attempt() <= lives {
            boom();
        }
    }
}

/// What it has noted after these, and that nothing was lost.
fn done(spec: ServerSpec<Clerk>, clerk: &ServerRef<Clerk>, log: &Log, messages: &[(&'static str, u32)]) -> String {
    let t = TestUniverse::new();
    let _tree = start(&t, spec);
    let gate = Gate::new();
    clerk.cast(gate.pass()).expect("it serves");
    gate.somebody(&t);
    for &(name, lives) in messages {
        clerk.cast_again(Costs { name, lives }).expect("there is room");
    }
    clerk.cast(Note("last")).expect("there is room");
    gate.open();
    ask(&t, clerk, Add(0));
    let status = t.wait_for(|| {
        let status = clerk.status();
        let sent = messages.len() as u64 + 3;
        (status.handled - status.again + status.buried == sent)
            .then_some(status.clone())
            .ok_or_else(|| Box::new(status))
    });
    assert_eq!((status.broken, status.refused, status.returned), (status.again, 0, 0), "{status:?}");
    log.text()
}

#[test]
fn a_message_that_is_done_again_sees_its_attempt_and_keeps_its_place() {
    let (spec, clerk, log) = clerk();
    let done = done(spec, &clerk, &log, &[("a", 0), ("b", 2), ("c", 1)]);
    assert_eq!(done, "a1, b1, b2, b3, c1, c2, last");
    assert_eq!(clerk.status().buried, 0);
}

#[test]
fn a_message_that_has_cost_as_many_lives_as_it_may_becomes_a_dead_letter() {
    let (spec, clerk, log) = clerk();
    let done = done(spec.quarantine_after(2), &clerk, &log, &[("a", 9), ("b", 1), ("c", 0)]);
    assert_eq!(done, "a1, a2, b1, b2, c1, last");
    let status = clerk.status();
    assert_eq!((status.buried, status.broken), (1, 3));
}

#[test]
fn no_life_at_all_counts_as_one() {
    let (spec, clerk, log) = clerk();
    assert_eq!(done(spec.quarantine_after(0), &clerk, &log, &[("a", 1)]), "a1, last");
    assert_eq!(clerk.status().buried, 1);
}

#[test]
fn a_message_that_is_done_once_sees_the_first_attempt_and_is_lost_with_its_life() {
    let t = TestUniverse::new();
    let (spec, clerk, log) = clerk();
    let _tree = start(&t, spec);
    clerk.cast(Costs { name: "a", lives: 1 }).expect("it serves");
    ask(&t, &clerk, Add(0));
    let status = clerk.status();
    assert_eq!((log.text().as_str(), status.handled, status.broken, status.again), ("a1", 2, 1, 0));
}
