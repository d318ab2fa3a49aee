//! Who does not end when told to, or hangs.

use super::*;

const PATIENT: Rules = Rules { on_abandon: Some(OnAbandon::Replace), ..IMPATIENT };
const WATCHED: Rules = Rules { heartbeat: Some(5), ..PERMANENT };

#[test]
fn who_ignores_its_stop_is_abandoned_and_its_late_end_is_no_second_one() {
    Desk::started(&plan(Strategy::OneForOne, &[IMPATIENT]))
        .at(3)
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated), Stop timer 0#1 at 12")
        .check(E::Due(who(0, 1), Timer::Stop), "abandon 0#1 since 3, gone 0#1 abandoned, rests 0, t: Done")
        .check(E::RestartChild(0, 'r'), "spawn 0#2, r: Started")
        .check(E::Exited(who(0, 1), Exit::Normal), "late 0#1")
        .check(E::Due(who(0, 1), Timer::Stop), "");
}

#[test]
fn an_exit_that_was_faster_than_the_abandonment_is_the_end() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[IMPATIENT]));
    desk.tell(E::Terminate(0, 't'));
    // The shell found the exit written already, and answers nothing: its news is on its way.
    let said: Vec<_> = desk.core.step(0, E::Due(who(0, 1), Timer::Stop)).iter().map(text).collect();
    assert_eq!(said, ["abandon 0#1 since 0"]);
    desk.check(E::Exited(who(0, 1), Exit::Normal), "gone 0#1 normal, rests 0, t: Done");
}

#[test]
fn a_group_restart_goes_on_beside_an_abandoned_sibling_only_by_its_policy() {
    let crash = |policy| {
        let sibling = Rules { on_abandon: policy, ..IMPATIENT };
        let mut desk = Desk::started(&plan(Strategy::OneForAll, &[PERMANENT, sibling]));
        desk.tell(E::Exited(who(0, 1), failed()));
        desk.tell(E::Due(who(1, 1), Timer::Stop))
    };
    let escalated = "abandon 1#1 since 0, gone 1#1 abandoned, finished shutdown (a child was abandoned)";
    assert_eq!(crash(None), escalated);
    assert_eq!(crash(Some(OnAbandon::Escalate)), escalated);
    let replaced = "abandon 1#1 since 0, gone 1#1 abandoned, spawn 0#2, spawn 1#2";
    assert_eq!(crash(Some(OnAbandon::Replace)), replaced);
    let halted = "abandon 1#1 since 0, gone 1#1 abandoned, finished shutdown (halted: a child was abandoned)";
    assert_eq!(crash(Some(OnAbandon::Halt)), halted);
}

#[test]
fn who_passes_checkpoints_is_left_alone_and_who_hangs_is_abandoned() {
    let mut desk = Desk::new(&plan(Strategy::OneForOne, &[WATCHED]));
    desk.check(E::Start(None), "spawn 0#1, Heartbeat timer 0#1 at 5, up")
        .at(5)
        .check(E::Due(who(0, 1), Timer::Heartbeat), "look 0#1, Heartbeat timer 0#1 at 10")
        .at(10);
    desk.beats = false;
    desk.check(
        E::Due(who(0, 1), Timer::Heartbeat),
        "look 0#1, stop 0#1 (missed its heartbeat), abandon 0#1 since 5, gone 0#1 abandoned, restarting 0#1, spawn 0#2, \
         Heartbeat timer 0#2 at 15",
    )
    .check(E::Exited(who(0, 1), Exit::Normal), "late 0#1");
}

#[test]
fn who_is_told_to_stop_or_has_ended_is_not_looked_at() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[WATCHED]));
    desk.check(E::Terminate(0, 't'), "no Heartbeat timer 0#1, stop 0#1 (terminated)")
        .check(E::Due(who(0, 1), Timer::Heartbeat), "")
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, rests 0, t: Done")
        .check(E::Beat(who(0, 1), false), "");
}

#[test]
fn who_hangs_is_replaced_alone_escalated_in_a_group_and_never_restarted_if_temporary() {
    let hang = |strategy, rules| {
        let mut desk = Desk::started(&plan(strategy, &[rules]));
        desk.beats = false;
        let said = desk.tell(E::Due(who(0, 1), Timer::Heartbeat));
        said.split_once("gone 0#1 abandoned").map(|(_, after)| after.to_owned()).expect("it is abandoned")
    };
    assert!(hang(Strategy::OneForOne, WATCHED).contains("restarting 0#1, spawn 0#2"));
    assert_eq!(hang(Strategy::OneForAll, WATCHED), ", finished shutdown (a child was abandoned)");
    let escalating = Rules { on_abandon: Some(OnAbandon::Escalate), ..WATCHED };
    assert_eq!(hang(Strategy::OneForOne, escalating), ", finished shutdown (a child was abandoned)");
    let halting = Rules { on_abandon: Some(OnAbandon::Halt), ..WATCHED };
    assert_eq!(hang(Strategy::OneForOne, halting), ", finished shutdown (halted: a child was abandoned)");
    let temporary = Rules { restart: Restart::Temporary, ..WATCHED };
    assert_eq!(hang(Strategy::OneForOne, temporary), ", forget 0");
    let transient = Rules { restart: Restart::Transient, ..WATCHED };
    assert!(hang(Strategy::OneForOne, transient).contains("restarting 0#1, spawn 0#2"));
}

#[test]
fn who_is_too_slow_to_start_again_and_ignores_its_stop_is_replaced_only_by_its_policy() {
    let retry = |strategy, policy| {
        let child = Rules { ready: Ready::Within(Some(9)), on_abandon: policy, ..IMPATIENT };
        let mut desk = Desk::new(&plan(strategy, &[child]));
        desk.tell(E::Start(None));
        desk.tell(E::Ready(who(0, 1)));
        desk.tell(E::Exited(who(0, 1), failed()));
        desk.check(E::Due(who(0, 2), Timer::Start), "stop 0#2 (not ready in time), Stop timer 0#2 at 9");
        desk.tell(E::Due(who(0, 2), Timer::Stop))
    };
    let given_up = "abandon 0#2 since 0, gone 0#2 abandoned, again 0";
    assert_eq!(retry(Strategy::OneForOne, None), given_up);
    assert_eq!(retry(Strategy::OneForAll, Some(OnAbandon::Replace)), given_up);
    let ended = |why| format!("{given_up}, finished shutdown ({why})");
    assert_eq!(retry(Strategy::OneForAll, None), ended("a child was abandoned"));
    assert_eq!(retry(Strategy::OneForOne, Some(OnAbandon::Halt)), ended("halted: a child was abandoned"));
}

#[test]
fn a_halt_is_stopped_by_no_supervisor_above() {
    for rules in [PERMANENT, TRANSIENT, TEMPORARY] {
        let mut desk = Desk::started(&plan(Strategy::OneForOne, &[rules]));
        let said = desk.tell(E::Exited(who(0, 1), Exit::Shutdown(Cause::Halted)));
        assert!(said.ends_with("finished shutdown (halted: a child was abandoned)"), "{said}");
    }
}

/// Whatever is in hand above: a start, a group's restart, somebody's termination, a shutdown for another reason.
#[test]
fn a_halt_is_swallowed_by_nothing_that_is_in_hand() {
    let halted = || Exit::Shutdown(Cause::Halted);
    let over = "finished shutdown (halted: a child was abandoned)";
    let sub = Rules { ready: Ready::Within(None), ..PERMANENT };
    Desk::new(&plan(Strategy::OneForOne, &[sub]))
        .check(E::Start(Some('s')), "spawn 0#1")
        .check(E::Exited(who(0, 1), halted()), &format!("gone 0#1 shutdown, {over}, s: Over"));
    let group = |strategy| {
        let mut desk = Desk::started(&plan(strategy, &[sub, PERMANENT]));
        desk.tell(E::Ready(who(0, 1)));
        desk
    };
    // It was told to stop.
    group(Strategy::OneForAll)
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated)")
        .check(E::Exited(who(0, 1), halted()), "gone 0#1 shutdown, stop 1#1 (halted: a child was abandoned)")
        .check(E::Exited(who(1, 1), told()), &format!("gone 1#1 shutdown, {over}, t: Over"));
    // It was about to be.
    group(Strategy::OneForAll)
        .check(E::Exited(who(1, 1), failed()), "gone 1#1 failed, restarting 1#1, stop 0#1 (sibling restart)")
        .check(E::Exited(who(0, 1), halted()), &format!("gone 0#1 shutdown, {over}"));
    group(Strategy::OneForOne)
        .check(E::Stop(Some('s'), Cause::Sibling), "stop 1#1 (sibling restart)")
        .check(E::Exited(who(0, 1), halted()), "gone 0#1 shutdown")
        .check(E::Exited(who(1, 1), told()), &format!("gone 1#1 shutdown, {over}, s: Done"));
    // Its restart is in hand.
    group(Strategy::OneForOne)
        .check(E::Exited(who(0, 1), failed()), "gone 0#1 failed, restarting 0#1, spawn 0#2")
        .check(E::Exited(who(0, 2), halted()), "gone 0#2 shutdown, stop 1#1 (halted: a child was abandoned)");
}

#[test]
fn a_halt_weighs_more_than_too_many_abandoned_lives() {
    let mut tree = plan(Strategy::OneForOne, &[Rules { on_abandon: Some(OnAbandon::Halt), ..WATCHED }]);
    tree.0.most_abandoned = 0;
    let mut desk = Desk::started(&tree);
    desk.beats = false;
    let said = desk.tell(E::Due(who(0, 1), Timer::Heartbeat));
    assert!(said.ends_with("finished shutdown (halted: a child was abandoned)"), "{said}");
}

#[test]
fn a_hang_during_a_pass_waits_for_its_turn_as_a_crash_does() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[PERMANENT, WATCHED]));
    desk.beats = false;
    desk.tell(E::Terminate(0, 't'));
    desk.check(
        E::Due(who(1, 1), Timer::Heartbeat),
        "look 1#1, stop 1#1 (missed its heartbeat), abandon 1#1 since 0, gone 1#1 abandoned",
    )
    .check(
        E::Exited(who(0, 1), told()),
        "gone 0#1 shutdown, rests 0, t: Done, restarting 1#1, spawn 1#2, Heartbeat timer 1#2 at 5",
    );
}

#[test]
fn a_supervisor_gives_up_when_more_abandoned_lives_run_than_it_may_leave_behind() {
    let mut tree = plan(Strategy::OneForOne, &[PATIENT]);
    (tree.0.most_abandoned, tree.0.intensity.restarts) = (2, 100);
    let mut desk = Desk::started(&tree);
    let mut leave = |generation| {
        desk.tell(E::Terminate(0, 't'));
        let said = desk.tell(E::Due(who(0, generation), Timer::Stop));
        desk.tell(E::RestartChild(0, 'r'));
        said
    };
    assert!(leave(1).ends_with("t: Done"));
    assert!(leave(2).ends_with("t: Done"));
    assert!(leave(3).ends_with("finished shutdown (too many abandoned lives), t: Over"));
}

#[test]
fn an_abandoned_life_that_has_ended_after_all_does_not_count_any_more() {
    let mut tree = plan(Strategy::OneForOne, &[PATIENT]);
    tree.0.most_abandoned = 1;
    let mut desk = Desk::started(&tree);
    for generation in 1..10 {
        desk.tell(E::Terminate(0, 't'));
        let said = desk.tell(E::Due(who(0, generation), Timer::Stop));
        assert!(said.ends_with("t: Done"), "{said}");
        assert_eq!(desk.core.abandoned_lives(), 1);
        desk.check(E::Exited(who(0, generation), Exit::Normal), &format!("late 0#{generation}"));
        desk.tell(E::RestartChild(0, 'r'));
    }
}

#[test]
fn a_supervisor_answers_for_those_that_were_left_behind_before_it_came() {
    let mut tree = plan(Strategy::OneForOne, &[PATIENT]);
    (tree.0.most_abandoned, tree.0.intensity.restarts) = (3, 100);
    let leave = |before: &[usize]| {
        let mut desk = Desk::started(&tree);
        let mut said = String::new();
        for (lives, generation) in before.iter().zip(1..) {
            desk.tell(E::Terminate(0, 't'));
            // By the shell, before it says that one more is abandoned.
            desk.core.answers_for(*lives);
            said = desk.tell(E::Due(who(0, generation), Timer::Stop));
            desk.tell(E::RestartChild(0, 'r'));
        }
        said
    };
    assert!(leave(&[2]).ends_with("t: Done"));
    assert!(leave(&[3]).ends_with("finished shutdown (too many abandoned lives), t: Over"));
    assert!(leave(&[1, 2]).ends_with("t: Done"), "its own are counted once");
    assert!(leave(&[1, 2, 3]).ends_with("finished shutdown (too many abandoned lives), t: Over"));
    assert!(leave(&[2, 2]).ends_with("t: Done"), "one of them has ended");
}
