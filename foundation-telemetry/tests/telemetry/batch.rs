//! Many small things, handled a batch at a time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_context::{Value, fields};
use foundation_sync::{Clock, Deadline, Errand, Errands, Full, Mutex, Queue, SECOND, VirtualTime, thread};
use foundation_telemetry::{AddError, Batch, Batching, EventName, FlushBatchError, Telemetry, WhenFull, event_name};
use foundation_testkit::{TestUniverse, patience};

use crate::Bomb;

const SENT: EventName = event_name!("mail", "sent");

type Written = Arc<Mutex<Vec<Vec<u32>>>>;

fn batch(telemetry: &Telemetry, batching: Batching) -> (Batch<u32>, Written) {
    let written = Written::default();
    let writes = Arc::clone(&written);
    (telemetry.batch("rows", batching, move |rows| writes.lock().push(rows)), written)
}

fn add(batch: &Batch<u32>, rows: std::ops::Range<u32>) {
    rows.for_each(|row| batch.add(row).expect("there is room"));
}

fn take(written: &Written) -> Vec<Vec<u32>> {
    std::mem::take(&mut written.lock())
}

/// A courier that does as the test says.
#[derive(Clone, Default)]
struct Courier(Arc<Mutex<Vec<Errand>>>, Arc<Mutex<bool>>);

impl Courier {
    fn telemetry(&self) -> Telemetry {
        let courier = self.clone();
        let errands = Errands::new(move |errand| {
            if *courier.1.lock() {
                return Err(errand);
            }
            courier.0.lock().push(errand);
            Ok(())
        });
        Telemetry::builder().errands(&errands).build()
    }

    fn refuses(&self, refuses: bool) {
        *self.1.lock() = refuses;
    }

    /// Takes what waits now, to be run or dropped.
    fn take(&self) -> Vec<Errand> {
        std::mem::take(&mut self.0.lock())
    }

    fn work(&self) -> usize {
        self.take().into_iter().map(|errand| errand()).count()
    }
}

#[test]
fn a_batch_is_delivered_in_order_as_soon_as_it_is_whole() {
    let (rows, written) = batch(&Telemetry::new(), Batching::of(3));
    add(&rows, 0..8);
    assert_eq!(take(&written), [[0, 1, 2], [3, 4, 5]]);
    rows.flush(Deadline::now()).expect("it is delivered here");
    assert_eq!(take(&written), [[6, 7]]);
    let figures = rows.figures();
    assert_eq!((figures.added, figures.delivered, figures.waiting, figures.batches), (8, 8, 0, 3));
}

#[test]
fn on_the_courier_one_errand_delivers_all_that_is_due() {
    let courier = Courier::default();
    let (rows, written) = batch(&courier.telemetry(), Batching::of(2));
    add(&rows, 0..7);
    assert_eq!((take(&written).len(), rows.figures().waiting), (0, 7));
    assert_eq!((courier.work(), take(&written)), (1, vec![vec![0, 1], vec![2, 3], vec![4, 5]]));
    assert_eq!(courier.work(), 0, "the last one waits for another");
}

#[test]
fn after_so_many_batches_an_errand_makes_way_for_others() {
    let courier = Courier::default();
    let (rows, written) = batch(&courier.telemetry(), Batching::of(1).capacity(100));
    add(&rows, 0..20);
    assert_eq!((courier.work(), take(&written).len()), (1, 16));
    assert_eq!((courier.work(), take(&written).len(), courier.work()), (1, 4, 0));
}

#[test]
fn what_finds_no_room_comes_back_or_takes_the_oldests_place_and_both_are_counted() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let (rows, written) = batch(&telemetry, Batching::of(2).capacity(3));
    add(&rows, 0..3);
    assert_eq!(rows.add(3), Err(AddError::Full(3)));
    assert_eq!((rows.figures().refused, rows.figures().added, telemetry.batches_dropped()), (1, 3, 0));
    courier.work();
    assert_eq!(take(&written), [[0, 1]]);
    let (rows, written) = batch(&telemetry, Batching::of(2).capacity(3).when_full(WhenFull::DropOldest));
    add(&rows, 0..5);
    courier.work();
    let figures = rows.figures();
    assert_eq!((take(&written), figures.dropped, figures.added, figures.waiting), (vec![vec![2, 3]], 2, 5, 1));
    assert_eq!(telemetry.batches_dropped(), 2);
}

/// The original's timer never came, and would have thrown away what waited.
#[test]
fn in_a_universe_what_is_old_enough_is_delivered_by_itself() {
    let t = TestUniverse::with_virtual_time();
    let (rows, written) = batch(t.telemetry(), Batching::of(100).age(SECOND));
    add(&rows, 0..2);
    t.clock().advance(SECOND / 2);
    add(&rows, 2..3);
    t.clock().advance(SECOND / 2 - Duration::from_nanos(1));
    assert_eq!(take(&written).len(), 0);
    t.clock().advance(Duration::from_nanos(1));
    assert_eq!(take(&written), [[0, 1, 2]], "the oldest decides");
    add(&rows, 3..4);
    t.clock().advance(SECOND);
    assert_eq!(take(&written), [[3]]);
    t.clock().advance(100 * SECOND);
    assert_eq!(rows.figures().batches, 2, "and never an empty one");
}

#[test]
fn what_a_whole_batch_leaves_behind_is_delivered_at_its_own_age() {
    let t = TestUniverse::with_virtual_time();
    let (rows, written) = batch(t.telemetry(), Batching::of(2).age(SECOND));
    add(&rows, 0..1);
    t.clock().advance(SECOND / 2);
    add(&rows, 1..3);
    t.clock().advance(SECOND / 2);
    assert_eq!(take(&written), [[0, 1]]);
    t.clock().advance(SECOND / 2);
    assert_eq!(take(&written), [[2]]);
}

#[test]
fn without_a_timekeeper_the_next_addition_finds_it_old() {
    let time = VirtualTime::new();
    let (rows, written) = batch(&Telemetry::builder().clock(&time.clock()).build(), Batching::of(9).age(SECOND));
    add(&rows, 0..1);
    time.advance(SECOND).expect("nobody is there who could run on");
    add(&rows, 1..2);
    assert_eq!(take(&written), [[0, 1]]);
}

#[test]
fn a_panic_is_caught_and_counted_and_the_next_batch_comes() {
    let written = Written::default();
    let writes = Arc::clone(&written);
    let rows = Telemetry::new().batch("rows", Batching::of(2), move |rows: Vec<u32>| {
        if rows.contains(&1) {
            resume_unwind(Box::new(()));
        }
        writes.lock().push(rows);
    });
    add(&rows, 0..4);
    let figures = rows.figures();
    assert_eq!((take(&written), figures.panics, figures.failed, figures.delivered), (vec![vec![2, 3]], 1, 2, 2));
}

#[test]
fn what_a_panic_leaves_behind_may_panic_for_ever_and_the_next_batch_comes() {
    let written = Written::default();
    let writes = Arc::clone(&written);
    let rows = Telemetry::new().batch("rows", Batching::of(1), move |rows: Vec<u32>| {
        if rows.contains(&0) {
            resume_unwind(Box::new(Bomb));
        }
        writes.lock().push(rows);
    });
    add(&rows, 0..2);
    let figures = rows.figures();
    assert_eq!((take(&written), figures.panics, figures.failed, figures.delivered), (vec![vec![1]], 1, 1, 1));
}

#[test]
fn what_makes_room_may_panic_when_it_is_dropped_and_the_others_are_delivered_all_the_same() {
    let (courier, written) = (Courier::default(), Arc::new(Mutex::new(0)));
    let writes = Arc::clone(&written);
    let batching = Batching::of(2).capacity(2).when_full(WhenFull::DropOldest);
    let things = courier.telemetry().batch("things", batching, move |things: Vec<Option<Bomb>>| {
        *writes.lock() += things.len();
    });
    // It waits, whole, for the courier has no room.
    courier.refuses(true);
    things.add(Some(Bomb)).expect("there is room");
    things.add(None).expect("there is room");
    courier.refuses(false);
    let adds = catch_unwind(AssertUnwindSafe(|| things.add(None)));
    std::mem::forget(adds.expect_err("the oldest panics"));
    assert_eq!((courier.work(), *written.lock(), things.figures().dropped), (1, 2, 1));
}

#[test]
fn what_waits_when_the_last_handle_is_dropped_is_delivered_all_of_it_also_where_nobody_takes_the_errand() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    courier.refuses(true);
    let (rows, written) = batch(&telemetry, Batching::of(1).capacity(100));
    add(&rows, 0..100);
    drop(rows);
    assert_eq!((take(&written).len(), telemetry.batches_dropped()), (100, 0));
}

#[test]
fn the_handler_may_add_and_can_t_wait_for_itself() {
    let (back, outcome) = (Arc::new(Mutex::new(None::<Batch<u32>>)), Arc::new(Mutex::new(None)));
    let (mine, told) = (Arc::clone(&back), Arc::clone(&outcome));
    let written = Written::default();
    let writes = Arc::clone(&written);
    let rows = Telemetry::new().batch("rows", Batching::of(2), move |rows: Vec<u32>| {
        let me = mine.lock().clone().expect("it was put there");
        *told.lock() = Some(me.flush(Deadline::never()));
        if rows[0] < 8 {
            add(&me, rows[0] + 2..rows[0] + 4);
        }
        writes.lock().push(rows);
    });
    *back.lock() = Some(rows.clone());
    add(&rows, 0..2);
    assert_eq!(take(&written), [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]);
    assert_eq!(*outcome.lock(), Some(Err(FlushBatchError::Inside)));
    *back.lock() = None;
}

#[test]
fn a_flush_waits_for_what_another_thread_delivers_until_its_deadline() {
    let (entered, leaves) = (Queue::bounded(1, Full::Wait), Queue::<()>::bounded(1, Full::Wait));
    let (tells, waits) = (entered.clone(), leaves.clone());
    let clock = Clock::system();
    let until = clock.within(patience());
    let rows = Telemetry::new().batch("rows", Batching::of(1), move |_: Vec<u32>| {
        tells.send((), &until).expect("somebody reads");
        waits.recv(&until).expect("the test lets it go");
    });
    let other = rows.clone();
    let adds = thread::Builder::new("adds").spawn(move || add(&other, 0..1)).expect("a thread");
    entered.recv(clock.within(patience())).expect("it delivers");
    assert_eq!(rows.flush(Deadline::now()), Err(FlushBatchError::TimedOut(1)));
    leaves.send((), clock.within(patience())).expect("it waits");
    assert_eq!((rows.flush(clock.within(patience())), rows.figures().delivered), (Ok(()), 1));
    adds.join().expect("it does not panic");
}

#[test]
fn a_closed_batch_takes_nothing_in_and_delivers_what_waits() {
    let (rows, written) = batch(&Courier::default().telemetry(), Batching::of(9));
    add(&rows, 0..2);
    assert_eq!((rows.close(Deadline::now()), take(&written)), (Ok(()), vec![vec![0, 1]]));
    assert_eq!((rows.add(2), rows.figures().refused), (Err(AddError::Closed(2)), 1));
}

#[test]
fn when_the_last_handle_goes_what_waits_is_delivered_whether_there_is_a_courier_or_not() {
    let (rows, written) = batch(&Telemetry::new(), Batching::of(9));
    add(&rows, 0..2);
    drop(rows.clone());
    assert_eq!(take(&written).len(), 0, "there is another");
    drop(rows);
    assert_eq!(take(&written), [[0, 1]]);

    let courier = Courier::default();
    let (rows, written) = batch(&courier.telemetry(), Batching::of(9));
    add(&rows, 0..2);
    drop(rows);
    assert_eq!((take(&written).len(), courier.work(), take(&written)), (0, 1, vec![vec![0, 1]]));

    let (rows, written) = batch(&courier.telemetry(), Batching::of(9));
    add(&rows, 0..2);
    courier.refuses(true);
    drop(rows);
    assert_eq!(take(&written), [[0, 1]], "nobody takes the errand");
}

#[test]
fn what_an_errand_leaves_that_is_refused_or_lost_the_next_one_delivers_or_it_is_counted() {
    let courier = Courier::default();
    let telemetry = courier.telemetry();
    let (rows, written) = batch(&telemetry, Batching::of(2));
    courier.refuses(true);
    add(&rows, 0..2);
    courier.refuses(false);
    add(&rows, 2..3);
    drop(courier.take());
    add(&rows, 3..4);
    assert_eq!((courier.work(), take(&written)), (1, vec![vec![0, 1], vec![2, 3]]));
    add(&rows, 4..5);
    drop(rows);
    drop(courier.take());
    assert_eq!((take(&written).len(), telemetry.batches_dropped(), telemetry.batches().len()), (0, 1, 0));
}

#[test]
fn what_a_courier_has_no_room_for_a_universe_tries_again() {
    let time = VirtualTime::new();
    let keeper =
        foundation_sync::Timekeeper::new(time.clock(), |body| thread::Builder::new("timekeeper").spawn(body).map(drop));
    let courier = Courier::default();
    let taken = courier.clone();
    let errands = Errands::new(move |errand: Errand| {
        if *taken.1.lock() {
            return Err(errand);
        }
        errand();
        Ok(())
    });
    let telemetry = Telemetry::builder().clock(&time.clock()).errands(&errands).timekeeper(&keeper).build();
    let (rows, written) = batch(&telemetry, Batching::of(2));
    courier.refuses(true);
    add(&rows, 0..2);
    time.advance(SECOND).expect("all that is due is done");
    courier.refuses(false);
    time.advance(SECOND).expect("all that is due is done");
    assert_eq!(take(&written), [[0, 1]]);
    keeper.close();
}

#[test]
fn all_batches_of_a_universe_are_listed_and_flushed() {
    let telemetry = Telemetry::new();
    let (one, first) = batch(&telemetry, Batching::of(9));
    let (other, second) = batch(&telemetry, Batching::of(9));
    add(&one, 0..1);
    add(&other, 0..2);
    assert_eq!(telemetry.batches().iter().map(|it| it.waiting).collect::<Vec<_>>(), [1, 2]);
    telemetry.flush(Deadline::now()).expect("they are delivered here");
    assert_eq!((take(&first).len(), take(&second).len()), (1, 1));
    drop(one);
    assert_eq!(telemetry.batches().len(), 1);
}

#[test]
fn an_event_of_a_batch_sums_what_was_named_and_nothing_else() {
    let telemetry = Telemetry::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    telemetry.attach("notes", [SENT], move |event| notes.lock().push(event.measurements.clone())).expect("a free id");
    let sent = telemetry.batch_events(SENT, Batching::of(3), &["bytes", "debt", "share", "none", "most", "least"]);
    for item in [
        fields! { bytes: 10, debt: -3, share: 0.5, none: "x", at: 7, most: u64::MAX, least: i64::MIN },
        fields! { bytes: 20_u64, debt: 1, share: 1, none: true, at: 8, most: 1, least: -1 },
        fields! { other: 1 },
    ] {
        sent.add(item).expect("there is room");
    }
    let expected = fields! { batch_size: 3, bytes: 30_u64, debt: -2_i64, share: 1.5, most: u64::MAX, least: i64::MIN };
    let seen = seen.lock().clone();
    assert_eq!(seen.len(), 1);
    let same = |name| match (seen[0].get(name), expected.get(name)) {
        (Some(Value::U64(one)), Some(other)) => other.as_u64() == Some(*one),
        (one, other) => one == other,
    };
    assert!(
        seen[0].len() == 6 && ["batch_size", "bytes", "debt", "share", "most", "least"].iter().all(|it| same(it)),
        "{seen:?}"
    );
}

/// The original lost a third of 40,000 when additions raced flushes.
#[test]
fn nothing_is_lost_or_doubled_and_all_is_in_order_when_additions_race_flushes_and_the_end() {
    let each: u32 = if foundation_testkit::deep() { 1_000_000 } else { 20_000 };
    let t = TestUniverse::new();
    let seen = Arc::new(Mutex::new(vec![Vec::new(); 4]));
    let notes = Arc::clone(&seen);
    let rows = t.telemetry().batch("rows", Batching::of(7).capacity(1_000).age(SECOND / 1_000), move |rows| {
        let mut seen = notes.lock();
        rows.into_iter().for_each(|(thread, row): (usize, u32)| seen[thread].push(row));
    });
    let adders: Vec<_> = (0..4)
        .map(|number| {
            let (rows, clock) = (rows.clone(), Clock::system());
            let body = move || {
                for row in 0..each {
                    let mut item = (number, row);
                    while let Err(full) = rows.add(item) {
                        item = full.into_inner();
                        rows.flush(clock.within(patience())).expect("it is delivered");
                    }
                }
            };
            thread::Builder::new("adds").spawn(body).expect("a thread")
        })
        .collect();
    while rows.figures().added < u64::from(each) {
        rows.flush(Clock::system().within(patience())).expect("it is delivered");
    }
    let telemetry = t.telemetry().clone();
    for adder in adders {
        adder.join().expect("it does not panic");
    }
    let last = rows.close(Clock::system().within(patience()));
    let figures = rows.figures();
    assert_eq!((last, figures.delivered, figures.waiting), (Ok(()), 4 * u64::from(each), 0));
    let seen = seen.lock();
    assert!(seen.iter().all(|rows| rows.iter().copied().eq(0..each)), "each thread's, in order");
    assert_eq!((figures.dropped, telemetry.batches_dropped()), (0, 0));
}
