//! A place that points at something which readers may still be looking at when it points elsewhere.
//!
//! For real it is sdd's epochs: what is replaced is freed when no reader can see it any more, by the thread that replaced
//! it, if it goes on. In models a lock round a counted reference.

pub(super) use face::{Guard, Place, pinned};

#[cfg(not(any(loom, shuttle)))]
#[expect(clippy::disallowed_methods, reason = "the door itself: a thread that ends waits for one that does its work")]
mod face {
    use std::{
        cell::Cell,
        mem, panic,
        sync::atomic::Ordering::{AcqRel, Acquire},
        thread,
    };

    pub(in super::super) use sdd::Guard;
    use sdd::{AtomicShared, Shared, Tag};

    /// Gone before what sdd keeps for this thread, since made after it: a thread's slots are dropped last made first.
    #[derive(Default)]
    struct Pinnable {
        /// Whether a place was dropped. sdd forgets what is retired while it frees (a table's chains) until the thread
        /// retires something else: it is told.
        owes: Cell<bool>,
    }

    impl Drop for Pinnable {
        /// That there is something to drop is what has it gone.
        fn drop(&mut self) {}
    }

    thread_local! {
        static PINNABLE: Pinnable = {
            drop(Guard::new());
            Pinnable::default()
        };
    }

    /// Looks at places, which point at what they do until then. When the thread's own slots are being dropped, and sdd's may
    /// be gone, another thread looks; `None` if there is none to be had. The one way to a guard.
    pub(in super::super) fn pinned<R: Send>(look: impl FnOnce(&Guard) -> R + Send) -> Option<R> {
        let pin = |here: &Pinnable| {
            let guard = Guard::new();
            if here.owes.take() {
                guard.set_has_garbage();
            }
            guard
        };
        if let Ok(guard) = PINNABLE.try_with(pin) {
            return Some(look(&guard));
        }
        thread::scope(|scope| {
            let other = thread::Builder::new().name("foundation-map".into());
            let other = other.spawn_scoped(scope, || look(&Guard::new())).ok()?;
            Some(other.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
        })
    }

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

        /// Where a model looks what happens when a reader stays with what it has read.
        pub(in super::super) fn stay(&self) {}

        /// Is about to be dropped. What it points at is leaked if it cannot be given to sdd any more.
        pub(in super::super) fn leave(&mut self) {
            if PINNABLE.try_with(|_| ()).is_err() {
                mem::forget(mem::replace(&mut self.0, AtomicShared::null()));
            }
        }
    }

    impl<T> Drop for Place<T> {
        fn drop(&mut self) {
            // Gone, there is nothing to do: sdd empties what it keeps for the thread to the last.
            _ = PINNABLE.try_with(|here| here.owes.set(true));
        }
    }

    impl<T: 'static> Place<T> {
        pub(in super::super) fn of(value: Option<T>) -> Self {
            Self(value.map_or_else(AtomicShared::null, AtomicShared::new))
        }

        /// Points elsewhere from now on. One puts at a time, who is pinned.
        pub(in super::super) fn put(&self, value: Option<T>) {
            // ordering: Release, pairs with the Acquire in `read`; Acquire, for what is replaced may be freed here.
            self.0.swap((value.map(Shared::new), Tag::None), AcqRel);
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

    use super::super::Mutex;

    pub(in super::super) struct Guard(());

    pub(in super::super) fn pinned<R: Send>(look: impl FnOnce(&Guard) -> R + Send) -> Option<R> {
        Some(look(&Guard(())))
    }

    pub(in super::super) struct Place<T> {
        /// The model sees who takes it.
        seen: Mutex<()>,
        /// Std's, so nothing of the model's may happen while it is locked.
        there: std::sync::Mutex<Option<Arc<T>>>,
    }

    impl<T> Place<T> {
        pub(in super::super) fn empty() -> Self {
            Self::of(None)
        }

        pub(in super::super) fn of(value: Option<T>) -> Self {
            Self { seen: Mutex::new(()), there: std::sync::Mutex::new(value.map(Arc::new)) }
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

        /// Time for a writer: the reader has what was there, and has not looked at it yet.
        #[track_caller]
        pub(in super::super) fn stay(&self) {
            drop(self.seen.lock());
        }

        pub(in super::super) fn leave(&mut self) {}

        fn get(&self, _: &Guard) -> Option<Arc<T>> {
            self.there.lock().expect("held for a copy only").clone()
        }

        #[track_caller]
        pub(in super::super) fn put(&self, value: Option<T>) {
            let old = {
                let _seen = self.seen.lock();
                std::mem::replace(&mut *self.there.lock().expect("held for a copy only"), value.map(Arc::new))
            };
            drop(old);
        }
    }
}
