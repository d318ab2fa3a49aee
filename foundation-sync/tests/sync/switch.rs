//! What a switch and its guards promise, one call after another.

use foundation_sync::{Epoch, Errand, Errands, Full, Queue, Snapshot, Switch};

#[test]
fn a_switch_is_on_unless_it_is_made_otherwise_and_shows_the_latest_epoch() {
    assert!(Switch::default().is_on() && Switch::on().is_on() && !Switch::off().is_on());
    let switch = Switch::off();
    let (first, second) = (Epoch::OFF.flipped(), Epoch::OFF.flipped().flipped());
    assert!(switch.push(second) && !switch.is_on());
    assert!(!switch.push(first), "it came late");
    assert!(!switch.push(second), "it is there already");
    assert_eq!((switch.epoch(), switch.is_on()), (second, false));
    assert_eq!(second.turned(false), second);
    assert!(second.turned(true).is_on() && second.turned(true) > second);
}

#[test]
fn a_guard_remembers_its_mode_and_whether_it_was_overtaken() {
    let switch = Switch::off();
    let old = switch.enter();
    assert_eq!((old.was_on(), old.overtaken(), switch.off_guards()), (false, false, 1));
    switch.push(switch.epoch().turned(true));
    let new = switch.enter();
    assert_eq!((old.overtaken(), new.was_on(), new.overtaken(), switch.off_guards()), (true, true, false, 1));
    switch.push(switch.epoch().turned(false));
    assert!(old.overtaken(), "it stays so when the switch is turned back");
    let again = switch.enter();
    assert_eq!((again.overtaken(), switch.off_guards()), (false, 2));
    drop((old, new, again));
    assert_eq!(switch.off_guards(), 0);
}

#[test]
fn a_switch_outlives_whoever_pushed_it() {
    let service = Switch::off();
    let decides = service.clone();
    decides.push(decides.epoch().turned(true));
    drop(decides);
    assert!(service.is_on());
}

#[test]
fn an_errand_is_run_here_or_taken_or_comes_back() {
    let ran = Queue::bounded(2, Full::Refuse);
    let errand = |number: u8| {
        let ran = ran.clone();
        Box::new(move || ran.try_send(number).expect("there is room")) as Errand
    };
    assert!(Errands::default().send(errand(1)).is_ok());
    let refuses = Errands::new(Err);
    let back = refuses.send(errand(2)).expect_err("it is refused");
    back();
    assert_eq!(ran.drain(), [1, 2]);
}

#[test]
fn an_update_is_made_of_the_value_that_it_replaces_or_not_at_all() {
    let cell = Snapshot::new(1);
    let (old, new) = cell.update(|now| Ok::<_, ()>(now + 1)).expect("it is made");
    assert_eq!((*old, *new, *cell.load()), (1, 2, 2));
    assert_eq!(cell.update(|_| Err::<i32, _>("no")).map(drop), Err("no"));
    assert_eq!(*cell.load(), 2);
    let mut tries = 0;
    let updated = cell.update(|now| {
        tries += 1;
        if tries == 1 {
            cell.store(std::sync::Arc::new(10));
        }
        Ok::<_, ()>(now + 1)
    });
    assert_eq!((updated.map(|(old, _)| *old), *cell.load(), tries), (Ok(10), 11, 2));
}

#[test]
fn what_is_only_remembered_is_not_counted() {
    let switch = Switch::off();
    let window = switch.remember();
    assert_eq!((window.was_on(), window.overtaken(), switch.off_guards()), (false, false, 0));
    switch.push(switch.epoch().turned(true));
    assert!(window.overtaken() && switch.remember().was_on());
    drop(window);
    assert_eq!(switch.off_guards(), 0);
}
