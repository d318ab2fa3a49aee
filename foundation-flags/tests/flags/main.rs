//! What flags, stages and emergencies promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod emergency;
#[cfg(feature = "file")]
mod file;
mod flags;
mod shadow;
