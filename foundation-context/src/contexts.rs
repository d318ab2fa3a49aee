//! How contexts travel in one universe, and which universe a thread is at home in.

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use foundation_sync::{
    Clock,
    legacy::{Mode, View},
};

use crate::{Context, slot::HOME, trail::Dated};

/// How contexts travel in one universe. A clone is another handle.
///
/// The mode decides what *leaves* a thread, and nothing else: there is one pile of scopes for both, so what is on the
/// thread is put back the same way whatever was switched meanwhile, and a flip in the middle of nested
/// [`with`](crate::with)s leaks nothing in either direction. With the feature `legacy`, and switched off, a context is its
/// thread's alone: [`carried`](crate::carried) is empty.
#[derive(Clone)]
pub struct Contexts {
    mode: Mode,
    /// What breadcrumbs are dated by.
    clock: Arc<dyn Dated>,
}

// The clock is only looked at: a panic leaves nothing half done.
impl UnwindSafe for Contexts {}
impl RefUnwindSafe for Contexts {}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contexts").field("mode", &self.mode).field("clock", self.clock.clock()).finish()
    }
}

/// By the system's clock.
impl Default for Contexts {
    fn default() -> Self {
        Self::new(&Clock::system())
    }
}

impl Contexts {
    /// Of a universe whose clock this is: its breadcrumbs are dated by it.
    pub fn new(clock: &Clock) -> Self {
        Self { mode: Mode::default(), clock: Arc::new(clock.clone()) }
    }

    /// What decides how contexts travel: on is the new way. Something of the old is left while a `with` is open that was
    /// opened while it was off.
    #[cfg(feature = "legacy")]
    pub fn switch(&self) -> &foundation_sync::Switch {
        self.mode.switch()
    }

    /// Makes this the calling thread's context for the rest of its life, and this universe its home: for whoever starts
    /// threads.
    pub fn bind(&self, context: Context) {
        let old = HOME.try_with(|home| home.replace(Some(self.clone())));
        drop(old);
        context.bind();
    }

    /// Makes this universe the calling thread's home for the time of the call, whatever happens: for threads that others
    /// started. Its context stays as it is.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        struct Back(Option<Contexts>);

        impl Drop for Back {
            fn drop(&mut self) {
                let own = HOME.try_with(|home| home.replace(self.0.take()));
                drop(own);
            }
        }

        let _back = Back(HOME.try_with(|home| home.replace(Some(self.clone()))).ok().flatten());
        work()
    }
}

/// Whether the calling thread's context may leave it. A thread without a home works the new way; one that is about to
/// end lets nothing out.
pub(crate) fn leaves() -> bool {
    HOME.try_with(|home| home.borrow().as_ref().is_none_or(|home| home.mode.is_new())).unwrap_or(false)
}

/// The mode in which something is opened on the calling thread, as its home counts it. Without the old way there is nothing
/// to be counted.
#[inline]
pub(crate) fn view() -> Option<View> {
    if !cfg!(feature = "legacy") {
        return None;
    }
    HOME.try_with(|home| home.borrow().as_ref().map(|home| home.mode.view())).ok().flatten()
}

/// The clock of the calling thread's home.
pub(crate) fn clock() -> Option<Arc<dyn Dated>> {
    HOME.try_with(|home| home.borrow().as_ref().map(|home| Arc::clone(&home.clock))).ok().flatten()
}
