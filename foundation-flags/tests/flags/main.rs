//! What flags, stages and emergencies promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod bucketing;
mod changes;
#[cfg(feature = "file")]
mod comments;
mod declared;
mod emergency;
mod environment;
#[cfg(feature = "file")]
mod file;
mod flags;
mod names;
mod overrides;
#[cfg(feature = "file")]
mod record;
#[cfg(feature = "file")]
mod refused;
#[cfg(feature = "file")]
mod reload;
mod report;
mod rules;
mod sequences;
mod shadow;
mod stages;
mod subscribers;
mod thresholds;
mod timed;
#[cfg(feature = "file")]
mod undeclared;
#[cfg(all(feature = "watch", target_os = "linux"))]
mod watch;
mod windows;
