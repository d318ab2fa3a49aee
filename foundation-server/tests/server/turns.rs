//! What a handler can do besides answering.

use std::sync::Arc;

use foundation_registry::Exit;
use foundation_server::{DeadLetters, Handle, Reason, Server, ServerRef, Turn, server};
use foundation_supervisor::{Failure, Restart};
use foundation_sync::{Mutex, SECOND};
use foundation_testkit::TestUniverse;

use crate::common::{Add, Gate, Note, ask, boom, clerk, fails, run, served, start};

#[test]
fn what_a_handler_continues_with_comes_before_everything_else() {
    let t = TestUniverse::new();
    let (clerk, log, _tree) = served(&t);
    let gate = Gate::new();
    let begins = gate.then(|_, turn| {
        assert!(
            turn.continue_with(run(|clerk, turn| {
                clerk.log.add("next");
                assert!(turn.continue_with(Note("and then")).is_ok());
            }))
            .is_ok()
        );
        assert_eq!(turn.continue_with(Note("too many")).map_err(|Note(line)| line), Err("too many"));
        assert!(turn.after(std::time::Duration::ZERO, Note("due")).is_ok());
    });
    clerk.cast(begins).expect("it serves");
    gate.somebody(&t);
    clerk.cast(Note("message")).expect("there is room");
    gate.open();
    ask(&t, &clerk, Add(0));
    t.wait_for(|| log.text().contains("due"));
    assert!(log.text().starts_with("next, and then, "), "{}", log.text());
}

#[test]
fn a_caller_is_answered_before_the_server_goes_on() {
    let t = TestUniverse::new();
    let (clerk, log, _tree) = served(&t);
    let gate = Gate::new();
    let rest = gate.then(|clerk, _| clerk.log.add("the rest"));
    ask(&t, &clerk, run(move |_, turn| assert!(turn.continue_with(rest).is_ok())));
    gate.somebody(&t);
    assert_eq!(log.text(), "");
    gate.open();
    ask(&t, &clerk, Add(0));
    assert_eq!(log.text(), "the rest");
}

#[test]
fn a_turn_is_a_life_and_says_which_attempt_it_is() {
    let t = TestUniverse::new();
    let (clerk, log, _tree) = served(&t);
    ask(
        &t,
        &clerk,
        run(|clerk, turn| {
            clerk.log.add(format!("{} {} {}", turn.name(), turn.incarnation().generation, turn.attempt()));
        }),
    );
    assert_eq!(log.text(), "t/clerk 1 1");
}

#[test]
fn what_was_to_be_done_next_when_a_life_ends_is_a_dead_letter() {
    let t = TestUniverse::new();
    let (clerk, log, _tree) = served(&t);
    let job = run(|_, turn| {
        assert!(turn.continue_with(Note("the rest")).is_ok(), "it is the first");
        turn.end(Ok(()));
    });
    ask(&t, &clerk, job);
    t.wait_for(|| clerk.status().buried == 1);
    assert_eq!(log.text(), "terminate");
}

/// What is asked of one life: to leave something for itself in its init, in a handler or at its end, and to end so.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    FailsInInit,
    PanicsInHandler,
    FailsByItself,
    PanicsInTerminate,
    AtTheEndAlone,
}

struct Leaver(Leaves);

/// Never begun.
struct Rest;

/// Has it do what it is for.
struct Go;

impl Server for Leaver {
    fn init(&mut self, turn: &mut Turn<'_, Self>) -> Result<(), Failure> {
        if self.0 == Leaves::FailsInInit {
            assert!(turn.continue_with(Rest).is_ok(), "it is the first");
            fails()?;
        }
        Ok(())
    }

    fn terminate(&mut self, turn: &mut Turn<'_, Self>) {
        match self.0 {
            Leaves::PanicsInTerminate => boom(),
            Leaves::AtTheEndAlone => assert!(turn.continue_with(Rest).is_ok(), "it is the first"),
            _ => {}
        }
    }
}

impl Handle<Rest> for Leaver {
    type Reply = ();

    fn handle(&mut self, _: Rest, _: &mut Turn<'_, Self>) {
        unreachable!("its life has ended by then");
    }
}

impl Handle<Go> for Leaver {
    type Reply = ();

    fn handle(&mut self, _: Go, turn: &mut Turn<'_, Self>) {
        if self.0 != Leaves::AtTheEndAlone {
            assert!(turn.continue_with(Rest).is_ok(), "it is the first");
        }
        match self.0 {
            Leaves::PanicsInHandler => boom(),
            Leaves::FailsByItself => turn.end(fails()),
            _ => turn.end(Ok(())),
        }
    }
}

#[track_caller]
fn buries_the_rest(how: Leaves, ended: fn(&Exit) -> bool) {
    let t = TestUniverse::new();
    let (spec, leaver): (_, ServerRef<Leaver>) = server("leaver", move || Leaver(how));
    let tree = crate::common::one_for_one().child(spec.child().restart(Restart::Temporary));
    let tree = tree.start(&t, t.patience());
    if how != Leaves::FailsInInit {
        leaver.cast(Go).expect("it serves");
    }
    t.wait_for(|| (leaver.status().buried == 1).then_some(()).ok_or_else(|| Box::new((how, leaver.status()))));
    let letters = DeadLetters::of(&t).list(2);
    let [letter] = &letters[..] else { panic!("{how:?}: {letters:?}") };
    assert!(letter.message.ends_with("Rest"), "{how:?}: {letter}");
    assert!(matches!(&letter.reason, Reason::NotRunning { exit: Some(exit) } if ended(exit)), "{how:?}: {letter}");
    drop(tree);
}

#[test]
fn what_was_to_be_done_next_is_a_dead_letter_however_its_life_ends() {
    buries_the_rest(Leaves::FailsInInit, |exit| matches!(exit, Exit::Failed(_)));
    buries_the_rest(Leaves::PanicsInHandler, |exit| matches!(exit, Exit::Panicked(_)));
    buries_the_rest(Leaves::FailsByItself, |exit| matches!(exit, Exit::Failed(_)));
    buries_the_rest(Leaves::PanicsInTerminate, |exit| matches!(exit, Exit::Panicked(_)));
    buries_the_rest(Leaves::AtTheEndAlone, |exit| matches!(exit, Exit::Normal));
}

#[test]
fn what_a_life_that_is_given_up_was_to_do_next_is_a_dead_letter_and_it_continues_with_nothing_more() {
    let t = TestUniverse::with_virtual_time();
    let (spec, clerk, log) = clerk();
    let _tree = start(&t, spec.child().heartbeat_within(SECOND));
    let (gate, back) = (Gate::new(), Arc::new(Mutex::new(None)));
    let (hangs, came_back) = (gate.clone(), Arc::clone(&back));
    let job = run(move |_, turn| {
        assert!(turn.continue_with(Note("before")).is_ok(), "it is the first");
        hangs.stay();
        *came_back.lock() = turn.continue_with(Note("after")).err().map(|Note(line)| line);
    });
    clerk.cast(job).expect("it serves");
    gate.somebody(&t);
    t.clock().advance(2 * SECOND);
    ask(&t, &clerk, Add(0));
    t.wait_for(|| clerk.status().buried == 1);
    gate.open();
    t.wait_for(|| !t.threads().iter().any(|thread| &*thread.name == "t/clerk#1"));
    assert_eq!((*back.lock(), &*log.text()), (Some("after"), ""));
    let status = clerk.status();
    assert_eq!((status.handled, status.broken, status.buried), (2, 1, 1), "{status:?}");
}
