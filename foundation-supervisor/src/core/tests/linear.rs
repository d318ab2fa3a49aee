//! What a supervisor decides costs what it decides: counted, not timed.

use super::*;

const MANY: usize = 100_000;

/// Steps the core through the whole life of this many children, and counts what it decides.
fn whole_life(tree: &Tree<'_>) -> usize {
    let mut core: Core<char> = tree.core();
    let mut decided = 0;
    let mut todo = vec![E::Start(None)];
    let mut crash: Vec<_> = (0..tree.1.len() as Seat).collect();
    let mut stopping = false;
    loop {
        let event = match todo.pop() {
            Some(event) => event,
            None if !crash.is_empty() => E::Exited(who(crash.pop().expect("looked at"), 1), failed()),
            None if !stopping => {
                stopping = true;
                E::Stop(None, Cause::Requested)
            }
            None => return decided,
        };
        for action in core.step(0, event) {
            decided += 1;
            match action {
                Action::Spawn(who) => todo.push(E::Spawned(who)),
                Action::SignalStop(who, _) => todo.push(E::Exited(who, told())),
                _ => {}
            }
        }
    }
}

#[test]
fn a_hundred_thousand_children_start_crash_and_stop_at_a_few_decisions_each() {
    let children = vec![Rules { significant: true, ..TRANSIENT }; MANY];
    for dynamic in [None, Some(MANY)] {
        let mut tree = plan(Strategy::OneForOne, &children);
        tree.0.intensity.restarts = MANY;
        tree.0.auto_shutdown = AutoShutdown::AllSignificant;
        tree.0.dynamic = dynamic;
        // Spawn; gone, restarting, spawn; stop, gone: and the end.
        let decided = whole_life(&tree);
        assert_eq!(decided, 6 * MANY + 2, "dynamic: {dynamic:?}");
    }
}

#[test]
fn many_who_ask_a_stopping_supervisor_to_stop_cost_it_no_second_look_at_its_children() {
    let children = vec![PERMANENT; MANY];
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &children));
    for _ in 0..MANY {
        desk.tell(E::Stop(None, Cause::Requested));
    }
    desk.check(E::Exited(who(MANY as Seat - 1, 1), told()), &{
        format!("gone {}#1 shutdown, stop {}#1 (requested)", MANY - 1, MANY - 2)
    });
}
