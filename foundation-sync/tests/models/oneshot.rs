//! A place for one value: who puts it, who waits for it, who gives up.

use std::sync::Arc;

use foundation_sync::{Deadline, Mutex, OneShot, RecvError, Stop, Wake};
use foundation_testkit::{explore, join, reached, spawn};

/// What both sides share.
#[derive(Default)]
struct Question {
    answer: OneShot<u32>,
}

impl Wake for Question {
    fn wake(&self) {
        self.answer.wake();
    }
}

#[test]
fn who_waits_for_a_value_gets_it() {
    explore("who waits for a value gets it")
        .reaches(&["who waits for a value slept", "it was there"])
        .catches(&["oneshot: a put tells nobody"])
        .run(|| {
            let question = Arc::new(Question::default());
            let asked = Arc::clone(&question);
            let answers = spawn(move || asked.answer.put(42).expect("it is waited for"));
            if !question.answer.is_open() {
                reached!("it was there");
            }
            assert_eq!(question.answer.recv(Deadline::never(), || Arc::clone(&question)), Ok(42));
            assert_eq!(question.answer.put(43), Err(43), "it is over");
            join(answers);
        });
}

/// Race "put against close".
#[test]
fn a_value_goes_to_who_gives_up_or_back_to_who_puts_it() {
    explore("a value goes to who gives up or back to who puts it")
        .reaches(&["a value came too late", "a value came at the last moment"])
        .catches(&["oneshot: who gave up still gets it"])
        .run(|| {
            let question = Arc::new(Question::default());
            let (asked, back) = (Arc::clone(&question), Arc::new(Mutex::new(None)));
            let came_back = Arc::clone(&back);
            let answers = spawn(move || *came_back.lock() = asked.answer.put(42).err());
            let got = question.answer.close();
            join(answers);
            assert!(!question.answer.is_open(), "it is over");
            assert_eq!(got.xor(*back.lock()), Some(42), "one of the two has it");
        });
}

/// Race "stop before sleep".
#[test]
fn a_stop_always_wakes_who_waits_for_a_value() {
    explore("a stop always wakes who waits for a value")
        .reaches(&["stopped"])
        .catches(&["oneshot: a stop notifies without the lock"])
        .run(|| {
            let (question, stop) = (Arc::new(Question::default()), Stop::new());
            let word = stop.clone();
            let tells = spawn(move || _ = word.tell());
            assert_eq!(question.answer.recv(&stop, || Arc::clone(&question)), Err(RecvError::Stopped));
            reached!("stopped");
            assert!(question.answer.is_open(), "a value may still come");
            join(tells);
        });
}

/// Whoever is told to stop gives up; what had come by then is not lost.
#[test]
fn a_value_that_comes_with_the_stop_is_had_once() {
    explore("a value that comes with the stop is had once")
        .reaches(&["received", "had when it gave up", "came back"])
        .catches(&["oneshot: who gave up still gets it"])
        .run(|| {
            let (question, stop) = (Arc::new(Question::default()), Stop::new());
            let (word, asked, back) = (stop.clone(), Arc::clone(&question), Arc::new(Mutex::new(None)));
            let came_back = Arc::clone(&back);
            let tells = spawn(move || _ = word.tell());
            let answers = spawn(move || *came_back.lock() = asked.answer.put(42).err());
            let got = match question.answer.recv(&stop, || Arc::clone(&question)) {
                Ok(value) => {
                    reached!("received");
                    Some(value)
                }
                Err(error) => {
                    assert_eq!(error, RecvError::Stopped);
                    let last = question.answer.close();
                    if last.is_some() {
                        reached!("had when it gave up");
                    }
                    last
                }
            };
            join(tells);
            join(answers);
            let back = *back.lock();
            if back.is_some() {
                reached!("came back");
            }
            assert_eq!(got.xor(back), Some(42), "one of the two has it");
        });
}

/// Of two who put a value one is received, and the other one has its own again.
#[test]
fn of_two_values_one_is_received() {
    explore("of two values one is received").reaches(&["the first", "the second"]).run(|| {
        let question = Arc::new(Question::default());
        let (asked, back) = (Arc::clone(&question), Arc::new(Mutex::new(None)));
        let came_back = Arc::clone(&back);
        let answers = spawn(move || *came_back.lock() = asked.answer.put(1).err());
        let mine = question.answer.put(2).err();
        let got = question.answer.recv(Deadline::never(), || Arc::clone(&question)).expect("one has come");
        join(answers);
        match got {
            1 => reached!("the first"),
            _ => reached!("the second"),
        }
        assert_eq!(mine.xor(*back.lock()), Some(3 - got));
    });
}
