//! Two implementations behind one switch.

use std::sync::Arc;

use foundation_sync::{Mutex, Switch};
use foundation_testkit::{explore, join, reached, spawn};

#[test]
fn the_latest_decision_stands_however_late_the_others_arrive() {
    explore("the latest decision stands however late the others arrive")
        .reaches(&["switch: a push came late", "in order"])
        .catches(&["switch: a late push wins"])
        .run(|| {
            let switch = Switch::off();
            let (first, other) = (switch.epoch().flipped(), switch.clone());
            let late = spawn(move || {
                if other.push(first) {
                    reached!("in order");
                }
            });
            switch.push(first.flipped());
            join(late);
            assert_eq!(switch.epoch(), first.flipped());
        });
}

#[test]
fn whoever_finds_no_old_guard_after_a_flip_never_meets_one() {
    explore("whoever finds no old guard after a flip never meets one")
        .reaches(&["old", "new", "none was open"])
        .catches(&["switch: a guard looks once"])
        .run(|| {
            let switch = Switch::off();
            let other = switch.clone();
            let opened = Arc::new(Mutex::new(None));
            let place = Arc::clone(&opened);
            let opens = spawn(move || {
                let guard = other.enter();
                match guard.was_on() {
                    true => reached!("new"),
                    false => reached!("old"),
                }
                *place.lock() = Some(guard);
            });
            switch.push(switch.epoch().turned(true));
            let none = switch.off_guards() == 0;
            join(opens);
            let was_on = opened.lock().as_ref().is_some_and(|guard| guard.was_on());
            if none {
                reached!("none was open");
                assert!(was_on, "an old guard was opened when none was left");
            }
            assert_eq!(switch.off_guards(), usize::from(!was_on), "it is counted until it is dropped");
            let closed = opened.lock().take();
            drop(closed);
            assert_eq!(switch.off_guards(), 0);
        });
}
