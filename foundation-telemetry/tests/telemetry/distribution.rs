//! Percentiles, sums and windows of what was recorded.

use std::sync::Arc;

use foundation_sync::thread;
use foundation_telemetry::{Distribution, Quantiles, Recorded};

fn near(value: u64, exact: f64, share: f64) -> bool {
    (value as f64 - exact).abs() <= exact * share
}

#[test]
fn a_distribution_knows_its_percentiles_to_a_hundredth() {
    let distribution = Distribution::new();
    assert_eq!(distribution.quantiles(), Quantiles::default());
    (1..=10_000).for_each(|value| distribution.record(value));
    let quantiles = distribution.quantiles();
    assert!(
        near(quantiles.p50, 5_000.0, 0.01) && near(quantiles.p95, 9_500.0, 0.01) && near(quantiles.p99, 9_900.0, 0.01),
        "{quantiles:?}"
    );
    assert_eq!((quantiles.count, quantiles.most), (10_000, 10_000));
    distribution.record(0);
    distribution.record(u64::MAX);
    assert_eq!(distribution.quantiles().most, u64::MAX);
}

#[test]
fn small_values_are_summed_exactly_and_great_ones_to_four_thousandths() {
    let distribution = Distribution::new();
    (0..256).for_each(|value| distribution.record(value));
    assert_eq!(distribution.recorded().sum(), 255 * 128);
    let mut exact = 255.0 * 128.0;
    for step in 0..40_u32 {
        let value = 3_u64.pow(step) + 255;
        distribution.record(value);
        exact += value as f64;
        assert!(near(distribution.recorded().sum(), exact, 0.004), "{step}: {} {exact}", distribution.recorded().sum());
    }
    distribution.record(u64::MAX);
    distribution.record(u64::MAX);
    assert_eq!(distribution.recorded().sum(), u64::MAX, "no more than that");
}

#[test]
fn a_share_of_what_was_recorded_is_counted_from_below() {
    let distribution = Distribution::new();
    [10, 20, 30, 40].iter().for_each(|value| distribution.record(*value));
    let recorded = distribution.recorded();
    let at = [0.0, 0.25, 0.26, 0.5, 0.75, 1.0, 7.0].map(|share| recorded.at(share));
    assert_eq!(at, [10, 10, 20, 20, 30, 40, 40]);
    assert_eq!(recorded.buckets().collect::<Vec<_>>(), [(10, 1), (20, 1), (30, 1), (40, 1)]);
    assert_eq!(Recorded::default().at(0.5), 0);
}

#[test]
fn what_was_recorded_since_an_earlier_moment_is_told_apart() {
    let distribution = Distribution::new();
    [5, 5, 1_000_003].iter().for_each(|value| distribution.record(*value));
    let earlier = distribution.recorded();
    [5, 7].iter().for_each(|value| distribution.record(*value));
    let since = distribution.recorded().since(&earlier);
    assert_eq!((since.count(), since.sum(), since.most()), (2, 12, 7));
    distribution.record(2_000_003);
    assert_eq!(distribution.recorded().since(&earlier).most(), 2_000_003);
    assert_eq!(earlier.since(&earlier), Recorded::default());
}

#[test]
fn what_was_drained_is_recorded_no_more() {
    let distribution = Distribution::new();
    [3, 300].iter().for_each(|value| distribution.record(*value));
    let drained = distribution.drain();
    assert_eq!((drained.count(), drained.most()), (2, 300));
    assert_eq!(distribution.recorded(), Recorded::default());
    distribution.record(4);
    assert_eq!((distribution.quantiles().count, distribution.quantiles().most), (1, 4));
}

/// Recorders race a drainer: each value is in exactly one drain, and the greatest is never another drain's by more than
/// what a bucket is wide.
#[test]
fn each_value_is_in_exactly_one_drain_however_many_threads_record() {
    const EACH: u64 = 50_000;
    let distribution = Arc::new(Distribution::new());
    let threads: Vec<_> = (0..4_u64)
        .map(|number| {
            let distribution = Arc::clone(&distribution);
            let body = move || (0..EACH).for_each(|value| distribution.record(value % 200 + number));
            thread::Builder::new("records").spawn(body).expect("a thread")
        })
        .collect();
    let (mut count, mut sum) = (0, 0);
    let mut add = |drained: Recorded| {
        assert!(drained.most() <= 202, "{drained:?}");
        count += drained.count();
        sum += drained.sum();
        count
    };
    while add(distribution.drain()) < 2 * EACH {}
    for thread in threads {
        thread.join().expect("it does not panic");
    }
    add(distribution.drain());
    let exact = (0..4_u64).map(|number| (0..EACH).map(|value| value % 200 + number).sum::<u64>()).sum::<u64>();
    assert_eq!((count, sum), (4 * EACH, exact));
}
