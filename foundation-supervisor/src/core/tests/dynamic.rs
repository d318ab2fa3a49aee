//! Dynamic supervisors, children that have nothing to do, and those that are deleted.

use super::*;

fn dynamic(children: &[Rules]) -> Tree<'_> {
    let mut tree = plan(Strategy::OneForOne, children);
    tree.0.dynamic = Some(3);
    tree
}

#[test]
fn a_dynamic_supervisor_stops_its_children_side_by_side_and_each_has_its_own_deadline() {
    Desk::started(&dynamic(&[IMPATIENT, Rules { stop_within: Some(7), ..PERMANENT }, PERMANENT]))
        .check(
            E::Stop(Some('s'), Cause::Requested),
            "stop 1#1 (requested), Stop timer 1#1 at 7, stop 0#1 (requested), Stop timer 0#1 at 9, stop 2#1 (requested)",
        )
        .check(E::Exited(who(0, 1), told()), "no Stop timer 0#1, gone 0#1 shutdown")
        .check(E::Due(who(1, 1), Timer::Stop), "abandon 1#1 since 0, gone 1#1 abandoned")
        .check(E::Exited(who(2, 1), told()), "gone 2#1 shutdown, finished shutdown (requested), s: Done");
}

#[test]
fn who_ended_for_good_is_forgotten_by_a_dynamic_supervisor() {
    let mut desk = Desk::started(&dynamic(&[TRANSIENT, PERMANENT, TEMPORARY]));
    assert!(!desk.core.has_room());
    desk.check(E::Exited(who(0, 1), Exit::Normal), "gone 0#1 normal, forget 0")
        .check(E::Exited(who(1, 1), Exit::Normal), "gone 1#1 normal, restarting 1#1, spawn 1#2")
        .check(E::Terminate(1, 't'), "stop 1#2 (terminated)")
        .check(E::Exited(who(1, 2), told()), "gone 1#2 shutdown, forget 1, t: Done")
        .check(E::Terminate(1, 't'), "t: NotFound")
        .check(E::Exited(who(2, 1), failed()), "gone 2#1 failed, forget 2")
        .check(E::Which('w'), "w: ");
    assert!(desk.core.has_room());
}

#[test]
fn a_child_that_waits_for_its_restart_takes_room() {
    let slow = Rules { backoff: Some(Delays { first: 10, most: 10, jitter: 0 }), ..PERMANENT };
    let mut desk = Desk::started(&dynamic(&[slow, slow, slow]));
    desk.tell(E::Exited(who(0, 1), failed()));
    assert!(!desk.core.has_room());
}

/// OTP: `ignore` is neither a failure nor a reason to try again; the spec stays, but for temporary and dynamic children.
#[test]
fn who_has_nothing_to_do_ends_and_is_not_restarted() {
    let readied = |restart| Rules { restart, ..READIED };
    for (restart, forgotten) in [(Restart::Permanent, ""), (Restart::Transient, ""), (Restart::Temporary, ", forget 0")]
    {
        let children = [readied(restart), PERMANENT];
        let mut desk = Desk::new(&plan(Strategy::OneForOne, &children));
        desk.tell(E::Start(Some('s')));
        let rests = if forgotten.is_empty() { ", rests 0" } else { "" };
        let gone = format!("no Start timer 0#1, gone 0#1 normal{forgotten}, spawn 1#1, up, s: Done{rests}");
        desk.check(E::Ignored(who(0, 1)), &gone);
        if forgotten.is_empty() {
            desk.check(E::RestartChild(0, 'r'), "spawn 0#2, Start timer 0#2 at 9")
                .check(E::Ignored(who(0, 2)), "no Start timer 0#2, gone 0#2 normal, r: Started, rests 0")
                .check(E::Delete(0, 'd'), "forget 0, d: Done")
                .check(E::Delete(0, 'd'), "d: NotFound")
                .check(E::Delete(1, 'd'), "d: AlreadyRunning");
        }
        desk.tell(E::Stop(Some('x'), Cause::Requested));
        desk.check(E::Exited(who(1, 1), told()), "gone 1#1 shutdown, finished shutdown (requested), x: Done");
    }
}

#[test]
fn a_dynamic_child_that_has_nothing_to_do_when_it_is_restarted_leaves_no_entry() {
    Desk::started(&dynamic(&[PERMANENT]))
        .check(E::Exited(who(0, 1), failed()), "gone 0#1 failed, restarting 0#1, spawn 0#2")
        .check(E::Ignored(who(0, 2)), "gone 0#2 normal, forget 0")
        .check(E::Which('w'), "w: ");
}

#[test]
fn who_was_abandoned_and_then_had_nothing_to_do_is_late() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[IMPATIENT]));
    desk.tell(E::Terminate(0, 't'));
    desk.tell(E::Due(who(0, 1), Timer::Stop));
    desk.check(E::Ignored(who(0, 1)), "late 0#1");
    assert_eq!(desk.core.abandoned_lives(), 0);
}

/// As in OTP, a restart of the group starts whoever had nothing to do.
#[test]
fn who_has_nothing_to_do_while_its_group_is_stopped_is_started_with_it() {
    Desk::started(&plan(Strategy::OneForAll, &[PERMANENT; 3]))
        .check(E::Exited(who(1, 1), failed()), "gone 1#1 failed, restarting 1#1, stop 2#1 (sibling restart)")
        .check(E::Ignored(who(0, 1)), "gone 0#1 normal")
        .check(E::Exited(who(2, 1), told()), "gone 2#1 shutdown, spawn 0#2, spawn 1#2, spawn 2#2");
}
