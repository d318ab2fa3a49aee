//! Numbers that many threads take at once.

use foundation_sync::{
    MODEL,
    atomic::{AtomicU64, Ordering},
    stripe,
};

/// A model has no use for more.
const STRIPES: usize = if MODEL { 1 } else { 8 };

/// Taken without waiting and without allocating, and away from what others look at.
#[derive(Debug, Default)]
pub(super) struct Numbers(Box<[Line; STRIPES]>);

/// In a line of its own, so that threads do not write what others do.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Numbers {
    /// A number that nobody else gets.
    pub(super) fn next(&self) -> u64 {
        let at = stripe() % self.0.len();
        let before = self.0[at].0.fetch_add(1, Ordering::Relaxed); // ordering: a count
        before * STRIPES as u64 + at as u64
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use foundation_sync::Mutex;
    use foundation_testkit::{join, spawn};

    use super::*;

    #[test]
    fn each_call_has_a_number_of_its_own_on_whatever_thread() {
        let (next, all) = (Arc::new(Numbers::default()), Arc::new(Mutex::new(BTreeSet::new())));
        let threads = [(); 4].map(|()| {
            let (next, all) = (Arc::clone(&next), Arc::clone(&all));
            spawn(move || {
                let numbers: Vec<_> = (0..100).map(|_| next.next()).collect();
                all.lock().extend(numbers);
            })
        });
        threads.into_iter().for_each(join);
        assert_eq!(all.lock().len(), 400);
    }
}
