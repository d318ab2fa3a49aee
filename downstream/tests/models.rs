//! The protocol of the turnstile: for real with `cargo test`, every schedule with
//! `RUSTFLAGS="--cfg loom" cargo test --profile model --test models -- --test-threads 1`.

use std::sync::Arc;

use foundation_sync::{Deadline, Mutex, Stop};
use foundation_testkit::{explore, join, reached, spawn};
use turnstile::Turnstile;

#[test]
fn a_place_that_is_given_to_one_who_gives_up_is_not_lost() {
    explore("a place that is given to one who gives up is not lost")
        .reaches(&["entered", "gave up", "turnstile: called while giving up"])
        .catches(&["turnstile: who gives up looks at nothing"])
        .run(|| {
            let (turnstile, stop) = (Turnstile::new(1), Stop::new());
            let inside = turnstile.enter(Deadline::never()).expect("it is free");
            let (same, told) = (turnstile.clone(), stop.clone());
            let waits = spawn(move || match same.enter(&told) {
                Ok(_inside) => reached!("entered"),
                Err(_) => reached!("gave up"),
            });
            let tells = spawn(move || _ = stop.tell());
            drop(inside);
            join(waits);
            join(tells);
            assert_eq!((turnstile.free(), turnstile.waiting()), (1, 0), "the place is there again");
        });
}

#[test]
fn all_who_wait_enter_one_after_the_other() {
    explore("all who wait enter one after the other")
        .reaches(&["both waited"])
        .catches(&["turnstile: nobody is called"])
        .run(|| {
            let (turnstile, inside) = (Turnstile::new(1), Arc::new(Mutex::new(0)));
            let first = turnstile.enter(Deadline::never()).expect("it is free");
            let others = [(); 2].map(|()| {
                let (turnstile, inside) = (turnstile.clone(), Arc::clone(&inside));
                spawn(move || {
                    let _here = turnstile.enter(Deadline::never()).expect("everybody leaves");
                    *inside.lock() += 1;
                    let now = *inside.lock();
                    assert_eq!(now, 1, "one at a time");
                    *inside.lock() -= 1;
                })
            });
            if turnstile.waiting() == 2 {
                reached!("both waited");
            }
            drop(first);
            others.into_iter().for_each(join);
            assert_eq!((turnstile.free(), turnstile.waiting()), (1, 0));
        });
}
