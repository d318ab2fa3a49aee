//! A batch: additions against deliveries, flushes and the end.

use std::sync::Arc;

use foundation_sync::{Deadline, Errand, Errands, Mutex};
use foundation_telemetry::{Batching, Telemetry};
use foundation_testkit::{explore, join, reached, spawn};

#[test]
fn what_is_added_to_a_batch_is_delivered_in_order_however_it_meets_flush_errand_and_close() {
    explore("what is added to a batch is delivered in order however it meets flush, errand and close")
        .reaches(&["batch: a flush waits for who delivers", "it came back", "two batches", "one batch"])
        .catches(&["batch: what is taken counts as delivered"])
        .run(|| {
            let errands = Arc::new(Mutex::new(Vec::<Errand>::new()));
            let taken = Arc::clone(&errands);
            let courier = Errands::new(move |errand| {
                taken.lock().push(errand);
                Ok(())
            });
            let telemetry = Telemetry::builder().errands(&courier).build();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&seen);
            let rows = telemetry.batch("rows", Batching::of(1), move |rows: Vec<u8>| notes.lock().extend(rows));
            rows.add(0).expect("there is room");
            let (adds, also) = (rows.clone(), Arc::clone(&seen));
            let adder = spawn(move || {
                if adds.add(1).is_err() {
                    reached!("it came back");
                } else if adds.flush(Deadline::never()).is_ok() {
                    assert!(also.lock().contains(&1), "a flush returns when all is delivered");
                }
            });
            // The courier.
            let due = std::mem::take(&mut *errands.lock());
            due.into_iter().for_each(|errand| errand());
            rows.close(Deadline::never()).expect("there is no deadline");
            assert!(seen.lock().contains(&0), "a flush returns when all is delivered");
            join(adder);
            let figures = rows.figures();
            let back = figures.refused == 1;
            if figures.batches == 1 {
                reached!("one batch")
            } else {
                reached!("two batches")
            }
            assert_eq!((figures.added, figures.waiting, figures.dropped), (2 - u64::from(back), 0, 0));
            assert_eq!(*seen.lock(), if back { vec![0] } else { vec![0, 1] }, "all, once, in order");
        });
}

/// The courier alone delivers: nobody flushes.
#[test]
fn what_becomes_due_while_somebody_delivers_is_not_left_behind() {
    explore("what becomes due while somebody delivers is not left behind")
        .reaches(&["one errand", "two errands"])
        .catches(&["batch: the last look is not the end"])
        .run(|| {
            let errands = Arc::new(Mutex::new(Vec::<Errand>::new()));
            let taken = Arc::clone(&errands);
            let courier = Errands::new(move |errand| {
                taken.lock().push(errand);
                Ok(())
            });
            let work = |errands: &Mutex<Vec<Errand>>| {
                let due = std::mem::take(&mut *errands.lock());
                due.into_iter().map(|errand| errand()).count()
            };
            let telemetry = Telemetry::builder().errands(&courier).build();
            let rows = telemetry.batch("rows", Batching::of(1), |_: Vec<u8>| {});
            rows.add(0).expect("there is room");
            let adds = rows.clone();
            let adder = spawn(move || adds.add(1).expect("there is room"));
            work(&errands);
            join(adder);
            match work(&errands) {
                0 => reached!("one errand"),
                _ => reached!("two errands"),
            }
            assert_eq!((rows.figures().delivered, rows.figures().waiting), (2, 0), "nothing is left behind");
        });
}
