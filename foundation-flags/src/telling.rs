//! What follows a decision: the file, if it is behind, and who hears of it. It is the courier's, where there is one.
//!
//! Named race:
//! - *teller against teller*: two decisions are to be told at once. One thread tells at a time, in order, and looks again
//!   before it ends.

use std::sync::Arc;

use foundation_sync::{Errand, atomic::Ordering, planted, reached};

use crate::{Date, Flag, decisions::Role, flags::Inner};

#[derive(Default)]
pub(crate) struct Teller {
    running: bool,
    again: bool,
    told: u64,
}

impl Teller {
    /// Nothing up to this version is news.
    pub(crate) fn after(told: u64) -> Self {
        Self { told, ..Self::default() }
    }
}

impl Inner {
    /// Has the courier do what follows a decision: the file, if it is behind, and the events. Where there is no courier,
    /// or none any more, or no room with it, the caller does.
    pub(crate) fn follow(self: &Arc<Self>) {
        if let Err(errand) = self.errands.send(self.follow_up()) {
            errand();
        }
    }

    /// The same for those who may not run it. `false`: nobody has taken it.
    pub(crate) fn follow_elsewhere(self: &Arc<Self>) -> bool {
        self.errands.send(self.follow_up()).is_ok()
    }

    /// Which flags are to be gone by now.
    pub(crate) fn expired(&self) -> Vec<Flag> {
        let today = Date::of(self.clock.date());
        self.shape.table.flags().iter().copied().filter(|flag| flag.has_expired(today)).collect()
    }

    /// Has the courier tell of each flag that is to be gone by now, and of each that is not declared and stands in the file,
    /// as of any decision.
    pub(crate) fn tell_of_start(self: &Arc<Self>) {
        let (expired, unknown) = (self.expired(), self.store.unknown());
        if expired.is_empty() && unknown.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        let tell: Errand = Box::new(move || {
            expired.iter().for_each(|flag| inner.events.expired(flag));
            unknown.iter().for_each(|flag| inner.events.unknown(flag));
        });
        if let Err(errand) = self.errands.send(tell) {
            errand();
        }
    }

    fn follow_up(self: &Arc<Self>) -> Errand {
        let inner = Arc::clone(self);
        Box::new(move || {
            if inner.desk.take_if_behind() {
                drop(Role(&inner));
            }
            // Also where the role was not this one's: who had it comes here when it has given it back.
            #[cfg(feature = "watch")]
            if let Some(by) = inner.desk.take_note_to_look() {
                inner.reload_or_note(&by);
            }
            inner.tell_all();
            if let Some(monitor) = &inner.monitor {
                monitor.look();
            }
        })
    }

    /// Race "teller against teller".
    fn tell_all(&self) {
        {
            let mut teller = self.teller.lock();
            teller.again = true;
            if teller.running && !planted!("flags: two tell at once") {
                reached!("flags: somebody tells already");
                return;
            }
            teller.running = true;
        }
        loop {
            let told = {
                let mut teller = self.teller.lock();
                if !std::mem::take(&mut teller.again) {
                    teller.running = false;
                    return;
                }
                teller.told
            };
            self.notices.take().iter().for_each(|notice| self.events.notice(notice));
            self.store.take_news().iter().for_each(|news| self.events.file(news));
            let state = self.state.load();
            let forgotten = state.history.front().map_or(0, |oldest| oldest.version.saturating_sub(told + 1));
            self.untold.fetch_add(forgotten, Ordering::Relaxed); // ordering: a count
            for change in state.history.iter().filter(|change| change.version > told) {
                self.events.changed(self.shape.plan.as_ref(), change);
                self.subscribers.tell(change);
            }
            self.teller.lock().told = state.version;
        }
    }
}
