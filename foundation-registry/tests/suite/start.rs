//! What one start for many promises.

use std::{
    any::Any,
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind},
    sync::Arc,
};

use foundation_registry::{StartError, StartNote, Starts};
use foundation_sync::{
    Clock, Deadline, Full, Mutex, Queue, SECOND, Stop, VirtualTime,
    thread::{self, JoinHandle},
};
use foundation_testkit::{join, patience, spawn, wait_for};

/// A place under a name, and what was done there.
#[derive(Clone)]
struct Place {
    starts: Starts,
    entry: Arc<Mutex<Option<u32>>>,
    started: Arc<Mutex<u32>>,
}

impl Place {
    fn new() -> Self {
        Self::by(&Clock::system())
    }

    fn by(clock: &Clock) -> Self {
        Self { starts: Starts::new(clock), entry: Arc::default(), started: Arc::default() }
    }

    fn look(&self) -> Option<u32> {
        *self.entry.lock()
    }

    /// Asks, and would start with this.
    fn ask<E: fmt::Display>(&self, start: impl FnOnce() -> Result<(), E>) -> Result<u32, StartError> {
        let start = || {
            *self.started.lock() += 1;
            start()
        };
        self.starts.once("n", soon(), || self.look(), start)
    }

    fn puts(&self, entry: u32) -> impl FnOnce() -> Result<(), String> {
        let place = Arc::clone(&self.entry);
        move || {
            *place.lock() = Some(entry);
            Ok(())
        }
    }

    fn waiting(&self) -> usize {
        self.starts.under_way().iter().map(|note| note.waiting).sum()
    }

    /// So many ask for it on threads of their own; `then` gets what each is told.
    fn others<const N: usize>(
        &self,
        then: impl Fn(Result<u32, StartError>) + Clone + Send + 'static,
    ) -> [JoinHandle<()>; N] {
        std::array::from_fn(|_| {
            let (place, then) = (self.clone(), then.clone());
            spawn(move || then(place.ask(|| -> Result<(), String> { panic!("it was started already") })))
        })
    }

    fn started(&self) -> u32 {
        assert_eq!(self.starts.under_way(), [], "nothing is left behind");
        *self.started.lock()
    }
}

fn soon() -> Deadline {
    Clock::system().within(patience())
}

fn failed(error: &str) -> StartError {
    StartError::Failed { name: "n".into(), error: error.into() }
}

#[test]
fn what_is_there_is_not_started() {
    let place = Place::new();
    *place.entry.lock() = Some(7);
    assert_eq!(place.ask(place.puts(8)), Ok(7));
    let stop = Stop::new();
    stop.tell();
    assert_eq!(place.starts.once("n", &stop, || place.look(), place.puts(8)), Ok(7), "looking waits for nobody");
    assert_eq!(place.started(), 0);
}

#[test]
fn what_is_not_there_is_started_on_the_callers_thread() {
    let place = Place::new();
    let ran = Cell::new(None);
    let start = || {
        ran.set(Some(thread::id()));
        place.puts(7)()
    };
    assert_eq!(place.ask(start), Ok(7));
    assert_eq!((ran.get(), place.started()), (Some(thread::id()), 1));
    let late = place.starts.once(
        "m",
        Deadline::now(),
        || place.look().filter(|_| ran.get().is_none()),
        || {
            ran.set(None);
            Ok::<(), String>(())
        },
    );
    assert_eq!(late, Ok(7), "a start of one's own waits for nobody");
}

#[test]
fn of_many_who_ask_one_starts_and_all_get_what_is_there_then() {
    let place = Place::new();
    let (ask, others) = (place.clone(), place.clone());
    let start = move || {
        let others = others.others::<5>(|found| assert_eq!(found, Ok(7)));
        wait_for(|| ask.waiting() == 5);
        assert_eq!(ask.starts.under_way().len(), 1);
        // They get nothing before it is over.
        ask.puts(7)().map(|()| others)
    };
    let asked = Cell::new(None);
    let found = place.ask(|| start().map(|others| asked.set(Some(others))));
    assert_eq!(found, Ok(7));
    asked.take().expect("it started").into_iter().for_each(join);
    assert_eq!(place.started(), 1);
}

#[test]
fn names_are_started_beside_each_other() {
    let place = Place::new();
    let start = || {
        let starts = place.starts.clone();
        join(spawn(move || {
            let entry = Mutex::new(None);
            let start = || -> Result<(), String> {
                *entry.lock() = Some(());
                Ok(())
            };
            assert_eq!(starts.once("another", soon(), || *entry.lock(), start), Ok(()));
        }));
        let inner = Place { starts: place.starts.clone(), ..Place::new() };
        assert_eq!(inner.starts.once("a third", soon(), || inner.look(), inner.puts(8)), Ok(8), "on the same thread");
        place.puts(7)()
    };
    assert_eq!(place.ask(start), Ok(7));
    assert_eq!(place.started(), 1);
}

/// Runs a start while three others wait for it, and returns what it was told itself; they are to be told `others`.
#[track_caller]
fn while_others_wait<E: fmt::Display>(
    place: &Place,
    others: &Result<u32, StartError>,
    start: impl FnOnce() -> Result<(), E>,
) -> Result<Result<u32, StartError>, Box<dyn Any + Send>> {
    let (expected, threads) = (others.clone(), Cell::new(None));
    let start = || {
        threads.set(Some(place.others::<3>(move |told| assert_eq!(told, expected))));
        wait_for(|| place.waiting() == 3);
        start()
    };
    let told = catch_unwind(AssertUnwindSafe(|| place.ask(start)));
    threads.take().expect("it started").into_iter().for_each(join);
    told
}

#[test]
fn a_start_that_fails_fails_for_all_and_the_next_one_starts_anew() {
    let place = Place::new();
    let told = while_others_wait(&place, &Err(failed("no room")), || Err("no room"));
    assert_eq!(told.expect("no panic"), Err(failed("no room")));
    assert_eq!(place.started(), 1);
    assert_eq!(place.ask(|| Err("again")), Err(failed("again")));
    assert_eq!(place.ask(place.puts(7)), Ok(7));
    assert_eq!(place.started(), 3);
}

#[test]
fn a_start_that_leaves_nothing_there_is_an_error_for_all() {
    let place = Place::new();
    let nothing = Err(StartError::NotRegistered("n".into()));
    let told = while_others_wait(&place, &nothing, || Ok::<(), String>(()));
    assert_eq!(told.expect("no panic"), nothing);
    assert_eq!(place.started(), 1);
}

#[test]
fn what_is_gone_again_when_one_who_waited_looks_is_not_there() {
    let place = Place::new();
    let looks = Mutex::new(0);
    // Those who wait look when the first one has found it, and find nothing.
    let look = || {
        *looks.lock() += 1;
        (*looks.lock() == 3).then_some(7)
    };
    let threads = Cell::new(None);
    let start = || {
        let nothing = Err(StartError::NotRegistered("n".into()));
        threads.set(Some(place.others::<1>(move |told| assert_eq!(told, nothing))));
        wait_for(|| place.waiting() == 1);
        Ok::<(), String>(())
    };
    assert_eq!(place.starts.once("n", soon(), look, start), Ok(7));
    threads.take().expect("it started").into_iter().for_each(join);
    assert_eq!(*looks.lock(), 3);
}

#[test]
fn a_start_that_panics_goes_on_panicking_and_the_others_are_told() {
    #[track_caller]
    fn check(message: &str, start: impl FnOnce() -> Result<(), String>) {
        let place = Place::new();
        let told = Err(StartError::Panicked { name: "n".into(), message: message.into() });
        let panic = while_others_wait(&place, &told, start).expect_err("it goes on");
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        assert_eq!(text.unwrap_or_else(|| "a panic whose payload is no text".to_owned()), message);
        assert_eq!(place.started(), 1);
        assert_eq!(place.ask(place.puts(7)), Ok(7), "the next one starts anew");
    }
    check("why", || resume_unwind(Box::new("why")));
    check("why 7", || panic_any("why 7".to_owned()));
    check("a panic whose payload is no text", || panic_any(7));
}

#[test]
fn a_look_that_panics_after_the_start_keeps_nobody_waiting() {
    let place = Place::new();
    let (started, threads) = (Cell::new(false), Cell::new(None));
    let look = || if started.get() { resume_unwind(Box::new("look")) } else { None::<u32> };
    let start = || {
        let told = Err(StartError::Panicked { name: "n".into(), message: "look".into() });
        threads.set(Some(place.others::<2>(move |others| assert_eq!(others, told))));
        wait_for(|| place.waiting() == 2);
        started.set(true);
        Ok::<(), String>(())
    };
    assert!(catch_unwind(AssertUnwindSafe(|| place.starts.once("n", soon(), look, start))).is_err());
    threads.take().expect("it started").into_iter().for_each(join);
    assert_eq!(place.started(), 0);
}

/// An error that panics where it says so.
struct Nasty {
    text: bool,
    drop: bool,
}

impl fmt::Display for Nasty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text {
            resume_unwind(Box::new("in its text"));
        }
        f.write_str("nasty")
    }
}

impl Drop for Nasty {
    fn drop(&mut self) {
        if self.drop {
            resume_unwind(Box::new(Worse));
        }
    }
}

/// The payload of a panic that panics itself, with another one.
struct Worse;

impl Drop for Worse {
    fn drop(&mut self) {
        resume_unwind(Box::new(Worse));
    }
}

#[test]
fn an_error_may_panic_where_it_likes_and_is_a_failure_all_the_same() {
    #[track_caller]
    fn check(text: bool, drop: bool, says: &str) {
        let place = Place::new();
        let told = while_others_wait(&place, &Err(failed(says)), || Err(Nasty { text, drop }));
        assert_eq!(told.expect("no panic"), Err(failed(says)));
        assert_eq!(place.started(), 1);
    }
    check(false, false, "nasty");
    check(true, false, "an error whose text panicked");
    check(false, true, "nasty");
    check(true, true, "an error whose text panicked");
}

#[test]
fn a_start_that_asks_for_its_own_name_is_told_at_once() {
    let place = Place::new();
    let inner = Cell::new(None);
    let start = || {
        // It would wait for itself.
        inner.set(Some(place.starts.once("n", soon(), || place.look(), place.puts(8))));
        place.puts(7)()
    };
    assert_eq!(place.ask(start), Ok(7));
    assert_eq!(inner.take(), Some(Err(StartError::Ring("n".into()))));
    assert_eq!(place.started(), 1);
}

#[test]
fn a_start_may_look_up_what_it_has_put_there() {
    let place = Place::new();
    let start = || {
        place.puts(7)()?;
        assert_eq!(place.starts.once("n", soon(), || place.look(), place.puts(8)), Ok(7));
        Ok::<(), String>(())
    };
    assert_eq!(place.ask(start), Ok(7));
}

#[test]
fn who_gives_up_leaves_the_start_alone_and_nothing_behind() {
    let time = VirtualTime::new();
    let place = Place::by(&time.clock());
    time.advance(SECOND).expect("nobody runs by it");
    let (stop, go_on) = (Stop::new(), Queue::<()>::bounded(1, Full::Refuse));
    let (starter, gate) = (place.clone(), go_on.clone());
    let starts = spawn(move || {
        let start = || {
            gate.recv(soon()).map_err(|error| error.to_string())?;
            starter.puts(7)()
        };
        assert_eq!(starter.ask(start), Ok(7));
    });
    wait_for(|| !place.starts.under_way().is_empty());
    let (late, until) = (place.clone(), time.clock().within(2 * SECOND));
    let late = spawn(move || {
        let told = late.starts.once("n", until, || late.look(), late.puts(8)).expect_err("it takes long");
        let StartError::TimedOut(StartNote { name, since: 1_000_000_000, running_for, .. }) = &told else {
            panic!("{told}")
        };
        assert_eq!((&**name, *running_for), ("n", 2 * SECOND));
        assert_eq!(
            told.to_string(),
            "`n` is being started by another thread, for 2.0s, and was not there at the deadline: wait longer, or look \
             why it takes so long"
        );
    });
    let (told, until) = (place.clone(), stop.clone());
    let told = spawn(move || {
        let told = told.starts.once("n", &until, || told.look(), told.puts(8));
        assert_eq!(told, Err(StartError::Stopped("n".into())));
    });
    wait_for(|| place.waiting() == 2);
    time.advance(2 * SECOND).expect("nobody runs by it");
    join(late);
    assert_eq!(place.waiting(), 1);
    stop.tell();
    join(told);
    assert_eq!(place.waiting(), 0);
    let passed = place.starts.once("n", Deadline::now(), || place.look(), place.puts(8));
    assert!(matches!(passed, Err(StartError::TimedOut(_))), "{passed:?}");
    go_on.try_send(()).expect("it is empty");
    join(starts);
    assert_eq!((place.look(), place.started()), (Some(7), 1));
}

/// In a time that stands still no deadline comes.
#[test]
fn whoever_waits_for_a_start_is_called_when_it_is_over() {
    for goes_well in [true, false] {
        let time = VirtualTime::new();
        let place = Place::by(&time.clock());
        let (go_on, told) = (Queue::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
        let (starter, gate) = (place.clone(), go_on.clone());
        let starts = spawn(move || {
            let start = || {
                gate.recv(soon()).map_err(|error| error.to_string())??;
                starter.puts(7)()
            };
            _ = starter.ask(start);
        });
        wait_for(|| !place.starts.under_way().is_empty());
        let (waiter, says, until) = (place.clone(), told.clone(), time.clock().within(SECOND));
        let waits = spawn(move || {
            let found = waiter.starts.once("n", until, || waiter.look(), waiter.puts(8));
            says.try_send(found).expect("there is room");
        });
        wait_for(|| place.waiting() == 1);
        go_on.try_send(if goes_well { Ok(()) } else { Err("why".to_owned()) }).expect("there is room");
        assert_eq!(
            told.recv(soon()),
            Ok(if goes_well { Ok(7) } else { Err(failed("why")) }),
            "it is called, whatever the time is"
        );
        [starts, waits].into_iter().for_each(join);
    }
}

#[test]
fn who_was_told_to_stop_starts_nothing() {
    let place = Place::new();
    let stop = Stop::new();
    stop.tell();
    let told = place.starts.once("n", &stop, || place.look(), place.puts(7));
    assert_eq!(told, Err(StartError::Stopped("n".into())));
    assert_eq!((place.look(), place.started()), (None, 0));
}

#[test]
fn an_error_says_what_failed_and_what_to_do() {
    #[track_caller]
    fn check(error: &StartError, says: &str) {
        assert_eq!(error.to_string(), says);
    }
    check(&failed("no room"), "`n` was not started: no room: ask again to try anew");
    check(
        &StartError::Panicked { name: "n".into(), message: "why".into() },
        "the start of `n` panicked on another thread: why: ask again to try anew",
    );
    check(
        &StartError::NotRegistered("n".into()),
        "the start of `n` went well, but nothing has that name: register it there and keep it, or ask again if it has \
         ended since",
    );
    check(
        &StartError::Ring("n".into()),
        "the start of `n` asks for `n`, and would wait for itself: look it up without a start",
    );
    check(&StartError::Stopped("n".into()), "told to stop, so `n` was not waited for: return");
}

/// Many threads, many rounds: each round has one start, or each caller has met a failure.
#[test]
fn whatever_happens_nothing_is_started_twice() {
    let place = Place::new();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let place = place.clone();
            spawn(move || {
                for round in 1..=300 {
                    let name = format!("round {round}");
                    let look = || place.look().filter(|entry| *entry >= round);
                    let start = || {
                        *place.started.lock() += 1;
                        if place.started.lock().is_multiple_of(7) {
                            return Err("the seventh");
                        }
                        let last = place.entry.lock().replace(round);
                        assert!(last < Some(round), "one start a round");
                        Ok(())
                    };
                    while let Err(error) = place.starts.once(&name, soon(), look, start) {
                        assert_eq!(
                            error,
                            StartError::Failed { name: name.as_str().into(), error: "the seventh".into() }
                        );
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    let started = place.started();
    assert_eq!(started - started / 7, 300);
}
