//! User code that may not run where it comes up: who runs it instead.

use std::{fmt, sync::Arc};

/// A piece of work for a universe's courier.
pub type Errand = Box<dyn FnOnce() + Send>;

type Take = dyn Fn(Errand) -> Result<(), Errand> + Send + Sync;

/// Where deferred user code goes: to a universe's courier, or, where there is none, to the calling thread. A clone is
/// another handle.
///
/// A crate that is used alone starts no thread, so by default an errand is run by whoever brings it, before
/// [`send`](Self::send) returns.
#[derive(Clone, Default)]
pub struct Errands(Option<Arc<Take>>);

impl Errands {
    /// `take` brings the errand to whoever runs it; what it can't take it gives back.
    pub fn new(take: impl Fn(Errand) -> Result<(), Errand> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(take)))
    }

    /// Sends an errand. Call this under no lock: the errand may be run before this returns.
    ///
    /// # Errors
    /// Nobody takes it: there is no room, or whoever ran errands has ended. It comes back.
    pub fn send(&self, errand: Errand) -> Result<(), Errand> {
        match &self.0 {
            Some(take) => take(errand),
            None => {
                errand();
                Ok(())
            }
        }
    }

    /// Whether an errand is run by whoever brings it, before [`send`](Self::send) returns. Such an errand has to do what
    /// is left itself: sending another one would run it inside of the first.
    pub fn runs_here(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Errands(to a courier)" } else { "Errands(here)" })
    }
}
