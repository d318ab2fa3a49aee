//! What a distribution had recorded at some moment.

use std::fmt;

use crate::Quantiles;

/// What a [`Distribution`](crate::Distribution) had recorded at some moment. It holds the buckets that have something in
/// them, 24 bytes each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// In order.
    buckets: Vec<Bucket>,
    most: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Bucket {
    start: u64,
    end: u64,
    count: u64,
}

impl Recorded {
    pub(crate) fn new(histogram: &histogram::Histogram, most: u64) -> Self {
        let filled = histogram.iter().filter(|bucket| bucket.count() > 0);
        let buckets = filled.map(|it| Bucket { start: it.start(), end: it.end(), count: it.count() });
        Self::of(buckets.collect(), most)
    }

    /// Race "greatest against drain": a greatest that is not in the uppermost bucket is another drain's.
    fn of(buckets: Vec<Bucket>, most: u64) -> Self {
        let most = buckets.last().map_or(0, |top| if (top.start..=top.end).contains(&most) { most } else { top.end });
        Self { buckets, most }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// Their sum, exact as long as all values are below 256, and to 0.4 % otherwise; `u64::MAX` if it is greater. Where
    /// it has to be exact, count it beside: that costs each recording as much again.
    pub fn sum(&self) -> u64 {
        let middle = |bucket: &Bucket| bucket.start + (bucket.end - bucket.start) / 2;
        let sum: u128 = self.buckets.iter().map(|it| u128::from(middle(it)) * u128::from(it.count)).sum();
        u64::try_from(sum).unwrap_or(u64::MAX)
    }

    /// The greatest; 0 if there is none.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// The value that so great a share of all, 0.99 for instance, do not exceed; 0 if there is none.
    pub fn at(&self, share: f64) -> u64 {
        // As a float it may be one too many or too few where there are more than 2^53.
        let rank = ((share.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.buckets.iter().find(|bucket| {
            below += bucket.count;
            below >= rank
        });
        found.map_or(self.most, |bucket| bucket.end.min(self.most))
    }

    /// The usual percentiles.
    pub fn quantiles(&self) -> Quantiles {
        let (p50, p95, p99) = (self.at(0.5), self.at(0.95), self.at(0.99));
        Quantiles { count: self.count(), p50, p95, p99, most: self.most }
    }

    /// What was recorded after `earlier`, of the same distribution. Its greatest is exact if it is greater than what was
    /// before, and to 0.8 % otherwise. If the distribution was drained in between that makes no sense, and what would be
    /// negative is left out.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut before = earlier.buckets.iter().peekable();
        let mut rest = Vec::new();
        for bucket in &self.buckets {
            while before.next_if(|it| it.start < bucket.start).is_some() {}
            let known = before.next_if(|it| it.start == bucket.start).map_or(0, |it| it.count);
            let count = bucket.count.saturating_sub(known);
            if count > 0 {
                rest.push(Bucket { count, ..*bucket });
            }
        }
        Self::of(rest, self.most)
    }

    /// The buckets that have something in them, in order: the greatest value that belongs there, and how many do.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|bucket| (bucket.end, bucket.count))
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.quantiles().fmt(f)
    }
}
