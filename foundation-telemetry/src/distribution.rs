//! How large, how often: percentiles without keeping the samples.

use std::fmt;

use foundation_sync::atomic::{AtomicU64, Ordering};

/// A distribution of whole numbers, nanoseconds as a rule. Recording waits for nobody.
///
/// Percentiles are exact to 0.8 %; the greatest is exact. It holds 2^7 buckets for each power of two: 58 KiB.
pub struct Distribution {
    buckets: histogram::AtomicHistogram,
    most: AtomicU64,
}

/// Some percentiles of a [`Distribution`]; all 0 if nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// How many values were recorded.
    pub count: u64,
    /// Half are at most this.
    pub p50: u64,
    /// 95 of 100 are at most this.
    pub p95: u64,
    /// 99 of 100 are at most this.
    pub p99: u64,
    /// The greatest.
    pub most: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

impl Distribution {
    /// Nothing recorded yet.
    pub fn new() -> Self {
        let buckets = histogram::AtomicHistogram::new(7, 64).expect("7 + 64 is a valid configuration");
        Self { buckets, most: AtomicU64::new(0) }
    }

    /// Records one value.
    pub fn record(&self, value: u64) {
        self.buckets.increment(value).expect("the buckets reach up to 2^64");
        self.most.fetch_max(value, Ordering::Relaxed); // ordering: a figure by itself
    }

    /// The percentiles of what was recorded so far.
    pub fn quantiles(&self) -> Quantiles {
        let buckets = self.buckets.load();
        let most = self.most.load(Ordering::Relaxed); // ordering: a figure by itself
        let at = |share| match buckets.quantile_bucket(share) {
            Ok(Some(bucket)) => bucket.end().min(most),
            _ => 0,
        };
        let count = buckets.as_slice().iter().sum();
        Quantiles { count, p50: at(0.5), p95: at(0.95), p99: at(0.99), most }
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.quantiles().fmt(f)
    }
}
