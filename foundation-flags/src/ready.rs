//! Whether the program is ready for a stage: its own checks, before anything is changed.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_sync::payload;

use crate::ChangeError;

type Check = dyn Fn(usize) -> Result<(), String> + Send + Sync;

/// By name, in the order in which they were given.
#[derive(Clone, Default)]
pub(crate) struct Checks(Vec<(Arc<str>, Arc<Check>)>);

impl Checks {
    pub(crate) fn add(&mut self, name: &str, check: impl Fn(usize) -> Result<(), String> + Send + Sync + 'static) {
        self.0.push((name.into(), Arc::new(check)));
    }

    /// Asks all of them, also when one has said no. It runs users' code, on this thread.
    pub(crate) fn ask(&self, stage: usize) -> Result<(), ChangeError> {
        let ask = |(name, check): &(Arc<str>, Arc<Check>)| match catch_unwind(AssertUnwindSafe(|| check(stage))) {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some((Arc::clone(name), Arc::from(reason))),
            Err(panic) => {
                let text = format!("it panicked: {}", payload::text(&*panic));
                payload::forget(panic);
                Some((Arc::clone(name), Arc::from(text)))
            }
        };
        let failed: Vec<_> = self.0.iter().filter_map(ask).collect();
        if failed.is_empty() { Ok(()) } else { Err(ChangeError::NotReady { stage, failed }) }
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
