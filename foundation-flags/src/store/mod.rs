//! Where the state is written down, if anywhere. One at a time: whoever has the role (see `desk.rs`).

#[cfg(feature = "file")]
mod file;

use std::sync::Arc;

#[cfg(feature = "file")]
use foundation_sync::Mutex;

use crate::{
    StartError,
    state::{Shape, State},
};

#[derive(Debug, Default)]
pub(crate) struct Store {
    #[cfg(feature = "file")]
    path: Option<std::path::PathBuf>,
    #[cfg(feature = "file")]
    failed: Mutex<Failed>,
}

/// Why the last attempt to write failed, if it did.
#[cfg(feature = "file")]
#[derive(Default)]
struct Failed {
    error: Option<Arc<str>>,
    /// Nobody was told yet.
    news: bool,
}

#[cfg(feature = "file")]
impl Store {
    pub(crate) fn new(path: Option<std::path::PathBuf>) -> Self {
        Self { path, failed: Mutex::default() }
    }

    /// Whether there is a file.
    pub(crate) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Writes the state down durably, or says why not: then the file is the one that it was, or, if the directory could
    /// not be synchronised, the new one.
    pub(crate) fn save(&self, shape: &Shape, state: &State) -> Result<(), Arc<str>> {
        let Some(path) = &self.path else { return Ok(()) };
        let saved = file::save(path, shape, state).map_err(|error| error.to_string().into());
        let error = saved.clone().err();
        *self.failed.lock() = Failed { news: error.is_some(), error };
        saved
    }

    /// Why the last attempt to write failed.
    pub(crate) fn error(&self) -> Option<Arc<str>> {
        self.failed.lock().error.clone()
    }

    /// The same, once for each failure.
    pub(crate) fn take_news(&self) -> Option<Arc<str>> {
        let mut failed = self.failed.lock();
        if std::mem::take(&mut failed.news) { failed.error.clone() } else { None }
    }

    /// The state that was written down, or the first one if there is no file yet.
    pub(crate) fn load(&self, shape: &Shape, first: State) -> Result<State, StartError> {
        let Some(path) = &self.path else { return Ok(first) };
        file::load(path, shape, first).map_err(|problem| StartError::File {
            path: path.display().to_string().into(),
            problem: problem.trim_end().into(),
        })
    }
}

#[cfg(not(feature = "file"))]
impl Store {
    pub(crate) fn is_kept(&self) -> bool {
        false
    }

    pub(crate) fn save(&self, _: &Shape, _: &State) -> Result<(), Arc<str>> {
        Ok(())
    }

    pub(crate) fn error(&self) -> Option<Arc<str>> {
        None
    }

    pub(crate) fn take_news(&self) -> Option<Arc<str>> {
        None
    }

    pub(crate) fn load(&self, _: &Shape, first: State) -> Result<State, StartError> {
        Ok(first)
    }
}
