//! Changes of rules, subscribers and overrides, against one another.

use std::sync::Arc;

use foundation_flags::{ChangeError, Flag, Flags, Target};
use foundation_sync::{Deadline, Mutex, Switch};
use foundation_testkit::{explore, join, reached, spawn};

use crate::quiet;

const A: Flag = Flag::off("a");
const B: Flag = Flag::off("b");

#[test]
fn of_two_changes_that_expect_one_version_one_is_made() {
    explore("of two changes that expect one version one is made")
        .reaches(&["flags: another version was expected", "the first won", "the second won"])
        .catches(&["flags: a version is expected and not compared"])
        .run(|| {
            let flags = Flags::builder().flag(&A).flag(&B).errands(&quiet()).start().expect("they fit together");
            let (changes, result) = (flags.clone(), Arc::new(Mutex::new(None)));
            let says = Arc::clone(&result);
            let other = spawn(move || {
                let change = changes.change("bob", "x").on(&B).expect_version(0).apply(Deadline::never());
                *says.lock() = Some(change);
            });
            let first = flags.change("alice", "x").on(&A).expect_version(0).apply(Deadline::never());
            join(other);
            let second = result.lock().take().expect("it returned");
            match (first, second) {
                (Ok(_), Err(ChangeError::NotExpected { expected: 0, now: 1 })) => reached!("the first won"),
                (Err(ChangeError::NotExpected { expected: 0, now: 1 }), Ok(_)) => reached!("the second won"),
                other => panic!("one is made and the other refused: {other:?}"),
            }
            assert_eq!(flags.view().version(), 1);
        });
}

/// Two threads decide and tell, and somebody subscribes meanwhile.
#[test]
fn a_subscriber_hears_in_order_each_once_and_all_that_is_decided_after_it_subscribed() {
    explore("a subscriber hears in order, each once, and all that is decided after it subscribed")
        .reaches(&["flags: somebody tells already", "subscribers: a decision of before", "it heard of both"])
        .catches(&["subscribers: what was decided before is told", "flags: two tell at once"])
        .run(|| {
            let flags = Flags::builder().flag(&A).flag(&B).start().expect("they fit together");
            let changes = flags.clone();
            let other = spawn(move || {
                changes.change("bob", "x").on(&B).apply(Deadline::never()).expect("it is free");
            });
            let heard = Arc::new(Mutex::new(Vec::new()));
            let hears = Arc::clone(&heard);
            let seen = flags.view().version();
            let subscription = flags.subscribe(move |change| hears.lock().push(change.version)).expect("there is room");
            let own = flags.change("alice", "x").on(&A).apply(Deadline::never()).expect("it is free");
            join(other);
            // By now everything is told: who decides last without telling has left it to who tells.
            let heard = std::mem::take(&mut *heard.lock());
            assert!(heard.is_sorted() && heard.windows(2).all(|pair| pair[0] != pair[1]), "{heard:?}");
            assert!(heard.iter().all(|version| *version > seen), "{heard:?} after {seen}");
            assert!(heard.contains(&own.version), "{heard:?} without {}", own.version);
            if heard.len() == 2 {
                reached!("it heard of both");
            }
            drop(subscription);
        });
}

/// A test's word is no decision and waits for nobody, so it may come while a decision is being made.
#[test]
fn an_override_and_a_change_do_not_lose_each_other() {
    explore("an override and a change do not lose each other")
        .reaches(&["flags: a share came late"])
        .catches(&[
            "flags: a decision forgets what a test says meanwhile",
            "flags: a late share wins",
            "switch: a late push wins",
        ])
        .run(|| {
            let service = Switch::off();
            let builder = Flags::builder().bind(&A, &service).flag(&B).errands(&quiet());
            let flags = builder.start().expect("they fit together");
            let changes = flags.clone();
            let other = spawn(move || {
                changes.change("bob", "x").percent(&A, 0.01).on(&B).apply(Deadline::never()).expect("it is free");
            });
            let guard = flags.override_for_test(&A, true).expect("it is declared");
            join(other);
            let anybody = Target::id("any");
            assert!(flags.enabled(&A) && flags.enabled_for_target(&A, &anybody) && service.is_on(), "{flags:?}");
            assert!(flags.enabled(&B), "it was decided");
            drop(guard);
            assert!(!flags.enabled(&A) && !service.is_on());
            assert_eq!(flags.enabled_for_target(&A, &anybody), flags.view().enabled_for_target(&A, &anybody));
        });
}

/// A rule that names targets is read from the state, a share from one word: whichever a reader finds, it is never
/// something that was never said, and never older than what it found before.
#[test]
fn a_read_for_an_id_sees_what_was_said_in_the_order_in_which_it_was() {
    explore("a read for an id sees what was said, in the order in which it was")
        .reaches(&["nothing yet", "the actor is named", "it is on for everybody"])
        .catches(&["flags: pushed before it is published"])
        .run(|| {
            let flags = Flags::builder().flag(&A).errands(&quiet()).start().expect("it fits");
            let changes = flags.clone();
            let other = spawn(move || {
                changes.change("bob", "x").actor(&A, "u", true).apply(Deadline::never()).expect("it is free");
                changes.change("bob", "x").on(&A).reset(&A).on(&A).apply(Deadline::never()).expect("it is free");
            });
            let look = || (flags.enabled_for(&A, "u"), flags.enabled_for(&A, "v"));
            let (first, second, view) = (look(), look(), flags.view());
            for seen in [first, second] {
                match seen {
                    (false, false) => reached!("nothing yet"),
                    (true, false) => reached!("the actor is named"),
                    (true, true) => reached!("it is on for everybody"),
                    // The two reads are not one: the actor may be named, and everybody on, in between.
                    (false, true) => {}
                }
            }
            assert!(first.0 <= second.0 && first.1 <= second.1, "back: {first:?}, {second:?}");
            let viewed = (view.enabled_for(&A, "u"), view.enabled_for(&A, "v"));
            assert!(second.0 <= viewed.0 && second.1 <= viewed.1, "a view is older: {second:?}, {viewed:?}");
            join(other);
            assert_eq!(look(), (true, true));
        });
}
