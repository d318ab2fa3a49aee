//! What has come of a shadow's calls.
//!
//! # Protocol
//! Each call is counted once, when it is known what came of it, and only then is its sample kept. Who reports looks at the
//! samples first and at the counts after them. So no report has a sample that it has not counted.
//!
//! No call waits. One that finds another at the samples, be it a report, keeps none: it is counted, so it is missed by
//! number. Who reports waits for that moment.
//!
//! Named race:
//! - *report against sample*: a difference is found while a report is made. It is in the count and in the samples, or in
//!   the count alone, or in neither.

use std::{collections::VecDeque, sync::Arc};

use foundation_sync::{
    Mutex, Nanos,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    planted, reached,
};
use foundation_telemetry::Distribution;

use super::{Finding, ShadowReport, ShadowSample, numbers::Numbers};

#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How many calls without an id were asked whether they are chosen.
    numbers: Numbers,
    equal: AtomicU64,
    /// By [`Finding`].
    found: [AtomicU64; 3],
    old_panicked: AtomicU64,
    drop_panicked: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicUsize,
    old: Distribution,
    new: Distribution,
    /// The oldest first.
    samples: Mutex<VecDeque<Arc<ShadowSample>>>,
}

fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1 // ordering: a count
}

impl Tally {
    /// The number of a call without an id.
    pub(super) fn number(&self) -> u64 {
        self.numbers.next()
    }

    pub(super) fn equal(&self) {
        count(&self.equal);
    }

    pub(super) fn old_panicked(&self) {
        count(&self.old_panicked);
    }

    pub(super) fn drop_panicked(&self) {
        count(&self.drop_panicked);
    }

    pub(super) fn dropped(&self) {
        count(&self.dropped);
    }

    /// Both have answered.
    pub(super) fn took(&self, old: Nanos, new: Nanos) {
        self.old.record(old);
        self.new.record(new);
    }

    /// Counts a finding of which there is no sample.
    pub(super) fn unseen(&self, finding: Finding) {
        count(&self.found[finding as usize]);
    }

    /// Counts a finding and keeps its sample, if there may be any. Returns how many of its kind there were.
    pub(super) fn found(&self, sample: &Arc<ShadowSample>, most: usize) -> u64 {
        let counter = &self.found[sample.finding as usize];
        if planted!("shadow: a sample is kept before it is counted") {
            drop(self.keep(sample, most));
            return count(counter);
        }
        let found = count(counter);
        drop(self.keep(sample, most));
        found
    }

    /// Race "report against sample". What made room, more than one if another handle keeps more, is dropped by the caller,
    /// without the lock.
    fn keep(&self, sample: &Arc<ShadowSample>, most: usize) -> Vec<Arc<ShadowSample>> {
        if most == 0 {
            return Vec::new();
        }
        let Some(mut samples) = self.samples.try_lock() else {
            reached!("shadow: another is at the samples");
            return Vec::new();
        };
        let surplus = (samples.len() + 1).saturating_sub(most);
        let oldest = samples.drain(..surplus).collect();
        samples.push_back(Arc::clone(sample));
        oldest
    }

    /// A place for a call whose new implementation runs later, if there is one.
    pub(super) fn wait(&self, most: usize) -> bool {
        let one_more = |waiting: usize| (waiting < most).then(|| waiting + 1);
        // ordering: Relaxed, here and below: it counts places and hands nothing over.
        if planted!("shadow: a place is looked at and taken in two steps") {
            let next = one_more(self.waiting.load(Ordering::Relaxed));
            return next.is_some_and(|_| self.waiting.fetch_add(1, Ordering::Relaxed) < usize::MAX);
        }
        let taken = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        if !taken {
            reached!("shadow: no place to wait");
        }
        taken
    }

    /// It waits no more.
    pub(super) fn waited(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed); // ordering: as above
    }

    pub(super) fn report(&self, flag: &'static str) -> ShadowReport {
        let (old, new) = (self.old.quantiles(), self.new.quantiles());
        let samples = self.samples.lock();
        // ordering: counts. Those of the samples were counted before these were put in, under this lock.
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let found = |finding: Finding| get(&self.found[finding as usize]);
        ShadowReport {
            flag,
            equal: get(&self.equal),
            different: found(Finding::Different),
            new_panicked: found(Finding::NewPanicked),
            compare_panicked: found(Finding::ComparePanicked),
            old_panicked: get(&self.old_panicked),
            drop_panicked: get(&self.drop_panicked),
            dropped: get(&self.dropped),
            waiting: self.waiting.load(Ordering::Relaxed), // ordering: a count
            old,
            new,
            samples: samples.iter().map(Arc::clone).collect(),
        }
    }
}
