//! What flags, stages and emergencies promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod changes;
mod emergency;
mod environment;
#[cfg(feature = "file")]
mod file;
mod flags;
mod overrides;
mod rules;
mod shadow;
mod subscribers;
