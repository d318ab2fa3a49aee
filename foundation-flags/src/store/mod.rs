//! Where the state is written down, if anywhere. One at a time: whoever has the role (see `desk.rs`).
//!
//! # Protocol
//! What stands in the file is known: the text that was read or written last. Another one is a person's. Nothing that takes
//! a risk is written over it; it has to be [reloaded](crate::Flags::reload) first, which takes all of it up or nothing.
//! What goes back is published already when it comes here, and is entered into the person's text: stage, holds and
//! history, which are the program's to change; what is said of flags there is left alone until it is reloaded. Where that
//! text can't be read, it is left alone, too, and that is reported: nothing of anybody's is thrown away.
//!
//! Named race:
//! - *save against save*: a person saves the file while it is written. It is read again just before the new one is put in
//!   its place; if it is not what was read before, it stays, and all begins anew, a few times at most.

mod error;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "file")]
mod kept;
#[cfg(not(feature = "file"))]
mod none;
#[cfg(all(test, feature = "file"))]
mod tests;

pub use error::FileError;
use std::sync::Arc;

#[cfg(feature = "file")]
pub(crate) use kept::{MOST_AGAIN, Store};
#[cfg(not(feature = "file"))]
pub(crate) use none::Store;

/// What there is to tell of the file.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// It could not be written.
    #[cfg_attr(not(feature = "file"), expect(dead_code, reason = "there is no file"))]
    Failed(Arc<str>),
    /// What a person has made of it can't be taken up.
    #[cfg_attr(not(feature = "file"), expect(dead_code, reason = "there is no file"))]
    Refused(Arc<str>),
}

/// What a state is written down for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// It takes a risk, and is published when it is written.
    Risk,
    /// It is published.
    Published,
}
