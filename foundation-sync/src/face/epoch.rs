//! A place that points at something which readers may still be looking at when it points elsewhere.
//!
//! For real it is sdd's epochs: what is replaced is freed when no reader can see it any more, by the thread that replaced
//! it, if it goes on. In models a lock round a counted reference.
//!
//! A place has a *mark* of two bits beside what it points at; both change in one step.

pub(super) use face::{Guard, Mark, Pause, Place, Seen, Shared, owe, pinned};

#[cfg(not(any(loom, shuttle)))]
#[expect(clippy::disallowed_methods, reason = "the door itself: a thread that ends waits for one that does its work")]
mod face {
    use std::{
        cell::Cell,
        hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
        mem,
        ops::Deref,
        panic,
        sync::atomic::Ordering::{AcqRel, Acquire},
        thread,
    };

    use sdd::AtomicShared;
    pub(in super::super) use sdd::{Guard, Shared, Tag as Mark};

    /// What a place points at, for as long as there is the guard.
    pub(in super::super) struct Seen<'g, T>(&'g T);

    impl<T> Deref for Seen<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            self.0
        }
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Here {
        /// Nothing was looked at, yet.
        New,
        Ready,
        /// sdd forgets what is retired while it frees (a table's links) until the thread retires something else: it has to
        /// be told.
        Owes,
        /// The thread's own slots are being dropped, and sdd's may be gone.
        Gone,
    }

    /// Gone before what sdd keeps for this thread, since made after it: a thread's slots are dropped last made first.
    struct Pinnable {
        /// Whether this thread, when it ends, tidies up after those that ended before. Else that is left to whoever looks a
        /// hundred times: where all that do live short, what they leave behind is kept, and each that ends walks past it.
        tidies: bool,
    }

    /// One thread of so many does it, for it looks at all that live.
    const TIDIES: u64 = 16;
    /// So often sdd's epoch has to go on until what it has met is freed.
    const EPOCHS: usize = 4;

    impl Pinnable {
        fn new() -> Self {
            drop(Guard::new());
            // The one number that threads have, mixed: they may come in any pattern.
            let number = BuildHasherDefault::<DefaultHasher>::default().hash_one(thread::current().id());
            Self { tidies: number.is_multiple_of(TIDIES) }
        }
    }

    impl Drop for Pinnable {
        fn drop(&mut self) {
            if self.tidies {
                (0..EPOCHS).for_each(|_| Guard::new().accelerate());
            }
            HERE.set(Here::Gone);
        }
    }

    thread_local! {
        /// Nothing hangs on its drop, so it can be read to the last.
        static HERE: Cell<Here> = const { Cell::new(Here::New) };

        static PINNABLE: Pinnable = Pinnable::new();
    }

    /// Looks at places, which point at what they do until then. When the thread's own slots are being dropped, and sdd's may
    /// be gone, another thread looks; `None` if there is none to be had. The one way to a guard.
    #[inline]
    pub(in super::super) fn pinned<R: Send>(look: impl FnOnce(&Guard) -> R + Send) -> Option<R> {
        let guard = match HERE.get() {
            Here::Ready => Guard::new(),
            here => match prepare(here) {
                Some(guard) => guard,
                None => return elsewhere(look),
            },
        };
        Some(look(&guard))
    }

    #[cold]
    fn prepare(here: Here) -> Option<Guard> {
        if here == Here::Gone || PINNABLE.try_with(|_| ()).is_err() {
            return None;
        }
        HERE.set(Here::Ready);
        let guard = Guard::new();
        guard.set_has_garbage();
        Some(guard)
    }

    #[cold]
    fn elsewhere<R: Send>(look: impl FnOnce(&Guard) -> R + Send) -> Option<R> {
        thread::scope(|scope| {
            let other = thread::Builder::new().name("foundation-map".into());
            let other = other.spawn_scoped(scope, || look(&Guard::new())).ok()?;
            Some(other.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
        })
    }

    /// Something is about to be retired while sdd frees.
    pub(in super::super) fn owe() {
        // New, it is told in any case; gone, sdd empties what it keeps for the thread to the last.
        if HERE.get() == Here::Ready {
            HERE.set(Here::Owes);
        }
    }

    /// Of models only.
    pub(in super::super) struct Pause;

    impl Pause {
        pub(in super::super) const fn new() -> Self {
            Self
        }

        #[inline]
        pub(in super::super) fn take(&self) {}
    }

    pub(in super::super) struct Place<T>(AtomicShared<T>);

    impl<T> Place<T> {
        pub(in super::super) const fn empty() -> Self {
            Self(AtomicShared::null())
        }

        #[inline]
        pub(in super::super) fn read<'g>(&self, guard: &'g Guard) -> (Mark, Option<Seen<'g, T>>) {
            // ordering: Acquire, pairs with the Release in `put`: whoever sees a thing sees all of it.
            let there = self.0.load(Acquire, guard);
            (there.tag(), there.as_ref().map(Seen))
        }

        /// The same for whoever is the only one to put.
        #[inline]
        pub(in super::super) fn own<'g>(&self, guard: &'g Guard) -> (Mark, Option<Seen<'g, T>>) {
            self.read(guard)
        }

        /// Another reference to what is there, for another place. By the only one to put.
        pub(in super::super) fn share(&self, guard: &Guard) -> Option<Shared<T>> {
            // ordering: Acquire, as in `read`.
            self.0.get_shared(Acquire, guard)
        }

        /// Points elsewhere from now on. One puts at a time, who is pinned.
        #[inline]
        pub(in super::super) fn put(&self, value: Option<Shared<T>>, mark: Mark) {
            // ordering: Release, pairs with the Acquire in `read`; Acquire, for what is replaced may be freed here.
            self.0.swap((value, mark), AcqRel);
        }

        /// Is about to be dropped. What it points at is leaked if it cannot be given to sdd any more.
        pub(in super::super) fn leave(&mut self) {
            if HERE.get() == Here::Gone || PINNABLE.try_with(|_| ()).is_err() {
                mem::forget(mem::replace(&mut self.0, AtomicShared::null()));
            }
        }
    }
}

#[cfg(any(loom, shuttle))]
#[expect(
    clippy::disallowed_types,
    reason = "the door itself: what a thread has put itself it reads unseen by the model"
)]
mod face {
    use std::{marker::PhantomData, ops::Deref, sync::Arc};

    pub(in super::super) use std::sync::Arc as Shared;

    use super::super::Mutex;

    pub(in super::super) struct Guard(());

    pub(in super::super) fn pinned<R: Send>(look: impl FnOnce(&Guard) -> R + Send) -> Option<R> {
        Some(look(&Guard(())))
    }

    pub(in super::super) fn owe() {}

    #[derive(Clone, Copy, PartialEq)]
    pub(in super::super) enum Mark {
        None,
        First,
        Second,
        Both,
    }

    pub(in super::super) struct Seen<'g, T>(Arc<T>, PhantomData<&'g Guard>);

    impl<T> Deref for Seen<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// What a value's owner does to it is unseen by the model. So a reader pauses between what it reads and the value, and
    /// a writer when it has given its lock back, and the model turns these round: the reader gets on before the writer
    /// does anything more, or when it has gone on. Nobody waits here: it is held for no time.
    pub(in super::super) struct Pause(Mutex<()>);

    impl Pause {
        pub(in super::super) fn new() -> Self {
            Self(Mutex::new(()))
        }

        #[track_caller]
        pub(in super::super) fn take(&self) {
            drop(self.0.lock());
        }
    }

    pub(in super::super) struct Place<T> {
        /// The model sees who takes it.
        seen: Mutex<()>,
        /// Std's, so nothing of the model's may happen while it is locked.
        there: std::sync::Mutex<(Mark, Option<Arc<T>>)>,
    }

    impl<T> Place<T> {
        pub(in super::super) fn empty() -> Self {
            Self { seen: Mutex::new(()), there: std::sync::Mutex::new((Mark::None, None)) }
        }

        #[track_caller]
        pub(in super::super) fn read<'g>(&self, guard: &'g Guard) -> (Mark, Option<Seen<'g, T>>) {
            let _seen = self.seen.lock();
            self.own(guard)
        }

        /// The same for whoever is the only one to put: the model has nothing to turn round.
        pub(in super::super) fn own<'g>(&self, guard: &'g Guard) -> (Mark, Option<Seen<'g, T>>) {
            let mark = self.there.lock().expect("held for a copy only").0;
            (mark, self.share(guard).map(|there| Seen(there, PhantomData)))
        }

        pub(in super::super) fn share(&self, _: &Guard) -> Option<Shared<T>> {
            self.there.lock().expect("held for a copy only").1.clone()
        }

        #[track_caller]
        pub(in super::super) fn put(&self, value: Option<Shared<T>>, mark: Mark) {
            let old = {
                let _seen = self.seen.lock();
                std::mem::replace(&mut *self.there.lock().expect("held for a copy only"), (mark, value))
            };
            drop(old);
        }

        pub(in super::super) fn leave(&mut self) {}
    }
}
