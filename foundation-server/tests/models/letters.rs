//! A letter is there once: in the box, in a mailbox, or done.

#[cfg(not(shuttle))]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{sync::Arc, time::Duration};

#[cfg(not(loom))]
use foundation_server::Pending;
use foundation_server::{DEAD_LETTER_ADDED, DEAD_LETTER_PURGED, DeadLetters, Reason, Retry, ServerRef};
use foundation_supervisor::{Backoff, Foundation};
#[cfg(not(loom))]
use foundation_supervisor::{ChildSpec, Strategy, Supervisor};
use foundation_sync::{
    Deadline,
    atomic::{AtomicUsize, Ordering},
};
use foundation_testkit::{explore, join, reached, spawn};

#[cfg(not(loom))]
use crate::Dies;
use crate::{Counter, More, counter, start, stop, universe};

/// Where one message is, once the universe has ended: it was done, or it is a letter.
#[track_caller]
fn is_there_once(letters: &DeadLetters, counter: &ServerRef<Counter>) -> bool {
    let (counts, status) = (letters.counts(), counter.status());
    assert_eq!(counts.added, counts.delivered + counts.waiting, "{counts:?}");
    assert_eq!(status.handled + counts.waiting, 1, "{status:?}, {counts:?}");
    status.handled == 1
}

/// Three threads: two who try one letter, and its server. Race "two try one letter".
#[test]
fn a_letter_that_two_try_is_sent_once() {
    explore("a letter that two try is sent once")
        .reaches(&["letters: two try one letter", "the first", "the second"])
        .catches(&["letters: what was delivered stays"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let letters = DeadLetters::of(&foundation);
            letters.add(&counter, More, "so");
            let _tree = start(&foundation, spec.child().stop_whenever());
            let others = letters.clone();
            let tries = spawn(move || {
                if others.retry(|_| true).delivered == [1] {
                    reached!("the second");
                }
            });
            if letters.retry(|_| true).delivered == [1] {
                reached!("the first");
            }
            join(tries);
            assert_eq!(letters.counts().delivered, 1);
            stop(foundation);
            // It was done, or came back when everything ended.
            is_there_once(&letters, &counter);
        });
}

/// Two threads, who try one letter for which there is no server.
#[test]
fn a_letter_that_fails_stays_and_can_be_tried_again() {
    explore("a letter that fails stays and can be tried again")
        .reaches(&["letters: two try one letter", "one after the other"])
        .catches(&["letters: what has failed is not put back"])
        .run(|| {
            let (foundation, (_spec, counter)) = (universe(), counter());
            let letters = DeadLetters::of(&foundation);
            letters.add(&counter, More, "so");
            let others = letters.clone();
            let tries = spawn(move || _ = others.retry(|_| true).failed);
            let tried = letters.retry(|_| true);
            assert!(tried.delivered.is_empty(), "{tried:?}");
            join(tries);
            let attempts = letters.counts().failed_attempts;
            if attempts == 2 {
                reached!("one after the other");
            }
            let letter = letters.list(1).pop().expect("it stays");
            assert_eq!((u64::from(letter.attempts), letter.reason), (attempts, Reason::NotRunning { exit: None }));
            assert_eq!(letters.take::<More>(1), Ok(More));
            stop(foundation);
        });
}

/// Three threads: who tries a letter, its server, and who ends that. Race "retry against end".
#[test]
fn a_letter_that_is_sent_to_a_server_that_ends_is_done_or_a_letter() {
    explore("a letter that is sent to a server that ends is done or a letter")
        // The server is told to stop before messages: that it is faster comes by hardly any chance.
        .reaches(if cfg!(shuttle) { &["came back", "not sent"] } else { &["done", "came back", "not sent"] })
        .catches(&["letters: what was delivered stays"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let letters = DeadLetters::of(&foundation);
            letters.add(&counter, More, "so");
            let tree = start(&foundation, spec.child().stop_whenever());
            let others = letters.clone();
            let tries = spawn(move || _ = others.retry(|_| true).delivered);
            tree.terminate_child("counter", Deadline::never()).expect("it stops");
            join(tries);
            drop(tree);
            stop(foundation);
            match (is_there_once(&letters, &counter), letters.list(2).first()) {
                (true, None) => reached!("done"),
                (false, Some(letter)) => {
                    assert_eq!(letter.attempts, 1, "{letter:?}");
                    match letter.number {
                        1 => reached!("not sent"),
                        _ => reached!("came back"),
                    }
                }
                other => panic!("{other:?}"),
            }
        });
}

/// Two threads: one adds a letter, the other purges one. Each has told what there is, or the other one does. Race "last
/// look".
#[test]
fn what_comes_to_be_told_while_somebody_tells_is_told() {
    explore("what comes to be told while somebody tells is told")
        .reaches(&["letters: somebody is telling"])
        .catches(&["letters: the last look is not the end"])
        .run(|| {
            let (foundation, (_spec, counter)) = (universe(), counter());
            let letters = DeadLetters::of(&foundation);
            letters.add(&counter, More, "before anybody listens");
            let told = Arc::new(AtomicUsize::new(0));
            let counts = Arc::clone(&told);
            // ordering: a count, read after the join
            let note = move |_: &_| _ = counts.fetch_add(1, Ordering::Relaxed);
            let names = [DEAD_LETTER_ADDED, DEAD_LETTER_PURGED];
            foundation.telemetry().attach("told", names, note).expect("the id is free");
            let (others, to) = (letters.clone(), counter.clone());
            let adds = spawn(move || _ = others.add(&to, More, "so"));
            assert_eq!(letters.purge(|letter| letter.number == 1), 1);
            join(adds);
            assert_eq!(told.load(Ordering::Relaxed), 2, "one event of each kind");
            stop(foundation);
        });
}

fn at_once(most: u32) -> Retry {
    Retry::new(Backoff::constant(Duration::ZERO), most)
}

/// Four threads: the postman, its server, and an operator. Race "two try one letter". Too many schedules for loom, which has
/// seen two operators.
#[cfg(not(loom))]
#[test]
fn a_letter_that_the_postman_and_an_operator_try_is_sent_once() {
    explore("a letter that the postman and an operator try is sent once")
        .reaches(&["the operator", "once"])
        .catches(&["letters: what was delivered stays"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let letters = DeadLetters::of(&foundation);
            letters.set_retry(Some(at_once(1)));
            let _tree = start(&foundation, spec.child().stop_whenever());
            let others = letters.clone();
            // He looks now and then, as long as it may come.
            let tries = spawn(move || {
                if (0..20).any(|_| !others.retry(|_| true).delivered.is_empty()) {
                    reached!("the operator");
                }
            });
            letters.add(&counter, More, "so");
            join(tries);
            if letters.counts().failed_attempts == 0 && letters.counts().delivered == 1 {
                reached!("once");
            }
            stop(foundation);
            // It was done, or came back when everything ended.
            is_there_once(&letters, &counter);
        });
}

/// Three threads: the postman, its server, and who adds letters. Race "bell before sleep".
#[test]
fn a_letter_that_comes_while_the_postman_goes_to_sleep_is_tried() {
    explore("a letter that comes while the postman goes to sleep is tried")
        .reaches(&["both were tried"])
        .catches(&["letters: nobody rings"])
        .run(|| {
            let foundation: Foundation = universe();
            let (_spec, counter) = counter();
            let letters = DeadLetters::of(&foundation);
            letters.set_retry(Some(at_once(1)));
            letters.add(&counter, More, "so");
            letters.add(&counter, More, "so");
            // The second is tried, or the postman sleeps over it for ever.
            let tried = |number| letters.list(2).iter().any(|it| it.number == number && it.attempts == 1);
            foundation.activity().wait_for(&Deadline::never(), || (tried(1) && tried(2)).then_some(()));
            reached!("both were tried");
            stop(foundation);
            assert_eq!(letters.counts().failed_attempts, 2);
        });
}

/// Three threads: two lives, and an operator who tries what has killed the first. It costs the second one, too, and then its
/// supervisor gives up. Too many schedules for loom: three deaths.
#[cfg(not(loom))]
#[test]
fn what_was_quarantined_and_is_tried_while_its_server_is_restarted_kills_once_more_and_comes_back() {
    explore("what was quarantined and is tried while its server is restarted kills once more and comes back")
        .reaches(&["tried", "kills once more"])
        .run(|| {
            let (foundation, (spec, counter)) = (universe(), counter());
            let letters = DeadLetters::of(&foundation);
            let tree = Supervisor::new("t", Strategy::OneForOne).intensity(1, Duration::MAX);
            let spec: ChildSpec = spec.quarantine_after(1).pending(Pending::DeadLetter).child().stop_whenever();
            let _tree = tree.child(spec).start(&foundation, Deadline::never()).expect("it starts");
            counter.cast_again(Dies(u32::MAX)).expect("it serves");
            let activity = foundation.activity();
            let letter = activity.wait_for(&Deadline::never(), || letters.list(1).pop()).expect("it comes");
            assert!(matches!(letter.reason, Reason::Quarantined { lives: 1, .. }), "{letter:?}");
            match letters.retry(|_| true).delivered.is_empty() {
                true => {}
                false => reached!("tried"),
            }
            stop(foundation);
            let (counts, letter) = (letters.counts(), letters.list(1).pop().expect("it is a letter again"));
            assert_eq!((counts.waiting, letter.attempts), (1, 1), "{letter:?}");
            match letter.reason {
                Reason::Quarantined { lives: 2, .. } => {
                    reached!("kills once more");
                    assert_eq!((counts.added, counts.delivered), (2, 1));
                }
                Reason::Quarantined { lives: 1, .. } => assert_eq!(counts.added, 1),
                // It was accepted, and its server was stopped before it had begun it.
                Reason::NotRunning { .. } => assert_eq!((counts.added, counts.delivered), (2, 1)),
                other => panic!("{other}"),
            }
        });
}

/// Three threads: the postman, who crashes with a letter in his hand; an operator, who tries it, too; and its server. The
/// postman's next life would come after a while, and in a model time stands: the operator does what it would do. Not on
/// shuttle: where others run while one unwinds, its locks take themselves for poisoned. So would loom's where the letter was
/// handed over and its server runs: that is told by real threads, in `src/letters/tests.rs`.
#[cfg(not(shuttle))]
#[test]
fn a_letter_that_the_postman_had_in_hand_when_he_crashed_is_there_and_can_be_tried_again() {
    explore("a letter that the postman had in hand when he crashed is there and can be tried again")
        .suffers(&["letters: with a letter in hand"])
        .reaches(&["letters: two try one letter", "tried again", "not tried again"])
        .catches(&["letters: what has failed is not put back", "letters: a letter is delivered before it is sent"])
        .run(|| {
            let (foundation, (_spec, counter)) = (universe(), counter());
            let letters = DeadLetters::of(&foundation);
            letters.set_retry(Some(at_once(1)));
            letters.add(&counter, More, "so");
            // Whoever comes first crashes.
            let tries = AssertUnwindSafe(|| letters.retry(|_| true));
            let failed = catch_unwind(tries).map_or(0, |tried| tried.failed.len() as u64);
            stop(foundation);
            let (counts, letter) = (letters.counts(), letters.list(1).pop().expect("it is there"));
            assert_eq!((counts.delivered, counts.failed_attempts), (0, u64::from(letter.attempts)));
            match failed {
                0 => reached!("not tried again"),
                _ => {
                    reached!("tried again");
                    assert_eq!(letter.reason, Reason::NotRunning { exit: None });
                }
            }
            assert_eq!(letters.take::<More>(1), Ok(More));
        });
}
