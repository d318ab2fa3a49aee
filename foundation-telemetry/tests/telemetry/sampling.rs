//! Each sampling does what its name says, shown on a time that the test moves. Chance begins at a fixed number, so no bound
//! here is ever missed by bad luck; each is so wide that of a million other beginnings about none would miss it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_context::{Value, fields, with};
use foundation_sync::{Errand, Errands, Mutex, SECOND, VirtualTime, thread};
use foundation_telemetry::{Event, EventName, MOST_SAMPLERS, SampleError, Sampled, Sampling, Telemetry, event_name};
use foundation_testkit::TestUniverse;

const SOLD: EventName = event_name!("shop", "item", "sold");
const LOST: EventName = event_name!("shop", "item", "lost");

struct Shop {
    time: VirtualTime,
    telemetry: Telemetry,
    seen: Arc<Mutex<Vec<Event>>>,
}

impl Shop {
    fn new(sampling: Sampling) -> Self {
        let time = VirtualTime::new();
        Self::of(Telemetry::builder().clock(&time.clock()).seed(7).build(), time, sampling)
    }

    fn of(telemetry: Telemetry, time: VirtualTime, sampling: Sampling) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        telemetry.attach("notes", [SOLD], move |event| notes.lock().push(event.clone())).expect("the id is free");
        telemetry.sample(SOLD, sampling).expect("there is room");
        Self { time, telemetry, seen }
    }

    fn sell(&self, number: u64) {
        self.telemetry.emit(SOLD, || (fields! { number: number }, fields! {}));
    }

    /// So many at even distances over a second; how many passed.
    fn second_of(&self, count: u64) -> usize {
        for number in 0..count {
            self.sell(number);
            self.advance(SECOND / count as u32);
        }
        self.take().len()
    }

    fn advance(&self, span: Duration) {
        self.time.advance(span).expect("nobody is there who could run on");
    }

    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.seen.lock())
    }

    fn sampled(&self) -> Sampled {
        self.telemetry.samplers().pop().expect("there is one")
    }
}

fn number(event: &Event, name: &str) -> u64 {
    event.measurements.get(name).and_then(Value::as_u64).expect("a number")
}

#[test]
fn always_and_never_let_all_and_none_through_and_count() {
    for (sampling, passes) in [(Sampling::Always, 100), (Sampling::Never, 0)] {
        let shop = Shop::new(sampling);
        (0..100).for_each(|number| shop.sell(number));
        let sampled = shop.sampled();
        assert_eq!((shop.take().len(), sampled.seen, sampled.passed), (passes, 100, passes as u64));
        assert_eq!(sampled.rate, passes as f64 / 100.0);
    }
}

#[test]
fn what_does_not_pass_is_never_built_and_nothing_is_counted_when_nobody_listens() {
    let shop = Shop::new(Sampling::Never);
    shop.telemetry.emit(SOLD, || panic!("it is built"));
    shop.telemetry.detach("notes").expect("it is attached");
    shop.sell(0);
    assert_eq!(shop.sampled().seen, 1);
}

/// A hundred blocks of a thousand: the whole is near its mean, and the blocks differ as chance has it, neither more nor
/// less.
#[test]
fn at_random_each_passes_with_the_given_probability_whatever_came_before() {
    for share in [0.001, 0.1, 0.5, 0.9] {
        let shop = Shop::new(Sampling::Random(share));
        let blocks = (0..100).map(|_| {
            (0..1_000).for_each(|number| shop.sell(number));
            shop.take().len() as f64
        });
        let blocks: Vec<_> = blocks.collect();
        let (mean, spread) = (1_000.0 * share, 1_000.0 * share * (1.0 - share));
        let all: f64 = blocks.iter().sum();
        assert!((all - 100.0 * mean).abs() < 6.0 * (100.0 * spread).sqrt(), "{share}: {all}");
        let chi: f64 = blocks.iter().map(|count| (count - mean).powi(2) / spread).sum();
        assert!((30.0..230.0).contains(&chi), "{share}: {chi}");
        assert_eq!(shop.sampled().passed as f64, all);
        assert!((shop.sampled().rate - share).abs() < 1e-12);
    }
}

#[test]
fn a_probability_that_is_none_is_nothing_or_all() {
    for (share, passes) in [(-1.0, 0), (f64::NAN, 0), (0.0, 0), (1.0, 100), (7.0, 100)] {
        let shop = Shop::new(Sampling::Random(share));
        (0..100).for_each(|number| shop.sell(number));
        let passed = shop.take();
        assert_eq!(passed.len(), passes, "{share}");
        let rates = passed.iter().map(|event| event.measurements.get("sampled").cloned());
        assert!(rates.flatten().eq(std::iter::repeat_n(Value::F64(1.0), passes)), "each says so: {passed:?}");
        assert_eq!(shop.sampled().rate, passes as f64 / 100.0);
    }
}

#[test]
fn what_passed_at_random_says_with_which_probability_so_sums_can_be_scaled() {
    let shop = Shop::new(Sampling::Random(0.25));
    (0..40_000).for_each(|_| shop.sell(3));
    let scaled: f64 = shop
        .take()
        .iter()
        .map(|event| match event.measurements.get("sampled") {
            Some(Value::F64(rate)) => number(event, "number") as f64 / rate,
            other => panic!("{other:?}"),
        })
        .sum();
    assert!((scaled - 120_000.0).abs() < 6.0 * 3.0 * (40_000.0 * 0.75 / 0.25_f64).sqrt(), "{scaled}");
}

#[test]
fn two_universes_of_one_seed_draw_the_same_sample_and_of_different_seeds_another() {
    let sample = |seed| {
        let time = VirtualTime::new();
        let shop = Shop::of(Telemetry::builder().seed(seed).build(), time, Sampling::Random(0.5));
        (0..64).for_each(|number| shop.sell(number));
        shop.take().iter().map(|event| number(event, "number")).collect::<Vec<_>>()
    };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
}

#[test]
fn rate_limited_no_second_has_more_than_its_rate_wherever_it_begins_and_hardly_less_if_enough_come() {
    for (rate, step) in [(100, 317), (1, 9_973), (2_000, 137)] {
        let shop = Shop::new(Sampling::RateLimited(rate));
        let mut times = Vec::new();
        while shop.time.clock().now() < 3_000_000_000 {
            shop.sell(0);
            if !shop.take().is_empty() {
                times.push(shop.time.clock().now());
            }
            shop.advance(Duration::from_micros(step));
        }
        let rate = rate as usize;
        assert!(times.windows(rate + 1).all(|some| some[rate] - some[0] >= 1_000_000_000), "{rate}");
        assert!(times.len() >= rate * 3 * 49 / 50 - 1, "{rate}: {}", times.len());
        assert_eq!(shop.sampled().passed, times.len() as u64);
    }
}

/// The original's windows let twice as many through around an edge.
#[test]
fn rate_limited_a_burst_before_an_edge_leaves_nothing_behind_it() {
    let shop = Shop::new(Sampling::RateLimited(10));
    shop.advance(SECOND - Duration::from_millis(1));
    (0..20).for_each(|number| shop.sell(number));
    shop.advance(Duration::from_millis(2));
    (0..20).for_each(|number| shop.sell(number));
    assert_eq!(shop.take().len(), 10);
    for (pause, passes) in [(SECOND / 2, 0), (SECOND / 4, 0), (SECOND / 4 + SECOND / 64, 10), (1_000 * SECOND, 10)] {
        shop.advance(pause);
        (0..20).for_each(|number| shop.sell(number));
        assert_eq!(shop.take().len(), passes, "{pause:?}");
    }
}

/// The original stuck at none or at all.
#[test]
fn adaptive_it_comes_to_its_target_from_below_and_from_above_and_never_lets_a_flood_through() {
    let shop = Shop::new(Sampling::Adaptive(100));
    let settled = |come: u64| {
        let seconds: Vec<_> = (0..8).map(|_| shop.second_of(come)).collect();
        assert!(seconds.iter().all(|passed| *passed <= 416), "{come}: {seconds:?}");
        let mean = seconds[3..].iter().sum::<usize>() as f64 / 5.0;
        (mean, shop.sampled().rate)
    };
    for come in [1_000, 20_000, 50, 5_000, 2, 10_000, 100, 1_000] {
        let (mean, rate) = settled(come);
        let target = 100.0_f64.min(come as f64);
        assert!((mean - target).abs() <= 6.0 * (target / 5.0).sqrt(), "{come}: {mean} pass");
        assert!((rate - (100.0 / come as f64).min(1.0)).abs() < 0.2 * rate, "{come}: {rate}");
    }
    shop.advance(1_000 * SECOND);
    let after_a_rest: usize = (0..3).map(|_| shop.second_of(10)).sum();
    assert_eq!(after_a_rest, 30, "a rest is no reason to let less through");
}

#[test]
fn adaptive_a_target_of_nothing_lets_nothing_through() {
    let shop = Shop::new(Sampling::Adaptive(0));
    assert_eq!((0..3).map(|_| shop.second_of(100)).sum::<usize>(), 0);
}

/// The original let 559 through for 100.
#[test]
fn a_reservoir_emits_exactly_so_many_of_each_window_and_each_that_came_with_the_same_chance() {
    const WINDOWS: usize = 2_000;
    let shop = Shop::new(Sampling::Reservoir { keep: 10, window: SECOND });
    let mut chosen = [0_u32; 100];
    for _ in 0..WINDOWS {
        (0..100).for_each(|number| shop.sell(number));
        assert_eq!((shop.take().len(), shop.sampled().kept), (0, 10), "nothing before the window is over");
        shop.advance(SECOND);
        shop.telemetry.close_reservoirs();
        let events = shop.take();
        let numbers: Vec<_> = events.iter().map(|event| number(event, "number")).collect();
        assert!(numbers.len() == 10 && numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(events.iter().all(|event| number(event, "sampled_from") == 100));
        assert_eq!(events[0].measurements.get("sampled"), Some(&Value::F64(0.1)));
        numbers.iter().for_each(|number| chosen[*number as usize] += 1);
    }
    // Ten are drawn without being put back, so they vary by a tenth less than chi-square's.
    let mean = WINDOWS as f64 / 10.0;
    let chi: f64 = chosen.iter().map(|count| (f64::from(*count) - mean).powi(2) / mean).sum::<f64>() / 0.9;
    assert!((30.0..230.0).contains(&chi), "{chi}: {chosen:?}");
    let sampled = shop.sampled();
    assert_eq!((sampled.seen, sampled.passed, sampled.kept), (200_000, 20_000, 0));
}

#[test]
fn a_reservoir_builds_only_what_has_a_place_and_emits_all_if_few_come() {
    let shop = Shop::new(Sampling::Reservoir { keep: 4, window: SECOND });
    let built = Mutex::new(0);
    for _ in 0..1_000 {
        shop.telemetry.emit(SOLD, || {
            *built.lock() += 1;
            (fields! {}, fields! {})
        });
    }
    // 4 (1 + 1/5 + 1/6 .. + 1/1000) in the mean, with a spread below 5.
    let built = built.into_inner();
    assert!((4..60).contains(&built), "{built}");
    shop.telemetry.close_reservoirs();
    assert_eq!(shop.take().len(), 4);
    (0..3).for_each(|number| shop.sell(number));
    shop.telemetry.close_reservoirs();
    assert_eq!(shop.take().iter().map(|event| number(event, "sampled_from")).collect::<Vec<_>>(), [3, 3, 3]);
}

#[test]
fn without_a_timekeeper_the_next_event_finds_the_window_over() {
    let shop = Shop::new(Sampling::Reservoir { keep: 2, window: SECOND });
    (0..2).for_each(|number| shop.sell(number));
    shop.advance(SECOND - Duration::from_nanos(1));
    shop.sell(2);
    assert_eq!(shop.take().len(), 0);
    shop.advance(Duration::from_nanos(1));
    shop.sell(3);
    let events = shop.take();
    assert_eq!(events.iter().map(|event| number(event, "sampled_from")).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(shop.sampled().kept, 1, "the fourth is the next window's");
}

#[test]
fn in_a_universe_a_window_is_emitted_at_its_end_by_itself_with_the_contexts_in_which_its_events_came() {
    let t = TestUniverse::with_virtual_time();
    let capture = t.capture_telemetry(SOLD);
    t.telemetry().sample(SOLD, Sampling::Reservoir { keep: 3, window: SECOND }).expect("there is room");
    with(fields! { request: 7 }, || t.telemetry().emit(SOLD, || (fields! {}, fields! {})));
    t.clock().advance(SECOND - Duration::from_nanos(1));
    assert_eq!(capture.take().len(), 0);
    t.clock().advance(Duration::from_nanos(1));
    let events = capture.take();
    assert_eq!((events.len(), events[0].context().fields()), (1, fields! { request: 7 }));
    t.telemetry().unsample(SOLD).expect("it is sampled");
}

#[test]
fn what_a_reservoir_keeps_when_its_sampler_goes_is_emitted_and_all_passes_from_then_on() {
    let shop = Shop::new(Sampling::Reservoir { keep: 3, window: SECOND });
    (0..5).for_each(|number| shop.sell(number));
    let last = shop.telemetry.unsample(SOLD).expect("it is sampled");
    assert_eq!((last.seen, last.passed, shop.take().len()), (5, 3, 3));
    assert_eq!((shop.telemetry.unsample(SOLD), shop.telemetry.samplers()), (None, Vec::new()));
    shop.sell(5);
    let events = shop.take();
    assert_eq!((events.len(), events[0].measurements.get("sampled")), (1, None));
    shop.telemetry.sample(SOLD, Sampling::Reservoir { keep: 3, window: SECOND }).expect("there is room");
    shop.sell(6);
    shop.telemetry.sample(SOLD, Sampling::Never).expect("it takes the other one's place");
    assert_eq!(shop.take().len(), 1);
}

#[test]
fn what_a_reservoir_has_kept_is_counted_when_its_errand_is_refused_or_lost() {
    let time = VirtualTime::new();
    let (waiting, refuses) = (Arc::new(Mutex::new(Vec::<Errand>::new())), Arc::new(Mutex::new(false)));
    let (taken, says) = (Arc::clone(&waiting), Arc::clone(&refuses));
    let errands = Errands::new(move |errand| {
        if *says.lock() {
            return Err(errand);
        }
        taken.lock().push(errand);
        Ok(())
    });
    let telemetry = Telemetry::builder().clock(&time.clock()).errands(&errands).build();
    let shop = Shop::of(telemetry, time, Sampling::Reservoir { keep: 3, window: SECOND });
    (0..5).for_each(|number| shop.sell(number));
    shop.advance(SECOND);
    shop.sell(5);
    let errands = std::mem::take(&mut *waiting.lock());
    assert_eq!((errands.len(), shop.sampled().lost), (1, 0));
    drop(errands);
    assert_eq!(shop.sampled().lost, 3, "dropped unrun");
    *refuses.lock() = true;
    shop.advance(SECOND);
    shop.sell(6);
    let sampled = shop.sampled();
    assert_eq!((sampled.lost, sampled.kept, sampled.passed), (4, 1, 0), "refused");
}

#[test]
fn a_builder_that_panics_gives_its_place_up_and_is_counted() {
    let shop = Shop::new(Sampling::Reservoir { keep: 2, window: SECOND });
    let panics = || shop.telemetry.emit(SOLD, || std::panic::resume_unwind(Box::new(())));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    shop.sell(1);
    let inner = shop.telemetry.clone();
    let panics = || {
        shop.telemetry.unsample(LOST);
        shop.telemetry.sample(LOST, Sampling::Reservoir { keep: 2, window: SECOND }).expect("there is room");
        shop.telemetry.attach("lost", [LOST], |_| {}).expect("the id is free");
        shop.telemetry.emit(LOST, || {
            inner.close_reservoirs();
            std::panic::resume_unwind(Box::new(()))
        });
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let lost: Vec<_> = shop.telemetry.samplers().iter().map(|it| (it.name, it.lost, it.kept, it.passed)).collect();
    assert_eq!(lost, [(LOST, 1, 0, 0), (SOLD, 1, 0, 1)]);
    assert_eq!(shop.take().len(), 1);
}

#[test]
fn an_event_that_is_being_built_when_its_window_is_closed_is_emitted_all_the_same() {
    let shop = Shop::new(Sampling::Reservoir { keep: 2, window: SECOND });
    shop.sell(0);
    let inner = shop.telemetry.clone();
    shop.telemetry.emit(SOLD, move || {
        inner.close_reservoirs();
        (fields! { number: 1_u64 }, fields! {})
    });
    let events = shop.take();
    assert_eq!(events.iter().map(|event| number(event, "number")).collect::<Vec<_>>(), [0, 1]);
    assert!(events.iter().all(|event| number(event, "sampled_from") == 2));
}

#[test]
fn there_are_only_so_many_samplers() {
    let words: Vec<&'static [&'static str]> = vec![&["shop"]; MOST_SAMPLERS + 1];
    let telemetry = Telemetry::new();
    let names = words.into_iter().enumerate().map(|(number, words)| {
        let word: &'static str = Box::leak(number.to_string().into_boxed_str());
        EventName::new(Box::leak(Box::new([words[0], word])))
    });
    let names: Vec<_> = names.collect();
    assert!(names[..MOST_SAMPLERS].iter().all(|name| telemetry.sample(*name, Sampling::Never).is_ok()));
    let last = names[MOST_SAMPLERS];
    assert_eq!(telemetry.sample(last, Sampling::Never), Err(SampleError { name: last }));
    assert_eq!(telemetry.sample(names[0], Sampling::Always), Ok(()), "this one has its room");
    assert!(telemetry.unsample(names[0]).is_some() && telemetry.sample(last, Sampling::Never).is_ok());
}

#[test]
fn however_many_threads_emit_the_counts_are_exact() {
    const EACH: u64 = 20_000;
    let samplings = [
        Sampling::Random(0.3),
        Sampling::RateLimited(1_000),
        Sampling::Adaptive(1_000),
        Sampling::Reservoir { keep: 50, window: SECOND },
    ];
    for sampling in samplings {
        let shop = Shop::new(sampling);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let sold = shop.telemetry.emitter(SOLD);
                let body = move || (0..EACH).for_each(|number| sold.emit(|| (fields! { number: number }, fields! {})));
                thread::Builder::new("sells").spawn(body).expect("a thread")
            })
            .collect();
        while shop.sampled().seen < 2 * EACH {
            shop.telemetry.close_reservoirs();
        }
        for thread in threads {
            thread.join().expect("it does not panic");
        }
        shop.telemetry.close_reservoirs();
        let (sampled, events) = (shop.sampled(), shop.take());
        assert_eq!((sampled.seen, sampled.passed, sampled.kept, sampled.lost), (4 * EACH, events.len() as u64, 0, 0));
        match sampling {
            Sampling::RateLimited(most) => assert_eq!(events.len(), most as usize),
            Sampling::Adaptive(target) => assert_eq!(events.len(), 2 * target as usize + 8, "time stands"),
            _ => {}
        }
    }
}
