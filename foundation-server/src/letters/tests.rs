//! The box against an oracle; and a postman that crashes with a letter in its hand.

use std::{collections::BTreeMap, time::Duration};

use foundation_context::Fields;
use foundation_supervisor::{Backoff, Strategy, Supervisor};
use foundation_sync::{Mutex, Nanos, SECOND, atomic::Ordering, thread};
use foundation_testkit::TestUniverse;
use proptest::{
    collection::vec,
    prelude::{
        ProptestConfig, Strategy as Cases, TestCaseError, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
    },
};

use super::{
    shelf::{Due, New},
    *,
};
use crate::{Turn, server};

struct Clerk(Arc<Mutex<Vec<u32>>>);
impl Server for Clerk {}
impl Handle<u32> for Clerk {
    type Reply = ();
    fn handle(&mut self, number: u32, _: &mut Turn<'_, Self>) {
        self.0.lock().push(number);
    }
}

/// What may happen to the box.
#[derive(Clone, Debug)]
enum Step {
    Add {
        most: Option<u32>,
        kills: bool,
        hopeless: bool,
    },
    /// Of the letter that comes so far after the oldest.
    TakeOut(usize),
    /// Of those that are out.
    Delivered(usize),
    Failed(usize, bool),
    Purge(usize),
    Take(usize, bool),
    Pass(u64),
}

fn step() -> impl Cases<Value = Step> {
    prop_oneof![
        4 => (proptest::option::of(0..4_u32), any::<bool>(), any::<bool>())
            .prop_map(|(most, kills, hopeless)| Step::Add { most, kills: kills && hopeless, hopeless: hopeless && !kills }),
        3 => (0..6_usize).prop_map(Step::TakeOut),
        2 => (0..3_usize).prop_map(Step::Delivered),
        2 => (0..3_usize, any::<bool>()).prop_map(|(at, hopeless)| Step::Failed(at, hopeless)),
        1 => (0..6_usize).prop_map(Step::Purge),
        1 => (0..6_usize, any::<bool>()).prop_map(|(at, such)| Step::Take(at, such)),
        2 => (0..5_u64).prop_map(Step::Pass),
    ]
}

/// A letter as it should be.
#[derive(Clone, Debug, PartialEq)]
struct Ought {
    load: u64,
    attempts: u32,
    most: Option<u32>,
    kills: bool,
    out: bool,
    next: Option<Nanos>,
    last: Nanos,
}

/// Each attempt waits so long.
const WAIT: Nanos = 3_000_000;

fn next(ought: &Ought, hopeless: bool, now: Nanos) -> Option<Nanos> {
    let may = !ought.kills && !hopeless && ought.most.is_some_and(|most| ought.attempts < most);
    may.then_some(now + WAIT)
}

fn view(kills: bool) -> DeadLetter {
    let reason = match kills {
        true => Reason::Quarantined { lives: 1, exit: foundation_registry::Exit::Normal },
        false => Reason::NotRunning { exit: None },
    };
    DeadLetter {
        number: 0,
        recipient: "clerk".into(),
        message: "u32",
        reason,
        attempts: 0,
        first_failure: 0,
        last_failure: 0,
        next_attempt: None,
        context: Fields::new(),
    }
}

#[derive(Default)]
struct Oracle {
    letters: BTreeMap<u64, Ought>,
    counts: LetterCounts,
    now: Nanos,
}

impl Oracle {
    fn at(&self, at: usize) -> u64 {
        self.letters.keys().nth(at).copied().unwrap_or(999)
    }

    fn out(&self, at: usize) -> Option<u64> {
        self.letters.iter().filter(|(_, ought)| ought.out).map(|(number, _)| *number).nth(at)
    }

    /// Removes a letter that is not out.
    fn remove(&mut self, number: u64) -> Option<Ought> {
        if self.letters.get(&number)?.out {
            return None;
        }
        self.letters.remove(&number)
    }
}

const CAPACITY: usize = 4;

/// Does the step on both.
fn walk(shelf: &mut Shelf<u64>, oracle: &mut Oracle, step: Step) -> Result<(), TestCaseError> {
    let now = oracle.now;
    match step {
        Step::Add { most, kills, hopeless } => {
            let retry = most.map(|most| Retry::new(Backoff::constant(Duration::from_nanos(WAIT)).jitter(0), most));
            let number = oracle.counts.added + 1;
            let (added, crowded) =
                shelf.add(New { view: view(kills), retry, kills: false, hopeless, load: number * 10 }, now);
            let oldest = oracle.letters.iter().find(|(_, ought)| !ought.out).map(|(number, _)| *number);
            let gone = oldest.filter(|_| oracle.letters.len() >= CAPACITY).and_then(|oldest| oracle.remove(oldest));
            oracle.counts.overflowed += u64::from(gone.is_some());
            prop_assert_eq!(crowded, gone.map(|gone| gone.load));
            let mut ought = Ought { load: number * 10, attempts: 0, most, kills, out: false, next: None, last: 0 };
            ought.next = next(&ought, hopeless, now);
            let first = oracle.letters.values().filter_map(|ought| ought.next).min();
            let is_first = |at| first.is_none_or(|first| at < first);
            let due = ought.next.map_or(Due::Never, |at| if is_first(at) { Due::First } else { Due::Later });
            prop_assert_eq!(added.due, due);
            prop_assert_eq!(added.number, number);
            oracle.counts.added += 1;
            oracle.letters.insert(number, ought);
        }
        Step::TakeOut(at) => {
            let number = oracle.at(at);
            let taken = shelf.take_out(number);
            let ought = oracle.letters.get_mut(&number).filter(|ought| !ought.out);
            prop_assert_eq!(
                taken.map(|(load, past)| (load, past.attempts)),
                ought.as_ref().map(|it| (it.load, it.attempts + 1))
            );
            if let Some(ought) = ought {
                (ought.out, ought.next) = (true, None);
            }
        }
        Step::Delivered(at) => {
            let Some(number) = oracle.out(at) else { return Ok(()) };
            shelf.delivered(number);
            oracle.letters.remove(&number);
            oracle.counts.delivered += 1;
        }
        Step::Failed(at, hopeless) => {
            let Some(number) = oracle.out(at) else { return Ok(()) };
            let ought = oracle.letters.get_mut(&number).expect("it is out");
            shelf.failed(number, ought.load, Some(Reason::Full { capacity: 1 }), hopeless, now);
            (ought.out, ought.attempts, ought.last) = (false, ought.attempts + 1, now);
            ought.next = next(ought, hopeless, now);
            oracle.counts.failed_attempts += 1;
        }
        Step::Purge(at) => {
            let number = oracle.at(at);
            let gone = oracle.remove(number);
            oracle.counts.purged += u64::from(gone.is_some());
            prop_assert_eq!(shelf.purge(number), gone.map(|gone| gone.load));
        }
        Step::Take(at, such) => {
            let number = oracle.at(at);
            let taken = shelf.lift(number, |_| such);
            if taken.is_ok() {
                shelf.taken(number);
            }
            let ought = match oracle.letters.get(&number) {
                None => Err(TakeError::NoSuchLetter(number)),
                Some(ought) if ought.out => Err(TakeError::Out(number)),
                Some(_) if !such => Err(TakeError::OtherType("u32")),
                Some(ought) => Ok(ought.load),
            };
            if ought.is_ok() {
                oracle.letters.remove(&number);
                oracle.counts.taken += 1;
            }
            prop_assert_eq!(taken, ought);
        }
        Step::Pass(span) => oracle.now += span * 1_000_000,
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_box_does_what_the_oracle_says(steps in vec(step(), 0..60)) {
        let (mut shelf, mut oracle) = (Shelf::default(), Oracle::default());
        prop_assert_eq!(shelf.set_capacity(CAPACITY), Ok(()));
        for step in steps {
            walk(&mut shelf, &mut oracle, step)?;
            oracle.counts.waiting = oracle.letters.len() as u64;
            let counts = shelf.counts();
            prop_assert_eq!(counts, oracle.counts);
            let gone = counts.delivered + counts.taken + counts.purged + counts.overflowed;
            prop_assert_eq!(counts.added, gone + counts.waiting);
            let seen: Vec<_> = shelf.page(0, u64::MAX, 100).into_iter()
                .map(|view| (view.number, view.attempts, view.next_attempt, view.last_failure)).collect();
            let ought: Vec<_> = oracle.letters.iter()
                .map(|(number, ought)| (*number, ought.attempts, ought.next, ought.last)).collect();
            prop_assert_eq!(seen, ought);
            let first = oracle.letters.iter().filter_map(|(number, ought)| Some((ought.next?, *number))).min();
            prop_assert_eq!(shelf.next_due(), first.map(|(at, _)| at));
            prop_assert_eq!(shelf.due(oracle.now), first.filter(|(at, _)| *at <= oracle.now).map(|(_, number)| number));
            let out = oracle.letters.values().filter(|ought| ought.out).count();
            prop_assert!(oracle.letters.len() <= CAPACITY + out);
        }
    }
}

#[test]
fn a_postman_that_crashes_with_a_letter_in_its_hand_loses_none_and_sends_none_twice() {
    let t = TestUniverse::with_virtual_time();
    let letters = DeadLetters::of(&t);
    letters.set_retry(Some(Retry::new(Backoff::constant(SECOND).jitter(0), 10)));
    let notes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&notes);
    let (spec, clerk) = server("clerk", move || Clerk(Arc::clone(&kept)));
    (0..10).for_each(|number| _ = letters.add(&clerk, number, "too early"));
    t.start(Supervisor::new("office", Strategy::OneForOne).child(spec));
    letters.letters.fault.store(true, Ordering::Relaxed);
    // The next life comes after some milliseconds, and does the nine others; the first waits for its next attempt.
    t.clock().advance(SECOND + SECOND / 2);
    assert_eq!(t.restarts(), 1, "it crashed");
    assert_eq!(*notes.lock(), (1..10).collect::<Vec<_>>());
    let letter = letters.list(10).pop().expect("it stays");
    assert_eq!((letter.number, letter.attempts, letters.counts().failed_attempts), (1, 1, 1));
    assert_eq!(letter.reason, Reason::Undeliverable { what: "too early".into() });
    t.clock().advance(SECOND);
    assert_eq!(notes.lock().last(), Some(&0));
    assert_eq!(notes.lock().len(), 10);
    let counts = letters.counts();
    assert_eq!((counts.added, counts.delivered, counts.waiting), (10, 10, 0));
}

#[test]
fn a_caller_that_crashes_while_it_retries_loses_no_letter() {
    let t = TestUniverse::new();
    let letters = DeadLetters::of(&t);
    let (_spec, clerk) = server("clerk", || Clerk(Arc::default()));
    let number = letters.add(&clerk, 7, "so");
    letters.letters.fault.store(true, Ordering::Relaxed);
    let own = letters.clone();
    let crashes = thread::Builder::new("crashes").spawn(move || drop(own.retry(|_| true)));
    assert!(crashes.expect("a thread").join().is_err());
    assert_eq!(letters.list(1)[0].attempts, 1);
    assert_eq!(letters.take::<u32>(number), Ok(7));
}
