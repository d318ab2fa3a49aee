//! Who hears of decisions.
//!
//! # Protocol
//! The list is a snapshot. Whoever tells (one thread at a time, in order: see `telling.rs`) takes the list anew for each
//! decision, after that was published. So who has subscribed before a decision is made hears of it.
//!
//! Named race:
//! - *subscription against telling*: somebody subscribes while decisions of before are being told. Those are none of his:
//!   he hears only what is numbered above the last decision at his subscription.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use foundation_sync::{
    Snapshot,
    atomic::{AtomicU64, Ordering},
    payload, planted, reached,
};

use crate::{Change, flags::Inner};

/// How many subscriptions there are at most.
pub const MOST_SUBSCRIBERS: usize = 1_024;

type Hear = dyn Fn(&Arc<Change>) + Send + Sync;

struct Subscriber {
    /// The last decision when it subscribed.
    after: u64,
    /// `None` only while it is being dropped.
    hear: Option<Box<Hear>>,
    panics: Arc<AtomicU64>,
}

impl Subscriber {
    fn hear(&self, change: &Arc<Change>) {
        self.call(|| self.hear.iter().for_each(|hear| hear(change)));
    }

    /// Runs the user's code.
    fn call(&self, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.panics.fetch_add(1, Ordering::Relaxed); // ordering: a count
            payload::forget(panic);
        }
    }
}

impl Drop for Subscriber {
    /// Wherever its last handle is: with who tells, or who has subscribed.
    fn drop(&mut self) {
        let hear = self.hear.take();
        self.call(|| drop(hear));
    }
}

/// Everybody who has subscribed.
pub(crate) struct Subscribers {
    list: Snapshot<Vec<Arc<Subscriber>>>,
    panics: Arc<AtomicU64>,
}

impl Subscribers {
    pub(crate) fn new() -> Self {
        Self { list: Snapshot::new(Vec::new()), panics: Arc::new(AtomicU64::new(0)) }
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed) // ordering: a count
    }

    pub(crate) fn tell(&self, change: &Arc<Change>) {
        let list = self.list.load();
        for subscriber in list.iter() {
            if change.version <= subscriber.after && !planted!("subscribers: what was decided before is told") {
                reached!("subscribers: a decision of before");
                continue;
            }
            subscriber.hear(change);
        }
    }
}

/// There are [`MOST_SUBSCRIBERS`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManySubscribers;

impl fmt::Display for TooManySubscribers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are {MOST_SUBSCRIBERS} subscriptions already: drop those that are not needed any more")
    }
}

impl std::error::Error for TooManySubscribers {}

/// As long as this lives somebody hears of each decision. It does not keep the flags.
#[must_use = "dropped, nobody hears of anything"]
pub struct Subscription {
    flags: Weak<Inner>,
    subscriber: Weak<Subscriber>,
}

impl Subscription {
    pub(crate) fn new(
        flags: &Arc<Inner>,
        hear: impl Fn(&Arc<Change>) + Send + Sync + 'static,
    ) -> Result<Self, TooManySubscribers> {
        let subscriber = Arc::new(Subscriber {
            after: flags.state.load().version,
            hear: Some(Box::new(hear)),
            panics: Arc::clone(&flags.subscribers.panics),
        });
        flags.subscribers.list.update(|list| {
            if list.len() >= MOST_SUBSCRIBERS {
                return Err(TooManySubscribers);
            }
            Ok(list.iter().chain([&subscriber]).map(Arc::clone).collect())
        })?;
        Ok(Self { flags: Arc::downgrade(flags), subscriber: Arc::downgrade(&subscriber) })
    }
}

impl Drop for Subscription {
    /// A call that is under way, or about to begin, goes on; after the decision that is being told there is none.
    fn drop(&mut self) {
        let (Some(flags), Some(subscriber)) = (self.flags.upgrade(), self.subscriber.upgrade()) else { return };
        let without = |list: &Vec<Arc<Subscriber>>| {
            let others = list.iter().filter(|other| !Arc::ptr_eq(other, &subscriber));
            Ok::<_, std::convert::Infallible>(others.map(Arc::clone).collect())
        };
        match flags.subscribers.list.update(without) {
            Ok(_) => {}
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}
