//! Nowhere.

use std::sync::Arc;

use super::{For, News};
use crate::{
    ChangeError, StartError,
    state::{Shape, State},
};

#[derive(Debug, Default)]
pub(crate) struct Store;

impl Store {
    pub(crate) fn is_kept(&self) -> bool {
        false
    }

    pub(crate) fn is_edited(&self) -> bool {
        false
    }

    pub(crate) fn save(&self, _: &Shape, _: &State, _: For) -> Result<(), ChangeError> {
        Ok(())
    }

    pub(crate) fn unknown(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    pub(crate) fn error(&self) -> Option<Arc<str>> {
        None
    }

    pub(crate) fn reload_error(&self) -> Option<Arc<str>> {
        None
    }

    pub(crate) fn take_news(&self) -> Vec<News> {
        Vec::new()
    }

    pub(crate) fn load(&self, _: &Shape, first: State) -> Result<State, StartError> {
        Ok(first)
    }
}
