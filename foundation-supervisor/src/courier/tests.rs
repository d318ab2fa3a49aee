//! What finds no room, and what is told.

use foundation_sync::{Clock, MINUTE, SECONDS_5, VirtualTime};

use super::*;
use crate::Foundation;

/// Notes that it was dropped, and on which thread.
struct Noted(Queue<Option<String>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.try_send(std::thread::current().name().map(str::to_owned)).expect("there is room");
    }
}

/// Holds the courier up until the gate is closed.
fn hold(foundation: &Foundation) -> Queue<()> {
    foundation_testkit::wait_for(|| foundation.vitals().courier.queue.len == 0);
    let (gate, entered) = (Queue::<()>::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
    let (waits, enters, until) = (gate.clone(), entered.clone(), foundation.within(MINUTE));
    let holds = move || {
        enters.try_send(()).expect("there is room");
        _ = waits.recv(&until);
    };
    foundation.put_off(Box::new(holds));
    entered.recv(foundation.within(MINUTE)).expect("the courier is held up");
    gate
}

#[test]
fn a_value_that_finds_no_room_is_dropped_by_the_courier_and_what_has_no_place_at_all_is_counted() {
    let foundation = Foundation::builder().start();
    let gate = hold(&foundation);
    let dropped = Queue::bounded(2 * CAPACITY, Full::Refuse);
    // One queue's worth waits there, one is kept beside it, and three have no place.
    for _ in 0..2 * CAPACITY + 3 {
        foundation.tell(Job::Discard(Box::new(Noted(dropped.clone()))));
    }
    assert_eq!((dropped.len(), foundation.lost()), (0, 3), "nothing is dropped by whoever brings it");
    gate.close();
    for _ in 0..2 * CAPACITY {
        let thread = dropped.recv(foundation.within(MINUTE)).expect("the others are dropped");
        assert_eq!(thread.as_deref(), Some("courier#1"));
    }
    assert_eq!(foundation.stop(MINUTE).lost, 3);
}

/// A user's error.
struct Wrong(#[expect(dead_code, reason = "held for what its drop does")] Noted);

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrong")
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong")
    }
}

impl std::error::Error for Wrong {}

#[test]
fn an_error_whose_report_finds_no_room_is_dropped_by_the_courier_too() {
    let foundation = Foundation::builder().start();
    let gate = hold(&foundation);
    (0..CAPACITY).for_each(|_| foundation.tell(Job::Kept));
    let dropped = Queue::bounded(1, Full::Refuse);
    let failure = Failure::from(Wrong(Noted(dropped.clone())));
    let life = Incarnation { id: 1_000, generation: 1 };
    let report = CrashReport::new("t/w".into(), life, 0, Exit::Failed("wrong".into()));
    foundation.tell(Job::Crashed(Box::new((report, Some(failure)))));
    assert_eq!((dropped.len(), foundation.lost()), (0, 1), "the report is lost, and the error in its place");
    gate.close();
    let thread = dropped.recv(foundation.within(MINUTE)).expect("it is dropped");
    assert_eq!(thread.as_deref(), Some("courier#1"));
    assert_eq!(foundation.stop(MINUTE).lost, 1);
}

#[test]
fn what_was_lost_is_told_once_with_how_many_there_were_since_the_last_time() {
    let foundation = Foundation::builder().start();
    let heard = Queue::bounded(8, Full::Refuse);
    let notes = heard.clone();
    let handler = move |event: &foundation_telemetry::Event| {
        _ = notes.try_send(event.measurements.get("count").map(ToString::to_string));
    };
    foundation.telemetry().attach("lost", COURIER_LOST, handler).expect("the id is free");
    for count in ["3", "2"] {
        let gate = hold(&foundation);
        (0..CAPACITY).for_each(|_| foundation.tell(Job::Kept));
        for _ in 0..count.parse().expect("a number") {
            foundation.tell(Job::GaveUp { tree: "t".into(), exit: Exit::Normal });
        }
        gate.close();
        let told = heard.recv(foundation.within(MINUTE)).expect("it is told");
        assert_eq!(told.as_deref(), Some(count));
    }
    assert_eq!(foundation.stop(MINUTE).lost, 5);
    assert!(heard.is_empty(), "once each");
}

#[test]
fn a_defect_of_the_library_is_told_with_its_text() {
    let foundation = Foundation::builder().start();
    let heard = Queue::bounded(1, Full::Refuse);
    let notes = heard.clone();
    let handler = move |event: &foundation_telemetry::Event| _ = notes.try_send(event.clone());
    foundation.telemetry().attach("defects", DEFECT, handler).expect("the id is free");
    foundation.tell(Job::Broken { tree: "t".into(), panic: Box::new("no such seat") });
    let event = heard.recv(foundation.within(MINUTE)).expect("it is told");
    let said = |what| event.metadata.get(what).map(ToString::to_string);
    assert_eq!((said("tree"), said("panic")), (Some("t".to_owned()), Some("no such seat".to_owned())));
    assert!(foundation.stop(MINUTE).is_clean());
}

/// Race "last look at what was kept": the courier has emptied the queue between the refusal and the keeping.
#[test]
fn a_value_that_is_kept_when_the_courier_has_looked_for_the_last_time_is_dropped_all_the_same() {
    let foundation = Foundation::builder().start();
    hold(&foundation).close();
    foundation_testkit::wait_for(|| foundation.vitals().courier.queue.len == 0);
    let dropped = Queue::bounded(1, Full::Refuse);
    assert!(foundation.courier().keep(Box::new(Noted(dropped.clone()))));
    let thread = dropped.recv(foundation.within(MINUTE)).expect("it is dropped, though nothing else is to be done");
    assert_eq!(thread.as_deref(), Some("courier#1"));
    // The same, and the universe has ended meanwhile: whoever brings it drops it.
    let courier = foundation.courier().clone();
    assert!(foundation.stop(MINUTE).is_clean());
    assert!(courier.keep(Box::new(Noted(dropped.clone()))));
    assert_eq!(dropped.try_recv(), Ok(std::thread::current().name().map(str::to_owned)));
}

/// It was held up by somebody's handler for longer than it may take to stop.
#[test]
fn a_courier_that_was_abandoned_delivers_nothing_more_when_it_comes_back() {
    let time = VirtualTime::new();
    let foundation = Foundation::builder().clock(&time.clock()).start();
    let real = || Clock::system().within(MINUTE);
    let (first, second) = (Queue::<()>::bounded(1, Full::Refuse), Queue::<()>::bounded(1, Full::Refuse));
    let (entered, delivered) = (Queue::bounded(2, Full::Refuse), Queue::bounded(1, Full::Refuse));
    // A service that goes on keeps the universe from its end, and with it from taking back what is left.
    let stays = Queue::<()>::bounded(1, Full::Refuse);
    let waits = stays.clone();
    let body = move |_: &Life| {
        _ = waits.recv(Clock::system().within(MINUTE));
        Ok(())
    };
    foundation.start_service(ChildSpec::worker("stays", body).stop_whenever(), real()).expect("it starts");
    for gate in [&first, &second] {
        let (gate, enters) = (gate.clone(), entered.clone());
        foundation.put_off(Box::new(move || {
            enters.try_send(()).expect("there is room");
            _ = gate.recv(Clock::system().within(MINUTE));
        }));
    }
    let delivers = delivered.clone();
    foundation.put_off(Box::new(move || _ = delivers.try_send(())));
    entered.recv(real()).expect("the courier is held up");
    let system = foundation.system().clone();
    drop(foundation);
    let owner = || system.owners().live().into_iter().find(|owner| &**owner.name() == "courier");
    // It was told to stop, and its patience runs.
    foundation_testkit::wait_for(|| system.vitals().timers == 1);
    first.close();
    entered.recv(real()).expect("it is held up again, by what it still has to deliver");
    time.advance(SECONDS_5).expect("whoever is left waits");
    foundation_testkit::wait_for(|| owner().is_none());
    second.close();
    foundation_testkit::wait_for(|| system.threads().iter().all(|thread| &*thread.name != "courier#1"));
    assert_eq!((delivered.len(), system.lost()), (0, 0), "it is left where it was");
    stays.close();
    foundation_testkit::wait_for(|| system.threads().is_empty());
    assert_eq!(delivered.len(), 0);
    assert!(system.lost() > 0, "what nobody delivered is counted");
}
