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

        /// What it points at, kept.
        pub(in super::super) fn get(&self, guard: &Guard) -> Option<Shared<T>> {
            // ordering: as in `read`.
            self.0.get_shared(Acquire, guard)
        }

        /// Points elsewhere from now on. Whoever puts is alone.
        pub(in super::super) fn put(&self, value: Option<Shared<T>>) {
            // ordering: Release, pairs with the Acquire in `read`; Acquire, for what is replaced may be freed here.
            self.0.swap((value, Tag::None), AcqRel);
        }
    }
}

#[cfg(any(loom, shuttle))]
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

    pub(in super::super) struct Place<T>(Mutex<Option<Arc<T>>>);

    impl<T> Place<T> {
        pub(in super::super) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        #[track_caller]
        pub(in super::super) fn read<R>(&self, guard: &Guard, look: impl FnOnce(Option<&T>) -> R) -> R {
            look(self.get(guard).as_deref())
        }

        #[track_caller]
        pub(in super::super) fn get(&self, _: &Guard) -> Option<Arc<T>> {
            self.0.lock().clone()
        }

        #[track_caller]
        pub(in super::super) fn put(&self, value: Option<Arc<T>>) {
            let old = std::mem::replace(&mut *self.0.lock(), value);
            drop(old);
        }
    }
}
