//! Shadows whose calls, reports and places meet.

use std::sync::Arc;

use foundation_flags::{Flag, Flags, Shadow};
use foundation_sync::{
    Errands,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use foundation_testkit::{explore, join, reached, spawn};

const ALL: Flag = Flag::on("all");

fn shadow(same: bool) -> Shadow<u8> {
    let flags = Flags::builder().flag(&ALL).start().expect("they fit together");
    Shadow::new(&flags, &ALL, move |_, _| same)
}

#[test]
fn no_report_shows_a_sample_that_it_has_not_counted() {
    explore("no report shows a sample that it has not counted")
        .reaches(&["the other is yet to come", "both are counted and kept", "counted, and not kept"])
        .catches(&["shadow: a sample is kept before it is counted"])
        .run(|| {
            let shadow = shadow(false);
            let differs = shadow.clone();
            let other = spawn(move || assert_eq!(differs.run(|| 1, || 2), 1));
            assert_eq!(shadow.run(|| 3, || 4), 3);
            let report = shadow.report();
            match (report.different, report.samples.len() as u64) {
                (1, 1) => reached!("the other is yet to come"),
                (2, 2) => reached!("both are counted and kept"),
                (counted, kept) if kept < counted => reached!("counted, and not kept"),
                (counted, kept) => panic!("{kept} samples of {counted} differences"),
            }
            join(other);
            let report = shadow.report();
            assert_eq!((report.different, report.calls()), (2, 2), "whether or not it is kept");
            assert_eq!(report.unsampled(), 2 - report.samples.len() as u64);
        });
}

#[test]
fn no_more_calls_wait_than_there_are_places_and_each_comes_to_one_end() {
    explore("no more calls wait than there are places and each comes to one end")
        .reaches(&["shadow: no place to wait", "both were compared"])
        .catches(&["shadow: a place is looked at and taken in two steps"])
        .run(|| {
            let shadow = shadow(true).later(&Errands::default(), 1);
            let under_way = Arc::new(AtomicUsize::new(0));
            let call = |shadow: Shadow<u8>, under_way: Arc<AtomicUsize>| {
                let new = move || {
                    assert_eq!(under_way.fetch_add(1, SeqCst), 0, "one place, two calls");
                    under_way.fetch_sub(1, SeqCst);
                    1
                };
                assert_eq!(shadow.run_later(|| 1, new), 1);
            };
            let (others, count) = (shadow.clone(), Arc::clone(&under_way));
            let other = spawn(move || call(others, count));
            call(shadow.clone(), under_way);
            join(other);
            let report = shadow.report();
            assert_eq!((report.calls(), report.waiting, report.new_panicked), (2, 0, 0));
            if report.equal == 2 {
                reached!("both were compared");
            }
        });
}
