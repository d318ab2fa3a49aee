//! What a server sends itself for later.

use std::time::Duration;

use foundation_server::{Handle, MOST_TIMERS, ServerRef, Turn};
use foundation_sync::SECOND;
use foundation_testkit::TestUniverse;

use crate::common::{Add, Clerk, Gate, Note, ask, boom, run, served};

/// Notes when it came.
#[derive(Clone)]
struct Tick(&'static str);

impl Handle<Tick> for Clerk {
    type Reply = ();

    fn handle(&mut self, Tick(name): Tick, turn: &mut Turn<'_, Self>) {
        let millis = turn.system().clock().now() / 1_000_000;
        self.log.add(format!("{name}{millis}"));
    }
}

/// Has the server do this; the time stands at 0 when it has.
fn set(t: &TestUniverse, clerk: &ServerRef<Clerk>, job: impl FnOnce(&mut Turn<'_, Clerk>) + Send + 'static) {
    ask(t, clerk, run(move |_, turn| job(turn)));
}

#[test]
fn a_timer_comes_once_when_it_is_due() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    set(&t, &clerk, |turn| assert!(turn.after(SECOND, Tick("a")).is_ok()));
    t.clock().advance(Duration::from_millis(999));
    assert_eq!(log.text(), "");
    t.clock().advance(Duration::from_millis(1));
    assert_eq!(log.text(), "a1000");
    t.clock().advance(60 * SECOND);
    assert_eq!(log.text(), "a1000");
}

#[test]
fn a_timer_that_comes_again_and_again_keeps_its_period() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    set(&t, &clerk, |turn| assert!(turn.every(SECOND, Tick("a")).is_ok()));
    t.clock().advance(Duration::from_millis(3_500));
    assert_eq!(log.text(), "a1000, a2000, a3000");
}

#[test]
fn periods_that_could_not_be_kept_up_with_are_left_out() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    let gate = Gate::new();
    set(&t, &clerk, |turn| assert!(turn.every(SECOND, Tick("a")).is_ok()));
    clerk.cast(gate.pass()).expect("it serves");
    gate.somebody(&t);
    t.clock().advance(Duration::from_millis(3_500));
    gate.open();
    t.clock().advance(Duration::ZERO);
    assert_eq!(log.text(), "a3500", "one for all that were missed");
    t.clock().advance(Duration::from_millis(1_500));
    assert_eq!(log.text(), "a3500, a4000, a5000", "in the old rhythm");
}

#[test]
fn a_timer_that_was_taken_back_does_not_come() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    set(&t, &clerk, |turn| {
        let [once, again, kept] =
            [turn.after(SECOND, Tick("a")), turn.every(SECOND, Tick("b")), turn.after(SECOND, Tick("c"))]
                .map(|timer| timer.unwrap_or_else(|_| unreachable!("there is room")));
        assert!(turn.cancel(once) && turn.cancel(again));
        assert!(!turn.cancel(once), "it was taken back already");
        assert!(turn.after(2 * SECOND, run(move |clerk, turn| clerk.log.add(turn.cancel(kept).to_string()))).is_ok());
    });
    t.clock().advance(60 * SECOND);
    assert_eq!(log.text(), "c1000, false", "it has come already");
}

#[test]
fn a_timer_that_is_due_can_still_be_taken_back() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    set(&t, &clerk, |turn| {
        let due = turn.after(Duration::ZERO, Tick("a")).unwrap_or_else(|_| unreachable!("there is room"));
        assert!(turn.cancel(due));
    });
    t.clock().advance(SECOND);
    assert_eq!(log.text(), "");
}

#[test]
fn timers_come_in_the_order_in_which_they_are_due_and_equals_in_the_order_in_which_they_were_set() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    let gate = Gate::new();
    clerk
        .cast(gate.then(|_, turn| {
            for (seconds, name) in [(3, "a"), (1, "b"), (2, "c"), (1, "d")] {
                assert!(turn.after(seconds * SECOND, Note(name)).is_ok());
            }
        }))
        .expect("it serves");
    gate.somebody(&t);
    gate.open();
    t.clock().advance(5 * SECOND);
    assert_eq!(log.text(), "b, d, c, a");
}

#[test]
fn there_are_so_many_timers_and_no_more_and_the_message_comes_back() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    set(&t, &clerk, |turn| {
        let timers: Vec<_> = (0..MOST_TIMERS).map(|_| turn.after(SECOND, Add(1))).collect();
        assert!(timers.iter().all(Result::is_ok));
        assert_eq!(turn.after(SECOND, Add(7)), Err(Add(7)));
        assert_eq!(turn.every(SECOND, Note("x")).map_err(|Note(line)| line), Err("x"));
        let Ok(first) = timers[0] else { unreachable!("it was set") };
        assert!(turn.cancel(first));
        assert!(turn.after(SECOND, Tick("a")).is_ok(), "there is room for one again");
    });
    t.clock().advance(SECOND);
    assert_eq!((ask(&t, &clerk, Add(0)), log.text().as_str()), (MOST_TIMERS as u64 - 1, "a1000"));
}

#[test]
fn neither_timers_nor_messages_starve() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    let gate = Gate::new();
    clerk
        .cast(gate.then(|_, turn| {
            for _ in 0..10 {
                assert!(turn.after(Duration::ZERO, Note("t")).is_ok());
            }
        }))
        .expect("it serves");
    gate.somebody(&t);
    for _ in 0..10 {
        clerk.cast(Note("m")).expect("there is room");
    }
    gate.open();
    t.clock().advance(SECOND);
    let text = log.text();
    let done: Vec<_> = text.split(", ").collect();
    assert_eq!(done.len(), 20);
    assert!(done.windows(2).all(|pair| pair[0] != pair[1]), "they take turns: {text}");
}

#[test]
fn timers_end_with_their_life() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    set(&t, &clerk, |turn| {
        assert!(turn.after(SECOND, Tick("a")).is_ok());
        assert!(turn.every(SECOND, Tick("b")).is_ok());
    });
    clerk.call(run(|_, _| boom()), t.patience()).expect_err("it dies of it");
    ask(&t, &clerk, Add(0));
    t.clock().advance(60 * SECOND);
    assert_eq!(log.text(), "");
}

#[test]
fn a_time_that_never_comes_is_no_time() {
    let t = TestUniverse::with_virtual_time();
    let (clerk, log, _tree) = served(&t);
    set(&t, &clerk, |turn| {
        assert!(turn.after(Duration::MAX, Tick("a")).is_ok());
        assert!(turn.every(Duration::MAX, Tick("b")).is_ok());
        assert!(turn.every(SECOND, Tick("c")).is_ok());
    });
    t.clock().advance(SECOND);
    assert_eq!(log.text(), "c1000");
}
