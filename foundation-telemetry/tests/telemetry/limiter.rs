//! How often something may happen, on a time that the test moves.

use std::{sync::Arc, time::Duration};

use foundation_sync::{Clock, SECOND, VirtualTime, thread};
use foundation_telemetry::{Limited, Limiter, Limits, NoRoom, Telemetry};
use proptest::prelude::*;

/// A move of a time in which nobody waits.
fn advance(time: &VirtualTime, span: Duration) {
    time.advance(span).expect("nobody is there who could run on");
}

fn passed(limiter: &Limiter, tries: usize) -> usize {
    (0..tries).filter(|_| limiter.check("key").is_ok()).count()
}

#[test]
fn a_burst_passes_at_once_and_then_one_for_each_share_of_the_span() {
    let time = VirtualTime::new();
    let limiter = Limiter::new(&time.clock(), Limits::of(4, SECOND).burst(3));
    assert_eq!((passed(&limiter, 10), limiter.remaining("key")), (3, 0));
    advance(&time, SECOND / 4 - Duration::from_nanos(1));
    assert_eq!(limiter.check("key"), Err(Limited { retry_at: 250_000_000 }));
    advance(&time, Duration::from_nanos(1));
    assert_eq!(passed(&limiter, 10), 1);
    advance(&time, 100 * SECOND);
    assert_eq!((limiter.remaining("key"), passed(&limiter, 10)), (3, 3), "no more than a burst is saved up");
}

/// The original's windows let twice as many through around an edge.
#[test]
fn around_the_edge_of_a_second_no_more_pass_than_within_one() {
    let time = VirtualTime::new();
    let limiter = Limiter::new(&time.clock(), Limits::of(100, SECOND).burst(1));
    advance(&time, SECOND - Duration::from_millis(500));
    let mut passes = 0;
    for _ in 0..10_000 {
        passes += passed(&limiter, 1);
        advance(&time, Duration::from_micros(100));
    }
    assert_eq!(passes, 100);
}

#[test]
fn what_is_refused_is_not_held_against_the_key_and_its_time_is_told() {
    let time = VirtualTime::new();
    let limiter = Limiter::new(&time.clock(), Limits::of(1, SECOND));
    assert_eq!(limiter.resets_at("key"), None);
    assert_eq!(limiter.check("key"), Ok(()));
    for _ in 0..1_000 {
        assert_eq!(limiter.check("key"), Err(Limited { retry_at: 1_000_000_000 }));
    }
    assert_eq!(limiter.resets_at("key"), Some(1_000_000_000));
    advance(&time, SECOND);
    assert_eq!((limiter.resets_at("key"), limiter.check("key")), (None, Ok(())));
}

/// A third of a second is no whole number of nanoseconds.
#[test]
fn a_rate_that_does_not_divide_the_second_is_kept_for_a_million_seconds() {
    let time = VirtualTime::new();
    let limiter = Limiter::new(&time.clock(), Limits::of(3, SECOND));
    let mut passes = passed(&limiter, 10);
    for _ in 0..1_000 {
        for _ in 0..3 {
            let Err(Limited { retry_at }) = limiter.check("key") else { panic!("it has no more to give") };
            advance(&time, Duration::from_nanos(retry_at - time.clock().now()));
            passes += passed(&limiter, 2);
        }
    }
    assert_eq!((passes, time.clock().now()), (3 + 3_000, 1_000 * 1_000_000_000));
}

#[test]
fn keys_and_limiters_have_nothing_to_do_with_each_other() {
    let telemetry = Telemetry::new();
    let (one, other) =
        (telemetry.limiter(Limits::of(1, SECOND * 3_600)), telemetry.limiter(Limits::of(1, SECOND * 3_600)));
    assert!(one.check("a").is_ok() && one.check("b").is_ok() && other.check("a").is_ok());
    assert!(one.check("a").is_err() && one.reset("a") && !one.reset("a") && one.check("a").is_ok());
    drop(one);
    assert!(other.check("a").is_err(), "the end of one takes nothing from the other");
}

#[test]
fn a_count_a_burst_a_span_and_a_room_of_nothing_are_the_least_there_is() {
    let time = VirtualTime::new();
    let limiter = Limiter::new(&time.clock(), Limits::of(0, Duration::ZERO).burst(0).keys(0));
    assert_eq!(passed(&limiter, 5), 1);
    advance(&time, Duration::from_nanos(1));
    assert_eq!(passed(&limiter, 5), 1);
    assert_eq!(limiter.figures().keys, 1);
}

#[test]
fn a_key_that_has_its_whole_burst_again_makes_room_and_what_finds_none_is_counted() {
    for (no_room, passes) in [(NoRoom::Pass, true), (NoRoom::Refuse, false)] {
        let time = VirtualTime::new();
        let limiter = Limiter::new(&time.clock(), Limits::of(1, SECOND).keys(2).no_room(no_room));
        assert!(limiter.check("a").is_ok());
        advance(&time, SECOND / 2);
        assert!(limiter.check("b").is_ok());
        let expected = if passes { Ok(()) } else { Err(Limited { retry_at: 1_000_000_000 }) };
        assert_eq!([limiter.check("c"), limiter.check("c")], [expected; 2]);
        let figures = limiter.figures();
        assert_eq!((figures.untracked, figures.keys, figures.passed + figures.limited), (2, 2, 4));
        advance(&time, SECOND / 2);
        assert_eq!((limiter.check("c"), limiter.check("c").is_err()), (Ok(()), true), "there is room by now");
        assert_eq!((limiter.figures().keys, limiter.check("b").is_err()), (2, true), "and b is still known");
    }
}

/// The original's table grew with each identity that was ever seen.
#[test]
fn however_many_keys_come_no_more_are_known_than_there_is_room_for() {
    // Also where shards can't share them evenly.
    for keys in [2_000, 2_001] {
        let time = VirtualTime::new();
        let limiter = Limiter::new(&time.clock(), Limits::of(1, SECOND).keys(keys));
        let seen = (0..100_000).filter(|number| limiter.check(&number.to_string()).is_ok()).count();
        let figures = limiter.figures();
        assert!(figures.keys <= keys && figures.keys > 1_900, "{figures:?}");
        assert_eq!((seen, figures.untracked + figures.keys as u64), (100_000, 100_000));
    }
}

#[test]
fn of_threads_that_race_for_one_key_exactly_a_burst_passes() {
    let clock = Clock::system();
    let limiter = Arc::new(Limiter::new(&clock, Limits::of(1, SECOND * 3_600).burst(1_000)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            let body = move || assert!(passed(&limiter, 1_000) <= 1_000);
            thread::Builder::new("tries").spawn(body).expect("a thread")
        })
        .collect();
    for thread in threads {
        thread.join().expect("it does not panic");
    }
    let figures = limiter.figures();
    assert_eq!((figures.passed, figures.limited), (1_000, 3_000));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes when: in no span between two checks do more pass than a burst and the rate's share, ends included;
    /// and one that is refused would have been one too many.
    #[test]
    fn in_no_span_do_more_pass_than_a_burst_and_the_rates_share(
        count in 1_u32..20,
        per in 1_u64..2_000,
        burst in 1_u32..10,
        steps in prop::collection::vec(0_u64..300, 1..120),
    ) {
        let time = VirtualTime::new();
        let limits = Limits::of(count, Duration::from_nanos(per)).burst(burst);
        let limiter = Limiter::new(&time.clock(), limits);
        let mut passes: Vec<u64> = Vec::new();
        // How many may pass in so long a span.
        let most = |span: u64| u64::from(burst) + span * u64::from(count) / per;
        let fits = |passes: &[u64], now: u64| {
            (0..passes.len()).all(|first| (passes.len() - first) as u64 <= most(now - passes[first]))
        };
        for step in steps {
            advance(&time, Duration::from_nanos(step));
            let now = time.clock().now();
            match limiter.check("key") {
                Ok(()) => passes.push(now),
                Err(Limited { retry_at }) => {
                    prop_assert!(retry_at > now);
                    let mut with = passes.clone();
                    with.push(now);
                    prop_assert!(!fits(&with, now), "refused without need");
                    with.pop();
                    with.push(retry_at);
                    prop_assert!(fits(&with, retry_at), "told too early");
                    with.pop();
                    with.push(retry_at - 1);
                    prop_assert!(!fits(&with, retry_at - 1), "told too late");
                }
            }
            prop_assert!(fits(&passes, now));
        }
    }
}
