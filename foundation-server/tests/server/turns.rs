//! What a handler can do besides answering.

use foundation_testkit::TestUniverse;

use crate::common::{Add, Gate, Note, ask, run, served};

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
