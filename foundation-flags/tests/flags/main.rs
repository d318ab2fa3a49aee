//! What flags, stages and emergencies promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod bucketing;
mod changes;
mod declared;
mod emergency;
mod environment;
#[cfg(feature = "file")]
mod file;
mod flags;
mod names;
mod overrides;
mod rules;
mod shadow;
mod subscribers;
