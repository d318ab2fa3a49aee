//! How handlers are chosen, fail, come back and end.

use std::{panic::resume_unwind, sync::Arc};

use foundation_context::{Value, fields, with};
use foundation_sync::{
    Clock, Full, Mutex, Queue, SECONDS_5,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use foundation_telemetry::{
    AttachError, DetachWaitError, Event, EventName, HANDLER_FAILURE, MOST_FAILED, MOST_HANDLERS, ReattachError,
    Selector, Telemetry, event_name,
};
use foundation_testkit::{join, spawn};

const BOUGHT: EventName = event_name!("shop", "item", "bought");
const SOLD: EventName = event_name!("shop", "item", "sold");
const OPENED: EventName = event_name!("shop", "opened");
const OTHER: EventName = event_name!("shopping", "item");

type Count = Arc<AtomicU64>;

fn counting() -> (Count, impl Fn(&Event) + Send + Sync + 'static) {
    let count = Count::default();
    let counts = Arc::clone(&count);
    (count, move |_: &Event| _ = counts.fetch_add(1, Relaxed))
}

fn emit(telemetry: &Telemetry, name: EventName) {
    telemetry.emit(name, || (fields! {}, fields! {}));
}

fn fails(_: &Event) {
    resume_unwind(Box::new("no tea"))
}

/// Says how often it was dropped.
struct Probe(Count);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_prefix_is_heard_by_emitters_that_were_resolved_before_and_by_names_that_come_later() {
    let telemetry = Telemetry::new();
    let before = telemetry.emitter(BOUGHT);
    let (count, handler) = counting();
    telemetry.attach("a", Selector::under(&["shop"]), handler).expect("the id is free");
    assert!(before.heard());
    before.emit(|| (fields! {}, fields! {}));
    let later = telemetry.emitter(OPENED);
    assert!(later.heard());
    later.emit(|| (fields! {}, fields! {}));
    assert_eq!(count.load(Relaxed), 2);
    telemetry.emit(OTHER, || panic!("a prefix is made of words"));
    telemetry.detach("a").expect("it is attached");
    assert!(!before.heard() && !later.heard() && !telemetry.emitter(SOLD).heard());
}

#[test]
fn a_handler_whose_selectors_overlap_hears_an_event_once() {
    let telemetry = Telemetry::new();
    let (count, handler) = counting();
    let twice =
        [Selector::exact(BOUGHT), Selector::under(&["shop"]), Selector::under(&["shop", "item"]), Selector::all()];
    telemetry.attach("a", twice, handler).expect("the id is free");
    emit(&telemetry, BOUGHT);
    emit(&telemetry, OTHER);
    assert_eq!(count.load(Relaxed), 2);
}

#[test]
fn the_list_says_what_each_handler_hears_and_how_often_it_was_called() {
    let telemetry = Telemetry::new();
    telemetry.attach("names", [SOLD, BOUGHT], |_| {}).expect("the id is free");
    telemetry.attach("prefix", Selector::under(&["shop"]), |_| {}).expect("the id is free");
    telemetry.attach("all", Selector::all(), |_| {}).expect("the id is free");
    emit(&telemetry, SOLD);
    emit(&telemetry, OPENED);
    let list = telemetry.list();
    let said: Vec<_> = list
        .iter()
        .map(|it| {
            let selectors: Vec<_> = it.selectors.iter().map(ToString::to_string).collect();
            format!("{}: {} called {}", it.id, selectors.join(" "), it.calls)
        })
        .collect();
    let expected = [
        "all: [..] called 2",
        "names: [shop, item, bought] [shop, item, sold] called 1",
        "prefix: [shop, ..] called 2",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_handler_that_failed_is_kept_until_it_is_attached_again_or_forgotten() {
    let telemetry = Telemetry::new();
    let (dropped, well) = (Count::default(), Arc::new(Mutex::new(false)));
    let (probe, is_well) = (Probe(Arc::clone(&dropped)), Arc::clone(&well));
    let handler = move |event: &Event| {
        let _probe = &probe;
        let well = *is_well.lock();
        if !well {
            fails(event);
        }
    };
    telemetry.attach("a", Selector::under(&["shop"]), handler).expect("the id is free");
    emit(&telemetry, SOLD);
    emit(&telemetry, SOLD);
    let failed = telemetry.failed();
    assert_eq!(failed[0].to_string(), "the handler `a` failed on [shop, item, sold]: no tea");
    assert_eq!((failed.len(), dropped.load(Relaxed), telemetry.figures().failed), (1, 0, 1));
    telemetry.attach("a", SOLD, |_| {}).expect("its id is free");
    assert_eq!(telemetry.reattach("a"), Err(ReattachError::Taken("a".into())));
    telemetry.detach("a").expect("the other one is attached");
    *well.lock() = true;
    telemetry.reattach("a").expect("it has failed");
    assert_eq!(telemetry.reattach("a"), Err(ReattachError::Unknown("a".into())));
    emit(&telemetry, OPENED);
    let listed = &telemetry.list()[0];
    assert_eq!((listed.calls, listed.failures, telemetry.failed().len()), (2, 1, 0));
    *well.lock() = false;
    emit(&telemetry, OPENED);
    assert_eq!((telemetry.failures(), dropped.load(Relaxed)), (2, 0));
    assert!(telemetry.forget("a") && !telemetry.forget("a"));
    assert_eq!(dropped.load(Relaxed), 1);
}

#[test]
fn of_too_many_handlers_the_last_is_refused_dropped_and_told_so() {
    let telemetry = Telemetry::new();
    telemetry.attach("fails", SOLD, fails).expect("the id is free");
    emit(&telemetry, SOLD);
    let (count, dropped) = (Count::default(), Count::default());
    for number in 0..MOST_HANDLERS {
        let counts = Arc::clone(&count);
        let handler = move |_: &Event| _ = counts.fetch_add(1, Relaxed);
        telemetry.attach(&number.to_string(), SOLD, handler).expect("there is room");
    }
    let probe = Probe(Arc::clone(&dropped));
    let refused = telemetry.attach("last", SOLD, move |_| _ = &probe);
    assert_eq!((&refused, dropped.load(Relaxed)), (&Err(AttachError::TooMany("last".into())), 1));
    assert!(
        refused.unwrap_err().to_string().starts_with("1024 handlers are attached, and there is no room for `last`")
    );
    assert_eq!(telemetry.attach_queued("0", SOLD, 1, |_| {}), Err(AttachError::Taken("0".into())));
    assert_eq!(telemetry.reattach("fails"), Err(ReattachError::TooMany("fails".into())));
    emit(&telemetry, SOLD);
    assert_eq!((count.load(Relaxed), telemetry.figures().handlers), (MOST_HANDLERS as u64, MOST_HANDLERS));
    telemetry.detach("0").expect("it is attached");
    telemetry.reattach("fails").expect("there is room, and it was kept");
}

#[test]
fn a_handler_that_failed_is_forgotten_when_it_is_detached() {
    let telemetry = Telemetry::new();
    telemetry.attach("a", SOLD, fails).expect("the id is free");
    telemetry.attach("b", SOLD, fails).expect("the id is free");
    emit(&telemetry, SOLD);
    telemetry.detach("a").expect("it is kept");
    telemetry.detach_wait("b", Clock::system().within(SECONDS_5)).expect("it is kept");
    assert_eq!((telemetry.failed(), telemetry.detach("a").is_err()), (vec![], true));
}

#[test]
fn of_too_many_handlers_that_failed_the_oldest_are_forgotten_and_counted() {
    let telemetry = Telemetry::new();
    let dropped = Count::default();
    for number in 0..MOST_FAILED + 3 {
        let probe = Probe(Arc::clone(&dropped));
        let handler = move |event: &Event| {
            let _probe = &probe;
            fails(event);
        };
        telemetry.attach(&number.to_string(), SOLD, handler).expect("the id is free");
        emit(&telemetry, SOLD);
    }
    assert_eq!((telemetry.failed().len(), dropped.load(Relaxed)), (MOST_FAILED, 3));
    assert_eq!((&*telemetry.failed()[0].id, telemetry.figures().forgotten), ("3", 3));
}

#[test]
fn a_queued_handler_that_failed_hears_again_when_it_is_attached_again() {
    let telemetry = Telemetry::new();
    let (count, counts) = counting();
    let well = Arc::new(Mutex::new(false));
    let is_well = Arc::clone(&well);
    let handler = move |event: &Event| {
        let well = *is_well.lock();
        if well { counts(event) } else { fails(event) }
    };
    telemetry.attach_queued("a", SOLD, 4, handler).expect("the id is free");
    emit(&telemetry, SOLD);
    *well.lock() = true;
    emit(&telemetry, SOLD);
    telemetry.reattach("a").expect("it has failed");
    emit(&telemetry, SOLD);
    assert_eq!((count.load(Relaxed), telemetry.list()[0].calls), (1, 2));
}

#[test]
fn a_handler_of_failures_that_fails_brings_about_no_further_failure() {
    let telemetry = Telemetry::new();
    let (count, handler) = counting();
    (0..100).for_each(|number| telemetry.attach(&format!("bad {number}"), HANDLER_FAILURE, fails).expect("a free id"));
    telemetry.attach("good", HANDLER_FAILURE, handler).expect("the id is free");
    telemetry.attach("bad", SOLD, fails).expect("the id is free");
    emit(&telemetry, SOLD);
    assert_eq!((count.load(Relaxed), telemetry.failures(), telemetry.list().len()), (1, 101, 1));
    assert!(telemetry.failed().iter().any(|failed| failed.event == HANDLER_FAILURE));
}

#[test]
fn the_closure_of_a_handler_that_detaches_itself_is_dropped_when_it_has_returned() {
    let telemetry = Telemetry::new();
    let (dropped, inner) = (Count::default(), telemetry.clone());
    let probe = Probe(Arc::clone(&dropped));
    let before = Arc::new(Mutex::new(None));
    let notes = Arc::clone(&before);
    let handler = move |_: &Event| {
        inner.detach("a").expect("it is attached");
        *notes.lock() = Some(probe.0.load(Relaxed));
    };
    telemetry.attach("a", SOLD, handler).expect("the id is free");
    emit(&telemetry, SOLD);
    assert_eq!((*before.lock(), dropped.load(Relaxed)), (Some(0), 1));
}

#[test]
fn a_closure_whose_drop_panics_hurts_neither_who_detaches_it_nor_an_emission() {
    struct Bad;

    impl Drop for Bad {
        fn drop(&mut self) {
            resume_unwind(Box::new("a bad end"))
        }
    }

    let telemetry = Telemetry::new();
    let bad = || {
        let bad = Bad;
        move |_: &Event| _ = &bad
    };
    telemetry.attach("a", SOLD, bad()).expect("the id is free");
    telemetry.detach("a").expect("it is attached");
    let (handler, inner) = (bad(), telemetry.clone());
    let detaches = move |event: &Event| {
        handler(event);
        _ = inner.detach("b");
    };
    telemetry.attach("b", SOLD, detaches).expect("the id is free");
    emit(&telemetry, SOLD);
    assert_eq!((telemetry.figures().drop_panics, telemetry.list().len(), telemetry.failures()), (2, 0, 0));
}

/// A handler that says that it is entered, and stays inside until it is told to go on.
fn holding(telemetry: &Telemetry, dropped: &Count) -> (Queue<()>, Queue<()>) {
    let (entered, goes_on) = (Queue::bounded(1, Full::Refuse), Queue::<()>::bounded(1, Full::Refuse));
    let (says, waits, probe) = (entered.clone(), goes_on.clone(), Probe(Arc::clone(dropped)));
    let handler = move |_: &Event| {
        let _probe = &probe;
        says.try_send(()).expect("there is room");
        waits.recv(Clock::system().within(SECONDS_5)).expect("it is told to go on");
    };
    telemetry.attach("holds", SOLD, handler).expect("the id is free");
    (entered, goes_on)
}

#[test]
fn who_detaches_and_waits_returns_when_no_emission_is_in_the_handler_any_more() {
    let telemetry = Telemetry::new();
    let (dropped, patience) = (Count::default(), || Clock::system().within(SECONDS_5));
    let (entered, goes_on) = holding(&telemetry, &dropped);
    let other = telemetry.clone();
    let emits = spawn(move || emit(&other, SOLD));
    entered.recv(patience()).expect("it is called");
    let passed = || Clock::system().at(0);
    assert_eq!(telemetry.detach_wait("holds", passed()), Err(DetachWaitError::TimedOut("holds".into())));
    assert_eq!((telemetry.list().len(), dropped.load(Relaxed)), (0, 0), "it is detached, and still called");
    goes_on.try_send(()).expect("there is room");
    join(emits);
    assert_eq!(dropped.load(Relaxed), 1);

    let (entered, goes_on) = holding(&telemetry, &dropped);
    let other = telemetry.clone();
    let emits = spawn(move || emit(&other, SOLD));
    entered.recv(patience()).expect("it is called");
    let (other, seen) = (telemetry.clone(), Arc::clone(&dropped));
    let waits = spawn(move || {
        other.detach_wait("holds", Clock::system().within(SECONDS_5)).expect("it ends in time");
        assert_eq!(seen.load(Relaxed), 2, "its closure is gone");
    });
    goes_on.try_send(()).expect("there is room");
    join(emits);
    join(waits);
    assert_eq!(telemetry.detach_wait("holds", passed()), Err(DetachWaitError::Unknown("holds".into())));
}

#[test]
fn who_would_wait_for_itself_is_told_so_at_once_however_deep_it_is() {
    let telemetry = Telemetry::new();
    let said = Arc::new(Mutex::new(Vec::new()));
    let (inner, notes) = (telemetry.clone(), Arc::clone(&said));
    let waits = move |_: &Event| notes.lock().push(inner.detach_wait("outer", Clock::system().within(SECONDS_5)));
    telemetry.attach("inner", BOUGHT, waits).expect("the id is free");
    let inner = telemetry.clone();
    telemetry.attach("outer", SOLD, move |_| emit(&inner, BOUGHT)).expect("the id is free");
    emit(&telemetry, SOLD);
    assert_eq!(*said.lock(), [Err(DetachWaitError::Inside("outer".into()))]);
    assert_eq!(telemetry.list().len(), 2, "it stays attached");
    emit(&telemetry, BOUGHT);
    assert_eq!((said.lock()[1].clone(), telemetry.list().len()), (Ok(()), 1), "inside of another one it is right");
}

#[test]
fn a_handler_may_emit_to_itself_many_times() {
    let telemetry = Telemetry::new();
    let (inner, count) = (telemetry.clone(), Count::default());
    let counts = Arc::clone(&count);
    let handler = move |_: &Event| {
        if counts.fetch_add(1, Relaxed) < 99 {
            emit(&inner, SOLD);
        }
    };
    telemetry.attach("a", SOLD, handler).expect("the id is free");
    emit(&telemetry, SOLD);
    assert_eq!((count.load(Relaxed), telemetry.list()[0].calls), (100, 100));
    telemetry.detach_wait("a", Clock::system().within(SECONDS_5)).expect("nobody is in it");
}

#[test]
fn an_event_that_is_kept_has_its_emitters_context_with_it() {
    let telemetry = Telemetry::new();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&kept);
    let handler = move |event: &Event| {
        let there = event.context().get("request").cloned();
        keeps.lock().push((there, event.clone()));
    };
    telemetry.attach("a", SOLD, handler).expect("the id is free");
    with(fields! { request: 7 }, || emit(&telemetry, SOLD));
    let (there, event) = kept.lock().remove(0);
    let kept = with(fields! { request: 8 }, || event.clone().context().get("request").cloned());
    assert_eq!((there, kept), (Some(Value::I64(7)), Some(Value::I64(7))));
}
