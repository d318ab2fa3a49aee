//! How contexts travel in one universe, and which universe a thread is at home in.

use foundation_sync::legacy::{Mode, View};

use crate::{Context, slot::HOME};

/// How contexts travel in one universe. A clone is another handle.
///
/// The mode decides what *leaves* a thread, and nothing else: there is one chain of frames for both, so what is on the
/// thread is put back the same way whatever was switched meanwhile, and a flip in the middle of nested
/// [`with`](crate::with)s leaks nothing in either direction. With the feature `legacy`, and switched off, a context is its
/// thread's alone: [`carried`](crate::carried) is empty.
#[derive(Clone, Debug, Default)]
pub struct Contexts {
    mode: Mode,
}

impl Contexts {
    /// What decides how contexts travel: on is the new way. Something of the old is left while a `with` is open that was
    /// opened while it was off.
    #[cfg(feature = "legacy")]
    pub fn switch(&self) -> &foundation_sync::Switch {
        self.mode.switch()
    }

    /// Makes this the calling thread's context for the rest of its life, and this universe its home: for whoever starts
    /// threads.
    pub fn bind(&self, context: Context) {
        let old = (HOME.with(|home| home.replace(Some(self.clone()))), context.bind());
        drop(old);
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

        let _back = Back(HOME.with(|home| home.replace(Some(self.clone()))));
        work()
    }
}

/// Whether the calling thread's context may leave it. A thread without a home works the new way; one that is about to
/// end lets nothing out.
pub(crate) fn leaves() -> bool {
    HOME.try_with(|home| home.borrow().as_ref().is_none_or(|home| home.mode.is_new())).unwrap_or(false)
}

/// The mode in which something is opened on the calling thread, as its home counts it.
pub(crate) fn view() -> Option<View> {
    HOME.with(|home| home.borrow().as_ref().map(|home| home.mode.view()))
}
