//! What events and spans promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod batch;
mod dedup;
mod distribution;
#[cfg(feature = "legacy")]
mod legacy;
mod limiter;
mod queued;
mod sampling;
mod span;
mod telemetry;
