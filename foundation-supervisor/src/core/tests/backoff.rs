//! Restarts that wait, and restarts that are counted by child.

use super::{super::window::Window, *};

const SLOW: Rules = Rules { backoff: Some(Delays { first: 10, most: 40, jitter: 0 }), ..PERMANENT };

#[test]
fn each_restart_of_a_row_waits_twice_as_long_and_a_long_life_ends_the_row() {
    let mut tree = plan(Strategy::OneForOne, &[SLOW]);
    tree.0.intensity.restarts = 100;
    let mut desk = Desk::started(&tree);
    let mut now = 0;
    for (life, delay) in (1..).zip([10, 20, 40, 40, 40]) {
        let until = now + delay;
        let waits = format!("gone 0#{life} failed, restarting 0#{life}, Backoff timer 0#{life} at {until}");
        desk.at(now).check(E::Exited(who(0, life), failed()), &waits);
        now = until;
        desk.at(now).check(E::Due(who(0, life), Timer::Backoff), &format!("spawn 0#{}", life + 1));
    }
    desk.at(now + 40).check(E::Exited(who(0, 6), failed()), &{
        format!("gone 0#6 failed, restarting 0#6, Backoff timer 0#6 at {}", now + 50)
    });
}

#[test]
fn a_long_life_ends_the_row_also_if_a_sibling_took_it_along() {
    Desk::started(&plan(Strategy::OneForAll, &[SLOW, PERMANENT]))
        .check(E::Exited(who(0, 1), failed()), "gone 0#1 failed, restarting 0#1, Backoff timer 0#1 at 10")
        .at(10)
        .check(E::Due(who(0, 1), Timer::Backoff), "stop 1#1 (sibling restart)")
        .check(E::Exited(who(1, 1), told()), "gone 1#1 shutdown, spawn 0#2, spawn 1#2")
        .at(50)
        .check(E::Exited(who(1, 2), failed()), "gone 1#2 failed, restarting 1#2, stop 0#2 (sibling restart)")
        .check(E::Exited(who(0, 2), told()), "gone 0#2 shutdown, spawn 0#3, spawn 1#3")
        .check(E::Exited(who(0, 3), failed()), "gone 0#3 failed, restarting 0#3, Backoff timer 0#3 at 60");
}

#[test]
fn a_failed_restart_waits_too_and_each_attempt_counts() {
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[SLOW]));
    desk.spawns_fail = true;
    desk.check(E::Exited(who(0, 1), failed()), "gone 0#1 failed, restarting 0#1, Backoff timer 0#1 at 10")
        .at(10)
        .check(E::Due(who(0, 1), Timer::Backoff), "spawn 0#2, again 0")
        .check(E::Again(0), "restarting 0#2, Backoff timer 0#2 at 30")
        .at(30)
        .check(E::Due(who(0, 2), Timer::Backoff), "spawn 0#3, again 0")
        .check(E::Again(0), "restarting 0#3, Backoff timer 0#3 at 70")
        .at(70)
        .check(E::Due(who(0, 3), Timer::Backoff), "spawn 0#4, again 0")
        .check(E::Again(0), "finished shutdown (too many restarts)");
}

/// What others got wrong: a delayed restart that is lost, or honoured when it should not be.
#[test]
fn whatever_comes_while_a_restart_waits_it_is_neither_lost_nor_made_twice() {
    let waiting = |strategy| {
        let mut desk = Desk::started(&plan(strategy, &[SLOW, PERMANENT]));
        desk.tell(E::Exited(who(0, 1), failed()));
        desk.check(E::Which('w'), "w: 0#1 BackingOff { until: 10 } 1#1 Running");
        desk
    };
    let due = || E::Due(who(0, 1), Timer::Backoff);
    waiting(Strategy::OneForOne)
        .check(E::SkipBackoff(0, 's'), "no Backoff timer 0#1, s: Done, spawn 0#2")
        .check(due(), "")
        .check(E::SkipBackoff(0, 's'), "s: NotBackingOff")
        .check(E::SkipBackoff(7, 's'), "s: NotFound");
    waiting(Strategy::OneForOne)
        .check(E::Terminate(0, 't'), "no Backoff timer 0#1, rests 0, t: Done")
        .check(due(), "")
        .check(E::RestartChild(0, 'r'), "spawn 0#2, r: Started")
        .check(due(), "");
    waiting(Strategy::OneForOne)
        .check(E::RestartChild(0, 'r'), "r: Restarting")
        .check(E::Delete(0, 'd'), "d: Restarting")
        .at(10)
        .check(due(), "spawn 0#2");
    waiting(Strategy::OneForOne)
        .check(E::Stop(Some('s'), Cause::Requested), "stop 1#1 (requested)")
        .check(due(), "")
        .check(
            E::Exited(who(1, 1), told()),
            "gone 1#1 shutdown, no Backoff timer 0#1, finished shutdown (requested), s: Done",
        );
    // A sibling's restart takes it along at once.
    waiting(Strategy::OneForAll)
        .check(
            E::Exited(who(1, 1), failed()),
            "gone 1#1 failed, restarting 1#1, no Backoff timer 0#1, spawn 0#2, spawn 1#2",
        )
        .check(due(), "");
    // While something else is in hand the restart waits for its turn, also if it has become due.
    waiting(Strategy::OneForOne)
        .check(E::Terminate(1, 't'), "stop 1#1 (terminated)")
        .at(10)
        .check(due(), "")
        .check(E::Exited(who(1, 1), told()), "gone 1#1 shutdown, rests 1, t: Done, spawn 0#2");
}

#[test]
fn the_siblings_of_a_group_go_on_until_the_restart_is_due() {
    Desk::started(&plan(Strategy::OneForAll, &[PERMANENT, SLOW]))
        .check(E::Exited(who(1, 1), failed()), "gone 1#1 failed, restarting 1#1, Backoff timer 1#1 at 10")
        .at(10)
        .check(E::Due(who(1, 1), Timer::Backoff), "stop 0#1 (sibling restart)")
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, spawn 0#2, spawn 1#2");
}

#[test]
fn jitter_takes_off_at_most_its_share_and_differs_from_child_to_child() {
    let delays = Delays { first: 1_000_000, most: 1_000_000_000, jitter: 20 };
    let drawn: Vec<_> = (0..1000).map(|seat| delays.after(0, who(seat, 1), 5)).collect();
    assert!(drawn.iter().all(|delay| (800_000..=1_000_000).contains(delay)));
    let (low, high) = (drawn.iter().min().expect("some"), drawn.iter().max().expect("some"));
    assert!(*low < 805_000 && *high > 995_000, "{low} to {high}");
}

#[test]
fn delays_never_overflow() {
    let delays = Delays { first: u64::MAX / 2, most: u64::MAX, jitter: 0 };
    assert_eq!(delays.after(1, who(0, 1), 0), u64::MAX - 1);
    assert_eq!(delays.after(2, who(0, 1), 0), u64::MAX);
    assert_eq!(delays.after(u32::MAX, who(0, 1), u64::MAX), u64::MAX);
}

#[test]
fn a_childs_own_intensity_counts_it_apart_from_its_siblings() {
    let own = Rules { intensity: Some(Intensity { restarts: 1, period: 100 }), ..PERMANENT };
    let mut desk = Desk::started(&plan(Strategy::OneForOne, &[own, PERMANENT]));
    desk.tell(E::Exited(who(0, 1), failed()));
    assert_eq!((used(&desk, 0, Some(0)), used(&desk, 0, Some(1))), ((1, 1), (0, 3)));
    (1..=3).for_each(|life| _ = desk.tell(E::Exited(who(1, life), failed())));
    assert_eq!((used(&desk, 0, Some(0)), used(&desk, 0, None)), ((1, 1), (3, 3)));
    let said = desk.tell(E::Exited(who(0, 2), failed()));
    assert_eq!(said, "gone 0#2 failed, stop 1#4 (too many restarts)");
}

/// The arithmetic that others got wrong, on its own.
#[test]
fn a_restart_exactly_as_old_as_the_period_still_counts() {
    let counted = |restarts, period, times: &[u64]| {
        let mut window = Window::new(Intensity { restarts, period });
        times.iter().map(|&at| if window.count(at) { 'y' } else { 'n' }).collect::<String>()
    };
    for (restarts, period, times, expected) in [
        (0, 100, &[0][..], "n"),
        (1, 100, &[0, 100], "yn"),
        (1, 100, &[0, 101], "yy"),
        (2, 100, &[0, 0, 0], "yyn"),
        (1, 0, &[5, 5, 6], "yny"),
        (1, u64::MAX, &[0, u64::MAX], "yn"),
        (usize::MAX, u64::MAX, &[0, 1, u64::MAX], "yyy"),
        (1, 10, &[u64::MAX - 10, u64::MAX], "yn"),
    ] {
        assert_eq!(counted(restarts, period, times), expected, "{restarts} in {period} at {times:?}");
    }
}

#[test]
fn who_goes_along_with_a_restart_that_waits_rests_when_that_one_does() {
    let waiting = |strategy| {
        let mut desk = Desk::started(&plan(strategy, &[PERMANENT, SLOW, SLOW]));
        desk.tell(E::Exited(who(1, 1), failed()));
        desk
    };
    waiting(Strategy::OneForAll)
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated)")
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, t: Done")
        .check(E::Exited(who(2, 1), failed()), "gone 2#1 failed, restarting 2#1, Backoff timer 2#1 at 10")
        .check(E::Terminate(1, 't'), "no Backoff timer 1#1, t: Done")
        .check(E::Terminate(2, 't'), "no Backoff timer 2#1, rests 2, t: Done, rests 0, rests 1");
    waiting(Strategy::RestForOne)
        .check(E::Terminate(0, 't'), "stop 0#1 (terminated)")
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, rests 0, t: Done")
        .check(E::Exited(who(2, 1), failed()), "gone 2#1 failed, restarting 2#1, Backoff timer 2#1 at 10")
        .check(E::Terminate(2, 't'), "no Backoff timer 2#1, t: Done")
        .check(E::Terminate(1, 't'), "no Backoff timer 1#1, rests 1, t: Done, rests 2");
    waiting(Strategy::OneForOne)
        .check(E::Exited(who(2, 1), failed()), "gone 2#1 failed, restarting 2#1, Backoff timer 2#1 at 10")
        .check(E::Terminate(2, 't'), "no Backoff timer 2#1, rests 2, t: Done")
        .check(E::Stop(None, Cause::Terminated), "no Backoff timer 1#1, rests 1, stop 0#1 (terminated)")
        .check(E::Exited(who(0, 1), told()), "gone 0#1 shutdown, rests 0, finished shutdown (terminated)");
}
