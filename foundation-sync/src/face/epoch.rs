//! A place that points at something which readers may still be looking at when it points elsewhere.
//!
//! For real it is sdd's epochs: what is replaced is freed when no reader can see it any more, by whichever thread comes
//! by. In models a lock round a counted reference.

pub(super) use face::{Guard, Place, Shared};

#[cfg(not(any(loom, shuttle)))]
mod face {
    use std::sync::atomic::Ordering::{AcqRel, Acquire};

    use sdd::{AtomicShared, Tag};
    pub(in super::super) use sdd::{Guard, Shared};

    pub(in super::super) struct Place<T>(AtomicShared<T>);

    impl<T> Place<T> {
        pub(in super::super) fn empty() -> Self {
            Self(AtomicShared::null())
        }

        /// What it points at, for as long as `look` runs.
        pub(in super::super) fn read<R>(&self, guard: &Guard, look: impl FnOnce(Option<&T>) -> R) -> R {
            // ordering: Acquire, pairs with the Release in `put`: whoever sees a thing sees all of it.
            look(self.0.load(Acquire, guard).as_ref())
        }

        /// The same for whoever is the only one to put.
        pub(in super::super) fn own<R>(&self, guard: &Guard, look: impl FnOnce(Option<&T>) -> R) -> R {
            self.read(guard, look)
        }

        /// What it points at, kept, for whoever is the only one to put.
        pub(in super::super) fn get(&self, guard: &Guard) -> Option<Shared<T>> {
            // ordering: as in `read`.
            self.0.get_shared(Acquire, guard)
        }

        /// Points elsewhere from now on. One puts at a time.
        pub(in super::super) fn put(&self, value: Option<Shared<T>>) {
            // ordering: Release, pairs with the Acquire in `read`; Acquire, for what is replaced may be freed here.
            self.0.swap((value, Tag::None), AcqRel);
        }
    }
}

#[cfg(any(loom, shuttle))]
#[expect(
    clippy::disallowed_types,
    reason = "the door itself: what a thread has put itself it reads unseen by the model"
)]
mod face {
    use std::sync::Arc;
    pub(in super::super) use std::sync::Arc as Shared;

    use super::super::Mutex;

    pub(in super::super) struct Guard;

    impl Guard {
        pub(in super::super) fn new() -> Self {
            Self
        }
    }

    pub(in super::super) struct Place<T> {
        /// The model sees who takes it.
        seen: Mutex<()>,
        /// Std's, so nothing of the model's may happen while it is locked.
        there: std::sync::Mutex<Option<Arc<T>>>,
    }

    impl<T> Place<T> {
        pub(in super::super) fn empty() -> Self {
            Self { seen: Mutex::new(()), there: std::sync::Mutex::new(None) }
        }

        #[track_caller]
        pub(in super::super) fn read<R>(&self, guard: &Guard, look: impl FnOnce(Option<&T>) -> R) -> R {
            let there = {
                let _seen = self.seen.lock();
                self.get(guard)
            };
            look(there.as_deref())
        }

        /// The same for whoever is the only one to put: the model has nothing to turn round.
        pub(in super::super) fn own<R>(&self, guard: &Guard, look: impl FnOnce(Option<&T>) -> R) -> R {
            look(self.get(guard).as_deref())
        }

        /// What it points at, kept, for whoever is the only one to put.
        pub(in super::super) fn get(&self, _: &Guard) -> Option<Arc<T>> {
            self.there.lock().expect("held for a copy only").clone()
        }

        #[track_caller]
        pub(in super::super) fn put(&self, value: Option<Arc<T>>) {
            let old = {
                let _seen = self.seen.lock();
                std::mem::replace(&mut *self.there.lock().expect("held for a copy only"), value)
            };
            drop(old);
        }
    }
}
